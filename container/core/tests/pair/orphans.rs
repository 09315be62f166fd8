//! Stories of calls that only a store knows which is away: what comes for them is kept, and they
//! come back with that store.

use super::{Pair, records};
use resilee_core::Input;
use resilee_core::management::Command;
use resilee_sbb::CohortId;

/// Node 0 dies, a call begins at node 1, which dies too; node 0 goes on alone, by force. The
/// cohort of the call.
fn lost_call(pair: &mut Pair) -> CohortId {
    pair.kill(0);
    pair.pass_ms(600);
    pair.say(1, "c1 begin");
    let cohort = pair.status(1).run.cohort();
    pair.kill(1);
    pair.pass_ms(500);
    go_on_alone(pair, 0);
    cohort
}

fn go_on_alone(pair: &mut Pair, node: usize) {
    pair.start(node);
    pair.feed(node, Input::Command(Command::Force));
    pair.pass_ms(300);
    assert!(pair.status(node).member);
}

fn come_back(pair: &mut Pair, node: usize) {
    pair.start(node);
    pair.until_whole();
    pair.pass_ms(100);
}

fn waits(pair: &Pair, node: usize) -> (u64, usize) {
    let status = pair.status(node);
    let alarms = status.alarms.iter().filter(|alarm| alarm.text.contains("for a store that has"));
    (status.orphans, alarms.count())
}

fn say_end(pair: &mut Pair, node: usize, cohort: CohortId) -> Vec<String> {
    pair.nodes[node].sent.clear();
    pair.say(node, &format!("c1 end {}", cohort.0));
    pair.nodes[node].sent.clone()
}

#[test]
fn the_end_of_a_call_that_nobody_has_is_passed_on_and_delivered_when_its_store_is_back() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    assert_eq!(say_end(&mut pair, 0, cohort), ["c1 end passed on"]);
    assert_eq!(say_end(&mut pair, 0, cohort), ["c1 end passed on"], "also when it is repeated");
    pair.pass_ms(1_000);
    assert_eq!(waits(&pair, 0), (1, 1));
    pair.nodes[0].sent.clear();
    come_back(&mut pair, 1);
    assert_eq!(pair.nodes[0].sent.len(), 2, "{:?}", pair.nodes[0].sent);
    assert_eq!(pair.nodes[0].sent[0], "c1 adopted");
    let late_ms = pair.nodes[0].sent[1].strip_prefix("c1 ended ").expect("it heard of it");
    let late_ms: u64 = late_ms.trim_end_matches(" ms ago").parse().expect("a number");
    assert!((1_000..3_000).contains(&late_ms), "by the time of the first: {late_ms}");
    assert_eq!((records(&pair, 0).len(), records(&pair, 1).len()), (1, 1));
    assert_eq!((waits(&pair, 0), waits(&pair, 1)), ((0, 0), (0, 0)));
    assert_eq!(pair.status(1).cells.values().sum::<u64>(), 0);
}

/// Whoever is an end of a lost call can send what does not end it, before the other one hangs up.
#[test]
fn of_several_that_wait_for_a_call_it_hears_all() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    pair.say(0, &format!("c1 pretend {}", cohort.0));
    pair.pass_ms(5_000);
    assert_eq!(say_end(&mut pair, 0, cohort), ["c1 end passed on"]);
    pair.pass_ms(1_000);
    assert_eq!(waits(&pair, 0), (1, 1), "it is one call");
    // What waits is read again from the store.
    pair.kill(0);
    pair.pass_ms(500);
    pair.start(0);
    pair.pass_ms(4_000);
    pair.nodes[0].sent.clear();
    come_back(&mut pair, 1);
    let sent = &pair.nodes[0].sent;
    assert!(sent.iter().any(|it| it.starts_with("c1 ended ")), "{sent:?}");
    assert_eq!((records(&pair, 0).len(), records(&pair, 1).len()), (1, 1));
    assert_eq!((waits(&pair, 0), waits(&pair, 1)), ((0, 0), (0, 0)));
}

#[test]
fn a_call_that_nothing_of_what_waits_for_it_ends_hears_that() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    pair.say(0, &format!("c1 pretend {}", cohort.0));
    pair.nodes[0].sent.clear();
    come_back(&mut pair, 1);
    assert_eq!(pair.nodes[0].sent, ["c1 adopted", "c1 asked"]);
    assert_eq!(waits(&pair, 0), (0, 0));
}

