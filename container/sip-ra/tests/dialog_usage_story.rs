//! SUBSCRIBE within a call, of any event package: the subscription shares the call's dialog and
//! outlives the call (RFC 6665 §4.5.2, RFC 5057), whose bill is not held up by it. Each also at the
//! node that takes over.

mod harness;

use harness::phone::{ALICE, BOB, Dialog, alice_answers, answered_call, bob_answers};
use harness::{Node, parse};
use resilee_sip_api::{Ended, Side};
use resilee_test_kit::kept_records;

/// As long as anybody repeats anything of a call that is over, and behind it.
const LONG: u64 = 70_000;

const HOUR_MS: u64 = 3_600_000;

/// A request of a phone with further headers.
fn with(request: String, headers: &str) -> String {
    request.replacen("Content-Length", &format!("{headers}Content-Length"), 1)
}

fn subscribe(dialog: &Dialog, cseq: u32, event: &str, expires_s: u32) -> String {
    let headers = format!("Event: {event}\r\nExpires: {expires_s}\r\n");
    with(dialog.by_alice("SUBSCRIBE", cseq), &headers)
}

/// Alice subscribes, and Bob accepts it for so long.
#[track_caller]
fn subscribes(node: &mut Node, dialog: &Dialog, cseq: u32, (event, expires_s): (&str, u32)) {
    let at_bob = node.receive(ALICE, subscribe(dialog, cseq, event, expires_s)).only(BOB);
    let ok = String::from_utf8(bob_answers(&at_bob, 200)).expect("text");
    let ok = ok.replacen("Contact:", &format!("Expires: {expires_s}\r\nContact:"), 1);
    assert_eq!(node.receive(BOB, ok).lines(ALICE), ["200"]);
}

fn notify(dialog: &Dialog, cseq: u32, event: &str, state: &str) -> String {
    let headers = format!("Event: {event}\r\nSubscription-State: {state}\r\n");
    with(dialog.by_bob("NOTIFY", cseq), &headers)
}

/// It reaches Alice, and her answer Bob.
#[track_caller]
fn passes(node: &mut Node, notify: &str) {
    let at_alice = node.receive(BOB, notify).only(ALICE);
    assert_eq!(parse(&at_alice).method(), Some("NOTIFY"));
    assert_eq!(node.receive(ALICE, alice_answers(&at_alice, 200)).lines(BOB), ["200"]);
}

#[track_caller]
fn is_refused(node: &mut Node, notify: &str) {
    assert_eq!(node.receive(BOB, notify).lines(BOB), ["481"]);
}

/// Alice hangs up, which ends the bill at once.
#[track_caller]
fn hang_up(node: &mut Node, dialog: &Dialog, cseq: u32) {
    let hung_up_at = node.now;
    let at_bob = node.receive(ALICE, dialog.by_alice("BYE", cseq)).only(BOB);
    let ended: Ended = node.receive(BOB, bob_answers(&at_bob, 200)).event();
    assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller));
}

/// Alice has subscribed to this, and hung up; nobody repeats anything any more.
fn subscribed(event: &str, expires_s: u32) -> (Node, Dialog) {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    subscribes(&mut node, &dialog, 2, (event, expires_s));
    passes(&mut node, &notify(&dialog, 1, event, "active"));
    hang_up(&mut node, &dialog, 3);
    assert!(node.wait(LONG).sent.is_empty());
    (node, dialog)
}

#[test]
fn a_subscription_outlives_its_call_until_its_last_notify() {
    for (event, dies) in [("conference", false), ("dialog", true), ("presence;id=7", true)] {
        let (mut node, dialog) = subscribed(event, 3600);
        if dies {
            node.take_over();
        }
        passes(&mut node, &notify(&dialog, 2, event, "active;expires=3000"));
        is_refused(&mut node, &notify(&dialog, 3, "message-summary", "active"));
        is_refused(&mut node, &notify(&dialog, 4, &format!("{event}8"), "active"));
        passes(&mut node, &notify(&dialog, 5, event, "terminated;reason=noresource"));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
        is_refused(&mut node, &notify(&dialog, 6, event, "active"));
        assert_eq!(node.history(), ["sip.invite", "sip.answered", "sip.ended"]);
    }
}

