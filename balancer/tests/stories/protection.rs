//! Hostile traffic: what a client and a node see of it.

use crate::stage::{Sent, Stage, address, request};
use resilee_balancer::{Algorithm, BalancerInput, BalancerNotice, DropReason, ProtectionConfig};
use resilee_membership::{Flow, Transport};
use std::time::Duration;

/// Where the stage's own client is.
const PHONE: &str = "192.0.2.1:5060";
const OTHER: &str = "192.0.2.2:5060";

fn stage() -> Stage {
    Stage::pair(Algorithm::FirstAlive)
}

impl Stage {
    fn send_from(&mut self, client: &str, transport: Transport, text: &str) -> Vec<Sent> {
        let flow = Flow { remote: address(client), local: address("198.51.100.1:5060"), transport };
        self.handle(BalancerInput::FromClient { flow, bytes: text.as_bytes() })
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.balancer.drops().count(reason)
    }

    /// Somebody sends what is no SIP, in the phone's name; whether the phone's calls get through.
    fn call_after_junk(&mut self) -> bool {
        for _ in 0..100 {
            self.client("junk");
        }
        self.is_served()
    }

    fn is_served(&mut self) -> bool {
        self.server_of(&request("INVITE", "c1", None)).is_some()
    }

    fn answer(&mut self, method: &str) {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKx\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
             Call-ID: r\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(self.node_sip(0, 1, &text).len(), 1, "it goes to the client");
    }
}

#[test]
fn malformed_messages_are_counted_by_reason_and_reach_no_node() {
    let mut stage = stage();
    let via = "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n";
    for (text, reason) in [
        ("\0\u{1}\u{2}".to_owned(), DropReason::NotSip),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), DropReason::NotSip),
        ("INVITE sip:a SIP/2.0\r\nVia: SI".to_owned(), DropReason::Truncated),
        ("INVITE sip:a SIP/2.0\r\nCall-ID: c\r\n\r\n".to_owned(), DropReason::NoVia),
        (format!("INVITE sip:a SIP/2.0\r\n{via}CSeq: 1 INVITE\r\n\r\n"), DropReason::NoCallId),
        (format!("INVITE sip:a SIP/2.0\r\n{via}Call-ID: c\r\n\r\n"), DropReason::NoCseq),
        (
            format!("A sip:a SIP/2.0\r\nX: {}\r\n\r\n", "y".repeat(16_384)),
            DropReason::HeadersTooLong,
        ),
        (format!("A sip:a SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(257)), DropReason::TooManyHeaders),
    ] {
        let before = stage.dropped(reason);
        assert_eq!(stage.client(&text), [], "{text:.80}");
        assert_eq!(stage.dropped(reason), before + 1, "{reason:?}: {text:.80}");
    }
    assert!(stage.is_served());
}

#[test]
fn a_scanner_is_heard_by_no_node_and_a_phone_of_its_address_is() {
    let mut stage = stage();
    let scan =
        request("OPTIONS", "s", None).replace("Call-ID", "User-Agent: sipcli/v1.8\r\nCall-ID");
    assert_eq!(stage.client(&scan), []);
    assert_eq!(stage.dropped(DropReason::Scanner), 1);
    for phone in ["Linphone/5.2", "SIPClient/2.0", "VaxSIPUserAgent/3.1"] {
        assert_eq!(stage.server_of(&scan.replace("sipcli/v1.8", phone)), Some(0), "{phone}");
    }
}

#[test]
fn whoever_sends_too_fast_is_limited_over_udp_and_tcp_together_and_others_are_served() {
    let mut stage = Stage::pair_with(Algorithm::FirstAlive, |config| {
        config.protection = ProtectionConfig { rate_per_s: 10, burst: 20, ..Default::default() };
    });
    let options = request("OPTIONS", "c", None);
    for transport in [Transport::Udp, Transport::Tcp, Transport::Udp, Transport::Tcp] {
        (0..10).for_each(|_| drop(stage.send_from(PHONE, transport, &options)));
    }
    assert_eq!(stage.dropped(DropReason::TooFast), 20);
    assert_eq!(stage.client("\r\n\r\n"), [], "nor is a keepalive answered");
    assert_eq!(stage.send_from(OTHER, Transport::Udp, &options).len(), 1);
    stage.run(1_000);
    assert!(stage.is_served());
}

#[test]
fn junk_bans_a_stranger_for_five_minutes() {
    let mut stage = stage();
    assert!(!stage.call_after_junk());
    assert_eq!(stage.dropped(DropReason::NotSip), 100);
    assert_eq!(stage.dropped(DropReason::Banned), 1);
    let told = stage.notices.iter().find_map(|notice| match notice {
        BalancerNotice::Banned { client, reason: DropReason::NotSip, count: 1 } => Some(client),
        _ => None,
    });
    assert_eq!(told, Some(&address(PHONE).ip()));
    assert_eq!(stage.send_from(OTHER, Transport::Udp, &request("INVITE", "c2", None)).len(), 1);
    stage.now = stage.now + Duration::from_secs(299);
    assert!(!stage.is_served());
    stage.now = stage.now + Duration::from_secs(1);
    assert!(stage.is_served());
}

#[test]
fn nobody_gets_a_registered_phone_banned_by_sending_junk_in_its_name() {
    let mut stage = stage();
    stage.answer("REGISTER");
    assert!(stage.call_after_junk());
    stage.now = stage.now + Duration::from_secs(24 * 3_600);
    assert!(!stage.call_after_junk(), "it has been silent for a day");
}

#[test]
fn a_banned_phone_that_registers_is_served_again() {
    let mut stage = stage();
    assert!(!stage.call_after_junk());
    let register = request("REGISTER", "r", None);
    assert_eq!(stage.server_of(&register), Some(0));
    assert_eq!(stage.server_of(&register), None, "one a second");
    assert!(!stage.is_served());
    stage.now = stage.now + Duration::from_secs(1);
    assert_eq!(stage.server_of(&register), Some(0));
    stage.answer("REGISTER");
    assert!(stage.is_served());
}

#[test]
fn an_answer_to_anything_but_a_register_or_invite_or_a_refusal_vouches_for_nobody() {
    let mut stage = stage();
    for method in ["OPTIONS", "CANCEL", "BYE", "PRACK", "SUBSCRIBE", "MESSAGE"] {
        stage.answer(method);
    }
    stage.node_sip(0, 1, "SIP/2.0 401 Unauthorized\r\nCSeq: 1 REGISTER\r\n\r\n");
    assert!(!stage.call_after_junk());
}
