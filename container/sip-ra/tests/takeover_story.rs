//! A node dies at any step of a call; the survivor goes on with what the backup has.

mod harness;

use harness::own_call::to_bob;
use harness::phone::{self, ALICE, BOB, Dialog, bob_answers, follow_up, invite};
use harness::{Node, Policy, Turn};
use resilee_sip_api::{Ended, PhoneCall, Side, SipCommand};
use resilee_test_kit::kept_records;

/// Bob's phone and Alice's, as far as they get by answering what they are sent.
#[derive(Default)]
struct Phones {
    at_bob: Option<String>,
    dialog: Option<Dialog>,
    bye_at_bob: Option<String>,
}

/// Steps of a call; each is one message at the node.
const STEPS: usize = 8;

impl Phones {
    /// Sends the message of one step, and keeps what comes of it.
    fn step(&mut self, node: &mut Node, step: usize) -> Turn {
        let (from, message) = self.message(step);
        let turn = node.receive(from, message);
        self.keep(step, &turn);
        turn
    }

    fn keep(&mut self, step: usize, turn: &Turn) {
        let last = |address| turn.to(address).pop();
        match step {
            0 => self.at_bob = last(BOB).or(self.at_bob.take()),
            3 => self.dialog = last(ALICE).map(|ok| Dialog::of(&ok)).or(self.dialog.take()),
            6 => self.bye_at_bob = last(BOB).or(self.bye_at_bob.take()),
            _ => {}
        }
    }

    fn message(&self, step: usize) -> (&'static str, Vec<u8>) {
        let at_bob = self.at_bob.as_deref().unwrap_or_default();
        let dialog = || self.dialog.as_ref().expect("a dialog");
        match step {
            0 => (ALICE, invite().into()),
            1 => (BOB, bob_answers(at_bob, 100)),
            2 => (BOB, bob_answers(at_bob, 180)),
            3 => (BOB, bob_answers(at_bob, 200)),
            4 => (ALICE, dialog().by_alice("ACK", 1).into()),
            5 => (BOB, dialog().by_bob("INFO", 1).into()),
            6 => (ALICE, dialog().by_alice("BYE", 2).into()),
            _ => (BOB, bob_answers(self.bye_at_bob.as_deref().expect("a BYE"), 200)),
        }
    }
}

const WHOLE_CALL: [&str; 4] = ["sip.invite", "sip.progress", "sip.answered", "sip.ended"];

#[test]
fn a_call_survives_the_death_of_its_node_after_any_step() {
    for death in 0..STEPS {
        let mut node = Node::for_bob();
        let mut phones = Phones::default();
        for step in 0..STEPS {
            node.wait(100);
            phones.step(&mut node, step);
            if step == death {
                node.take_over();
            }
        }
        assert_eq!(node.history(), WHOLE_CALL, "death after step {death}");
        node.wait(200_000);
        assert_eq!(node.living_activities(), 0, "death after step {death}");
    }
}

/// What earlier versions committed is adopted for ever; a file has the states of one format.
#[test]
fn a_call_of_the_first_format_goes_on() {
    let file = include_str!("kept_states/first.txt");
    for (name, death) in [("invited", 0), ("ringing", 2), ("talking", 5), ("hanging-up", 6)] {
        let mut node = Node::for_bob();
        let mut phones = Phones::default();
        for step in 0..STEPS {
            node.wait(100);
            phones.step(&mut node, step);
            if step == death {
                let state = node.held_state();
                let kept = kept_records::bytes_of(file, name);
                let kept = kept.unwrap_or_else(|| {
                    panic!("not kept yet: add the line\n{}", kept_records::line(name, state))
                });
                *state = with_branches_of(state, kept);
                node.take_over();
            }
        }
        assert_eq!(node.history(), WHOLE_CALL, "{name}");
    }
}

