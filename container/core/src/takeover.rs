//! What the membership decides, and what a new view means for cells, timers and gates.
//!
//! | in the new view                      | what happens                                       |
//! |--------------------------------------|----------------------------------------------------|
//! | a cohort is newly owned here         | its cells come alive; unfinished effects go again  |
//! | a cohort is owned elsewhere now      | its cells fall back to replicas                    |
//! | a member is new                      | it gets every commit; it already has all before    |
//! | this run is the only member          | the local store is the gate; it hands nothing over |
//! | a run is no member any more          | its link forgets it                                |

use crate::alarms::sources;
use crate::cell::CellInput;
use crate::core::{Core, Drain};
use crate::io::Output;
use crate::link::Mode;
use crate::management::Notice;
use crate::resource_adaptor::Adoption;
use crate::timers::Due;
use resilee_membership::{
    Control, ControlBody, Destination, MemberInput, MemberNotice, MemberOutput, PlantedFault,
    RunId, View, seal_control,
};
use resilee_sbb::{CellId, CohortId, EntityId, Severity, Timestamp};

/// Text of the alarm while there is no backup.
const NO_BACKUP: &str = "no backup: only one member is left";

impl Core {
    /// True if an alarm says that there is no backup, and there is none.
    pub(crate) fn is_alone_by(&self, source: &str, text: &str) -> bool {
        source == sources::CLUSTER && text == NO_BACKUP && self.view.members.len() == 1
    }

    /// Carries out what the membership wants.
    pub(crate) fn drive_member(&mut self, now: Timestamp) {
        while let Some(output) = self.member.poll_output() {
            match output {
                MemberOutput::Send { to, control } => self.send_control(&to, control),
                MemberOutput::Persist { number, state } => self.persist(number, &state),
                MemberOutput::Adopt(view) => self.adopt(now, view),
                MemberOutput::Join { member } => self.join(member),
                MemberOutput::Proposing(view) => self.proposing = Some(view),
                MemberOutput::NotProposing => self.proposing = None,
                MemberOutput::VotedOut(_) if self.planted.is(PlantedFault::IgnoreVotedOut) => {}
                MemberOutput::VotedOut(view) => {
                    self.view = view;
                    self.outputs.push_back(Output::Rejoin);
                }
                MemberOutput::Notice(notice) => {
                    if notice == MemberNotice::Drained {
                        self.on_handed_over(now);
                    }
                    self.note_condition(now, &notice);
                    self.outputs.push_back(Output::Notice(Notice::Member(notice)));
                }
            }
        }
    }

    /// The process is to end.
    pub(crate) fn on_drain(&mut self) {
        if self.draining == Drain::HandedOver {
            return self.say_drained();
        }
        self.draining = Drain::Asked;
        self.tell_member(MemberInput::Drain);
    }

    fn on_handed_over(&mut self, now: Timestamp) {
        match self.draining {
            Drain::Asked | Drain::Done => self.say_drained(),
            // It may have been told to stay when the view was voted on already.
            _ if self.hands_over_of_hangs() => self.stay_for_the_operator(now),
            _ => self.say_drained(),
        }
    }

    fn say_drained(&mut self) {
        if std::mem::replace(&mut self.draining, Drain::Done) != Drain::Done {
            self.outputs.push_back(Output::Drained);
        }
    }

    /// A run that is to end and is the only member has nobody to hand over to: its calls stay in
    /// the store, and it ends when all of them are there.
    pub(crate) fn end_drain(&mut self) {
        let alone = self.view.members == [self.config.me.clone()];
        let given = self.writes.ops.is_empty() && !self.usage.has_unstored();
        let flushed = given && self.writes.under_way.is_empty();
        if self.draining == Drain::Asked && alone && (flushed || self.writes.failed) {
            self.say_drained();
        }
    }

    fn send_control(&mut self, to: &Destination, mut control: Control) {
        let destination = match to {
            Destination::Seat | Destination::Balancer(_) => self.balancers.get(to).copied(),
            Destination::Node(name) => {
                let peer = self.config.peers.iter().find(|peer| peer.name == *name);
                peer.map(|peer| peer.address)
            }
        };
        // Before the balancer's first heartbeat there is nowhere to send to, and before the store
        // has this run's name nothing may be said; whoever is asked will be asked again.
        let Some(destination) = destination.filter(|_| self.may_speak()) else { return };
        if let ControlBody::Heartbeat { sent_at, .. } = &mut control.body {
            *sent_at = self.clock.now();
        }
        let bytes = seal_control(&self.config.key, &control);
        self.outputs.push_back(Output::Packet { destination, bytes });
    }

    pub(crate) fn adopt(&mut self, now: Timestamp, view: View) {
        let old = std::mem::replace(&mut self.view, view);
        self.proposing = None;
        self.adopted_at = self.clock.local();
        if self.view.contains(&self.config.me) {
            self.member_since = self.member_since.min(self.view.number);
        }
        self.follow_clock();
        self.forget_clocks(&old);
        self.applied.retain(|run, _| self.view.contains(run));
        if self.view.contains(&self.config.me) && self.joining.take().is_some() {
            // The store is whole now, and says so.
            self.emit_batch();
        }
        self.outputs.push_back(Output::Notice(Notice::View(self.view.clone())));
        self.reset_links(&old);
        if self.view.members == [self.config.me.clone()] {
            self.gate_by_store();
        }
        // A node that starts alone waits for its first backup; that is no alarm yet.
        if self.view.members.len() > 1 {
            self.clear_alarm(sources::CLUSTER, NO_BACKUP);
        } else if old.members.len() > 1 && self.draining != Drain::HandedOver {
            self.raise_condition(now, Severity::Major, sources::CLUSTER, NO_BACKUP);
        }
        self.fall_back();
        self.take_over(now, &old);
        self.inherit_alarms();
        self.note_gap(now, &old);
        self.end_hand_over(now);
        self.note_hangs(now);
        self.note_outside(now);
        self.note_undeployed(now);
        self.migrate_from_the_first_cell(now);
        self.take_in_early_frames(now);
        self.take_in_early(now);
        self.bring_stranded(now);
        self.hurry_words(now);
    }

