//! A store with some cells and bills in it.

use resilee_core::{StoreBatch, StoreOp, Tree, VOTER_KEY};
use resilee_membership::{RunId, View, VoterState};
use resilee_runtime::store::{self, Opened, StoreEvent};
use resilee_sbb::{CellId, CohortId};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Nothing here takes so long unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const BILLS: &str = "bills";

pub fn put(key: u64, bytes: usize) -> StoreOp {
    let noise = |at: usize| (key as usize).wrapping_mul(2_654_435_761).wrapping_add(at * 131) as u8;
    let value = (0..bytes).map(noise).collect();
    StoreOp::Put { tree: Tree::Cells, key: key.to_be_bytes().to_vec(), value }
}

pub fn bill(number: u64) -> StoreOp {
    let cell = CellId { cohort: CohortId(7), number };
    StoreOp::Record { journal: BILLS.to_owned(), cell, record: vec![7; 300] }
}

pub fn start(opened: Opened) -> (store::Store, Receiver<StoreEvent>) {
    let (sender, events) = channel();
    let store = opened.start(move |event| drop(sender.send(event))).unwrap();
    (store, events)
}

/// A store with ten cells and ten bills.
pub fn fill(dir: &Path) {
    let (store, events) = start(store::open(dir).unwrap());
    let ops = (1..=10).flat_map(|number| [put(number, 2_000), bill(number)]).collect();
    store.handle().write(1, StoreBatch { number: 1, ops }).unwrap();
    assert!(matches!(events.recv_timeout(DEADLINE), Ok(StoreEvent::Stored { .. })));
}

pub fn bills(opened: Opened) -> Vec<u64> {
    let (store, _events) = start(opened);
    let records = store.handle().read(BILLS.to_owned(), 1, 100).blocking_recv().unwrap();
    records.iter().map(|record| record.cell.number).collect()
}

/// What the node's voter remembers after so many views.
pub fn voter(number: u64) -> VoterState {
    let run = RunId { node: "a".parse().unwrap(), incarnation: number };
    let vote = View { number: number + 1, ..View::default().next(vec![run.clone()], &run) };
    VoterState { highest: View { number, ..View::default() }, vote: Some(vote), forgetful: false }
}

pub fn vote(number: u64) -> StoreOp {
    let value = resilee_sbb::encode(&voter(number)).unwrap();
    StoreOp::Put { tree: Tree::Meta, key: VOTER_KEY.to_vec(), value }
}
