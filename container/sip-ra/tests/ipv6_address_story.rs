//! Phones whose IPv6 address changes within the network of their home, as privacy addresses do
//! (RFC 8981): they are who they were. Each also at the node that takes over.

mod harness;

use harness::phone::{
    ALICE_CONTACT, BOB, Dialog, alice_answers, bob_answers, follow_up, invite, request,
};
use harness::{Node, parse};
use resilee_sip_proto::HeaderName;

const HOME: &str = "[2001:db8:0:1::10]:5060";
const SINCE_TODAY: &str = "[2001:db8:0:1:5c3d:9a21:7e60:4b1f]:5060";
const NEXT_DOOR: &str = "[2001:db8:0:2::10]:5060";

fn answered() -> (Node, Dialog) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(HOME, invite()).only(BOB);
    let ok = node.receive(BOB, bob_answers(&at_bob, 200)).only(HOME);
    let dialog = Dialog::of(&ok);
    (node, dialog)
}

#[test]
fn a_phone_with_another_address_of_its_network_is_an_end_of_its_call() {
    for dies in [false, true] {
        let (mut node, dialog) = answered();
        if dies {
            node.take_over();
        }
        assert_eq!(node.receive(SINCE_TODAY, dialog.by_alice("ACK", 1)).lines(BOB), ["ACK"]);
        let info = node.receive(SINCE_TODAY, dialog.by_alice("INFO", 2)).only(BOB);
        assert_eq!(node.receive(BOB, bob_answers(&info, 200)).lines(SINCE_TODAY), ["200"]);
        let stranger = node.receive(NEXT_DOOR, dialog.by_alice("INFO", 3));
        assert_eq!(stranger.lines(NEXT_DOOR), ["403"]);
        let bye = node.receive(SINCE_TODAY, dialog.by_alice("BYE", 4)).only(BOB);
        assert_eq!(node.receive(BOB, bob_answers(&bye, 200)).types(), ["sip.ended"]);
    }
}

#[test]
fn a_phone_with_another_address_of_its_network_cancels_its_call() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(HOME, invite()).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, 180));
        if dies {
            node.take_over();
        }
        let cancel = follow_up("CANCEL", 1);
        assert_eq!(node.receive(NEXT_DOOR, &cancel).lines(NEXT_DOOR), ["481"]);
        let turn = node.receive(SINCE_TODAY, &cancel);
        assert_eq!(
            (turn.lines(SINCE_TODAY), turn.lines(BOB)),
            (vec!["200".into()], vec!["CANCEL".into()])
        );
    }
}

/// The same of a request that a CANCEL has no effect on.
#[test]
fn a_cancel_of_another_request_is_answered_at_another_address_of_the_network() {
    let mut node = Node::for_bob();
    let message = request("MESSAGE", "sip:bob@example.test", "");
    node.receive(HOME, &message).only(BOB);
    let cancel = message.replace("MESSAGE", "CANCEL");
    assert_eq!(node.receive(NEXT_DOOR, &cancel).lines(NEXT_DOOR), ["481"]);
    assert_eq!(node.receive(SINCE_TODAY, &cancel).lines(SINCE_TODAY), ["200"]);
}

/// It says so by UPDATE, each day anew, in a call that lasts.
#[test]
fn a_phone_moves_within_its_network_as_often_as_it_wants() {
    for dies in [false, true] {
        let (mut node, dialog) = answered();
        let addresses: Vec<_> =
            (1..=20).map(|day| format!("[2001:db8:0:1::{day}:1]:5060")).collect();
        for (cseq, address) in (2..).zip(&addresses) {
            let update = node.receive(address, dialog.by_alice("UPDATE", cseq)).only(BOB);
            assert_eq!(node.receive(BOB, bob_answers(&update, 200)).lines(address), ["200"]);
        }
        if dies {
            node.take_over();
        }
        let last = addresses.last().expect("twenty");
        let bye = node.receive(BOB, dialog.by_bob("BYE", 1)).only(last);
        let turn = node.receive(last, alice_answers(&bye, 200));
        assert_eq!(turn.types(), ["sip.ended"]);
        // Also where it was before somebody could have moved it, and just before; not everywhere.
        let told = turn.sent.iter().filter(|it| it.flow.remote.is_ipv6()).count();
        assert_eq!((told, turn.lines(HOME)), (4, vec!["BYE".to_owned()]));
    }
}

#[test]
fn a_subscriber_with_another_address_of_its_network_goes_on_with_its_subscription() {
    let mut node = Node::for_bob();
    let headers = format!("Contact: <{ALICE_CONTACT}>\r\nEvent: presence\r\nExpires: 600\r\n");
    let subscribe = request("SUBSCRIBE", "sip:bob@example.test", &headers);
    let at_bob = node.receive(HOME, &subscribe).only(BOB);
    let route = parse(&at_bob).header(HeaderName::RecordRoute).expect("a route").into_owned();
    let again = subscribe
        .replacen("z9hG4bKrequest", "z9hG4bKagain", 1)
        .replacen("To: <sip:alice@example.test>", "To: <sip:alice@example.test>;tag=b", 1)
        .replacen("CSeq: 7", &format!("Route: {route}\r\nCSeq: 8"), 1);
    assert_eq!(node.receive(NEXT_DOOR, &again).lines(NEXT_DOOR), ["403"]);
    assert_eq!(node.receive(SINCE_TODAY, &again).lines(BOB), ["SUBSCRIBE"]);
}
