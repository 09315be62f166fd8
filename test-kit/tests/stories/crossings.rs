//! Messages that meet on their way, come twice, or belong to nothing.

use crate::wire::{Alice, Bob, Wire};
use resilee_test_kit::PhoneEvent::{Answered, CallFailed, HungUp};
use resilee_test_kit::{AnswerPolicy, CallPhase, DropReason, PhoneCommand, PhoneEvent};
use std::time::Duration;

/// How often the trace has this kind of message from that port.
fn count(wire: &Wire, from: u16, kind: &str) -> usize {
    let is = |line: &str| line.starts_with(&format!("{from} >")) && line.ends_with(kind);
    wire.trace.iter().filter(|(_, line)| is(line)).count()
}

#[test]
fn two_byes_that_cross_are_both_answered_200() {
    let mut wire = Wire::perfect();
    wire.talk();
    wire.command(Alice, PhoneCommand::HangUp);
    wire.command(Bob, PhoneCommand::HangUp);
    wire.run_until_idle();
    assert_eq!(count(&wire, 5070, "200 BYE"), 1);
    assert_eq!(count(&wire, 5080, "200 BYE"), 1);
    assert_eq!(wire.told(Alice).last(), Some(&HungUp { by_remote: false }));
    assert_eq!(wire.told(Bob).last(), Some(&HungUp { by_remote: false }));
}

#[test]
fn a_bye_whose_200_is_lost_comes_again_and_is_told_once() {
    let mut wire = Wire::perfect();
    wire.talk();
    wire.lose("200 BYE", 2);
    wire.command(Alice, PhoneCommand::HangUp);
    wire.run_until_idle();
    assert_eq!(wire.bob.counters().duplicate_requests, 2);
    let ends = wire.told(Bob).into_iter().filter(|event| matches!(event, HungUp { .. }));
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.bob.set_answer_policy(AnswerPolicy::Ring, 0);
    wire.call_bob();
    wire.command(Alice, PhoneCommand::HangUp);
    assert_eq!(count(&wire, 5070, " CANCEL"), 0);
    wire.run_until_idle();
    assert_eq!(count(&wire, 5070, " CANCEL"), 1);
    assert_eq!(wire.told(Alice).last(), Some(&CallFailed(487)));
}

#[test]
fn an_answer_that_crosses_a_cancel_is_acknowledged_and_ended() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.bob.set_answer_policy(AnswerPolicy::Manual, 0);
    wire.call_bob();
    wire.run_for(Duration::from_secs(3));
    wire.command(Bob, PhoneCommand::Answer);
    wire.command(Alice, PhoneCommand::HangUp);
    wire.run_until_idle();
    let told = wire.told(Alice);
    assert!(told.iter().any(|event| matches!(event, Answered { .. })));
    assert_eq!(told.last(), Some(&HungUp { by_remote: false }));
    assert_eq!(wire.told(Bob).last(), Some(&HungUp { by_remote: true }));
}

#[test]
fn a_callee_that_hangs_up_before_the_ack_waits_for_it() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.lose("ACK", 2);
    wire.call_bob();
    wire.run_until(|wire| wire.bob.call().is_some_and(|call| call.phase == CallPhase::Answered));
    wire.command(Bob, PhoneCommand::HangUp);
    assert_eq!(count(&wire, 5080, " BYE"), 0);
    wire.run_until_idle();
    assert_eq!(wire.told(Bob).last(), Some(&HungUp { by_remote: false }));
}

const HEADERS: &str = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport
From: <sip:eve@example.test>;tag=e
To: <sip:bob@example.test>;tag=unknown
Call-ID: nothing";

#[test]
fn requests_of_no_call_are_answered_481() {
    for method in ["BYE", "CANCEL", "INVITE", "OPTIONS"] {
        let mut wire = Wire::perfect();
        let text = format!("{method} sip:bob@h SIP/2.0\n{HEADERS}\nCSeq: 1 {method}\n\n");
        wire.inject(Bob, &text);
        assert_eq!(count(&wire, 5080, &format!("481 {method}")), 1, "{method}");
    }
}

#[test]
fn options_is_answered_and_what_is_unknown_is_not_allowed() {
    for (method, answer) in [("OPTIONS", "200 OPTIONS"), ("MESSAGE", "405 MESSAGE")] {
        let mut wire = Wire::perfect();
        let headers = HEADERS.replace(";tag=unknown", "");
        let text = format!("{method} sip:bob@h SIP/2.0\n{headers}\nCSeq: 1 {method}\n\n");
        wire.inject(Bob, &text);
        wire.inject(Bob, &text);
        assert_eq!(count(&wire, 5080, answer), 2);
        assert_eq!(wire.bob.counters().duplicate_requests, 1);
    }
}

#[test]
fn what_belongs_to_nothing_is_dropped_with_a_reason() {
    let mut wire = Wire::perfect();
    wire.inject(Bob, "hello\n\n");
    wire.inject(Bob, &format!("SIP/2.0 200 OK\n{HEADERS}\nCSeq: 1 BYE\n\n"));
    wire.inject(Bob, &format!("ACK sip:bob@h SIP/2.0\n{HEADERS}\nCSeq: 1 ACK\n\n"));
    wire.inject(Bob, "\n\n");
    let reasons = [DropReason::NoMessage, DropReason::StrayResponse, DropReason::StrayAck];
    assert_eq!(wire.told(Bob), reasons.map(PhoneEvent::Dropped));
}

#[test]
fn the_same_invite_on_another_path_is_refused_482() {
    let mut wire = Wire::perfect();
    let headers = HEADERS.replace(";tag=unknown", "");
    let invite = format!(
        "INVITE sip:bob@h SIP/2.0\n{headers}\nCSeq: 1 INVITE\nContact: <sip:eve@192.0.2.1:5060>\n\n"
    );
    wire.inject(Bob, &invite);
    wire.inject(Bob, &invite.replace("z9hG4bKx", "z9hG4bKy"));
    assert_eq!(count(&wire, 5080, "180 INVITE"), 1);
    assert_eq!(count(&wire, 5080, "482 INVITE"), 1);
}

#[test]
fn the_second_callee_of_a_forked_call_is_acknowledged_and_ended() {
    let mut wire = Wire::perfect();
    wire.talk();
    let call = wire.call_of(Alice).call_id.clone();
    let (branch, tag) = wire.invite_of_alice();
    let answer = format!(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch={branch};rport\n\
         From: <sip:alice@example.test>;tag={tag}\nTo: <sip:bob@example.test>;tag=second\n\
         Call-ID: {call}\nCSeq: 1 INVITE\nContact: <sip:bob@192.0.2.1:5090>\n\n"
    );
    wire.inject(Alice, &answer);
    wire.inject(Alice, &answer);
    let to_second: Vec<&str> = wire.trace.iter().map(|(_, line)| line.as_str()).collect();
    let to_second = to_second.into_iter().filter(|line| line.starts_with("5070 > 5090"));
    let expected = ["5070 > 5090 ACK", "5070 > 5090 BYE", "5070 > 5090 ACK"];
    assert_eq!(to_second.collect::<Vec<_>>(), expected);
    assert_eq!(wire.call_of(Alice).phase, CallPhase::Answered);
}
