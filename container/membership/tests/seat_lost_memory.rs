//! A seat without a state file, and what it grants: the rows of `seat/lost_memory.rs`, one by one.

use resilee_membership::{
    Balancers, Control, ControlBody, NodeName, RunId, Seat, SeatConfig, SeatInput, SeatNotice,
    SeatOutput, Verdict, View, VoterId,
};
use resilee_sbb::Timestamp;
use std::time::Duration;

fn name(node: &str) -> NodeName {
    node.parse().expect("a name")
}

fn run(node: &str) -> RunId {
    RunId { node: name(node), incarnation: 1 }
}

/// A balancer of `a` and `b` that starts without its state file.
struct Forgetful {
    seat: Seat,
    now: Timestamp,
    sequence: u64,
    notices: Vec<SeatNotice>,
    /// View 2, of both, and 3, of `a` alone.
    both: View,
    alone: View,
}

impl Forgetful {
    fn start() -> Self {
        let (a, b) = (run("a"), run("b"));
        let both = View::default().next(vec![a.clone()], &a).next(vec![a.clone(), b], &a);
        let alone = both.next(vec![a.clone()], &a);
        let now = Timestamp::from_millis(1_000_000);
        let nodes = vec![name("a"), name("b")];
        let config = SeatConfig {
            nodes,
            name: None,
            balancers: Balancers::default(),
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 3_000,
        };
        Forgetful {
            seat: Seat::new(now, config, None),
            now,
            sequence: 0,
            notices: Vec::new(),
            both,
            alone,
        }
    }

    fn hear(&mut self, from: &str, view: u64, body: ControlBody) -> Option<Verdict> {
        let control = Control { view, from: VoterId::Run(run(from)), body };
        self.feed(SeatInput::Control(control))
    }

    /// Feeds it; the verdict that it sends, if it does.
    fn feed(&mut self, input: SeatInput) -> Option<Verdict> {
        self.seat.handle_input(self.now, input);
        let mut verdict = None;
        while let Some(output) = self.seat.poll_output() {
            match output {
                SeatOutput::Persist { number, .. } => {
                    self.seat.handle_input(self.now, SeatInput::Persisted(number));
                }
                SeatOutput::Send { control, .. } => match control.body {
                    ControlBody::Vote { verdict: given, .. } => verdict = Some(given),
                    ControlBody::Heartbeat { sequence, .. } => self.sequence = sequence,
                    _ => {}
                },
                SeatOutput::Notice(notice) => self.notices.push(notice),
                SeatOutput::Adopt(_) => {}
            }
        }
        verdict
    }

    fn pass_ms(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now = self.now + Duration::from_millis(50);
            self.feed(SeatInput::Timeout);
        }
    }

    fn learn(&mut self, from: &str, view: &View) {
        let (view, number) = (view.clone(), view.number);
        let body = ControlBody::TellView { view, member: true, last_commit: 0, store_empty: false };
        self.hear(from, number, body);
    }

    /// A node's heartbeat in the view that the seat knows.
    fn heartbeat(&mut self, from: &str, echo: u64) {
        self.heartbeat_by(self.seat.view().number, from, echo);
    }

    fn heartbeat_by(&mut self, view: u64, from: &str, echo: u64) {
        let (sequence, sent_at) = (self.now.as_millis(), self.now);
        let (hears_seat, draining, ready, seat) = (true, false, true, None);
        let body = ControlBody::Heartbeat {
            sequence,
            echo,
            hears_seat,
            sent_at,
            draining,
            ready,
            rests: false,
            seat,
            confirms: false,
        };
        self.hear(from, view, body);
    }

    /// The nodes of which it has said that they are waited for.
    fn waits_for(&self) -> Vec<NodeName> {
        let untold = self.notices.iter().filter_map(|notice| match notice {
            SeatNotice::Forgetful { untold } => Some(untold.clone()),
            _ => None,
        });
        untold.flatten().collect()
    }

    fn ask(&mut self, from: &str, view: View) -> Option<Verdict> {
        let base = self.seat.view().number;
        self.hear(from, base, ControlBody::Propose { base, view })
    }
}

