//! What a vector is put through, and how one sees that it went on unharmed. The comparison cuts
//! messages into lines by itself: it must not share the mistakes of what it tests.

use crate::harness::phone::{ALICE, BOB, BOB_CONTACT, bob_answers_bytes};
use crate::harness::{BALANCER, Node, Policy, Turn, flow};
use resilee_core::{Ingress, ResourceAdaptor, Route};
use resilee_sip_api::{Register, SipCommand};
use resilee_sip_proto::{Edit, HeaderName, Message};
use std::path::PathBuf;

/// The vectors of an RFC, by name.
pub fn all(rfc: &str) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder(rfc)).expect("a folder of vectors");
    let mut found: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("a vector"))
        })
        .collect();
    found.sort();
    found
}

/// The vector of this name.
pub fn vector(name: &str) -> Vec<u8> {
    let found = ["rfc4475", "rfc5118"].map(|rfc| folder(rfc).join(name).with_extension("dat"));
    let path = found.iter().find(|path| path.exists());
    std::fs::read(path.unwrap_or_else(|| panic!("no vector {name}"))).expect("a vector")
}

fn folder(rfc: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "sip-proto", "tests", rfc].iter().collect()
}

/// A vector to which the archive gives no blank line behind its headers, with one.
pub fn completed(name: &str, line_end: &str) -> Vec<u8> {
    let bytes = vector(name);
    assert!(Message::parse(&bytes).is_err());
    [&bytes, line_end.as_bytes()].concat()
}

/// The bytes with one text, which must be there once, replaced by another.
#[track_caller]
pub fn with(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let found: Vec<_> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    let [start] = found[..] else { panic!("{} times {from}", found.len()) };
    [&bytes[..start], to.as_bytes(), &bytes[start + from.len()..]].concat()
}

/// A request that must be proxied to Bob unharmed, and Bob's answer back under all its Vias.
/// What Bob got.
#[track_caller]
pub fn proxied(request: &[u8]) -> Vec<u8> {
    proxied_from(ALICE, request)
}

/// [`proxied`] for a request from this address.
#[track_caller]
pub fn proxied_from(sender: &str, request: &[u8]) -> Vec<u8> {
    let mut node = Node::for_bob();
    let at_bob = sent_to_bob(&node.receive(sender, request));
    let received = Message::parse(request).expect("well formed");
    assert_unharmed(received.bytes(), &at_bob);
    let turn = node.receive(BOB, bob_answers_bytes(&at_bob, 200));
    let [answer] = &turn.sent[..] else { panic!("one answer, not {}", turn.sent.len()) };
    assert_eq!(answer.flow.remote.ip(), flow(sender).remote.ip());
    let answer = Message::parse(&answer.bytes).expect("well formed");
    let (answered, asked) = (answer.values(HeaderName::Via), received.values(HeaderName::Via));
    assert_eq!((answered.len(), &answered[1..]), (asked.len(), &asked[1..]));
    assert_eq!((answer.status(), answer.call_id()), (Some(200), received.call_id()));
    at_bob
}

/// The one message that was sent to Bob.
#[track_caller]
pub fn sent_to_bob(turn: &Turn) -> Vec<u8> {
    let to_bob: Vec<_> = turn.sent.iter().filter(|it| it.flow.remote == flow(BOB).remote).collect();
    let texts =
        || turn.sent.iter().map(|it| String::from_utf8_lossy(&it.bytes)).collect::<Vec<_>>();
    let [sent] = to_bob[..] else { panic!("{} to Bob: {:#?}", to_bob.len(), texts()) };
    sent.bytes.clone()
}

/// What a proxy changes of a request, done without one: for those that belong to a dialog.
#[track_caller]
pub fn edited(request: &[u8]) -> Vec<u8> {
    let message = Message::parse(request).expect("well formed");
    let mut edit = Edit::new(&message);
    edit.request_uri(BOB_CONTACT).remove("Route");
    edit.max_forwards(message.max_forwards().map_or(70, |hops| hops - 1));
    edit.set("Max-Breadth", "60");
    edit.push_via(&format!("SIP/2.0/UDP {BALANCER};branch=z9hG4bK1;rport"));
    if message.method() == Some("INVITE") {
        edit.push_record_route(&format!("<sip:{BALANCER};lr;c=1>"));
        edit.add("Session-Expires", "1800");
    }
    let after = edit.finish();
    assert_unharmed(message.bytes(), &after);
    after
}

/// The service's answer to what it takes.
pub fn ok() -> SipCommand {
    SipCommand::Respond { status: 200, reason: String::new(), headers: Vec::new() }
}

/// A REGISTER that must reach the service, which takes it.
#[track_caller]
pub fn registered(register: &[u8]) -> Register {
    let turn = Node::new(Policy::Say(vec![ok()])).receive(ALICE, register);
    assert!(turn.sent[0].bytes.starts_with(b"SIP/2.0 200 OK\r\n"));
    turn.event()
}

/// The answer to a request that must be refused before anybody hears of it.
#[track_caller]
pub fn refused(request: &[u8]) -> String {
    let mut node = Node::for_bob();
    let turn = node.receive(ALICE, request);
    turn.assert_changes_nothing();
    let [answer] = &turn.sent[..] else { panic!("one answer, not {}", turn.sent.len()) };
    assert_eq!(answer.flow.remote.ip(), flow(ALICE).remote.ip());
    // Nothing is kept of it, and its retransmission is answered alike.
    assert_eq!(node.living_activities(), 0);
    assert_eq!(node.receive(ALICE, request).sent[0].bytes, answer.bytes);
    let text = String::from_utf8(answer.bytes.clone()).expect("text");
    assert!(text.contains("\r\nVia: ") && text.contains(";received=192.0.2.10"), "{text}");
    text
}

