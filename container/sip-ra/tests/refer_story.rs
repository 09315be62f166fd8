//! REFER within a call (RFC 3515): the subscription that it makes outlives the call, whose bill is
//! not held up by it. Each also at the node that takes over.

mod harness;

use harness::phone::{
    ALICE, BOB, Dialog, alice_answers, answered_call, bob_answers, follow_up, invite, invite_with,
};
use harness::{Node, parse};
use resilee_sip_api::{Ended, Side};
use resilee_test_kit::kept_records;

const MALLORY: &str = "203.0.113.66:5060";

/// As long as anybody repeats anything of a call that is over, and behind it.
const LONG: u64 = 70_000;

/// The same, and no subscription is left.
const LONGEST_MS: u64 = 600_000 + LONG;

const REFER: &str = "Refer-To: <sip:carol@example.test>\r\n";

/// A request of a phone with further headers.
fn with(request: String, headers: &str) -> String {
    request.replacen("Content-Length", &format!("{headers}Content-Length"), 1)
}

/// Bob says how far he is.
fn notify(dialog: &Dialog, cseq: u32, event: &str, state: &str) -> String {
    let headers = format!("Event: {event}\r\nSubscription-State: {state}\r\n");
    with(dialog.by_bob("NOTIFY", cseq), &headers)
}

/// It reaches Alice, and her answer Bob.
#[track_caller]
fn passes(node: &mut Node, notify: &str, status: u16) {
    let at_alice = node.receive(BOB, notify).only(ALICE);
    assert_eq!(parse(&at_alice).method(), Some("NOTIFY"));
    let back = node.receive(ALICE, alice_answers(&at_alice, status));
    assert_eq!(back.lines(BOB), [status.to_string()]);
}

/// Alice refers Bob to Carol, and he accepts.
#[track_caller]
fn refer(node: &mut Node, dialog: &Dialog, cseq: u32) {
    let at_bob = node.receive(ALICE, with(dialog.by_alice("REFER", cseq), REFER)).only(BOB);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 202)).lines(ALICE), ["202"]);
}

/// Alice hangs up, which ends the bill at once.
#[track_caller]
fn hang_up(node: &mut Node, dialog: &Dialog, cseq: u32) {
    let hung_up_at = node.now;
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", cseq)).only(BOB);
    let turn = node.receive(BOB, bob_answers(&at_bob, 200));
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller));
}

/// Alice has referred Bob, heard that he tries, and hung up; nobody repeats anything any more.
fn referred() -> (Node, Dialog) {
    let (mut node, dialog) = just_referred();
    assert!(node.wait(LONG).sent.is_empty());
    (node, dialog)
}

/// She has hung up just now.
fn just_referred() -> (Node, Dialog) {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    refer(&mut node, &dialog, 2);
    passes(&mut node, &notify(&dialog, 1, "refer", "active;expires=60"), 200);
    hang_up(&mut node, &dialog, 3);
    (node, dialog)
}

/// The node dies right behind the BYE, when nothing else is left of the call, or not at all.
#[test]
fn who_refers_and_hangs_up_hears_by_notify_what_became_of_it() {
    for (dies_at_once, dies) in [(false, false), (true, false), (false, true), (true, true)] {
        let (mut node, dialog) = just_referred();
        if dies_at_once {
            node.take_over();
        }
        assert!(node.wait(LONG).to(BOB).is_empty());
        if dies {
            assert!(node.take_over().sent.is_empty());
        }
        passes(&mut node, &notify(&dialog, 2, "refer", "active;expires=60"), 200);
        node.wait(120_000);
        if dies {
            node.take_over();
        }
        let last = notify(&dialog, 3, "refer", "terminated;reason=noresource");
        passes(&mut node, &last, 200);
        assert_eq!(node.receive(BOB, &last).lines(BOB), ["200"], "a retransmission");
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
        let late = notify(&dialog, 4, "refer", "terminated;reason=noresource");
        assert_eq!(node.receive(BOB, late).lines(BOB), ["481"]);
        assert_eq!(node.history(), ["sip.invite", "sip.answered", "sip.ended"]);
    }
}

