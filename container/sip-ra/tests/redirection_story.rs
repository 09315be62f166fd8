//! A service redirects a call that rings: the old targets are cancelled, new ones ring, and whoever
//! answers first has it.

mod harness;

use harness::phone::{
    ALICE, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, Dialog, answer, bob_answers, follow_up, invite,
    invite_with, top_branch,
};
use harness::{Node, Policy, Turn, parse};
use resilee_sip_api::{Diversion, DiversionReason, Ended, Rejected, Side, SipCommand, Target};
use resilee_sip_proto::HeaderName;

const TO_BOB: &str = "<sip:bob@example.test>;reason=no-answer";
const DAVE: (&str, &str) = ("sip:dave@192.0.2.40:5060", "192.0.2.40:5060");

fn to(contacts: &[(&str, &str)]) -> Vec<Target> {
    let target = |(uri, destination): &(&str, &str)| Target {
        uri: (*uri).to_owned(),
        destination: (*destination).to_owned(),
        ..Target::default()
    };
    contacts.iter().map(target).collect()
}

fn redirect_from(from: &str) -> SipCommand {
    let diversion = Diversion { from: from.to_owned(), reason: DiversionReason::NoAnswer };
    SipCommand::Redirect { targets: to(&[(CAROL_CONTACT, CAROL)]), diversion: Some(diversion) }
}

fn redirect() -> SipCommand {
    redirect_from("sip:bob@example.test")
}

fn carol_answers(request: &str, status: u16) -> Vec<u8> {
    answer(request, status, "c", CAROL_CONTACT)
}

/// It rings at Bob; what he got.
fn ringing() -> (Node, String) {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    (node, at_bob)
}

/// A redirected call: what Bob got, his CANCEL, and what Carol got.
struct Redirected {
    node: Node,
    at_bob: String,
    cancel: String,
    at_carol: String,
}

fn redirected() -> Redirected {
    let (mut node, at_bob) = ringing();
    let turn = node.command(&redirect()).expect("it rings");
    let (cancel, at_carol) = (turn.only(BOB), turn.only(CAROL));
    Redirected { node, at_bob, cancel, at_carol }
}

impl Redirected {
    fn bob(&mut self, status: u16) -> Turn {
        self.node.receive(BOB, bob_answers(&self.at_bob, status))
    }

    fn carol(&mut self, status: u16) -> Turn {
        self.node.receive(CAROL, carol_answers(&self.at_carol, status))
    }

    /// Bob's phone obeys.
    fn bob_gives_up(&mut self) -> Turn {
        let ok = bob_answers(&self.cancel, 200);
        self.node.receive(BOB, ok);
        self.bob(487)
    }

    /// Alice hangs up on who answered with this; everything is forgotten in the end.
    #[track_caller]
    fn end(mut self, ok: &str, at: &str) {
        let dialog = Dialog::of(ok);
        self.node.receive(ALICE, dialog.by_alice("ACK", 1));
        self.node.wait(5_000);
        let bye = self.node.receive(ALICE, dialog.by_alice("BYE", 2)).only(at);
        let answered = if at == BOB { bob_answers(&bye, 200) } else { carol_answers(&bye, 200) };
        let ended: Ended = self.node.receive(at, answered).event();
        assert_eq!(ended.by, Side::Caller);
        self.must_be_forgotten();
    }

    #[track_caller]
    fn must_be_forgotten(mut self) {
        self.node.wait(200_000);
        assert_eq!(self.node.living_activities(), 0);
    }
}

#[test]
fn the_phone_that_rings_is_cancelled_and_another_one_rings_and_answers() {
    let mut call = redirected();
    assert!(call.cancel.starts_with("CANCEL "), "{}", call.cancel);
    assert_eq!(top_branch(&call.cancel), top_branch(&call.at_bob));
    assert_ne!(top_branch(&call.at_carol), top_branch(&call.at_bob));
    assert!(call.at_carol.starts_with(&format!("INVITE {CAROL_CONTACT} ")), "{}", call.at_carol);
    let turn = call.bob_gives_up();
    assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (vec![], vec!["ACK".to_owned()]));
    assert_eq!(call.carol(180).lines(ALICE), ["180"]);
    let ok = call.carol(200).only(ALICE);
    assert_eq!(parse(&ok).to_tag().as_deref(), Some("c"));
    assert_eq!(call.node.history(), ["sip.invite", "sip.progress", "sip.answered"]);
    call.end(&ok, CAROL);
}

