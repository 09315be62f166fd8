//! Links over mutual TLS between real processes: who gets one, who does not and reads why, and
//! that nobody who proves nothing keeps others out.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};
use support::{Certificates, DEADLINE, Process, Role};

/// Not a test of its own.
#[tokio::test]
async fn a_node_in_its_own_process() {
    support::child().await;
}

#[test]
fn a_link_over_tls_carries_frames_and_survives_the_death_of_its_peer() {
    let certificates = Certificates::of(&["server1", "server2"]);
    let (one, two) = Role::pair();
    let mut first = Process::start(&one.with(&certificates, "server1"));
    let two = two.with(&certificates, "server2");
    let mut second = Process::start(&two);
    first.expect("EVENT up server2");
    second.expect("EVENT up server1");
    first.expect("EVENT echoed 1000");
    second.kill();
    first.expect("EVENT down server2");
    let _second = Process::start(&Role { run: "server2#2".to_owned(), ..two });
    first.expect("EVENT up server2");
    first.expect("EVENT echoed 1000");
}

#[test]
fn a_certificate_of_another_authority_is_refused_by_both_sides() {
    let (own, other) = (Certificates::of(&["server1"]), Certificates::of(&["server2"]));
    let (one, two) = Role::pair();
    let mut second = Process::start(&two.with(&other, "server2"));
    let mut first = Process::start(&one.with(&own, "server1"));
    first.expect_all(&["no cluster link", "not signed by the CA of ca_file"]);
    second.expect_all(&["cluster link refused", "not signed by the CA of its ca_file"]);
    first.expect_nothing_of("EVENT up");
}

#[test]
fn the_dialing_side_refuses_a_certificate_of_another_node() {
    let certificates = Certificates::of(&["server1", "server3"]);
    let (one, two) = Role::pair();
    let mut second = Process::start(&two.with(&certificates, "server3"));
    let mut first = Process::start(&one.with(&certificates, "server1"));
    first.expect_all(&["no cluster link", "is for \"server3\", but \"server2\" is expected"]);
    second.expect_all(&["cluster link refused", "does it have the name of this node?"]);
    first.expect_nothing_of("EVENT up");
}

#[test]
fn the_accepting_side_refuses_a_certificate_of_another_node() {
    let certificates = Certificates::of(&["server2", "server3"]);
    let (one, two) = Role::pair();
    let mut second = Process::start(&two.with(&certificates, "server2"));
    let mut first = Process::start(&one.with(&certificates, "server3"));
    second.expect_all(&["cluster link refused", "server3", "\"server1\" is expected"]);
    first.expect_all(&["no cluster link", "closed the connection"]);
    second.expect("Refusals { strangers: 0, crowded_out: 0, handshakes: 1, sessions: 0");
    first.expect_nothing_of("EVENT up");
}

#[test]
fn a_certificate_that_has_ended_is_refused() {
    let (certificates, authority) = (Certificates::new(), Certificates::authority());
    let pair = authority.sign("server1").expect("a certificate");
    certificates.write("server1", &authority, &pair);
    let now = SystemTime::now();
    let end = now + Duration::from_secs(2);
    let pair = authority.sign_for("server2", now - Duration::from_secs(60)..end);
    certificates.write("server2", &authority, &pair.expect("a certificate"));
    let (one, two) = Role::pair();
    let mut second = Process::start(&two.with(&certificates, "server2"));
    second.expect_all(&["EVENT alarm", "server2.pem", "ends at", "renew it"]);
    wait_until(end + Duration::from_secs(1));
    let mut first = Process::start(&one.with(&certificates, "server1"));
    first.expect_all(&["no cluster link", "the certificate ended at"]);
    second.expect_all(&["cluster link refused", "it has ended"]);
    first.expect_nothing_of("EVENT up");
}

#[test]
fn a_renewed_certificate_is_read_without_a_restart_and_the_link_lives_on() {
    let (certificates, authority) = (Certificates::new(), Certificates::authority());
    let now = SystemTime::now();
    let end = now + Duration::from_secs(5);
    for node in ["server1", "server2"] {
        let pair = authority.sign_for(node, now - Duration::from_secs(60)..end);
        certificates.write(node, &authority, &pair.expect("a certificate"));
    }
    let (one, two) = Role::pair();
    let mut second = Process::start(&two.with(&certificates, "server2"));
    let mut first = Process::start(&one.with(&certificates, "server1"));
    first.expect_all(&["EVENT alarm", "server1.pem", "ends at"]);
    first.expect("EVENT up server2");
    // Half of a renewal: the old pair stays in use, and the operator is told.
    let authority = Certificates::authority();
    let pairs = ["server1", "server2"].map(|node| (node, authority.sign(node).expect("signed")));
    let key = certificates.files("server1").private_key;
    std::fs::write(&key, &pairs[0].1.private_key).expect("written");
    first.expect_all(&["EVENT alarm", "not the key of the certificate", "stay in use"]);
    for (node, pair) in &pairs {
        certificates.write(node, &authority, pair);
    }
    second.expect("were read again");
    first.expect("were read again");
    wait_until(end + Duration::from_secs(1));
    first.expect("EVENT echoed");
    first.expect_nothing_of("EVENT down");
    first.close_link();
    first.expect("EVENT down server2");
    first.expect("EVENT up server2");
}