/// The node dies with the 202, or the last NOTIFY: who has no answer says it again.
#[test]
fn what_was_not_held_is_said_again() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let refer = with(dialog.by_alice("REFER", 2), REFER);
    let at_bob = node.receive(ALICE, &refer).only(BOB);
    node.die_before_commit(BOB, bob_answers(&at_bob, 202));
    let again = node.receive(ALICE, &refer).only(BOB);
    assert_eq!(again, at_bob, "a retransmission to Bob");
    let accepted = node.receive(BOB, bob_answers(&again, 202));
    assert_eq!((accepted.lines(ALICE), accepted.commits), (vec!["202".to_owned()], 1));
    hang_up(&mut node, &dialog, 3);
    node.wait(LONG);
    let last = notify(&dialog, 1, "refer", "terminated");
    let at_alice = node.receive(BOB, &last).only(ALICE);
    node.die_before_commit(ALICE, alice_answers(&at_alice, 200));
    passes(&mut node, &last, 200);
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_subscription_that_nobody_ends_is_over_ten_minutes_after_the_call() {
    for dies in [false, true] {
        let (mut node, dialog) = referred();
        node.wait(600_000 - LONG - 1);
        if dies {
            node.take_over();
        }
        passes(&mut node, &notify(&dialog, 2, "refer", "active;expires=60"), 200);
        node.wait(1);
        assert_eq!(node.receive(BOB, notify(&dialog, 3, "refer", "active")).lines(BOB), ["481"]);
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
        assert_eq!(node.receive(BOB, notify(&dialog, 4, "refer", "active")).lines(BOB), ["481"]);
    }
}

/// The call is over: nothing begins anew by its Route.
#[test]
fn nothing_else_goes_by_the_route_of_a_call_that_is_over() {
    let (mut node, dialog) = referred();
    for method in ["INVITE", "UPDATE", "INFO", "MESSAGE", "REFER", "OPTIONS", "BYE", "PRACK"] {
        let turn = node.receive(ALICE, dialog.by_alice(method, 4));
        assert_eq!((turn.lines(ALICE), turn.sent.len()), (vec!["481".to_owned()], 1), "{method}");
        assert_eq!(node.receive(BOB, dialog.by_bob(method, 4)).lines(BOB), ["481"], "{method}");
    }
    assert!(node.receive(ALICE, dialog.by_alice("ACK", 1)).sent.is_empty());
    let presence = notify(&dialog, 5, "presence", "active");
    assert_eq!(node.receive(BOB, presence).lines(BOB), ["481"]);
    let without_event = dialog.by_bob("NOTIFY", 6);
    assert_eq!(node.receive(BOB, without_event).lines(BOB), ["481"]);
    let backwards = with(dialog.by_alice("NOTIFY", 7), "Event: refer\r\n");
    assert_eq!(node.receive(ALICE, backwards).lines(ALICE), ["481"], "Bob has referred nobody");
    let of_another = notify(&dialog, 8, "refer;id=9", "active");
    assert_eq!(node.receive(BOB, of_another).lines(BOB), ["481"]);
    let stranger = notify(&dialog, 9, "refer", "active");
    assert_eq!(node.receive(MALLORY, stranger).lines(MALLORY), ["403"]);
    assert_eq!(node.receive(ALICE, invite_with(9, "")).lines(ALICE), ["482"], "one bill");
    // It is hers to prolong or to end (RFC 3515 §2.4.4).
    let subscribe = with(dialog.by_alice("SUBSCRIBE", 10), "Event: refer\r\nExpires: 60\r\n");
    assert_eq!(node.receive(ALICE, subscribe).lines(BOB), ["SUBSCRIBE"]);
    let his = with(dialog.by_bob("SUBSCRIBE", 10), "Event: refer\r\nExpires: 60\r\n");
    assert_eq!(node.receive(BOB, his).lines(BOB), ["481"]);
    assert_eq!(node.history(), ["sip.invite", "sip.answered", "sip.ended"]);
}

#[test]
fn a_refer_that_makes_no_subscription_keeps_nothing() {
    // RFC 4488: accepted, and Bob will not notify.
    let without = "Refer-Sub: false\r\nContact";
    for (status, contact) in [(603, "Contact"), (481, "Contact"), (202, without)] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let at_bob = node.receive(ALICE, with(dialog.by_alice("REFER", 2), REFER)).only(BOB);
        let answer = String::from_utf8(bob_answers(&at_bob, status)).expect("text");
        node.receive(BOB, answer.replacen("Contact", contact, 1));
        hang_up(&mut node, &dialog, 3);
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0, "{status} {contact}");
        let strayed = notify(&dialog, 2, "refer", "terminated");
        assert_eq!(node.receive(BOB, strayed).lines(BOB), ["481"]);
    }
}

#[test]
fn a_subscription_that_ends_before_the_call_keeps_nothing() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    refer(&mut node, &dialog, 2);
    passes(&mut node, &notify(&dialog, 1, "refer", "terminated;reason=noresource"), 200);
    hang_up(&mut node, &dialog, 3);
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0);
}

/// RFC 6665 §4.1.2.4.
#[test]
fn a_last_notify_that_overtakes_the_202_ends_the_subscription() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE, with(dialog.by_alice("REFER", 2), REFER)).only(BOB);
    passes(&mut node, &notify(&dialog, 1, "refer;id=2", "Terminated ;reason=noresource"), 200);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 202)).lines(ALICE), ["202"]);
    hang_up(&mut node, &dialog, 3);
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0);
}

