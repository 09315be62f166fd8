//! Whoever tries out passwords is slowed down, and nobody else.

mod harness;

use harness::phone::{ALICE, BOB, Dialog, bob_answers, follow_up, invite, invite_with, request};
use harness::{Node, Policy, Turn, parse};
use resilee_sip_api::{Account, Algorithm, Credentials, Invite, QopAuth, Register, SipCommand};
use resilee_sip_proto::{HeaderName, digest};

const MALLORY: &str = "203.0.113.66:5060";
/// Wrong passwords that are free, of one network and for one account.
const FREE: (usize, usize) = (10, 20);
const SECRET: &str = "secret";
/// What challenges offer: `[sip] digest_algorithms`.
const BOTH: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

fn alice(password: &str) -> Account {
    Account::with_password("alice", "example.test", password)
}

/// A node that serves Alice, and that time has not been short for: each test starts at rest.
fn node() -> Node {
    Node::new(Policy::Account(alice(SECRET)))
}

fn register(number: usize, headers: &str) -> String {
    let register = request("REGISTER", "sip:example.test", headers);
    register.replace("request-1", &format!("request-{number}"))
}

fn nonce_of(answer: &str) -> String {
    let answer = parse(answer);
    let name = [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate]
        .into_iter()
        .find(|name| answer.header(*name).is_some());
    let challenge = answer.header(name.expect("a challenge")).expect("a challenge");
    digest::Challenge::parse(&challenge).expect("digest").nonce
}

/// The header that answers a challenge to `method`.
fn answer_of(nonce: &str, user: &str, password: &str, method: &str) -> String {
    let account = Account::with_password(user, "example.test", password);
    let credentials = credentials(nonce, user, (method, "sip:example.test"), Algorithm::Md5);
    format!("Authorization: {}\r\n", with_response(credentials, &account.ha1))
}

fn credentials(
    nonce: &str,
    user: &str,
    (method, uri): (&str, &str),
    algorithm: Algorithm,
) -> Credentials {
    Credentials {
        username: user.to_owned(),
        realm: "example.test".to_owned(),
        nonce: nonce.to_owned(),
        uri: uri.to_owned(),
        response: String::new(),
        algorithm,
        qop: Some(QopAuth { nc: "00000001".to_owned(), cnonce: "x".to_owned() }),
        method: method.to_owned(),
        nonce_fresh: true,
    }
}

/// As a phone writes them that has this secret.
fn with_response(credentials: Credentials, secret: &str) -> String {
    let response = credentials.expected(secret);
    let algorithm = match credentials.algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha256 => "SHA-256",
    };
    let Credentials { username, realm, nonce, uri, .. } = credentials;
    format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm={algorithm}, response=\"{response}\", qop=auth, nc=00000001, cnonce=\"x\""
    )
}

/// A REGISTER that is challenged and comes again with this password.
fn try_out(node: &mut Node, from: &str, number: usize, user: &str, password: &str) -> Turn {
    let challenge = node.receive(from, register(number, ""));
    if challenge.dropped.is_some() {
        return challenge;
    }
    let nonce = nonce_of(&challenge.only(from));
    node.receive(from, register(number, &answer_of(&nonce, user, password, "REGISTER")))
}

#[track_caller]
fn status(turn: &Turn, from: &str) -> u16 {
    parse(&turn.only(from)).status().expect("a response")
}

/// Mallory tries until she is barred; the alarms.
fn bar_mallory(node: &mut Node) -> Vec<String> {
    let tries = (0..=FREE.0).map(|number| try_out(node, MALLORY, number, "alice", "guess"));
    tries.flat_map(|turn| turn.alarms).collect()
}

