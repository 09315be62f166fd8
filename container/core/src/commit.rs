//! Commits: what one turn changed and wants done, as plain data. They travel to the backup, into
//! the store, and out of both.
//!
//! When a commit's effects may leave is not here (`gate.rs`), nor how it travels (`link.rs`).

use crate::adaptors::{AdaptorId, CellKey};
use crate::noted::Noted;
use crate::resource_adaptor::{Egress, Scope};
use crate::ties::RootName;
#[cfg(doc)]
use crate::ties::{Posted, Tie};
use resilee_sbb::{ActivityId, CellId, Event, StateBytes, TimerId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};

/// One turn's changes and effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    /// Counts the commits of the run that made it, from 1.
    pub number: u64,
    /// The cell that was changed.
    pub cell: CellId,
    /// Parts that were put or removed.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// True if the cell is over: all its parts are removed.
    #[serde(default)]
    pub over: bool,
    /// Rows of shared tables that were put or removed.
    #[serde(default)]
    pub rows: Vec<RowChange>,
    /// Records to keep for ever.
    #[serde(default)]
    pub records: Vec<Record>,
    /// Messages to send; performed again by the survivor unless they are known to be done.
    #[serde(default)]
    pub egress: Vec<Egress>,
    /// What services counted, and alarms that they raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<Box<Noted>>,
}

/// One part of a cell: what is replicated and stored as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Part {
    /// [`Head`].
    Head,
    /// [`Activity`], by number.
    Activity(u32),
    /// [`Entity`], by number.
    Entity(u32),
    /// [`crate::timer_facility::ArmedTimer`], by entity and id.
    Timer(u32, TimerId),
    /// A [`Record`] that is not in its journal yet. In the store only.
    Record,
    /// [`Retry`], by entity.
    Retry(u32),
    /// [`Tie`], by number.
    Tie(u32),
    /// [`Posted`], by number.
    Posted(u32),
}

/// A part that was put, or removed (`None`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub part: Part,
    pub value: Option<ByteBuf>,
}

/// A row that was put, or removed (`None`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowChange {
    pub table: String,
    pub key: String,
    pub row: Option<ByteBuf>,
}

/// A record for a journal; its key is the commit's cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub journal: String,
    #[serde(with = "serde_bytes")]
    pub record: Vec<u8>,
}

/// What a cell is, besides its activities, entities and timers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// What all messages of the call share, hashed.
    pub key: u64,
    /// Kind of cell.
    pub scope: Scope,
    /// When its first message came.
    pub born_at: Timestamp,
    /// Number of the next activity.
    pub next_activity: u32,
    /// Number of the next entity.
    pub next_entity: u32,
    /// Journals that have this cell's record.
    #[serde(default)]
    pub recorded: BTreeSet<String>,
    /// Services that get no event of this cell any more: a handler of theirs did not return.
    #[serde(default)]
    pub quarantined: BTreeSet<String>,
    /// Whose messages have that key.
    #[serde(default, skip_serializing_if = "AdaptorId::is_first")]
    pub adaptor: AdaptorId,
    /// The root entity that a root cell is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Box<RootName>>,
    /// The last number that was given to a tie or to a post.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub posted: u32,
}

/// An activity with its activity context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Activity {
    /// The adaptor's marshalled state.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
    /// Attributes that services share.
    #[serde(default)]
    pub attributes: BTreeMap<String, ByteBuf>,
    /// Entities that get its events.
    #[serde(default)]
    pub attached: BTreeSet<u32>,
    /// True once it ends.
    #[serde(default)]
    pub ending: bool,
    /// True for a null activity, which no adaptor has.
    #[serde(default, skip_serializing_if = "is_false")]
    pub null: bool,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "AdaptorId::is_first")]
    pub adaptor: AdaptorId,
    /// Names bound to it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<String>,
    /// The event whose routing is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Box<Suspended>>,
    /// In a root cell: the activity of another cell that it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Box<Mirror>>,
    /// Services whose root entity in another cell got its events, until a handler of it hung there:
    /// they get nothing of it any more, nor does what replaces them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hung_roots: BTreeSet<String>,
}

/// What an activity of another cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mirror {
    /// The activity.
    pub of: ActivityId,
    /// It is a null activity.
    #[serde(default)]
    pub null: bool,
}

impl Activity {
    /// True if a resource adaptor has it.
    pub fn is_adaptors(&self) -> bool {
        !self.null && self.mirror.is_none()
    }
}

/// An event that waits to be routed on, and what came behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspended {
    /// The event.
    pub event: Event,
    /// Entities that had it.
    pub delivered: BTreeSet<u32>,
    /// Services whose initial event selector had it.
    pub selected: BTreeSet<String>,
    /// Root entities whose trees had it; of a service without a selector they have no name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub served: BTreeSet<RootName>,
    /// True once a delivery of it rolled back.
    pub failed: bool,
    /// When it goes on by itself.
    pub until: Timestamp,
    /// Later events of the same activity.
    pub queue: Vec<Event>,
    /// In a root cell: places among them of initial events, which may create its root entity anew.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub founding: BTreeSet<usize>,
    /// The activity is to end once they are routed.
    pub ends: bool,
    /// Root entities of other cells that a selector named for it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub named: BTreeSet<RootName>,
    /// The service that suspended it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The service to which some of its trees have moved since, but not all: the one that suspended
    /// it may be among them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub or_by: String,
}

/// An SBB entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entity {
    /// Name of its service.
    pub service: String,
    /// Its CMP state.
    pub state: StateBytes,
    /// Its place in its tree; `None` for a root entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<Box<ChildOf>>,
    /// Its priority, if it was set, or is that of a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i8>,
    /// Convergence name of a root entity, if a selector gave it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence_name: Option<Box<str>>,
    /// Event types that it does not get, by activity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masks: BTreeMap<u32, BTreeSet<String>>,
    /// The service that a root entity has left for its own, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Box<Left>>,
}

