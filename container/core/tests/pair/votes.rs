//! Votes: of a node whose store failed they are stored, or not given; and what nobody was asked for
//! binds nobody.

use crate::pair::Pair;
use resilee_core::Input;
use resilee_core::management::Command;

/// Texts of the alarms that are raised at a node.
fn alarms(pair: &Pair, node: usize) -> Vec<String> {
    pair.status(node).alarms.into_iter().map(|alarm| alarm.text).collect()
}

fn says_that_it_cannot_vote(pair: &Pair, node: usize) -> bool {
    alarms(pair, node).iter().any(|text| text.starts_with("votes cannot be stored"))
}

#[test]
fn a_vote_is_remembered_although_the_store_failed_before() {
    let mut pair = Pair::up();
    pair.fail_store(0);
    pair.kill(1);
    pair.until_member_of(0, 1);
    let view = pair.view(0);
    pair.kill(0);
    let voter = pair.nodes[0].voter();
    assert_eq!(voter.highest, view);
    assert_eq!(voter.vote, Some(view));
}

#[test]
fn a_vote_that_was_on_its_way_when_the_store_failed_is_stored_and_given() {
    let mut pair = Pair::up();
    pair.nodes[0].slow_disk = true;
    pair.kill(1);
    pair.pass_ms(100);
    assert_eq!(pair.seat_members(), 2, "the vote is not flushed");
    pair.fail_store(0);
    pair.until_member_of(0, 1);
    assert_eq!(pair.nodes[0].voter().highest, pair.view(0));
}

#[test]
fn who_can_store_no_vote_gives_none_and_says_so_until_it_can() {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.nodes[0].vote_lost = true;
    pair.fail_store(0);
    assert!(!says_that_it_cannot_vote(&pair, 0), "none is asked for");
    pair.kill(1);
    pair.pass_ms(5_000);
    assert_eq!(pair.seat_members(), 2, "nobody was asked for a view");
    assert!(says_that_it_cannot_vote(&pair, 0), "{:?}", alarms(&pair, 0));
    pair.nodes[0].vote_lost = false;
    pair.until_member_of(0, 1);
    assert_eq!(pair.nodes[0].voter().highest, pair.view(0));
    assert!(!says_that_it_cannot_vote(&pair, 0), "{:?}", alarms(&pair, 0));
}

#[test]
fn alone_without_a_store_and_without_a_vote_calls_go_on_and_nobody_joins() {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.kill(1);
    pair.until_member_of(0, 1);
    pair.nodes[0].vote_lost = true;
    pair.fail_store(0);
    pair.nodes[0].sent.clear();
    pair.say(0, "c1 say more");
    pair.say(0, "c1 ping");
    assert_eq!(pair.nodes[0].sent.len(), 1, "{:?}", pair.nodes[0].sent);
    let view = pair.view(0);
    pair.start(1);
    pair.pass_ms(3_000);
    assert_eq!(pair.view(0), view, "a joiner needs its vote");
    assert!(says_that_it_cannot_vote(&pair, 0), "{:?}", alarms(&pair, 0));
    pair.nodes[0].vote_lost = false;
    pair.until_whole();
}

#[test]
fn a_vote_that_nobody_was_asked_to_follow_is_taken_back_and_binds_to_nothing() {
    let mut pair = Pair::up();
    let name = |node: usize| ["server1", "server2"][node].parse().expect("a name");
    pair.nodes[0].slow_disk = true;
    pair.feed(0, Input::LinkDown { peer: name(1) });
    for node in [0, 1] {
        pair.feed(node, Input::LinkUp { peer: name(1 - node) });
    }
    pair.settle();
    pair.nodes[0].slow_disk = false;
    pair.flush(0);
    pair.settle();
    assert_eq!(pair.nodes[0].voter().vote.map(|view| view.members.len()), Some(2));
    // The seat does not help: what the other one wants is decided by this vote.
    pair.seat_away = true;
    let number = pair.view(1).number;
    pair.feed(1, Input::Command(Command::HandOver { cohort: None, to: name(0) }));
    pair.settle();
    pair.pass_ms(200);
    assert_eq!(pair.view(0).number, number + 1);
    assert!(pair.is_whole());
    assert!(pair.view(0).cohorts.values().all(|owner| owner.node == name(0)));
}

#[test]
fn a_first_start_that_is_killed_at_any_step_is_gone_on_with() {
    let mut killed_as_member = 0;
    for steps in 0..80 {
        let mut pair = Pair::new();
        pair.nodes[0].slow_disk = true;
        pair.start(0);
        pair.start(1);
        for step in 0..steps {
            pair.flush(0);
            pair.deliver(1);
            pair.pass_ms(if step % 4 == 3 { 20 } else { 0 });
        }
        killed_as_member += usize::from(pair.status(0).member);
        pair.kill(0);
        pair.nodes[0].slow_disk = false;
        pair.pass_ms(5_000);
        pair.start(0);
        pair.until_whole();
    }
    assert!((1..80).contains(&killed_as_member), "{killed_as_member} of 80");
}