/// The same of a call that a service has begun. Nothing in it is of a client, so its branches are
/// those that are kept.
#[test]
fn a_call_of_our_own_of_the_first_format_goes_on() {
    let file = include_str!("kept_states/own_call.txt");
    for (name, death) in [("calling", 0), ("ringing", 1), ("talking", 2), ("hanging-up", 3)] {
        let mut node = Node::new(Policy::Say(Vec::new()));
        let wanted = PhoneCall { display: String::new(), ..to_bob() };
        let invite = node.call(&wanted).expect("it can be called").only(BOB);
        let mut bye = String::new();
        for step in 0..=4 {
            match step {
                0 => {}
                1 => drop(node.receive(BOB, bob_answers(&invite, 180))),
                2 => drop(node.receive(BOB, bob_answers(&invite, 200))),
                3 => bye = node.command(&SipCommand::HangUp).expect("it is up").our_bye(BOB),
                _ => drop(node.receive(BOB, bob_answers(&bye, 200))),
            }
            if step == death {
                let state = node.held_state();
                let kept = kept_records::bytes_of(file, name);
                *state = kept.unwrap_or_else(|| {
                    panic!("not kept yet: add the line\n{}", kept_records::line(name, state))
                });
                node.take_over();
            }
            node.wait(100);
        }
        let history = ["sip.progress", "sip.answered", "sip.ended"];
        assert_eq!(node.history(), history, "{name}");
        node.wait(200_000);
        assert_eq!(node.living_activities(), 0, "{name}");
    }
}

/// The kept state with the branches that the phones have heard here: a branch is made of the
/// Routes, too, and these have been signed in other ways since.
fn with_branches_of(state: &[u8], mut kept: Vec<u8>) -> Vec<u8> {
    // Cookie, cohort and who sent it; then the Routes.
    const PREFIX: usize = "z9hG4bK-".len() + 16 + "-".len() + 16 + "-".len();
    const BRANCH: usize = PREFIX + 16;
    let branches = |bytes: &[u8]| -> Vec<(usize, Vec<u8>)> {
        let found = bytes.windows(BRANCH).enumerate();
        let ours = found.filter(|(_, branch)| branch.starts_with(b"z9hG4bK-"));
        ours.map(|(at, branch)| (at, branch.to_vec())).collect()
    };
    for (at, old) in branches(&kept) {
        let heard = branches(state).into_iter().find(|(_, it)| it[..PREFIX] == old[..PREFIX]);
        let (_, heard) = heard.expect("the same request was sent on here");
        kept[at..at + BRANCH].copy_from_slice(&heard);
    }
    kept
}

/// Nothing leaves before its commit, so what the dead node did without one never happened: the
/// phones repeat their messages.
#[test]
fn a_phone_that_repeats_after_the_death_is_not_counted_twice() {
    for death in 0..STEPS {
        let mut node = Node::for_bob();
        let mut phones = Phones::default();
        for step in 0..STEPS {
            node.wait(100);
            let first = phones.step(&mut node, step);
            if step == death {
                node.take_over();
                node.wait(400);
                let again = node.receive(phones.message(step).0, phones.message(step).1);
                assert!(again.types().is_empty(), "step {step}");
                same_messages(&first, &again);
            }
        }
        assert_eq!(node.history(), WHOLE_CALL, "death after step {death}");
    }
}

/// Steps whose message a phone repeats until it is answered.
const REPEATED: [usize; 5] = [0, 3, 5, 6, 7];

#[test]
fn what_was_not_committed_happens_when_the_phone_repeats_it() {
    for death in REPEATED {
        let mut node = Node::for_bob();
        let mut phones = Phones::default();
        for step in 0..STEPS {
            node.wait(100);
            if step == death {
                let (from, message) = phones.message(step);
                node.die_before_commit(from, message);
            }
            phones.step(&mut node, step);
        }
        assert_eq!(node.history(), WHOLE_CALL, "death in step {death}");
    }
}

#[test]
fn what_was_committed_but_not_sent_is_sent_by_the_survivor_or_asked_for_again() {
    for death in REPEATED {
        let mut node = Node::for_bob();
        let mut phones = Phones::default();
        for step in 0..STEPS {
            node.wait(100);
            if step == death {
                let (from, message) = phones.message(step);
                let turn = node.die_after_commit(from, message);
                phones.keep(step, &turn);
            }
            phones.step(&mut node, step);
        }
        assert_eq!(node.history(), WHOLE_CALL, "death in step {death}");
        node.wait(200_000);
        assert_eq!(node.living_activities(), 0, "death in step {death}");
    }
}

