//! Calls that are challenged, cancelled, refused or forked before anybody answers.

mod harness;

use harness::phone::{
    self, ALICE, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, Dialog, answer, bob_answers, follow_up,
    invite, invite_with,
};
use harness::{Node, Policy, Turn, flow, parse};
use resilee_core::{Ingress, ResourceAdaptor, Route};
use resilee_sip_api::{Account, Answered, Ended, Invite, Rejected, SipCommand, Target};
use resilee_sip_proto::{HeaderName, digest};

const CHALLENGE: SipCommand = SipCommand::Challenge {
    realm: String::new(),
    stale: false,
    proxy: true,
    algorithms: Vec::new(),
};

fn refusing(status: u16) -> Node {
    let refuse = SipCommand::Respond { status, reason: String::new(), headers: Vec::new() };
    Node::new(Policy::Say(vec![refuse]))
}

fn for_both() -> Node {
    Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB), (CAROL_CONTACT, CAROL)]))
}

fn carol_answers(request: &str, status: u16) -> Vec<u8> {
    answer(request, status, "c", CAROL_CONTACT)
}

/// What Alice sends after a 407, for her account.
fn authorized_invite(challenged: &str, account: &Account) -> String {
    let header = parse(challenged).header(HeaderName::ProxyAuthenticate).unwrap().into_owned();
    let challenge = digest::Challenge::parse(&header).unwrap();
    let mut credentials = resilee_sip_api::Credentials {
        username: account.user.clone(),
        realm: account.realm.clone(),
        nonce: challenge.nonce,
        uri: "sip:bob@example.test".into(),
        response: String::new(),
        algorithm: resilee_sip_api::Algorithm::Md5,
        qop: None,
        method: "INVITE".into(),
        nonce_fresh: true,
    };
    credentials.response = credentials.expected(&account.ha1);
    let value = digest::Credentials {
        username: credentials.username,
        realm: credentials.realm,
        nonce: credentials.nonce,
        uri: credentials.uri,
        response: credentials.response,
        ..digest::Credentials::default()
    };
    phone::invite_with(2, &format!("Proxy-Authorization: {value}\r\n"))
}

#[test]
fn a_challenged_caller_comes_again_with_credentials_which_go_no_further() {
    let account = Account::with_password("alice", "example.test", "secret");
    let mut node = Node::new(Policy::Say(vec![CHALLENGE]));
    let turn = node.receive(ALICE, invite());
    assert_eq!(turn.lines(ALICE), ["407"]);
    assert_eq!(turn.event::<Rejected>().status, 407);
    assert!(node.receive(ALICE, follow_up("ACK", 1)).sent.is_empty());

    node.policy = Policy::ProxyTo(vec![(BOB_CONTACT, BOB)]);
    let turn = node.receive(ALICE, authorized_invite(&turn.only(ALICE), &account));
    let credentials = turn.event::<Invite>().credentials.expect("credentials");
    assert!(credentials.nonce_fresh && credentials.prove(&account));
    assert_eq!(parse(&turn.only(BOB)).header(HeaderName::ProxyAuthorization), None);
    node.wait(6_000);
    assert_eq!(node.living_activities(), 1, "the challenged one is forgotten");
}

/// RFC 3261 §26.3.2.4: whoever is named as its sender gets one datagram for one.
#[test]
fn what_a_stranger_gets_is_repeated_only_when_it_asks_again() {
    for (status, mut node) in
        [("407", Node::new(Policy::Say(vec![CHALLENGE]))), ("403", refusing(403))]
    {
        assert_eq!(node.receive(ALICE, invite()).lines(ALICE), [status]);
        assert!(node.wait(15_000).sent.is_empty());
        assert_eq!(node.receive(ALICE, invite()).lines(ALICE), [status]);
        assert_eq!(node.take_over().lines(ALICE), [status]);
        assert!(node.wait(32_000).sent.is_empty());
        assert_eq!((node.living_activities(), node.count("sip.rejected")), (0, 1));
    }
}

