//! One of two balancers at an address that it adds itself, or that another program moves, in a
//! network of the test's own.
//!
//! A test starts itself again in a network namespace. Where the system gives none, it says so and
//! proves nothing.

use crate::stage::{DEADLINE, Files, Node, options};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set inside.
const INSIDE: &str = "RESILEE_OWN_ADDRESS";

/// The interface has an address of its own, as an operator gives it one.
const SET_UP: &str = "ip link set lo up && ip link add eth0 type veth peer name switch0 && \
    ip link set switch0 up && ip link set eth0 up && ip addr add 2001:db8::1/64 dev eth0 nodad";
const PHONES: &str = "[2001:db8::10]:5060";

const PAIR: &str = "[pair]\nname = \"x\"\npeer = \"y\"\ninterface = \"eth0\"\n";

/// Whoever stands by has looked by then.
const LOOKED_WITHIN: Duration = Duration::from_secs(1);

/// So long an address lives that nobody keeps, and what the kernel may be late.
const GONE_WITHIN: Duration = Duration::from_millis(2_500);

fn unshare(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount-proc", "--", "sh", "-c", "\"$0\" \"$@\"; exit $?", program]);
    command
}

fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The line of the phones' address.
fn address() -> Option<String> {
    let all = shell("ip -o -6 addr show dev eth0");
    all.lines().find(|line| line.contains("2001:db8::10/128")).map(str::to_owned)
}

struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Plays the calling test in such a network.
fn in_own_network(inside: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        shell(SET_UP);
        return inside();
    }
    let probe = format!("{SET_UP} && ip -o -6 addr show dev eth0 | grep -q 2001:db8::1");
    let possible = unshare("sh").args(["-c", &probe]).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "this system gives no network namespace");
        return println!("left out: this system gives no network namespace with IPv6");
    }
    let this = std::env::current_exe().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let mut command = unshare(this.to_str().unwrap());
    let status = command.args(["--exact", &name, "--nocapture"]).env(INSIDE, "1").status();
    assert!(status.unwrap().success(), "see above");
}

fn start(files: &Files) -> Balancer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resilee-balancer"));
    Balancer(command.arg("--config").arg(files.config()).spawn().unwrap())
}

/// Without one of root's capabilities.
fn start_without(files: &Files, capability: &str) -> Balancer {
    let mut command = Command::new("setpriv");
    command.arg(format!("--bounding-set=-{capability}")).arg("--");
    command.arg(env!("CARGO_BIN_EXE_resilee-balancer"));
    Balancer(command.arg("--config").arg(files.config()).spawn().unwrap())
}

#[test]
fn an_address_of_ipv6_is_there_while_it_serves_and_is_no_source_of_anything_else() {
    in_own_network(adds_its_address);
}

#[test]
fn an_address_that_another_program_has_taken_away_is_not_there() {
    in_own_network(finds_its_address);
}

#[test]
fn one_that_stands_by_says_whether_its_ports_are_free() {
    in_own_network(stands_by_with_its_ports_taken);
}

#[test]
fn one_that_stands_by_says_whether_it_could_add_its_address_and_tell_the_neighbours() {
    in_own_network(stands_by_without_capabilities);
}

fn stands_by_with_its_ports_taken() {
    for phones in [PHONES, "192.0.2.10:5060"] {
        let node = Node::new();
        let files = Files::new(phones, node.address()).with(PAIR);
        let _balancer = start(&files);
        node.adopt_view_1();
        node.hear_until("it could serve", |beat| beat.ready);
        let taken = UdpSocket::bind("[::]:5060").unwrap();
        node.hear_until("its port is taken", |beat| !beat.ready && !beat.rests);
        drop(taken);
        node.hear_until("it rests", |beat| beat.rests);
        node.hear_until("it is free again", |beat| beat.ready);
        let taken = TcpListener::bind("[::]:5060").unwrap();
        node.hear_until("its port for TCP is taken", |beat| !beat.ready && !beat.rests);
        drop(taken);
        node.hear_until("that is free again", |beat| beat.ready);
    }
}

