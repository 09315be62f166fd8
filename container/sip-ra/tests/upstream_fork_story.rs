//! A proxy in front of us sends one INVITE on to Bob and to Carol (RFC 3261 §16.6): one Call-ID,
//! From tag and CSeq number, two branches and Request-URIs. Each is a call, and one is answered.
//! Each also at the node that takes over.

mod harness;

use harness::phone::{
    ALICE, BOB, CAROL, CAROL_CONTACT, Dialog, alice_answers, answer, bob_answers, follow_up,
    invite, invite_with,
};
use harness::{Node, Policy, Turn, parse};
use resilee_sip_api::{Account, Algorithm, Credentials, Ended, QopAuth, Side};
use resilee_sip_proto::{HeaderName, digest};

const LONG: u64 = 70_000;
/// Somebody who has overheard the INVITE.
const MALLORY: &str = "203.0.113.66:5060";

/// The branch for Carol of what [`invite`] is for Bob.
fn to_carol(message: String) -> String {
    message
        .replacen("sip:bob@example.test SIP", "sip:carol@example.test SIP", 1)
        .replace("z9hG4bKinvite1", "z9hG4bKcarol")
}

fn carol_answers(at_carol: &str, status: u16) -> Vec<u8> {
    answer(at_carol, status, "c", CAROL_CONTACT)
}

/// Both ring: what each of them has got.
fn both_ring() -> (Node, String, String) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.policy = Policy::ProxyTo(vec![(CAROL_CONTACT, CAROL)]);
    let turn = node.receive(ALICE, to_carol(invite()));
    assert_eq!(turn.lines(ALICE), ["100"]);
    let at_carol = turn.only(CAROL);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 180)).lines(ALICE), ["180"]);
    assert_eq!(node.receive(CAROL, carol_answers(&at_carol, 180)).lines(ALICE), ["180"]);
    (node, at_bob, at_carol)
}

/// A request reaches the other end, and its answer comes back.
#[track_caller]
fn crosses(node: &mut Node, request: String, (from, to): (&str, &str), tag: &str) -> Turn {
    let at_end = node.receive(from, request).only(to);
    let contact = if to == ALICE { "sip:alice@10.0.0.1:5060" } else { CAROL_CONTACT };
    let turn = node.receive(to, answer(&at_end, 200, tag, contact));
    assert_eq!(turn.lines(from).first().map(String::as_str), Some("200"));
    turn
}

#[test]
fn of_two_branches_the_answered_one_is_the_call_and_the_other_one_ends() {
    for dies in [false, true] {
        let (mut node, at_bob, at_carol) = both_ring();
        if dies {
            node.take_over();
        }
        let turn = node.receive(CAROL, carol_answers(&at_carol, 200));
        let (lines, ok) = (turn.lines(ALICE), turn.to(ALICE).remove(0));
        assert_eq!(lines, ["200", "487"]);
        let cancel = turn.only(BOB);
        let reason = parse(&cancel).header_named("Reason").expect("why").into_owned();
        assert!(reason.contains("Call completed elsewhere"), "{cancel}");
        if dies {
            node.take_over();
        }
        let dialog = Dialog::of(&ok);
        assert_eq!(node.receive(ALICE, dialog.by_alice("ACK", 1)).lines(CAROL), ["ACK"]);
        node.receive(BOB, bob_answers(&cancel, 200));
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 487)).lines(BOB), ["ACK"]);
        node.receive(ALICE, follow_up("ACK", 1));
        if !dies {
            crosses(&mut node, dialog.by_alice("INFO", 2), (ALICE, CAROL), "c");
        }
        let hung_up_at = node.now;
        let bye = dialog.by_alice("BYE", 3);
        let ended: Ended = crosses(&mut node, bye, (ALICE, CAROL), "c").event();
        assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
        for (event, count) in [("sip.answered", 1), ("sip.rejected", 1), ("sip.ended", 1)] {
            assert_eq!(node.count(event), count, "{event}");
        }
    }
}

/// Bob picks up at the same moment: nobody is billed for that, and he hears that it is over.
#[test]
fn a_second_branch_that_is_answered_is_ended() {
    for dies in [false, true] {
        let (mut node, at_bob, at_carol) = both_ring();
        node.receive(CAROL, carol_answers(&at_carol, 200));
        if dies {
            node.take_over();
        }
        let turn = node.receive(BOB, bob_answers(&at_bob, 200));
        assert_eq!(turn.lines(BOB), ["ACK", "BYE"]);
        assert!(turn.to(ALICE).is_empty());
        assert_eq!(node.count("sip.answered"), 1);
    }
}

