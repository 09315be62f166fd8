//! What the balancer tells of itself: to the nodes, for their pages, and as a status; and what
//! becomes of a configuration that was read again.

use super::Balancer;
use super::pair::Address;
use crate::boundary::{BalancerConfig, BalancerNotice, DropReason};
use crate::new_calls::WHOLE;
use crate::status::{ServerStatus, Status, ViewStatus};
use resilee_membership::RunId;
use resilee_sbb::{CohortId, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

impl Balancer {
    /// All that is known at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        let new_calls: u64 = self.standings.iter().map(|it| it.data_plane.counts().new_calls).sum();
        let mut dropped: BTreeMap<&'static str, u64> =
            DropReason::ALL.map(|it| (it.name(), self.drops.count(it))).into();
        dropped.extend(self.tcp_drops.iter().map(|(reason, count)| (reason.name(), count)));
        Status {
            up_ms: millis(now.since(self.started_at)),
            view: ViewStatus {
                number: self.view.number,
                members: self.view.members.iter().map(RunId::to_string).collect(),
                tables_owner: self.view.owner(CohortId::TABLES).map(RunId::to_string),
            },
            algorithm: self.config.algorithm.name(),
            serving: !self.unavailable.is_hopeless(now),
            unavailable_answers: self.unavailable.answers(),
            pair: self.pair_status(),
            state_file_error: self.fitness.store_error().map(str::to_owned),
            servers: (0..self.standings.len())
                .map(|it| self.server_status(now, it, new_calls))
                .collect(),
            dropped,
            reloads: self.reloads.clone(),
        }
    }

    fn server_status(&self, now: Timestamp, server: usize, new_calls: u64) -> ServerStatus {
        let (configured, standing) = (&self.config.servers[server], &self.standings[server]);
        let counts = standing.data_plane.counts();
        ServerStatus {
            name: configured.name.to_string(),
            address: configured.address.to_string(),
            weight: configured.weight,
            state: standing.state.name(),
            failing: standing.why_failing().map(|why| why.to_string()),
            ramp_up_percent: standing.share * 100 / WHOLE,
            heartbeat_age_ms: self.heard_at(server).map(|at| millis(now.since(at))),
            new_calls: standing.new_calls,
            new_calls_percent: (counts.new_calls * 100).checked_div(new_calls).unwrap_or(0),
            requests: standing.requests,
            responses: standing.responses,
            no_response_percent: counts.no_response_percent(),
            server_error_percent: counts.server_error_percent(),
        }
    }

    /// With the next heartbeat; a flood of what is dropped makes no more work than that.
    pub(super) fn tell_of_process(&mut self) {
        let (process, is_behind) = &mut self.process;
        if std::mem::take(is_behind) {
            let datagrams = self.drops.iter().map(|(reason, count)| (reason.to_string(), count));
            let of_tcp = self.tcp_drops.iter().map(|(reason, count)| (reason.to_string(), count));
            process.holds_address =
                self.config.pair.is_some().then_some(self.address == Address::Taken);
            process.dropped = datagrams.chain(of_tcp).collect();
            self.seat.describe(process.clone());
        }
    }

    /// Goes by another configuration from now on.
    pub(super) fn on_reloaded(&mut self, config: &BalancerConfig) {
        let fixed = |config: &BalancerConfig| {
            let servers = config.servers.iter().map(|it| (it.name.clone(), it.address));
            (config.listen.clone(), servers.collect::<Vec<_>>(), config.pair.clone())
        };
        assert_eq!(
            fixed(&self.config),
            fixed(config),
            "what is read at the start only is the same"
        );
        let changed = changed(&self.config, config);
        self.config = config.clone();
        self.protection.configure(config.protection.clone());
        self.seat.set_heartbeat(config.heartbeat_ms, config.missed);
        self.reloads.accepted += 1;
        self.reloads.refusal = None;
        self.notice(BalancerNotice::Reloaded { changed });
    }

    /// Goes on by the configuration that it has.
    pub(super) fn on_reload_refused(&mut self, why: &str) {
        self.reloads.refused += 1;
        self.reloads.refusal = Some(why.to_owned());
        self.notice(BalancerNotice::ReloadRefused { why: why.to_owned() });
    }
}

/// The keys that differ.
fn changed(old: &BalancerConfig, new: &BalancerConfig) -> Vec<&'static str> {
    let weights = |config: &BalancerConfig| -> Vec<u32> {
        config.servers.iter().map(|it| it.weight).collect()
    };
    let beats = |config: &BalancerConfig| (config.heartbeat_ms, config.missed);
    let keys = [
        ("algorithm", old.algorithm != new.algorithm),
        ("[[server]] weight", weights(old) != weights(new)),
        ("[heartbeat]", beats(old) != beats(new)),
        ("[health]", old.health != new.health),
        ("[protection]", old.protection != new.protection),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
