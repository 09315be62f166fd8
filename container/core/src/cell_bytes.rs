//! How large a cell may grow, and what one turn may commit besides.
//!
//! A commit, and each cell of a snapshot, travels in one frame, of which the link takes 8 MiB. So
//! the parts of a cell together, and what a turn writes beside them (rows, records, messages,
//! events for other cells), have a limit each; both fit into a frame, with room for what adaptors
//! keep of their activities ([`KEPT_BY_ADAPTORS_MAX`]).
//!
//! What adaptors keep is no part of these bytes: how much it is, clients decide, and a service must
//! not lose an event for it. Bounding it is the adaptor's own duty; here it is only watched.
//!
//! | what would be too large                | what happens                                      |
//! |----------------------------------------|---------------------------------------------------|
//! | the cell, after a delivery             | the delivery rolls back, if the cell would grow   |
//! | what the turn writes, after a delivery | the delivery rolls back                           |
//! | the cell, by an event that is kept     | the event is lost to who waits for it; an alarm   |
//! | a root cell, by one more mirror        | the activity is not tied to the root; an alarm    |
//! | what adaptors keep of the cell         | nothing is lost; an alarm, for the adaptor is     |
//! |                                        | wrong and the frame may be too large              |
//!
//! Sizes are those of what can grow: names of fields and numbers are not counted one by one.

use crate::cell::Cell;
use crate::commit::{Activity, Entity, Retry};
use crate::event_router::Turn;
use crate::limits::Limits;
use crate::ties::RootName;
use resilee_sbb::{CLUSTER_NAMES, Effect, EntityState, Event, UsageUpdate};
use std::collections::{BTreeMap, BTreeSet};

/// What a part, or an entry of one, takes besides its contents.
const PART_BYTES: usize = 64;

/// So much of a frame is left for what adaptors keep of the activities of a cell.
pub const KEPT_BY_ADAPTORS_MAX: usize = 1 << 20;

/// Bytes of what adaptors keep of the activities of a cell.
pub fn kept_by_adaptors<'a>(activities: impl Iterator<Item = &'a Box<Activity>>) -> usize {
    activities.map(|activity| activity.state.len()).sum()
}

impl Cell {
    /// Bytes of its parts, without what adaptors keep.
    pub fn bytes(&self) -> usize {
        let activities = self.activities.values().map(|activity| of_activity(activity));
        let entities = self.entities.values().map(|entity| of_entity(entity));
        let kept = |retry: &Retry| retry.events.iter().map(of_event).sum::<usize>() + PART_BYTES;
        let retries = self.retries.values().map(kept);
        let posted = self.posted.values().map(|posted| posted.post.size() + PART_BYTES);
        let ties = self.ties.values().map(|tie| of_tie(&tie.root));
        let parts = activities.chain(entities).chain(retries).chain(posted).chain(ties);
        let journals = self.head.recorded.iter().map(|it| it.len() + PART_BYTES);
        parts.chain(journals).sum::<usize>() + self.timers.len() * PART_BYTES
    }

    /// True if one more event may be kept.
    pub fn has_room_for(&self, event: &Event, limits: &Limits) -> bool {
        self.bytes() + of_event(event) <= limits.cell_bytes_max
    }

    /// True if one more activity of another cell may have its mirror here.
    pub fn has_room_for_mirror(&self, root: &RootName, limits: &Limits) -> bool {
        self.bytes() + of_tie(root) + PART_BYTES <= limits.cell_bytes_max
    }

    /// Why a delivery is rolled back: the cell would be too large, or what its turn commits.
    pub fn refuse_bytes(
        &self,
        entities: &[EntityState],
        removed: &[u32],
        effects: &[Effect],
        limits: &Limits,
    ) -> Option<String> {
        let (grown, shrunk) = self.growth(entities, removed, effects);
        let (cell_max, turn_max) = (limits.cell_bytes_max, limits.turn_bytes_max);
        // Most deliveries change little: then nothing has to be added up.
        if grown > shrunk && (self.bytes() + grown).saturating_sub(shrunk) > cell_max {
            return Some(format!(
                "the call would have more than {cell_max} bytes of states, attributes and events: \
                 limits.cell_bytes_max"
            ));
        }
        let written: usize = effects.iter().map(written_by).sum();
        let before = self.turn.as_ref().map_or(0, |turn| turn.written());
        (written > 0 && before + written > turn_max).then(|| {
            format!(
                "more than {turn_max} bytes of rows, records, messages and usage are written in \
                 one turn: limits.turn_bytes_max"
            )
        })
    }

