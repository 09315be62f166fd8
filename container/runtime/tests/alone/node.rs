//! A node alone for tests: a toy protocol on real sockets, threads and disks.

use resilee_core::management::{Answer, Query, Status};
use resilee_core::{Adaptors, Adoption, Egress, Endpoint, Ingress, ResourceAdaptor, Route, Scope};
use resilee_membership::{Balancers, Key, Unclean};
use resilee_runtime::{Asker, Parts, Runtime, RuntimeConfig, RuntimeError};
use resilee_sbb::{ActivityId, EventPayload, Failure, LinkedSbb, Tables, Timestamp, UnitCompiler};
use resilee_sip_proto::TimerConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Nothing here takes so long unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Somebody said a word.
#[derive(Serialize, Deserialize)]
pub struct Said {
    pub word: String,
}

impl EventPayload for Said {
    const TYPE: &'static str = "toy.said";
}

/// A message is `call word`: the first of a call begins it, each is answered with itself.
#[derive(Default)]
pub struct Talk {
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
        vec![Egress::new(ingress.flow, b"refused".to_vec())]
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
        activity: ActivityId,
        state: &[u8],
        _: Adoption,
    ) -> Result<(), Failure> {
        self.calls.insert(activity, state.to_vec());
        Ok(())
    }

    fn forget(&mut self, activity: ActivityId) {
        self.calls.remove(&activity);
    }
}

/// A node listens on both, UDP and TCP.
pub fn free_address() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

pub async fn start(
    data_dir: &Path,
    sip_listen: SocketAddr,
    services: Vec<LinkedSbb>,
) -> Result<Runtime, RuntimeError> {
    start_with(data_dir, sip_listen, services, None).await
}

pub async fn start_with(
    data_dir: &Path,
    sip_listen: SocketAddr,
    services: Vec<LinkedSbb>,
    compiler: Option<Arc<dyn UnitCompiler>>,
) -> Result<Runtime, RuntimeError> {
    let config = RuntimeConfig {
        node: "alone".parse().unwrap(),
        data_dir: data_dir.to_owned(),
        sip_listen,
        behind_balancer: false,
        balancers: Balancers::default(),
        timers: TimerConfig::default(),
        cluster_listen: None,
        tls: None,
        peers: Vec::new(),
        key: Key::from_file_bytes(&[b'k'; 32]).unwrap(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 0,
        unclean: Unclean::Refuse,
        limits: resilee_core::Limits::default(),
        actors_max: resilee_runtime::ACTORS_MAX,
        workers: 1,
    };
    let adaptors = Box::new(|_: &_| Adaptors::first("talk", Box::new(Talk::default())));
    let parts = Parts { services, adaptors, shell: None, tables: Tables::default(), compiler };
    Runtime::start(config, parts).await
}

pub async fn status(asker: &Asker, wanted: impl Fn(&Status) -> bool) -> Status {
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
pub struct Client {
    socket: tokio::net::UdpSocket,
    node: SocketAddr,
}

impl Client {
    pub async fn new(node: SocketAddr) -> Client {
        Client { socket: tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap(), node }
    }

    pub async fn say(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.node).await.unwrap();
    }

    pub async fn hear(&self) -> String {
        let mut buffer = [0; 256];
        let (length, _) =
            timeout(DEADLINE, self.socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    pub async fn ask(&self, text: &str) -> String {
        self.say(text).await;
        self.hear().await
    }
}
