//! What an operator is told of an order about alarms and figures, and when.

use crate::pair::Pair;
use crate::usage::{words_of_cluster, zero};
use resilee_core::Input;
use resilee_core::management::{Changed, TableChange};
use std::collections::BTreeSet;

/// A call at the first node has counted two words and raised an alarm.
fn noted() -> Pair {
    let mut pair = Pair::up();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say count:2");
    pair.say(0, "c1 say raise:full:disk");
    pair
}

fn clear(pair: &Pair) -> TableChange {
    let alarms = pair.status(0).alarms.into_iter();
    let of_service = alarms.filter(|alarm| !alarm.alarm_type.is_empty());
    TableChange::ClearAlarm { id: of_service.map(|alarm| alarm.id).next().expect("it is raised") }
}

/// True if a node has nothing of what the order is about.
fn is_carried_out(pair: &Pair, node: usize, order: &TableChange) -> bool {
    match order {
        TableChange::ResetUsage { .. } => words_of_cluster(pair, node) == 0,
        _ => pair.status(node).alarms.iter().all(|alarm| alarm.source != "worker"),
    }
}

fn answer(pair: &Pair, node: usize, token: u64) -> Option<Changed> {
    pair.answers(node, token..token + 1).remove(0)
}

#[test]
fn an_order_is_answered_when_the_other_node_has_acknowledged_what_it_did() {
    for order in [zero(), clear(&noted())] {
        let mut pair = noted();
        let token = pair.ask(0, order.clone());
        assert!(is_carried_out(&pair, 0, &order));
        let mut steps = 0;
        while answer(&pair, 0, token).is_none() {
            assert!(pair.is_busy(), "{order:?} is not answered");
            pair.deliver(1);
            steps += 1;
        }
        assert_eq!(answer(&pair, 0, token), Some(Changed::Done));
        assert!(steps >= 2, "there and back, not {steps}");
    }
}

#[test]
fn an_order_that_was_answered_holds_after_the_death_of_its_node_at_whichever_step_that_comes() {
    for order in [zero(), clear(&noted())] {
        let mut outcomes = BTreeSet::new();
        for steps in 0..6 {
            let mut pair = noted();
            let token = pair.ask(0, order.clone());
            pair.deliver(steps);
            let answered = answer(&pair, 0, token);
            pair.lose_all();
            pair.kill(0);
            pair.until_member_of(1, 1);
            let holds = is_carried_out(&pair, 1, &order);
            assert!(holds || answered.is_none(), "{order:?} after {steps} steps");
            outcomes.insert((holds, answered.is_some()));
        }
        let all = [(false, false), (true, false), (true, true)];
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), all, "{order:?}");
    }
}

#[test]
fn a_node_alone_answers_an_order_when_its_store_has_what_it_did() {
    for order in [zero(), clear(&noted())] {
        let mut pair = noted();
        pair.kill(1);
        pair.until_member_of(0, 1);
        pair.nodes[0].slow_disk = true;
        let token = pair.ask(0, order.clone());
        pair.settle();
        assert_eq!(answer(&pair, 0, token), None, "{order:?}");
        pair.flush(0);
        pair.settle();
        assert_eq!(answer(&pair, 0, token), Some(Changed::Done));
        pair.kill(0);
        pair.nodes[0].slow_disk = false;
        pair.start(0);
        pair.until_member_of(0, 1);
        assert!(is_carried_out(&pair, 0, &order));
    }
}

#[test]
fn an_order_that_nobody_else_hears_of_is_answered_as_uncertain() {
    for order in [zero(), clear(&noted())] {
        let mut pair = noted();
        let token = pair.ask(0, order.clone());
        // The acknowledgement is lost, and so is the link: the other node may have it, or not.
        pair.lose_all();
        pair.deaf_to_seat = [true; 2];
        for _ in 0..3_100 {
            pair.now = pair.now + std::time::Duration::from_millis(1);
            pair.feed(0, Input::Timeout);
            pair.lose_all();
        }
        let Some(Changed::Unknown(text)) = answer(&pair, 0, token) else {
            panic!("{order:?}: {:?}", answer(&pair, 0, token))
        };
        assert!(text.contains("nobody else has it within 3 s"), "{text}");
    }
}

#[test]
fn a_node_that_is_no_member_clears_what_the_container_has_raised_there() {
    let mut pair = noted();
    pair.say(0, "c1 say count:2!");
    pair.feed(0, Input::Hanging { threads: 8 });
    pair.pass_ms(10_000);
    assert!(!pair.status(0).member, "it handed over");
    let of_container = |pair: &Pair| {
        let alarms = pair.status(0).alarms.into_iter().filter(|alarm| !alarm.lasting);
        alarms.map(|alarm| alarm.id).collect::<Vec<_>>()
    };
    let [id] = of_container(&pair)[..] else { panic!("{:?}", pair.status(0).alarms) };
    assert_eq!(pair.change(0, TableChange::ClearAlarm { id }), Some(Changed::Done));
    assert_eq!(of_container(&pair), []);
}
