//! Whatever bytes come: no panic, and what is accepted stays itself.

use crate::corpus;
use resilee_sip_proto::digest::{Challenge, Credentials};
use resilee_sip_proto::{
    Edit, HeaderName, Malformed, Message, ParseError, SipUri, build, name_addr, parse_route_cohort,
    routing_key,
};

/// A tiny xorshift: the same mutations in every run.
struct Mutations(u64);

impl Mutations {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const TELLING: &[u8] = b"\r\n \t\"\\<>;,:=@[]/?%\0\xff09azSIP";
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            let byte = TELLING[self.below(TELLING.len())];
            match self.below(5) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => bytes.truncate(at + 1),
                _ => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
            }
        }
    }
}

/// What is no message gets an answer that says so, at most as long as what it repeats allows.
fn refuse(bytes: &[u8], error: ParseError) {
    let Some(malformed) = Malformed::read(bytes, error) else { return };
    let answer = malformed.response("192.0.2.1:5060".parse().unwrap(), "tag");
    assert!(answer.len() <= bytes.len() + 200, "{error}");
    assert!(answer.starts_with(format!("SIP/2.0 {} ", malformed.status()).as_bytes()));
    assert!(answer.ends_with(b"\r\nContent-Length: 0\r\n\r\n"));
    let _ = malformed.call_id();
}

/// A request's start line loses white space that may not be there.
fn behind_start_line(bytes: &[u8]) -> &[u8] {
    &bytes[memchr::memchr(b'\n', bytes).unwrap() + 1..]
}

/// Reads and changes everything there is.
fn exercise(bytes: &[u8]) {
    let key = routing_key::scan(bytes);
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => return refuse(bytes, error),
    };
    let edited = Edit::new(&message).finish();
    assert_eq!(behind_start_line(&edited), behind_start_line(message.bytes()));
    let again = Message::parse(&edited).unwrap();
    assert_eq!(Edit::new(&again).finish(), edited);
    assert_eq!(again.request_uri(), message.request_uri());
    assert_same_key(&message, key.expect("what the node reads, the balancer can route"));
    for (name, written, value) in message.headers() {
        let _ = (message.values(name), message.values_named(&written), name_addr(&value));
        let _ = (SipUri::parse(&value), parse_route_cohort(&value));
        let _ = (Credentials::parse(&value), Challenge::parse(&value));
    }
    let _ = (message.from_tag(), message.to_tag(), message.from_uri(), message.to_uri());
    let uri = message.request_uri().and_then(SipUri::parse);
    let _ = uri.map(|uri| (uri.address_of_record(), uri.param("lr").is_some()));
    change(&message);
    let response = build::response(&message, 180, "", Some("t"), &[], b"");
    let response = Message::parse(&response).unwrap();
    assert_eq!(response.call_id(), message.call_id());
    let ack = build::ack_for_failure(&message, &response);
    if message.is_request() {
        assert_eq!(Message::parse(&ack).unwrap().call_id(), message.call_id());
        Message::parse(&build::cancel(&message, None)).unwrap();
    }
}

fn change(message: &Message<'_>) {
    let via = "SIP/2.0/UDP lb;branch=z9hG4bK1";
    let mut edit = Edit::new(message);
    edit.amend_top_via("192.0.2.1".parse().unwrap(), 5060).push_via(via);
    edit.pop_route().pop_route().pop_route().push_record_route("<sip:lb;lr>");
    edit.max_forwards(1).request_uri("sip:x").set("X-A", "b").remove("Subject");
    let bytes = edit.finish();
    let changed = Message::parse(&bytes).unwrap();
    assert_eq!(changed.top_via().text(), via);
    assert_eq!(changed.body(), message.body());
    let before = message.values(HeaderName::Via).len();
    assert_eq!(changed.values(HeaderName::Via).len(), before + 1);
    let back = Edit::new(&changed).pop_via().finish();
    let back = Message::parse(&back).unwrap();
    assert_eq!(back.top_via().sent_by(), message.top_via().sent_by());
    assert_eq!(back.top_via().branch(), message.top_via().branch());
}

