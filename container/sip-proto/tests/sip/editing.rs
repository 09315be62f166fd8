//! What a proxy changes, and that nothing else changes with it.

use crate::corpus;
use resilee_sip_proto::{Edit, HeaderName, Message};
use std::net::IpAddr;

/// The text after the edit.
fn edited(bytes: &[u8], change: impl Fn(&mut Edit<'_>)) -> Vec<u8> {
    let message = Message::parse(bytes).unwrap();
    let mut edit = Edit::new(&message);
    change(&mut edit);
    let after = edit.finish();
    Message::parse(&after).unwrap();
    after
}

/// `bytes` with one text replaced by another: what an edit should have done.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let start = memchr::memmem::find(bytes, from.as_bytes()).expect("text is there");
    [&bytes[..start], to.as_bytes(), &bytes[start + from.len()..]].concat()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn without_changes_every_byte_stays() {
    for bytes in corpus::all() {
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(Edit::new(&message).finish(), message.bytes());
    }
}

#[test]
fn a_forwarded_request_differs_only_where_it_must() {
    let bytes = corpus::tortuous();
    let after = edited(&bytes, |edit| {
        edit.request_uri("sip:next").max_forwards(67).pop_route();
        edit.push_via("SIP/2.0/UDP lb;branch=z9hG4bK1").push_record_route("<sip:lb;lr>");
    });
    let mut expected =
        replaced(&bytes, "sip:vivekg@chair-dnrc.example.com;unknownparam", "sip:next");
    expected = replaced(&expected, "MaX-fOrWaRdS: 0068", "MaX-fOrWaRdS: 67");
    let route = "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n";
    expected = replaced(&expected, route, "");
    let via = "Via  : SIP";
    expected = replaced(&expected, via, "Via: SIP/2.0/UDP lb;branch=z9hG4bK1\r\nVia  : SIP");
    let below = "z9hG4bK30239\r\n";
    expected = replaced(&expected, below, &format!("{below}Record-Route: <sip:lb;lr>\r\n"));
    assert_eq!(after, expected);
}

#[test]
fn vias_are_popped_one_by_one_from_lines_and_lists() {
    let mut bytes = corpus::tortuous();
    for expected in ["192.0.2.2", "spindle.example.com", "192.168.255.111"] {
        assert_eq!(Message::parse(&bytes).unwrap().top_via().host(), expected);
        let message = Message::parse(&bytes).unwrap();
        bytes = Edit::new(&message).pop_via().finish();
    }
    assert!(Message::parse(&bytes).is_err());
}

#[test]
fn a_response_loses_our_via_and_nothing_else() {
    let bytes = corpus::ringing();
    let after = edited(&bytes, |edit| {
        edit.pop_via().request_uri("sip:no");
    });
    let via = "Via: SIP/2.0/UDP lb.example.test;branch=z9hG4bK1\r\n";
    assert_eq!(after, replaced(&bytes, via, ""));
}

#[test]
fn a_binary_body_survives() {
    let bytes = corpus::binary_body();
    let after = edited(&bytes, |edit| {
        edit.pop_route().set("X-New", "1").remove("content-type");
    });
    let mut expected = replaced(&bytes, "<sip:127.0.0.1:5080>, ", "");
    expected =
        replaced(&expected, "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\r\n", "");
    expected = replaced(&expected, " : 8\r\n", " : 8\r\nX-New: 1\r\n");
    assert_eq!(after, expected);
}

#[test]
fn rport_and_received_are_filled_in_rfc_3581_4() {
    let after = edited(&corpus::invite(), |edit| {
        edit.amend_top_via(address("192.0.2.7"), 40_000);
    });
    let message = Message::parse(&after).unwrap();
    let expected = "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;rport=40000;\
                    received=192.0.2.7";
    assert_eq!(message.top_via().text(), expected);
}

#[test]
fn received_is_added_only_if_the_sent_by_differs_rfc_3261_18_2_1() {
    let request = |host: &str| {
        let bytes = corpus::invite();
        replaced(&bytes, "pc33.atlanta.com;branch=z9hG4bK776asdhds;rport", host)
    };
    let amended = |host: &str, source: &str| {
        let after = edited(&request(host), |edit| {
            edit.amend_top_via(address(source), 9);
        });
        Message::parse(&after).unwrap().top_via().text().replace("SIP/2.0/UDP ", "")
    };
    assert_eq!(amended("192.0.2.1:5060;a", "192.0.2.1"), "192.0.2.1:5060;a");
    assert_eq!(amended("192.0.2.1:5060;a", "::ffff:192.0.2.1"), "192.0.2.1:5060;a");
    assert_eq!(amended("192.0.2.1", "192.0.2.2"), "192.0.2.1;received=192.0.2.2");
    assert_eq!(amended("host , SIP/2.0/UDP b", "::1"), "host;received=::1");
    assert_eq!(amended("[::1];rport", "::1"), "[::1];rport=9;received=::1");
    // What the client wrote itself does not count.
    assert_eq!(amended("h;received=9.9.9.9;rport=1;x", "1.1.1.1"), "h;received=1.1.1.1;rport=9;x");
}

#[test]
fn a_folded_via_is_amended_in_its_top_entry() {
    let after = edited(&corpus::tortuous(), |edit| {
        edit.pop_via().amend_top_via(address("192.0.2.7"), 1);
    });
    let message = Message::parse(&after).unwrap();
    assert_eq!(message.top_via().received(), Some("192.0.2.7"));
    assert_eq!(message.top_via().branch(), Some("z9hG4bK9ikj8"));
    let vias = message.values(HeaderName::Via);
    assert!(!vias[1].contains("received"));
}

#[test]
fn set_replaces_all_lines_of_a_header_whatever_its_form() {
    let bytes = corpus::two_requests();
    let after = edited(&bytes, |edit| {
        edit.add("M", "<sip:second>").set("Contact", "<sip:new>").set("Supported", "path");
    });
    let message = Message::parse(&after).unwrap();
    assert_eq!(message.values(HeaderName::Contact), ["<sip:new>"]);
    assert_eq!(message.header_named("supported").as_deref(), Some("path"));
}

#[test]
fn an_empty_value_can_be_set() {
    let after = edited(&corpus::tortuous(), |edit| {
        edit.set("Subject", "hello");
    });
    let message = Message::parse(&after).unwrap();
    assert_eq!(message.header_named("s").as_deref(), Some("hello"));
}

#[test]
fn no_value_can_smuggle_a_header_in() {
    let after = edited(&corpus::invite(), |edit| {
        edit.set("Subject", "x\r\nEvil: 1").request_uri("sip:a\r\nEvil:2");
        edit.push_route("<sip:a>\nEvil: 3");
    });
    let text = String::from_utf8(after).unwrap();
    assert!(!text.contains("\nEvil"));
}

/// A value of nothing but white space that goes on in the next line.
#[test]
fn a_folded_value_that_is_empty_is_replaced_within_its_line() {
    let empty = "Max-Forwards:\r\n \r\n";
    let others = [
        "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n",
        "From: <sip:a@b>;tag=1\r\n",
        "To: <sip:c@d>\r\n",
        "Call-ID: x\r\n",
        "CSeq: 1 INVITE\r\n",
    ];
    for at in 0..=others.len() {
        let (before, behind) = others.split_at(at);
        let headers = [before.concat(), empty.to_owned(), behind.concat()].concat();
        let body = "P-Asserted-Identity: <sip:x@y>\r\n\r\n";
        let text = format!("INVITE sip:c@d SIP/2.0\r\n{headers}\r\n{body}");
        let message = Message::parse(text.as_bytes()).expect("it can be read");
        let mut edit = Edit::new(&message);
        let edited = edit.max_forwards(1).push_via("SIP/2.0/UDP us;branch=z9hG4bK2").finish();
        let edited = Message::parse(&edited).expect("it can be read again");
        assert_eq!(edited.max_forwards(), Some(1));
        assert_eq!(edited.values(HeaderName::Via).len(), 2);
        assert_eq!(edited.from_tag().as_deref(), Some("1"));
        assert!(edited.header(HeaderName::To).is_some());
        assert_eq!(edited.body(), body.as_bytes());
    }
}

/// RFC 5393 §5.3.3: the proxy's value is the only one that goes on.
#[test]
fn rfc5393_max_breadth_is_set_once_wherever_it_was() {
    let (head, hops) = ("INVITE sip:c@d SIP/2.0\r\n", "Max-Forwards: 70\r\n");
    let from = "From: <sip:a@b>;tag=1\r\nCall-ID: x\r\n";
    let rest = "To: <sip:c@d>\r\nCSeq: 1 INVITE\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\r\n";
    for (before, after) in [
        (["", "", ""], ["", "Max-Breadth: 7\r\n", ""]),
        (["", "", "max-breadth : 60\r\n"], ["", "", "max-breadth : 7\r\n"]),
        (["Max-Breadth: 1\r\n", "Max-Breadth: 9\r\n", ""], ["Max-Breadth: 7\r\n", "", ""]),
    ] {
        let [top, middle, low] = before;
        let text = format!("{head}{top}{hops}{middle}{from}{low}{rest}");
        let message = Message::parse(text.as_bytes()).expect("it can be read");
        let edited = Edit::new(&message).max_breadth(7).finish();
        let [top, middle, low] = after;
        let wanted = format!("{head}{top}{hops}{middle}{from}{low}{rest}");
        assert_eq!(String::from_utf8(edited).expect("text"), wanted);
    }
}

/// A line may have thousands of entries: what is left is copied once.
#[test]
fn many_routes_are_taken_away_at_once() {
    let others = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n";
    let via = "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n";
    let first = format!("BYE sip:c@d SIP/2.0\r\n{via}{others}");
    let routes = "<sip:198.51.100.1;lr>,".repeat(2_700) + "<sip:next;lr>";
    let text = format!("{first}Route: {routes}\r\nRoute: <sip:last;lr>\r\n\r\n");
    let message = Message::parse(text.as_bytes()).expect("it can be read");
    let popped = |count| {
        let edited = Edit::new(&message).pop_routes(count).finish();
        String::from_utf8_lossy(&edited).into_owned()
    };
    let left = "Route: <sip:next;lr>\r\nRoute: <sip:last;lr>\r\n\r\n";
    assert_eq!(popped(2_700), format!("{first}{left}"));
    assert_eq!(popped(2_702), format!("{first}\r\n"));
    assert_eq!(popped(9_999), format!("{first}\r\n"));
}
