//! `resilee-bench-sip`: reads, forwards and prints one SIP message so many times, for valgrind to
//! count instructions and allocations. `cargo xtask bench-sip` runs it twice for each figure and
//! takes the difference, so that what is done once is in neither.

use clap::{Parser, ValueEnum};
use resilee_sip_proto::{Edit, Message};
use rsip::headers::UntypedHeader as _;
use rsip::{Header, SipMessage};
use std::hint::black_box;

/// Does one thing with one message so many times.
#[derive(Parser)]
struct CommandLine {
    /// What is done
    #[arg(value_enum)]
    what: What,
    /// With what
    #[arg(value_enum)]
    message: Which,
    /// How often
    times: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Index it
    Index,
    /// Index it, change it as a proxy does, and write it
    Forward,
    /// The same with rsip's parser: parse it
    RsipParse,
    /// Parse it, change it as a proxy does, and print it
    RsipForward,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// 933 bytes, 15 headers and a session description
    Invite,
    /// 464 bytes
    Bye,
}

const VIA: &str = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-000000000000000a-fee9460723f0b85a-\
                   2c413ad664964d93;rport";
const RECORD_ROUTE: &str = "<sip:198.51.100.1:5060;lr;c=000000000000000a.fee9460723f0b85a>";
const MAX_BREADTH: u32 = 60;
const CONTACT: &str = "sip:bob@192.0.2.20:5060;ob";

fn main() {
    let CommandLine { what, message, times } = CommandLine::parse();
    let bytes = match message {
        Which::Invite => invite(),
        Which::Bye => bye(),
    };
    for _ in 0..times {
        let bytes = black_box(bytes.as_slice());
        match what {
            What::Index => drop(black_box(Message::parse(bytes).expect("a message"))),
            What::Forward => drop(black_box(forward(bytes))),
            What::RsipParse => drop(black_box(SipMessage::try_from(bytes).expect("a message"))),
            What::RsipForward => drop(black_box(rsip_forward(bytes))),
        }
    }
}

fn forward(bytes: &[u8]) -> Vec<u8> {
    let message = Message::parse(bytes).expect("a message");
    let mut edit = Edit::new(&message);
    edit.request_uri(CONTACT);
    if message.method() == Some("INVITE") {
        edit.push_record_route(RECORD_ROUTE);
    }
    edit.max_forwards(message.max_forwards().map_or(70, |hops| hops - 1));
    edit.max_breadth(MAX_BREADTH);
    edit.push_via(VIA);
    edit.finish()
}

fn rsip_forward(bytes: &[u8]) -> Vec<u8> {
    let Ok(SipMessage::Request(mut request)) = SipMessage::try_from(bytes) else {
        panic!("not a request");
    };
    request.uri = rsip::Uri::try_from(CONTACT).expect("a URI");
    let mut headers = Vec::with_capacity(20);
    headers.push(Header::Via(rsip::headers::Via::new(VIA)));
    if request.method == rsip::Method::Invite {
        headers.push(Header::RecordRoute(rsip::headers::RecordRoute::new(RECORD_ROUTE)));
    }
    headers.push(Header::Other("Max-Breadth".into(), MAX_BREADTH.to_string()));
    headers.extend(request.headers.into_iter().map(|header| match header {
        Header::MaxForwards(_) => Header::MaxForwards(rsip::headers::MaxForwards::new("69")),
        header => header,
    }));
    request.headers = headers.into();
    request.into()
}

fn invite() -> Vec<u8> {
    let body = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.10\r\ns=-\r\n\
                c=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8 101\r\n\
                a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";
    let head = format!(
        "INVITE sip:bob@example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPjcLKRxDLcSFlBhBxoVDEv\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.test>;tag=9fxced76sl\r\n\
         To: \"Bob\" <sip:bob@example.test>\r\nContact: <sip:alice@192.0.2.10:5060;ob>\r\n\
         Call-ID: 3848276298220188511@192.0.2.10\r\nCSeq: 28763 INVITE\r\n\
         Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, NOTIFY, REFER, OPTIONS\r\n\
         Supported: replaces, 100rel, timer, norefersub\r\nSession-Expires: 1800\r\n\
         Min-SE: 90\r\nUser-Agent: Softphone 3.21.1\r\nContent-Type: application/sdp\r\n\
         Content-Length: {:>3}\r\n",
        body.len()
    );
    padded(head, body, 933)
}

fn bye() -> Vec<u8> {
    let head = "BYE sip:bob@192.0.2.20:5060;ob SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPjHangUp\r\nMax-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@example.test>;tag=9fxced76sl\r\n\
         To: \"Bob\" <sip:bob@example.test>;tag=314159\r\n\
         Call-ID: 3848276298220188511@192.0.2.10\r\nCSeq: 28764 BYE\r\n\
         User-Agent: Softphone 3.21.1\r\nContent-Length: 0\r\n";
    padded(head.to_owned(), "", 464)
}

/// A further header makes the message as long as others measured it.
fn padded(head: String, body: &str, bytes: usize) -> Vec<u8> {
    let room = bytes - head.len() - body.len() - 2 - "X-Pad: \r\n".len();
    let message = format!("{head}X-Pad: {}\r\n\r\n{body}", "x".repeat(room));
    assert_eq!(message.len(), bytes);
    message.into_bytes()
}
