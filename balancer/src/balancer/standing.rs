//! What each node is to the balancer, looked at whenever the seat was asked; and so who gets a new
//! call: one of the first of these groups that is not empty.
//!
//! | members that                        | with                                           |
//! |-------------------------------------|------------------------------------------------|
//! | are ready or starting               | their weight; who is starting, a part of it    |
//! | are failing                         | their weight                                   |
//! | are draining                        | the same                                       |
//! | are down                            | the same: the call waits for the next view     |
//!
//! | a node                              | becomes                                        |
//! |-------------------------------------|------------------------------------------------|
//! | joins a view that goes on           | starting, for `ramp_up_s`                      |
//! | is in the first view that is known  | ready: nobody is there who knows calls better  |
//! | is past a limit of its data plane   | failing, for `window_s` at least               |
//! | is within them at the end of that   | starting                                       |
//!
//! The table of the states is in `node_state.rs`.

use super::Balancer;
use crate::boundary::{BalancerNotice, HealthConfig};
use crate::data_plane::{DataPlane, Failing};
use crate::new_calls::{Candidate, WHOLE};
use crate::node_state::NodeState;
use crate::protection::Source;
use crate::recent::RecentDatagrams;
use resilee_membership::{RunId, View};
use resilee_sbb::{CohortId, Timestamp};
use resilee_sip_proto::routing_key::{RoutingKey, scan};
use std::net::IpAddr;
use std::time::Duration;

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Standing {
    /// A hash of its name.
    name: u64,
    /// That of the run by which it is a member of the view, if it is one. To make it of the run is
    /// a hash of a text, which would be a tenth of what a new call takes.
    pub(super) cohort: Option<CohortId>,
    /// What it is, as the last notice said.
    pub(super) state: NodeState,
    /// How much of its weight it has, in thousandths.
    pub(super) share: u32,
    /// Its address refused, and it was not heard since.
    pub(super) refused: bool,
    /// Its share grows since then.
    starting_at: Option<Timestamp>,
    /// It fails since then, and why.
    failing: Option<(Timestamp, Failing)>,
    pub(super) data_plane: DataPlane,
    /// What it got last.
    pub(super) recent: RecentDatagrams,
    /// New calls since the start.
    pub(super) new_calls: u64,
    /// Requests that it got since the start.
    pub(super) requests: u64,
    /// Responses that it sent since the start, by class.
    pub(super) responses: [u64; 6],
}

impl Standing {
    pub(super) fn new(name: u64) -> Self {
        Standing {
            name,
            cohort: None,
            state: NodeState::Down,
            share: WHOLE,
            refused: false,
            starting_at: None,
            failing: None,
            data_plane: DataPlane::default(),
            recent: RecentDatagrams::default(),
            new_calls: 0,
            requests: 0,
            responses: [0; 6],
        }
    }

    /// It got a new call.
    pub(super) fn handle_new_call(&mut self) {
        self.new_calls += 1;
        self.data_plane.handle_new_call();
    }

    /// Why it fails, if it does.
    pub(super) fn why_failing(&self) -> Option<Failing> {
        self.failing.map(|(_, why)| why)
    }

    /// Its share of its weight, and whether that grows.
    fn grow(&mut self, now: Timestamp, ramp_up_s: u64) -> bool {
        let whole_ms = ramp_up_s * 1_000;
        let elapsed_ms = self.starting_at.map(|at| now.since(at).as_millis());
        let elapsed_ms = elapsed_ms.map_or(u64::MAX, |it| u64::try_from(it).unwrap_or(u64::MAX));
        if elapsed_ms >= whole_ms {
            self.starting_at = None;
            self.share = WHOLE;
            return false;
        }
        self.share = u32::try_from(elapsed_ms * u64::from(WHOLE) / whole_ms).unwrap_or(WHOLE);
        true
    }

    /// Notices that it fails, or that it may be tried again.
    fn judge(&mut self, now: Timestamp, health: &HealthConfig) {
        let is_over = |at| now.since(at) >= Duration::from_secs(health.window_s);
        match (self.failing, self.data_plane.failing(health)) {
            (None, Some(why)) => {
                self.failing = Some((now, why));
                self.data_plane.forget_counts();
            }
            (Some((at, _)), Some(why)) if is_over(at) => self.failing = Some((now, why)),
            (Some((at, _)), None) if is_over(at) => {
                self.failing = None;
                self.starting_at = Some(now);
            }
            _ => {}
        }
    }
}

