//! An INVITE that comes back with another Request-URI (RFC 3261 §16.3: a spiral): a call of its
//! own under the same Call-ID and tags, which leaves the first one alone. Bob's proxy sends his
//! calls on to Carol, by us.

mod harness;

use harness::phone::{
    ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, CAROL, CAROL_CONTACT, Dialog, answer, bob_answers,
    follow_up, invite, request,
};
use harness::{Node, Policy, Turn, parse};
use resilee_sip_proto::{Edit, HeaderName, Message};

/// How the tests are run: with Bob's proxy on the path of what follows or not, with the node
/// killed after each step or not.
#[derive(Clone, Copy, Debug)]
struct Run {
    is_recorded: bool,
    is_killed: bool,
}

const RUNS: [Run; 4] = [
    Run { is_recorded: false, is_killed: false },
    Run { is_recorded: true, is_killed: false },
    Run { is_recorded: false, is_killed: true },
    Run { is_recorded: true, is_killed: true },
];

const PROXY_ROUTE: &str = "<sip:bob-proxy@192.0.2.20;lr>";

struct Spiral {
    node: Node,
    run: Run,
    /// Branches that Bob's proxy has made.
    branches: u32,
}

impl Spiral {
    fn new(run: Run) -> Self {
        Spiral { node: Node::for_bob(), run, branches: 0 }
    }

    fn receive(&mut self, from: &str, message: impl AsRef<[u8]>) -> Turn {
        let turn = self.node.receive(from, message);
        if self.run.is_killed {
            self.node.take_over();
        }
        turn
    }

    /// What Bob's proxy makes of a request: under its own Via, its own Route taken off.
    fn proxied(&mut self, request: &str) -> String {
        self.branches += 1;
        let request = parse(request);
        let mut edit = Edit::new(&request);
        let via = format!("SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKproxy{}", self.branches);
        edit.push_via(&via);
        if request.values(HeaderName::Route).first().is_some_and(|it| it == PROXY_ROUTE) {
            edit.pop_route();
        }
        let is_initial = request.to_tag().is_none() && request.method() == Some("INVITE");
        if is_initial {
            edit.request_uri("sip:carol@example.test");
            if self.run.is_recorded {
                edit.push_record_route(PROXY_ROUTE);
            }
        }
        String::from_utf8(edit.finish()).expect("text")
    }

    /// Bob's proxy gets this response, and what it sends on has this effect.
    fn back(&mut self, response: &str) -> Turn {
        let response = parse(response);
        let mut edit = Edit::new(&response);
        let passed_on = edit.pop_via().finish();
        self.receive(BOB, passed_on)
    }

    /// Alice calls Bob, and the INVITE comes to Carol.
    fn at_carol(&mut self) -> String {
        let at_bob = self.receive(ALICE, invite()).only(BOB);
        self.node.policy = Policy::ProxyTo(vec![(CAROL_CONTACT, CAROL)]);
        let came_back = self.proxied(&at_bob);
        let turn = self.receive(BOB, &came_back);
        assert_eq!(turn.lines(BOB), ["100"], "{:?}", self.run);
        turn.only(CAROL)
    }

    /// Carol's answer, as it comes to Alice.
    fn answered(&mut self) -> String {
        let at_carol = self.at_carol();
        let ringing = self.receive(CAROL, carol_answers(&at_carol, 180)).only(BOB);
        self.back(&ringing).only(ALICE);
        let ok = self.receive(CAROL, carol_answers(&at_carol, 200)).only(BOB);
        self.back(&ok).only(ALICE)
    }

    /// A request within the dialog goes from one end to the other by Bob's proxy, and its answer
    /// back.
    fn crosses(&mut self, request: &str, (from, to): (&str, &str)) {
        let at_bob = self.receive(from, request).only(BOB);
        let from_bob = self.proxied(&at_bob);
        let at_end = self.receive(BOB, from_bob).only(to);
        assert!(parse(&at_end).values(HeaderName::Route).is_empty(), "{:?}: {at_end}", self.run);
        if parse(request).method() == Some("ACK") {
            return;
        }
        let ok = self.receive(to, answer(&at_end, 200, "", CAROL_CONTACT)).only(BOB);
        assert_eq!(self.back(&ok).lines(from).last().map(String::as_str), Some("200"));
    }
}

