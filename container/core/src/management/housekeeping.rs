//! What an operator looks for and removes because nothing else does: activities, SBB entities,
//! timers and names that were left over. Finding is in `leftovers.rs`, removing in
//! `housekeeping.rs`.

use resilee_membership::NodeName;
use resilee_sbb::{ActivityId, CellId, EntityId, TimerId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Rows of one answer; those of one cell stay together, so it may have some more.
pub const LEFTOVERS_MAX: usize = 1_000;
/// Cells that one question looks at: what it takes, calls wait for.
pub const CELLS_PER_SEARCH_MAX: usize = 20_000;

/// A part of a cell that an operator may remove. As text: `CELL/a1`, `CELL/e1`, `CELL/e1/t7`,
/// `CELL/a1/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leftover {
    /// An activity: it ends.
    Activity(ActivityId),
    /// An SBB entity, with all below it.
    Entity(EntityId),
    /// A timer of an SBB entity.
    Timer(EntityId, TimerId),
    /// A name that is bound to an activity.
    Name(ActivityId, String),
}

impl Leftover {
    /// The cell it is in.
    pub fn cell(&self) -> CellId {
        match self {
            Leftover::Activity(activity) | Leftover::Name(activity, _) => activity.cell,
            Leftover::Entity(entity) | Leftover::Timer(entity, _) => entity.cell,
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Leftover::Activity(_) => "activity",
            Leftover::Entity(_) => "SBB entity",
            Leftover::Timer(..) => "timer",
            Leftover::Name(..) => "name",
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leftover::Activity(activity) => activity.fmt(f),
            Leftover::Entity(entity) => entity.fmt(f),
            Leftover::Timer(entity, timer) => write!(f, "{entity}/t{}", timer.0),
            Leftover::Name(activity, name) => write!(f, "{activity}/{name}"),
        }
    }
}

/// A text that is no [`Leftover`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the id of an activity (CELL/a1), an SBB entity (CELL/e1), a timer (CELL/e1/t7) \
     or a name (CELL/a1/NAME)"
)]
pub struct ParseLeftoverError(String);

impl FromStr for Leftover {
    type Err = ParseLeftoverError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| ParseLeftoverError(text.chars().take(128).collect()))
    }
}

fn read(text: &str) -> Option<Leftover> {
    let mut words = text.splitn(3, '/');
    let cell: CellId = words.next()?.parse().ok()?;
    let part = words.next()?;
    let number = |word: &str| word.parse::<u32>().ok();
    Some(match (part.get(..1)?, number(part.get(1..)?)?, words.next()) {
        ("a", number, None) => Leftover::Activity(ActivityId { cell, number }),
        ("a", number, Some(name)) if !name.is_empty() => {
            Leftover::Name(ActivityId { cell, number }, name.to_owned())
        }
        ("e", number, None) => Leftover::Entity(EntityId { cell, number }),
        ("e", entity, Some(timer)) => {
            let timer = TimerId(number(timer.strip_prefix('t')?)?);
            Leftover::Timer(EntityId { cell, number: entity }, timer)
        }
        _ => return None,
    })
}

/// Something is to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// What.
    pub what: Leftover,
    /// Who wants it, for the log.
    pub by: String,
    /// It was asked for before, without an answer: that it is not there any more is fine.
    #[serde(default)]
    pub again: bool,
    /// An activity ends as if its clients had ended it: its adaptor tells them, and goes on until
    /// they have heard it. Otherwise, and whatever else it is, it goes at once.
    #[serde(default)]
    pub orderly: bool,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftoverKind {
    /// [`Leftover::Activity`].
    Activities,
    /// [`Leftover::Entity`].
    Entities,
    /// [`Leftover::Timer`].
    Timers,
    /// [`Leftover::Name`].
    Names,
}

/// Which of them are wanted: those for which all is so that is said here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What.
    pub kind: LeftoverKind,
    /// In this cell only.
    pub cell: Option<CellId>,
    /// Of this service: an entity or a timer is its own, to an activity or a name's activity an
    /// entity of it is attached.
    pub service: Option<String>,
    /// Their cell was born longer ago.
    pub older_than: Option<Duration>,
    /// Nothing of their cell has changed for so long.
    pub idle_for: Option<Duration>,
    /// No entity is attached to the activity, or to the name's activity; nothing of the entity's
    /// tree is attached to anything.
    pub unattached: bool,
    /// Null activities, and names of such.
    pub null: bool,
    /// Timers that should have fired a second ago.
    pub overdue: bool,
    /// Timers that fire later than after this time.
    pub due_after: Option<Duration>,
    /// The first cell that is looked at: [`LeftoverPage::next`] of the answer before.
    pub from: Option<CellId>,
    /// So many rows, [`LEFTOVERS_MAX`] at most.
    pub limit: usize,
}

impl Search {
    /// All of a kind.
    pub fn all(kind: LeftoverKind) -> Self {
        Search {
            kind,
            cell: None,
            service: None,
            older_than: None,
            idle_for: None,
            unattached: false,
            null: false,
            overdue: false,
            due_after: None,
            from: None,
            limit: LEFTOVERS_MAX,
        }
    }
}

/// One that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftoverRow {
    /// What it is.
    pub what: Leftover,
    /// Node that owns its cell.
    pub owner: Option<NodeName>,
    /// Its service; of an activity or a name, those of the entities that are attached to it.
    pub services: Vec<String>,
    /// Ids of what it is attached to: entities of an activity, activities of an entity; of a timer
    /// its entity's activities, of a name its activity's entities.
    pub attached: Vec<String>,
    /// When its cell was born. It may be younger: no call keeps a time for each of its parts.
    pub born_at: Timestamp,
    /// When something of its cell changed last, as far as this node saw it since its run began.
    pub changed_at: Timestamp,
    /// When it goes on by itself: a timer fires, a suspended event of an activity is routed, what
    /// an entity's service rolled back is tried again.
    pub due: Option<Timestamp>,
    /// What else there is to know, in a few words.
    pub note: &'static str,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftoverPage {
    /// In the order of their cells.
    pub rows: Vec<LeftoverRow>,
    /// Where to look on; none: that is all.
    pub next: Option<CellId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_sbb::CohortId;

    #[test]
    fn what_may_be_removed_reads_back_from_its_text() {
        let cell = CellId { cohort: CohortId(0xabc), number: 42 };
        let (activity, entity) = (ActivityId { cell, number: 1 }, EntityId { cell, number: 2 });
        for known in [
            Leftover::Activity(activity),
            Leftover::Entity(entity),
            Leftover::Timer(entity, TimerId(7)),
            Leftover::Name(activity, "rooms/7".to_owned()),
        ] {
            assert_eq!(known.to_string().parse(), Ok(known));
        }
    }

    #[test]
    fn a_text_that_is_none_is_named_in_the_error() {
        let cell = "0000000000000abc-1";
        for rest in ["", "/", "/a", "/x1", "/e1/7", "/e1/t", "/a1/", "/e1/t1/x", "/ä1"] {
            let text = format!("{cell}{rest}");
            let error = text.parse::<Leftover>().expect_err("must not parse");
            assert!(error.to_string().contains(&text), "{error}");
        }
    }
}
