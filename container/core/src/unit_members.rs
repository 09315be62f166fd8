//! Which nodes have compiled which units: a service is activated once all members have, and nobody
//! is to be a member before.

use crate::core::Core;
use crate::frame::Extra;
use crate::link::Mode;
use crate::unit_rows::UNITS_MAX;
use resilee_membership::{MemberInput, NodeName, RunId};
use resilee_sbb::Timestamp;
use std::time::Duration;

/// How often cells are looked at for services that a joiner has not compiled.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Core {
    /// Tells the other nodes what is compiled here.
    pub(crate) fn tell_units(&mut self) {
        let peers: Vec<_> = self.links.keys().cloned().collect();
        peers.iter().for_each(|peer| self.tell_units_to(peer));
    }

    /// Tells one of them. Where there never was a unit, nothing is said; where there were some,
    /// that there are none, since the word that the last one went may be lost.
    pub(crate) fn tell_units_to(&mut self, peer: &NodeName) {
        let units = self.units.ids_deployed();
        self.units.told |= !units.is_empty();
        if let Some(link) = self.links.get_mut(peer).filter(|_| self.units.told) {
            link.say(Extra::Units(units));
        }
    }

    /// Another node has compiled these.
    pub(crate) fn on_units_told(&mut self, from: &RunId, units: Vec<String>) {
        let units = units.into_iter().take(UNITS_MAX).collect();
        self.units.at_peers.retain(|run, _| run.node != from.node);
        self.units.at_peers.insert(from.clone(), units);
    }

    /// True if a joiner has compiled all that calls depend on. It is asked at each input, and while
    /// the joiner lacks any, all cells are looked at: not more often than each [`LOOK_EVERY`].
    pub(crate) fn has_units(&mut self, now: Timestamp, run: &RunId) -> bool {
        let lacking = self.units_lacking_at(run);
        if lacking.is_empty() {
            return true;
        }
        if now < self.units.next_look {
            return false;
        }
        self.units.next_look = now + LOOK_EVERY;
        !self.needs_any_of(&lacking)
    }

    /// Services that a run has not compiled.
    fn units_lacking_at(&self, run: &RunId) -> Vec<String> {
        let there = self.units.at_peers.get(run);
        let has = |id: &str| there.is_some_and(|units| units.contains(id));
        self.unit_rows().filter(|(id, _)| !has(id)).map(|(_, row)| row.service).collect()
    }

    /// After a service was activated that a joiner has not compiled: it is not proposed before it
    /// has. From the proposal on no such service is activated. One that is not active begins
    /// nothing that was not there when the joiner was ready.
    pub(crate) fn note_joiners_without_units(&mut self) {
        let live = self.links.values().filter(|link| link.mode == Mode::Live);
        let joiners = live.filter_map(|link| link.run.as_ref());
        let lacks = |run: &RunId| {
            self.units_lacking_at(run).iter().any(|service| self.is_wanted_active(service))
        };
        let joiners = joiners.filter(|run| !self.view.contains(run) && lacks(run));
        for run in joiners.cloned().collect::<Vec<_>>() {
            self.tell_member(MemberInput::JoinerBehind(run));
        }
    }

    /// Why the service of a unit cannot be activated yet, if it is one: a member has not compiled
    /// it, or who is about to be one.
    pub(crate) fn lacks_unit(&self, service: &str) -> Option<String> {
        let (id, _) = self.units.deployed().find(|(_, name)| *name == service)?;
        let lacks = |run: &&RunId| {
            let there = self.units.at_peers.get(run);
            **run != self.config.me && !there.is_some_and(|units| units.contains(id))
        };
        let next = self.proposing.iter().flat_map(|view| &view.members);
        let run = self.view.members.iter().chain(next).find(lacks)?;
        Some(format!(
            "{} has not compiled {service} yet: try again in a moment, or look at its alarms",
            run.node
        ))
    }
}