/// It does not repeat the INVITE any more.
#[test]
fn who_got_a_100_gets_its_challenge_until_it_acknowledges() {
    for dies in [false, true] {
        let mut node = Node::new(Policy::Say(Vec::new()));
        assert!(node.receive(ALICE, invite()).sent.is_empty());
        assert!(node.wait(199).sent.is_empty());
        if dies {
            node.take_over();
        }
        assert_eq!(node.wait(1).lines(ALICE), ["100"]);
        assert_eq!(node.receive(ALICE, invite()).lines(ALICE), ["100"]);
        assert_eq!(node.command(&CHALLENGE).expect("it waits").lines(ALICE), ["407"]);
        assert_eq!(node.wait(500).lines(ALICE), ["407"]);
        node.receive(ALICE, follow_up("ACK", 1));
        assert!(node.wait(32_000).sent.is_empty());
    }
}

#[test]
fn an_old_nonce_is_told_from_a_fresh_one() {
    let account = Account::with_password("alice", "example.test", "secret");
    let mut node = Node::new(Policy::Say(vec![CHALLENGE]));
    let challenged = node.receive(ALICE, invite()).only(ALICE);
    node.receive(ALICE, follow_up("ACK", 1));
    node.wait(301_000);
    let turn = node.receive(ALICE, authorized_invite(&challenged, &account));
    let credentials = turn.event::<Invite>().credentials.expect("credentials");
    assert!(!credentials.nonce_fresh && credentials.prove(&account));
}

#[test]
fn a_refused_caller_gets_the_answer_until_it_acknowledges() {
    let mut node = refusing(404);
    assert_eq!(node.receive(ALICE, invite()).lines(ALICE), ["404"]);
    assert_eq!(node.wait(500).lines(ALICE), ["404"]);
    node.receive(ALICE, follow_up("ACK", 1)).assert_changes_nothing();
    assert!(node.wait(10_000).sent.is_empty());
    assert_eq!((node.living_activities(), node.count("sip.rejected")), (0, 1));
}

#[test]
fn a_call_that_its_services_failed_to_decide_gets_500() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    node.receive(ALICE, invite());
    assert_eq!(node.service_failed().lines(ALICE), ["500"]);
}

#[test]
fn a_call_that_one_service_decided_goes_on_though_another_failed() {
    let mut node = Node::for_bob();
    node.receive(ALICE, invite());
    assert!(node.service_failed().sent.is_empty());
}

#[test]
fn a_busy_callee_is_acknowledged_and_the_caller_told() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let turn = node.receive(BOB, bob_answers(&at_bob, 486));
    assert_eq!((turn.lines(BOB), turn.lines(ALICE)), (vec!["ACK".into()], vec!["486".into()]));
    assert_eq!((turn.event::<Rejected>().status, turn.commits), (486, 1));
    let again = node.receive(BOB, bob_answers(&at_bob, 486));
    assert_eq!(again.lines(BOB), ["ACK"]);
    again.assert_changes_nothing();
    node.receive(ALICE, follow_up("ACK", 1));
    node.wait(33_000);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_ringing_call_is_cancelled() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let turn = node.receive(ALICE, follow_up("CANCEL", 1));
    assert_eq!((turn.lines(ALICE), turn.commits), (vec!["200".to_owned()], 1));
    let cancel = turn.only(BOB);
    assert_eq!(phone::top_branch(&cancel), phone::top_branch(&at_bob));
    let again = node.receive(ALICE, follow_up("CANCEL", 1));
    assert_eq!((again.lines(ALICE), again.lines(BOB).len()), (vec!["200".to_owned()], 0));
    again.assert_changes_nothing();
    assert!(node.receive(BOB, bob_answers(&cancel, 200)).sent.is_empty());
    let turn = node.receive(BOB, bob_answers(&at_bob, 487));
    assert_eq!((turn.lines(BOB), turn.lines(ALICE)), (vec!["ACK".into()], vec!["487".into()]));
    assert_eq!(turn.event::<Rejected>().status, 487);
}

