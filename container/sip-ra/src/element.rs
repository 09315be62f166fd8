//! The one SIP element that balancer and nodes are together: its address, its key, its timers.
//! All nodes hold the same, so what one of them wrote into a message the others recognise.

use crate::advertised::{self, Advertised};
use crate::scanners::Scanners;
use crate::secret::Secret;
use crate::supervision::CallLimits;
use resilee_membership::Flow;
use resilee_sip_api::Algorithm;
use resilee_sip_proto::{BranchKey, Message, SipUri, TimerConfig, name_addr};
use std::net::{IpAddr, SocketAddr};

/// Port of a SIP URI or Via without one (RFC 3261 §19.1.2).
pub(crate) const DEFAULT_PORT: u16 = 5060;

/// What all nodes of the cluster have in common.
#[derive(Debug)]
pub(crate) struct Element {
    /// The addresses that clients know.
    pub(crate) advertise: Advertised,
    /// Signs branches and Routes.
    pub(crate) branches: BranchKey,
    /// Hashes the rest.
    pub(crate) secret: Secret,
    /// Timers of all transactions.
    pub(crate) timers: TimerConfig,
    /// When calls are looked after that nobody ends.
    pub(crate) calls: CallLimits,
    /// Algorithms of a challenge, the preferred one first.
    pub(crate) algorithms: Vec<Algorithm>,
    /// Whose requests are dropped.
    pub(crate) scanners: Scanners,
}

impl Element {
    #[cfg(test)]
    pub(crate) fn for_test(key: [u8; 32], algorithms: &[Algorithm]) -> Element {
        Element {
            advertise: SocketAddr::from(([198, 51, 100, 1], DEFAULT_PORT)).into(),
            branches: BranchKey::new(key),
            secret: Secret::new(key),
            timers: TimerConfig::default(),
            calls: CallLimits::default(),
            algorithms: algorithms.to_vec(),
            scanners: Scanners::new([""; 0]),
        }
    }

    /// Whether a Via's sent-by or a URI's host and port are ours.
    pub(crate) fn is_here(&self, host: &str, port: Option<u16>) -> bool {
        let ip = host.parse::<IpAddr>();
        ip.is_ok_and(|ip| self.advertise.has(SocketAddr::new(ip, port.unwrap_or(DEFAULT_PORT))))
    }

    /// Our Via in a request to this client.
    pub(crate) fn via(&self, client: &Flow, branch: &str) -> String {
        advertised::via(&self.advertise, client, branch)
    }

    /// The cohort in a Route value that we signed for this Call-ID.
    pub(crate) fn signed_cohort(&self, route: &str, call_id: &str) -> Option<u64> {
        let uri = SipUri::parse(name_addr(route)?.uri)?;
        let token = uri.param(resilee_sip_proto::branch::ROUTE_PARAMETER)?;
        self.branches.verify_route_token(token, call_id)
    }

    /// Whether a Route value leads to us (RFC 3261 §16.4).
    pub(crate) fn is_our_route(&self, route: &str, call_id: &str) -> bool {
        let uri = name_addr(route).and_then(|route| SipUri::parse(route.uri));
        uri.is_some_and(|uri| self.is_here(uri.host, uri.port))
            || self.signed_cohort(route, call_id).is_some()
    }

    /// The To tag of our own responses to this request.
    pub(crate) fn local_tag(&self, request: &Message<'_>) -> String {
        let branch = request.top_via().branch().unwrap_or_default();
        self.secret.local_tag(request.call_id(), branch)
    }
}
