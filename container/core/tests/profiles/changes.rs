//! What becomes of a change: where it is made, when it is answered, and which deaths it outlives.

use crate::pair::Pair;
use crate::phone_book::{owners, pair, put};
use resilee_core::Input;
use resilee_core::management::{Changed, Command, TableChange};

fn bob() -> TableChange {
    put("hall", &[("owner", "bob".into())])
}

/// A pair, the node that owns the tables, and the other one.
fn pair_with_owner() -> (Pair, usize, usize) {
    let pair = pair();
    let owner = pair.tables_owner();
    (pair, owner, 1 - owner)
}

#[test]
fn a_change_is_made_by_the_owner_wherever_it_is_asked_for() {
    for at_owner in [true, false] {
        let (mut pair, owner, other) = pair_with_owner();
        let asked = if at_owner { owner } else { other };
        assert_eq!(pair.change(asked, bob()), Some(Changed::Done));
        assert_eq!(
            (owners(&pair, 0), owners(&pair, 1)),
            (vec!["hall=bob".into()], vec!["hall=bob".into()])
        );
    }
}

#[test]
fn a_refusal_of_the_owner_comes_back_to_where_it_was_asked_for() {
    let (mut pair, _, other) = pair_with_owner();
    let Some(Changed::Refused(reason)) = pair.change(other, put("attic", &[])) else {
        panic!("it was not refused")
    };
    assert!(reason.contains("attribute owner: it is required"), "{reason}");
}

#[test]
fn a_change_is_answered_only_when_the_backup_has_it() {
    let (mut pair, owner, other) = pair_with_owner();
    let token = pair.ask(owner, bob());
    assert_eq!(owners(&pair, owner), ["hall=bob"], "made");
    assert_eq!(pair.nodes[owner].changed.get(&token), None, "and not held yet");
    pair.settle();
    assert_eq!(pair.nodes[owner].changed.get(&token), Some(&Changed::Done));
    assert_eq!(owners(&pair, other), ["hall=bob"]);
}

#[test]
fn a_change_that_changes_nothing_waits_for_what_it_speaks_of() {
    let (mut pair, owner, _) = pair_with_owner();
    let first = pair.ask(owner, bob());
    let second = pair.ask(owner, bob());
    assert!(pair.nodes[owner].changed.is_empty());
    pair.settle();
    let answers = [first, second].map(|token| pair.nodes[owner].changed.get(&token).cloned());
    assert_eq!(answers, [Some(Changed::Done), Some(Changed::Done)]);
}

#[test]
fn alone_a_change_is_answered_when_the_store_has_it() {
    let (mut pair, owner, other) = pair_with_owner();
    pair.kill(other);
    pair.pass_ms(1_000);
    pair.nodes[owner].slow_disk = true;
    let token = pair.ask(owner, bob());
    pair.settle();
    assert_eq!(pair.nodes[owner].changed.get(&token), None);
    pair.flush(owner);
    pair.settle();
    assert_eq!(pair.nodes[owner].changed.get(&token), Some(&Changed::Done));
}

#[test]
fn an_answered_change_outlives_the_owner() {
    let (mut pair, owner, other) = pair_with_owner();
    assert_eq!(pair.change(owner, bob()), Some(Changed::Done));
    pair.kill(owner);
    pair.pass_ms(1_000);
    assert_eq!(owners(&pair, other), ["hall=bob"]);
    pair.start(owner);
    pair.until_whole();
    assert_eq!(owners(&pair, owner), ["hall=bob"]);
}

#[test]
fn an_answered_change_outlives_both_nodes() {
    let (mut pair, owner, other) = pair_with_owner();
    assert_eq!(pair.change(other, bob()), Some(Changed::Done));
    pair.kill(owner);
    pair.nodes[other].core = None;
    pair.pass_ms(100);
    let pair = pair.whole();
    assert_eq!(
        (owners(&pair, 0), owners(&pair, 1)),
        (vec!["hall=bob".into()], vec!["hall=bob".into()])
    );
}

