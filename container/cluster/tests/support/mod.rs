//! Cluster nodes as processes of their own: ractor keeps statics for the process, so each node is
//! this test binary started again. A node prints its events and its log; a test waits for lines.

// Each test binary uses its part.
#![allow(dead_code)]

use resilee_cluster::{
    Authority, Cluster, ClusterConfig, ClusterEvent, ClusterHandle, Limits, Pair, Refusals, Tls,
    TlsFiles,
};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// Nothing here takes so long unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Tells a child what to be.
const CHILD: &str = "RESILEE_CLUSTER_TEST_NODE";
/// Name of the test in each binary that runs [`child`].
pub const CHILD_TEST: &str = "a_node_in_its_own_process";
/// Frames that wait for their echo.
const UNDER_WAY: u32 = 100;
/// Bytes of a frame.
const FRAME_BYTES: usize = 256;

pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

/// A folder with certificates.
pub struct Certificates(pub tempfile::TempDir);

impl Certificates {
    pub fn new() -> Certificates {
        Certificates(tempfile::tempdir().expect("a folder"))
    }

    pub fn authority() -> Authority {
        let now = SystemTime::now();
        Authority::new(now - Duration::from_secs(3600)..now + Duration::from_secs(3600))
            .expect("an authority")
    }

    /// Certificates of these nodes, by one authority that is forgotten.
    pub fn of(nodes: &[&str]) -> Certificates {
        let (certificates, authority) = (Certificates::new(), Certificates::authority());
        for node in nodes {
            let pair = authority.sign(node).expect("a certificate");
            certificates.write(node, &authority, &pair);
        }
        certificates
    }

    /// Writes what `node` needs, each file at once.
    pub fn write(&self, node: &str, authority: &Authority, pair: &Pair) {
        let files = self.files(node);
        let write = |path: &Path, text: &str| {
            let new = path.with_extension("new");
            std::fs::write(&new, text).expect("written");
            std::fs::rename(&new, path).expect("in place");
        };
        write(&files.ca, authority.certificate());
        write(&files.private_key, &pair.private_key);
        write(&files.certificate, &pair.certificate);
    }

    pub fn files(&self, node: &str) -> TlsFiles {
        files(self.0.path(), node)
    }
}

fn files(folder: &Path, node: &str) -> TlsFiles {
    TlsFiles {
        certificate: folder.join(format!("{node}.pem")),
        private_key: folder.join(format!("{node}-key.pem")),
        ca: folder.join(format!("{node}-ca.pem")),
    }
}

/// What a node is to be.
#[derive(Clone)]
pub struct Role {
    pub run: String,
    pub listen: SocketAddr,
    pub peer: String,
    pub peer_address: SocketAddr,
    /// Folder of the certificates, and the node whose certificate it shows.
    pub certificate: Option<(PathBuf, String)>,
    pub handshake_ms: u64,
    pub authentication_ms: u64,
    /// Network namespace to run in.
    pub namespace: Option<String>,
    pub frame_bytes: usize,
}

impl Role {
    pub fn new(run: &str, listen: SocketAddr, peer: &str, peer_address: SocketAddr) -> Role {
        let (run, peer) = (run.to_owned(), peer.to_owned());
        let (certificate, namespace) = (None, None);
        let (handshake_ms, authentication_ms) = (2000, 5000);
        Role {
            run,
            listen,
            peer,
            peer_address,
            certificate,
            handshake_ms,
            authentication_ms,
            namespace,
            frame_bytes: FRAME_BYTES,
        }
    }

    /// The two sides of a link, server1 and server2.
    pub fn pair() -> (Role, Role) {
        let (one, two) = (free_address(), free_address());
        let first = Role::new("server1#1", one, "server2", two);
        (first, Role::new("server2#1", two, "server1", one))
    }

    /// With the certificate of `node`.
    pub fn with(mut self, certificates: &Certificates, node: &str) -> Role {
        self.certificate = Some((certificates.0.path().to_owned(), node.to_owned()));
        self
    }

    fn to_text(&self) -> String {
        let (folder, node) = match &self.certificate {
            Some((folder, node)) => (folder.display().to_string(), node.as_str()),
            None => ("-".to_owned(), "-"),
        };
        let Role { run, listen, peer, peer_address, .. } = self;
        let numbers = [self.handshake_ms, self.authentication_ms, self.frame_bytes as u64];
        let numbers = numbers.map(|number| number.to_string()).join(" ");
        format!("{run} {listen} {peer} {peer_address} {folder} {node} {numbers}")
    }