#[test]
fn a_node_without_certificates_gets_no_link_and_the_log_says_why() {
    let certificates = Certificates::of(&["server1", "server2"]);
    let (one, two) = Role::pair();
    let mut second = Process::start(&two.clone().with(&certificates, "server2"));
    let mut first = Process::start(&one.clone());
    second.expect_all(&["cluster link refused", "does not speak TLS", "certificate_file"]);
    first.expect_nothing_of("EVENT up");
    drop((first, second));
    let _second = Process::start(&two);
    let mut first = Process::start(&one.with(&certificates, "server1"));
    first.expect_all(&["no cluster link", "does it use TLS"]);
    first.expect_nothing_of("EVENT up");
}

#[test]
fn silent_connections_are_closed_and_do_not_keep_a_peer_out() {
    let certificates = Certificates::of(&["server1", "server2"]);
    let (one, two) = Role::pair();
    let listen = two.listen;
    let two = Role { handshake_ms: 30_000, ..two.with(&certificates, "server2") };
    let mut second = Process::start(&two);
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(listen).expect("connects")).collect();
    second.expect("crowded_out: 42");
    let mut first = Process::start(&one.with(&certificates, "server1"));
    first.expect("EVENT up server2");
    first.expect("EVENT echoed 1000");
    let closed = silent.iter().filter(|stream| is_closed(stream)).count();
    assert!(closed >= 42, "the oldest ones: {closed}");
}

#[test]
fn a_slow_handshake_is_closed_at_its_deadline() {
    let certificates = Certificates::of(&["server2"]);
    let (_, two) = Role::pair();
    let listen = two.listen;
    let two = Role { handshake_ms: 200, ..two.with(&certificates, "server2") };
    let mut second = Process::start(&two);
    let mut silent = TcpStream::connect(listen).expect("connects");
    let mut slow = TcpStream::connect(listen).expect("connects");
    // The head of a TLS record that never comes.
    slow.write_all(&[22, 3, 1, 1, 0, 1]).expect("sent");
    wait_for_end(&mut silent);
    wait_for_end(&mut slow);
    second.expect_all(&["cluster link refused", "no TLS handshake within 200 ms"]);
    second.expect("handshakes: 2");
}

#[test]
fn a_connection_that_proves_no_cookie_is_closed_at_its_deadline() {
    let (_, two) = Role::pair();
    let listen = two.listen;
    let mut second = Process::start(&Role { authentication_ms: 200, ..two });
    let mut silent = TcpStream::connect(listen).expect("connects");
    let mut huge = TcpStream::connect(listen).expect("connects");
    huge.write_all(&u64::MAX.to_be_bytes()).expect("sent");
    wait_for_end(&mut silent);
    wait_for_end(&mut huge);
    second.expect("the handshake took too long");
    second.expect("sessions: 1");
}

#[test]
fn a_connection_from_an_address_of_no_peer_is_closed_at_once() {
    let certificates = Certificates::of(&["server2"]);
    let (_, two) = Role::pair();
    let listen = two.listen;
    let two = Role { handshake_ms: 30_000, ..two.with(&certificates, "server2") };
    let mut second = Process::start(&two);
    let mut stranger = connect_from([127, 0, 0, 77], listen);
    wait_for_end(&mut stranger);
    second.expect_all(&["cluster link refused", "127.0.0.77", "no peer's address"]);
    second.expect("strangers: 1");
}

/// `cargo test --release -p resilee-cluster --test mutual_tls what_tls -- --ignored --nocapture`
#[test]
#[ignore = "measures, proves nothing"]
fn what_tls_costs() {
    const FRAMES: u64 = 20_000;
    for frame_bytes in [256, 16_384] {
        for encrypted in [false, true] {
            let certificates = Certificates::of(&["server1", "server2"]);
            let (mut one, mut two) = Role::pair();
            if encrypted {
                (one, two) =
                    (one.with(&certificates, "server1"), two.with(&certificates, "server2"));
            }
            (one.frame_bytes, two.frame_bytes) = (frame_bytes, frame_bytes);
            let (second, mut first) = (Process::start(&two), Process::start(&one));
            first.expect("EVENT echoed 500");
            let before = first.cpu_ticks() + second.cpu_ticks();
            first.expect(&format!("EVENT echoed {}", 500 + FRAMES));
            let ticks = first.cpu_ticks() + second.cpu_ticks() - before;
            let each = ticks * 10_000 / (2 * FRAMES);
            println!("{frame_bytes} B, TLS {encrypted}: {each} us CPU each frame, both sides");
        }
    }
}

fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("an address of this machine");
    socket.connect(&to.into()).expect("connects");
    socket.into()
}

/// Waits until the other side has closed the connection.
fn wait_for_end(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set");
    let mut byte = [0];
    match (&*stream).read(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Waits for the wall clock, which the validity of certificates follows.
fn wait_until(time: SystemTime) {
    while let Ok(left) = time.duration_since(SystemTime::now()) {
        // sleep: the end of a certificate is a moment of the wall clock
        std::thread::sleep(left);
    }
}
