//! The gate: nothing leaves a cell before the last commit of that cell is held by the backup
//! (or, without one, by the local store).
//!
//! | what comes                           | what leaves                                       |
//! |--------------------------------------|---------------------------------------------------|
//! | effects behind a commit not yet held | nothing                                           |
//! | effects behind a held commit         | they, at once                                     |
//! | the held level rises to N            | effects behind commits up to N, in their order    |
//!
//! Who says that a commit is held is not here: `Core::held` combines backup and store.

use crate::commit::Record;
use crate::resource_adaptor::Egress;
use crate::words::Word;
use resilee_sbb::CellId;
use std::collections::BTreeMap;

/// What waits behind a commit.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub egress: Vec<Egress>,
    /// Records that become bills when the commit is held.
    pub records: Vec<(CellId, Record)>,
    /// What is said to other cells.
    pub words: Vec<Word>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.egress.len() + self.records.len() + self.words.len()
    }
}

/// Effects that wait, by the commit they wait for.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Number of the last commit made.
    last: u64,
    /// All commits up to this one are held.
    held: u64,
    waiting: BTreeMap<u64, Waiting>,
}

impl Gate {
    /// The number of a new commit.
    pub fn next_commit(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Number of the last commit made.
    pub fn last_commit(&self) -> u64 {
        self.last
    }

    /// All commits up to this one are held, and their effects are done.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Effects that wait.
    pub fn len(&self) -> usize {
        self.waiting.values().map(Waiting::len).sum()
    }

    /// True if what leaves a cell with this last commit must wait.
    pub fn is_closed(&self, last_commit: u64) -> bool {
        last_commit > self.held
    }

    /// What waits behind a commit, for adding to it.
    pub fn behind(&mut self, commit: u64) -> &mut Waiting {
        self.waiting.entry(commit).or_default()
    }

    /// All that waits, in order.
    pub fn waiting(&mut self) -> impl Iterator<Item = &mut Waiting> {
        self.waiting.values_mut()
    }

    /// Raises the held level; what may leave now.
    pub fn raise(&mut self, held: u64) -> Vec<Waiting> {
        if held <= self.held {
            return Vec::new();
        }
        self.held = held;
        let rest = self.waiting.split_off(&(held + 1));
        std::mem::replace(&mut self.waiting, rest).into_values().collect()
    }
}