/// What the survivor sends on for the repeated message is what the dead node sent on.
#[track_caller]
fn same_messages(first: &Turn, again: &Turn) {
    for message in again.to(BOB).iter().filter(|it| phone::is_under_our_via(it)) {
        assert!(first.to(BOB).contains(message), "{message}");
    }
}

#[test]
fn an_unanswered_invite_is_sent_again_at_once_with_the_same_branch() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    assert_eq!(node.take_over().only(BOB), at_bob);
    assert_eq!(node.wait(500).only(BOB), at_bob, "timer A starts anew");
}

#[test]
fn a_request_that_the_survivor_never_heard_of_gets_the_same_branch_again() {
    let mut node = Node::for_bob();
    let mut phones = Phones::default();
    (0..5).for_each(|step| drop(phones.step(&mut node, step)));
    let info = phones.dialog.clone().unwrap().by_alice("INFO", 2);
    let at_bob = node.receive(ALICE, &info).only(BOB);
    assert!(!node.take_over().to(BOB).contains(&at_bob), "it was no commit");
    node.wait(500);
    assert_eq!(node.receive(ALICE, &info).only(BOB), at_bob);
}

#[test]
fn a_bye_in_flight_is_sent_again_and_ends_the_call_when_it_arrived() {
    let mut node = Node::for_bob();
    let mut phones = Phones::default();
    (0..6).for_each(|step| drop(phones.step(&mut node, step)));
    node.wait(60_000);
    let hung_up_at = node.now;
    let bye = phones.step(&mut node, 6).only(BOB);
    node.wait(300);
    assert!(node.take_over().to(BOB).contains(&bye));
    let ended: Ended = node.receive(BOB, bob_answers(&bye, 200)).event();
    assert_eq!((ended.at, ended.by, ended.node.as_str()), (hung_up_at, Side::Caller, "server2"));
}

#[test]
fn a_cancelled_call_is_cancelled_by_the_survivor() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(ALICE, follow_up("CANCEL", 1));
    assert_eq!(node.take_over().only(BOB), at_bob);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 180)).lines(BOB), ["CANCEL"]);
    let turn = node.receive(BOB, bob_answers(&at_bob, 487));
    assert_eq!(turn.lines(ALICE), ["487"]);
    assert_eq!(node.count("sip.rejected"), 1);
}

#[test]
fn a_failure_that_was_not_acknowledged_is_repeated_by_the_survivor() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 486));
    assert_eq!(node.take_over().lines(ALICE), ["486"]);
    let again = node.receive(BOB, bob_answers(&at_bob, 486));
    assert_eq!(again.lines(BOB), ["ACK"]);
    again.assert_changes_nothing();
    node.receive(ALICE, follow_up("ACK", 1));
    node.wait(33_000);
    assert_eq!((node.living_activities(), node.count("sip.rejected")), (0, 1));
}

#[test]
fn a_reinvite_in_flight_goes_on() {
    let mut node = Node::for_bob();
    let mut phones = Phones::default();
    (0..5).for_each(|step| drop(phones.step(&mut node, step)));
    let dialog = phones.dialog.clone().unwrap();
    let at_bob = node.receive(ALICE, dialog.by_alice("INVITE", 2)).only(BOB);
    assert!(node.take_over().to(BOB).contains(&at_bob));
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
    node.receive(ALICE, dialog.by_alice("ACK", 2)).only(BOB);
}

#[test]
fn a_state_that_cannot_be_read_is_refused() {
    use resilee_core::{Adoption, Endpoint, ResourceAdaptor};
    use resilee_sbb::{ActivityId, CellId, CohortId};
    let mut node = Node::for_bob();
    let cell = CellId { cohort: CohortId(1), number: 1 };
    let mut endpoint = Endpoint::new(node.now, "server1", cell, 1);
    let activity = ActivityId { cell, number: 0 };
    assert!(node.ra.adopt(&mut endpoint, activity, b"not a state", Adoption::Takeover).is_err());
}
