//! Messages we make ourselves.

use crate::corpus;
use resilee_sip_proto::build;
use resilee_sip_proto::{Edit, HeaderName, Message};

fn text(bytes: Vec<u8>) -> String {
    Message::parse(&bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_response_copies_what_rfc_3261_8_2_6_says() {
    let bytes = corpus::invite();
    let invite = Message::parse(&bytes).unwrap();
    let extra = [("Content-Type", "text/plain")];
    let response = text(build::response(&invite, 486, "", Some("t1"), &extra, b"no"));
    let expected = "SIP/2.0 486 Busy Here\r\n\
        Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;rport\r\n\
        From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
        To: Bob <sip:bob@biloxi.com>;tag=t1\r\n\
        Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n\
        CSeq: 314159 INVITE\r\n\
        Content-Type: text/plain\r\n\
        Content-Length: 2\r\n\r\nno";
    assert_eq!(response, expected);
}

#[test]
fn a_response_keeps_all_vias_and_the_tag_that_is_there() {
    let bytes = corpus::tortuous();
    let invite = Message::parse(&bytes).unwrap();
    let bytes = build::response(&invite, 200, "Fine\r\nEvil: 1", Some("new"), &[], b"");
    let response = Message::parse(&bytes).unwrap();
    assert_eq!(response.values(HeaderName::Via), invite.values(HeaderName::Via));
    assert_eq!(response.to_tag().as_deref(), Some("1918181833n"));
    assert_eq!(response.reason().as_deref(), Some("Fine  Evil: 1"));
}

#[test]
fn only_dialog_forming_responses_copy_the_record_route_rfc_3261_12_1_1() {
    let bytes = corpus::invite();
    let invite = Message::parse(&bytes).unwrap();
    let bytes =
        Edit::new(&invite).push_record_route("<sip:b;lr>").push_record_route("<sip:a;lr>").finish();
    let invite = Message::parse(&bytes).unwrap();
    let routes = |status| {
        let bytes = build::response(&invite, status, "", Some("t"), &[], b"");
        Message::parse(&bytes).unwrap().values(HeaderName::RecordRoute).len()
    };
    assert_eq!([100, 180, 200, 404].map(routes), [0, 2, 2, 0]);
    let bytes = corpus::binary_body();
    let message = Message::parse(&bytes).unwrap();
    let bytes = Edit::new(&message).push_record_route("<sip:a;lr>").finish();
    let message = Message::parse(&bytes).unwrap();
    let response = text_lossy(build::response(&message, 200, "", None, &[], b""));
    assert!(!response.contains("Record-Route"));
}

fn text_lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_100_echoes_the_timestamp_rfc_3261_8_2_6_1() {
    let bytes = corpus::invite();
    let invite = Message::parse(&bytes).unwrap();
    let bytes = Edit::new(&invite).add("Timestamp", "54.1").finish();
    let invite = Message::parse(&bytes).unwrap();
    assert!(text(build::response(&invite, 100, "", None, &[], b"")).contains("Timestamp: 54.1"));
    assert!(!text(build::response(&invite, 180, "", None, &[], b"")).contains("Timestamp"));
}

/// An INVITE as a proxy sent it: two Vias, two Routes.
fn sent_invite() -> Vec<u8> {
    let bytes = corpus::invite();
    let invite = Message::parse(&bytes).unwrap();
    let mut edit = Edit::new(&invite);
    edit.push_via("SIP/2.0/UDP lb;branch=z9hG4bKours").request_uri("sip:bob@[::1]:5070");
    edit.push_route("<sip:r1;lr>, <sip:r2;lr>").add("Proxy-Authorization", "Digest x=y");
    edit.finish()
}

#[test]
fn the_ack_of_a_failure_is_hop_by_hop_rfc_3261_17_1_1_3() {
    let invite = sent_invite();
    let invite = Message::parse(&invite).unwrap();
    let busy = build::response(&invite, 486, "", Some("callee"), &[], b"");
    let ack = text(build::ack_for_failure(&invite, &Message::parse(&busy).unwrap()));
    let expected = "ACK sip:bob@[::1]:5070 SIP/2.0\r\n\
        Via: SIP/2.0/UDP lb;branch=z9hG4bKours\r\n\
        Route: <sip:r1;lr>\r\n\
        Route: <sip:r2;lr>\r\n\
        Max-Forwards: 70\r\n\
        From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
        To: Bob <sip:bob@biloxi.com>;tag=callee\r\n\
        Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n\
        CSeq: 314159 ACK\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(ack, expected);
}

#[test]
fn a_cancel_matches_its_invite_rfc_3261_9_1() {
    let invite = sent_invite();
    let invite = Message::parse(&invite).unwrap();
    let cancel = build::cancel(&invite, None);
    let cancel = Message::parse(&cancel).unwrap();
    assert_eq!(cancel.cseq(), (314_159, "CANCEL"));
    assert_eq!(cancel.request_uri(), invite.request_uri());
    assert_eq!(cancel.values(HeaderName::Via), [invite.top_via().text()]);
    assert_eq!(cancel.to_tag(), None);
    assert_eq!(cancel.values(HeaderName::Route), invite.values(HeaderName::Route));
    assert_eq!(cancel.header_named("Reason"), None);
}

#[test]
fn a_cancel_says_why_in_one_line_rfc_3326() {
    let invite = sent_invite();
    let invite = Message::parse(&invite).unwrap();
    let cancel = build::cancel(&invite, Some("SIP;cause=200\r\nRoute: <sip:evil>"));
    let cancel = Message::parse(&cancel).unwrap();
    assert!(cancel.header_named("Reason").unwrap().starts_with("SIP;cause=200"));
    assert_eq!(cancel.values(HeaderName::Route), invite.values(HeaderName::Route));
}

#[test]
fn a_request_of_our_own_is_made_of_typed_headers() {
    use rsip::headers::{CallId, From, To, UntypedHeader, Via};
    let mut headers = rsip::Headers::default();
    headers.push(Via::new("SIP/2.0/UDP lb;branch=z9hG4bK1").into());
    headers.push(From::new("<sip:lb>;tag=1").into());
    headers.push(To::new("<sip:bob@[::1]>").into());
    headers.push(CallId::new("probe").into());
    headers.push(rsip::typed::CSeq { seq: 7, method: rsip::Method::Options }.into());
    let bytes = build::request(rsip::Method::Options, "sip:bob@[::1]", &headers, b"");
    let options = Message::parse(&bytes).unwrap();
    assert_eq!((options.method(), options.cseq()), (Some("OPTIONS"), (7, "OPTIONS")));
    assert_eq!(options.request_uri(), Some("sip:bob@[::1]"));
}

#[test]
fn every_status_has_a_phrase() {
    assert_eq!(build::reason_phrase(487), "Request Terminated");
    assert_eq!(build::reason_phrase(199), "Session Progress");
    assert!((100..700).all(|status| !build::reason_phrase(status).is_empty()));
}
