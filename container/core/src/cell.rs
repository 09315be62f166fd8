//! A cell: all activities, SBB entities and timers of one call, on its owner and on its backup.
//!
//! The durable parts are the same on both; the volatile ones (inbox, turn) exist on the owner.
//! How a turn runs is not here (`event_router.rs`).

use crate::adaptors::{AdaptorId, CellKey};
use crate::commit::{Activity, Change, Commit, Entity, Head, Part, Retry};
use crate::event_router::Turn;
use crate::inspection::Observed;
use crate::management::Removal;
use crate::resource_adaptor::{Adoption, Ingress};
use crate::ties::{Posted, Tie};
use crate::timer_facility::ArmedTimer;
use crate::words::Word;
use resilee_sbb::{
    ActivityId, CellId, CodecError, Effect, EntityId, EntityState, TimerId, Timestamp, decode,
    encode,
};
use serde_bytes::ByteBuf;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// Activities and entities have smaller numbers: the next one can always be given.
const NUMBERS_END: u32 = u32::MAX / 2;
/// With fewer numbers left a cell takes in nothing more that needs one of them from outside.
const NUMBERS_LEFT_MIN: u32 = 1 << 20;
/// With fewer left handlers change nothing more in it. The container itself can still say that the
/// activities of others in it are over.
const NUMBERS_LAST: u32 = 1 << 16;

/// What waits for a turn of its cell.
#[derive(Debug)]
pub(crate) enum CellInput {
    /// A message from a client, and since when it waits.
    Message(Ingress, Timestamp),
    /// The adaptor's next time-out of an activity.
    AdaptorTimeout(ActivityId),
    /// A timer of an SBB entity is due.
    Timer(EntityId, TimerId),
    /// The cell was taken over.
    Adopt(Adoption),
    /// A request came while nobody had the cell (`orphans.rs`).
    Missed,
    /// Events that wait for this entity are due again.
    Retry(u32),
    /// A suspended event of an activity goes on.
    Resume(u32),
    /// An adaptor looks at its activities, or loses them.
    Examine(AdaptorId),
    /// An operator removes a part of the cell; with the removal's ticket (`housekeeping.rs`).
    Remove(u64, Box<Removal>),
    /// The next tree of a service behind this root entity moves to another one
    /// (`migrated_trees.rs`).
    Migrate(String, u32),
    /// A service is not deployed any more (`deployed.rs`).
    Undeployed(String),
    /// Another cell says something.
    Word(Box<Word>),
}

/// One call.
#[derive(Debug)]
pub(crate) struct Cell {
    pub id: CellId,
    pub head: Head,
    // Boxed, since a tree has room for eleven values where a call has one or two.
    pub activities: BTreeMap<u32, Box<Activity>>,
    pub entities: BTreeMap<u32, Box<Entity>>,
    pub timers: BTreeMap<(u32, TimerId), ArmedTimer>,
    /// Events that wait for a service, by its entity.
    pub retries: BTreeMap<u32, Retry>,
    /// Ties to root entities in other cells, and of other cells' activities to the one here.
    pub ties: BTreeMap<u32, Tie>,
    /// What their other ends have not heard yet.
    pub posted: BTreeMap<u32, Posted>,
    /// True where the cell is owned and its adaptor state is decoded.
    pub live: bool,
    /// True once a commit with its head was made.
    pub committed: bool,
    /// True once the log knows that it is owned here.
    pub announced: bool,
    /// The last commit of this run that changed it; 0 for none.
    pub last_commit: u64,
    /// When it changed last, as far as this run saw it.
    pub changed_at: Timestamp,
    /// Inputs behind the current turn.
    pub inbox: VecDeque<CellInput>,
    /// The current turn.
    pub turn: Option<Box<Turn>>,
}

impl Cell {
    /// True if it has almost no numbers left for activities, entities or posts: after two thousand
    /// million.
    pub fn is_used_up(&self) -> bool {
        self.numbers_left() < NUMBERS_LEFT_MIN
    }

    fn numbers_left(&self) -> u32 {
        let Head { next_activity, next_entity, posted, .. } = self.head;
        NUMBERS_END.saturating_sub(next_activity.max(next_entity).max(posted))
    }

    /// True if nothing more begins in it: the last numbers are the container's own.
    pub fn has_no_numbers(&self) -> bool {
        self.numbers_left() < NUMBERS_LAST
    }

    /// Why a delivery is rolled back: it may need numbers, and there are no more.
    pub fn refuse_numbers(&self, entities: &[EntityState], effects: &[Effect]) -> Option<String> {
        let may_need = !effects.is_empty() || entities.iter().any(|it| it.born.is_some());
        (may_need && self.has_no_numbers()).then(|| {
            "this call has had so many entities, activities or events that there are no more \
             numbers for them: let it end"
                .to_owned()
        })
    }