fn stands_by_without_capabilities() {
    for phones in [PHONES, "192.0.2.10:5060"] {
        let node = Node::new();
        let files = Files::new(phones, node.address()).with(PAIR);
        for capability in ["net_admin", "net_raw"] {
            let _balancer = start_without(&files, capability);
            let heard = Instant::now();
            while heard.elapsed() < LOOKED_WITHIN {
                node.hear_until(capability, |beat| !beat.ready && !beat.rests);
            }
        }
        let _balancer = start(&files);
        node.hear_until("with both it could serve", |beat| beat.ready);
    }
}

/// A disk that is full between two votes.
fn says_that_it_could_not_vote(node: &Node, files: &Files) {
    shell("ip addr add 192.0.2.10/32 dev eth0");
    node.confirm_until("it could serve", |beat| beat.ready && beat.holds_address);
    // The second file of the state cannot be made.
    std::fs::create_dir(files.path("balancer.state.new")).unwrap();
    node.confirm_until("it could not store its vote", |beat| !beat.ready);
    std::fs::remove_dir(files.path("balancer.state.new")).unwrap();
    node.confirm_until("it could again", |beat| beat.ready);
    shell("ip addr del 192.0.2.10/32 dev eth0");
    node.confirm_until("its address is away", |beat| !beat.holds_address);
}

fn finds_its_address() {
    // As it is where the same host runs what binds to an address before it has it.
    shell("echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind");
    let node = Node::new();
    let pair = "[pair]\nname = \"x\"\npeer = \"y\"\n";
    let files = Files::new("192.0.2.10:5060", node.address()).with(pair);
    let _balancer = start(&files);
    node.adopt_view_1();
    says_that_it_could_not_vote(&node, &files);
    for _ in 0..2 {
        shell("ip addr add 192.0.2.10/32 dev eth0");
        node.confirm_until("it is where phones are", |beat| beat.holds_address);
        shell("ip addr del 192.0.2.10/32 dev eth0");
        node.confirm_until("it is not any more", |beat| !beat.holds_address);
    }
    node.confirm_until("it is not ready after a while", |beat| !beat.ready);
}

fn adds_its_address() {
    let node = Node::new();
    let files = Files::new(PHONES, node.address()).with(PAIR);
    let taken = UdpSocket::bind("[::]:5060").unwrap();
    let balancer = start(&files);
    node.adopt_view_1();
    node.confirm_until("without its port it is not ready", |beat| !beat.ready);
    drop(taken);

    node.confirm_until("it is where phones are", |beat| beat.holds_address);
    let line = address().expect("it is there");
    assert!(line.contains("deprecated"), "{line}");
    let other = UdpSocket::bind("[::]:0").unwrap();
    other.connect("[2001:db8::2]:5060").unwrap();
    assert_eq!(
        other.local_addr().unwrap().ip(),
        "2001:db8::1".parse::<std::net::IpAddr>().unwrap()
    );
    let phone = UdpSocket::bind("[2001:db8::1]:0").unwrap();
    phone.send_to(&options(1), PHONES).unwrap();
    assert_eq!(node.receive_sip().1, options(1), "phones reach it there");

    shell("ip link set switch0 down");
    node.confirm_until("without a cable it is not ready", |beat| !beat.ready);
    assert_eq!(address(), None);
    shell("ip link set switch0 up");
    node.confirm_until("it is there again", |beat| beat.ready && beat.holds_address);
    shell("ip link del eth0");
    node.confirm_until("its interface is gone", |beat| !beat.holds_address);
    shell(&SET_UP.replace("ip link set lo up", "true"));
    node.confirm_until("it is at the new one", |beat| beat.holds_address);
    assert!(address().is_some());

    drop(balancer);
    let killed = Instant::now();
    while address().is_some() {
        assert!(killed.elapsed() < GONE_WITHIN, "it is still there");
    }
    assert!(killed.elapsed() < DEADLINE);
}
