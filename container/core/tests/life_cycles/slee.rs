//! States of the SLEE (JAIN SLEE 1.1 chapter 14): whether it takes calls.

use crate::house_of_services::{make, pair, served};
use crate::pair::Pair;
use resilee_core::management::SleeState::{Running, Starting, Stopped, Stopping};
use resilee_core::management::{SleeState, TableChange};

const STOP: TableChange = TableChange::Slee { running: false };
const START: TableChange = TableChange::Slee { running: true };

fn states(pair: &Pair) -> [SleeState; 2] {
    [0, 1].map(|node| pair.status(node).slee)
}

/// A stopped SLEE takes no call, and whoever calls is told.
#[test]
fn a_stopped_slee_refuses_new_calls_at_both_nodes() {
    let mut pair = pair();
    make(&mut pair, 0, STOP);
    assert_eq!(states(&pair), [Stopped, Stopped]);
    for node in [0, 1] {
        pair.say(node, "c1 begin");
        assert_eq!(pair.nodes[node].sent.last().map(String::as_str), Some("c1 refused for 10 s"));
    }
    make(&mut pair, 1, START);
    assert_eq!(states(&pair), [Running, Running]);
    pair.say(0, "c1 begin");
    assert_eq!(served(&pair, 0), ["counter", "base", "till"]);
}

/// Stopping ends with the last activity.
#[test]
fn a_stopping_slee_lets_calls_finish_and_is_stopped_then() {
    let mut pair = pair();
    pair.say(0, "c1 begin");
    make(&mut pair, 0, STOP);
    assert_eq!(states(&pair), [Stopping, Stopping]);
    pair.nodes[0].delivered.clear();
    pair.say(0, "c1 say more");
    assert_eq!(served(&pair, 0), ["counter", "base", "till"]);
    pair.say(0, "c1 end");
    assert_eq!(states(&pair), [Stopped, Stopped]);
}

#[test]
fn a_stopped_slee_stays_stopped_when_its_nodes_start_again() {
    let mut pair = pair();
    make(&mut pair, 0, STOP);
    pair.kill(0);
    pair.nodes[1].core = None;
    pair.pass_ms(100);
    let mut pair = pair.whole();
    assert_eq!(states(&pair), [Stopped, Stopped]);
    make(&mut pair, 0, START);
    assert_eq!(states(&pair), [Running, Running], "a change is made while it is stopped");
}

#[test]
fn a_node_that_is_no_member_yet_is_starting() {
    let mut pair = pair();
    pair.kill(1);
    pair.pass_ms(500);
    pair.start(1);
    assert_eq!(states(&pair), [Running, Starting]);
    pair.until_whole();
    assert_eq!(states(&pair), [Running, Running]);
}
