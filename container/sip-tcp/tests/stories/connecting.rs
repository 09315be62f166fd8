//! Who may connect, and when a connection is closed.

use super::stage::{CLIENT, Stage, flow, request, response};
use resilee_sip_tcp::{ConnectionId, TcpDrop, TcpInput, TcpLimits, TcpOutput};

fn limits() -> TcpLimits {
    TcpLimits { connections_max: 3, connections_per_source_max: 2, ..TcpLimits::default() }
}

#[test]
fn an_address_and_all_together_have_a_limit_that_ends_with_the_connections() {
    let mut stage = Stage::new(limits());
    let first = stage.accept("192.0.2.1:1").unwrap();
    stage.accept("192.0.2.1:2").unwrap();
    assert_eq!(stage.accept("192.0.2.1:3"), None);
    stage.accept("192.0.2.2:1").unwrap();
    assert_eq!(stage.accept("192.0.2.3:1"), None);
    let drops = stage.clients.drops();
    assert_eq!(drops.count(TcpDrop::TooManyOfSource), 1);
    assert_eq!(drops.count(TcpDrop::TooManyConnections), 1);
    stage.handle(TcpInput::Closed(first));
    assert!(stage.accept("192.0.2.1:4").is_some());
}

#[test]
fn who_says_nothing_or_says_it_byte_by_byte_is_cut_off() {
    let (mut stage, _) = Stage::connected();
    assert_eq!(stage.pass(9_999), [""; 0]);
    assert_eq!(stage.pass(1), ["close 0", "TooSlow"]);

    let slow = stage.accept(CLIENT).unwrap();
    stage.says(slow, &request("OPTIONS", "z1"));
    stage.node(&response(200, "OPTIONS", "z1"));
    let mut told = Vec::new();
    for byte in request("OPTIONS", "z2").chars().take(20) {
        told.extend(stage.says(slow, &byte.to_string()));
        told.extend(stage.pass(600));
    }
    assert_eq!(told, ["close 1"], "the second one is not worth a line in the log");
    assert_eq!(stage.clients.drops().count(TcpDrop::TooSlow), 2);
    assert_eq!(stage.clients.connections(), 0);
}

#[test]
fn a_connection_lives_as_long_as_anything_moves() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("REGISTER", "z0"));
    stage.node(&response(200, "REGISTER", "z0"));
    for _ in 0..3 {
        assert_eq!(stage.says(client, "\r\n\r\n"), ["client 0: \r\n"]);
        assert_eq!(stage.pass(3_800_000), [""; 0]);
    }
    assert_eq!(stage.node(&request("OPTIONS", "z1")), ["client 0: OPTIONS"]);
    assert_eq!(stage.pass(3_899_999), [""; 0]);
    assert_eq!(stage.pass(1), ["close 0", "Idle"]);
}

/// Who reads a stream strictly would wait for the end of its headers for ever.
#[test]
fn a_message_with_bare_line_feeds_is_written_with_crlf_and_so_is_one_that_waits() {
    let (mut stage, client) = Stage::connected();
    let text = request("MESSAGE", "z1").replace("\r\n", "\n");
    stage
        .clients
        .handle_input(stage.now, TcpInput::Send { flow: flow(CLIENT), bytes: text.as_bytes() });
    let bytes = request("MESSAGE", "z1").into_bytes();
    assert_eq!(stage.clients.poll_output(), Some(TcpOutput::Write { connection: client, bytes }));

    stage.handle(TcpInput::Closed(client));
    let text = request("MESSAGE", "z2").replace("\r\n", "\n");
    assert_eq!(stage.node(&text), ["open 1: 192.0.2.1:5070"]);
    stage.clients.handle_input(stage.now, TcpInput::Opened(ConnectionId(1)));
    let bytes = request("MESSAGE", "z2").into_bytes();
    let connection = ConnectionId(1);
    assert_eq!(stage.clients.poll_output(), Some(TcpOutput::Write { connection, bytes }));
}

#[test]
fn who_speaks_another_protocol_is_cut_off() {
    let (mut stage, client) = Stage::connected();
    assert_eq!(stage.says(client, "GET / HTTP/1.1\r\n"), ["close 0", "Unreadable"]);
    assert_eq!(stage.says(client, "Host: a\r\n\r\n"), [""; 0], "what was under way");
}

/// A network may bring both in one piece, or in two: that makes no difference.
#[test]
fn what_was_all_there_before_a_fault_goes_on() {
    let (mut stage, client) = Stage::connected();
    let text = request("MESSAGE", "z1") + &request("MESSAGE", "z2") + "GET / HTTP/1.1\r\n";
    let told = stage.says(client, &text);
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[2..], ["close 0", "Unreadable"]);

    let mut stage = Stage::new(TcpLimits::default());
    begin(&mut stage, "192.0.2.1", 76, 59_000);
    let client = stage.accept("192.0.2.1:999").expect("there is room");
    let large = headers_of_large() + &"x".repeat(50_000);
    let told = stage.says(client, &(request("MESSAGE", "z1") + &large));
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[2], "TooMuchUnfinished");
}

