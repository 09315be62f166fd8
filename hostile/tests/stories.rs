//! Clients that want to be billed nothing, or somebody else's password: the node with its services.

use resilee_hostile::alone::{Alone, address};
use resilee_sip_api::{Account, Algorithm, Credentials, QopAuth};
use resilee_sip_proto::{HeaderName, Message, build, digest};

const ALICE: &str = "192.0.2.10:40000";
/// He is registered from here.
const BOB: &str = "192.0.2.20:5060";
const LARGE: usize = 58_000;

fn with_body(message: &[u8], bytes: usize) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).expect("text");
    let (head, _) = text.split_once("\r\n\r\n").expect("headers");
    let lines: Vec<_> = head.lines().filter(|it| !it.starts_with("Content-Length")).collect();
    let (lines, body) = (lines.join("\r\n"), "x".repeat(bytes));
    format!("{lines}\r\nContent-Length: {bytes}\r\n\r\n{body}").into_bytes()
}

fn by_alice(method: &str, cseq: u32, route: &str, to_tag: &str) -> Vec<u8> {
    let text = format!(
        "{method} sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;\
         branch=z9hG4bK{method}{cseq}\r\n{route}From: <sip:alice@example.test>;tag=a\r\n\
         To: <sip:bob@example.test>{to_tag}\r\nCall-ID: call-1\r\nCSeq: {cseq} {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:alice@10.0.0.1:5060>\r\nContent-Length: 0\r\n\r\n"
    );
    text.into_bytes()
}

fn to<'a>(sent: &'a [(std::net::SocketAddr, Vec<u8>)], phone: &str) -> Vec<&'a [u8]> {
    let of_phone = sent.iter().filter(|(to, _)| *to == address(phone));
    of_phone.map(|(_, bytes)| bytes.as_slice()).collect()
}

/// Alice has called Bob, and is billed for it: her requests carry these.
struct Call {
    node: Alone,
    route: String,
}

impl Call {
    fn answered() -> Self {
        let mut node = Alone::new(false);
        let sent = node.hear(ALICE, by_alice("INVITE", 1, "", ""));
        let ok = Call::bob_says(to(&sent, BOB)[0], 200, 0);
        let sent = node.hear(BOB, ok);
        let ok = Message::parse(to(&sent, ALICE)[0]).expect("the 2xx");
        let route = ok.header(HeaderName::RecordRoute).expect("our way");
        let route = format!("Route: {route}\r\n");
        Call { node, route }
    }

    fn bob_says(request: &[u8], status: u16, body: usize) -> Vec<u8> {
        let request = Message::parse(request).expect("it was sent by a node");
        let routes = request.values(HeaderName::RecordRoute);
        let routes = routes.iter().map(|it| ("Record-Route", it.as_ref()));
        let contact = [("Contact", "<sip:bob@192.0.2.20:5060>")];
        let headers: Vec<_> = routes.chain(contact).collect();
        with_body(&build::response(&request, status, "", Some("b"), &headers, &[]), body)
    }

    fn alice(
        &mut self,
        method: &str,
        cseq: u32,
        body: usize,
    ) -> Vec<(std::net::SocketAddr, Vec<u8>)> {
        let message = with_body(&by_alice(method, cseq, &self.route, ";tag=b"), body);
        self.node.hear(ALICE, message)
    }

    /// An ordinary BYE, which Bob accepts.
    #[track_caller]
    fn is_billed(&mut self) {
        let sent = self.alice("BYE", 900, 0);
        let ok = Call::bob_says(to(&sent, BOB)[0], 200, 0);
        let sent = self.node.hear(BOB, ok);
        assert!(to(&sent, ALICE)[0].starts_with(b"SIP/2.0 200"));
        let alarms = self.node.status().alarms;
        assert!(!alarms.iter().any(|it| it.text.contains("bytes")), "{alarms:?}");
        assert_eq!(self.node.bills(), 1, "{alarms:?}");
    }
}

