//! A node whose store and vote are both gone, and what it grants.

use resilee_membership::{
    Balancers, Control, ControlBody, Member, MemberConfig, MemberInput, MemberOutput, RunId,
    StoreAtStart, Unclean, Verdict, View, VoterId,
};
use resilee_sbb::Timestamp;

fn run(node: &str, incarnation: u64) -> RunId {
    RunId { node: node.parse().expect("a name"), incarnation }
}

/// Node `b` with nothing stored, beside `a` and the seat.
struct Forgetful {
    member: Member,
    now: Timestamp,
    a: RunId,
    both: View,
    alone: View,
}

impl Forgetful {
    fn start() -> Self {
        Forgetful::with(Balancers::default())
    }

    fn with(balancers: Balancers) -> Self {
        let (a, b) = (run("a", 1), run("b", 1));
        let first = View::default().next(vec![a.clone()], &a);
        let both = first.next(vec![a.clone(), b], &a);
        let alone = both.next(vec![a.clone()], &a);
        let now = Timestamp::from_millis(1_000_000);
        let config = MemberConfig {
            me: run("b", 2),
            peers: vec!["a".parse().expect("a name")],
            seat: true,
            balancers,
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: Unclean::Refuse,
        };
        Forgetful {
            member: Member::new(now, config, None, StoreAtStart::Nothing),
            now,
            a,
            both,
            alone,
        }
    }

    fn hear(&mut self, from: VoterId, view: u64, body: ControlBody) {
        let control = Control { view, from, body };
        self.member.handle_input(self.now, MemberInput::Control(control));
    }

    fn told_by(&mut self, from: VoterId, view: &View) {
        let member = matches!(from, VoterId::Run(_));
        let (view, number) = (view.clone(), view.number);
        let body = ControlBody::TellView { view, member, last_commit: 0, store_empty: false };
        self.hear(from, number, body);
    }

    /// What it answers when `a` asks to go on alone.
    fn verdict(&mut self) -> Verdict {
        self.verdict_on(2)
    }

    /// The same, if that follows the view of this number.
    fn verdict_on(&mut self, base: u64) -> Verdict {
        let body = ControlBody::Propose { base, view: self.alone.clone() };
        self.hear(VoterId::Run(self.a.clone()), base, body);
        let mut verdict = None;
        while let Some(output) = self.member.poll_output() {
            match output {
                MemberOutput::Persist { number, .. } => {
                    self.member.handle_input(self.now, MemberInput::Persisted(number));
                }
                MemberOutput::Send { control, .. } => {
                    if let ControlBody::Vote { verdict: given, .. } = control.body {
                        verdict = Some(given);
                    }
                }
                _ => {}
            }
        }
        verdict.expect("it is asked, so it answers")
    }
}

#[test]
fn it_grants_nothing_until_all_others_have_told_what_they_know() {
    let mut b = Forgetful::start();
    let both = b.both.clone();
    b.told_by(VoterId::Run(b.a.clone()), &both);
    assert_eq!(b.verdict(), Verdict::NotNow);
    b.told_by(VoterId::Seat, &both);
    assert_eq!(b.verdict(), Verdict::Granted);
}

#[test]
fn it_learns_of_the_view_that_its_lost_vote_decided() {
    let mut b = Forgetful::start();
    let (both, lost) = (b.both.clone(), run("b", 1));
    let decided = both.next(vec![lost.clone()], &lost);
    b.told_by(VoterId::Run(b.a.clone()), &both);
    assert_eq!(b.verdict(), Verdict::NotNow);
    b.told_by(VoterId::Seat, &decided);
    assert_eq!(b.verdict(), Verdict::Never);
}

#[test]
fn what_a_former_holder_told_does_not_count_for_the_one_that_votes() {
    let name = |text: &str| text.parse().expect("a name");
    let balancer = |text: &str| VoterId::Balancer(name(text));
    let mut b = Forgetful::with(Balancers::new([name("x"), name("y")]));
    let by_x = View { seat: Some(name("x")), ..b.both.clone() };
    let by_y = View { number: 3, seat: Some(name("y")), ..b.both.clone() };
    b.alone = View { number: 4, seat: Some(name("y")), ..b.alone.clone() };
    b.told_by(balancer("x"), &by_x);
    b.told_by(VoterId::Run(b.a.clone()), &by_y);
    assert_eq!(b.verdict_on(3), Verdict::NotNow);
    b.told_by(balancer("y"), &by_y);
    assert_eq!(b.verdict_on(3), Verdict::Granted);
}
