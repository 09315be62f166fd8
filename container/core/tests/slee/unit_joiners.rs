//! Services that are activated while a node joins, and what nodes tell each other of units.

use crate::pair::Pair;
use crate::units::{
    ALPHA, activate, remove, the_survivor_serves_its_call, unit, upload, without_them,
};
use crate::upgrades::want;
use resilee_core::management::Changed;
use resilee_sbb::{CellId, CohortId};

/// Node 0 alone, with a unit that serves nothing.
fn alone() -> Pair {
    let mut pair = without_them().whole();
    pair.kill(1);
    pair.until_member(0);
    pair.pass_ms(1_000);
    upload(&mut pair, 0, "alpha", ALPHA);
    pair.slow_compilers = [false, true];
    pair
}

/// The vote on it takes long: the one who asks for it is slow to store its own.
#[test]
fn a_service_is_not_activated_while_a_view_is_voted_on_with_a_node_that_has_not_compiled_it() {
    let mut pair = alone();
    pair.start(1);
    let is_proposing = |pair: &Pair| {
        let core = pair.nodes[0].core.as_ref().expect("it lives");
        core.proposing().is_some()
    };
    for _ in 0..5_000 {
        pair.nodes[0].slow_disk = is_proposing(&pair);
        if pair.nodes[0].slow_disk {
            break;
        }
        pair.nodes[0].slow_disk = true;
        pair.pass_ms(1);
        if !is_proposing(&pair) {
            pair.flush(0);
            pair.settle();
        }
    }
    assert!(is_proposing(&pair) && pair.view(0).members.len() == 1);
    match pair.change(0, activate("alpha")) {
        Some(Changed::NotYet(why)) if why.starts_with("server2 has not compiled alpha yet") => {}
        other => panic!("it is not refused for now: {other:?}"),
    }
    pair.nodes[0].slow_disk = false;
    pair.flush(0);
    pair.until_whole();
}

/// It was ready, and no view with it could be asked for yet.
#[test]
fn a_joiner_that_has_not_compiled_what_is_activated_meanwhile_is_no_member_before() {
    let mut pair = alone();
    pair.deaf_to_seat[1] = true;
    pair.start(1);
    pair.pass_ms(2_000);
    assert_eq!(pair.view(0).members.len(), 1);
    // It has what was committed before the store of node 0 has: it is never behind.
    pair.nodes[0].slow_disk = true;
    assert_eq!(pair.change(0, activate("alpha")), None);
    pair.nodes[0].slow_disk = false;
    pair.flush(0);
    pair.settle();
    pair.deaf_to_seat[1] = false;
    pair.pass_ms(3_000);
    assert!(!pair.status(1).member);
    pair.say(0, "c1 start; fire begin 1 alone");
    pair.slow_compilers = [false; 2];
    pair.compile();
    pair.until_whole();
    the_survivor_serves_its_call(&mut pair);
}

/// What was said before the first word of the other run is forgotten with the run before.
#[test]
fn a_node_is_told_again_what_is_compiled_when_its_next_run_speaks() {
    let mut pair = without_them().whole();
    upload(&mut pair, 0, "alpha", ALPHA);
    for node in [1, 0] {
        pair.kill(node);
        pair.pass_ms(1_000);
        pair.nodes[node].slow_disk = true;
        pair.start(node);
        pair.pass_ms(100);
        pair.nodes[node].slow_disk = false;
        pair.flush(node);
        pair.until_whole();
    }
    want(&mut pair, &["alpha"], &[]);
}

/// It has the one before until the snapshot is whole, and that one has its service's name.
#[test]
fn a_joiner_takes_the_unit_that_replaced_one_of_the_same_service_while_it_was_away() {
    let mut pair = without_them();
    // Its snapshot comes in several frames: records are loaded before its end.
    let cell = CellId { cohort: CohortId(7), number: 1 };
    pair.nodes.iter_mut().for_each(|node| node.append("toys", cell, b"one".to_vec()));
    let mut pair = pair.whole();
    let first = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.kill(1);
    pair.until_member(0);
    pair.pass_ms(1_000);
    want(&mut pair, &[], &["alpha"]);
    assert_eq!(pair.change(0, remove(&first)), Some(Changed::Done));
    let repaired = b"a component with alpha in it, repaired";
    pair.units.insert(repaired.to_vec(), pair.units[ALPHA]);
    let second = upload(&mut pair, 0, "alpha", repaired);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 alone");
    pair.start(1);
    pair.until_whole();
    for node in [0, 1] {
        assert_eq!(unit(&pair, node, &second).nodes, ["server1", "server2"]);
        assert!(pair.status(node).alarms.iter().all(|alarm| alarm.source != "unit"));
    }
    the_survivor_serves_its_call(&mut pair);
    pair.say(1, "c1 over");
}

#[test]
fn nodes_say_nothing_of_units_where_there_never_was_one() {
    let mut pair = without_them();
    pair.frames = Some(Vec::new());
    let mut pair = pair.whole();
    pair.kill(1);
    pair.pass_ms(1_000);
    pair.start(1);
    pair.until_whole();
    let speaks = |frame: &Vec<u8>| frame.windows(5).any(|bytes| bytes == b"Units");
    assert!(!pair.frames.iter().flatten().any(speaks));
    let alpha = upload(&mut pair, 0, "alpha", ALPHA);
    assert!(pair.frames.iter().flatten().any(speaks));
    pair.frames = Some(Vec::new());
    assert_eq!(pair.change(0, remove(&alpha)), Some(Changed::Done));
    assert!(pair.frames.iter().flatten().any(speaks), "that there are none any more");
}