#[test]
fn who_is_called_instead_is_told_who_was_called_before() {
    let Redirected { at_carol, at_bob, .. } = redirected();
    assert!(at_carol.contains(&format!("Diversion: {TO_BOB}\r\n")), "{at_carol}");
    assert!(!at_bob.contains("Diversion"), "{at_bob}");
    let mut node = Node::for_bob();
    let older = "Diversion: <sip:zoe@example.test>;reason=unconditional\r\n";
    node.receive(ALICE, invite_with(1, older));
    let at_carol = node.command(&redirect()).expect("it was sent on").only(CAROL);
    assert!(at_carol.contains(&format!("Diversion: {TO_BOB}\r\n{older}")), "{at_carol}");
}

#[test]
fn a_phone_that_has_said_nothing_is_cancelled_when_it_does() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let turn = node.command(&redirect()).expect("it was sent on");
    assert_eq!((turn.lines(BOB), turn.lines(CAROL)), (vec![], vec!["INVITE".to_owned()]));
    let turn = node.receive(BOB, bob_answers(&at_bob, 180));
    assert_eq!((turn.lines(BOB), turn.lines(ALICE)), (vec!["CANCEL".to_owned()], vec![]));
    assert_eq!(node.count("sip.progress"), 0);
}

#[test]
fn who_answers_while_his_cancel_is_on_its_way_has_the_call() {
    let mut call = redirected();
    call.carol(180);
    let turn = call.bob(200);
    let ok = turn.only(ALICE);
    assert_eq!(turn.lines(CAROL), ["CANCEL"]);
    let cancel = turn.only(CAROL);
    call.node.receive(CAROL, carol_answers(&cancel, 200));
    assert_eq!(call.carol(487).lines(ALICE), [""; 0]);
    assert_eq!(call.node.count("sip.answered"), 1);
    call.end(&ok, BOB);
}

#[test]
fn the_second_of_two_answers_is_a_dialog_of_the_same_call() {
    let mut call = redirected();
    let first = Dialog::of(&call.carol(200).only(ALICE));
    let second = Dialog::of(&call.bob(200).only(ALICE));
    for dialog in [&first, &second] {
        call.node.receive(ALICE, dialog.by_alice("ACK", 1));
    }
    // The caller's phone takes one.
    let bye = call.node.receive(ALICE, second.by_alice("BYE", 2)).only(BOB);
    let turn = call.node.receive(BOB, bob_answers(&bye, 200));
    assert_eq!(turn.types(), [""; 0], "the other one goes on");
    let bye = call.node.receive(ALICE, first.by_alice("BYE", 2)).only(CAROL);
    call.node.receive(CAROL, carol_answers(&bye, 200)).event::<Ended>();
    assert_eq!((call.node.count("sip.answered"), call.node.count("sip.ended")), (1, 1));
    call.must_be_forgotten();
}

#[test]
fn a_caller_who_gives_up_gets_one_487_and_nobody_rings_any_more() {
    let mut call = redirected();
    call.carol(180);
    let turn = call.node.receive(ALICE, follow_up("CANCEL", 1));
    assert_eq!((turn.lines(BOB), turn.lines(CAROL)), (vec![], vec!["CANCEL".to_owned()]));
    assert_eq!(call.bob_gives_up().lines(ALICE), [""; 0]);
    let turn = call.carol(487);
    assert_eq!((turn.lines(ALICE), turn.event::<Rejected>().status), (vec!["487".into()], 487));
    call.must_be_forgotten();
}

#[test]
fn the_caller_hears_how_the_new_target_failed_and_nothing_of_the_old_one() {
    for (of_bob, of_carol) in [(487, 486), (487, 480), (603, 486), (302, 408)] {
        let mut call = redirected();
        call.carol(180);
        let turn = call.bob(of_bob);
        assert_eq!((turn.lines(ALICE), turn.lines(CAROL)), (vec![], vec![]), "she rings on");
        assert_eq!(call.carol(of_carol).lines(ALICE), [of_carol.to_string()]);
        call.must_be_forgotten();
    }
}

