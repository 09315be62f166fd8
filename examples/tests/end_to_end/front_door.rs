//! The balancer in front of servers that die: phones are told to call again while there is none,
//! and whoever sends junk is banned while calls go on.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::line::Line;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// A keep-alive, and what the balancer itself says to it.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";
/// How long an answer may take before it counts as none.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

fn cluster_and_phones() -> (Cluster, [Handset; 2]) {
    let users = ["alice", "bob"].map(str::to_owned);
    let cluster = Cluster::start(&users, Calls::Digest);
    let phones = ["alice", "bob"].map(|user| Handset::start(user, cluster.sip()));
    phones.iter().for_each(Handset::register);
    (cluster, phones)
}

/// An OPTIONS of its own call, each time another one.
fn question(from: SocketAddr, number: u32) -> Vec<u8> {
    format!(
        "OPTIONS sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP {from};branch=z9hG4bK-{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:who@example.com>;tag=1\r\nTo: <sip:example.com>\r\n\
         Call-ID: question-{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn phones_are_told_to_call_again_while_there_is_no_server_and_are_served_by_the_next() {
    let (mut cluster, [alice, bob]) = cluster_and_phones();
    cluster.wait_until_backed();
    cluster.kill_node(1);
    cluster.kill_node(2);
    // It could still be a moment without a server, for which phones repeat what they said.
    let mut line = Line::udp("127.0.0.1:0".parse().expect("an address"), ANSWER_WITHIN);
    let mut questions = 0;
    wait_until("told that there is no server", SOON, || {
        questions += 1;
        line.send(cluster.sip(), &question(line.address(), questions));
        let answer = line.receive().map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned());
        answer.is_some_and(|it| it.starts_with("SIP/2.0 503 ") && it.contains("Retry-After: "))
    });
    assert_eq!(alice.call_in_vain("bob"), 503);
    cluster.start_node(1);
    cluster.start_node(2);
    cluster.rest(1).wait_for_members(&SERVERS, SOON);
    let call_id = bob.call("alice");
    bob.hang_up();
    alice.wait_for_hang_up(true);
    cluster.rest(1).wait_for_only_bill(&call_id);
}

#[test]
fn who_sends_junk_is_banned_while_a_call_goes_on_and_its_server_dies() {
    let (mut cluster, [alice, bob]) = cluster_and_phones();
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.append(true).open(cluster.folder().join("balancer.toml")).expect("a file");
    // Else all of loopback is trusted. It is read again by itself.
    let protection = "\n[protection]\nallow = [\"127.0.0.1\"]\nban_after = 20\n";
    file.write_all(protection.as_bytes()).expect("it is written");
    let elsewhere: SocketAddr = "127.0.0.7:0".parse().expect("an address");
    let mut stranger = Line::udp(elsewhere, ANSWER_WITHIN);
    let sip = cluster.sip();
    let mut is_heard = || {
        stranger.send(sip, PING);
        let heard = stranger.receive().map(|(_, bytes)| bytes);
        assert!(heard.as_deref().is_none_or(|bytes| bytes == PONG), "{heard:?}");
        (0..20).for_each(|_| stranger.send(sip, b"INVITE sip:bob SIP/2.0\r\njunk\r\n\r\n"));
        heard.is_some()
    };
    assert!(is_heard());
    let call_id = alice.call("bob");
    wait_until("banned", SOON, || !is_heard());
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
    assert!(alice.is_talking() && bob.is_talking() && !is_heard());
    alice.hang_up();
    bob.wait_for_hang_up(true);
    cluster.rest(2).wait_for_only_bill(&call_id);
    assert!(!is_heard());
}