#[test]
fn a_branch_that_fails_or_is_cancelled_leaves_the_other_one_alone() {
    for (dies, is_cancelled) in [(false, false), (true, false), (false, true), (true, true)] {
        let (mut node, at_bob, at_carol) = both_ring();
        if is_cancelled {
            let turn = node.receive(ALICE, to_carol(follow_up("CANCEL", 1)));
            assert_eq!(
                (turn.lines(ALICE), turn.lines(CAROL)),
                (vec!["200".into()], vec!["CANCEL".into()])
            );
            assert!(turn.to(BOB).is_empty());
        }
        if dies {
            node.take_over();
        }
        let status = if is_cancelled { 487 } else { 486 };
        let turn = node.receive(CAROL, carol_answers(&at_carol, status));
        assert_eq!(turn.lines(ALICE), [status.to_string()]);
        assert!(turn.to(BOB).is_empty());
        let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
        node.receive(ALICE, dialog.by_alice("ACK", 1));
        let info = node.receive(BOB, dialog.by_bob("INFO", 1)).only(ALICE);
        assert_eq!(node.receive(ALICE, alice_answers(&info, 200)).lines(BOB), ["200"]);
        assert_eq!((node.count("sip.answered"), node.count("sip.rejected")), (1, 1));
    }
}

/// No service has said yet where the second one goes.
#[test]
fn a_branch_that_nobody_has_decided_about_ends_too() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.policy = Policy::Say(Vec::new());
    assert!(node.receive(ALICE, to_carol(invite())).sent.is_empty());
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200", "487"]);
}

/// What differs in anything else is no branch of it.
#[test]
fn an_invite_that_is_no_branch_of_the_same_is_refused() {
    let (mut node, _, at_carol) = both_ring();
    let third = || to_carol(invite()).replace("z9hG4bKcarol", "z9hG4bKthird");
    let dora = || third().replacen("sip:carol@", "sip:dora@", 1);
    let others = [
        third(),
        dora().replacen(";tag=a", ";tag=x", 1),
        dora().replacen("<sip:alice@", "<sip:mallory@", 1),
        to_carol(invite_with(2, "")).replacen("sip:carol@", "sip:dora@", 1),
    ];
    for other in others {
        assert_eq!(node.receive(ALICE, other).lines(ALICE), ["482"]);
    }
    assert_eq!(node.receive(MALLORY, dora()).lines(MALLORY), ["482"], "of another proxy");
    assert_eq!(node.receive(ALICE, dora()).lines(ALICE), ["100"]);
    node.receive(CAROL, carol_answers(&at_carol, 200));
    let late = dora().replace("z9hG4bKthird", "z9hG4bKfourth").replacen("dora", "emil", 1);
    assert_eq!(node.receive(ALICE, late).lines(ALICE), ["482"], "it is answered");
    assert_eq!(node.count("sip.rejected"), 2);
}

#[test]
fn a_call_id_has_sixteen_branches_at_most() {
    let mut node = Node::for_bob();
    let branch = |number: u32| {
        let other = format!("sip:bob{number}@example.test SIP");
        let message = invite().replacen("sip:bob@example.test SIP", &other, 1);
        message.replace("z9hG4bKinvite1", &format!("z9hG4bK{number}"))
    };
    for number in 0..16 {
        assert!(node.receive(ALICE, branch(number)).lines(ALICE).contains(&"100".to_owned()));
    }
    assert_eq!(node.receive(ALICE, branch(16)).lines(ALICE), ["503"]);
}

/// Alice's INVITE with her credentials for this URI, as one branch of the proxy.
fn with_credentials(nonce: &str, uri: &str) -> String {
    let credentials = Credentials {
        username: "alice".to_owned(),
        realm: "example.test".to_owned(),
        nonce: nonce.to_owned(),
        uri: uri.to_owned(),
        response: String::new(),
        algorithm: Algorithm::Md5,
        qop: Some(QopAuth { nc: "00000001".to_owned(), cnonce: "x".to_owned() }),
        method: "INVITE".to_owned(),
        nonce_fresh: true,
    };
    let response = credentials.expected(&account().ha1);
    let header = format!(
        "Proxy-Authorization: Digest username=\"alice\", realm=\"example.test\", \
         nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", qop=auth, nc=00000001, \
         cnonce=\"x\"\r\n"
    );
    invite_with(2, &header)
}

fn account() -> Account {
    Account::with_password("alice", "example.test", "secret")
}

/// Her credentials name what she has dialled, and both branches go to other URIs. No challenge
/// would help: she would name the same again.
#[test]
fn where_calls_need_an_account_a_branch_must_be_for_what_its_caller_has_dialled() {
    let third = |text: String| to_carol(text).replace("z9hG4bKinvite2", "z9hG4bKthird");
    for (uri, bob, carol) in [
        ("sip:team@example.test", "400", "400"),
        ("sip:bob@example.test", "INVITE", "400"),
        // That of this server may stand for any: then one is let in, once.
        ("sip:198.51.100.1", "INVITE", "407"),
    ] {
        let mut node = Node::new(Policy::Account(account()));
        let challenge = node.receive(ALICE, invite()).only(ALICE);
        let header = parse(&challenge).header(HeaderName::ProxyAuthenticate).map(String::from);
        let nonce = digest::Challenge::parse(&header.expect("a challenge")).expect("digest").nonce;
        node.receive(ALICE, follow_up("ACK", 1));
        let turn = node.receive(ALICE, with_credentials(&nonce, uri));
        let said = turn.lines(ALICE).into_iter().chain(turn.lines(BOB));
        assert_eq!(said.last().as_deref(), Some(bob), "{uri}");
        let turn = node.receive(ALICE, third(with_credentials(&nonce, uri)));
        assert_eq!(turn.lines(ALICE), [carol], "{uri}");
    }
}