/// He may have answered: that would be lost if the call was over.
#[test]
fn a_failure_of_the_new_target_waits_for_the_old_one() {
    let mut call = redirected();
    assert_eq!(call.carol(486).lines(ALICE), [""; 0]);
    assert_eq!(call.bob_gives_up().lines(ALICE), ["486"]);
    call.must_be_forgotten();
    let mut call = redirected();
    call.carol(486);
    let ok = call.bob(200).only(ALICE);
    call.end(&ok, BOB);
}

#[test]
fn new_targets_that_say_nothing_are_a_408_and_not_the_487_of_the_old_one() {
    let mut call = redirected();
    call.bob_gives_up();
    let turn = call.node.wait(32_100);
    assert_eq!(turn.lines(ALICE), ["408"]);
    call.must_be_forgotten();
}

/// Where the node dies: behind the redirection, the CANCEL's 200, Bob's 487, and the new ringing.
#[test]
fn a_redirected_call_survives_the_death_of_its_node_at_each_step() {
    for death in 0..4 {
        let mut call = redirected();
        let mut survivor_sends = Turn::default();
        for step in 0..4 {
            if step == death {
                survivor_sends = call.node.take_over();
            }
            match step {
                0 => drop(call.node.receive(BOB, bob_answers(&call.cancel, 200))),
                1 => drop(call.bob(487)),
                2 => drop(call.carol(180)),
                _ => {}
            }
        }
        if death == 0 {
            assert_eq!(survivor_sends.only(BOB), call.cancel, "the same again");
        }
        if death < 3 {
            assert_eq!(survivor_sends.only(CAROL), call.at_carol, "the same again");
        }
        let turn = call.carol(200);
        assert_eq!(turn.lines(ALICE), ["200"], "death before step {death}");
        assert_eq!(call.node.history(), ["sip.invite", "sip.progress", "sip.answered"]);
        call.end(&turn.only(ALICE), CAROL);
    }
}

#[test]
fn a_survivor_still_keeps_the_failures_of_the_old_target_to_itself() {
    let mut call = redirected();
    call.bob_gives_up();
    call.node.take_over();
    assert_eq!(call.carol(486).lines(ALICE), ["486"]);
    let mut call = redirected();
    call.node.take_over();
    assert_eq!(call.bob(603).lines(ALICE), [""; 0]);
    assert_eq!(call.carol(404).lines(ALICE), ["404"]);
}

#[test]
fn a_redirection_that_lost_its_race_changes_nothing() {
    let (mut node, at_bob) = ringing();
    node.receive(BOB, bob_answers(&at_bob, 200));
    let turn = node.command(&redirect()).expect("no failure");
    turn.assert_changes_nothing();
    assert_eq!(turn.sent.len(), 0);
    for end in ["cancelled", "over"] {
        let (mut node, at_bob) = ringing();
        match end {
            "over" => drop(node.receive(BOB, bob_answers(&at_bob, 486))),
            _ => drop(node.receive(ALICE, follow_up("CANCEL", 1))),
        }
        let turn = node.command(&redirect()).expect("no failure");
        assert_eq!((turn.sent.len(), turn.commits), (0, 0), "{end}");
    }
}

#[test]
fn a_call_can_be_redirected_again() {
    let mut call = redirected();
    call.bob_gives_up();
    call.carol(180);
    let again = SipCommand::Redirect { targets: to(&[DAVE]), diversion: None };
    let turn = call.node.command(&again).expect("it rings");
    assert_eq!((turn.lines(BOB), turn.lines(CAROL)), (vec![], vec!["CANCEL".to_owned()]));
    let at_dave = turn.only(DAVE.1);
    assert_eq!(call.carol(487).lines(ALICE), [""; 0]);
    let busy = answer(&at_dave, 486, "d", DAVE.0);
    assert_eq!(call.node.receive(DAVE.1, busy).lines(ALICE), ["486"]);
}