#[test]
fn it_votes_once_both_nodes_have_heard_it_and_told_their_views() {
    let mut it = Forgetful::start();
    it.learn("a", &it.both.clone());
    it.pass_ms(350);
    it.heartbeat("a", it.sequence);
    assert_eq!(it.ask("a", it.alone.clone()), Some(Verdict::NotNow), "b has not told");
    // What waited in the socket was said to another process.
    it.heartbeat("b", 17);
    assert_eq!(it.ask("a", it.alone.clone()), Some(Verdict::NotNow), "b has not heard it");
    it.pass_ms(50);
    it.heartbeat("b", it.sequence);
    assert_eq!(it.ask("a", it.alone.clone()), Some(Verdict::Granted));
}

#[test]
fn what_an_earlier_process_said_has_the_time_to_arrive() {
    let mut it = Forgetful::start();
    it.learn("a", &it.both.clone());
    it.pass_ms(50);
    it.heartbeat("a", it.sequence);
    it.heartbeat("b", it.sequence);
    assert_eq!(it.ask("a", it.alone.clone()), Some(Verdict::NotNow));
    it.pass_ms(250);
    assert_eq!(it.ask("a", it.alone.clone()), Some(Verdict::Granted));
}

#[test]
fn a_node_that_hears_of_a_view_late_has_not_told_it_before_it_is_stored() {
    let mut it = Forgetful::start();
    it.learn("a", &it.both.clone());
    it.pass_ms(50);
    it.heartbeat("a", it.sequence);
    it.heartbeat("b", it.sequence);
    it.pass_ms(300);
    it.heartbeat_by(it.alone.number, "a", it.sequence);
    it.heartbeat("b", it.sequence);
    let other = it.both.next(vec![run("b")], &run("b"));
    assert_eq!(it.ask("b", other.clone()), Some(Verdict::NotNow));
    it.learn("a", &it.alone.clone());
    assert_eq!(it.ask("b", other), Some(Verdict::Never));
}

#[test]
fn it_says_which_node_it_waits_for_and_nothing_while_that_is_none() {
    let mut it = Forgetful::start();
    it.learn("a", &it.both.clone());
    it.pass_ms(50);
    it.heartbeat("a", it.sequence);
    it.heartbeat("b", it.sequence);
    it.ask("a", it.alone.clone());
    assert!(it.notices.iter().all(|it| !matches!(it, SeatNotice::Forgetful { .. })));
    it.pass_ms(50);
    it.heartbeat_by(it.alone.number, "b", it.sequence);
    it.ask("a", it.alone.clone());
    assert_eq!(it.waits_for(), [name("b")]);
}

#[test]
fn the_only_member_gets_its_vote_for_the_next_number_alone() {
    let mut it = Forgetful::start();
    it.learn("a", &it.alone.clone());
    let next = it.alone.next(vec![run("a"), run("b")], &run("a"));
    let later = View { number: next.number + 1, ..next.clone() };
    assert_eq!(it.ask("a", later), Some(Verdict::NotNow), "it may have asked for another before");
    assert_eq!(it.ask("a", next), Some(Verdict::Granted));
}

#[test]
fn a_node_without_a_past_waits_for_one_that_has_one() {
    let mut it = Forgetful::start();
    it.pass_ms(3_100);
    let body = ControlBody::AskView;
    it.hear("a", 3, body);
    let first = View::default().next(vec![run("b")], &run("b"));
    assert_eq!(it.ask("b", first.clone()), Some(Verdict::NotNow));
    let mut it = Forgetful::start();
    it.pass_ms(3_100);
    assert_eq!(it.ask("b", first), Some(Verdict::Granted), "a first start");
}
