//! What is read of messages, and which are refused and why.

use crate::corpus;
use resilee_sip_proto::message::{HEADERS_MAX, MESSAGE_BYTES_MAX};
use resilee_sip_proto::{HeaderName, Message, ParseError, SipUri, is_keepalive, routing_key};

fn parse(bytes: &[u8]) -> Message<'_> {
    Message::parse(bytes).unwrap()
}

fn error(text: &str) -> ParseError {
    Message::parse(text.as_bytes()).unwrap_err()
}

/// A plain OPTIONS with one text replaced by another.
fn with(from: &str, to: &str) -> String {
    let text = "OPTIONS sip:a@b SIP/2.0\r\n\
        Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
        From: <sip:c@d>;tag=1\r\n\
        To: <sip:a@b>\r\n\
        Call-ID: x\r\n\
        CSeq: 1 OPTIONS\r\n\
        Content-Length: 3\r\n\r\nabc";
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn a_plain_request_is_read() {
    let bytes = corpus::invite();
    let message = parse(&bytes);
    assert!(message.is_request());
    assert_eq!(message.method(), Some("INVITE"));
    assert_eq!(message.request_uri(), Some("sip:bob@biloxi.com"));
    assert_eq!((message.status(), message.reason()), (None, None));
    assert_eq!(message.call_id(), "a84b4c76e66710@pc33.atlanta.com");
    assert_eq!(message.cseq(), (314_159, "INVITE"));
    assert_eq!(message.from_tag().as_deref(), Some("1928301774"));
    assert_eq!(message.to_tag(), None);
    assert_eq!(message.from_uri().as_deref(), Some("sip:alice@atlanta.com"));
    assert_eq!(message.to_uri().as_deref(), Some("sip:bob@biloxi.com"));
    assert_eq!(message.max_forwards(), Some(70));
    assert_eq!(message.top_via().rport(), Some(None));
    assert_eq!(message.header_named("content-TYPE").as_deref(), Some("application/sdp"));
    assert_eq!(message.body(), b"v=0\r\n");
    assert_eq!(message.headers().count(), 9);
}

#[test]
fn s25_1_max_forwards_is_digits_up_to_255() {
    for (value, hops) in
        [("0", Some(0)), ("255", Some(255)), ("256", None), ("+7", None), ("7 0", None)]
    {
        let text = with("From:", &format!("Max-Forwards: {value}\r\nFrom:"));
        assert_eq!(parse(text.as_bytes()).max_forwards(), hops, "{value}");
    }
}

#[test]
fn a_response_keeps_its_reason_phrase() {
    let bytes = corpus::ringing();
    let message = parse(&bytes);
    assert_eq!((message.method(), message.request_uri()), (None, None));
    assert_eq!(message.status(), Some(180));
    assert_eq!(message.reason().as_deref(), Some("Es klingelt"));
    assert_eq!(message.values(HeaderName::Via).len(), 2);
}

#[test]
fn a_reason_phrase_may_be_odd_or_absent_rfc_4475_unreason_noreason() {
    for reason in ["= 2**3 * 5**2 но сто", "", "\u{0} \t!"] {
        let text = with("OPTIONS sip:a@b SIP/2.0", &format!("SIP/2.0 200 {reason}"));
        assert_eq!(parse(text.as_bytes()).reason().as_deref(), Some(reason.trim_end()));
    }
    let text = with("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 200");
    assert_eq!(parse(text.as_bytes()).reason().as_deref(), Some(""));
}

#[test]
fn white_space_and_folds_are_read_rfc_4475_wsinv() {
    let bytes = corpus::tortuous();
    let message = parse(&bytes);
    assert_eq!(message.to_tag().as_deref(), Some("1918181833n"));
    assert_eq!(message.from_tag().as_deref(), Some("98asjd8"));
    assert_eq!(message.from_uri().as_deref(), Some("sip:jdrosen@example.com"));
    assert_eq!(message.max_forwards(), Some(68));
    assert_eq!(message.cseq(), (9, "INVITE"));
    let hosts = [message.top_via().host(), message.top_via().transport()];
    assert_eq!(hosts, ["192.0.2.2", "UDP"]);
    assert_eq!(message.top_via().branch(), Some("390skdjuw"));
    let vias = message.values(HeaderName::Via);
    assert_eq!(vias.len(), 3);
    assert_eq!(vias[2], "SIP  /    2.0   / UDP  192.168.255.111   ; branch= z9hG4bK30239");
    assert_eq!(message.header_named("Subject").as_deref(), Some(""));
    let fangled = message.header_named("newfangledheader").unwrap();
    assert_eq!(fangled, "newfangled value continued newfangled value");
    assert_eq!(message.values(HeaderName::Contact).len(), 1);
    assert_eq!(message.header_param(HeaderName::Contact, "q").as_deref(), Some("0.33"));
}

#[test]
fn what_follows_the_content_length_is_ignored_rfc_4475_dblreq() {
    let bytes = corpus::two_requests();
    let message = parse(&bytes);
    assert_eq!((message.method(), message.body()), (Some("REGISTER"), &b""[..]));
    assert!(message.bytes().ends_with(b"l: 0\r\n\r\n"));
    assert!(bytes.len() > message.bytes().len());
}

#[test]
fn a_binary_body_is_kept_rfc_4475_mpart01() {
    let bytes = corpus::binary_body();
    assert_eq!(parse(&bytes).body(), [0xff, 0xfe, 0, 13, 10, 13, 10, 0x80]);
}

#[test]
fn ipv6_is_read_rfc_5118() {
    let bytes = corpus::ipv6();
    let message = parse(&bytes);
    let uri = SipUri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!((uri.host, uri.port), ("2001:db8::10", Some(5070)));
    assert_eq!(message.top_via().received(), Some("2001:db8::9:255"));
    assert_eq!(message.top_via().sent_by(), "[2001:db8::9:1]:5066");
    assert_eq!(message.values(HeaderName::Via).len(), 3);
    let instance = message.header_param(HeaderName::Contact, "+sip.instance");
    assert_eq!(instance.as_deref(), Some("<urn:uuid:f,81>"));
}

#[test]
fn long_values_are_read_rfc_4475_longreq() {
    let user = "x".repeat(5_000);
    let text = with("sip:a@b SIP", &format!("sip:{user}@b;p={user} SIP"));
    assert_eq!(parse(text.as_bytes()).request_uri().unwrap().len(), 10_009);
    let vias = "v: SIP/2.0/TCP sip33.example.com\r\n".repeat(HEADERS_MAX - 6);
    let text = with("From:", &format!("{vias}From:"));
    assert_eq!(parse(text.as_bytes()).values(HeaderName::Via).len(), HEADERS_MAX - 5);
}

#[test]
fn unknown_methods_schemes_and_transports_are_read_rfc_4475_intmeth() {
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    let text = with("OPTIONS sip:a@b", &format!("{method} nobody:1"))
        .replace("1 OPTIONS", &format!("1 {method}"));
    let text = text.replace("UDP", "UNKNOWN");
    let message = parse(text.as_bytes());
    assert_eq!((message.method(), message.request_uri()), (Some(method), Some("nobody:1")));
    assert_eq!(message.top_via().transport(), "UNKNOWN");
}

#[test]
fn line_ends_may_be_lf_and_come_first() {
    let text = format!("\r\n\r\n{}", with("\r\n\r\nabc", "\r\n\r\nabc").replace("\r\n", "\n"));
    let message = parse(text.as_bytes());
    assert_eq!((message.call_id(), message.body()), ("x", &b"abc"[..]));
    assert!(message.bytes().starts_with(b"OPTIONS"));
}

#[test]
fn without_a_content_length_the_body_is_the_rest() {
    let text = with("Content-Length: 3\r\n", "");
    assert_eq!(parse(text.as_bytes()).body(), b"abc");
}

#[test]
fn malformed_messages_are_refused_with_their_reason() {
    use HeaderName::{CSeq, CallId, ContentLength, From, To, Via};
    let cases = [
        ("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", "", ParseError::Missing(Via)),
        ("From: <sip:c@d>;tag=1\r\n", "", ParseError::Missing(From)),
        ("To: <sip:a@b>\r\n", "", ParseError::Missing(To)),
        ("Call-ID: x\r\n", "", ParseError::Missing(CallId)),
        ("CSeq: 1 OPTIONS\r\n", "", ParseError::Missing(CSeq)),
        ("From:", "f: <sip:x@y>\r\nFrom:", ParseError::Duplicate(From)),
        ("To:", "t: <sip:x@y>\r\nTo:", ParseError::Duplicate(To)),
        ("Call-ID:", "i: y\r\nCall-ID:", ParseError::Duplicate(CallId)),
        ("CSeq:", "CSeq: 1 OPTIONS\r\nCSeq:", ParseError::Duplicate(CSeq)),
        ("Content", "l: 2\r\nContent", ParseError::Duplicate(ContentLength)),
        ("h;branch", "h:99999;branch", ParseError::Bad(Via)),
        ("Call-ID: x", "Call-ID:", ParseError::Bad(CallId)),
        ("Call-ID: x", "Call-ID: x y", ParseError::Bad(CallId)),
        ("Call-ID: x", "Call-ID: x\u{0}", ParseError::Bad(CallId)),
        ("h;branch", "h;x=\"y;branch", ParseError::Bad(Via)),
        ("1 OPTIONS", "36893488147419103232 OPTIONS", ParseError::Bad(CSeq)),
        ("1 OPTIONS", "2147483648 OPTIONS", ParseError::Bad(CSeq)),
        ("1 OPTIONS", "1", ParseError::Bad(CSeq)),
        ("1 OPTIONS", "-1 OPTIONS", ParseError::Bad(CSeq)),
        ("1 OPTIONS", "1 options", ParseError::CSeqMethodMismatch),
        ("Length: 3", "Length: -3", ParseError::Bad(ContentLength)),
        ("Length: 3", "Length: 3 x", ParseError::Bad(ContentLength)),
        ("Length: 3", "Length: 4", ParseError::BodyTooShort),
        ("Length: 3", "Length: 99999999999999999999", ParseError::Bad(ContentLength)),
        ("To:", "To\r\nTo:", ParseError::BadHeaderLine),
        ("To:", ": x\r\nTo:", ParseError::BadHeaderLine),
        ("To:", "T o: x\r\nTo:", ParseError::BadHeaderLine),
        ("\r\nVia", "\r\n folded\r\nVia", ParseError::BadHeaderLine),
        ("\r\n\r\nabc", "\r\n", ParseError::NoBlankLine),
        ("<sip:c@d>", "<sip:c@d>\rEvil: 1", ParseError::BareCarriageReturn),
        ("SIP/2.0\r", "SIP/7.0\r", ParseError::BadVersion),
        ("SIP/2.0\r", "HTTP/1.1\r", ParseError::BadStartLine),
        ("sip:a@b ", "sip:a@b; lr ", ParseError::BadStartLine),
        ("OPTIONS sip:a@b SIP", "OPTIONS SIP", ParseError::BadStartLine),
        ("OPTIONS ", "OPT(ONS ", ParseError::BadStartLine),
        ("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 4294967301 x", ParseError::BadStartLine),
        ("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 700 x", ParseError::BadStartLine),
        ("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 20", ParseError::BadStartLine),
    ];
    for (from, to, expected) in cases {
        assert_eq!(error(&with(from, to)), expected, "{from} -> {to}");
    }
    assert_eq!(error("\r\n\r\n"), ParseError::Empty);
}

#[test]
fn limits_are_kept() {
    let many = "X: y\r\n".repeat(HEADERS_MAX - 5);
    assert_eq!(error(&with("From:", &format!("{many}From:"))), ParseError::TooManyHeaders);
    let long = "x".repeat(MESSAGE_BYTES_MAX);
    assert_eq!(error(&with("abc", &long)), ParseError::TooLong);
}

#[test]
fn keepalives_are_no_messages() {
    for bytes in [&b""[..], b"\r\n", b"\r\n\r\n"] {
        assert!(is_keepalive(bytes));
        assert_eq!(Message::parse(bytes).unwrap_err(), ParseError::Empty);
    }
    assert!(!is_keepalive(b"\r\n\r\n\r\n"));
    assert!(!is_keepalive(b"x"));
}

#[test]
fn the_balancer_and_the_node_read_the_same() {
    for bytes in corpus::all() {
        let message = parse(&bytes);
        let key = routing_key::scan(&bytes).unwrap();
        assert_eq!(key.method, message.method());
        assert_eq!(key.call_id, message.call_id().as_bytes());
        assert_eq!(key.cseq_number, Some(message.cseq().0));
        assert_eq!(key.top_via_branch, message.top_via().branch().unwrap().as_bytes());
        assert_eq!(key.top_via_sent_by, message.top_via().sent_by().as_bytes());
    }
}

#[test]
fn plain_messages_read_as_rsip_reads_them() {
    use rsip::prelude::{HeadersExt, UntypedHeader};
    for bytes in [corpus::invite(), corpus::ringing()] {
        let text = String::from_utf8(bytes.clone()).unwrap().replace("Length :", "Length:");
        let theirs = rsip::SipMessage::try_from(text.as_str()).unwrap();
        let ours = parse(&bytes);
        assert_eq!(theirs.call_id_header().unwrap().value(), ours.call_id());
        assert_eq!(theirs.cseq_header().unwrap().seq().unwrap(), ours.cseq().0);
        let via = theirs.via_header().unwrap().value().to_owned();
        assert_eq!(via, ours.top_via().text());
        let tag = theirs.from_header().unwrap().tag().unwrap().unwrap();
        assert_eq!(Some(tag.value()), ours.from_tag().as_deref());
    }
}