    /// Members get every commit; who was voted out gets nothing. A joiner goes on as it is.
    fn reset_links(&mut self, old: &View) {
        for link in self.links.values_mut() {
            let Some(run) = link.run.clone() else { continue };
            match self.view.contains(&run) {
                true if link.mode == Mode::Idle => link.mode = Mode::Live,
                false if self.planted.is(PlantedFault::StreamNotStopped) => {}
                false if old.contains(&run) => link.stop(),
                _ => {}
            }
        }
    }

    /// Cells that are owned elsewhere now fall back to replicas.
    fn fall_back(&mut self) {
        let lost: Vec<_> = self.cells_of(false).filter(|cell| cell.live).map(|c| c.id).collect();
        lost.into_iter().for_each(|id| self.let_go(id));
    }

    /// A cell is a replica from now on; messages that waited in it go to its owner.
    pub(crate) fn let_go(&mut self, id: CellId) {
        self.forget_pending_rows(id);
        let Some(cell) = self.cells.get_mut(&id).filter(|cell| cell.live) else { return };
        self.outputs.push_back(Output::Notice(Notice::Over { cell: id }));
        (cell.live, cell.announced) = (false, false);
        cell.turn = None;
        let inbox = std::mem::take(&mut cell.inbox);
        for number in cell.activities.keys() {
            let activity = cell.activity_id(*number);
            self.timers.set(Due::Adaptor(activity), None);
            self.timers.set(Due::Suspended(activity), None);
            self.adaptors.forget(activity);
        }
        for (entity, timer) in cell.timers.keys() {
            let entity = EntityId { cell: id, number: *entity };
            self.timers.set(Due::Sbb(entity, *timer), None);
        }
        self.timers.set(Due::Words(id), None);
        self.let_go_retries(id);
        for input in inbox {
            if let CellInput::Message(ingress, _) = input {
                self.keep_early(ingress);
            }
        }
    }

    /// Cells that are newly owned come alive, and what their owner left undone is done.
    fn take_over(&mut self, now: Timestamp, old: &View) {
        let dormant: Vec<_> = self.cells_of(true).filter(|cell| !cell.live).map(|c| c.id).collect();
        let gone = |run: &RunId| !self.view.contains(run);
        let dead: Vec<_> = self.outbox.keys().filter(|run| gone(run)).cloned().collect();
        let heir = self.inherits(old);
        let adoption = match (self.from_store, self.orphans.forced) {
            (true, false) => Adoption::ColdStart,
            (true, true) => Adoption::Stranded,
            (false, _) => Adoption::Takeover,
        };
        self.from_store &= !self.view.contains(&self.config.me);
        let mut effects = 0;
        for run in dead {
            let outbox = self.outbox.remove(&run).unwrap_or_default();
            if heir && !self.planted.is(PlantedFault::DropOutbox) {
                let cell = CellId { cohort: run.cohort(), number: 0 };
                let egress: Vec<_> = outbox.into_values().flatten().collect();
                effects += egress.len();
                self.commit_effects(cell, egress);
            }
        }
        let sleeps = self.planted.is(PlantedFault::NoAdoption);
        for id in dormant.iter().filter(|_| !sleeps) {
            self.wake(now, *id, adoption, 0);
        }
        // Only a run that starts from its own store, not by a snapshot, still has these.
        // An outsider may adopt older views first, by which it owns nothing yet.
        let unpublished = std::mem::take(&mut self.unpublished);
        let (owned, rest): (Vec<_>, Vec<_>) =
            unpublished.into_iter().partition(|(cell, _)| self.owns(*cell));
        self.unpublished = rest;
        for (cell, record) in owned {
            self.publish(cell, record);
        }
        if heir {
            let cells = dormant.len();
            self.outputs.push_back(Output::Notice(Notice::TakenOver { cells, effects }));
        }
    }

    /// True if this run owns something now that another run owned before.
    fn inherits(&self, old: &View) -> bool {
        let me = &self.config.me;
        let newly = |(cohort, owner): (&CohortId, &RunId)| {
            owner == me && old.owner(*cohort).is_some_and(|before| before != me)
        };
        self.view.contains(me) && self.view.cohorts.iter().any(newly)
    }

    /// A cell is owned here from now on; what it says waits for that commit of this run.
    pub(crate) fn wake(&mut self, now: Timestamp, id: CellId, adoption: Adoption, behind: u64) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        cell.live = true;
        cell.last_commit = behind;
        // Whoever wrote it may have been wrong: what is of no entity would keep the cell for ever.
        let entities = &cell.entities;
        cell.timers.retain(|(entity, _), _| entities.contains_key(entity));
        if self.planted.is(PlantedFault::ForgetMissed) {
            cell.timers.values_mut().for_each(|armed| armed.forget_missed(now));
        }
        for ((entity, timer), armed) in &cell.timers {
            let entity = EntityId { cell: id, number: *entity };
            self.timers.set(Due::Sbb(entity, *timer), Some(armed.due));
        }
        self.adopt_retries(now, id);
        self.adopt_suspended(id);
        self.adopt_ties(now, id);
        self.enqueue(now, id, CellInput::Adopt(adoption));
        self.examine_removed(now, id);
        self.examine_undeployed(now, id);
        self.tell_missed(now, id);
    }
}
