//! Units of which a call has a root entity in another cell, or is to have one, and their removal.

use crate::pair::Pair;
use crate::script::{self, on, selects, take_trace};
use crate::toy::SERVICES;
use crate::units::{refused, remove, upload};
use crate::upgrades::want;
use resilee_core::Input;
use resilee_core::management::Changed;
use resilee_sbb::{InitialEvent, Tables};
use std::time::Duration;

const CHOOSER: &[u8] = b"a component with chooser in it";

/// Two nodes of which `chooser` is in an active unit, and its id. Words of it have one root entity
/// in the cluster, which detaches at `leave`.
fn with_chooser() -> (Pair, String) {
    script::clear();
    let others: Vec<_> = [0, 1, 3, 4, 5].map(|place| SERVICES[place]).into();
    let mut pair = Pair::of(&others, Tables::default());
    pair.units = [(CHOOSER.to_vec(), SERVICES[2])].into();
    let mut pair = pair.whole();
    let unit = upload(&mut pair, 0, "chooser", CHOOSER);
    want(&mut pair, &["chooser"], &[]);
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    on("chooser", "leave", |_, cx| {
        cx.detach();
        Ok(())
    });
    (pair, unit)
}

#[test]
fn a_unit_is_not_removed_while_a_suspended_event_is_for_its_root_entity() {
    let (mut pair, unit) = with_chooser();
    on("keeper", "back", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    pair.say(0, "c1 start; fire keep 1 begin");
    pair.say(0, "c2 start; fire choose 1 stay");
    pair.say(0, "c1 fire choose 1 leave; fire choose 1 back");
    pair.say(0, "c2 end 1");
    pair.pass_ms(1_000);
    want(&mut pair, &[], &["chooser"]);
    let reason = refused(&mut pair, remove(&unit));
    assert!(reason.starts_with("chooser still has entities"), "{reason}");
    pair.pass_ms(11_000);
    assert_eq!(pair.change(0, remove(&unit)), Some(Changed::Done));
}

/// `keeper` has an event after the selector of `chooser`, and its delivery hangs: what the selector
/// named is a tie that nobody else knows of.
fn named_in_a_turn_that_hangs(pair: &mut Pair, node: usize) {
    pair.say(node, "c1 start; fire keep 1 begin");
    pair.hangs = |deliver| deliver.service == "keeper";
    pair.say(node, "c1 fire choose 1 out");
    want(pair, &[], &["chooser"]);
}

fn begin_to_answer(pair: &mut Pair, node: usize) {
    let deliver = pair.nodes[node].delivered.last().cloned().expect("a delivery");
    assert_eq!(deliver.service, "keeper");
    let outcome = SERVICES[3].invoke(&deliver);
    pair.feed(node, Input::Outcome { delivery: deliver.id, outcome });
}

#[test]
fn a_tie_of_a_turn_that_runs_goes_with_the_unit_of_its_root_entity() {
    let (mut pair, unit) = with_chooser();
    let other = 1 - pair.tables_owner();
    named_in_a_turn_that_hangs(&mut pair, other);
    assert_eq!(pair.change(0, remove(&unit)), Some(Changed::Done));
    begin_to_answer(&mut pair, other);
    pair.pass_ms(1_000);
    assert!(take_trace().contains(&"keeper1 out".to_owned()));
}

/// Its commit was on its way to who removed the unit.
#[test]
fn a_tie_that_was_committed_just_before_goes_with_the_unit_of_its_root_entity() {
    for dies in [false, true] {
        let (mut pair, unit) = with_chooser();
        let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
        named_in_a_turn_that_hangs(&mut pair, other);
        begin_to_answer(&mut pair, other);
        pair.ask(owner, remove(&unit));
        if dies {
            while pair.on_its_way.front().is_some_and(|(node, _)| *node == owner) {
                pair.deliver(1);
            }
            pair.kill(other);
            pair.until_member_of(owner, 1);
        }
        pair.settle();
        assert!(pair.status(owner).units.is_empty());
    }
}
