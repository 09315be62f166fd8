//! What a delivery asked for is carried out, once its transaction has committed, in order.
//!
//! What leaves the cell (messages, records) waits for the turn's commit and its gate
//! (`commits.rs`). A request about an entity or an activity that is not there is dropped: the
//! handler was told so already, or an earlier request of the same delivery took it away.

use crate::cell::Cell;
use crate::commit::{Activity, Part, Record, RowChange};
use crate::core::Core;
use crate::event_router::{Audience, Awaiting};
use resilee_membership::PlantedFault;
use resilee_sbb::{CellId, Effect, Event, Failure, Severity, Timestamp};
use serde_bytes::ByteBuf;

impl Core {
    /// Carries out one request of a delivery.
    pub(crate) fn carry_out(
        &mut self,
        now: Timestamp,
        id: CellId,
        awaiting: Awaiting,
        effect: Effect,
    ) {
        let service = self.services[awaiting.service].name;
        match effect {
            Effect::Command { activity, payload } => {
                let result = self.activity_step(now, activity, |adaptor, endpoint| {
                    adaptor.command(endpoint, activity, &payload)
                });
                let nobodys = || Err(Failure::new(format!("no adaptor has {activity}")));
                if let Err(failure) = result.unwrap_or_else(nobodys) {
                    let text = format!("command refused: {failure}");
                    self.raise_alarm(now, Severity::Minor, service, &text);
                }
            }
            Effect::StartActivityOf { adaptor, activity, command } => {
                self.start_activity_of(now, id, service, &adaptor, activity, &command);
            }
            Effect::PutRow { table, key, row } => self.put_row(id, table, key, Some(row)),
            Effect::RemoveRow { table, key } => {
                let row = self.removal(&table, &key).row.map(ByteBuf::into_vec);
                self.put_row(id, table, key, row);
            }
            effect @ (Effect::SetTimer { .. }
            | Effect::CancelTimer { .. }
            | Effect::Trace { .. }
            | Effect::RaiseAlarm { .. }
            | Effect::ClearAlarms(_)
            | Effect::Usage(_)) => self.ask_facility(now, id, awaiting, effect),
            Effect::ResumeEvent { activity } => self.resume(id, activity),
            effect @ (Effect::BindClusterName { .. }
            | Effect::UnbindClusterName { .. }
            | Effect::FireAtName { .. }) => {
                let cell = self.cells.get_mut(&id);
                cell.into_iter().for_each(|cell| cell.ask_for_name(effect.clone()));
            }
            Effect::Mask { .. } if self.planted.is(PlantedFault::ForgetMask) => {}
            effect => {
                let Some(cell) = self.cells.get_mut(&id) else { return };
                if let Effect::SuspendEvent { .. } = &effect
                    && let Some(turn) = cell.turn.as_mut()
                    && let Some(routing) = turn.current.as_mut()
                {
                    routing.suspended_by = service;
                }
                if self.planted.is(PlantedFault::RecordTwice) {
                    cell.head.recorded.clear();
                }
                change_cell(cell, effect);
            }
        }
    }

    /// A row of the turn: it is written with its commit.
    pub(crate) fn put_row(&mut self, id: CellId, table: String, key: String, row: Option<Vec<u8>>) {
        let Some(turn) = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut()) else {
            return;
        };
        turn.rows.push(RowChange { table, key, row: row.map(ByteBuf::from) });
    }
}

/// Requests that concern the cell alone.
fn change_cell(cell: &mut Cell, effect: Effect) {
    match effect {
        Effect::Record { journal, record } => {
            let Some(turn) = cell.turn.as_mut() else { return };
            if cell.head.recorded.insert(journal.clone()) {
                turn.touched.insert(Part::Head);
                turn.records.push(Record { journal, record });
            }
        }
        Effect::SetPriority { entity, priority } => change_entity(cell, entity, |entity| {
            entity.priority = Some(priority);
        }),
        Effect::Mask { entity, activity, events } => {
            change_entity(cell, entity, |entity| match events.is_empty() {
                true => drop(entity.masks.remove(&activity)),
                false => drop(entity.masks.insert(activity, events)),
            })
        }
        effect => change_activities(cell, effect),
    }
}

fn change_entity(cell: &mut Cell, number: u32, change: impl FnOnce(&mut crate::commit::Entity)) {
    let (Some(turn), Some(entity)) = (cell.turn.as_mut(), cell.entities.get_mut(&number)) else {
        return;
    };
    change(entity);
    turn.touched.insert(Part::Entity(number));
}

fn change_activities(cell: &mut Cell, effect: Effect) {
    let Some(turn) = cell.turn.as_mut() else { return };
    match effect {
        Effect::StartActivity { activity } => {
            cell.head.next_activity = cell.head.next_activity.max(activity.saturating_add(1));
            let null = Activity { null: true, ..Activity::default() };
            cell.activities.insert(activity, Box::new(null));
            turn.touched.extend([Part::Head, Part::Activity(activity)]);
        }
        Effect::EndActivity { activity } => {
            turn.ended.push_back(activity);
            change(cell, activity, |activity| activity.ending = true);
        }
        Effect::Fire { activity, event_type, payload } => {
            let activity = resilee_sbb::ActivityId { cell: cell.id, number: activity };
            turn.events.push_back((Event { event_type, activity, payload }, Audience::All));
        }
        Effect::SuspendEvent { until } => {
            // What is for one entity does not wait.
            let Some(routing) = turn.current.as_mut() else { return };
            let is_forced = turn.forced.contains(&routing.event.activity.number);
            if routing.audience.is_all() && !is_forced {
                routing.suspended_until = Some(until);
            }
        }
        Effect::SetAttribute { activity, name, value } => change(cell, activity, |activity| {
            activity.attributes.insert(name, ByteBuf::from(value));
        }),
        Effect::Attach { entity, activity } if cell.entities.contains_key(&entity) => {
            change(cell, activity, |activity| {
                activity.attached.insert(entity);
            });
        }
        Effect::Detach { entity, activity } => {
            change(cell, activity, |activity| {
                activity.attached.remove(&entity);
            });
            cell.forget_mask(entity, activity);
        }
        Effect::BindName { activity, name } => {
            change(cell, activity, |activity| {
                activity.names.insert(name);
            });
        }
        Effect::UnbindName { name } => {
            let bound = cell.activities.iter().find(|(_, activity)| activity.names.contains(&name));
            if let Some(number) = bound.map(|(number, _)| *number) {
                unbind_name(cell, number, &name);
            }
        }
        _ => {}
    }
}

/// A name is not bound to the activity any more.
pub(crate) fn unbind_name(cell: &mut Cell, activity: u32, name: &str) {
    change(cell, activity, |activity| {
        activity.names.remove(name);
    });
}

fn change(cell: &mut Cell, number: u32, change: impl FnOnce(&mut Activity)) {
    let (Some(turn), Some(activity)) = (cell.turn.as_mut(), cell.activities.get_mut(&number))
    else {
        return;
    };
    change(activity);
    turn.touched.insert(Part::Activity(number));
}
