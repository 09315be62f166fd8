//! The link between two real processes: up, frames in order, `kill -9`, back again.
//!
//! ractor keeps statics for the process, so the other node is this test binary started again;
//! all of it is one test for the same reason.

use resilee_cluster::{Cluster, ClusterConfig, ClusterError, ClusterEvent, ClusterHandle, Limits};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc;

/// Nothing here takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Tells a child what to be: `name#incarnation listen peer peer-address`.
const CHILD: &str = "RESILEE_CLUSTER_TEST_CHILD";

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

fn config(run: &str, listen: SocketAddr, peer: &str, address: SocketAddr) -> ClusterConfig {
    let peers = vec![(peer.to_owned(), address)];
    let (node_name, cookie) = (run.to_owned(), "secret".to_owned());
    ClusterConfig { node_name, listen, peers, cookie, tls: None, limits: Limits::default() }
}

struct Process(Child);

impl Process {
    fn start(run: &str, listen: SocketAddr, peer: &str, address: SocketAddr) -> Process {
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "the_other_process", "--nocapture"])
            .env(CHILD, format!("{run} {listen} {peer} {address}"))
            .stdout(Stdio::null())
            .spawn();
        Process(child.expect("this test can be started again"))
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.0.kill().expect("the child runs");
        self.0.wait().expect("the child ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already dead is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: echoes frames until it is killed, if it was started to do so.
#[tokio::test]
async fn the_other_process() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let address = |at: usize| words[at].parse().expect("an address");
    let (events, mut seen) = mpsc::channel(64);
    let config = config(words[0], address(1), words[2], address(3));
    let cluster = Cluster::start(config, events).await.expect("starts");
    while let Some(event) = seen.recv().await {
        if let ClusterEvent::Frame { peer, bytes } = event {
            cluster.send(&peer, bytes).expect("room for a frame");
        }
    }
}

struct Node {
    cluster: ClusterHandle,
    events: mpsc::Receiver<ClusterEvent>,
}

impl Node {
    async fn start(config: ClusterConfig) -> Node {
        let (sender, events) = mpsc::channel(64);
        let cluster = Cluster::start(config, sender).await.expect("starts");
        Node { cluster, events }
    }

    async fn expect(&mut self, wanted: ClusterEvent) {
        let event = tokio::time::timeout(DEADLINE, self.events.recv()).await;
        assert_eq!(event.expect("within the deadline"), Some(wanted));
    }

    async fn expect_echoes(&mut self, count: u32) {
        for number in 0..count {
            let bytes = number.to_be_bytes().repeat(64);
            self.cluster.send("server2", bytes).expect("room for a frame");
        }
        for number in 0..count {
            let bytes = number.to_be_bytes().repeat(64);
            self.expect(ClusterEvent::Frame { peer: "server2".to_owned(), bytes }).await;
        }
    }
}

fn up() -> ClusterEvent {
    ClusterEvent::LinkUp { peer: "server2".to_owned() }
}

fn down() -> ClusterEvent {
    ClusterEvent::LinkDown { peer: "server2".to_owned() }
}

#[tokio::test]
async fn a_killed_peer_is_reported_and_comes_back_as_a_new_run() {
    if std::env::var(CHILD).is_ok() {
        return;
    }
    let (mine, other) = (free_address(), free_address());
    let me = |run: &str| config(run, mine, "server2", other);
    let mut node = Node::start(me("server1#1")).await;

    let mut first = Process::start("server2#1", other, "server1", mine);
    node.expect(up()).await;
    node.expect_echoes(500).await;
    first.kill();
    node.expect(down()).await;

    let _second = Process::start("server2#2", other, "server1", mine);
    node.expect(up()).await;
    node.expect_echoes(10).await;
    node.cluster.close("server2", "test").expect("room for a command");
    node.expect(down()).await;
    node.expect(up()).await;
    node.expect_echoes(10).await;

    // This node starts a new run in the same process.
    node.cluster.stop().await;
    let mut again = Node::start(me("server1#2")).await;
    again.expect(up()).await;
    again.expect_echoes(10).await;

    let taken = Cluster::start(me("server1#3"), mpsc::channel(1).0).await;
    assert!(matches!(taken, Err(ClusterError::Listen { address, .. }) if address == mine));
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_what_is_wrong() {
    let loopback = "127.0.0.1:5000".parse().expect("an address");
    let public = "192.0.2.1:5000".parse().expect("an address");
    let cases = [
        (config("server1#1", public, "server2", loopback), "192.0.2.1:5000 is not a loopback"),
        (config("server1#1", loopback, "server2", public), "192.0.2.1:5000 is not a loopback"),
        (config("server1", loopback, "server2", loopback), "does not name a run"),
        (config("server1#1", loopback, "server1", loopback), "cannot be one of its peers"),
    ];
    for (config, expected) in cases {
        let error = Cluster::start(config, mpsc::channel(1).0).await.expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
