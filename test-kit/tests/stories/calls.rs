//! Whole calls: answered, refused, given up, over a good and over a bad network.

use crate::wire::{Alice, Bob, Who, Wire};
use resilee_test_kit::PhoneEvent::{
    Acked, Answered, CallFailed, HangUpFailed, HungUp, IncomingCall, Registered, Ringing, Trying,
};
use resilee_test_kit::{AnswerPolicy, CallPhase, DropReason, PhoneCommand, PhoneEvent, Side};
use std::time::Duration;

fn rtp(port: u16) -> Option<std::net::SocketAddr> {
    Some(([192, 0, 2, 1], port).into())
}

/// What a phone told after it was registered.
fn told(wire: &Wire, who: Who) -> Vec<PhoneEvent> {
    wire.told(who).into_iter().filter(|event| *event != Registered).collect()
}

fn incoming() -> PhoneEvent {
    IncomingCall { from: "sip:alice@example.test".into() }
}

#[test]
fn alice_calls_bob_and_hangs_up() {
    let mut wire = Wire::perfect();
    wire.talk();
    wire.run_for(Duration::from_secs(10));
    wire.command(Alice, PhoneCommand::HangUp);
    wire.run_until_idle();
    let of_alice =
        [Trying, Ringing, Answered { remote_rtp: rtp(6080) }, HungUp { by_remote: false }];
    let of_bob =
        [incoming(), Answered { remote_rtp: rtp(6070) }, Acked, HungUp { by_remote: true }];
    assert_eq!(told(&wire, Alice), of_alice);
    assert_eq!(told(&wire, Bob), of_bob);
    assert_eq!(wire.alice.counters().retransmissions(), 0);
    assert_eq!(wire.bob.counters().retransmissions(), 0);
    let call = wire.call_of(Alice);
    assert_eq!((call.side, call.phase), (Side::Caller, CallPhase::Ended));
    let talked = call.ended_at.unwrap().since(call.answered_at.unwrap());
    assert!(talked > Duration::from_secs(9) && talked < Duration::from_secs(11));
}

#[test]
fn bob_hangs_up_and_several_calls_follow_each_other() {
    let mut wire = Wire::perfect();
    wire.register();
    for _ in 0..3 {
        wire.call_bob();
        wire.run_until(|wire| wire.call_of(Alice).phase == CallPhase::Answered);
        wire.run_for(Duration::from_secs(2));
        wire.command(Bob, PhoneCommand::HangUp);
        wire.run_until(|wire| wire.call_of(Bob).phase == CallPhase::Ended);
    }
    wire.run_until_idle();
    let ends: Vec<_> =
        wire.told(Alice).into_iter().filter(|event| matches!(event, HungUp { .. })).collect();
    assert_eq!(ends, vec![HungUp { by_remote: true }; 3]);
}

#[test]
fn requests_in_the_dialog_take_the_recorded_route() {
    let mut wire = Wire::perfect();
    wire.talk();
    wire.command(Bob, PhoneCommand::HangUp);
    wire.run_until_idle();
    let byes: Vec<&str> = wire.trace.iter().map(|(_, line)| line.as_str()).collect();
    let byes: Vec<&&str> = byes.iter().filter(|line| line.ends_with(" BYE")).collect();
    assert_eq!(byes[..2], [&"5080 > 5060 BYE", &"5060 > 5070 BYE"]);
}

#[test]
fn a_proxy_that_asks_for_credentials_gets_them_and_counts_one_call() {
    let mut wire = Wire::perfect();
    wire.relay.demands.for_invite = true;
    wire.talk();
    wire.command(Alice, PhoneCommand::HangUp);
    wire.run_until_idle();
    let of_bob =
        [incoming(), Answered { remote_rtp: rtp(6070) }, Acked, HungUp { by_remote: true }];
    assert_eq!(told(&wire, Bob), of_bob);
    assert!(wire.trace.iter().any(|(_, line)| line.ends_with("407 INVITE")));
}

#[test]
fn a_busy_phone_refuses() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.bob.set_answer_policy(AnswerPolicy::Busy, 0);
    wire.call_bob();
    wire.run_until_idle();
    assert_eq!(told(&wire, Alice), [Trying, CallFailed(486)]);
}

#[test]
fn a_user_who_is_not_registered_cannot_be_called() {
    let mut wire = Wire::perfect();
    wire.call_bob();
    wire.run_until_idle();
    assert_eq!(wire.told(Alice), [CallFailed(404)]);
}

