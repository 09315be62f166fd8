//! Life cycles of resource adaptors (`javax.slee.management.ResourceManagementMBean`): what an
//! operator wants of one is a row of a shared table, as it is of services (`life_cycles.rs`).
//!
//! | the operator wants it | it has activities | its state | what would begin something           |
//! |-----------------------|-------------------|-----------|--------------------------------------|
//! | active                | any               | active    | taken                                |
//! | inactive              | some              | stopping  | refused; what is there finishes      |
//! | removed               | some              | stopping  | refused, and so is any other message |
//! | inactive or removed   | none              | inactive  | refused                              |
//!
//! A removed one loses its activities: they end by force, each with its `ActivityEnd`, at whoever
//! owns their cells; also those that a survivor adopts later. A query of liveness has the adaptor
//! look at each of its activities. Both go through the cells in steps, so that a node with very
//! many calls does not stand still meanwhile.
//!
//! Properties that an operator gave are checked by the owner's adaptor before they are written, and
//! told to the adaptor of each node.

use crate::adaptors::AdaptorId;
use crate::alarms::sources;
use crate::cell::{Cell, CellInput};
use crate::census::{Census, OfAdaptor};
use crate::commit::RowChange;
use crate::core::Core;
use crate::management::{AdaptorOrder, AdaptorState, AdaptorStatus};
use crate::timers::Due;
use resilee_sbb::{ActivityId, CellId, Severity, Timestamp, decode, encode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

/// What is wanted of adaptors, by name.
pub(crate) const ADAPTORS: &str = "slee.adaptors";
/// Properties of one adaptor.
pub const PROPERTIES_MAX: usize = 32;
/// Bytes of a property's name, and of its value.
pub const PROPERTY_BYTES_MAX: usize = 1_024;
/// Cells that one step looks at, and those of them in which it begins a turn.
const LOOKED_AT_MAX: usize = 4_096;
const EXAMINED_MAX: usize = 128;
/// Time between two steps.
const STEP: Duration = Duration::from_millis(5);

/// What an operator wants of an adaptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WantedAdaptor {
    /// It takes new activities.
    pub active: bool,
    /// Since when.
    pub since: Timestamp,
    /// Its activities end by force.
    #[serde(default)]
    pub removed: bool,
    /// When it was last asked to look at its activities.
    #[serde(default)]
    pub queried_at: Option<Timestamp>,
    /// What it is told besides its configuration.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

impl Default for WantedAdaptor {
    /// As long as nobody has said anything.
    fn default() -> Self {
        let (since, properties) = (Timestamp::ZERO, BTreeMap::new());
        WantedAdaptor { active: true, since, removed: false, queried_at: None, properties }
    }
}

impl Core {
    /// Reads what is wanted of adaptors from the rows.
    pub(crate) fn note_adaptors(&mut self) {
        for id in self.adaptors.ids() {
            let name = self.adaptors.name(id);
            let wanted = self.tables.get(ADAPTORS, name).and_then(|row| decode(row).ok());
            let wanted: WantedAdaptor = wanted.unwrap_or_default();
            let known = std::mem::replace(self.adaptors.wanted_mut(id), wanted.clone());
            if known.properties != wanted.properties {
                self.configure_adaptor(id, &wanted.properties);
            }
            let asks = wanted.queried_at.is_some() && wanted.queried_at != known.queried_at;
            if asks || wanted.removed && !known.removed {
                *self.adaptors.examined_mut(id) = None;
                self.timers.set(Due::Examine(id), Some(self.clock.now()));
            }
        }
    }

    /// The row was checked where it was written; this node may still be another version.
    fn configure_adaptor(&mut self, id: AdaptorId, properties: &BTreeMap<String, String>) {
        let name = self.adaptors.name(id);
        let Some(adaptor) = self.adaptors.get_mut(id) else { return };
        if let Err(failure) =
            adaptor.verify(properties).and_then(|()| adaptor.configure(properties))
        {
            let text = format!("properties of the adaptor {name} are not taken here: {failure}");
            self.raise_alarm(self.clock.now(), Severity::Major, sources::LIFE_CYCLE, &text);
        }
    }

    /// One step through the cells: those that have activities of the adaptor look at them.
    pub(crate) fn examine_some(&mut self, now: Timestamp, id: AdaptorId) {
        let after = self.adaptors.examined_mut(id).map_or(Bound::Unbounded, Bound::Excluded);
        let (mut last, mut looked_at, mut found) = (None, 0, Vec::new());
        for (cell, known) in self.cells.range((after, Bound::Unbounded)) {
            (last, looked_at) = (Some(*cell), looked_at + 1);
            if known.live && known.activities_of(id).next().is_some() {
                found.push(*cell);
            }
            if looked_at >= LOOKED_AT_MAX || found.len() >= EXAMINED_MAX {
                break;
            }
        }
        *self.adaptors.examined_mut(id) = last;
        for cell in found {
            self.enqueue(now, cell, CellInput::Examine(id));
        }
        self.timers.set(Due::Examine(id), last.map(|_| now + STEP));
    }

    /// A cell came here: activities of a removed adaptor end here, too.
    pub(crate) fn examine_removed(&mut self, now: Timestamp, cell: CellId) {
        for id in self.adaptors.ids() {
            if self.adaptors.wanted(id).removed {
                self.enqueue(now, cell, CellInput::Examine(id));
            }
        }
    }

    /// A turn: the adaptor looks at its activities, or they end by force.
    pub(crate) fn examine(&mut self, now: Timestamp, cell: CellId, id: AdaptorId) {
        let Some(known) = self.cells.get(&cell) else { return };
        let lives = |number: &u32| known.activities.get(number).is_some_and(|it| !it.ending);
        let numbers: Vec<_> = known.activities_of(id).filter(lives).collect();
        let removed = self.adaptors.wanted(id).removed;
        if removed {
            let all: Vec<_> = known.activities_of(id).collect();
            all.into_iter().for_each(|number| self.resume_by_force(cell, number));
        }
        for number in numbers {
            let activity = ActivityId { cell, number };
            self.adaptor_step(now, cell, id, |adaptor, endpoint| match removed {
                true => {
                    adaptor.removed(endpoint, activity);
                    endpoint.end_activity(activity);
                }
                false => adaptor.query_liveness(endpoint, activity),
            });
        }
    }

    /// The rows after which an adaptor is as an operator wants it.
    ///
    /// # Errors
    /// An adaptor that is not known, one that is still being removed, or bad properties.
    pub(crate) fn adaptor_changed(
        &self,
        now: Timestamp,
        name: &str,
        order: &AdaptorOrder,
    ) -> Result<Vec<RowChange>, String> {
        let Some(id) = self.adaptors.named(name) else {
            let known: Vec<_> = self.adaptors.ids().map(|id| self.adaptors.name(id)).collect();
            let (me, known) = (&self.config.me.node, known.join(", "));
            return Err(format!(
                "{me} has no resource adaptor {name:?} deployed: deployed are {known}"
            ));
        };
        let known = self.adaptors.wanted(id);
        let wanted = match order {
            AdaptorOrder::Activate if known.removed && self.has_any_of(id) => {
                return Err(format!(
                    "{name} is still being removed: activate it when it is inactive"
                ));
            }
            AdaptorOrder::Activate => {
                WantedAdaptor { active: true, removed: false, ..known.clone() }
            }
            AdaptorOrder::Deactivate => WantedAdaptor { active: false, ..known.clone() },
            AdaptorOrder::Remove => WantedAdaptor { active: false, removed: true, ..known.clone() },
            AdaptorOrder::QueryLiveness => WantedAdaptor { queried_at: Some(now), ..known.clone() },
            AdaptorOrder::Configure { properties } => {
                self.verify_properties(id, properties)?;
                WantedAdaptor { properties: properties.clone(), ..known.clone() }
            }
        };
        if wanted == *known {
            return Ok(Vec::new());
        }
        let since = if wanted.active == known.active { known.since } else { now };
        let row = encode(&WantedAdaptor { since, ..wanted }).expect("plain data can be encoded");
        let (table, key) = (ADAPTORS.to_owned(), name.to_owned());
        Ok(vec![RowChange { table, key, row: Some(ByteBuf::from(row)) }])
    }

    fn verify_properties(
        &self,
        id: AdaptorId,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let name = self.adaptors.name(id);
        if properties.len() > PROPERTIES_MAX {
            return Err(format!("an adaptor has {PROPERTIES_MAX} properties at most"));
        }
        let is_long = |text: &String| text.len() > PROPERTY_BYTES_MAX;
        if let Some((long, _)) = properties.iter().find(|(key, it)| is_long(key) || is_long(it)) {
            let long: String = long.chars().take(64).collect();
            return Err(format!("property {long:?} is longer than {PROPERTY_BYTES_MAX} bytes"));
        }
        let Some(adaptor) = self.adaptors.get(id) else { return Ok(()) };
        let verified = adaptor.verify(properties);
        verified.map_err(|failure| format!("{name} does not take these properties: {failure}"))
    }

    /// True if an adaptor has a living activity, here or elsewhere.
    fn has_any_of(&self, id: AdaptorId) -> bool {
        self.cells.values().any(|cell| cell.activities_of(id).next().is_some())
    }

    /// The adaptors, as operators see them.
    pub(crate) fn adaptor_statuses(&self, census: &Census<'_>) -> Vec<AdaptorStatus> {
        let status = |id: AdaptorId| {
            let OfAdaptor { all: in_cluster, owned } = census.of_adaptor(id);
            let wanted = self.adaptors.wanted(id);
            AdaptorStatus {
                name: self.adaptors.name(id).to_owned(),
                state: match (wanted.active, in_cluster) {
                    (true, _) => AdaptorState::Active,
                    (false, 0) => AdaptorState::Inactive,
                    (false, _) => AdaptorState::Stopping,
                },
                removed: wanted.removed,
                activities_in_cluster: in_cluster,
                activities: owned,
                properties: wanted.properties.clone(),
            }
        };
        self.adaptors.ids().map(status).collect()
    }
}

impl Cell {
    /// Numbers of the adaptor's activities.
    fn activities_of(&self, id: AdaptorId) -> impl Iterator<Item = u32> {
        let own =
            self.activities.iter().filter(move |(_, it)| it.is_adaptors() && it.adaptor == id);
        own.map(|(number, _)| *number)
    }
}
