//! One node of the cluster: the core with its services and adaptors, and its disk.

use crate::cluster::{BALANCER, HEARTBEAT_MS, MISSED, key};
use resilee_core::{AdaptorId, Adaptors, Core, CoreConfig, Limits, Peer};
use resilee_http_api::ADAPTOR;
use resilee_http_ra::{AllowedHosts, HttpLimits, HttpRa};
use resilee_membership::{Balancers, NodeName, Unclean};
use resilee_sbb::{LinkedSbb, Tables, Timestamp};
use resilee_sip_proto::TimerConfig;
use resilee_sip_ra::{CallLimits, SipRa, SipRaConfig};
use resilee_test_slee::Disk;
use std::net::{Ipv4Addr, SocketAddr};

/// A node that hears no member for so long starts alone.
const COLD_START_MS: u64 = 3_000;

/// The HTTP adaptor, behind that of SIP.
pub(crate) const HTTP: AdaptorId = AdaptorId(1);

/// A node, alive or dead.
pub(crate) struct Node {
    pub name: NodeName,
    /// Where the balancer sends to.
    pub sip: SocketAddr,
    /// Where the other node sends to.
    pub cluster: SocketAddr,
    /// `None` while it is dead.
    pub core: Option<Core>,
    pub disk: Disk,
    /// Counts its runs.
    pub run: u32,
}

impl Node {
    /// A node that was never started.
    pub fn new(index: u8) -> Self {
        let address = |port| SocketAddr::from((Ipv4Addr::new(10, 0, 2, index + 1), port));
        let name = format!("server{}", index + 1).parse().expect("a node's name");
        let (sip, cluster) = (address(5080), address(7000));
        Node { name, sip, cluster, core: None, disk: Disk::default(), run: 0 }
    }

    /// Starts a new run with what its disk has; its services may call these web hosts.
    pub fn start(
        &mut self,
        now: Timestamp,
        peer: Peer,
        services: &[LinkedSbb],
        configured: Tables,
        allow: AllowedHosts,
    ) {
        self.run += 1;
        let restored = self.disk.restore();
        let me = restored.next_run(&self.name, now);
        let adaptor = SipRa::new(SipRaConfig {
            advertise: BALANCER.into(),
            key: key().derive("sip"),
            seed: me.incarnation,
            cohort: me.cohort(),
            timers: TimerConfig::default(),
            calls: CallLimits::default(),
        });
        let config = CoreConfig {
            me,
            key: key(),
            peers: vec![peer],
            behind_balancer: true,
            balancers: Balancers::default(),
            heartbeat_ms: HEARTBEAT_MS,
            missed: MISSED,
            cold_start_ms: COLD_START_MS,
            unclean: Unclean::Refuse,
            limits: Limits::default(),
        };
        let http = HttpRa::new(HttpLimits { allow, ..HttpLimits::default() });
        let adaptors = Adaptors::first("sip", Box::new(adaptor)).and(ADAPTOR, Box::new(http));
        self.core = Some(Core::new(now, config, services, adaptors, configured, restored));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.core = None;
        self.disk.lose_unflushed();
    }
}