#[test]
fn a_call_with_large_requests_that_nobody_answers_is_billed() {
    let mut call = Call::answered();
    for cseq in 2..40 {
        call.alice("INVITE", cseq, LARGE);
    }
    call.alice("BYE", 40, LARGE);
    call.is_billed();
}

#[test]
fn a_call_with_large_answers_is_billed() {
    let mut call = Call::answered();
    for cseq in 2..70 {
        let (method, status) = if cseq < 33 { ("INVITE", 183) } else { ("BYE", 401) };
        let sent = call.alice(method, cseq, 0);
        for at_bob in to(&sent, BOB) {
            call.node.hear(BOB, Call::bob_says(at_bob, status, LARGE));
        }
    }
    call.is_billed();
}

fn register(number: usize, authorization: &str) -> String {
    format!(
        "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;\
         branch=z9hG4bKr{number}\r\nFrom: <sip:bob@example.test>;tag=a\r\n\
         To: <sip:bob@example.test>\r\nCall-ID: register-{number}\r\nCSeq: 7 REGISTER\r\n\
         Max-Forwards: 70\r\n{authorization}Content-Length: 0\r\n\r\n"
    )
}

/// A REGISTER for Bob that is challenged and comes again with a password: the status, none if it
/// was dropped.
fn try_out(node: &mut Alone, from: &str, number: usize, password: &str) -> Option<u16> {
    let sent = node.hear(from, register(number, ""));
    let challenge = Message::parse(to(&sent, from).first()?).expect("a response");
    let challenge = challenge.header(HeaderName::WwwAuthenticate).expect("a challenge");
    let nonce = digest::Challenge::parse(&challenge).expect("digest").nonce;
    let credentials = Credentials {
        username: "bob".to_owned(),
        realm: "example.test".to_owned(),
        nonce: nonce.clone(),
        uri: "sip:example.test".to_owned(),
        response: String::new(),
        algorithm: Algorithm::Md5,
        qop: Some(QopAuth { nc: "00000001".to_owned(), cnonce: "x".to_owned() }),
        method: "REGISTER".to_owned(),
        nonce_fresh: true,
    };
    let account = Account::with_password("bob", "example.test", password);
    let response = credentials.expected(&account.ha1);
    let header = format!(
        "Authorization: Digest username=\"bob\", realm=\"example.test\", nonce=\"{nonce}\", \
         uri=\"sip:example.test\", algorithm=MD5, response=\"{response}\", qop=auth, \
         nc=00000001, cnonce=\"x\"\r\n"
    );
    let sent = node.hear(from, register(number, &header));
    Message::parse(to(&sent, from)[0]).expect("a response").status()
}

/// Many try out Bob's password, and one of them from the network in which he is registered, whose
/// tries the registrar looks at all the same.
#[test]
fn wrong_passwords_for_a_barred_account_count_where_they_are_looked_at() {
    let mut node = Alone::new(false);
    let mut number = 0;
    for network in 1..=3 {
        for _ in 0..7 {
            number += 1;
            let from = format!("203.0.113.{network}:5060");
            assert_eq!(try_out(&mut node, &from, number, "guess"), Some(401));
        }
    }
    assert_eq!(try_out(&mut node, "203.0.113.4:5060", 90, "secret"), Some(503), "it is barred");
    let neighbour = "192.0.2.20:40000";
    let answers: Vec<_> =
        (100..120).map(|number| try_out(&mut node, neighbour, number, "guess")).collect();
    let looked_at = answers.iter().filter(|it| **it == Some(401)).count();
    assert_eq!(looked_at, 11, "then the network is barred: {answers:?}");
    assert_eq!(answers.last(), Some(&None));
}

#[test]
fn the_right_password_of_a_barred_account_is_accepted_where_it_is_registered() {
    let mut node = Alone::new(false);
    for number in 0..21 {
        let from = format!("203.0.113.{}:5060", number % 3);
        assert_eq!(try_out(&mut node, &from, number, "guess"), Some(401));
    }
    assert_eq!(try_out(&mut node, "192.0.2.20:40000", 50, "secret"), Some(200));
}
