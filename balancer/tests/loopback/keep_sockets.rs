//! The program with `--keep-sockets`, and with sockets of systemd: its working process is killed,
//! and nobody who sends to it notices.

use crate::stage::{DEADLINE, Files, Node, options, socket};
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const BALANCER: &str = env!("CARGO_BIN_EXE_resilee-balancer");

/// Requests that are sent while no process reads them.
const REQUESTS: usize = 40;

/// A running program with its log; killed when dropped.
pub struct Program<'a> {
    child: Child,
    files: &'a Files,
}

impl<'a> Program<'a> {
    pub fn start(files: &'a Files, command: &mut Command) -> Self {
        let log = File::options().create(true).append(true).open(files.path("log")).unwrap();
        let child = command.env("NO_COLOR", "1").stderr(log).spawn().unwrap();
        Program { child, files }
    }

    pub fn keeping(files: &'a Files) -> Self {
        let mut command = Command::new(BALANCER);
        Self::start(files, command.args(["--keep-sockets", "--config"]).arg(files.config()))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.files.path("log")).unwrap()
    }

    /// The first word after the last `mark` of the log, without punctuation.
    pub fn last_after(&self, mark: &str) -> String {
        wait_for(mark, || {
            let log = self.log();
            let (_, rest) = log.rsplit_once(mark)?;
            let (line, _) = rest.split_once('\n')?;
            line.split([';', ',', ' ']).next().map(str::to_owned)
        })
    }

    fn listens_on(&self) -> SocketAddr {
        self.last_after(" listen: ").parse().unwrap()
    }

    fn worker(&self) -> Pid {
        Pid::from_raw(self.last_after("the worker is process ").parse().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        wait_for("the end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- log\n{}", self.log());
        }
    }
}

#[track_caller]
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "{what} never came");
        // sleep: other processes are looked at, again and again
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Dead, or dead and not yet waited for by its parent.
fn is_dead(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// A client whose socket reports it if nobody listens there.
fn client(address: SocketAddr) -> UdpSocket {
    let client = socket();
    client.connect(address).unwrap();
    client
}

/// Sends the requests; the balancer's port refuses none.
fn send_unheard(client: &UdpSocket) {
    for number in 0..REQUESTS {
        client.send(&options(number)).expect("the port never refuses");
    }
    client.set_nonblocking(true).unwrap();
    let nothing = client.recv(&mut [0; 8]).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock, "the port never refuses");
    client.set_nonblocking(false).unwrap();
}

/// All requests reach the node, each once, and their answers the client.
fn assert_served(node: &Node, client: &UdpSocket, balancer: SocketAddr) {
    for number in 0..REQUESTS {
        let (flow, bytes, from) = node.receive_sip();
        assert_eq!(String::from_utf8(bytes), String::from_utf8(options(number)));
        assert_eq!(from, balancer, "it is the same socket");
        node.send_sip(&flow, format!("SIP/2.0 200 OK {number}\r\n\r\n").as_bytes(), from);
    }
    for number in 0..REQUESTS {
        let mut buffer = [0; 100];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], *format!("SIP/2.0 200 OK {number}\r\n\r\n").as_bytes());
    }
}

#[test]
fn what_is_sent_while_no_worker_lives_is_served_by_the_next() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address());
    let mut keeper = Program::keeping(&files);
    let client = client(keeper.listens_on());
    let balancer = node.adopt_view_1();
    let worker = keeper.worker();
    // The keeper is held up, so that the requests are sent for certain while no worker lives.
    keeper.signal(Signal::SIGSTOP);
    kill(worker, Signal::SIGKILL).unwrap();
    wait_for("the worker's death", || is_dead(worker).then_some(()));
    send_unheard(&client);
    keeper.signal(Signal::SIGCONT);
    assert_served(&node, &client, balancer);

    let log = keeper.log();
    assert!(log.contains("(signal: 9 (SIGKILL)); the next one starts in 0 ms"), "{log}");
    assert!(log.contains("started again, restart 1"), "{log}");
    assert!(log.contains("the last view known is 1"), "the seat remembers: {log}");
    node.wait_for_process(true, 1);
    let worker = keeper.worker();
    keeper.signal(Signal::SIGTERM);
    assert_eq!(keeper.wait_for_end().code(), Some(0));
    assert!(is_dead(worker));
}

#[test]
fn the_port_never_refuses_while_workers_are_killed() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address());
    let keeper = Program::keeping(&files);
    let client = client(keeper.listens_on());
    client.set_nonblocking(true).unwrap();
    node.adopt_view_1();
    let mut worker = keeper.worker();
    for kills in 1..=3 {
        kill(worker, Signal::SIGKILL).unwrap();
        wait_for("the next worker", || {
            client.send(b"\r\n\r\n").expect("the port never refuses");
            match client.recv(&mut [0; 8]) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            keeper.log().contains(&format!("started again, restart {kills}")).then_some(())
        });
        let before = std::mem::replace(&mut worker, keeper.worker());
        worker = wait_for("its number", || Some(keeper.worker()).filter(|it| *it != before));
    }
}