fn carol_answers(request: &str, status: u16) -> Vec<u8> {
    answer(request, status, "c", CAROL_CONTACT)
}

/// A request within the dialog that this response has begun.
fn within(response: &str, method: &str, cseq: u32, is_of_caller: bool) -> String {
    let response = parse(response);
    let mut routes: Vec<_> =
        response.values(HeaderName::RecordRoute).into_iter().map(String::from).collect();
    let alice = ("sip:alice@example.test", "a", ALICE_CONTACT, "10.0.0.1:5060;rport");
    let callee = ("sip:bob@example.test", "c", CAROL_CONTACT, "192.0.2.30;rport");
    if is_of_caller {
        routes.reverse();
    }
    let (from, to) = if is_of_caller { (alice, callee) } else { (callee, alice) };
    format!(
        "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{cseq}{}\r\n\
         Route: {}\r\nFrom: <{}>;tag={}\r\nTo: <{}>;tag={}\r\nCall-ID: call-1\r\n\
         CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <{}>\r\n\
         Content-Length: 0\r\n\r\n",
        to.2,
        from.3,
        from.1,
        routes.join(", "),
        from.0,
        from.1,
        to.0,
        to.1,
        from.2
    )
}

#[test]
fn a_spiral_is_answered_by_the_way_it_came_and_ends_by_its_caller() {
    for run in RUNS {
        let mut spiral = Spiral::new(run);
        let ok = spiral.answered();
        assert_eq!(spiral.node.count("sip.answered"), 2, "{run:?}");
        spiral.crosses(&within(&ok, "ACK", 1, true), (ALICE, CAROL));
        // An INFO is no commit: its sender would have to repeat it to the survivor.
        if !run.is_killed {
            spiral.crosses(&within(&ok, "INFO", 2, true), (ALICE, CAROL));
            spiral.crosses(&within(&ok, "INFO", 9, false), (CAROL, ALICE));
        }
        spiral.crosses(&within(&ok, "BYE", 3, true), (ALICE, CAROL));
        assert_eq!(spiral.node.count("sip.ended"), 2, "{run:?}");
        spiral.node.wait(60_000);
        assert_eq!(spiral.node.living_activities(), 0, "{run:?}");
    }
}

#[test]
fn a_spiral_ends_by_its_callee() {
    for run in RUNS {
        let mut spiral = Spiral::new(run);
        let ok = spiral.answered();
        spiral.crosses(&within(&ok, "ACK", 1, true), (ALICE, CAROL));
        spiral.crosses(&within(&ok, "BYE", 9, false), (CAROL, ALICE));
        assert_eq!(spiral.node.count("sip.ended"), 2, "{run:?}");
    }
}

#[test]
fn a_caller_cancels_through_a_spiral() {
    for run in RUNS {
        let mut spiral = Spiral::new(run);
        let at_carol = spiral.at_carol();
        let ringing = spiral.receive(CAROL, carol_answers(&at_carol, 180)).only(BOB);
        spiral.back(&ringing).only(ALICE);
        let turn = spiral.receive(ALICE, follow_up("CANCEL", 1));
        assert_eq!(
            (turn.lines(ALICE), turn.lines(BOB)),
            (vec!["200".into()], vec!["CANCEL".into()])
        );
        let branch = parse(&ringing).top_via().branch().expect("its branch").to_owned();
        let cancel = follow_up("CANCEL", 1).replace(
            "10.0.0.1:5060;rport;branch=z9hG4bKinvite1",
            &format!("192.0.2.20;branch={branch}"),
        );
        let turn = spiral.receive(BOB, cancel);
        assert_eq!(
            (turn.lines(BOB), turn.lines(CAROL)),
            (vec!["200".into()], vec!["CANCEL".into()])
        );
        let turn = spiral.receive(CAROL, carol_answers(&at_carol, 487));
        let refused = turn.to(BOB).into_iter().next_back().expect("a 487");
        assert_eq!(spiral.back(&refused).lines(ALICE), ["487"], "{run:?}");
        assert_eq!(spiral.node.count("sip.rejected"), 2);
    }
}

