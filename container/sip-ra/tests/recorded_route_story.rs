//! Ends behind proxies of their own, which record their routes: what goes to an end goes by them,
//! and nowhere else.

mod harness;

use harness::phone::{ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, Dialog, bob_answers, invite_with};
use harness::{Node, Turn, parse};
use resilee_sip_api::SipCommand;
use resilee_sip_proto::HeaderName;

/// Two proxies of Alice's before us, as they are in her INVITE: the nearest to us first.
const HERS: &str = "<sip:192.0.2.12;lr>, <sip:192.0.2.11;lr>";
/// Two of Bob's behind us, as they are in his 200: the nearest to us last.
const HIS: &str = "<sip:192.0.2.22;lr>, <sip:192.0.2.21;lr>";

/// A call between ends whose proxies take themselves out of the Route, so that what comes from
/// them has ours alone.
struct Call {
    dialog: Dialog,
    ours: String,
}

impl Call {
    /// Answered; `hers` and `his` are what their proxies record.
    fn through(node: &mut Node, hers: &str, his: &str) -> Call {
        let recorded = format!("Record-Route: {hers}\r\n");
        let at_bob = node.receive(ALICE, invite_with(1, &recorded)).only(BOB);
        let ours = parse(&at_bob).values(HeaderName::RecordRoute)[0].clone().into_owned();
        let ok = String::from_utf8(bob_answers(&at_bob, 200)).expect("text");
        let his = format!("Record-Route: {his}\r\nRecord-Route:");
        let ok = ok.replacen("Record-Route:", &his, 1);
        let dialog = Dialog::of(&node.receive(BOB, ok).only(ALICE));
        Call { dialog, ours }
    }

    fn by_alice(&self, method: &str, cseq: u32) -> String {
        self.by_our_route(&self.dialog.by_alice(method, cseq))
    }

    fn by_bob(&self, method: &str, cseq: u32) -> String {
        self.by_our_route(&self.dialog.by_bob(method, cseq))
    }

    fn by_our_route(&self, request: &str) -> String {
        let mut lines: Vec<_> = request.lines().collect();
        let ours = format!("Route: {}", self.ours);
        let at = lines.iter().position(|line| line.starts_with("Route:")).expect("a Route");
        lines[at] = &ours;
        lines.join("\r\n") + "\r\n"
    }
}

/// Request-URI and Routes.
fn way(request: &str) -> (String, Vec<String>) {
    let request = parse(request);
    let routes = request.values(HeaderName::Route).into_iter().map(String::from).collect();
    (request.request_uri().expect("a request").to_owned(), routes)
}

fn by(uri: &str, routes: [&str; 2]) -> (String, Vec<String>) {
    (uri.to_owned(), routes.map(str::to_owned).to_vec())
}

#[test]
fn routes_that_were_recorded_are_kept_or_put_back() {
    let mut node = Node::for_bob();
    let call = Call::through(&mut node, HERS, HIS);
    let to_bob = by(BOB_CONTACT, ["<sip:192.0.2.21;lr>", "<sip:192.0.2.22;lr>"]);
    let at_bob = node.receive(ALICE, call.by_alice("INFO", 2)).only(BOB);
    assert_eq!(way(&at_bob), to_bob);
    let at_alice = node.receive(BOB, call.by_bob("INFO", 1)).only(ALICE);
    assert_eq!(way(&at_alice), by(ALICE_CONTACT, ["<sip:192.0.2.12;lr>", "<sip:192.0.2.11;lr>"]));
    let own = "Route: <sip:192.0.2.21;lr>\r\nRoute: <sip:192.0.2.22;lr>\r\nFrom:";
    let again = call.by_alice("INFO", 3).replacen("From:", own, 1);
    node.take_over();
    assert_eq!(way(&node.receive(ALICE, again).only(BOB)), to_bob);
}

/// RFC 3261 §16.6 step 6.
#[test]
fn a_strict_router_finds_itself_in_the_request_uri() {
    let mut node = Node::for_bob();
    let call = Call::through(&mut node, HERS, "<sip:192.0.2.22;lr>, <sip:192.0.2.21>");
    let at_bob = node.receive(ALICE, call.by_alice("INFO", 2)).only(BOB);
    let last = format!("<{BOB_CONTACT}>");
    assert_eq!(way(&at_bob), by("sip:192.0.2.21", ["<sip:192.0.2.22;lr>", &last]));
}

/// A service hangs up after half a minute; if the node `dies`, at its survivor.
fn hung_up(hers: &str, his: &str, dies: bool) -> (Node, Turn) {
    let mut node = Node::for_bob();
    let call = Call::through(&mut node, hers, his);
    node.receive(ALICE, call.by_alice("ACK", 1)).only(BOB);
    if dies {
        node.take_over();
    }
    // From now on a survivor that was not told of the ACK waits for it no longer.
    node.wait(32_000);
    let turn = node.command(&SipCommand::HangUp).expect("the call is up");
    assert_eq!((turn.lines(ALICE), turn.lines(BOB)), (vec!["BYE".into()], vec!["BYE".into()]));
    (node, turn)
}

/// RFC 3261 §12.2.1.1: in the order of the INVITE to who sent it, the other way round to who
/// answered it.
#[test]
fn a_bye_of_ours_goes_by_the_proxies_of_each_end_the_nearest_first() {
    for dies in [false, true] {
        let (mut node, turn) = hung_up(HERS, HIS, dies);
        let hers = by(ALICE_CONTACT, ["<sip:192.0.2.12;lr>", "<sip:192.0.2.11;lr>"]);
        let his = by(BOB_CONTACT, ["<sip:192.0.2.21;lr>", "<sip:192.0.2.22;lr>"]);
        assert_eq!((way(&turn.only(ALICE)), way(&turn.only(BOB))), (hers, his), "{dies}");
        let again = node.take_over();
        assert_eq!((again.only(ALICE), again.only(BOB)), (turn.only(ALICE), turn.only(BOB)));
    }
}

/// RFC 3261 §12.2.1.1: the end itself is in the last Route then.
#[test]
fn a_bye_of_ours_is_addressed_to_a_strict_router() {
    for dies in [false, true] {
        let hers = "<sip:192.0.2.12>, <sip:192.0.2.11;lr>";
        let his = "<sip:192.0.2.22;lr>, <sip:192.0.2.21>";
        let (_, turn) = hung_up(hers, his, dies);
        let (alice, bob) = (format!("<{ALICE_CONTACT}>"), format!("<{BOB_CONTACT}>"));
        let hers = by("sip:192.0.2.12", ["<sip:192.0.2.11;lr>", &alice]);
        let his = by("sip:192.0.2.21", ["<sip:192.0.2.22;lr>", &bob]);
        assert_eq!((way(&turn.only(ALICE)), way(&turn.only(BOB))), (hers, his), "{dies}");
    }
}

/// It is not the nearest, so whoever is before it does for it what a strict router needs.
#[test]
fn a_strict_router_behind_a_loose_one_is_a_route_like_others() {
    let hers = "<sip:192.0.2.12;lr>, <sip:192.0.2.11>";
    let (_, turn) = hung_up(hers, "<sip:192.0.2.22>, <sip:192.0.2.21;lr>", false);
    let hers = by(ALICE_CONTACT, ["<sip:192.0.2.12;lr>", "<sip:192.0.2.11>"]);
    let his = by(BOB_CONTACT, ["<sip:192.0.2.21;lr>", "<sip:192.0.2.22>"]);
    assert_eq!((way(&turn.only(ALICE)), way(&turn.only(BOB))), (hers, his));
}