#[test]
fn the_worker_ends_with_its_keeper() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address());
    let mut keeper = Program::keeping(&files);
    let address = keeper.listens_on();
    let worker = keeper.worker();
    keeper.signal(Signal::SIGKILL);
    keeper.wait_for_end();
    wait_for("the worker's death", || is_dead(worker).then_some(()));
    wait_for("the port", || UdpSocket::bind(address).ok());
}

#[test]
fn what_is_wrong_is_one_error_with_a_keeper_as_well() {
    let files = Files::new("127.0.0.1:0", "127.0.0.1:9".parse().unwrap());
    let good = fs::read_to_string(files.config()).unwrap();
    let taken = socket();
    let taken = taken.local_addr().unwrap().to_string();
    fs::write(files.path("damaged"), "damage").unwrap();
    for (bad, line) in [
        (good.replace("127.0.0.1:0", "here"), ":1: listen: "),
        (good.replace("127.0.0.1:0", &taken), ":1: listen: the address"),
        (good.replace("cluster.key", "no.key"), ":3: key_file: cannot read"),
        (format!("state_file = \"damaged\"\n{good}"), ":1: state_file: "),
    ] {
        fs::write(files.config(), bad).unwrap();
        let mut command = Command::new(BALANCER);
        command.args(["--keep-sockets", "--config"]).arg(files.config());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        let expected = format!("error: {}{line}", files.config().display());
        assert!(said.starts_with(&expected), "{expected}: {said}");
    }
}

#[test]
fn two_balancers_do_not_share_one_vote() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address());
    let keeper = Program::keeping(&files);
    keeper.listens_on();
    let output = Command::new(BALANCER).arg("--config").arg(files.config()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("state_file: ") && said.contains("in use by another balancer"), "{said}");
}

/// The program as systemd starts it, with these sockets.
fn activated(sockets: &[&UdpSocket], config: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    // The number of the process is known to itself only.
    command.args(["-c", "LISTEN_PID=$$ exec \"$0\" --config \"$1\"", BALANCER]).arg(config);
    command.env("LISTEN_FDS", sockets.len().to_string()).stdin(Stdio::null());
    let mapping = |(child_fd, socket): (i32, &&UdpSocket)| FdMapping {
        parent_fd: socket.try_clone().unwrap().into(),
        child_fd,
    };
    command.fd_mappings((3..).zip(sockets).map(mapping).collect()).unwrap();
    command
}

#[test]
fn sockets_of_systemd_outlive_the_process() {
    let node = Node::new();
    let (phones, nodes) = (socket(), socket());
    let address = phones.local_addr().unwrap();
    let files = Files::new(&address.to_string(), node.address());
    let text = fs::read_to_string(files.config()).unwrap();
    let nodes_listen = format!("nodes_listen = \"{}\"", nodes.local_addr().unwrap());
    let text = text.replace("nodes_listen = \"127.0.0.1\"", &nodes_listen);
    fs::write(files.config(), text).unwrap();
    let client = client(address);
    // In the other order than in the file: they are known by their addresses.
    let mut command = activated(&[&nodes, &phones], &files.config());
    let mut first = Program::start(&files, &mut command);
    let balancer = node.adopt_view_1();
    assert_eq!(balancer, nodes.local_addr().unwrap());
    first.signal(Signal::SIGKILL);
    first.wait_for_end();
    send_unheard(&client);
    let second = Program::start(&files, &mut command);
    assert_served(&node, &client, balancer);
    assert!(second.log().contains("2 of these sockets were open already"), "{}", second.log());
}

#[test]
fn a_socket_that_no_key_asks_for_is_refused() {
    let other = socket();
    let files = Files::new("127.0.0.2:0", "127.0.0.1:9".parse().unwrap());
    let output = activated(&[&other], &files.config()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let address = other.local_addr().unwrap();
    assert!(
        said.contains(&format!(":1: listen: a socket on {address} (UDP) was passed")),
        "{said}"
    );
}

#[test]
fn a_tcp_client_that_connects_while_no_worker_lives_is_served_by_the_next() {
    let node = Node::new();
    let files = Files::new("127.0.0.1:0", node.address());
    let keeper = Program::keeping(&files);
    let address = keeper.listens_on();
    node.adopt_view_1();
    kill(keeper.worker(), Signal::SIGKILL).unwrap();
    let mut client = TcpStream::connect(address).expect("the keeper has the port");
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    client.read_exact(&mut pong).expect("the next worker has the connection");
    assert_eq!(&pong, b"\r\n");
}
