//! Names of things in the cluster. All are assigned by the container, none by chance.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The cells born in one run of a node. It has one owner at a time, which the view names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CohortId(pub u64);

impl CohortId {
    /// The cohort of the shared tables (registrations, profiles, names): one for the cluster.
    pub const TABLES: CohortId = CohortId(0);
}

impl fmt::Display for CohortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// All activities, SBB entities and timers of one call: the unit of order, ownership and
/// takeover. Unique for ever: the cohort names the run, the number counts within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId {
    /// Where the cell was born.
    pub cohort: CohortId,
    /// Counts the cells of that cohort from 1.
    pub number: u64,
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.cohort, self.number)
    }
}

/// A text that is not a [`CellId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cell id: 16 hex digits, a dash and a number are expected")]
pub struct ParseCellIdError(String);

impl FromStr for CellId {
    type Err = ParseCellIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCellIdError(text.chars().take(64).collect());
        let (cohort, number) = text.split_once('-').ok_or_else(error)?;
        if cohort.len() != 16 {
            return Err(error());
        }
        let cohort = u64::from_str_radix(cohort, 16).map_err(|_| error())?;
        let number = number.parse().map_err(|_| error())?;
        Ok(CellId { cohort: CohortId(cohort), number })
    }
}

/// One activity of a cell, and its activity context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActivityId {
    /// The call it belongs to.
    pub cell: CellId,
    /// Counts the activities of that cell.
    pub number: u32,
}

impl fmt::Display for ActivityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/a{}", self.cell, self.number)
    }
}

/// One SBB entity of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityId {
    /// The call it belongs to.
    pub cell: CellId,
    /// Counts the entities of that cell.
    pub number: u32,
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/e{}", self.cell, self.number)
    }
}

/// A timer of an SBB entity, as its service names it: setting the same id again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimerId(pub u32);

/// One delivery of one event to one entity; the answer carries it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_id_reads_back_from_its_text() {
        let id = CellId { cohort: CohortId(0xabc), number: 42 };
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_text_that_is_no_cell_id_is_named_in_the_error() {
        for text in ["", "abc-1", "0000000000000abc", "0000000000000abc-", "zzzz-1"] {
            let error = text.parse::<CellId>().expect_err("must not parse");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
