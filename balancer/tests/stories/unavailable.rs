//! What clients hear while no node serves.

use crate::route;
use crate::stage::{Sent, Stage, address, request, run};
use resilee_balancer::{Algorithm, BalancerNotice, DropReason};
use resilee_membership::View;

/// A request of a phone behind a NAT, whole enough to be answered.
fn whole(method: &str, call: &str, to_tag: &str) -> String {
    format!(
        "{method} sip:b@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.9.9.9:5070;rport;branch=z9hG4bK{call}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>{to_tag}\r\n\
         Call-ID: {call}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// What the client is answered, if it is.
fn answer(stage: &mut Stage, text: &str) -> Option<String> {
    stage.client(text).into_iter().find_map(|sent| match sent {
        Sent::ToClient(to, text) => {
            assert_eq!(to, address("192.0.2.1:5060"), "where the request came from");
            Some(text)
        }
        _ => None,
    })
}

/// Both nodes are silent, for so long that nothing is to be hoped for.
fn hopeless() -> Stage {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.cut = true;
    stage.run(2_500);
    stage
}

#[test]
fn a_new_request_is_answered_503_once_no_node_was_heard_for_two_seconds() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.cut = true;
    stage.run(2_000);
    assert_eq!(answer(&mut stage, &whole("INVITE", "c0", "")), None, "it is repeated");
    stage.run(500);
    assert_eq!(answer(&mut stage, &whole("INVITE", "c0", "")), None, "a node may have it");
    let said = answer(&mut stage, &whole("INVITE", "c1", "")).unwrap();
    assert!(said.starts_with("SIP/2.0 503 Service Unavailable\r\n"), "{said}");
    let via = "Via: SIP/2.0/UDP 10.9.9.9:5070;rport=5060;branch=z9hG4bKc1;received=192.0.2.1\r\n";
    assert!(said.contains(via), "{said}");
    assert!(said.contains("\r\nRetry-After: ") && said.contains("To: <sip:b@example.com>;tag="));
    assert!(said.contains("\r\nCSeq: 1 INVITE\r\n") && said.contains("\r\nCall-ID: c1\r\n"));
    assert_eq!(answer(&mut stage, &whole("INVITE", "c1", "")).unwrap(), said, "a repeat");
    assert!(answer(&mut stage, &whole("REGISTER", "r", "")).is_some());
    let notices = stage.notices.iter();
    let said =
        notices.filter(|it| matches!(it, BalancerNotice::Unavailable { hopeless: true, .. }));
    assert_eq!(said.count(), 1);
}

#[test]
fn the_ack_of_such_an_answer_has_come_to_its_end() {
    let mut stage = hopeless();
    let said = answer(&mut stage, &whole("INVITE", "c1", "")).unwrap();
    let (_, tag) = said.split_once("To: <sip:b@example.com>").unwrap();
    let (tag, _) = tag.split_once("\r\n").unwrap();
    assert_eq!(stage.client(&whole("ACK", "c1", tag)), []);
}

/// A node that comes back from its store within 32 s hears them.
#[test]
fn what_a_node_may_know_of_is_not_answered_for_it() {
    let mut stage = hopeless();
    let [in_dialog, ack] = ["BYE", "ACK"].map(|method| whole(method, "c", ";tag=b"));
    for text in [in_dialog, ack, whole("CANCEL", "c", ""), request("BYE", "c", Some(&route(0)))] {
        assert_eq!(answer(&mut stage, &text), None, "{text}");
    }
    let stray = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKx\r\nCall-ID: c\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCSeq: 1 INVITE\r\n\r\n";
    assert_eq!(answer(&mut stage, stray), None);
    assert_eq!(stage.balancer.drops().count(DropReason::StrayResponse), 1);
}

#[test]
fn answers_stop_when_a_node_is_heard_again() {
    let mut stage = hopeless();
    stage.cut = false;
    stage.run(100);
    assert_eq!(stage.server_of(&whole("INVITE", "c1", "")), Some(0));
    let back =
        |it: &BalancerNotice| matches!(it, BalancerNotice::Unavailable { hopeless: false, .. });
    assert!(stage.notices.iter().any(back));
}

#[test]
fn no_more_than_so_many_are_answered_in_a_second() {
    let mut stage = hopeless();
    let flood = |stage: &mut Stage, name: &str| {
        let texts = (0..600).map(|call| whole("OPTIONS", &format!("{name}{call}"), ""));
        texts.filter(|text| answer(stage, text).is_some()).count()
    };
    assert_eq!(flood(&mut stage, "a"), 500);
    assert_eq!(stage.balancer.drops().count(DropReason::TooManyAnswers), 100);
    stage.run(1_000);
    assert_eq!(flood(&mut stage, "b"), 500);
}

#[test]
fn a_balancer_that_slept_does_not_take_the_nodes_for_dead() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.now = stage.now + std::time::Duration::from_secs(60);
    assert_eq!(answer(&mut stage, &whole("INVITE", "c1", "")), None);
}

/// Nodes that look for each other are heard, and need 3 s or so.
#[test]
fn a_cold_start_may_take_its_time_but_not_for_ever() {
    let mut stage = Stage::empty(Algorithm::FirstAlive);
    stage.run(9_000);
    assert_eq!(answer(&mut stage, &whole("INVITE", "c1", "")), None);
    stage.run(1_500);
    assert!(answer(&mut stage, &whole("INVITE", "c1", "")).is_some());
    let one = run(0, 1);
    stage.tell(View::default().next(vec![one.clone()], &one));
    assert_eq!(stage.server_of(&whole("INVITE", "c1", "")), Some(0));
}
