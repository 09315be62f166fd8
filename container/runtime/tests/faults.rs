//! A node alone on real sockets, threads and disks, with a handler that hangs, and a full disk.

use actix::System;
use resilee_core::management::{Answer, Query, Status};
use resilee_core::{Adoption, Egress, Endpoint, Ingress, ResourceAdaptor, Route, Scope};
use resilee_membership::{Key, Unclean};
use resilee_runtime::{Asker, Parts, Runtime, RuntimeConfig};
use resilee_sbb::{
    ActivityId, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, OnRollBack, Sbb,
    Tables, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Nothing here takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Tells a child process the directory of its node.
const CHILD: &str = "RESILEE_FULL_NODE_CHILD";

/// Somebody said a word.
#[derive(Serialize, Deserialize)]
struct Said {
    word: String,
}

impl EventPayload for Said {
    const TYPE: &'static str = "toy.said";
}

/// A message is `call word`: the first of a call begins it, each is answered with itself.
#[derive(Default)]
struct Talk {
    calls: BTreeMap<ActivityId, Vec<u8>>,
}

impl ResourceAdaptor for Talk {
    fn route(&self, _: Timestamp, ingress: &Ingress) -> Route {
        let name = ingress.bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
        let key = name.iter().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(*byte));
        Route::Cell { key, scope: Scope::Call, creates: true, cohort: None }
    }

    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress) {
        let cell = endpoint.cell();
        let known = self.calls.keys().find(|activity| activity.cell == cell).copied();
        let activity = known.unwrap_or_else(|| endpoint.start_activity());
        self.calls.insert(activity, ingress.bytes.clone());
        let text = String::from_utf8_lossy(&ingress.bytes);
        let word = text.split(' ').nth(1).unwrap_or_default().to_owned();
        endpoint.changed(activity);
        endpoint.fire(activity, &Said { word });
        let answer = text.split(' ').take(2).collect::<Vec<_>>().join(" ");
        endpoint.send(ingress.flow, answer.into_bytes());
    }

    fn refuse(&mut self, _: Timestamp, ingress: &Ingress, _: u32) -> Vec<Egress> {
        vec![Egress { flow: ingress.flow, bytes: b"refused".to_vec() }]
    }

    fn unknown(&mut self, _: Timestamp, _: &Ingress) -> Vec<Egress> {
        Vec::new()
    }

    fn command(&mut self, _: &mut Endpoint, _: ActivityId, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    fn timeout(&mut self, _: &mut Endpoint, _: ActivityId) {}

    fn next_timeout(&self, _: ActivityId) -> Option<Timestamp> {
        None
    }

    fn marshal(&self, activity: ActivityId) -> Vec<u8> {
        self.calls[&activity].clone()
    }

    fn adopt(
        &mut self,
        _: &mut Endpoint,
        _: ActivityId,
        _: &[u8],
        _: Adoption,
    ) -> Result<(), Failure> {
        Ok(())
    }

    fn forget(&mut self, activity: ActivityId) {
        self.calls.remove(&activity);
    }
}

/// Does not return from the word `hang` before [`RELEASED`] is set.
#[derive(Default, Serialize, Deserialize)]
struct Listener {
    heard: u64,
}

static RELEASED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

impl Sbb for Listener {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "listener",
            vendor: "test",
            version: "1",
            priority: 0,
            initial_events: &[Said::TYPE],
            events: &[],
            on_roll_back: OnRollBack::Retry,
        }
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        self.heard += 1;
        if event.get::<Said>()?.is_some_and(|said| said.word == "hang") {
            let released = RELEASED.0.lock().expect("nobody panics with it");
            drop(RELEASED.1.wait_while(released, |released| !*released));
        }
        Ok(())
    }
}

