//! What a peer may not say, although its frame can be read.
//!
//! | a frame                                                  | why it is refused              |
//! |----------------------------------------------------------|--------------------------------|
//! | acknowledges what was not sent                           | effects would leave too early  |
//! | has more words than a writer collects, or asks to join   | each join costs a snapshot     |
//! | twice                                                    |                                |
//! | changes, by our own view, a cell that is owned here      | a cell has one owner           |
//! | makes a cell with a number that this run will give       | a number is given once         |
//! | has a part that no turn can have written (`cell.rs`): a  | whoever follows it would not   |
//! | number out of range, an entity whose parent is younger,  | come to an end                 |
//! | a timer with a period below the shortest one             |                                |
//!
//! A timer of no entity can be read, and may be of one that is on its way: it goes when its cell
//! comes alive here (`Core::wake`), which it would keep for ever.
//!
//! That a peer writes wrong bills or wrong rows cannot be seen here: it is a member, and trusted
//! to compute.

use crate::core::Core;
use crate::frame::{Extra, Frame, Update};
use crate::link::EXTRAS_MAX;
use resilee_membership::NodeName;
use resilee_sbb::{CellId, CohortId};

/// Bits of a table cell's number that count; those above are the view's number.
const TABLES_EPOCH_BITS: u32 = 40;

impl Core {
    /// Refuses a frame before anything of it is taken in.
    pub(crate) fn check_frame(&self, peer: &NodeName, frame: &Frame) -> Result<(), &'static str> {
        let joins = frame.extras.iter().filter(|extra| matches!(extra, Extra::Join { .. }));
        if frame.extras.len() > EXTRAS_MAX || joins.count() > 1 {
            return Err("too many words in one frame");
        }
        let link = self.links.get(peer).filter(|link| link.run.as_ref() == Some(&frame.from));
        if link.is_some_and(|link| link.was_not_sent(frame.ack_stream, frame.ack)) {
            return Err("it acknowledges what was not sent");
        }
        Ok(())
    }

    /// Refuses an update of a frame that was sent in the view `view`.
    pub(crate) fn check_update(&self, view: u64, update: &Update) -> Result<(), &'static str> {
        let cell = match update {
            // A rejoiner offers records of cells that others own by now.
            Update::Commit(commit) if commit.leaves_its_cell() => return Ok(()),
            Update::Commit(commit) => commit.cell,
            Update::Cell { id, .. } => *id,
            // What is owned here already is left as it is.
            Update::Stranded { .. } => return Ok(()),
            Update::Rows(_) | Update::Records { .. } | Update::SnapshotEnd => return Ok(()),
        };
        // While the views differ one of the two has not adopted a hand-over yet.
        if view == self.view.number && self.owns(cell) {
            return Err("it changes a cell that is owned here");
        }
        if self.will_be_born_here(cell) {
            return Err("it makes a cell of this node");
        }
        Ok(())
    }

    fn will_be_born_here(&self, cell: CellId) -> bool {
        let (epoch, number) =
            (cell.number >> TABLES_EPOCH_BITS, cell.number & ((1 << TABLES_EPOCH_BITS) - 1));
        match cell.cohort {
            CohortId::TABLES => {
                self.owns(cell) && epoch == self.view.number && number >= self.next_cell
            }
            cohort => cohort == self.config.me.cohort() && cell.number >= self.next_cell,
        }
    }
}