impl Balancer {
    /// Looks at all servers again, and says what changed.
    pub(super) fn look(&mut self, now: Timestamp) {
        let health = self.config.health;
        for server in 0..self.standings.len() {
            let name = &self.config.servers[server].name;
            let (is_alive, is_draining) = (self.is_alive(server), self.seat.is_draining(name));
            let is_member = self.view.member(name).is_some();
            if is_alive {
                self.unavailable.handle_alive(now, is_member);
            }
            let standing = &mut self.standings[server];
            standing.data_plane.handle_time(now, health.window_s);
            if !is_alive {
                standing.data_plane.forget_awaited();
            }
            standing.judge(now, &health);
            let grows = standing.grow(now, health.ramp_up_s);
            let state = match (is_alive, is_member, standing.failing) {
                (false, ..) => NodeState::Down,
                (true, ..) if is_draining => NodeState::Draining,
                (true, true, Some(_)) => NodeState::Failing,
                (true, false, _) => NodeState::Starting,
                (true, true, None) if grows => NodeState::Starting,
                (true, true, None) => NodeState::Ready,
            };
            if std::mem::replace(&mut standing.state, state) != state {
                let why = standing.failing.filter(|_| state == NodeState::Failing);
                let (node, why) = (name.clone(), why.map(|(_, why)| why));
                self.notice(BalancerNotice::State { node, state, why });
            }
        }
        let hopeless = self.unavailable.is_hopeless(now);
        if std::mem::replace(&mut self.noticed_hopeless, hopeless) != hopeless {
            let answers = self.unavailable.answers();
            self.notice(BalancerNotice::Unavailable { hopeless, answers });
        }
    }

    /// The view is another one.
    pub(super) fn note_members(&mut self) {
        for (server, standing) in self.config.servers.iter().zip(&mut self.standings) {
            standing.cohort = self.view.member(&server.name).map(RunId::cohort);
        }
    }

    /// A run that joins members which stay is spared at first; one that left begins anew.
    pub(super) fn note_joiners(&mut self, now: Timestamp, before: &View) {
        let goes_on = before.members.iter().any(|run| self.view.contains(run));
        for (server, standing) in self.config.servers.iter().zip(&mut self.standings) {
            let is_same = before.member(&server.name) == self.view.member(&server.name);
            if !is_same {
                standing.failing = None;
                standing.data_plane = DataPlane::default();
                standing.starting_at = Some(now).filter(|_| goes_on);
            }
        }
    }

    /// The member for a new call, by the table above.
    pub(super) fn choose(&mut self, call: u64) -> Option<usize> {
        let group = |state: NodeState| match state {
            NodeState::Ready | NodeState::Starting => 0,
            NodeState::Failing => 1,
            NodeState::Draining => 2,
            NodeState::Down => 3,
        };
        let members = self.standings.iter().enumerate().filter(|(_, it)| it.cohort.is_some());
        let best = members.clone().map(|(_, it)| group(it.state)).min()?;
        let fit = members.filter(|(_, it)| group(it.state) == best);
        self.candidates.clear();
        self.candidates.extend(fit.map(|(server, &Standing { name, share, .. })| Candidate {
            server,
            name,
            weight: self.config.servers[server].weight,
            share,
        }));
        self.new_calls.choose(self.config.algorithm, call, &self.candidates)
    }

    /// A request that its node answers at once is awaited.
    pub(super) fn await_answer(
        &mut self,
        now: Timestamp,
        server: usize,
        (source, key): (Source, &RoutingKey<'_>),
    ) {
        if matches!(key.method, Some("INVITE" | "REGISTER")) {
            let request = self.affinity.hash_of_request(key);
            let stranger = self.protection.stranger(now, source);
            self.standings[server].data_plane.handle_request(now, request, stranger);
        }
    }

    /// What a node says to a client counts for the node, if it is a response.
    pub(super) fn note_response(
        &mut self,
        now: Timestamp,
        server: usize,
        client: IpAddr,
        bytes: &[u8],
    ) {
        let Some(status) = status(bytes) else { return };
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(count) = class.and_then(|it| self.standings[server].responses.get_mut(it)) {
            *count += 1;
        }
        let Ok(key) = scan(bytes) else { return };
        let request = self.affinity.hash_of_request(&key);
        let source = self.protection.source(client);
        let is_strangers = self.protection.stranger(now, source).is_some();
        self.standings[server].data_plane.handle_response(request, status, is_strangers);
    }
}

/// The status of a response; none of a request.
fn status(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