/// Each phone that rings sees the caller's Via, and could write her CANCEL (RFC 3261 §22.1).
#[test]
fn a_cancel_from_another_address_than_the_invites_is_none() {
    let mut node = for_both();
    let turn = node.receive(ALICE, invite());
    node.receive(BOB, bob_answers(&turn.only(BOB), 180));
    node.receive(CAROL, carol_answers(&turn.only(CAROL), 180));
    let forged = node.receive(BOB, follow_up("CANCEL", 1));
    assert_eq!((forged.lines(BOB), forged.sent.len()), (vec!["481".to_owned()], 1));
    forged.assert_changes_nothing();
    // Her NAT may have given her another port.
    let turn = node.receive("192.0.2.10:40777", follow_up("CANCEL", 1));
    assert_eq!(turn.lines("192.0.2.10:40777"), ["200"]);
    assert_eq!(
        (turn.lines(BOB), turn.lines(CAROL)),
        (vec!["CANCEL".into()], vec!["CANCEL".into()])
    );
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response_rfc_3261_9_1() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    assert!(node.receive(ALICE, follow_up("CANCEL", 1)).to(BOB).is_empty());
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 100)).lines(BOB), ["CANCEL"]);
}

#[test]
fn a_cancel_before_any_target_is_answered_at_once() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    node.receive(ALICE, invite());
    let turn = node.receive(ALICE, follow_up("CANCEL", 1));
    assert_eq!(turn.lines(ALICE), ["200", "487"]);
    assert_eq!(turn.event::<Rejected>().status, 487);
    let targets =
        vec![Target { uri: BOB_CONTACT.into(), destination: BOB.into(), ..Target::default() }];
    assert!(node.command(&SipCommand::Proxy { targets }).is_err());
}

#[test]
fn an_answer_that_crosses_the_cancel_is_an_answer() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    node.receive(ALICE, follow_up("CANCEL", 1));
    let turn = node.receive(BOB, bob_answers(&at_bob, 200));
    assert_eq!(turn.lines(ALICE), ["200"]);
    turn.event::<Answered>();
}

#[test]
fn all_targets_ring_and_the_first_answer_cancels_the_rest() {
    let mut node = for_both();
    let turn = node.receive(ALICE, invite());
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    assert_ne!(phone::top_branch(&at_bob), phone::top_branch(&at_carol));
    node.receive(BOB, bob_answers(&at_bob, 180));
    node.receive(CAROL, carol_answers(&at_carol, 180));
    let turn = node.receive(CAROL, carol_answers(&at_carol, 200));
    assert_eq!((turn.lines(BOB), turn.lines(ALICE)), (vec!["CANCEL".into()], vec!["200".into()]));
    let turn = node.receive(BOB, bob_answers(&at_bob, 487));
    assert_eq!((turn.lines(BOB), turn.lines(ALICE).len()), (vec!["ACK".to_owned()], 0));
    assert_eq!(node.history(), ["sip.invite", "sip.progress", "sip.answered"]);
}

#[test]
fn the_best_failure_of_all_targets_goes_to_the_caller() {
    let mut node = for_both();
    let turn = node.receive(ALICE, invite());
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    let turn = node.receive(BOB, bob_answers(&at_bob, 503));
    assert_eq!((turn.lines(ALICE).len(), turn.commits), (0, 1));
    let turn = node.receive(CAROL, carol_answers(&at_carol, 486));
    assert_eq!(turn.lines(ALICE), ["486"]);
    assert_eq!(turn.event::<Rejected>().status, 486);
}

#[test]
fn a_decline_everywhere_cancels_the_rest() {
    let mut node = for_both();
    let turn = node.receive(ALICE, invite());
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    node.receive(CAROL, carol_answers(&at_carol, 180));
    let turn = node.receive(BOB, bob_answers(&at_bob, 603));
    assert_eq!((turn.lines(CAROL), turn.lines(ALICE).len()), (vec!["CANCEL".to_owned()], 0));
    let turn = node.receive(CAROL, carol_answers(&at_carol, 487));
    assert_eq!(turn.lines(ALICE), ["603"]);
}