/// RFC 3261 §16.7 step 5: no new branch after a 6xx, unless it is of one that was given up.
#[test]
fn a_call_that_a_target_has_refused_for_all_is_not_redirected_any_more() {
    for dies in [false, true] {
        let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, BOB), DAVE]));
        let turn = node.receive(ALICE, invite());
        let (at_bob, at_dave) = (turn.only(BOB), turn.only(DAVE.1));
        node.receive(DAVE.1, answer(&at_dave, 180, "d", DAVE.0));
        let refused = node.receive(BOB, bob_answers(&at_bob, 603));
        assert_eq!(refused.lines(DAVE.1), ["CANCEL"]);
        if dies {
            node.take_over();
        }
        let turn = node.command(&redirect()).expect("no failure");
        assert_eq!((turn.sent.len(), turn.commits), (0, 0));
        assert_eq!(node.receive(DAVE.1, answer(&at_dave, 487, "d", DAVE.0)).lines(ALICE), ["603"]);
    }
    let mut call = redirected();
    call.bob(603);
    let again = SipCommand::Redirect { targets: to(&[DAVE]), diversion: None };
    assert_eq!(call.node.command(&again).expect("it rings").lines(DAVE.1), ["INVITE"]);
}

/// RFC 5393: it has been forked so often that it may not be any more.
#[test]
fn a_call_whose_max_breadth_is_too_little_for_the_new_targets_rings_on() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite_with(1, "Max-Breadth: 1\r\n")).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 180));
    let targets = to(&[(CAROL_CONTACT, CAROL), DAVE]);
    let both = SipCommand::Redirect { targets, diversion: None };
    let error = node.command(&both).err().expect("one branch is left");
    assert!(error.to_string().contains("Max-Breadth 1"), "{error}");
    assert!(node.wait(1_000).sent.is_empty());
    assert_eq!(node.command(&redirect()).expect("one is enough").lines(BOB), ["CANCEL"]);
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
}

/// The old targets have not answered their CANCEL yet: so many times its breadth it may have.
#[test]
fn a_call_goes_to_16_targets_in_all_however_often_it_is_redirected() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let mut rings = node.receive(ALICE, invite_with(1, "Max-Breadth: 1\r\n")).only(BOB);
        let mut at = BOB.to_owned();
        let to_phone = |number: u32| {
            let at = format!("192.0.2.{}:5060", 40 + number);
            let targets = to(&[(&format!("sip:phone@{at}"), &at)]);
            (at, SipCommand::Redirect { targets, diversion: None })
        };
        for number in 2..=16 {
            node.receive(&at, answer(&rings, 180, &format!("p{number}"), BOB_CONTACT));
            let (next, command) = to_phone(number);
            let turn = node.command(&command).expect("it rings");
            assert_eq!(turn.lines(&at), ["CANCEL"]);
            (rings, at) = (turn.only(&next), next);
            assert_eq!(parse(&rings).values(HeaderName::MaxBreadth), ["1"]);
        }
        if dies {
            node.take_over();
        }
        let error = node.command(&to_phone(17).1).err().expect("it has been everywhere");
        assert!(error.to_string().contains("16 targets at most, 16 were"), "{error}");
        assert_eq!(node.receive(&at, answer(&rings, 200, "z", BOB_CONTACT)).lines(ALICE), ["200"]);
    }
}

#[test]
fn what_cannot_be_redirected_is_refused_and_rings_on() {
    let mut node = Node::new(Policy::Say(Vec::new()));
    node.receive(ALICE, invite());
    let error = node.command(&redirect()).err().expect("it was sent to nobody");
    assert!(error.to_string().contains("proxy it"), "{error}");
    let (mut node, at_bob) = ringing();
    let many = vec![(CAROL_CONTACT, CAROL); 16];
    let nowhere = [("sip:carol@example.test", "somewhere")];
    let refused = [
        (
            SipCommand::Redirect { targets: to(&many), diversion: None },
            "16 targets at most, 1 were",
        ),
        (SipCommand::Redirect { targets: Vec::new(), diversion: None }, "1 to 16 targets"),
        (SipCommand::Redirect { targets: to(&nowhere), diversion: None }, "no address of a target"),
        (redirect_from(""), "no URI"),
        (redirect_from("sip:bob@x>\r\nEvil: 1"), "no URI"),
    ];
    for (command, why) in refused {
        let error = node.command(&command).err().expect(why);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(node.receive(BOB, bob_answers(&at_bob, 200)).lines(ALICE), ["200"]);
}