#[test]
fn a_spiral_that_fails_leaves_the_first_call_to_ring_on() {
    let mut spiral = Spiral::new(RUNS[0]);
    let at_carol = spiral.at_carol();
    assert_eq!(spiral.receive(CAROL, carol_answers(&at_carol, 486)).lines(BOB), ["486"]);
    // Bob's proxy goes on to his phone.
    assert_eq!(spiral.node.count("sip.rejected"), 1);
    let ringing = String::from_utf8(answer(&at_carol, 200, "b", BOB_CONTACT)).expect("text");
    let vias = parse(&ringing).values(HeaderName::Via).len();
    assert_eq!(vias, 4, "ours, Bob's proxy's, ours, Alice's");
    let message = parse(&ringing);
    let mut edit = Edit::new(&message);
    let of_proxy = edit.pop_via().pop_via().finish();
    assert_eq!(spiral.receive(BOB, of_proxy).lines(ALICE), ["200"]);
    assert_eq!(spiral.node.count("sip.answered"), 1);
}

/// What merely has the same Call-ID has not been here.
#[test]
fn an_invite_that_was_not_here_is_no_spiral() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let merged = invite().replace("z9hG4bKinvite1", "z9hG4bKother");
    assert_eq!(node.receive(BOB, merged).lines("192.0.2.20:5060"), ["482"]);
    let message = Message::parse(at_bob.as_bytes()).expect("a message");
    let ours = message.top_via().branch().expect("ours").to_owned();
    let via = "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKproxy\r\nVia: ";
    let spiral = at_bob.replacen("Via: ", via, 1).replacen(BOB_CONTACT, "sip:c@example.test", 1);
    let forged = spiral.replace(&ours, &ours.replace("z9hG4bK-", "z9hG4bK-f").replace("-f0", "-f"));
    assert_eq!(node.receive(BOB, forged).lines(BOB), ["482"]);
    // One that is the same as it was is a loop.
    let back = at_bob.replacen("Via: ", via, 1);
    let looped = back.replacen(BOB_CONTACT, "sip:bob@example.test", 1);
    assert_eq!(node.receive(BOB, looped).lines(BOB), ["482"]);
    assert_eq!(node.living_activities(), 1);
}

/// What follows has the same cell, and a cell has one bill: under its Call-ID nobody calls again.
#[test]
fn an_invite_with_the_call_id_of_a_call_that_is_over_is_refused() {
    for takes_over in [false, true] {
        let mut node = Node::for_bob();
        let at_bob = node.receive(ALICE, invite()).only(BOB);
        let answer = node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE);
        let dialog = Dialog::of(&answer);
        node.receive(ALICE, dialog.by_alice("ACK", 7));
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 8)).only(BOB);
        node.receive(BOB, bob_answers(&bye, 200));
        node.wait(20_000);
        let call_id = parse(&invite()).call_id().to_owned();
        let message = request("MESSAGE", "sip:bob@example.test", "");
        let of_message = parse(&message).call_id().to_owned();
        let at_bob = node.receive(ALICE, message.replace(&of_message, &call_id)).only(BOB);
        assert!(at_bob.starts_with("MESSAGE "), "and Bob's phone is silent");
        node.wait(15_000);
        assert_eq!(node.living_activities(), 1, "the call is forgotten");
        if takes_over {
            node.take_over();
        }
        let again = invite().replace("z9hG4bKinvite1", "z9hG4bKagain");
        assert_eq!(node.receive(ALICE, again).lines(ALICE), ["482"]);
    }
}