/// RFC 3515 §2.4.6: the CSeq number of its REFER tells each from the others.
#[test]
fn of_two_subscriptions_each_ends_by_its_own_notify() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    refer(&mut node, &dialog, 2);
    refer(&mut node, &dialog, 3);
    hang_up(&mut node, &dialog, 4);
    node.wait(LONG);
    passes(&mut node, &notify(&dialog, 1, "refer;id=3", "terminated"), 200);
    node.take_over();
    let again = notify(&dialog, 2, "refer;id=3", "terminated");
    assert_eq!(node.receive(BOB, again).lines(BOB), ["481"], "that one is over");
    passes(&mut node, &notify(&dialog, 3, "refer;id=2", "terminated"), 200);
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0);
}

/// RFC 6665 §4.2.2: it comes again.
#[test]
fn a_last_notify_that_is_not_accepted_may_come_again() {
    for (status, is_over) in [(401, false), (407, false), (503, false), (481, true)] {
        let (mut node, dialog) = referred();
        let refused = notify(&dialog, 2, "refer", "terminated");
        let at_alice = node.receive(BOB, refused).only(ALICE);
        node.receive(ALICE, alice_answers(&at_alice, status));
        let again = node.receive(BOB, notify(&dialog, 3, "refer", "terminated"));
        assert_eq!(again.lines(BOB) == ["481"], is_over, "{status}");
        assert_eq!(again.lines(ALICE) == ["NOTIFY"], !is_over, "{status}");
    }
}

/// Beyond eight the oldest is forgotten.
#[test]
fn a_call_keeps_eight_subscriptions() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    (2..=10).for_each(|cseq| refer(&mut node, &dialog, cseq));
    hang_up(&mut node, &dialog, 11);
    node.wait(LONG);
    let of = |id: u32| notify(&dialog, id, &format!("refer;id={id}"), "active");
    assert_eq!(node.receive(BOB, of(2)).lines(BOB), ["481"]);
    (3..=10).for_each(|id| passes(&mut node, &of(id), 200));
    node.wait(LONGEST_MS);
    assert_eq!(node.living_activities(), 0);
}

/// Before Bob answers, Alice refers him, and her call fails; she calls again with the same Call-ID,
/// and Bob's phone has one To tag for both.
fn called_again_while_a_subscription_is_left() -> (Node, Dialog) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let early = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 183)).only(ALICE));
    refer(&mut node, &early, 2);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 486)).lines(ALICE), ["486"]);
    node.receive(ALICE, follow_up("ACK", 1));
    node.wait(LONG);
    let at_bob = node.receive(ALICE, invite_with(3, "")).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
    (node, dialog)
}

#[test]
fn a_failed_call_that_a_subscription_keeps_takes_nothing_of_the_next_call() {
    for dies in [false, true] {
        let (mut node, dialog) = called_again_while_a_subscription_is_left();
        if dies {
            node.take_over();
        }
        assert_eq!(node.receive(ALICE, dialog.by_alice("ACK", 3)).lines(BOB), ["ACK"]);
        let info = node.receive(BOB, dialog.by_bob("INFO", 1)).only(ALICE);
        assert_eq!(node.receive(ALICE, alice_answers(&info, 200)).lines(BOB), ["200"]);
        hang_up(&mut node, &dialog, 4);
    }
}

#[test]
fn a_notify_of_a_failed_call_finds_its_subscription_beside_the_next_call() {
    let (mut node, dialog) = called_again_while_a_subscription_is_left();
    passes(&mut node, &notify(&dialog, 1, "refer;id=2", "terminated"), 200);
    node.wait(LONG);
    assert_eq!(node.living_activities(), 1, "the next call alone");
}

/// States of three moments of a call with a subscription.
fn moments() -> Vec<(&'static str, Node, Dialog)> {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let at_bob = node.receive(ALICE, with(dialog.by_alice("REFER", 2), REFER)).only(BOB);
    // A BYE makes a commit while the REFER waits.
    let (mut referring, beside) = (Node::for_bob(), dialog.clone());
    answered_call(&mut referring);
    referring.receive(ALICE, with(beside.by_alice("REFER", 2), REFER));
    referring.receive(ALICE, beside.by_alice("BYE", 3));
    node.receive(BOB, bob_answers(&at_bob, 202));
    let (over, ended) = referred();
    vec![("referring", referring, beside), ("referred", node, dialog), ("over", over, ended)]
}

