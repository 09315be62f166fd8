//! `resilee-bench-sip`: reads, forwards and prints one SIP message so many times, for valgrind to
//! count instructions and allocations. `cargo xtask bench-sip` runs it twice for each figure and
//! takes the difference, so that what is done once is in neither.

mod balanced;
mod messages;

use balanced::Balanced;
use clap::{Parser, ValueEnum};
use messages::{answer, bye, invite};
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
    /// Hand it to the balancer, and take what it sends on
    Balance,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// 933 bytes, 15 headers and a session description
    Invite,
    /// 464 bytes; for the balancer with a Route of its cluster, and 16 more
    Bye,
    /// The 200 to the INVITE; 933 bytes, too
    Answer,
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
        Which::Bye if matches!(what, What::Balance) => bye(&balanced::route()),
        Which::Bye => bye(""),
        Which::Answer => answer(),
    };
    if matches!(what, What::Balance) {
        return Balanced::new().take(&bytes, times);
    }
    for _ in 0..times {
        let bytes = black_box(bytes.as_slice());
        match what {
            What::Index => drop(black_box(Message::parse(bytes).expect("a message"))),
            What::Forward => drop(black_box(forward(bytes))),
            What::RsipParse => drop(black_box(SipMessage::try_from(bytes).expect("a message"))),
            What::RsipForward => drop(black_box(rsip_forward(bytes))),
            What::Balance => unreachable!("the balancer has got it"),
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
