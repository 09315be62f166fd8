//! What cannot be reached is refused: `sips` without TLS, contacts that no call can be sent to.

mod harness;

use harness::phone::{ALICE, BOB, BOB_CONTACT, Dialog, bob_answers, invite, request};
use harness::{BALANCER, Node, Policy, parse};
use resilee_sip_api::{Register, SipCommand};

fn registrar() -> Node {
    let (reason, headers) = (String::new(), Vec::new());
    Node::new(Policy::Say(vec![SipCommand::Respond { status: 200, reason, headers }]))
}

fn register(contacts: &str) -> String {
    request("REGISTER", "sip:example.test", &format!("Contact: {contacts}\r\n"))
}

/// First line of the answer to a REGISTER that gets no further.
#[track_caller]
fn refusal(source: &str, contacts: &str) -> String {
    let mut node = registrar();
    let turn = node.receive(source, register(contacts));
    turn.assert_changes_nothing();
    turn.only(source).lines().next().unwrap().replace("SIP/2.0 ", "")
}

/// RFC 3261 §26.2.2: every hop of a `sips` request has TLS.
#[test]
fn a_sips_request_is_refused_over_udp() {
    let mut node = Node::for_bob();
    let secure = invite().replacen("sip:bob@example.test", "SIPS:bob@example.test", 1);
    assert_eq!(node.receive(ALICE, secure).lines(ALICE), ["416"]);
    for method in ["OPTIONS", "MESSAGE", "REGISTER"] {
        let secure = request(method, "sips:example.test", "");
        assert_eq!(node.receive(ALICE, secure).lines(ALICE), ["416"], "{method}");
    }
    assert!(node.history().is_empty());
}

/// Within a dialog the Request-URI is the other end's own.
#[test]
fn a_callee_with_a_sips_contact_can_be_told_that_the_call_is_over() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let ok = harness::phone::answer(&at_bob, 200, "b", "sips:bob@192.0.2.20");
    let dialog = Dialog::of(&node.receive(BOB, ok).only(ALICE));
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB);
    node.receive(BOB, bob_answers(&bye, 200));
    assert_eq!(node.count("sip.ended"), 1);
}

#[test]
fn a_contact_that_no_call_can_be_sent_to_is_not_bound() {
    for (contact, why) in [
        ("<sips:alice@192.0.2.10>", "Contact Needs TLS"),
        ("<tel:+4930123>", "Contact Is No SIP URI"),
        ("<http://192.0.2.10/>", "Contact Is No SIP URI"),
        ("<sip:>", "Contact Is No SIP URI"),
        ("<>", "Bad Contact"),
        ("\"open <sip:alice@192.0.2.10>", "Bad Contact"),
        ("<sip:alice@198.51.100.1:5060>", "Contact Is This Server"),
        ("<sip:alice@198.51.100.1>", "Contact Is This Server"),
        ("<sip:alice@[::ffff:198.51.100.1]:5060>", "Contact Is This Server"),
        ("<sip:alice@[::FFFF:c633:6401]>", "Contact Is This Server"),
        ("<sip:alice@192.0.2.10>, <mailto:a@b>", "Contact Is No SIP URI"),
    ] {
        assert_eq!(refusal(ALICE, contact), format!("400 {why}"), "{contact}");
    }
}

#[test]
fn a_register_with_many_contacts_or_from_this_server_itself_is_refused() {
    let many: Vec<_> = (1..=17).map(|port| format!("<sip:alice@192.0.2.10:{port}>")).collect();
    assert_eq!(refusal(ALICE, &many.join(",")), "403 Too Many Contacts");
    let mut node = registrar();
    let turn = node.receive(ALICE, register(&many[..16].join(",")));
    assert_eq!(turn.event::<Register>().bindings.len(), 16);
    assert_eq!(refusal(BALANCER, "<sip:alice@192.0.2.10>"), "403 Source Is This Server");
}

/// RFC 4291 §2.5.5.2: it is the same IPv4 address, as a program with one socket for both writes it.
#[test]
fn our_ipv4_address_is_ours_also_as_ipv6_writes_it() {
    let mapped = "[::ffff:198.51.100.1]";
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let at_bob = at_bob.replacen(&format!(" {BALANCER};"), &format!(" {mapped}:5060;"), 1);
    let ok = node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!((ok.lines(ALICE), ok.dropped), (vec!["200".to_owned()], None));
    let elsewhere = at_bob.replacen(mapped, "[::ffff:198.51.100.2]", 1);
    let dropped = node.receive(BOB, bob_answers(&elsewhere, 200)).dropped;
    assert_eq!(dropped, Some("response for another element"));
}

#[test]
fn a_contact_behind_a_nat_is_bound() {
    let mut node = registrar();
    let ok = node.receive(ALICE, register(&format!("<{BOB_CONTACT}>;q=0.5"))).only(ALICE);
    assert_eq!(parse(&ok).status(), Some(200));
}

/// Some phones send from one port and listen at another, and do not ask for the first one by rport
/// (RFC 3581): requests go to where their Contact says (RFC 3261 §12.2.1.1), unless that is an
/// address behind a NAT.
#[test]
fn a_phone_that_sends_from_another_port_than_it_listens_at_is_bound_where_it_listens() {
    for (via, contact, home) in [
        ("192.0.2.10", "<sip:alice@192.0.2.10>", "192.0.2.10:5060"),
        ("192.0.2.10", "<sip:alice@192.0.2.10:5070>", "192.0.2.10:5070"),
        ("192.0.2.10;rport", "<sip:alice@192.0.2.10:5070>", ALICE),
        ("10.0.0.1", "<sip:alice@10.0.0.1:5070>", ALICE),
        ("192.0.2.10", "<sip:alice@phone.example.test:5070>", ALICE),
        ("192.0.2.10", "*", ALICE),
    ] {
        let sent = register(contact).replace("10.0.0.1:5060;rport", via);
        let source = registrar().receive(ALICE, sent).event::<Register>().source;
        assert_eq!(source, home, "{via} {contact}");
    }
}

#[test]
fn a_phone_that_sends_from_another_port_than_it_listens_at_hears_that_it_is_hung_up() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let plain = invite().replace("10.0.0.1:5060;rport", "192.0.2.10:5070");
        let at_bob = node.receive(ALICE, plain.replace("10.0.0.1:5060", "192.0.2.10:5070"));
        let ok = node.receive(BOB, bob_answers(&at_bob.only(BOB), 200));
        let listens = "192.0.2.10:5070";
        let dialog = Dialog::of(&ok.only(listens));
        node.receive(ALICE, dialog.by_alice("ACK", 1));
        if dies {
            node.take_over();
        }
        let bye = node.receive(BOB, dialog.by_bob("BYE", 1));
        assert_eq!((bye.lines(listens), bye.to(ALICE).len()), (vec!["BYE".to_owned()], 0));
    }
}
