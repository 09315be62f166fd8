//! A disk that loses what was not flushed.

use resilee_core::{Durable, Progress, Restored, StoreBatch, StoreOp, StoredRecord, Tree};
use resilee_core::{PROGRESS_KEY, VOTER_KEY};
use resilee_sbb::{CellId, decode};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, VecDeque};

/// What survives a death, and what is still on its way.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    trees: BTreeMap<Tree, BTreeMap<Vec<u8>, Vec<u8>>>,
    journals: BTreeMap<String, Vec<StoredRecord>>,
    unflushed: VecDeque<StoreBatch>,
    /// It takes nothing any more, and gives nothing.
    pub failed: bool,
}

impl Disk {
    /// Takes a batch; it is not durable yet.
    pub fn write(&mut self, batch: StoreBatch) {
        self.unflushed.push_back(batch);
    }

    /// Makes all batches up to `number` durable; how many states of the voter are in them.
    pub fn flush(&mut self, number: u64) -> u64 {
        let mut votes = 0;
        while let Some(batch) = self.unflushed.pop_front_if(|batch| batch.number <= number) {
            let voter = |op: &&StoreOp| matches!(op, StoreOp::Put { key, .. } if key == VOTER_KEY);
            votes += batch.ops.iter().filter(voter).count() as u64;
            batch.ops.into_iter().for_each(|op| self.apply(op));
        }
        votes
    }

    /// Saves the voter's state beside the store.
    pub fn save_vote(&mut self, state: Vec<u8>) {
        self.trees.entry(Tree::Meta).or_default().insert(VOTER_KEY.to_vec(), state);
    }

    /// Sudden death.
    pub fn lose_unflushed(&mut self) {
        self.unflushed.clear();
    }

    fn apply(&mut self, op: StoreOp) {
        match op {
            StoreOp::Put { tree, key, value } => {
                self.trees.entry(tree).or_default().insert(key, value);
            }
            StoreOp::Remove { tree, key } => {
                self.trees.entry(tree).or_default().remove(&key);
            }
            StoreOp::Clear { tree } => drop(self.trees.remove(&tree)),
            StoreOp::Record { journal, cell, record } => {
                let records = self.journals.entry(journal).or_default();
                if !records.iter().any(|known| known.cell == cell) {
                    let sequence = records.len() as u64 + 1;
                    records.push(StoredRecord { sequence, cell, record });
                }
            }
        }
    }

    /// What a node finds when it starts.
    pub fn restore(&self) -> Restored {
        let tree = |tree: Tree| -> Vec<(Vec<u8>, Vec<u8>)> {
            let values = self.trees.get(&tree).into_iter().flatten();
            values.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        Restored {
            voter: self.single(VOTER_KEY),
            progress: self.progress(),
            cells: tree(Tree::Cells),
            tables: tree(Tree::Tables),
            journals: self.journals.keys().cloned().collect(),
            notices: Vec::new(),
            units: Default::default(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.single(PROGRESS_KEY).unwrap_or_default()
    }

    fn single<T: DeserializeOwned>(&self, key: &[u8]) -> Option<T> {
        let bytes = self.trees.get(&Tree::Meta)?.get(key)?;
        Some(decode(bytes).expect("a node wrote it"))
    }

    /// All that was written to cells and tables, flushed or not.
    pub fn durable(&self) -> Durable {
        let trees = self.trees.iter().filter(|(tree, _)| **tree != Tree::Meta);
        let values = trees.flat_map(|(tree, values)| {
            values.iter().map(|(key, value)| ((*tree, key.clone()), value.clone()))
        });
        let mut all: Durable = values.collect();
        for op in self.unflushed.iter().flat_map(|batch| &batch.ops) {
            match op {
                StoreOp::Put { tree, key, value } if *tree != Tree::Meta => {
                    all.insert((*tree, key.clone()), value.clone());
                }
                StoreOp::Remove { tree, key } => drop(all.remove(&(*tree, key.clone()))),
                StoreOp::Clear { tree } => all.retain(|(of, _), _| of != tree),
                _ => {}
            }
        }
        all
    }

    /// Records of a journal from a sequence on, those of unflushed batches among them.
    pub fn records(&self, journal: &str, from: u64, limit: usize) -> Vec<StoredRecord> {
        let mut written = Disk { journals: self.journals.clone(), ..Disk::default() };
        let unflushed = self.unflushed.iter().flat_map(|batch| &batch.ops);
        let records = unflushed.filter(|op| matches!(op, StoreOp::Record { .. }));
        records.for_each(|op| written.apply(op.clone()));
        let records = written.journals.remove(journal).unwrap_or_default().into_iter();
        records.filter(|record| record.sequence >= from).take(limit).collect()
    }

    /// All records of a journal, by cell.
    pub fn journal(&self, journal: &str) -> Vec<(CellId, &[u8])> {
        let records = self.journals.get(journal).into_iter().flatten();
        records.map(|record| (record.cell, &record.record[..])).collect()
    }

    /// Keys of cells that are durable.
    pub fn cells(&self) -> usize {
        self.trees.get(&Tree::Cells).map_or(0, BTreeMap::len)
    }
}