#[test]
fn alice_gives_up_while_it_rings() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.bob.set_answer_policy(AnswerPolicy::Ring, 0);
    wire.call_bob();
    wire.run_for(Duration::from_secs(5));
    wire.command(Alice, PhoneCommand::HangUp);
    wire.run_until_idle();
    assert_eq!(told(&wire, Alice), [Trying, Ringing, CallFailed(487)]);
    assert_eq!(told(&wire, Bob), [incoming(), CallFailed(487)]);
}

#[test]
fn bob_answers_and_declines_by_hand() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.bob.set_answer_policy(AnswerPolicy::Manual, 0);
    wire.call_bob();
    wire.run_for(Duration::from_secs(5));
    assert_eq!(wire.call_of(Bob).phase, CallPhase::Ringing);
    wire.command(Bob, PhoneCommand::HangUp);
    wire.run_until_idle();
    assert_eq!(told(&wire, Alice), [Trying, Ringing, CallFailed(603)]);
    wire.call_bob();
    wire.run_for(Duration::from_secs(5));
    wire.command(Bob, PhoneCommand::Answer);
    wire.run_for(Duration::from_secs(1));
    assert_eq!(wire.call_of(Alice).phase, CallPhase::Answered);
}

#[test]
fn a_200_is_repeated_until_its_ack_comes() {
    let mut wire = Wire::perfect();
    wire.lose("ACK", 3);
    wire.talk();
    // After 0.5, 1.5 and 3.5 s.
    assert_eq!(wire.bob.counters().retransmitted["200"], 3);
    assert_eq!(wire.alice.counters().retransmitted["ACK"], 3);
}

#[test]
fn a_callee_whose_ack_never_comes_hangs_up_after_32_seconds() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.lose("ACK", u32::MAX);
    wire.call_bob();
    wire.run_until_idle();
    let call = wire.call_of(Bob);
    let waited = call.ended_at.unwrap().since(call.answered_at.unwrap());
    assert_eq!(waited, Duration::from_secs(32));
    assert_eq!(told(&wire, Alice).last(), Some(&HungUp { by_remote: true }));
}

#[test]
fn a_call_into_the_void_fails_after_32_seconds() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.lose("INVITE", u32::MAX);
    wire.call_bob();
    wire.run_until_idle();
    assert_eq!(told(&wire, Alice), [CallFailed(408)]);
    assert_eq!(wire.alice.counters().retransmitted["INVITE"], 6);
}

#[test]
fn a_bye_into_the_void_is_told_apart_from_one_that_was_answered() {
    let mut wire = Wire::perfect();
    wire.talk();
    wire.lose("BYE", u32::MAX);
    wire.command(Alice, PhoneCommand::HangUp);
    wire.run_until(|wire| wire.call_of(Alice).phase == CallPhase::Ended);
    assert_eq!(told(&wire, Alice).last(), Some(&HangUpFailed(408)));
}

#[test]
fn commands_that_make_no_sense_are_refused() {
    let mut wire = Wire::perfect();
    wire.command(Alice, PhoneCommand::HangUp);
    wire.command(Alice, PhoneCommand::Answer);
    wire.command(Alice, PhoneCommand::Cancel);
    wire.command(Alice, PhoneCommand::Call { to: "bob".into() });
    assert_eq!(wire.told(Alice), vec![PhoneEvent::Dropped(DropReason::Command); 4]);
    assert!(wire.alice.is_idle());
}

/// A quarter of all datagrams lost or doubled, a third out of order: every call is set up and
/// ended once all the same, because both sides repeat.
#[test]
fn calls_get_through_a_bad_network() {
    for seed in 0..200 {
        let mut wire = Wire::bad(seed);
        wire.talk();
        wire.run_for(Duration::from_secs(5));
        wire.command(if seed % 2 == 0 { Alice } else { Bob }, PhoneCommand::HangUp);
        wire.run_until_idle();
        for who in [Alice, Bob] {
            let events = told(&wire, who);
            let count = |is: fn(&PhoneEvent) -> bool| events.iter().filter(|it| is(it)).count();
            assert_eq!(count(|it| matches!(it, Answered { .. })), 1, "seed {seed}: {events:?}");
            assert_eq!(count(|it| matches!(it, HungUp { .. })), 1, "seed {seed}: {events:?}");
        }
        let (alice, bob) = (wire.call_of(Alice), wire.call_of(Bob));
        assert_eq!(alice.call_id, bob.call_id, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut wire = Wire::bad(seed);
        wire.talk();
        wire.command(Alice, PhoneCommand::HangUp);
        wire.run_until_idle();
        wire.trace
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
