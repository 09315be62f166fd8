//! What operators see: snapshots of the core, taken between inputs.

use crate::cell::Cell;
use crate::census::{Census, OfService};
use crate::core::{Core, Drain};
use crate::io::Output;
use crate::management::{
    ActivitySnapshot, BalancerStatus, CellSnapshot, EntitySnapshot, Notice, PeerStatus,
    ServiceStatus, Status,
};
use resilee_sbb::{Descriptor, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;

impl Core {
    /// This node's account of itself and of the cluster at a local time.
    pub fn status(&self, local: Timestamp) -> Status {
        let census = Census::of(self);
        let mut cells = BTreeMap::new();
        for (cohort, count) in &census.cells {
            let owner = self.view.owner(*cohort).map_or("nobody", |run| run.node.as_str());
            *cells.entry(owner.to_owned()).or_default() += count;
        }
        Status {
            run: self.config.me.clone(),
            now: self.clock.at(local),
            view: self.view.clone(),
            member: self.is_member(),
            draining: self.draining != Drain::No,
            slee: self.slee_state(),
            peers: self.peer_statuses(),
            balancers: self.balancer_statuses(),
            adaptors: self.adaptor_statuses(&census),
            services: self.deployed().map(|it| self.service_status(it, &census)).collect(),
            units: self.unit_statuses(),
            cells,
            activities: census.activities,
            commits: self.gate.last_commit(),
            gated: self.gate.len() as u64,
            orphans: self.orphans_waiting() as u64,
            dropped: self.dropped.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
            alarms: self.alarms.raised(),
            tracers: self.tracers.statuses(),
            peer_alarms: self.alarms.of_peers(),
        }
    }

    fn peer_statuses(&self) -> Vec<PeerStatus> {
        let cluster_time = |local: Timestamp| self.clock.at(local);
        let links = self.links.values().map(|link| {
            let heard = self.member.peer_status(&link.peer);
            let difference = heard.run.as_ref().and_then(|run| self.clock.difference_ms(run));
            PeerStatus {
                name: link.peer.to_string(),
                last_heard: heard.last_heard.map(cluster_time),
                alive: heard.last_heard.is_some() && heard.lost.is_none(),
                linked: link.up,
                unacknowledged: link.unacknowledged() as u64,
                clock_offset_ms: difference,
            }
        });
        links.collect()
    }

    fn balancer_statuses(&self) -> Vec<BalancerStatus> {
        let heard = self.member.balancer_statuses().map(|heard| BalancerStatus {
            name: heard.name.map(|name| name.to_string()),
            holds_seat: heard.holds_seat,
            last_heard: heard.last_heard.map(|local| self.clock.at(local)),
            alive: heard.alive,
            ready: heard.ready,
            process: heard.process,
        });
        heard.collect()
    }

    fn service_status(&self, service: &Descriptor, census: &Census<'_>) -> ServiceStatus {
        let counters = self.counters.get(service.name).copied().unwrap_or_default();
        let OfService { all: in_cluster, owned, to_come } = census.of_service(service.name);
        ServiceStatus {
            state: self.service_state(service, in_cluster + to_come),
            unit: service.unit().to_owned(),
            needs: service.deployment.needs.iter().map(ToString::to_string).collect(),
            needed_by: self.needed_by(service.name),
            entities_in_cluster: in_cluster,
            migration: self.migration_status(service.name, in_cluster + to_come),
            name: service.name.to_owned(),
            vendor: service.vendor.to_owned(),
            version: service.version.to_owned(),
            priority: service.priority,
            entities: owned,
            delivered: counters.delivered,
            rolled_back: counters.rolled_back,
            usage: self.usage.status(&self.config.me.node, service.name),
        }
    }

    /// Counts what was dropped, and says so.
    pub(crate) fn count_drop(&mut self, reason: &'static str) {
        *self.dropped.entry(reason).or_default() += 1;
        self.outputs.push_back(Output::Notice(Notice::Dropped(reason)));
    }

    /// Cells owned here or held as backup, newest first, at most `limit`. A cell whose last
    /// change is not held yet is left out: what is shown is what a takeover would keep.
    pub fn cells(&self, limit: usize) -> Vec<CellSnapshot> {
        let shown = |cell: &&Cell| cell.committed && !self.gate.is_closed(cell.last_commit);
        let mut cells: Vec<_> = self.cells.values().filter(shown).collect();
        let newest = |cell: &&Cell| (Reverse(cell.head.born_at), cell.id);
        // Of a million only those that are shown are sorted.
        if limit < cells.len() {
            cells.select_nth_unstable_by_key(limit, newest);
            cells.truncate(limit);
        }
        cells.sort_unstable_by_key(newest);
        cells.into_iter().map(|cell| self.cell_snapshot(cell)).collect()
    }

    fn cell_snapshot(&self, cell: &Cell) -> CellSnapshot {
        let service = |number: &u32| cell.entities.get(number).map(|entity| entity.service.clone());
        let activities = cell.activities.iter().map(|(number, activity)| ActivitySnapshot {
            id: cell.activity_id(*number).to_string(),
            attributes: activity.attributes.keys().cloned().collect(),
            attached: activity.attached.iter().filter_map(service).collect(),
            ending: activity.ending,
        });
        let entities = cell.entities.iter().map(|(number, entity)| EntitySnapshot {
            number: cell.entity_id(*number).number,
            service: entity.service.clone(),
            state: entity.state.clone(),
        });
        CellSnapshot {
            id: cell.id.to_string(),
            owner: self.view.owner(cell.id.cohort).map(|run| run.node.to_string()),
            born_at: cell.head.born_at,
            activities: activities.collect(),
            entities: entities.collect(),
        }
    }
}