/// A call that is over once it is adopted from an old store, while a service still holds on to its
/// cell; node 0 has just gone on with such a store. Its cohort.
fn call_of_an_old_store() -> (Pair, CohortId) {
    let mut pair = Pair::up();
    pair.say(1, "brief begin");
    pair.say(1, "brief say stay");
    pair.leaves = Some("a null activity, which its service never ends");
    let cohort = pair.status(1).run.cohort();
    pair.kill(0);
    pair.pass_ms(600);
    pair.kill(1);
    pair.pass_ms(500);
    pair.start(0);
    pair.feed(0, Input::Command(Command::Force));
    pair.until_just_a_member(0);
    (pair, cohort)
}

/// The older store has it as one that never went on.
#[test]
fn the_end_of_a_call_is_passed_on_also_while_what_an_old_store_had_of_it_is_cleared_away() {
    let (mut pair, cohort) = call_of_an_old_store();
    let end = format!("brief end {}", cohort.0);
    pair.begin_to_say(0, &end);
    pair.settle();
    assert_eq!(pair.nodes[0].sent, ["brief adopted from an old store", "brief end passed on"]);
    pair.say(0, &end);
    assert_eq!(pair.nodes[0].sent[2..], ["brief end passed on"], "also when it is repeated");
    pair.pass_ms(1_000);
    assert_eq!(waits(&pair, 0), (1, 1));
}

/// A caller that has got no answer repeats what begins the call.
#[test]
fn a_call_begins_where_what_an_old_store_had_of_it_is_cleared_away() {
    for soon in [true, false] {
        let (mut pair, _) = call_of_an_old_store();
        if !soon {
            pair.settle();
        }
        pair.begin_to_say(0, "brief begin");
        pair.settle();
        assert_eq!(pair.nodes[0].sent, ["brief adopted from an old store", "brief begun"]);
        pair.say(0, "brief ping");
        assert_eq!(pair.nodes[0].sent[2..], ["brief pong"]);
    }
}

#[test]
fn what_waits_survives_its_node() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    say_end(&mut pair, 0, cohort);
    pair.kill(0);
    pair.pass_ms(500);
    pair.start(0);
    pair.pass_ms(4_000);
    assert_eq!(waits(&pair, 0), (1, 1));
    come_back(&mut pair, 1);
    assert_eq!(records(&pair, 0).len(), 1);
}

#[test]
fn nothing_is_passed_on_before_the_row_is_stored() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    pair.nodes[0].slow_disk = true;
    assert!(say_end(&mut pair, 0, cohort).is_empty());
    assert!(say_end(&mut pair, 0, cohort).is_empty(), "nor when it is repeated");
    pair.flush(0);
    pair.settle();
    assert_eq!(pair.nodes[0].sent, ["c1 end passed on", "c1 end passed on"]);
}

#[test]
fn what_its_call_need_not_hear_of_is_passed_on_and_forgotten() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    pair.nodes[0].sent.clear();
    pair.say(0, &format!("c1 ping {}", cohort.0));
    assert_eq!(pair.nodes[0].sent, ["c1 ping passed on"]);
    pair.pass_ms(1_000);
    assert_eq!(waits(&pair, 0), (0, 0));
}

#[test]
fn a_call_that_goes_on_comes_back_with_its_store() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    pair.nodes[0].sent.clear();
    come_back(&mut pair, 1);
    assert_eq!(pair.nodes[0].sent, ["c1 adopted from an old store"]);
    assert_eq!(pair.status(1).cells.values().sum::<u64>(), 1, "both have it");
    pair.nodes[0].sent.clear();
    pair.say(0, &format!("c1 ping {}", cohort.0));
    assert_eq!(pair.nodes[0].sent, ["c1 pong"]);
}

/// The balancer has lost its memory as well.
#[test]
fn a_cohort_that_no_view_names_comes_back_with_its_store() {
    let mut pair = Pair::up();
    pair.kill(0);
    pair.pass_ms(600);
    pair.kill(1);
    pair.pass_ms(500);
    pair.start(1);
    pair.pass_ms(4_000);
    pair.say(1, "c1 begin");
    let cohort = pair.status(1).run.cohort();
    pair.kill(1);
    pair.replace_seat();
    go_on_alone(&mut pair, 0);
    assert_eq!(pair.status(0).view.owner(cohort), None);
    assert_eq!(say_end(&mut pair, 0, cohort), ["c1 end passed on"]);
    come_back(&mut pair, 1);
    assert_eq!(pair.status(0).view.owner(cohort), Some(&pair.status(1).run));
    assert_eq!((records(&pair, 0).len(), records(&pair, 1).len()), (1, 1));
    assert_eq!((waits(&pair, 0), waits(&pair, 1)), ((0, 0), (0, 0)));
}

