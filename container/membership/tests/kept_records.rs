//! What voters store and say, as it was in the first format: it must be read for ever.

use resilee_membership::{
    Control, ControlBody, RunId, SeatProcess, Verdict, View, VoterId, VoterState,
};
use resilee_sbb::{CohortId, Timestamp};
use resilee_test_kit::kept_records::assert_read;

const KEPT: &str = include_str!("kept_records/first.txt");

fn run(node: &str, incarnation: u64) -> RunId {
    RunId { node: node.parse().expect("a name"), incarnation }
}

fn view() -> View {
    let (one, two) = (run("server1", 1_700_000_000_000), run("server2", 1_700_000_000_001));
    let cohorts = [(CohortId::TABLES, one.clone()), (CohortId(1 << 40), two.clone())].into();
    View { number: 3, members: vec![one, two], cohorts, seat: None }
}

#[test]
fn a_voter_state_of_the_first_format_is_read() {
    let vote = View { number: 4, ..view() };
    assert_read(KEPT, "voter", &VoterState { highest: view(), vote: Some(vote), forgetful: false });
}

#[test]
fn control_messages_of_the_first_format_are_read() {
    let seat =
        SeatProcess { up_ms: 1_000, sockets_kept: true, restarts: 2, ..SeatProcess::default() };
    let heartbeat = ControlBody::Heartbeat {
        sequence: 1,
        echo: 2,
        hears_seat: true,
        sent_at: Timestamp::from_millis(1_700_000_000_123),
        draining: true,
        ready: true,
        rests: false,
        seat: Some(seat),
        confirms: false,
    };
    let tell =
        ControlBody::TellView { view: view(), member: true, last_commit: 7, store_empty: false };
    let vote = ControlBody::Vote {
        number: 4,
        proposer: run("server1", 1_700_000_000_000),
        verdict: Verdict::Granted,
        highest: view(),
    };
    let bodies = [
        ("heartbeat", heartbeat),
        ("ask-view", ControlBody::AskView),
        ("tell-view", tell),
        ("propose", ControlBody::Propose { base: 3, view: view() }),
        ("vote", vote),
    ];
    for (name, body) in bodies {
        assert_read(KEPT, name, &Control { view: 3, from: VoterId::Seat, body });
    }
    let from = VoterId::Run(run("server2", 1_700_000_000_001));
    assert_read(KEPT, "of-a-run", &Control { view: 3, from, body: ControlBody::AskView });
    for (name, verdict) in [("not-now", Verdict::NotNow), ("never", Verdict::Never)] {
        assert_read(KEPT, name, &verdict);
    }
}
