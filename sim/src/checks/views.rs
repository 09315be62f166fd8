//! Views: one per number, and who may act by them.

use crate::checks::Violation;
use resilee_membership::{RunId, View};
use resilee_sbb::CellId;
use std::collections::BTreeMap;

/// Every view that anybody adopted.
#[derive(Debug, Default)]
pub struct Views(BTreeMap<u64, View>);

impl Views {
    /// Somebody adopted a view; true if nobody had before.
    ///
    /// # Errors
    /// Another view has the same number.
    pub fn adopted(&mut self, view: &View) -> Result<bool, Violation> {
        match self.0.get(&view.number) {
            Some(known) if known != view => {
                Err(Violation::new("one view per number", view.number.to_string()))
            }
            Some(_) => Ok(false),
            None => Ok(self.0.insert(view.number, view.clone()).is_none()),
        }
    }

    /// The view with that number, if anybody adopted it.
    pub fn get(&self, number: u64) -> Option<&View> {
        self.0.get(&number)
    }

    /// The adopted view before that one.
    pub fn before(&self, number: u64) -> Option<&View> {
        self.0.range(..number).next_back().map(|(_, view)| view)
    }

    /// True if the run owns the cell in this view or in a later one.
    pub fn owns_from(&self, number: u64, cell: CellId, run: &RunId) -> bool {
        self.0.range(number..).any(|(_, view)| view.owner(cell.cohort) == Some(run))
    }
}