    /// By how many bytes a delivery makes the cell larger, and by how many smaller.
    fn growth(
        &self,
        entities: &[EntityState],
        removed: &[u32],
        effects: &[Effect],
    ) -> (usize, usize) {
        // It names whole trees, and what is below in them as well.
        let below: BTreeSet<_> = removed.iter().flat_map(|it| self.subtree(*it)).collect();
        let gone = below.iter().filter_map(|entity| self.entities.get(entity));
        let timers = self.timers.keys().filter(|(owner, _)| below.contains(owner)).count();
        let mut shrunk = gone.map(|entity| of_entity(entity)).sum::<usize>() + timers * PART_BYTES;
        let mut grown = 0;
        for state in entities.iter().filter(|state| !below.contains(&state.number)) {
            grown += state.state.bytes.len();
            match self.entities.get(&state.number) {
                Some(known) => shrunk += known.state.bytes.len(),
                None => grown += PART_BYTES,
            }
        }
        // Set twice, an attribute has the value that it was set to last.
        let mut attributes = BTreeMap::new();
        for (at, effect) in effects.iter().enumerate() {
            match effect {
                // So do timers and masks.
                effect if has_successor(effect, &effects[at + 1..]) => {}
                Effect::SetTimer { entity, .. }
                | Effect::CancelTimer { entity, .. }
                | Effect::Mask { entity, .. }
                    if below.contains(entity) => {}
                Effect::SetAttribute { activity, name, value } => {
                    attributes.insert((*activity, name.as_str()), value.len());
                }
                Effect::StartActivity { .. } => grown += PART_BYTES,
                Effect::SetTimer { entity, timer, .. } => {
                    let is_new = !self.timers.contains_key(&(*entity, *timer));
                    grown += if is_new { PART_BYTES } else { 0 };
                }
                Effect::CancelTimer { entity, timer } => {
                    let is_there = self.timers.contains_key(&(*entity, *timer));
                    shrunk += if is_there { PART_BYTES } else { 0 };
                }
                Effect::BindName { name, .. } => grown += name.len(),
                Effect::Record { journal, .. } if !self.head.recorded.contains(journal) => {
                    grown += journal.len() + PART_BYTES;
                }
                Effect::Mask { entity, activity, events } => {
                    grown += of_mask(events);
                    let known = self.entities.get(entity).and_then(|it| it.masks.get(activity));
                    shrunk += known.map_or(0, of_mask);
                }
                Effect::SuspendEvent { .. } => {
                    let turn = self.turn.as_ref().and_then(|turn| turn.current.as_ref());
                    grown += turn.map_or(0, |routing| of_event(&routing.event));
                }
                Effect::Fire { payload, .. } | Effect::Command { payload, .. } => {
                    // Of another cell's activity it is posted; else it is no part of this cell.
                    grown += if self.ties.is_empty() { 0 } else { payload.len() };
                }
                Effect::FireAtName { name, payload, .. } => {
                    grown += of_name(name) + payload.len() + PART_BYTES;
                }
                Effect::BindClusterName { name, .. } => grown += of_name(name) + PART_BYTES,
                _ => {}
            }
        }
        for ((activity, name), bytes) in attributes {
            let known = self.activities.get(&activity).and_then(|it| it.attributes.get(name));
            grown += bytes;
            match known {
                Some(known) => shrunk += known.len(),
                None => grown += name.len() + PART_BYTES,
            }
        }
        (grown, shrunk)
    }
}

impl Turn {
    /// Bytes that it commits beside the parts of its cell.
    fn written(&self) -> usize {
        let rows = self.rows.iter().map(|row| {
            row.table.len() + row.key.len() + row.row.as_ref().map_or(0, |row| row.len())
        });
        let records = self.records.iter().map(|record| record.record.len());
        let messages = self.egress.iter().map(|egress| egress.bytes.len());
        let usage = self.usage.iter().map(|(_, update)| of_usage(update));
        rows.chain(records).chain(messages).chain(usage).sum()
    }
}

/// What a turn commits beside the parts of its cell for an effect.
fn written_by(effect: &Effect) -> usize {
    match effect {
        Effect::PutRow { table, key, row } => table.len() + key.len() + row.len(),
        Effect::Record { record, .. } => record.len(),
        Effect::Command { payload, .. } | Effect::FireAtName { payload, .. } => payload.len(),
        Effect::StartActivityOf { command, .. } => command.len(),
        Effect::Usage(update) => of_usage(update),
        _ => 0,
    }
}

fn of_usage(update: &UsageUpdate) -> usize {
    update.set.len() + update.parameter.len() + PART_BYTES
}

/// True if a later effect sets the same timer or mask.
fn has_successor(effect: &Effect, later: &[Effect]) -> bool {
    let timer_of = |effect: &Effect| match effect {
        Effect::SetTimer { entity, timer, .. } | Effect::CancelTimer { entity, timer } => {
            Some((*entity, *timer))
        }
        _ => None,
    };
    let mask_of = |effect: &Effect| match effect {
        Effect::Mask { entity, activity, .. } => Some((*entity, *activity)),
        _ => None,
    };
    let (timer, mask) = (timer_of(effect), mask_of(effect));
    (timer.is_some() && later.iter().any(|it| timer_of(it) == timer))
        || (mask.is_some() && later.iter().any(|it| mask_of(it) == mask))
}

fn of_activity(activity: &Activity) -> usize {
    let attribute =
        |(name, value): (&String, &serde_bytes::ByteBuf)| name.len() + value.len() + PART_BYTES;
    let attributes: usize = activity.attributes.iter().map(attribute).sum();
    let names: usize = activity.names.iter().map(String::len).sum();
    let suspended = activity.suspended.as_ref();
    let queue = suspended.map_or(0, |it| it.queue.iter().map(of_event).sum::<usize>());
    let first = suspended.map_or(0, |it| of_event(&it.event));
    let served = suspended.map_or(0, |it| it.served.iter().map(of_tie).sum::<usize>());
    attributes + names + queue + first + served + PART_BYTES
}

fn of_entity(entity: &Entity) -> usize {
    entity.state.bytes.len()
        + entity.convergence_name.as_ref().map_or(0, |it| it.len())
        + entity.masks.values().map(of_mask).sum::<usize>()
        + PART_BYTES
}

fn of_mask(events: &BTreeSet<String>) -> usize {
    events.iter().map(|event| event.len() + PART_BYTES).sum()
}

fn of_tie(root: &RootName) -> usize {
    root.service.len() + root.name.len() + PART_BYTES
}

/// The tie to the cell of a name.
fn of_name(name: &str) -> usize {
    CLUSTER_NAMES.len() + name.len() + PART_BYTES
}

fn of_event(event: &Event) -> usize {
    event.payload.len() + event.event_type.len() + PART_BYTES
}
