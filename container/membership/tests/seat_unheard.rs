//! What a run says of a seat that it does not hear: once, whether it ever heard it or not.

use resilee_membership::{
    Balancers, Control, ControlBody, Destination, Member, MemberConfig, MemberInput, MemberNotice,
    MemberOutput, RunId, StoreAtStart, Unclean, VoterId,
};
use resilee_sbb::Timestamp;

const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis)
}

fn member() -> Member {
    let config = MemberConfig {
        me: RunId { node: "a".parse().expect("a name"), incarnation: 1 },
        peers: vec!["b".parse().expect("a name")],
        seat: true,
        balancers: Balancers::default(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 3_000,
        unclean: Unclean::Refuse,
    };
    Member::new(at(0), config, None, StoreAtStart::Nothing)
}

/// A heartbeat of the seat, which echoes the last one that it was sent.
fn heartbeat(sequence: u64, echo: u64) -> MemberInput {
    let body = ControlBody::Heartbeat {
        sequence,
        echo,
        hears_seat: true,
        draining: false,
        ready: false,
        rests: false,
        sent_at: Timestamp::ZERO,
        seat: None,
        confirms: false,
    };
    MemberInput::Control(Control { view: 0, from: VoterId::Seat, body })
}

/// Lets it run from `from` on for so many milliseconds; what it said of the seat, and when.
/// Until `heard_until` the seat is heard.
fn said(member: &mut Member, from: u64, millis: u64, heard_until: u64) -> Vec<(u64, bool)> {
    let (mut said, mut echo) = (Vec::new(), 0);
    for time in (from..=from + millis).step_by(50) {
        if time < heard_until {
            member.handle_input(at(time), heartbeat(time + 1, echo));
        }
        member.handle_input(at(time), MemberInput::Timeout);
        while let Some(output) = member.poll_output() {
            match output {
                MemberOutput::Notice(MemberNotice::SeatLost) => said.push((time, false)),
                MemberOutput::Notice(MemberNotice::SeatBack) => said.push((time, true)),
                MemberOutput::Send { to: Destination::Seat, control } => {
                    if let ControlBody::Heartbeat { sequence, .. } = control.body {
                        echo = sequence;
                    }
                }
                _ => {}
            }
        }
    }
    said
}

#[test]
fn a_run_that_never_heard_the_seat_says_so_when_it_had_the_time_to() {
    let mut member = member();
    assert_eq!(said(&mut member, 0, 3_000, 0), [(350, false)]);
    assert_eq!(said(&mut member, 3_050, 1_000, 9_000), [(3_100, true)]);
}

#[test]
fn a_seat_that_is_heard_at_once_was_never_lost() {
    assert_eq!(said(&mut member(), 0, 3_000, 1_000), [(50, true), (1_300, false)]);
}