#[test]
fn who_tries_out_passwords_is_dropped_and_the_right_one_is_accepted_afterwards() {
    let mut node = node();
    let alarms = bar_mallory(&mut node);
    assert_eq!(alarms, ["203.0.113.66 tries out passwords, and is barred"]);
    let right = try_out(&mut node, MALLORY, 50, "alice", SECRET);
    assert_eq!(right.dropped, Some("request of a network that tries out passwords"));
    assert!(right.sent.is_empty());
    node.wait(4_000);
    let right = try_out(&mut node, MALLORY, 51, "alice", SECRET);
    assert_eq!(status(&right, MALLORY), 200);
}

#[test]
fn each_further_wrong_password_bars_for_longer() {
    let mut node = node();
    bar_mallory(&mut node);
    for bar_ms in [4_000, 8_000, 16_000] {
        node.wait(bar_ms - 1);
        assert!(node.receive(MALLORY, register(60, "")).dropped.is_some(), "{bar_ms}");
        node.wait(1);
        let wrong = try_out(&mut node, MALLORY, 61, "alice", "guess");
        assert_eq!(status(&wrong, MALLORY), 401, "{bar_ms}");
    }
}

/// A REGISTER with a wrong password that no service has decided about yet: whether that is told
/// not to look at it.
fn under_way(node: &mut Node, from: &str, number: usize, user: &str) -> Option<u32> {
    let nonce = nonce_of(&node.receive(from, register(number, "")).only(from));
    let policy = std::mem::replace(&mut node.policy, Policy::Say(Vec::new()));
    let turn = node.receive(from, register(number, &answer_of(&nonce, user, "x", "REGISTER")));
    node.policy = policy;
    turn.event::<Register>().barred_s
}

/// A burst is there before the first of it is found to be wrong.
#[test]
fn a_network_that_has_used_up_its_free_tries_has_one_under_way_at_a_time() {
    let mut node = node();
    bar_mallory(&mut node);
    for bar_ms in [4_000, 8_000] {
        node.wait(bar_ms);
        assert_eq!(under_way(&mut node, MALLORY, 100, "bob"), None);
        let wrong = alice(SECRET);
        let (realm, algorithms) = (wrong.realm.clone(), wrong.algorithms());
        let wrong = SipCommand::Challenge { realm, stale: false, proxy: false, algorithms };
        node.command(&wrong).expect("it is undecided");
    }
    node.wait(16_000);
    assert_eq!(under_way(&mut node, MALLORY, 101, "bob"), None);
    assert_eq!(under_way(&mut node, MALLORY, 102, "carol"), Some(1));
    assert_eq!(under_way(&mut node, ALICE, 103, "carol"), None, "of another network");
}

#[test]
fn a_home_that_has_used_up_its_free_tries_has_one_under_way_at_a_time() {
    let mut node = node();
    let of = |number: usize| format!("[2001:db8:0:{number:x}::1]:5060");
    for number in 0..=4 * FREE.0 {
        try_out(&mut node, &of(number), number, &format!("user{number}"), "guess");
    }
    node.wait(4_000);
    assert_eq!(under_way(&mut node, &of(0xfe), 100, "bob"), None);
    assert_eq!(under_way(&mut node, &of(0xff), 101, "carol"), Some(1));
    assert_eq!(under_way(&mut node, &of(0x100), 102, "carol"), None, "of another /56");
}

#[test]
fn for_an_account_that_many_have_tried_out_one_is_under_way_at_a_time_but_where_it_is_known() {
    let mut node = node();
    try_out(&mut node, ALICE, 1, "alice", SECRET);
    for number in 0..=FREE.1 {
        try_out(&mut node, &format!("203.0.113.{number}:5060"), 100 + number, "alice", "guess");
    }
    node.wait(2_000);
    for number in 200..203 {
        assert_eq!(under_way(&mut node, ALICE, number, "alice"), None, "{number}");
    }
    assert_eq!(under_way(&mut node, "198.51.100.77:5060", 203, "alice"), None);
    assert_eq!(under_way(&mut node, "198.51.100.78:5060", 204, "alice"), Some(1));
    assert_eq!(under_way(&mut node, "198.51.100.78:5060", 205, "bob"), None, "another account");
    assert_eq!(under_way(&mut node, ALICE, 206, "alice"), None);
}