/// The balancer and the node must not disagree about what a message is.
fn assert_same_key(message: &Message<'_>, key: routing_key::RoutingKey<'_>) {
    assert_eq!(key.method, message.method());
    assert_eq!(key.call_id, message.call_id().as_bytes());
    assert_eq!(key.cseq_number, Some(message.cseq().0));
    let via = message.top_via();
    // Quotes may hide a delimiter from the node; nobody but us writes the Vias that route.
    let is_plain = !via.text().contains(['"', '<', '>', '\u{fffd}']);
    if is_plain {
        let branch = String::from_utf8_lossy(key.top_via_branch);
        assert_eq!(without_space(&branch), without_space(via.branch().unwrap_or("")));
    }
}

/// Folds: the balancer leaves them in, the node takes them out.
fn without_space(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}

#[test]
fn a_message_cut_anywhere_does_no_harm() {
    for bytes in corpus::all() {
        for end in 0..bytes.len() {
            exercise(&bytes[..end]);
        }
        exercise(&bytes);
    }
}

#[test]
fn a_message_with_random_changes_does_no_harm() {
    let mut mutations = Mutations(0x9e37_79b9_7f4a_7c15);
    for bytes in corpus::all() {
        for _ in 0..3_000 {
            let mut mutated = bytes.clone();
            mutations.mutate(&mut mutated);
            exercise(&mutated);
        }
    }
}

/// One of each vector; what its adaptor makes of it, the adaptor's own tests say.
#[test]
fn the_vectors_of_rfc_4475_and_rfc_5118_with_random_changes_do_no_harm() {
    let mut mutations = Mutations(0x2545_f491_4f6c_dd1d);
    for bytes in corpus::vectors() {
        exercise(&bytes);
        for _ in 0..200 {
            let mut mutated = bytes.clone();
            mutations.mutate(&mut mutated);
            exercise(&mutated);
        }
    }
}

#[test]
fn a_value_of_many_parts_is_read_in_one_pass() {
    let routes = "<sip:a;lr>,".repeat(5_000);
    let text = String::from_utf8(corpus::invite()).unwrap();
    let text = text.replacen("Contact:", &format!("Route: {routes}\r\nContact:"), 1);
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.values(HeaderName::Route).len(), 5_000);
    let popped = Edit::new(&message).pop_route().finish();
    assert_eq!(Message::parse(&popped).unwrap().values(HeaderName::Route).len(), 4_999);
}

/// Any of the changes, with any of these names and numbers.
fn change_somehow(edit: &mut Edit<'_>, (change, name, number): (usize, &str, u16)) {
    let uris = format!("<sip:v{number};lr>, <sip:w{number};lr>");
    match change {
        0 => edit.push_via(&format!("SIP/2.0/UDP p{number};branch=z9hG4bKp{number}")),
        1 => edit.pop_via(),
        2 => edit.amend_top_via("192.0.2.7".parse().unwrap(), number),
        3 => edit.ask_for_rport(),
        4 => edit.push_record_route(&uris),
        5 => edit.pop_route(),
        6 => edit.pop_routes(usize::from(number % 5)),
        7 => edit.push_route(&uris),
        8 => edit.push(name, &uris),
        9 => edit.max_forwards(u32::from(number)),
        10 => edit.max_breadth(u32::from(number)),
        11 => edit.set(name, &uris),
        12 => edit.add(name, &uris),
        13 => edit.remove(name),
        _ => edit.request_uri(&format!("sip:u{number}@h")),
    };
}

/// What an edit knows of the message, or of what it lacks, does not hide its own changes.
#[test]
fn changes_at_once_make_the_same_message_as_one_after_the_other() {
    const NAMES: [&str; 8] =
        ["Route", "record-route", "X-Other", "k", "Contact", "m", "Subject", "max-breadth"];
    let mut mutations = Mutations(0x9e37_79b9_7f4a_7c15);
    let mut compared = 0;
    for bytes in corpus::all() {
        for _ in 0..1_000 {
            let message = Message::parse(&bytes).unwrap();
            let mut at_once = Edit::new(&message);
            let mut one_by_one = bytes.clone();
            for _ in 0..8 {
                let Ok(message) = Message::parse(&one_by_one) else { break };
                let name = NAMES[mutations.below(NAMES.len())];
                let number = u16::try_from(mutations.below(256)).unwrap();
                let change = (mutations.below(15), name, number);
                change_somehow(&mut at_once, change);
                let mut single = Edit::new(&message);
                change_somehow(&mut single, change);
                one_by_one = single.finish();
                let text = String::from_utf8_lossy;
                assert_eq!(text(&at_once.finish()), text(&one_by_one), "{change:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "{compared}");
}
