//! Who starts a cluster of which no member lives: each row of the table in `cold_start.rs`.
//!
//! One member machine is told by hand what the other node and the seat answer.

use resilee_membership::{
    Balancers, Control, ControlBody, Member, MemberConfig, MemberInput, MemberNotice, MemberOutput,
    RunId, StoreAtStart, Unclean, View, VoterId, VoterState,
};
use resilee_sbb::Timestamp;
use std::time::Duration;

/// What a node's store holds: the number of its view, commits, and whether it is no store.
#[derive(Clone, Copy)]
struct Store {
    view: u64,
    commits: u64,
    empty: bool,
    /// The run that made an empty one, if that is known.
    since: Option<u64>,
}

const NEW: Store = Store { view: 0, commits: 0, empty: true, since: None };

fn stored(view: u64, commits: u64) -> Store {
    Store { view, commits, empty: false, since: None }
}

fn run(node: &str, incarnation: u64) -> RunId {
    RunId { node: node.parse().expect("a name"), incarnation }
}

/// View 1 has `a` alone, view 2 both, view 3 `b` alone.
fn view(number: u64) -> View {
    let (a, b) = (run("a", 1), run("b", 1));
    let first = View::default().next(vec![a.clone()], &a);
    let both = first.next(vec![a.clone(), b.clone()], &a);
    let last = both.next(vec![b.clone()], &b);
    [View::default(), first, both, last][number as usize].clone()
}

/// A new run of a node, and what the others say to it.
struct Start {
    member: Member,
    now: Timestamp,
    began: Timestamp,
    other: Option<(RunId, Store)>,
    seat: Option<u64>,
    proposed: bool,
}

impl Start {
    fn new(node: &str, store: Store) -> Self {
        let (me, other) = (run(node, 9), if node == "a" { "b" } else { "a" });
        let began = Timestamp::from_millis(1_000_000);
        let config = MemberConfig {
            me,
            peers: vec![other.parse().expect("a name")],
            seat: true,
            balancers: Balancers::default(),
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: Unclean::Refuse,
        };
        let voter = VoterState { highest: view(store.view), ..Default::default() };
        let at_start = match (store.empty, store.since) {
            (false, _) => StoreAtStart::Used,
            (true, Some(since)) => StoreAtStart::Unused { since },
            (true, None) => StoreAtStart::Nothing,
        };
        let mut member = Member::new(began, config, Some(voter), at_start);
        member.handle_input(began, MemberInput::CommitsStored(store.commits));
        Start { member, now: began, began, other: None, seat: None, proposed: false }
    }

    /// The other node is up as well, no member either.
    fn beside(mut self, node: &str, store: Store) -> Self {
        self.other = Some((run(node, 9), store));
        self
    }

    /// The seat is up and stores this view.
    fn seat(mut self, number: u64) -> Self {
        self.seat = Some(number);
        self
    }

    /// When this run proposes itself, in milliseconds after its start; none within 10 s.
    fn proposes_after_ms(mut self) -> Option<u64> {
        while self.now.since(self.began) < Duration::from_secs(10) {
            if let Some((run, store)) = self.other.clone() {
                self.hear(VoterId::Run(run), store);
            }
            if let Some(number) = self.seat {
                let store = Store { view: number, empty: number == 0, ..NEW };
                self.hear(VoterId::Seat, store);
            }
            self.member.handle_input(self.now, MemberInput::Timeout);
            self.carry_out();
            if self.proposed {
                return u64::try_from(self.now.since(self.began).as_millis()).ok();
            }
            self.now = self.now + Duration::from_millis(50);
        }
        None
    }

    fn hear(&mut self, from: VoterId, store: Store) {
        let view = view(store.view);
        let (last_commit, store_empty) = (store.commits, store.empty);
        let number = view.number;
        let body = ControlBody::TellView { view, member: false, last_commit, store_empty };
        let control = Control { view: number, from, body };
        self.member.handle_input(self.now, MemberInput::Control(control));
        self.carry_out();
    }

