//! States of a service (JAIN SLEE 1.1 chapter 14), and who starts root entities.

use crate::house_of_services::{change, make, pair, served, state};
use crate::pair::Pair;
use crate::toy::{Front, Said};
use resilee_core::management::ServiceState::{Active, Inactive, Stopping};
use resilee_sbb::{
    Context, Descriptor, Event, Failure, InitialEvent, LinkedSbb, Sbb, Tables, Task,
};
use serde::{Deserialize, Serialize};

#[test]
fn a_linked_service_is_active_unless_it_says_otherwise() {
    let mut pair = pair();
    assert_eq!((state(&pair, "counter"), state(&pair, "counter-2")), (Active, Inactive));
    pair.say(0, "c1 begin");
    assert_eq!(served(&pair, 0), ["counter", "base", "till"]);
}

/// An inactive service is not the root of anything.
#[test]
fn an_inactive_service_starts_no_root_entity() {
    let mut pair = pair();
    make(&mut pair, 0, change(&[], &["counter"]));
    assert_eq!(state(&pair, "counter"), Inactive);
    pair.say(0, "c1 begin");
    pair.say(1, "c2 begin");
    assert_eq!((served(&pair, 0), served(&pair, 1)), (vec!["base", "till"], vec!["base", "till"]));
}

/// A stopping service has entities, and gets no new ones.
#[test]
fn entities_of_a_stopping_service_finish_and_then_it_is_inactive() {
    let mut pair = pair();
    pair.say(0, "c1 begin");
    make(&mut pair, 1, change(&[], &["counter"]));
    assert_eq!(state(&pair, "counter"), Stopping);
    pair.nodes[0].delivered.clear();
    pair.say(0, "c1 say more");
    assert_eq!(served(&pair, 0), ["counter", "base", "till"], "the old call goes on");
    pair.say(0, "c2 begin");
    assert_eq!(served(&pair, 0)[3..], ["base", "till"], "a new one begins without it");
    pair.say(0, "c1 end");
    assert_eq!(state(&pair, "counter"), Inactive);
}

#[test]
fn a_stopping_service_may_be_activated_again() {
    let mut pair = pair();
    pair.say(0, "c1 begin");
    make(&mut pair, 0, change(&[], &["counter"]));
    make(&mut pair, 0, change(&["counter"], &[]));
    assert_eq!(state(&pair, "counter"), Active);
    pair.nodes[0].delivered.clear();
    pair.say(0, "c2 begin");
    assert_eq!(served(&pair, 0), ["counter", "base", "till"]);
}

/// An upgrade: each call is served by exactly one of both.
#[test]
fn an_upgrade_in_one_step_leaves_old_calls_to_the_old_service_and_new_ones_to_the_new() {
    let mut pair = pair();
    pair.say(0, "c1 begin");
    make(&mut pair, 0, change(&["counter-2"], &["counter"]));
    assert_eq!((state(&pair, "counter"), state(&pair, "counter-2")), (Stopping, Active));
    pair.nodes[0].delivered.clear();
    pair.say(0, "c1 say more");
    pair.say(0, "c2 begin");
    let expected = ["counter", "base", "till", "counter-2", "base", "till"];
    assert_eq!(served(&pair, 0), expected);
}

#[test]
fn an_upgrade_is_one_commit_so_no_death_leaves_half_of_it() {
    let mut pair = pair();
    let owner = pair.tables_owner();
    let before = pair.status(owner).commits;
    make(&mut pair, owner, change(&["counter-2"], &["counter"]));
    assert_eq!(pair.status(owner).commits, before + 1);
    pair.kill(owner);
    pair.pass_ms(1_000);
    pair.say(1 - owner, "c1 begin");
    assert_eq!(served(&pair, 1 - owner), ["counter-2", "base", "till"]);
}

#[test]
fn states_outlive_the_restart_of_each_node_and_of_both() {
    let mut pair = pair();
    make(&mut pair, 1, change(&["counter-2"], &["counter"]));
    for node in [0, 1] {
        pair.kill(node);
        pair.pass_ms(500);
        pair.start(node);
        pair.until_whole();
        assert_eq!((state(&pair, "counter"), state(&pair, "counter-2")), (Inactive, Active));
    }
    pair.kill(0);
    pair.nodes[1].core = None;
    pair.pass_ms(100);
    let pair = pair.whole();
    assert_eq!((state(&pair, "counter"), state(&pair, "counter-2")), (Inactive, Active));
}

#[test]
fn what_a_call_gets_after_a_takeover_goes_by_the_same_states() {
    let mut pair = pair();
    pair.say(0, "c1 begin");
    make(&mut pair, 0, change(&[], &["counter"]));
    pair.kill(0);
    pair.pass_ms(1_000);
    pair.say(1, "c1 say more");
    pair.say(1, "c2 begin");
    assert_eq!(served(&pair, 1), ["counter", "base", "till", "base", "till"]);
}

/// A call that nobody takes must be answered by its adaptor.
#[test]
fn the_adaptor_hears_that_a_service_which_would_have_served_takes_nothing() {
    let mut pair = pair();
    make(&mut pair, 0, change(&[], &["counter", "shop"]));
    pair.say(0, "c1 begin");
    assert_eq!(served(&pair, 0), Vec::<&str>::new());
    assert!(pair.nodes[0].sent.contains(&"c1 unserved".to_owned()), "{:?}", pair.nodes[0].sent);
}

/// A service whose initial event selector takes each call by one name.
#[derive(Default, Serialize, Deserialize)]
struct Named {}

impl Sbb for Named {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { name: "named", selects_initial_events: true, ..Front::descriptor() }
    }

    fn initial_event(_: &mut Context<'_>, _: &Event) -> Result<InitialEvent, Failure> {
        Ok(InitialEvent::by().cell().custom_name("one"))
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.get::<Said>()?.is_some_and(|said| said.word == "leave") {
            cx.detach();
        }
        Ok(())
    }
}

/// The initial event selector is asked for a service that may start an entity.
#[test]
fn the_selector_of_an_inactive_service_is_not_asked() {
    let mut pair = Pair::of(&[LinkedSbb::of::<Named>()], Tables::default()).whole();
    let asked = |pair: &Pair| {
        pair.nodes[0].delivered.iter().filter(|deliver| deliver.task == Task::Select).count()
    };
    pair.say(0, "c1 begin");
    assert_eq!(asked(&pair), 1);
    make(&mut pair, 0, change(&[], &["named"]));
    pair.say(0, "c2 begin");
    assert_eq!(asked(&pair), 1);
    pair.say(0, "c1 say more");
    assert_eq!(asked(&pair), 2, "an event for a root entity that is there");
    pair.say(0, "c1 say leave");
    pair.say(0, "c1 say more");
    assert_eq!((asked(&pair), served(&pair, 0).len()), (2, 5), "nothing when it has left");
}
