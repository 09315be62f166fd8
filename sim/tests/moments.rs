//! Faults at the moments at which they hurt most: while a handler runs, and between a vote and its
//! answer. Each test also says that the moment was met.

use resilee_sim::{Fault, Plan, Process, When, play_plan};

const BALANCER: Process = Process::Balancer(0);

/// The trace's lines about faults: what there was between question and answer at that moment.
fn faults_of(seed: u64, faults: Vec<(When, Fault)>) -> Vec<String> {
    let report = play_plan(Plan { faults, ..Plan::of(seed) }, true);
    let violation = &report.violation;
    assert!(violation.is_none(), "seed {seed}, {:?}: {violation:?}", report.plan.faults);
    report.lines.into_iter().filter(|line| line.contains(" FAULT ")).collect()
}

fn kill(process: Process, restart_ms: Option<u64>) -> Fault {
    Fault::Kill { process, restart_ms }
}

#[test]
fn a_node_dies_or_stands_still_while_a_handler_runs() {
    let mut met = 0;
    for seed in 0..40 {
        let node = usize::from(seed % 4 == 0);
        let process = Process::Node(node);
        let fault = match seed % 3 {
            0 => kill(process, None),
            1 => kill(process, Some(seed * 10)),
            _ => Fault::Pause { process, for_ms: seed * 50 },
        };
        let lines = faults_of(seed, vec![(When::Delivering { node, number: seed / 2 }, fault)]);
        assert!(lines.iter().all(|line| !line.contains(" 0 handlers run")), "{lines:?}");
        met += lines.len();
    }
    assert!(met > 20, "while a handler ran: {met}");
}

#[test]
fn a_process_dies_or_stands_still_between_a_vote_and_its_answer() {
    let mut met = 0;
    for seed in 0..60 {
        let voting = When::Voting(seed % 6);
        let (node, other) = (Process::Node(0), Process::Node(1));
        let fault = match seed % 5 {
            0 => kill(BALANCER, Some(20)),
            1 => Fault::Pause { process: BALANCER, for_ms: 400 },
            2 => Fault::Pause { process: other, for_ms: 400 },
            3 => kill(node, Some(30)),
            _ => Fault::Pause { process: node, for_ms: 400 },
        };
        let first = (When::Step(seed * 10), kill(node, Some(50)));
        let lines = faults_of(seed, vec![first, (voting, fault)]);
        let second = lines.get(1).filter(|line| !line.contains(" 0 votes stored and not told"));
        met += usize::from(second.is_some());
    }
    assert!(met > 30, "between vote and answer: {met}");
}

#[test]
fn the_balancer_stands_still_at_any_time() {
    for seed in 0..40 {
        let pause = Fault::Pause { process: BALANCER, for_ms: 20 + seed * 70 };
        faults_of(seed, vec![(When::Step(seed * 15), pause)]);
    }
}
