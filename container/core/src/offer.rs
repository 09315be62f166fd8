//! A rejoiner offers the records that the others lack.
//!
//! A node that was alone keeps records which the view that it comes back to may not have: the
//! others were started by force, or lost what they had not flushed. What it has and they did not
//! send in their snapshot becomes commits of its own, once it is a member; each member appends
//! what it lacks, and on an equal key keeps what it has.
//!
//! | state    | input                            | output                              | next     |
//! |----------|----------------------------------|-------------------------------------|----------|
//! | none     | this run asks for a snapshot     |                                     | noting   |
//! | noting   | a record is written to a journal | its key is noted: others have it    | same     |
//! | noting   | this run is a member, not alone  | loads records                       | loading  |
//! | loading  | records                          | a commit for each that is not noted | offering |
//! | loading  | no more records of any journal   | a notice, if any were offered       | none     |
//! | offering | the last commit is held          | loads further records               | loading  |
//! | any      | this run is the only member      |                                     | none     |
//!
//! Not here: that a journal takes one record per key (the store sees to it).

use crate::commit::{Commit, Record};
use crate::core::Core;
use crate::frame::Update;
use crate::io::Output;
use crate::management::Notice;
use crate::store::StoredRecord;
use resilee_sbb::CellId;
use std::collections::{BTreeMap, BTreeSet};

/// Records that are loaded, and offered, at a time.
const RECORDS_AT_A_TIME: usize = 256;
/// Keys that are noted. Records beyond are offered though the others have them: they drop them.
const NOTED_MAX: usize = 1_000_000;

/// What a rejoiner offers, and how far it is.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    /// Keys of records that the others have, by journal.
    noted: BTreeMap<String, BTreeSet<CellId>>,
    noted_count: usize,
    /// Index of the journal that is looked through.
    journal: usize,
    /// Records of it before this sequence are done.
    from: u64,
    /// Token of the load under way.
    load: Option<u64>,
    /// The last commit with an offered record.
    last_commit: u64,
    /// Records offered.
    offered: usize,
}

impl Offer {
    /// The others have this record.
    pub fn note(&mut self, journal: &str, cell: CellId) {
        if self.noted_count >= NOTED_MAX {
            return;
        }
        if !self.noted.contains_key(journal) {
            self.noted.insert(journal.to_owned(), BTreeSet::new());
        }
        let keys = self.noted.get_mut(journal).expect("put there above");
        self.noted_count += usize::from(keys.insert(cell));
    }

    fn is_noted(&self, journal: &str, cell: CellId) -> bool {
        self.noted.get(journal).is_some_and(|keys| keys.contains(&cell))
    }
}

impl Core {
    /// True if the others have a record of the cell.
    pub(crate) fn is_recorded(&self, cell: CellId) -> bool {
        let noted = self.offer.iter().flat_map(|offer| offer.noted.values());
        noted.into_iter().any(|keys| keys.contains(&cell))
    }

    /// Loads what may be offered next, if it is time.
    pub(crate) fn advance_offer(&mut self) {
        let held = self.gate.held();
        if !self.is_member() {
            return;
        }
        let alone = self.view.members.len() <= 1;
        let Some(offer) = self.offer.as_mut() else { return };
        if offer.load.is_some() || offer.last_commit > held {
            return;
        }
        let Some(journal) = self.writes.journals.get(offer.journal).filter(|_| !alone) else {
            if offer.offered > 0 {
                self.outputs.push_back(Output::Notice(Notice::RecordsOffered(offer.offered)));
            }
            self.offer = None;
            return;
        };
        let token = self.writes.next_load;
        self.writes.next_load += 1;
        offer.load = Some(token);
        let (journal, from, limit) = (journal.clone(), offer.from.max(1), RECORDS_AT_A_TIME);
        self.outputs.push_back(Output::LoadRecords { token, journal, from, limit });
    }

    /// The store cannot be read: nothing more is offered. True if this load was the offer's.
    pub(crate) fn end_offer(&mut self, token: u64) -> bool {
        self.offer.take_if(|offer| offer.load == Some(token)).is_some()
    }

    /// Takes records that were loaded to be offered; gives back what was not.
    pub(crate) fn offer_records(
        &mut self,
        token: u64,
        records: Vec<StoredRecord>,
    ) -> Option<Vec<StoredRecord>> {
        let Some(offer) = self.offer.as_mut().filter(|offer| offer.load == Some(token)) else {
            return Some(records);
        };
        offer.load = None;
        let journal = self.writes.journals.get(offer.journal).cloned()?;
        match records.last() {
            Some(last) => offer.from = last.sequence + 1,
            None => (offer.journal, offer.from) = (offer.journal + 1, 1),
        }
        let lacking = |record: &StoredRecord| !offer.is_noted(&journal, record.cell);
        let lacking: Vec<_> = records.into_iter().filter(lacking).collect();
        offer.offered += lacking.len();
        for StoredRecord { cell, record, .. } in lacking {
            let number = self.gate.next_commit();
            let records = vec![Record { journal: journal.clone(), record }];
            let commit = Commit { records, ..Commit::empty(number, cell) };
            self.replicate(&Update::Commit(commit), number);
            self.offer.iter_mut().for_each(|offer| offer.last_commit = number);
        }
        None
    }
}