/// Killed before it heard of it, after it made it, and after its answer was lost on the way.
#[test]
fn a_change_whose_owner_dies_before_the_answer_is_made_by_its_heir() {
    for steps in 0..6 {
        let (mut pair, owner, other) = pair_with_owner();
        let token = pair.ask(other, bob());
        pair.deliver(steps);
        pair.kill(owner);
        pair.pass_ms(1_500);
        assert_eq!(pair.nodes[other].changed.get(&token), Some(&Changed::Done), "{steps}");
        assert_eq!(owners(&pair, other), ["hall=bob"], "{steps}");
    }
}

/// A lost link is a new view: one of the two goes on.
#[test]
fn a_change_that_was_lost_with_the_link_is_made_if_its_node_goes_on() {
    let mut went_on = [0, 0];
    for first in [0, 1] {
        let (mut pair, _, other) = pair_with_owner();
        let token = pair.ask(other, bob());
        pair.cut(first);
        pair.pass_ms(500);
        let made = pair.nodes[other].changed.get(&token) == Some(&Changed::Done);
        let voted_out = pair.nodes[other].rejoins > 0;
        assert!(made != voted_out, "one of both, and the runtime answers for a run that is over");
        went_on[usize::from(made)] += 1;
    }
    assert_eq!(went_on, [1, 1], "both happened");
}

#[test]
fn without_a_link_to_the_owner_a_change_is_refused_with_the_node_to_ask() {
    let (mut pair, owner, other) = pair_with_owner();
    pair.cut(owner);
    let token = pair.ask(other, bob());
    // Too short for a view: the heartbeats still come.
    pair.feed(other, Input::Timeout);
    assert_eq!(pair.nodes[other].changed.get(&token), None);
    let owner_name = format!("server{}", owner + 1);
    pair.now = pair.now + std::time::Duration::from_secs(3);
    pair.feed(other, Input::Timeout);
    let Some(Changed::Refused(reason)) = pair.nodes[other].changed.get(&token) else {
        panic!("{:?}", pair.nodes[other].changed)
    };
    assert!(reason.contains(&format!("ask {owner_name}")), "{reason}");
}

#[test]
fn an_owner_that_does_not_answer_leaves_it_unknown_and_says_so() {
    let (mut pair, owner, other) = pair_with_owner();
    let token = pair.ask(other, bob());
    // What it was asked never arrives, and no link breaks: the owner hangs.
    pair.nodes[owner].core = None;
    pair.now = pair.now + std::time::Duration::from_secs(3);
    pair.feed(other, Input::Timeout);
    let Some(Changed::Unknown(reason)) = pair.nodes[other].changed.get(&token) else {
        panic!("{:?}", pair.nodes[other].changed)
    };
    assert!(reason.contains("did not answer within 3 s: look whether the change is made"));
}

#[test]
fn a_node_that_is_no_member_refuses() {
    let mut pair = pair();
    pair.kill(1);
    pair.pass_ms(1_000);
    pair.start(1);
    let Some(Changed::Refused(reason)) = pair.change(1, bob()) else { panic!("it was taken") };
    assert_eq!(reason, "server2 is no member of the view: ask a member");
}

#[test]
fn a_change_during_a_hand_over_of_the_tables_is_made_by_their_new_owner() {
    for at_owner in [true, false] {
        let (mut pair, owner, other) = pair_with_owner();
        let to = format!("server{}", other + 1).parse().expect("a name");
        pair.feed(owner, Input::Command(Command::HandOver { cohort: None, to }));
        let asked = if at_owner { owner } else { other };
        let token = pair.ask(asked, bob());
        pair.settle();
        pair.pass_ms(500);
        assert_eq!(pair.tables_owner(), other, "it is handed over");
        assert_eq!(pair.nodes[asked].changed.get(&token), Some(&Changed::Done));
        assert_eq!((owners(&pair, owner), owners(&pair, other)), (bobs(), bobs()));
    }
}

fn bobs() -> Vec<String> {
    vec!["hall=bob".to_owned()]
}