/// A service that trees move from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    /// Its name.
    pub service: String,
    /// It has begun nothing since then.
    pub inactive_since: Timestamp,
}

/// Whose child an entity is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChildOf {
    /// Number of its parent.
    pub parent: u32,
    /// Name of the child relation.
    pub relation: String,
    /// Its name in the relation.
    #[serde(default)]
    pub name: Option<String>,
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

impl Head {
    /// What all messages of the cell share.
    pub fn cell_key(&self) -> CellKey {
        CellKey { adaptor: self.adaptor, scope: self.scope, key: self.key }
    }
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Commit {
    /// True if it says only how far a snapshot is: all commits up to its number are in it, or went
    /// before it.
    pub fn is_mark(&self) -> bool {
        !self.adds() && self.changes_nothing()
    }

    /// True if it only adds records, or what is noted: it leaves its cell alone, so it may come
    /// from another node than the cell's owner.
    pub fn leaves_its_cell(&self) -> bool {
        self.adds() && self.changes_nothing()
    }

    fn adds(&self) -> bool {
        !self.records.is_empty() || self.noted.is_some()
    }

    fn changes_nothing(&self) -> bool {
        let Commit { number: _, cell: _, records: _, noted: _, changes, over, rows, egress } = self;
        changes.is_empty() && rows.is_empty() && egress.is_empty() && !over
    }
}

/// Events that wait until a service takes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// Name of the service.
    pub service: String,
    /// In the order in which they are delivered.
    pub events: Vec<Event>,
    /// How often the first one rolled back.
    pub tries: u32,
    /// When it is delivered again.
    pub due: Timestamp,
    /// Text of the alarm that is raised meanwhile.
    #[serde(default)]
    pub alarm: String,
    /// Convergence name of the root entity that the first one creates, if a selector gave it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence_name: Option<Box<str>>,
}

impl Part {
    /// Key of the part in the store: the cell, then the part, in an order that keeps a cell's
    /// parts together.
    pub fn store_key(self, cell: CellId) -> Vec<u8> {
        let (tag, a, b) = match self {
            Part::Head => (0u8, 0, 0),
            Part::Activity(number) => (1, number, 0),
            Part::Entity(number) => (2, number, 0),
            Part::Timer(entity, timer) => (3, entity, timer.0),
            Part::Record => (4, 0, 0),
            Part::Retry(entity) => (5, entity, 0),
            Part::Tie(number) => (6, number, 0),
            Part::Posted(number) => (7, number, 0),
        };
        let mut key = Vec::with_capacity(25);
        key.extend_from_slice(&cell.cohort.0.to_be_bytes());
        key.extend_from_slice(&cell.number.to_be_bytes());
        key.push(tag);
        key.extend_from_slice(&a.to_be_bytes());
        key.extend_from_slice(&b.to_be_bytes());
        key
    }

    /// Reads what [`Part::store_key`] wrote.
    pub fn from_store_key(key: &[u8]) -> Option<(CellId, Part)> {
        let word = |at: usize| Some(u32::from_be_bytes(key.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?));
        let cell = CellId { cohort: resilee_sbb::CohortId(long(0)?), number: long(8)? };
        let (a, b) = (word(17)?, word(21)?);
        let part = match key.get(16)? {
            0 => Part::Head,
            1 => Part::Activity(a),
            2 => Part::Entity(a),
            3 => Part::Timer(a, TimerId(b)),
            4 => Part::Record,
            5 => Part::Retry(a),
            6 => Part::Tie(a),
            7 => Part::Posted(a),
            _ => return None,
        };
        (key.len() == 25).then_some((cell, part))
    }
}

impl RowChange {
    /// Key of the row in the store: table, a zero byte, key.
    pub fn store_key(table: &str, key: &str) -> Vec<u8> {
        [table.as_bytes(), key.as_bytes()].join(&0)
    }

    /// Reads what [`RowChange::store_key`] wrote.
    pub fn from_store_key(bytes: &[u8]) -> Option<(String, String)> {
        let (table, key) = std::str::from_utf8(bytes).ok()?.split_once('\0')?;
        Some((table.to_owned(), key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_sbb::CohortId;

    #[test]
    fn store_keys_read_back() {
        let cell = CellId { cohort: CohortId(7), number: 9 };
        let timer = Part::Timer(3, TimerId(4));
        let [head, activity, entity] = [Part::Head, Part::Activity(1), Part::Entity(2)];
        let [retry, tie, posted] = [Part::Retry(7), Part::Tie(8), Part::Posted(9)];
        let parts = [head, activity, entity, timer, Part::Record, retry, tie, posted];
        for part in parts {
            assert_eq!(Part::from_store_key(&part.store_key(cell)), Some((cell, part)));
        }
        assert_eq!(Part::from_store_key(b"short"), None);
        let key = RowChange::store_key("registrations", "sip:a@b");
        let row = Some(("registrations".to_owned(), "sip:a@b".to_owned()));
        assert_eq!(RowChange::from_store_key(&key), row);
    }

    #[test]
    fn a_commit_with_fields_of_a_newer_version_is_read() {
        #[derive(Serialize)]
        struct Newer {
            number: u64,
            cell: CellId,
            colour: &'static str,
        }
        let cell = CellId { cohort: CohortId(7), number: 9 };
        let bytes = resilee_sbb::encode(&Newer { number: 3, cell, colour: "red" }).expect("plain");
        let commit: Commit = resilee_sbb::decode(&bytes).expect("unknown fields are skipped");
        assert_eq!((commit.number, commit.cell, commit.over), (3, cell, false));
    }
}