/// What earlier versions committed is adopted for ever; a file has the states of one format.
#[test]
fn a_call_with_a_subscription_of_the_first_format_goes_on() {
    let file = include_str!("kept_states/refer.txt");
    for (name, mut node, dialog) in moments() {
        let state = node.held_state();
        let kept = kept_records::bytes_of(file, name);
        *state = kept.unwrap_or_else(|| {
            panic!("not kept yet: add the line\n{}", kept_records::line(name, state))
        });
        node.take_over();
        passes(&mut node, &notify(&dialog, 5, "refer;id=2", "terminated"), 200);
        node.wait(LONGEST_MS);
        assert_eq!(node.living_activities(), usize::from(name == "referred"), "{name}");
    }
}

/// A state of the file in which these bytes, which are there once, are others.
fn lie(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let state = kept_records::bytes_of(include_str!("kept_states/refer.txt"), name).expect(name);
    let found: Vec<_> = (0..state.len()).filter(|at| state[*at..].starts_with(from)).collect();
    assert_eq!(found.len(), 1, "{name}: {from:?}");
    [&state[..found[0]], to, &state[found[0] + from.len()..]].concat()
}

/// The call alone goes on, or what is left of it ends.
#[test]
fn a_subscription_that_cannot_be_is_not_adopted_and_is_counted() {
    let moment = b"since\xce\x3b\x9a\xca\x00";
    let far_future = b"since\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
    for (from, to) in [
        (&moment[..], &far_future[..]),
        (b"tag\xa1b\xa8referrer", b"tag\xa1x\xa8referrer"),
        (b"referrer\xa6Caller", b"referrer\xa6Server"),
    ] {
        for name in ["referring", "over"] {
            let (_, mut node, dialog) =
                moments().into_iter().find(|it| it.0 == name).expect("a moment");
            *node.held_state() = lie(name, from, to);
            assert_eq!(node.take_over().refused, ["subscription that cannot be"], "{name}");
            let late = notify(&dialog, 5, "refer;id=2", "active");
            assert_eq!(node.receive(BOB, late).lines(BOB) == ["481"], name == "over");
            node.wait(LONG);
            assert_eq!(node.living_activities(), 0, "{name}");
        }
    }
}

#[test]
fn of_more_subscriptions_than_a_call_keeps_a_survivor_forgets_the_oldest() {
    let (_, mut node, dialog) = moments().into_iter().find(|it| it.0 == "over").expect("a moment");
    let state = node.held_state().clone();
    let name = b"subscriptions\x91";
    let at = state.windows(name.len()).position(|it| it == name).expect("one of them") + name.len();
    let (one, nine) = (&state[at..], &state[..at - 1]);
    let others = (3..=10).map(|id| {
        let mut other = one.to_vec();
        let at = other.windows(4).position(|it| it == b"\xa2id\x02").expect("its id") + 3;
        other[at] = id;
        other
    });
    let all: Vec<_> = std::iter::once(one.to_vec()).chain(others).collect();
    *node.held_state() = [nine, &[0x99], &all.concat()].concat();
    assert_eq!(node.take_over().refused, ["subscription that cannot be"]);
    let of = |id: u32| notify(&dialog, id, &format!("refer;id={id}"), "active");
    assert_eq!(node.receive(BOB, of(2)).lines(BOB), ["481"]);
    (3..=10).for_each(|id| passes(&mut node, &of(id), 200));
}

/// The core raises an alarm of it, and the call is over.
#[test]
fn a_state_whose_subscription_is_no_record_is_refused() {
    for (name, from, to) in [
        ("referring", &b"role\xa6Begins"[..], &b"role\xa6Nobody"[..]),
        ("over", b"referrer\xa6Caller", b"referrer\xa6Nobody"),
        ("over", b"\xa2id\x02", b"\xa2id\xff"),
        ("over", b"tag\xa1b\xa8referrer", b"tag\xc2\xa8referrer"),
        ("over", b"since\xce\x3b\x9a\xca\x00", b"since\xa4long"),
    ] {
        let (_, mut node, _) = moments().into_iter().find(|it| it.0 == name).expect("a moment");
        *node.held_state() = lie(name, from, to);
        assert!(node.try_to_take_over().is_err(), "{name}: {to:?}");
    }
}

/// An attended transfer (RFC 3891, RFC 5589): whose call it replaces its receiver finds by these.
#[test]
fn what_an_invite_replaces_goes_on_as_it_came() {
    let replaces = "Replaces: call-2;to-tag=c;from-tag=b\r\nRequire: replaces\r\n";
    let referred_by = "Referred-By: <sip:bob@example.test>\r\n";
    let mut node = Node::for_bob();
    let invite = invite_with(1, &format!("{replaces}{referred_by}"));
    let at_bob = node.receive(ALICE, invite).only(BOB);
    assert!(at_bob.contains(replaces) && at_bob.contains(referred_by), "{at_bob}");
    assert_eq!(parse(&at_bob).call_id(), "call-1");
}