#[test]
fn two_answers_are_one_answered_call_until_both_dialogs_ended() {
    let mut node = for_both();
    let turn = node.receive(ALICE, invite());
    let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
    let ok = |turn: Turn| Dialog::of(&turn.only(ALICE));
    let with_bob = ok(node.receive(BOB, bob_answers(&at_bob, 200)));
    let turn = node.receive(CAROL, carol_answers(&at_carol, 200));
    assert_eq!((turn.types(), turn.commits), (vec![], 1));
    let with_carol = ok(turn);
    let bye = node.receive(ALICE, with_carol.by_alice("BYE", 2)).only(CAROL);
    assert!(node.receive(CAROL, carol_answers(&bye, 200)).types().is_empty());
    node.wait(9_000);
    let hung_up_at = node.now;
    let bye = node.receive(ALICE, with_bob.by_alice("BYE", 2)).only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&bye, 200)).event::<Ended>().at, hung_up_at);
    assert_eq!(node.count("sip.answered"), 1);
}

/// Nobody would pay for what they talk.
#[test]
fn an_answer_that_comes_when_the_call_is_over_is_ended_with_its_ack() {
    for (acked, dies) in [(true, false), (true, true), (false, true)] {
        let mut node = for_both();
        let turn = node.receive(ALICE, invite());
        let (at_bob, at_carol) = (turn.only(BOB), turn.only(CAROL));
        let ok = |turn: Turn| Dialog::of(&turn.only(ALICE));
        let with_bob = ok(node.receive(BOB, bob_answers(&at_bob, 200)));
        let bye = node.receive(ALICE, with_bob.by_alice("BYE", 2)).only(BOB);
        node.receive(BOB, bob_answers(&bye, 200)).event::<Ended>();
        node.wait(31_000);
        let with_carol = ok(node.receive(CAROL, carol_answers(&at_carol, 200)));
        if dies {
            node.take_over();
        }
        let turn = match acked {
            true => node.receive(ALICE, with_carol.by_alice("ACK", 1)),
            false => node.wait(32_000),
        };
        let ends = |who: &str| turn.to(who).iter().filter(|it| it.starts_with("BYE")).count();
        assert_eq!((ends(ALICE), ends(CAROL)), (1, 1), "{acked} {dies}");
        node.wait(60_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// A proxy in front would go round this server (RFC 3261 §16.7 step 6).
#[test]
fn a_callee_that_is_overloaded_says_nothing_of_this_server() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let busy = String::from_utf8(bob_answers(&at_bob, 503)).expect("text");
    let busy = busy.replacen("Contact:", "Retry-After: 120\r\nContact:", 1);
    let turn = node.receive(BOB, busy);
    let at_alice = turn.only(ALICE);
    assert!(at_alice.starts_with("SIP/2.0 500 Server Internal Error\r\n"), "{at_alice}");
    assert_eq!(parse(&at_alice).header_named("Retry-After"), None);
    assert_eq!(
        (parse(&at_alice).to_tag(), turn.lines(BOB)),
        (Some("b".into()), vec!["ACK".into()])
    );
}

fn breadth(message: &str) -> Vec<String> {
    parse(message).values_named("Max-Breadth").into_iter().map(String::from).collect()
}

/// RFC 5393 §5.3.
#[test]
fn a_request_is_forked_to_as_many_as_it_may_become() {
    for (before, bob, carol) in [
        ("", "30", "30"),
        ("Max-Breadth: 5\r\n", "3", "2"),
        ("Max-Breadth: 4000000000000\r\nMax-Breadth: 2\r\n", "1", "1"),
        ("Max-Breadth: 9, 3\r\n", "2", "1"),
    ] {
        let mut node = for_both();
        let turn = node.receive(ALICE, invite_with(1, before));
        assert_eq!(
            (breadth(&turn.only(BOB)), breadth(&turn.only(CAROL))),
            (vec![bob.into()], vec![carol.into()])
        );
    }
    for value in [0, 1] {
        let mut node = for_both();
        let turn = node.receive(ALICE, invite_with(1, &format!("Max-Breadth: {value}\r\n")));
        assert_eq!((turn.lines(ALICE).last().unwrap().as_str(), turn.to(BOB).len()), ("440", 0));
    }
    let mut node = Node::for_bob();
    let turn = node.receive(ALICE, invite_with(1, "Max-Breadth: 1\r\n"));
    assert_eq!(breadth(&turn.only(BOB)), ["1"]);
}

#[test]
fn a_service_may_say_one_thing_only() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let targets =
        vec![Target { uri: BOB_CONTACT.into(), destination: BOB.into(), ..Target::default() }];
    assert!(node.command(&SipCommand::Proxy { targets }).is_err());
    let respond =
        |status| SipCommand::Respond { status, reason: String::new(), headers: Vec::new() };
    assert!(node.command(&respond(200)).is_err());
    node.receive(BOB, bob_answers(&at_bob, 200));
    assert!(node.command(&respond(486)).is_err());
    assert!(node.command(&CHALLENGE).is_err());
    let mut silent = Node::new(Policy::Say(Vec::new()));
    silent.receive(ALICE, invite());
    let targets = vec![Target {
        uri: BOB_CONTACT.into(),
        destination: "nowhere".into(),
        ..Target::default()
    }];
    assert!(silent.command(&SipCommand::Proxy { targets }).is_err());
    assert_eq!(silent.wait(180_000).lines(ALICE)[..2], ["100", "500"]);
}

#[test]
fn a_call_that_is_refused_while_ringing_stops_ringing() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let refuse = SipCommand::Respond { status: 402, reason: String::new(), headers: Vec::new() };
    let turn = node.command(&refuse).unwrap();
    assert_eq!((turn.lines(BOB), turn.lines(ALICE)), (vec!["CANCEL".into()], vec!["402".into()]));
}

