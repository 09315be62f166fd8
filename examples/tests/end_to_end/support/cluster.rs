//! A cluster of one balancer and two nodes: the processes that an operator starts, with property
//! files of their own.

use super::condition::{SOON, wait_until};
use super::ports::{free_address, free_ports, loopback};
use super::process::Process;
use super::rest::Rest;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use resilee_sip_api::Account;
use std::env;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Domain of all users; also the realm of their passwords.
pub const DOMAIN: &str = "resilee.example";

/// Names of the nodes, in the order in which the balancer prefers them.
pub const SERVERS: [&str; 2] = ["server1", "server2"];

/// How long a cold start may take: nodes listen for three seconds before they dare to form a view.
const FORMED_WITHIN: Duration = Duration::from_secs(40);

const KEY: &str = "end-to-end tests sign with this and nobody else does";

/// The file of the token that orders need.
const TOKEN: &str = "admin.token";

/// Whether calls need a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Anybody may call.
    Open,
    /// Callers prove who they are.
    Digest,
}

/// How the link between the nodes is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// By the cluster key only.
    Plain,
    /// By certificates that `resilee ctl cluster certificates` makes.
    Tls,
}

/// See the module.
#[derive(Debug)]
pub struct Cluster {
    // Before the folder: processes end before their files go.
    balancer: Option<Process>,
    nodes: [Option<Process>; 2],
    rest: [Rest; 2],
    sip: SocketAddr,
    /// What a node is.
    program: Program,
    folder: TempDir,
}