    /// A cell that is born with its first message.
    pub fn born(id: CellId, key: CellKey, now: Timestamp) -> Self {
        let head = Head {
            key: key.key,
            scope: key.scope,
            adaptor: key.adaptor,
            born_at: now,
            next_activity: 1,
            next_entity: 1,
            recorded: Default::default(),
            quarantined: Default::default(),
            root: None,
            posted: 0,
        };
        Cell { live: true, ..Cell::replica(id, head) }
    }

    /// A cell that another node owns.
    fn replica(id: CellId, head: Head) -> Self {
        Cell {
            id,
            head,
            activities: BTreeMap::new(),
            entities: BTreeMap::new(),
            timers: BTreeMap::new(),
            retries: BTreeMap::new(),
            ties: BTreeMap::new(),
            posted: BTreeMap::new(),
            live: false,
            committed: true,
            announced: false,
            last_commit: 0,
            changed_at: Timestamp::ZERO,
            inbox: VecDeque::new(),
            turn: None,
        }
    }

    /// Full name of one of its activities.
    pub fn activity_id(&self, number: u32) -> ActivityId {
        ActivityId { cell: self.id, number }
    }

    /// Full name of one of its entities.
    pub fn entity_id(&self, number: u32) -> EntityId {
        EntityId { cell: self.id, number }
    }

    /// The encoded part; `None` if there is no such part (any more).
    pub fn encode(&self, part: Part) -> Option<ByteBuf> {
        let bytes = match part {
            Part::Head => encode(&self.head),
            Part::Activity(number) => encode(self.activities.get(&number)?),
            Part::Entity(number) => encode(self.entities.get(&number)?),
            Part::Timer(entity, timer) => self.timers.get(&(entity, timer))?.to_bytes(),
            Part::Retry(entity) => encode(self.retries.get(&entity)?),
            Part::Tie(number) => encode(self.ties.get(&number)?),
            Part::Posted(number) => encode(self.posted.get(&number)?),
            Part::Record => return None,
        };
        Some(ByteBuf::from(bytes.expect("plain data can be encoded")))
    }

    /// All parts it has.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Head];
        parts.extend(self.activities.keys().map(|number| Part::Activity(*number)));
        parts.extend(self.entities.keys().map(|number| Part::Entity(*number)));
        parts.extend(self.timers.keys().map(|(entity, timer)| Part::Timer(*entity, *timer)));
        parts.extend(self.retries.keys().map(|entity| Part::Retry(*entity)));
        parts.extend(self.ties.keys().map(|number| Part::Tie(*number)));
        parts.extend(self.posted.keys().map(|number| Part::Posted(*number)));
        parts
    }

    /// All parts, encoded: the cell's piece of a snapshot.
    pub fn snapshot(&self) -> Vec<Change> {
        let parts = self.parts().into_iter();
        parts.map(|part| Change { part, value: self.encode(part) }).collect()
    }

    /// True if it has nothing that could still do anything.
    pub fn is_over(&self) -> bool {
        let is_told = self.ties.is_empty() && self.posted.is_empty();
        self.activities.is_empty() && self.timers.is_empty() && self.retries.is_empty() && is_told
    }

    /// Activities that the entity is attached to.
    pub fn attachments(&self, entity: u32) -> impl Iterator<Item = u32> {
        let attached = move |activity: &Activity| activity.attached.contains(&entity);
        let activities = self.activities.iter();
        activities.filter(move |(_, activity)| attached(activity)).map(|(number, _)| *number)
    }

    fn apply_change(&mut self, change: ReadChange) {
        match change {
            ReadChange::Head(head) => self.head = head,
            ReadChange::Activity(number, Some(activity)) => {
                self.activities.insert(number, Box::new(activity));
            }
            ReadChange::Activity(number, None) => drop(self.activities.remove(&number)),
            ReadChange::Entity(number, Some(entity)) => {
                drop(self.entities.insert(number, Box::new(entity)))
            }
            ReadChange::Entity(number, None) => drop(self.entities.remove(&number)),
            ReadChange::Timer(key, Some(timer)) => drop(self.timers.insert(key, timer)),
            ReadChange::Timer(key, None) => drop(self.timers.remove(&key)),
            ReadChange::Retry(number, Some(retry)) => drop(self.retries.insert(number, retry)),
            ReadChange::Retry(number, None) => drop(self.retries.remove(&number)),
            ReadChange::Tie(number, Some(tie)) => drop(self.ties.insert(number, tie)),
            ReadChange::Tie(number, None) => drop(self.ties.remove(&number)),
            ReadChange::Posted(number, Some(posted)) => drop(self.posted.insert(number, posted)),
            ReadChange::Posted(number, None) => drop(self.posted.remove(&number)),
            ReadChange::Nothing => {}
        }
    }
}