#[test]
fn without_a_gap_a_call_that_is_over_is_over() {
    let mut pair = Pair::up();
    pair.say(1, "c1 begin");
    let cohort = pair.status(1).run.cohort();
    pair.kill(1);
    pair.pass_ms(600);
    assert_eq!(say_end(&mut pair, 0, cohort), Vec::<String>::new());
    assert_eq!(say_end(&mut pair, 0, cohort), ["c1 unknown"]);
    come_back(&mut pair, 1);
    assert_eq!(pair.status(0).cells.values().sum::<u64>(), 0, "its store has it, and is behind");
    assert_eq!(waits(&pair, 0), (0, 0));
}

#[test]
fn what_the_others_have_recorded_does_not_come_back() {
    let mut pair = Pair::up();
    pair.say(1, "c1 begin");
    let cohort = pair.status(1).run.cohort();
    pair.kill(0);
    pair.pass_ms(600);
    pair.kill(1);
    pair.pass_ms(500);
    go_on_alone(&mut pair, 0);
    pair.say(0, "c1 say record");
    pair.say(0, &format!("c1 end {}", cohort.0));
    come_back(&mut pair, 1);
    assert_eq!(pair.status(0).cells.values().sum::<u64>(), 0);
    assert_eq!(records(&pair, 0).len(), 1);
}

#[test]
fn each_end_that_waits_is_given_up_30_days_after_it_came() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    let day = std::time::Duration::from_secs(24 * 3600);
    let end = |pair: &mut Pair, call: u64| pair.say(0, &format!("c{call} end {}", cohort.0));
    end(&mut pair, 1);
    // Several rows are read before the first is too old.
    for call in 2..=4 {
        pair.now = pair.now + day * 5;
        pair.pass_ms(200);
        end(&mut pair, call);
    }
    assert_eq!(waits(&pair, 0), (4, 1));
    for left in (0..=3).rev() {
        pair.now = pair.now + if left == 3 { day * 15 } else { day * 5 };
        pair.pass_ms(200);
        assert_eq!(waits(&pair, 0).0, left);
    }
}

#[test]
fn what_waits_is_forgotten_at_once_when_an_operator_says_so() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    let check = |pair: &Pair, node: usize| {
        pair.nodes[node].core.as_ref().expect("it lives").check_command(&Command::ForgetOrphans)
    };
    assert!(check(&pair, 0).is_err(), "there is nothing");
    for call in 1..=300 {
        pair.say(0, &format!("c{call} end {}", cohort.0));
    }
    pair.pass_ms(100);
    assert_eq!(waits(&pair, 0), (300, 1));
    assert_eq!(check(&pair, 0), Ok(()));
    pair.feed(0, Input::Command(Command::ForgetOrphans));
    pair.pass_ms(1);
    pair.say(0, &format!("c301 end {}", cohort.0));
    pair.pass_ms(200);
    assert_eq!(waits(&pair, 0), (1, 1), "what came later still waits");
    // The other node gets the removals as well, and is not the one to be asked.
    pair.start(1);
    pair.until_whole();
    pair.pass_ms(100);
    let refused = check(&pair, 1).expect_err("it does not own the tables");
    assert!(refused.contains("ask"), "{refused}");
}

#[test]
fn what_waits_is_given_up_after_30_days() {
    let mut pair = Pair::up();
    let cohort = lost_call(&mut pair);
    // More than are removed at a time.
    for call in 1..=300 {
        pair.say(0, &format!("c{call} end {}", cohort.0));
    }
    pair.pass_ms(1_000);
    assert_eq!(waits(&pair, 0), (300, 1));
    pair.now = pair.now + std::time::Duration::from_secs(30 * 24 * 3600);
    pair.pass_ms(11_000);
    assert_eq!(waits(&pair, 0), (0, 0));
    assert_eq!(say_end(&mut pair, 0, cohort), ["c1 unknown"], "the gap is over as well");
}

/// What it writes of them is not of its own cohort.
#[test]
fn a_node_that_has_handed_its_own_calls_over_gives_up_what_waits() {
    let mut pair = Pair::up();
    lost_call(&mut pair);
    come_back(&mut pair, 1);
    let (own, to) = (pair.status(0).run.cohort(), pair.status(1).run);
    let hand_over = Command::HandOver { cohort: Some(own), to: to.node.clone() };
    pair.feed(0, Input::Command(hand_over));
    pair.pass_ms(500);
    let view = pair.status(0).view;
    assert_eq!((view.owner(own), view.owner(CohortId::TABLES)), (Some(&to), view.members.first()));
    pair.now = pair.now + std::time::Duration::from_secs(30 * 24 * 3600);
    pair.pass_ms(11_000);
    assert_eq!(pair.status(0).view.members, view.members, "nobody was voted out");
    for node in [0, 1] {
        let alarms = pair.status(node).alarms;
        assert!(!alarms.iter().any(|it| it.text.contains("frames")), "{alarms:?}");
    }
}
