//! Scripted phones: what Alice, Bob and Carol send. Alice is behind a NAT: her own address in
//! Via and Contact is not the one that her messages come from.

use super::{BALANCER, Node, parse};
use resilee_sip_proto::{Edit, HeaderName, Message, build, name_addr};

pub const ALICE: &str = "192.0.2.10:40000";
pub const BOB: &str = "192.0.2.20:5060";
pub const CAROL: &str = "192.0.2.30:5060";
pub const ALICE_CONTACT: &str = "sip:alice@10.0.0.1:5060";
pub const BOB_CONTACT: &str = "sip:bob@192.0.2.20:5060;ob";
pub const CAROL_CONTACT: &str = "sip:carol@192.0.2.30:5060";

const ALICE_VIA: &str = "10.0.0.1:5060;rport";
const BOB_VIA: &str = "192.0.2.20:5060;rport";
const SDP: &str = "v=0\r\n";

/// Alice calls Bob.
pub fn invite() -> String {
    invite_with(1, "")
}

/// Alice's INVITE with this CSeq number and further header lines.
pub fn invite_with(cseq: u32, headers: &str) -> String {
    let contact = format!("Contact: <{ALICE_CONTACT}>\r\nMax-Forwards: 70\r\n{headers}");
    let branch = format!("z9hG4bKinvite{cseq}");
    let start = format!("INVITE sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP {ALICE_VIA}");
    format!(
        "{start};branch={branch}\r\nFrom: \"Alice\" <sip:alice@example.test>;tag=a\r\n\
         To: <sip:bob@example.test>\r\nCall-ID: call-1\r\nCSeq: {cseq} INVITE\r\n{contact}\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    )
}

/// The CANCEL, or the ACK of a failure, of [`invite_with`].
pub fn follow_up(method: &str, cseq: u32) -> String {
    format!(
        "{method} sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP {ALICE_VIA};\
         branch=z9hG4bKinvite{cseq}\r\nFrom: \"Alice\" <sip:alice@example.test>;tag=a\r\n\
         To: <sip:bob@example.test>\r\nCall-ID: call-1\r\nCSeq: {cseq} {method}\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A request outside a dialog.
pub fn request(method: &str, uri: &str, headers: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ALICE_VIA};branch=z9hG4bKrequest\r\n\
         From: <sip:alice@example.test>;tag=a\r\nTo: <sip:alice@example.test>\r\n\
         Call-ID: request-1\r\nCSeq: 7 {method}\r\nMax-Forwards: 70\r\n{headers}\
         Content-Length: 0\r\n\r\n"
    )
}

/// What a phone with this To tag and contact answers to a request as it got it.
pub fn answer(request: &str, status: u16, tag: &str, contact: &str) -> Vec<u8> {
    answer_bytes(request.as_bytes(), status, tag, contact)
}

fn answer_bytes(request: &[u8], status: u16, tag: &str, contact: &str) -> Vec<u8> {
    let request = Message::parse(request).expect("a request");
    let contact = format!("<{contact}>");
    build::response(&request, status, "", Some(tag), &[("Contact", &contact)], &[])
}

/// Bob's answer to a request that is no text.
pub fn bob_answers_bytes(request: &[u8], status: u16) -> Vec<u8> {
    answer_bytes(request, status, "b", BOB_CONTACT)
}

/// Bob's answer.
pub fn bob_answers(request: &str, status: u16) -> Vec<u8> {
    answer(request, status, "b", BOB_CONTACT)
}

/// Alice's answer to a request within a dialog.
pub fn alice_answers(request: &str, status: u16) -> Vec<u8> {
    answer(request, status, "", ALICE_CONTACT)
}

/// Alice calls Bob, and he answers.
pub fn answered_call(node: &mut Node) -> Dialog {
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    Dialog::of(&node.receive(BOB, bob_answers(&at_bob, 200)).only(ALICE))
}

/// The same, and she has acknowledged that.
pub fn acknowledged_call(node: &mut Node) -> Dialog {
    let dialog = answered_call(node);
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    dialog
}

/// A dialog as it is known after the 2xx that Alice got.
#[derive(Clone, Debug)]
pub struct Dialog {
    callee_tag: String,
    callee_contact: String,
    route: String,
}

impl Dialog {
    pub fn of(response: &str) -> Self {
        let response = parse(response);
        let contact = response.header(HeaderName::Contact).expect("a Contact");
        Dialog {
            callee_tag: response.to_tag().expect("a To tag").into_owned(),
            callee_contact: name_addr(&contact).expect("an address").uri.to_owned(),
            route: response.header(HeaderName::RecordRoute).expect("a route").into_owned(),
        }
    }

    /// A request of Alice within the dialog.
    pub fn by_alice(&self, method: &str, cseq: u32) -> String {
        let tags = ("a", self.callee_tag.as_str());
        let from_to = ("sip:alice@example.test", "sip:bob@example.test");
        self.request(method, cseq, &self.callee_contact, ALICE_VIA, from_to, tags, ALICE_CONTACT)
    }

    /// A request of the callee within the dialog.
    pub fn by_bob(&self, method: &str, cseq: u32) -> String {
        let tags = (self.callee_tag.as_str(), "a");
        let from_to = ("sip:bob@example.test", "sip:alice@example.test");
        self.request(method, cseq, ALICE_CONTACT, BOB_VIA, from_to, tags, &self.callee_contact)
    }

    #[expect(clippy::too_many_arguments, reason = "a request has that many parts")]
    fn request(
        &self,
        method: &str,
        cseq: u32,
        uri: &str,
        via: &str,
        (from, to): (&str, &str),
        (from_tag, to_tag): (&str, &str),
        contact: &str,
    ) -> String {
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {via};branch=z9hG4bK{method}{cseq}{from_tag}{to_tag}\r\n\
             Route: {}\r\nFrom: <{from}>;tag={from_tag}\r\nTo: <{to}>;tag={to_tag}\r\n\
             Call-ID: call-1\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <{contact}>\r\nContent-Length: 0\r\n\r\n",
            self.route
        )
    }
}

/// A request within a dialog as a strict router sends it on (RFC 3261 §16.4): its first Route is
/// the Request-URI, which is the last of the Routes.
pub fn by_strict_router(request: &str) -> String {
    let message = parse(request);
    let uri = message.request_uri().expect("a URI");
    let mut routes = message.values(HeaderName::Route);
    let first = routes.remove(0).into_owned();
    let last = format!("<{uri}>");
    let routes: Vec<_> = routes.iter().map(AsRef::as_ref).chain([last.as_str()]).collect();
    let mut edit = Edit::new(&message);
    edit.request_uri(name_addr(&first).expect("an address").uri).remove("Route");
    edit.push_route(&routes.join(", "));
    String::from_utf8(edit.finish()).expect("text")
}

/// Branch of the top Via.
pub fn top_branch(message: &str) -> String {
    parse(message).top_via().branch().expect("a branch").to_owned()
}

/// Whether the message is on its way through the balancer.
pub fn is_under_our_via(message: &str) -> bool {
    parse(message).top_via().sent_by() == BALANCER
}