/// How a node is started, before the name of its file.
#[derive(Clone, Copy, Debug)]
enum Program {
    /// `resilee node`.
    Resilee,
    /// An example with services of its own.
    Example(&'static str),
    /// A package with services of its own, as `templates/service` is one.
    Package(&'static str),
}

impl Cluster {
    /// Starts all three and waits until they are one view, with every call held twice.
    #[track_caller]
    pub fn start(users: &[String], calls: Calls) -> Self {
        Cluster::start_with(users, calls, Link::Plain)
    }

    /// The same with a protected link.
    #[track_caller]
    pub fn start_with(users: &[String], calls: Calls, link: Link) -> Self {
        Cluster::start_all(users, calls, link, Program::Resilee, Default::default())
    }

    /// Nodes whose T1 is so long: what waits for repeats takes less time.
    #[track_caller]
    pub fn start_with_t1(users: &[String], calls: Calls, t1_ms: u64) -> Self {
        let more = format!("\n[timers]\nt1_ms = {t1_ms}\n");
        Cluster::start_all(users, calls, Link::Plain, Program::Resilee, [more.clone(), more])
    }

    /// Nodes that wait longer for what an uploaded service computes: these tests run on machines
    /// that have too much to do.
    #[track_caller]
    pub fn start_patient(users: &[String], calls: Calls) -> Self {
        let more = "\n[limits]\nunit_time_ms = 500\n".to_owned();
        Cluster::start_all(users, calls, Link::Plain, Program::Resilee, [more.clone(), more])
    }

    /// Without users, and with nodes that are an example; their files have this besides.
    #[track_caller]
    pub fn start_example(example: &'static str, more: [String; 2]) -> Self {
        Cluster::start_all(&[], Calls::Digest, Link::Plain, Program::Example(example), more)
    }

    /// Nodes that are the program of a package.
    #[track_caller]
    pub fn start_package(package: &'static str, users: &[String]) -> Self {
        let program = Program::Package(package);
        Cluster::start_all(users, Calls::Digest, Link::Plain, program, Default::default())
    }

    #[track_caller]
    fn start_all(
        users: &[String],
        calls: Calls,
        link: Link,
        program: Program,
        more: [String; 2],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plan = Plan::new();
        plan.write(folder.path(), users, calls, link, &more);
        if link == Link::Tls {
            make_certificates(folder.path());
        }
        let mut cluster = Cluster {
            balancer: None,
            nodes: [None, None],
            rest: plan.admin.map(Rest::new),
            sip: plan.sip,
            program,
            folder,
        };
        cluster.start_balancer();
        for server in [1, 2] {
            cluster.start_node(server);
        }
        for server in [1, 2] {
            cluster.rest(server).wait_for_members(&SERVERS, FORMED_WITHIN);
        }
        cluster.wait_until_backed();
        cluster
    }

    /// Waits until both nodes say that every call is held twice.
    #[track_caller]
    pub fn wait_until_backed(&self) {
        for server in [1, 2] {
            wait_until("every call is held twice", SOON, || {
                self.rest(server).nodes().is_some_and(|nodes| nodes.protection == "backed")
            });
        }
    }

    /// From now on new calls go to `server`, if it lives: the balancer starts with another file.
    #[track_caller]
    pub fn prefer(&mut self, server: usize) {
        let path = self.folder.path().join("balancer.toml");
        let text = fs::read_to_string(&path).expect("the balancer has a file");
        let mut parts: Vec<&str> = text.split("\n[[server]]\n").collect();
        let head = parts.remove(0);
        let preferred = format!("name = \"{}\"", SERVERS[server - 1]);
        parts.sort_by_key(|part| !part.starts_with(&preferred));
        let parts: String =
            parts.iter().map(|part| format!("\n[[server]]\n{}\n", part.trim_end())).collect();
        fs::write(&path, format!("{head}{parts}")).expect("the folder takes files");
        self.kill_balancer();
        self.start_balancer();
        for server in [1, 2] {
            self.rest(server).wait_for_balancer("up");
        }
    }

    /// Where phones send to.
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where phones with IPv6 send to.
    pub fn sip_v6(&self) -> SocketAddr {
        SocketAddr::new(Ipv6Addr::LOCALHOST.into(), self.sip.port())
    }

    /// Where files and logs are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The token that orders need.
    pub fn token(&self) -> String {
        let token = fs::read_to_string(self.folder().join(TOKEN)).expect("the token is there");
        token.trim().to_owned()
    }

    /// Management of `server` 1 or 2.
    pub fn rest(&self, server: usize) -> &Rest {
        &self.rest[server - 1]
    }

    /// Starts the balancer, again if it was killed: with the same files.
    #[track_caller]
    pub fn start_balancer(&mut self) {
        let mut command = Command::new(binary("resilee-balancer"));
        command.args(["--config", "balancer.toml"]);
        self.balancer = Some(Process::start("balancer", self.folder.path(), &mut command));
        let balancer = self.balancer.as_mut().expect("started just above");
        wait_until("the balancer answers a keep-alive", SOON, || {
            assert!(balancer.is_running(), "the balancer ended: {}", balancer.output());
            answers_keepalive(self.sip)
        });
    }

    /// The same, with a parent that keeps its sockets.
    #[track_caller]
    pub fn keep_balancer_sockets(&mut self) {
        self.kill_balancer();
        let mut command = Command::new(binary("resilee-balancer"));
        command.args(["--keep-sockets", "--config", "balancer.toml"]);
        self.balancer = Some(Process::start("balancer", self.folder.path(), &mut command));
        wait_until("the balancer answers a keep-alive", SOON, || answers_keepalive(self.sip));
    }

    /// SIGKILL to the process that works for a balancer whose parent keeps the sockets.
    #[track_caller]
    pub fn kill_balancer_worker(&self) {
        let log = self.balancer.as_ref().expect("the balancer runs").output();
        let (_, rest) = log.rsplit_once("the worker is process ").expect("it has a worker");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let id = digits.parse().expect("a process id has 31 bits");
        kill(Pid::from_raw(id), Signal::SIGKILL).expect("the worker runs");
    }

    /// SIGKILL to the balancer.
    #[track_caller]
    pub fn kill_balancer(&mut self) {
        self.balancer.take().expect("the balancer runs").kill();
    }

    /// Starts `server`, again if it was killed: with the same files.
    #[track_caller]
    pub fn start_node(&mut self, server: usize) {
        let name = SERVERS[server - 1];
        let (program, arguments): (_, &[&str]) = match self.program {
            Program::Resilee => (binary("resilee"), &["node", "--config"]),
            Program::Example(name) => (binary(&format!("examples/{name}")), &["--config"]),
            Program::Package(name) => (binary(name), &[]),
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(format!("{name}.toml"));
        self.nodes[server - 1] = Some(Process::start(name, self.folder.path(), &mut command));
    }

    /// `server` is to go on without the others' votes, by the command that an operator uses.
    #[track_caller]
    pub fn force(&self, server: usize) {
        let order = || self.ctl(server, &["cluster", "force", "--token-file", TOKEN]);
        // It is void if the node learns of a view just then; the answer says to try again.
        let forced = order().or_else(|_| order());
        forced.unwrap_or_else(|error| panic!("{error}"));
    }

    /// What `resilee ctl` says, or why not.
    pub fn ctl(&self, server: usize, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(binary("resilee"));
        let address = self.rest(server).page("");
        command.args(["ctl", "--admin", address.trim_start_matches("http://")]).args(words);
        let done = command.current_dir(self.folder.path()).output().expect("resilee starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    /// SIGKILL to `server`.
    #[track_caller]
    pub fn kill_node(&mut self, server: usize) {
        self.take_node(server).kill();
    }

    /// SIGKILL to both servers: neither lives long enough to take over from the other one.
    #[track_caller]
    pub fn kill_both_nodes(&mut self) {
        let mut nodes = [1, 2].map(|server| self.take_node(server));
        nodes.iter().for_each(|node| node.signal(Signal::SIGKILL));
        nodes.iter_mut().for_each(Process::reap);
    }

    /// SIGTERM to `server`; the caller waits for its end.
    #[track_caller]
    pub fn drain_node(&mut self, server: usize) -> Process {
        let node = self.take_node(server);
        node.terminate();
        node
    }

    /// SIGSTOP to `server`: it stands still, and answers nothing.
    #[track_caller]
    pub fn pause_node(&self, server: usize) {
        self.node(server).signal(Signal::SIGSTOP);
    }

    /// SIGCONT to `server`.
    #[track_caller]
    pub fn wake_node(&self, server: usize) {
        self.node(server).signal(Signal::SIGCONT);
    }

    /// Where `server` stores what it has.
    pub fn data_dir(&self, server: usize) -> PathBuf {
        self.folder.path().join(format!("{}.data", SERVERS[server - 1]))
    }

    /// Starts `server` by a command that is given its own: what it runs in is the caller's.
    #[track_caller]
    pub fn start_node_in(&mut self, server: usize, mut around: Command) -> u32 {
        let name = SERVERS[server - 1];
        around.arg(binary("resilee")).args(["node", "--config"]).arg(format!("{name}.toml"));
        let node = Process::start(name, self.folder.path(), &mut around);
        self.nodes[server - 1].insert(node).id()
    }

    #[track_caller]
    fn node(&self, server: usize) -> &Process {
        self.nodes[server - 1].as_ref().expect("the node runs")
    }

    #[track_caller]
    fn take_node(&mut self, server: usize) -> Process {
        let mut node = self.nodes[server - 1].take().expect("the node runs");
        assert!(node.is_running(), "{} ended by itself", SERVERS[server - 1]);
        node
    }
}

/// A program that cargo put beside or above this test's own.
#[track_caller]
pub fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a running test has a path");
    let folders = test.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built; see the head of this test's main.rs for the command")
    })
}

/// The password of a user.
pub fn password(user: &str) -> String {
    format!("{user}-secret")
}

/// RFC 5626 §4.4.1; whoever does not listen yet does not answer.
fn answers_keepalive(address: SocketAddr) -> bool {
    let ask = || {
        let socket = UdpSocket::bind(loopback(0))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        socket.connect(address)?;
        socket.send(b"\r\n\r\n")?;
        socket.recv(&mut [0; 8])
    };
    ask().is_ok()
}

/// The addresses of a cluster.
struct Plan {
    sip: SocketAddr,
    /// The first of two.
    nodes_listen: SocketAddr,
    node_sip: [SocketAddr; 2],
    node_cluster: [SocketAddr; 2],
    admin: [SocketAddr; 2],
}

impl Plan {
    fn new() -> Self {
        let two = || [free_address(), free_address()];
        Plan {
            sip: free_address(),
            nodes_listen: loopback(free_ports(2)),
            node_sip: two(),
            node_cluster: two(),
            admin: two(),
        }
    }

    fn write(&self, folder: &Path, users: &[String], calls: Calls, link: Link, more: &[String; 2]) {
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        };
        write("cluster.key", KEY);
        write(TOKEN, "whoever reads this may give orders");
        write("balancer.toml", &self.balancer_toml());
        for (index, name) in SERVERS.iter().enumerate() {
            let mut text = self.node_toml(index, link);
            text.push_str(&service_tables(users, calls));
            text.push_str(&more[index]);
            write(&format!("{name}.toml"), &text);
        }
    }

    fn balancer_toml(&self) -> String {
        let Plan { sip, nodes_listen, node_sip, .. } = self;
        let mut text = format!(
            "listen = {}\nnodes_listen = \"{nodes_listen}\"\nkey_file = \"cluster.key\"\n\
             algorithm = \"first-alive\"\n\n[heartbeat]\ninterval_ms = 50\nmissed = 6\n\
             [health]\nramp_up_s = 0\n",
            both_versions(*sip)
        );
        for (name, address) in SERVERS.iter().zip(node_sip) {
            text.push_str(&format!("\n[[server]]\nname = \"{name}\"\naddress = \"{address}\"\n"));
        }
        text
    }

    fn node_toml(&self, index: usize, link: Link) -> String {
        let (name, peer) = (SERVERS[index], SERVERS[1 - index]);
        let (sip, advertise) = (self.node_sip[index], both_versions(self.sip));
        let (cluster, other) = (self.node_cluster[index], self.node_cluster[1 - index]);
        let admin = self.admin[index];
        let certificates = match link {
            Link::Plain => String::new(),
            Link::Tls => format!(
                "certificate_file = \"tls/{name}.pem\"\nca_file = \"tls/ca.pem\"\n\
                 private_key_file = \"tls/{name}-key.pem\"\n"
            ),
        };
        format!(
            "[node]\nname = \"{name}\"\ndata_dir = \"{name}.data\"\n\n\
             [sip]\nlisten = \"{sip}\"\nbehind_balancer = {advertise}\n\n\
             [cluster]\nlisten = \"{cluster}\"\nkey_file = \"cluster.key\"\n\
             peers = [{{ name = \"{peer}\", address = \"{other}\" }}]\n{certificates}\n\
             [admin]\nlisten = \"{admin}\"\ntoken_file = \"{TOKEN}\"\n"
        )
    }
}

/// Both loopback addresses with the port of this one, as a value of a property file.
fn both_versions(address: SocketAddr) -> String {
    format!("[\"{address}\", \"[::1]:{}\"]", address.port())
}

/// In the folder `tls`, by the command that an operator uses.
#[track_caller]
fn make_certificates(folder: &Path) {
    let mut command = Command::new(binary("resilee"));
    command.args(["ctl", "cluster", "certificates", "--out", "tls"]).current_dir(folder);
    command.args(SERVERS.iter().flat_map(|name| ["--node", name]));
    let made = command.output().expect("resilee starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Each second costs something, so that a page that ticks shows it.
fn service_tables(users: &[String], calls: Calls) -> String {
    let mut text = format!("\n[policy]\nopen_calls = {}\n", calls == Calls::Open);
    text.push_str(
        "\n[[tariff]]\nprefix = \"\"\ncurrency = \"EUR\"\nconnect_fee = \"0.05\"\n\
         per_minute = \"0.12\"\nincrement_s = 1\n",
    );
    for user in users {
        let account = Account::with_password(user, DOMAIN, &password(user));
        let ha1 = account.ha1;
        text.push_str(&format!(
            "\n[[account]]\nuser = \"{user}\"\nrealm = \"{DOMAIN}\"\nha1 = \"{ha1}\"\n"
        ));
    }
    text
}