/// Status and reason phrase of [`refused`].
#[track_caller]
pub fn refusal(request: &[u8]) -> String {
    let text = refused(request);
    let line = text.lines().next().expect("a start line");
    line.strip_prefix("SIP/2.0 ").expect("a status line").to_owned()
}

/// The reason under which a message is dropped and counted.
#[track_caller]
pub fn dropped(message: &[u8]) -> &'static str {
    let node = Node::for_bob();
    match node.ra.route(node.now, &Ingress::new(flow(ALICE), message.to_vec())) {
        Route::Drop(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// A caller's INVITE has reached Bob; the vector is his answer to it.
pub struct Answered {
    pub node: Node,
    /// Where the INVITE came from.
    pub caller: String,
    /// The vector, under our Via.
    pub response: Vec<u8>,
}

/// Makes the INVITE that the response answers, with the Via entries in `vias`, and sends it.
pub fn answered(response: &[u8], caller: &str, vias: &[&str]) -> Answered {
    let message = Message::parse(response).expect("well formed");
    let header = |name| message.header(name).expect("is there").into_owned();
    let to = header(HeaderName::To);
    let invite = format!(
        "INVITE sip:user@example.edu SIP/2.0\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: {}\r\nContact: <sip:user@{caller}>\r\nMax-Forwards: 70\r\n\r\n",
        vias.join(", "),
        header(HeaderName::From),
        to.split(';').next().expect("a URI"),
        message.call_id(),
        header(HeaderName::CSeq),
    );
    let mut node = Node::for_bob();
    let at_bob = sent_to_bob(&node.receive(caller, invite));
    let at_bob = Message::parse(&at_bob).expect("well formed");
    let response = Edit::new(&message).push_via(at_bob.top_via().text()).finish();
    Answered { node, caller: caller.to_owned(), response }
}

/// One message cut into lines; a header's folds are of its line.
struct Lines<'a> {
    start: &'a [u8],
    headers: Vec<Vec<u8>>,
    body: &'a [u8],
}

fn cut(message: &[u8]) -> Lines<'_> {
    let mut lines = message.split_inclusive(|byte| *byte == b'\n');
    let start = lines.next().expect("a start line");
    let mut head = start.len();
    let mut headers: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        head += line.len();
        match line {
            b"\r\n" | b"\n" => break,
            [b' ' | b'\t', ..] => headers.last_mut().expect("a header").extend(line),
            _ => headers.push(line.to_vec()),
        }
    }
    Lines { start, headers, body: &message[head..] }
}

fn is(line: &[u8], name: &str) -> bool {
    let end = line.iter().position(|byte| *byte == b':').expect("a colon");
    String::from_utf8_lossy(&line[..end]).trim().eq_ignore_ascii_case(name)
}

fn is_via(line: &[u8]) -> bool {
    is(line, "Via") || is(line, "v")
}

/// Takes the one line away that starts so.
#[track_caller]
fn take(headers: &mut Vec<Vec<u8>>, start: &str) {
    let found = headers.iter().position(|line| line.starts_with(start.as_bytes()));
    headers.remove(found.unwrap_or_else(|| panic!("no {start}")));
}

/// Start line, Via, Max-Forwards, Record-Route and Route are as RFC 3261 §16.6 says,
/// Session-Expires as RFC 4028 §8 does, and Max-Breadth as RFC 5393 §5.3.3 does; every other byte
/// is as it came.
#[track_caller]
fn assert_unharmed(before: &[u8], after: &[u8]) {
    let (mut before, mut after) = (cut(before), cut(after));
    let method = before.start.split(|byte| *byte == b' ').next().expect("a method");
    let start = [method, b" ", BOB_CONTACT.as_bytes(), b" SIP/2.0"].concat();
    assert_eq!(after.start.trim_ascii_end(), start);
    assert!(after.start.ends_with(b"2.0\r\n") || before.start.ends_with(b"2.0\n"));
    let top = after.headers.iter().find(|line| is_via(line)).expect("a Via");
    assert!(top.starts_with(format!("Via: SIP/2.0/UDP {BALANCER};branch=z9hG4bK").as_bytes()));
    take(&mut after.headers, &format!("Via: SIP/2.0/UDP {BALANCER};"));
    if method == b"INVITE" {
        take(&mut after.headers, &format!("Record-Route: <sip:{BALANCER};lr;"));
        if !before.headers.iter().any(|line| is(line, "Session-Expires")) {
            take(&mut after.headers, "Session-Expires: 1800\r\n");
        }
    }
    take(&mut after.headers, "Max-Breadth: 60\r\n");
    before.headers.retain(|line| !is(line, "Route"));
    match before.headers.iter_mut().find(|line| is(line, "Max-Forwards")) {
        Some(line) => *line = one_hop_less(line),
        None => before.headers.push(b"Max-Forwards: 70\r\n".to_vec()),
    }
    let via = after.headers.iter_mut().find(|line| is_via(line)).expect("the sender's Via");
    if !before.headers.iter().any(|line| line == via) {
        *via = unmarked(via);
    }
    assert_eq!(shown(&after.headers), shown(&before.headers));
    assert_eq!(after.headers, before.headers);
    assert_eq!(after.body, before.body);
}

fn one_hop_less(line: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(line).expect("text");
    let value = text.split(':').nth(1).expect("a value").trim();
    let hops: u32 = value.parse().expect("a number");
    text.replace(value, &(hops - 1).to_string()).into_bytes()
}

/// The sender's Via without the marks of where it came from.
fn unmarked(via: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(via.to_vec()).expect("text");
    text.replace(";received=192.0.2.10", "").replace(";rport=40000", ";rport").into_bytes()
}

fn shown(lines: &[Vec<u8>]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}