#[test]
fn bad_requests_are_answered_or_dropped_without_a_cell() {
    let mut node = Node::for_bob();
    let answers = [
        (invite().replace("Max-Forwards: 70", "Max-Forwards: 0"), "483"),
        (invite().replace(";tag=a", ""), "400"),
        (invite().replace("Contact:", "X-Contact:"), "400"),
        (phone::invite_with(1, "Proxy-Require: foo, bar\r\n"), "420"),
    ];
    for (message, status) in answers {
        assert_eq!(node.receive(ALICE, &message).lines(ALICE), [status], "{message}");
        assert!(node.receive(ALICE, follow_up("ACK", 1)).sent.is_empty());
    }
    for message in ["\r\n\r\n", "hello", "INVITE sip:b@c SIP/2.0\r\n\r\n"] {
        assert!(node.receive(ALICE, message).sent.is_empty());
    }
    assert!(node.history().is_empty());
}

#[test]
fn a_message_names_its_cohort_in_our_branch_or_our_signed_route() {
    let cohort = |node: &Node, from: &str, message: &str| {
        let ingress = Ingress::new(flow(from), message.into());
        match node.ra.route(node.now, &ingress) {
            Route::Cell { cohort, .. } => cohort.map(|cohort| cohort.0),
            other => panic!("{other:?}"),
        }
    };
    let mut node = Node::for_bob();
    assert_eq!(cohort(&node, ALICE, &invite()), None);
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let ok = String::from_utf8(bob_answers(&at_bob, 200)).unwrap();
    assert_eq!(cohort(&node, BOB, &ok), Some(0xa));
    let ack = Dialog::of(&node.receive(BOB, ok).only(ALICE)).by_alice("ACK", 1);
    assert_eq!(cohort(&node, ALICE, &ack), Some(0xa));
    assert_eq!(cohort(&node, ALICE, &ack.replace("call-1", "call-2")), None);
}
