//! An operator orders that figures begin at zero and that alarms are cleared, while nodes die: what
//! he was told is done stays done.

use resilee_sim::{Ending, Fault, Order, Ordered, Plan, Process, When, play_plan};

/// Orders at both nodes in turns, all the time.
fn ordered() -> Vec<Order> {
    let order = |number: u64| Order {
        at_ms: number * 15,
        node: usize::from(number.is_multiple_of(2)),
        ordered: if number % 4 < 2 { Ordered::Reset } else { Ordered::Clear },
    };
    (0..60).map(order).collect()
}

/// How many orders were answered as done in the runs of these faults.
fn done_with(faults: impl Fn(u64) -> Vec<(When, Fault)>) -> usize {
    let mut done = 0;
    for number in 0..30 {
        let faults = faults(number);
        let plan = Plan { ordered: ordered(), ..Plan::plain(Ending::Callee, faults.clone()) };
        let report = play_plan(plan, true);
        assert_eq!(report.violation, None, "{faults:?}");
        let is_done = |line: &&String| line.contains(" CHANGED ") && line.ends_with(": Done");
        done += report.lines.iter().filter(is_done).count();
    }
    done
}

fn kill(node: usize, restart_ms: Option<u64>) -> Fault {
    Fault::Kill { process: Process::Node(node), restart_ms }
}

#[test]
fn what_an_operator_was_told_holds_when_a_node_dies_at_any_step() {
    let done = done_with(|number| {
        let node = usize::from(number % 2 == 0);
        vec![(When::Step(number * 10), kill(node, None))]
    });
    assert!(done > 400, "{done} orders were carried out");
}

#[test]
fn it_holds_when_the_node_comes_back_and_the_other_one_dies() {
    let done = done_with(|number| {
        let node = usize::from(number % 2 == 0);
        let first = (When::Step(number * 5), kill(node, Some(30)));
        vec![first, (When::Pair(number), kill(1 - node, None))]
    });
    assert!(done > 400, "{done} orders were carried out");
}

#[test]
fn it_holds_while_cells_go_from_node_to_node() {
    let done = done_with(|number| {
        let storm = Fault::HandOverStorm { every_ms: 40 + number, times: 10 };
        vec![(When::Step(number * 5), storm)]
    });
    assert!(done > 800, "{done} orders were carried out");
}