async fn start(data_dir: &Path) -> (Runtime, SocketAddr) {
    let sip_listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = RuntimeConfig {
        node: "alone".parse().unwrap(),
        data_dir: data_dir.to_owned(),
        sip_listen,
        behind_balancer: false,
        cluster_listen: None,
        tls: None,
        peers: Vec::new(),
        key: Key::from_file_bytes(&[b'k'; 32]).unwrap(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 0,
        unclean: Unclean::Refuse,
        workers: 1,
    };
    let adaptor = Box::new(|_: &_| Box::new(Talk::default()) as Box<dyn ResourceAdaptor>);
    let services = vec![LinkedSbb::of::<Listener>()];
    let runtime = Runtime::start(config, Parts { services, adaptor, tables: Tables::default() });
    (runtime.await.unwrap(), sip_listen)
}

async fn status(asker: &Asker, wanted: impl Fn(&Status) -> bool) -> Status {
    let wait = async {
        loop {
            if let Answer::Status(status) = asker.ask(Query::Status).await
                && wanted(&status)
            {
                return *status;
            }
            // sleep: asks again until the status says so, or the deadline ends it.
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, wait).await.expect("becomes so")
}

/// A client that repeats nothing.
struct Client {
    socket: tokio::net::UdpSocket,
    node: SocketAddr,
}

impl Client {
    async fn new(node: SocketAddr) -> Client {
        Client { socket: tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap(), node }
    }

    async fn say(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.node).await.unwrap();
    }

    async fn hear(&self) -> String {
        let mut buffer = [0; 256];
        let (length, _) =
            timeout(DEADLINE, self.socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    async fn ask(&self, text: &str) -> String {
        self.say(text).await;
        self.hear().await
    }
}

fn alarm<'a>(status: &'a Status, text: &str) -> Option<&'a str> {
    status.alarms.iter().map(|alarm| alarm.text.as_str()).find(|alarm| alarm.contains(text))
}

#[test]
fn a_handler_that_hangs_costs_its_call_the_service_and_nobody_else_anything() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (runtime, address) = start(dir.path()).await;
        let asker = runtime.asker();
        status(&asker, |status| status.member).await;
        let client = Client::new(address).await;
        assert_eq!(client.ask("c1 hello").await, "c1 hello");
        client.say("c1 hang").await;
        // Both calls have the one worker; the second one's delivery waits behind the first's.
        client.say("c2 hello").await;
        let answers = [client.hear().await, client.hear().await];
        assert!(answers.contains(&"c1 hang".to_owned()), "its call goes on: {answers:?}");
        assert!(answers.contains(&"c2 hello".to_owned()), "the other call runs: {answers:?}");
        let status = status(&asker, |status| alarm(status, "does not return").is_some()).await;
        assert!(alarm(&status, "worker was replaced").is_some(), "{:?}", status.alarms);
        let delivered = status.services[0].delivered;
        assert_eq!(client.ask("c1 again").await, "c1 again");
        assert_eq!(client.ask("c2 again").await, "c2 again");
        let status = self::status(&asker, |_| true).await;
        assert_eq!(status.services[0].delivered, delivered + 1, "only c2 has the service");
        *RELEASED.0.lock().unwrap() = true;
        RELEASED.1.notify_all();
        let late = "late answer of a handler";
        self::status(&asker, |status| status.dropped.contains_key(late)).await;
    });
}

/// Not a test of its own: the node on a full disk, if it was started to be that.
#[test]
fn the_node_on_a_full_disk() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    System::new().block_on(async {
        let (runtime, address) = start(Path::new(&dir)).await;
        let asker = runtime.asker();
        status(&asker, |status| status.member).await;
        let client = Client::new(address).await;
        let noise = |n: u64| (0..40_000).map(|at| char::from(33 + ((at * n) % 90) as u8)).collect();
        let mut calls = 0;
        let status = loop {
            calls += 1;
            let noise: String = noise(calls);
            let answer = client.ask(&format!("c{calls} hello {noise}")).await;
            let status = status(&asker, |_| true).await;
            if answer == "refused" {
                break status;
            }
        };
        assert!(alarm(&status, "nothing is stored any more").is_some(), "{:?}", status.alarms);
        assert!(calls > 3, "{calls}");
        assert_eq!(client.ask("c1 again").await, "c1 again", "a call in progress goes on");
        let refused = "new call while nothing holds it but memory";
        assert_eq!(status.dropped.get(refused), Some(&1));
        eprintln!("all of it was seen");
    });
}

#[test]
fn on_a_full_disk_calls_go_on_with_an_alarm_and_new_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    // A file may have 4,096 blocks of 512 bytes; the signal for more is ignored, so that writes
    // fail as they do on a full disk.
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_node_on_a_full_disk", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success() && text.contains("all of it was seen"), "{text}");
}