    fn config_from(text: &str) -> ClusterConfig {
        let words: Vec<&str> = text.split(' ').collect();
        let address = |at: usize| words[at].parse().expect("an address");
        let ms = |at: usize| Duration::from_millis(words[at].parse().expect("a number"));
        let tls = (words[4] != "-").then(|| {
            let files = files(Path::new(words[4]), words[5]);
            Tls::load(words[5], files).expect("certificates")
        });
        ClusterConfig {
            node_name: words[0].to_owned(),
            listen: address(1),
            peers: vec![(words[2].to_owned(), address(3))],
            cookie: "secret".to_owned(),
            tls,
            limits: Limits {
                handshake: ms(6),
                authentication: ms(7),
                look_at_files: Duration::from_millis(20),
                ..Limits::default()
            },
        }
    }
}

/// What a child does: server1 sends numbered frames all the time, the other one echoes them.
pub async fn child() {
    let Ok(role) = std::env::var(CHILD) else { return };
    tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::INFO).init();
    println!();
    let (events, mut seen) = mpsc::channel(64);
    let config = Role::config_from(&role);
    let echoes = config.node_name.starts_with("server2");
    let cluster = Cluster::start(config, events).await.expect("starts");
    println!("EVENT started");
    let frame_bytes: usize = role.rsplit(' ').next().and_then(|b| b.parse().ok()).expect("bytes");
    let words = frame_bytes / 4;
    let (mut up, mut sent, mut back, mut refused) = (None, 0, 0, Refusals::default());
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    loop {
        tokio::select! {
            event = seen.recv() => match event.expect("the cluster lives") {
                ClusterEvent::LinkUp { peer } => {
                    println!("EVENT up {peer}");
                    (up, sent, back) = (Some(peer), 0, 0);
                }
                ClusterEvent::LinkDown { peer } => {
                    println!("EVENT down {peer}");
                    up = None;
                }
                ClusterEvent::Frame { peer, bytes } if echoes => {
                    cluster.send(&peer, bytes).expect("room for a frame");
                }
                ClusterEvent::Frame { bytes, .. } => {
                    let number = u32::from_be_bytes(bytes[..4].try_into().expect("a number"));
                    assert_eq!(number, back, "in order");
                    back += 1;
                    if back.is_multiple_of(500) {
                        println!("EVENT echoed {back}");
                    }
                }
                ClusterEvent::AlarmRaised { text } => println!("EVENT alarm {text}"),
                ClusterEvent::AlarmOver { text } => println!("EVENT over {text}"),
            },
            _ = tick.tick() => {
                if cluster.refusals() != refused {
                    refused = cluster.refusals();
                    println!("EVENT {refused:?}");
                }
                take_commands(&cluster, &mut up).await;
            }
        }
        if let Some(peer) = up.as_ref().filter(|_| !echoes) {
            while sent < back + UNDER_WAY {
                let frame = u32::to_be_bytes(sent).repeat(words);
                cluster.send(peer, frame).expect("room for a frame");
                sent += 1;
            }
        }
    }
}

/// A file named after the process asks it to close its link.
async fn take_commands(cluster: &ClusterHandle, up: &mut Option<String>) {
    let asked = std::env::temp_dir().join(format!("resilee-close-{}", std::process::id()));
    if let Some(peer) = up.as_ref().filter(|_| std::fs::remove_file(asked).is_ok()) {
        cluster.close(peer, "test").expect("room for a command");
    }
}

/// A node that runs until it is dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    pub fn start(role: &Role) -> Process {
        let this = std::env::current_exe().expect("this test");
        let mut command = match &role.namespace {
            None => Command::new(this),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(this);
                command
            }
        };
        let child = command
            .args(["--exact", CHILD_TEST, "--nocapture"])
            .env(CHILD, role.to_text())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("this test can be started again");
        let output = child.stdout.take().expect("its output");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Process { child, lines, seen: Vec::new() };
        process.expect("EVENT started");
        process
    }

    /// Waits for a line with all these words.
    pub fn expect_all(&mut self, words: &[&str]) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if words.iter().all(|word| line.contains(word)) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{words:?} did not come:\n{}", self.seen.join("\n"));
                }
            }
        }
    }

    /// Waits for a line that contains this.
    pub fn expect(&mut self, words: &str) -> String {
        self.expect_all(&[words])
    }

    /// Nothing like this was printed so far.
    pub fn expect_nothing_of(&mut self, words: &str) {
        self.seen.extend(self.lines.try_iter());
        let found = self.seen.iter().find(|line| line.contains(words));
        assert_eq!(found, None);
    }

    /// Asks the node to close its link.
    pub fn close_link(&self) {
        let path = std::env::temp_dir().join(format!("resilee-close-{}", self.child.id()));
        std::fs::write(path, "").expect("written");
    }

    /// CPU time used so far, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = std::fs::read_to_string(path).expect("it runs");
        let fields = text.rsplit(')').next().expect("fields").split_whitespace();
        let used = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks"));
        used.sum()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("the child runs");
        self.child.wait().expect("the child ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already dead is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