#[test]
fn while_a_network_is_barred_others_are_served_and_its_calls_go_on() {
    let mut node = node();
    let proven = try_out(&mut node, MALLORY, 1, "alice", SECRET);
    assert_eq!(status(&proven, MALLORY), 200);
    node.policy = Node::for_bob().policy;
    let at_bob = node.receive(MALLORY, invite()).only(BOB);
    let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(MALLORY));
    node.policy = Policy::Account(alice(SECRET));
    for number in 0..=FREE.0 {
        try_out(&mut node, MALLORY, 100 + number, "carol", "guess");
    }
    assert!(try_out(&mut node, MALLORY, 200, "carol", "guess").dropped.is_some());
    let known = try_out(&mut node, MALLORY, 201, "alice", SECRET);
    assert_eq!(status(&known, MALLORY), 200, "she is behind the same NAT, and known there");
    assert_eq!(status(&try_out(&mut node, ALICE, 202, "alice", SECRET), ALICE), 200);
    let bye = node.receive(MALLORY, dialog.by_alice("BYE", 2));
    assert_eq!(bye.lines(BOB), ["BYE"]);
}

#[test]
fn an_account_that_many_try_out_is_barred_but_where_it_is_known() {
    let mut node = node();
    try_out(&mut node, ALICE, 1, "alice", SECRET);
    let mut alarms = Vec::new();
    for number in 0..=FREE.1 {
        let from = format!("203.0.113.{}:5060", number + 1);
        alarms.extend(try_out(&mut node, &from, 100 + number, "alice", "guess").alarms);
    }
    assert_eq!(alarms, ["the password of \"alice@example.test\" is tried out from many places"]);
    let elsewhere = "198.51.100.77:5060";
    let barred = try_out(&mut node, elsewhere, 200, "alice", SECRET);
    assert_eq!(status(&barred, elsewhere), 503, "even the right one");
    assert_eq!(barred.event::<Register>().barred_s, Some(2));
    assert_eq!(status(&try_out(&mut node, ALICE, 201, "alice", SECRET), ALICE), 200);
    node.wait(2_000);
    let after = try_out(&mut node, elsewhere, 202, "alice", SECRET);
    assert_eq!(status(&after, elsewhere), 200);
}

#[test]
fn nobody_can_have_somebody_else_barred_by_a_forged_source_address() {
    let mut node = node();
    for number in 0..5 * FREE.0 {
        let nonce = nonce_of(&node.receive(MALLORY, register(number, "")).only(MALLORY));
        let forged = register(number, &answer_of(&nonce, "alice", "guess", "REGISTER"));
        let turn = node.receive(ALICE, forged);
        let credentials = turn.event::<Register>().credentials.expect("they can be read");
        assert!(!credentials.nonce_fresh && turn.alarms.is_empty());
    }
    assert_eq!(status(&try_out(&mut node, ALICE, 99, "alice", SECRET), ALICE), 200);
}

/// An answer that no password was needed for proves nothing.
#[test]
fn options_to_the_server_do_not_make_an_account_known() {
    let mut node = node();
    let options = |headers: &str| request("OPTIONS", "sip:example.test", headers);
    for number in 0..=FREE.0 {
        try_out(&mut node, MALLORY, number, "alice", "guess");
        let nonce = node.receive(MALLORY, options(""));
        if nonce.dropped.is_some() {
            break;
        }
        let nonce = nonce_of(&nonce.only(MALLORY));
        let ok = SipCommand::Respond { status: 200, reason: String::new(), headers: Vec::new() };
        let policy = std::mem::replace(&mut node.policy, Policy::Say(vec![ok]));
        node.receive(MALLORY, options(&answer_of(&nonce, "alice", "garbage", "OPTIONS")));
        node.policy = policy;
    }
    assert!(try_out(&mut node, MALLORY, 200, "alice", "guess").dropped.is_some());
}