#[test]
fn who_does_not_read_is_cut_off() {
    let (mut stage, client) = Stage::connected();
    assert_eq!(stage.handle(TcpInput::Unread(client)), ["close 0", "NotRead"]);
}

#[test]
fn a_client_without_a_connection_is_called_where_it_says_it_takes_one() {
    let mut stage = Stage::new(limits());
    assert_eq!(stage.node(&request("INVITE", "z1")), ["open 0: 192.0.2.1:5070"]);
    assert_eq!(stage.node(&response(200, "BYE", "z2")), [""; 0], "both wait");
    let told = stage.handle(TcpInput::Opened(ConnectionId(0)));
    assert_eq!(told, ["client 0: INVITE", "client 0: 200 BYE"]);
}

#[test]
fn a_client_that_names_another_address_is_not_called_there() {
    let mut stage = Stage::new(limits());
    let elsewhere = flow("203.0.113.9:40000");
    let invite = request("INVITE", "z1");
    let told = stage.handle(TcpInput::Send { flow: elsewhere, bytes: invite.as_bytes() });
    assert_eq!(told, ["Unreachable"]);
    // A response goes to the source, whatever host its Via names (RFC 3261 §18.2.2).
    let ok = response(200, "BYE", "z2");
    let told = stage.handle(TcpInput::Send { flow: elsewhere, bytes: ok.as_bytes() });
    assert_eq!(told, ["open 0: 203.0.113.9:5070"]);
}

#[test]
fn a_client_that_does_not_take_the_connection_is_tried_again_by_the_next_message() {
    let mut stage = Stage::new(limits());
    stage.node(&request("INVITE", "z1"));
    assert_eq!(stage.handle(TcpInput::Closed(ConnectionId(0))), ["Unreachable"]);
    assert_eq!(stage.node(&request("INVITE", "z1")), ["open 1: 192.0.2.1:5070"]);
    assert_eq!(stage.pass(10_000), ["close 1"]);
    assert_eq!(stage.clients.connections(), 0);
}

#[test]
fn connections_that_we_open_count_for_their_address_and_an_ipv6_client_has_one_network() {
    let mut stage = Stage::new(limits());
    for (port, told) in [(1, "open 0: 192.0.2.1:1"), (2, "open 1: 192.0.2.1:2")] {
        let ok = response(200, "BYE", "z").replace(":5070", &format!(":{port}"));
        assert_eq!(stage.node(&ok), [told]);
    }
    let third = response(200, "BYE", "z").replace(":5070", ":3");
    assert_eq!(stage.node(&third), ["TooManyOfSource"]);
    let mut stage = Stage::new(limits());
    stage.accept("[2001:db8::1]:1").unwrap();
    stage.accept("[2001:db8::2]:1").unwrap();
    assert_eq!(stage.accept("[2001:db8::3]:1"), None);
}

/// Connects as often as it may from each of these, and says nothing but a ping.
fn fill(stage: &mut Stage, networks: impl Iterator<Item = String>) -> usize {
    let mut accepted = 0;
    for network in networks {
        for port in 1..=300 {
            let Some(client) = stage.accept(&format!("[{network}::1]:{port}")) else { break };
            stage.says(client, "\r\n\r\n");
            accepted += 1;
        }
    }
    accepted
}

#[test]
fn a_customer_with_many_ipv6_networks_leaves_room_for_others() {
    let mut stage = Stage::new(TcpLimits::default());
    let home = |number: u32| format!("2001:db8:1:{number:x}");
    assert_eq!(fill(&mut stage, (0..40).map(home)), 512, "a /56");
    assert_eq!(fill(&mut stage, [home(0x101)].into_iter()), 256, "another one of the /48");
    assert_eq!(fill(&mut stage, (0..256).map(|it| home(it << 8))), 4_232, "half of all: a /48");
    let other = |number: u32| format!("2001:db8:2:{number:x}");
    assert_eq!(fill(&mut stage, [other(1)].into_iter()), 256, "somebody else's");
    stage.accept("192.0.2.1:1").unwrap();
    let first = ConnectionId(0);
    stage.handle(TcpInput::Closed(first));
    stage.accept("[2001:db8:1:a000::1]:1").expect("what was left is free again");
}

#[test]
fn clients_behind_a_translator_are_counted_by_their_ipv4_addresses() {
    let mut stage = Stage::new(TcpLimits::default());
    for port in 1..=256 {
        stage.accept(&format!("[64:ff9b::192.0.2.1]:{port}")).unwrap();
    }
    assert_eq!(stage.accept("[64:ff9b::192.0.2.1]:300"), None);
    assert_eq!(stage.accept("192.0.2.1:300"), None, "it is the same one");
    stage.accept("[64:ff9b::192.0.2.2]:1").unwrap();
}