/// A change that was read.
enum ReadChange {
    Head(Head),
    Activity(u32, Option<Activity>),
    Entity(u32, Option<Entity>),
    Timer((u32, TimerId), Option<ArmedTimer>),
    Retry(u32, Option<Retry>),
    Tie(u32, Option<Tie>),
    Posted(u32, Option<Posted>),
    Nothing,
}

impl ReadChange {
    fn of(change: &Change) -> Result<ReadChange, CodecError> {
        let value = change.value.as_ref();
        let number = |number: u32| match number < NUMBERS_END {
            true => Ok(number),
            false => Err(CodecError::invalid(format!("{number} is not the number of a part"))),
        };
        Ok(match change.part {
            Part::Head => match value.map(|value| decode::<Head>(value)).transpose()? {
                Some(head) => {
                    number(head.next_activity)?;
                    number(head.next_entity)?;
                    number(head.posted)?;
                    ReadChange::Head(head)
                }
                None => ReadChange::Nothing,
            },
            Part::Activity(at) => {
                ReadChange::Activity(number(at)?, value.map(|value| decode(value)).transpose()?)
            }
            Part::Entity(at) => {
                let entity: Option<Entity> = value.map(|value| decode(value)).transpose()?;
                let child = entity.as_ref().and_then(|entity| entity.child.as_ref());
                // Parents are older: so the way to the root has an end.
                if let Some(parent) = child.map(|it| it.parent).filter(|parent| *parent >= at) {
                    let text = format!("entity {at} is no child of {parent}, which is not older");
                    return Err(CodecError::invalid(text));
                }
                ReadChange::Entity(number(at)?, entity)
            }
            Part::Timer(entity, timer) => {
                let armed = value.map(|value| ArmedTimer::from_bytes(value)).transpose()?;
                ReadChange::Timer((number(entity)?, timer), armed)
            }
            Part::Retry(entity) => {
                ReadChange::Retry(number(entity)?, value.map(|value| decode(value)).transpose()?)
            }
            Part::Tie(at) => {
                ReadChange::Tie(number(at)?, value.map(|value| decode(value)).transpose()?)
            }
            Part::Posted(at) => {
                ReadChange::Posted(number(at)?, value.map(|value| decode(value)).transpose()?)
            }
            // Journals have records, not cells.
            Part::Record => ReadChange::Nothing,
        })
    }
}

/// That all changes can be read.
///
/// # Errors
/// A part that cannot be read.
pub(crate) fn check_readable(changes: &[Change]) -> Result<(), CodecError> {
    changes.iter().try_for_each(|change| ReadChange::of(change).map(drop))
}

/// Applies the changes of a commit, or a piece of a snapshot, to the replicas.
///
/// A first change of an unknown cell without its head is skipped: the snapshot that is on its
/// way carries the whole cell.
///
/// # Errors
/// A part that cannot be read.
pub(crate) fn apply(
    cells: &mut BTreeMap<CellId, Cell>,
    id: CellId,
    changes: &[Change],
) -> Result<(), CodecError> {
    // All are read before one is applied: a bad one leaves the cell as it is.
    let changes: Vec<_> = changes.iter().map(ReadChange::of).collect::<Result<_, _>>()?;
    let cell = match cells.entry(id) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let head = changes.iter().find_map(|change| match change {
                ReadChange::Head(head) => Some(head.clone()),
                _ => None,
            });
            let Some(head) = head else { return Ok(()) };
            entry.insert(Cell::replica(id, head))
        }
    };
    changes.into_iter().for_each(|change| cell.apply_change(change));
    Ok(())
}

/// The changes of one turn, from the parts it touched.
pub(crate) fn changes(cell: &Cell, touched: impl IntoIterator<Item = Part>) -> Vec<Change> {
    let touched = touched.into_iter();
    touched.map(|part| Change { part, value: cell.encode(part) }).collect()
}

impl Commit {
    /// A commit that changes nothing: its number orders effects behind what was committed before.
    pub fn empty(number: u64, cell: CellId) -> Self {
        Commit {
            number,
            cell,
            changes: Vec::new(),
            over: false,
            rows: Vec::new(),
            records: Vec::new(),
            egress: Vec::new(),
            noted: None,
        }
    }

    /// What a watcher learns of it.
    pub fn observed(&self) -> Observed {
        Observed::Committed {
            number: self.number,
            cell: self.cell,
            egress: self.egress.clone(),
            journals: self.records.iter().map(|record| record.journal.clone()).collect(),
            rows: !self.rows.is_empty(),
            over: self.over,
        }
    }
}
