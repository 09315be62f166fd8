//! Which cells have a record in a journal, for ever: a bit each.
//!
//! The cells of a cohort are numbered in turn, so ten million calls take some megabytes.

use resilee_sbb::{CellId, CohortId};
use std::collections::BTreeMap;

/// Cells in one block.
const BLOCK_CELLS: u64 = 512;

/// A set of cells.
#[derive(Debug, Default)]
pub struct RecordedCells {
    blocks: BTreeMap<(CohortId, u64), [u64; 8]>,
}

impl RecordedCells {
    /// Adds a cell; says whether it is new.
    pub fn insert(&mut self, cell: CellId) -> bool {
        let (block, word, bit) = place(cell);
        let word = &mut self.blocks.entry(block).or_default()[word];
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// True if it was added.
    pub fn contains(&self, cell: CellId) -> bool {
        let (block, word, bit) = place(cell);
        self.blocks.get(&block).is_some_and(|words| words[word] & bit != 0)
    }
}

/// Its block, the word in it, and the bit in that.
fn place(cell: CellId) -> ((CohortId, u64), usize, u64) {
    let within = cell.number % BLOCK_CELLS;
    ((cell.cohort, cell.number / BLOCK_CELLS), (within / 64) as usize, 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_is_new_once() {
        let mut cells = RecordedCells::default();
        for number in [0, 1, 63, 64, 511, 512, 1 << 40, u64::MAX] {
            for cohort in [1, 2] {
                let cell = CellId { cohort: CohortId(cohort), number };
                assert!(!cells.contains(cell), "{cell:?}");
                assert!(cells.insert(cell) && !cells.insert(cell), "{cell:?}");
                assert!(cells.contains(cell), "{cell:?}");
            }
        }
    }
}