/// Algorithm and nonce of each challenge, in their order.
fn challenges(answer: &str) -> Vec<(String, String)> {
    let values = parse(answer).values(HeaderName::ProxyAuthenticate).into_iter();
    let challenges = values.map(|it| digest::Challenge::parse(&it).expect("digest"));
    challenges.map(|it| (it.algorithm.expect("it says so"), it.nonce)).collect()
}

/// Alice's INVITE, proven with the secret of `proven_by` by an algorithm with a name.
fn invite_again(nonce: &str, named: Algorithm, proven_by: Algorithm) -> String {
    let credentials = credentials(nonce, "alice", ("INVITE", "sip:bob@example.test"), named);
    let Account { ha1, ha1_sha256, .. } = alice(SECRET);
    let secret = match proven_by {
        Algorithm::Md5 => ha1,
        Algorithm::Sha256 => ha1_sha256.expect("made from a password"),
    };
    let value = with_response(credentials, &secret);
    invite_with(2, &format!("Proxy-Authorization: {value}\r\n"))
}

/// RFC 8760 §2.3, §2.4: the preferred one comes first, and a phone takes the first that it knows.
#[test]
fn a_call_is_proven_by_the_first_algorithm_that_the_phone_knows() {
    for (algorithm, index) in [(Algorithm::Sha256, 0), (Algorithm::Md5, 1)] {
        for dies in [false, true] {
            let mut node = Node::offering(Policy::Account(alice(SECRET)), &BOTH);
            let challenged = node.receive(ALICE, invite()).only(ALICE);
            assert_eq!(parse(&challenged).status(), Some(407));
            let challenges = challenges(&challenged);
            let names: Vec<_> = challenges.iter().map(|(algorithm, _)| algorithm).collect();
            assert_eq!(names, ["SHA-256", "MD5"]);
            node.receive(ALICE, follow_up("ACK", 1));
            if dies {
                node.take_over();
            }
            let again = invite_again(&challenges[index].1, algorithm, algorithm);
            let turn = node.receive(ALICE, again);
            let credentials = turn.event::<Invite>().credentials.expect("they can be read");
            assert_eq!((credentials.algorithm, credentials.nonce_fresh), (algorithm, true));
            let at_bob = turn.only(BOB);
            assert_eq!(parse(&at_bob).header(HeaderName::ProxyAuthorization), None);
            let dialog = Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE));
            assert_eq!(node.receive(ALICE, dialog.by_alice("ACK", 2)).lines(BOB), ["ACK"]);
            assert_eq!(node.receive(ALICE, dialog.by_alice("BYE", 3)).lines(BOB), ["BYE"]);
        }
    }
}

#[test]
fn a_response_by_another_algorithm_than_it_names_or_that_is_not_offered_proves_nothing() {
    let (md5, sha256) = (Algorithm::Md5, Algorithm::Sha256);
    for (offered, named, proven_by) in
        [(&BOTH[..], sha256, md5), (&BOTH, md5, sha256), (&BOTH[..1], md5, md5)]
    {
        let mut node = Node::offering(Policy::Account(alice(SECRET)), offered);
        let challenged = node.receive(ALICE, invite()).only(ALICE);
        node.receive(ALICE, follow_up("ACK", 1));
        let nonce = &challenges(&challenged)[0].1;
        let turn = node.receive(ALICE, invite_again(nonce, named, proven_by));
        assert_eq!((turn.lines(ALICE), turn.to(BOB).len()), (vec!["407".to_owned()], 0));
    }
}

#[test]
fn a_survivor_counts_anew_and_serves_everybody() {
    let mut node = node();
    bar_mallory(&mut node);
    node.take_over();
    assert_eq!(status(&try_out(&mut node, MALLORY, 50, "alice", "guess"), MALLORY), 401);
    assert_eq!(status(&try_out(&mut node, MALLORY, 51, "alice", SECRET), MALLORY), 200);
}
