//! Datagrams of many sources at a steady rate: random bytes, requests that are cut off, that lack
//! a Call-ID or a CSeq, that are a scanner's, responses to nobody, and keep-alives.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use resilee_test_kit::Random;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// Sources have addresses from 127.1.0.0 on.
const SOURCES_MAX: u32 = 1 << 16;
/// Datagrams are due in groups, one each of these; a sleep is not more exact.
const TICK: Duration = Duration::from_millis(1);
/// Descriptors beside those of the sources.
const OTHER_DESCRIPTORS: u64 = 64;

/// What is sent.
#[derive(Args)]
pub struct Options {
    /// Where it goes
    #[arg(long)]
    to: SocketAddr,
    /// Addresses that it comes from
    #[arg(long, default_value_t = 10_000, value_parser = sources_in_range())]
    sources: u32,
    /// Datagrams a second, of all sources together
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// For how long
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

fn sources_in_range() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(SOURCES_MAX))
}

/// Sends; prints how many datagrams, and in how many milliseconds.
pub fn run(options: &Options) -> Result<()> {
    let sockets = sources(options.sources)?;
    let mut random = Random::new(1);
    let total = u64::from(options.rate) * u64::from(options.seconds);
    let begin = Instant::now();
    let mut sent = 0;
    while sent < total {
        let due = (begin.elapsed().as_secs_f64() * f64::from(options.rate)) as u64;
        if due <= sent {
            thread::sleep(TICK);
            continue;
        }
        while sent < due.min(total) {
            let socket = &sockets[below(&mut random, sockets.len())];
            // A full queue of the receiver is no error of ours: the datagram is lost there.
            socket.send_to(&junk(&mut random, sent), options.to).context("cannot send")?;
            sent += 1;
        }
    }
    println!("{sent} {}", begin.elapsed().as_millis());
    Ok(())
}

/// A socket for each source: to bind one for each datagram would cost more than to send it.
fn sources(count: u32) -> Result<Vec<UdpSocket>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = u64::from(count) + OTHER_DESCRIPTORS;
    ensure!(wanted <= hard, "{count} sources need {wanted} open files, and {hard} are allowed");
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 0));
    let bind = |number| UdpSocket::bind((Ipv4Addr::from_bits(first + number), 5060));
    let sockets: Result<_, _> = (0..count).map(bind).collect();
    sockets.context("cannot bind the addresses of the sources")
}

fn junk(random: &mut Random, number: u64) -> Vec<u8> {
    let head = format!(
        "INVITE sip:{number}@resilee.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.1.2.3;branch=z9hG4bK{number}\r\n\
         From: <sip:a@resilee.example>;tag={number}\r\nTo: <sip:b@resilee.example>\r\n"
    );
    let all = format!("{head}Call-ID: {number}\r\nCSeq: 1 INVITE\r\n");
    match below(random, 7) {
        0 => (0..below(random, 1_200)).map(|_| random.draw() as u8).collect(),
        1 => head.as_bytes()[..below(random, head.len())].to_vec(),
        2 => format!("{head}CSeq: 1 INVITE\r\n\r\n").into(),
        3 => format!("{head}Call-ID: {number}\r\nCSeq: none\r\n\r\n").into(),
        4 => format!("{all}User-Agent: friendly-scanner\r\n\r\n").into(),
        5 => all.replace("INVITE sip:", "SIP/2.0 200 OK\r\nX: ").into(),
        _ => b"\r\n\r\n".to_vec(),
    }
}

fn below(random: &mut Random, end: usize) -> usize {
    random.between(0, end as u64 - 1) as usize
}