    /// Stores what is to be stored, at once.
    fn carry_out(&mut self) {
        while let Some(output) = self.member.poll_output() {
            match output {
                MemberOutput::Persist { number, .. } => {
                    self.member.handle_input(self.now, MemberInput::Persisted(number));
                }
                MemberOutput::Notice(MemberNotice::ColdStart { .. }) => self.proposed = true,
                _ => {}
            }
        }
    }
}

#[test]
fn of_two_stores_of_one_view_the_one_with_more_commits_starts() {
    let start = |node, commits| Start::new(node, stored(2, commits)).seat(2);
    assert_eq!(start("a", 70).beside("b", stored(2, 71)).proposes_after_ms(), None);
    assert_eq!(start("b", 71).beside("a", stored(2, 70)).proposes_after_ms(), Some(3_000));
}

#[test]
fn of_two_equal_stores_the_lower_name_starts() {
    let start = |node| Start::new(node, stored(2, 70)).seat(2);
    assert_eq!(start("a").beside("b", stored(2, 70)).proposes_after_ms(), Some(3_000));
    assert_eq!(start("b").beside("a", stored(2, 70)).proposes_after_ms(), None);
}

#[test]
fn a_node_that_is_not_in_the_last_view_waits_for_one_that_is() {
    let more = || stored(2, 900);
    assert_eq!(Start::new("a", more()).seat(3).proposes_after_ms(), None);
    assert_eq!(Start::new("a", more()).beside("b", stored(3, 1)).seat(2).proposes_after_ms(), None);
    let other = Start::new("b", stored(3, 1)).beside("a", more()).seat(3);
    assert_eq!(other.proposes_after_ms(), Some(3_000), "what the first has counts for nothing");
}

#[test]
fn a_node_without_a_store_starts_nothing_that_others_remember() {
    let start = || Start::new("a", NEW);
    assert_eq!(start().seat(2).proposes_after_ms(), None);
    assert_eq!(start().seat(0).beside("b", stored(2, 5)).proposes_after_ms(), None);
    let cleared = Store { view: 2, ..NEW };
    assert_eq!(Start::new("a", cleared).seat(2).proposes_after_ms(), None);
    let other = Start::new("b", stored(2, 1)).beside("a", cleared).seat(2);
    assert_eq!(other.proposes_after_ms(), Some(3_000));
}

#[test]
fn a_node_goes_on_with_a_store_that_its_runs_alone_could_have_used_and_did_not() {
    let unused = |view, since| Store { view, since: Some(since), ..NEW };
    // It died before it stored the view that it was voted into, or after that.
    for known in [0, 1] {
        let start = || Start::new("a", unused(known, 1)).seat(1);
        assert_eq!(start().proposes_after_ms(), Some(3_000));
        assert_eq!(start().beside("b", NEW).proposes_after_ms(), Some(3_000));
    }
    let of_a_later_run = Start::new("a", unused(1, 2)).seat(1);
    assert_eq!(of_a_later_run.proposes_after_ms(), None, "what the first one wrote may be lost");
    let of_two = Start::new("a", unused(2, 1)).seat(2);
    assert_eq!(of_two.proposes_after_ms(), None, "the other one may have something");
    let of_the_other = Start::new("a", unused(0, 1)).seat(3);
    assert_eq!(of_the_other.proposes_after_ms(), None);
}

#[test]
fn nodes_that_all_others_say_are_new_start_at_once() {
    assert_eq!(Start::new("a", NEW).beside("b", NEW).seat(0).proposes_after_ms(), Some(0));
    assert_eq!(Start::new("b", NEW).beside("a", NEW).seat(0).proposes_after_ms(), None);
    assert_eq!(Start::new("a", NEW).seat(0).proposes_after_ms(), Some(3_000), "one is silent");
}

#[test]
fn without_the_seat_nobody_starts() {
    assert_eq!(Start::new("a", stored(2, 9)).beside("b", stored(2, 1)).proposes_after_ms(), None);
}