/// Nothing else goes by the Route of a call that is over, nor does a subscription begin there.
#[test]
fn a_call_that_is_over_takes_no_further_subscription() {
    let (mut node, dialog) = subscribed("conference", 3600);
    let another = subscribe(&dialog, 4, "presence", 3600);
    assert_eq!(node.receive(ALICE, another).lines(ALICE), ["481"]);
    for method in ["INVITE", "MESSAGE", "REFER", "OPTIONS", "BYE"] {
        let refused = node.receive(ALICE, dialog.by_alice(method, 5));
        assert_eq!(refused.lines(ALICE), ["481"], "{method}");
    }
    let backwards = with(dialog.by_alice("NOTIFY", 6), "Event: conference\r\n");
    assert_eq!(node.receive(ALICE, backwards).lines(ALICE), ["481"], "Bob has not subscribed");
}

/// As long as its 2xx says, and as long as a NOTIFY of its end may be repeated.
#[test]
fn a_subscription_that_nobody_prolongs_is_over_when_it_expires() {
    for dies in [false, true] {
        let (mut node, dialog) = subscribed("conference", 600);
        node.wait(600_000 - LONG + 31_000);
        if dies {
            node.take_over();
        }
        passes(&mut node, &notify(&dialog, 2, "conference", "active"));
        node.wait(1_000);
        is_refused(&mut node, &notify(&dialog, 3, "conference", "active"));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
    }
}

#[test]
fn a_subscription_that_is_prolonged_goes_on_for_an_hour_at_most() {
    for dies in [false, true] {
        let (mut node, dialog) = subscribed("dialog", 1200);
        let ended_at = node.now;
        for cseq in 4..7 {
            node.wait(HOUR_MS / 4);
            if dies {
                node.take_over();
            }
            subscribes(&mut node, &dialog, cseq, ("dialog", 1200));
            passes(&mut node, &notify(&dialog, cseq, "dialog", "active"));
        }
        // The other end says for how long: a week is no longer.
        subscribes(&mut node, &dialog, 26, ("dialog", 604_800));
        let left_ms = HOUR_MS - u64::try_from(node.now.since(ended_at).as_millis()).unwrap();
        node.wait(left_ms - LONG - 1);
        passes(&mut node, &notify(&dialog, 30, "dialog", "active"));
        node.wait(1);
        is_refused(&mut node, &notify(&dialog, 31, "dialog", "active"));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
    }
}

/// RFC 6665 §4.1.2.3: the last NOTIFY comes behind the 200.
#[test]
fn who_unsubscribes_hears_the_last_notify() {
    for dies in [false, true] {
        let (mut node, dialog) = subscribed("presence", 3600);
        subscribes(&mut node, &dialog, 4, ("presence", 0));
        if dies {
            node.take_over();
        }
        passes(&mut node, &notify(&dialog, 2, "presence", "terminated"));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
    }
}

/// The NOTIFY overtakes the answers (§4.1.2.4), and nobody is kept for what is over.
#[test]
fn a_200_behind_the_last_notify_begins_nothing_again() {
    for is_over in [false, true] {
        let (mut node, dialog) = match is_over {
            true => subscribed("presence", 3600),
            false => {
                let mut node = Node::for_bob();
                let dialog = answered_call(&mut node);
                (node, dialog)
            }
        };
        let at_bob = node.receive(ALICE, subscribe(&dialog, 4, "presence", 0)).only(BOB);
        passes(&mut node, &notify(&dialog, 2, "presence", "terminated"));
        assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
        if !is_over {
            hang_up(&mut node, &dialog, 5);
        }
        node.wait(1);
        is_refused(&mut node, &notify(&dialog, 3, "presence", "active"));
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0);
    }
}

#[test]
fn a_subscribe_that_is_refused_or_forgotten_keeps_nothing() {
    for status in [489, 481, 403] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        let at_bob = node.receive(ALICE, subscribe(&dialog, 2, "dialog", 600)).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, status));
        hang_up(&mut node, &dialog, 3);
        node.wait(LONG);
        assert_eq!(node.living_activities(), 0, "{status}");
    }
    let (mut node, dialog) = subscribed("conference", 600);
    let at_bob = node.receive(ALICE, subscribe(&dialog, 4, "conference", 600)).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 481));
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0, "he knows of none");
}

/// Beyond eight the oldest is forgotten; those of REFERs are counted by themselves.
#[test]
fn a_call_keeps_eight_subscriptions_besides_those_of_refers() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    for cseq in 2..=9 {
        let refer_to = "Refer-To: <sip:carol@example.test>\r\n";
        let at_bob = node.receive(ALICE, with(dialog.by_alice("REFER", cseq), refer_to)).only(BOB);
        node.receive(BOB, bob_answers(&at_bob, 202));
    }
    let event = |id: u32| format!("presence;id={id}");
    (10..=18).for_each(|id| subscribes(&mut node, &dialog, id, (&event(id), 3600)));
    hang_up(&mut node, &dialog, 19);
    node.wait(LONG);
    node.take_over();
    is_refused(&mut node, &notify(&dialog, 1, &event(10), "active"));
    (11..=18).for_each(|id| passes(&mut node, &notify(&dialog, id, &event(id), "active")));
    (2..=9).for_each(|id| {
        passes(&mut node, &notify(&dialog, 20 + id, &format!("refer;id={id}"), "active"));
    });
}