/// Connects as often from this address, and begins a large message each time, by so many bytes.
fn begin(stage: &mut Stage, ip: &str, connections: usize, bytes: usize) {
    let mut message = headers_of_large();
    message += &"x".repeat(bytes - message.len());
    for _ in 0..connections {
        let port = 1_000 + stage.accepted;
        let client = stage.accept(&format!("{ip}:{port}")).expect("there is room");
        stage.says(client, &message);
    }
}

fn headers_of_large() -> String {
    request("MESSAGE", "z1").replace("Length: 0", "Length: 59000")
}

/// All of one address could be 15 MB, and 600 MB of all.
#[test]
fn messages_that_are_not_all_there_do_not_fill_the_memory() {
    let mut stage = Stage::new(TcpLimits::default());
    begin(&mut stage, "192.0.2.1", 256, 59_000);
    assert_eq!(stage.clients.connections(), 76, "4 MB");
    assert_eq!(stage.clients.drops().count(TcpDrop::TooMuchUnfinished), 180);
    // What is not large has room.
    begin(&mut stage, "192.0.2.1", 100, 4_096);
    assert_eq!(stage.clients.connections(), 176);

    // What is all there, or was closed, makes room.
    let rest = "x".repeat(headers_of_large().len());
    assert_eq!(stage.says(ConnectionId(0), &rest), ["node: MESSAGE"]);
    stage.handle(TcpInput::Closed(ConnectionId(1)));
    begin(&mut stage, "192.0.2.1", 3, 59_000);
    assert_eq!(stage.clients.connections(), 177, "two of three");

    // Others have room, too, until all is full.
    for network in 0..3 {
        begin(&mut stage, &format!("[2001:db8:1:{network}::1]"), 80, 59_000);
    }
    assert_eq!(stage.clients.connections(), 177 + 2 * 76, "a /56");
    for number in 2..8 {
        begin(&mut stage, &format!("192.0.2.{number}"), 80, 59_000);
    }
    let most = 177 + 2 * 76 + 5 * 76 + 3;
    assert_eq!(stage.clients.connections(), most, "32 MB");
    begin(&mut stage, "192.0.2.8", 100, 4_096);
    assert_eq!(stage.clients.connections(), most + 100);
    // Those that take too long make room.
    stage.pass(10_000);
    assert_eq!(stage.clients.connections(), 1, "whose message was there");
    begin(&mut stage, "192.0.2.8", 1, 59_000);
    assert_eq!(stage.clients.connections(), 2);
}

/// Who registers, or is called, keeps its connection; who only connects need not.
#[test]
fn a_client_that_no_node_has_served_is_not_kept_for_long() {
    for (method, is_kept) in [
        ("REGISTER", true),
        ("INVITE", true),
        ("MESSAGE", true),
        // Anybody may send these.
        ("OPTIONS", false),
        ("CANCEL", false),
    ] {
        let (mut stage, client) = Stage::connected();
        stage.says(client, &request(method, "z1"));
        stage.node(&response(401, method, "z1"));
        assert_eq!(stage.pass(299_999), [""; 0], "{method}");
        stage.says(client, &request(method, "z2"));
        stage.node(&response(200, method, "z2"));
        let told = stage.pass(300_000);
        assert_eq!(told.is_empty(), is_kept, "{method}: {told:?}");
    }
    let (mut stage, client) = Stage::connected();
    stage.says(client, "\r\n\r\n");
    stage.node(&request("INVITE", "z1"));
    stage.says(client, &response(200, "INVITE", "z1"));
    assert_eq!(stage.pass(3_000_000), [""; 0], "a node knew where it is");
}

#[test]
fn nobody_is_given_what_is_for_another_client_of_his_address() {
    let mut stage = Stage::new(limits());
    // Who is behind the same NAT has got the very port that the message names.
    stage.accept("192.0.2.1:5070").unwrap();
    assert_eq!(stage.node(&request("INVITE", "z1")), ["open 1: 192.0.2.1:5070"]);
}

#[test]
fn s18_3_a_message_without_content_length_gets_one() {
    let (mut stage, client) = Stage::connected();
    let text = request("MESSAGE", "z1").replace("Content-Length: 0\r\n\r\n", "\r\nBYE sip:a");
    stage
        .clients
        .handle_input(stage.now, TcpInput::Send { flow: flow(CLIENT), bytes: text.as_bytes() });
    let written = stage.clients.poll_output();
    let expected = text.replace("\r\n\r\nBYE", "\r\nContent-Length: 9\r\n\r\nBYE");
    let bytes = expected.into_bytes();
    assert_eq!(written, Some(resilee_sip_tcp::TcpOutput::Write { connection: client, bytes }));
}