/// It goes on as within the call, and ends with that.
#[test]
fn an_event_that_is_too_long_to_be_kept_ends_with_the_call() {
    let event = format!("presence;id={}", "7".repeat(128));
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    subscribes(&mut node, &dialog, 2, (&event, 3600));
    passes(&mut node, &notify(&dialog, 1, &event, "active"));
    hang_up(&mut node, &dialog, 3);
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0);
}

/// What versions committed is adopted for ever.
#[test]
fn a_call_with_a_subscription_of_the_first_format_goes_on() {
    let file = include_str!("kept_states/subscription.txt");
    let (mut node, dialog) = subscribed("conference;id=1", 3600);
    let state = node.held_state();
    let kept = kept_records::bytes_of(file, "subscribed");
    *state = kept.unwrap_or_else(|| {
        panic!("not kept yet: add the line\n{}", kept_records::line("subscribed", state))
    });
    node.take_over();
    passes(&mut node, &notify(&dialog, 5, "conference;id=1", "terminated"));
    node.wait(LONG);
    assert_eq!(node.living_activities(), 0);
}

#[test]
fn a_subscription_that_cannot_be_is_not_adopted_and_is_counted() {
    let file = include_str!("kept_states/subscription.txt");
    for (from, to) in [
        (&b"since\xce\x3b\x9a\xca\x00"[..], &b"since\xcf\xff\xff\xff\xff\xff\xff\xff\xff"[..]),
        (b"lasts_s\xcd\x0e\x10", b"lasts_s\xce\x0e\x10\x00\x00"),
        (b"event\xafconference;id=1", &[&b"event\xda\x01\x00"[..], &[b'x'; 256]].concat()),
    ] {
        let state = kept_records::bytes_of(file, "subscribed").expect("kept");
        let found: Vec<_> = (0..state.len()).filter(|at| state[*at..].starts_with(from)).collect();
        assert_eq!(found.len(), 1, "{from:?}");
        let (mut node, dialog) = subscribed("conference;id=1", 3600);
        *node.held_state() = [&state[..found[0]], to, &state[found[0] + from.len()..]].concat();
        assert_eq!(node.take_over().refused, ["subscription that cannot be"]);
        is_refused(&mut node, &notify(&dialog, 5, "conference;id=1", "active"));
    }
}

/// Of more than eight the one that was refreshed longest ago goes, and none for one that expired.
#[test]
fn what_was_refreshed_last_is_kept_and_what_expired_is_not_counted() {
    let event = |id: u32| format!("presence;id={id}");
    for (lasts_s, forgotten) in [(3600, 11), (60, 12)] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        subscribes(&mut node, &dialog, 10, (&event(10), 3600));
        subscribes(&mut node, &dialog, 11, (&event(11), lasts_s));
        node.wait(1);
        (12..=17).for_each(|id| subscribes(&mut node, &dialog, id, (&event(id), 3600)));
        node.wait(100_000);
        subscribes(&mut node, &dialog, 18, (&event(10), 3600));
        subscribes(&mut node, &dialog, 19, (&event(19), 3600));
        if lasts_s == 60 {
            subscribes(&mut node, &dialog, 20, (&event(20), 3600));
        }
        hang_up(&mut node, &dialog, 21);
        node.wait(LONG);
        node.take_over();
        is_refused(&mut node, &notify(&dialog, 9, &event(11), "active"));
        is_refused(&mut node, &notify(&dialog, 10, &event(forgotten), "active"));
        passes(&mut node, &notify(&dialog, 11, &event(10), "active"));
        (13..=17).for_each(|id| passes(&mut node, &notify(&dialog, id, &event(id), "active")));
        passes(&mut node, &notify(&dialog, 19, &event(19), "active"));
    }
}

#[test]
fn an_operator_ends_what_a_subscription_keeps() {
    let (mut node, dialog) = subscribed("conference", 3600);
    node.end();
    assert_eq!(node.living_activities(), 0);
    is_refused(&mut node, &notify(&dialog, 2, "conference", "active"));
}
