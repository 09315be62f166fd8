//! The bills of this node's journal, decoded and kept in memory: pages, searches and totals are
//! answered from here. The journal itself is the node's; `system` reads it and fills the book,
//! which only ever asks for what came after its last record.

use crate::amount::Totals;
use crate::selection::Selection;
use resilee_call_billing::Bill;
use resilee_core::StoredRecord;
use resilee_sbb::{CellId, Timestamp, decode};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Bills kept in memory (about 1 KB each). The oldest beyond it are no longer shown here; the
/// journal keeps them.
pub const BILLS_SHOWN_MAX: usize = 50_000;
/// Unreadable records that are kept with their reason; more are only counted.
pub const UNREADABLE_SHOWN_MAX: usize = 100;

/// One readable record of the journal.
#[derive(Debug)]
pub struct BillEntry {
    /// Position in this node's journal, from 1.
    pub sequence: u64,
    /// Key of the record: the cell of the call.
    pub id: CellId,
    /// The bill.
    pub bill: Bill,
    /// Both addresses in lower case, for the search.
    parties: String,
}

/// A record that is not a bill this version can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    /// Position in this node's journal.
    pub sequence: u64,
    /// Key of the record.
    pub id: CellId,
    /// Why it cannot be read.
    pub reason: String,
}

/// What there is under one key.
#[derive(Clone, Debug)]
pub enum Found {
    /// A bill.
    Bill(Arc<BillEntry>),
    /// A record, but not one that can be read.
    Unreadable(UnreadableRecord),
}

/// One page of a selection, with what all of the selection adds up to.
#[derive(Debug)]
pub struct BillPage {
    /// The newest first.
    pub entries: Vec<Arc<BillEntry>>,
    /// Of the whole selection.
    pub totals: Totals,
    /// Bills in the selection.
    pub found: usize,
    /// Pages of the selection; at least 1.
    pub pages: usize,
}

/// The decoded bills, in the order of the journal.
#[derive(Debug)]
pub struct BillBook {
    /// Sequence of the next record to ask for.
    next: u64,
    bills_max: usize,
    entries: VecDeque<Arc<BillEntry>>,
    by_id: HashMap<CellId, Arc<BillEntry>>,
    unreadable: Vec<UnreadableRecord>,
    unreadable_count: u64,
    repeated: u64,
    forgotten: u64,
}

impl Default for BillBook {
    fn default() -> Self {
        BillBook::with_limit(BILLS_SHOWN_MAX)
    }
}

impl BillBook {
    /// An empty book that keeps `bills_max` bills.
    fn with_limit(bills_max: usize) -> Self {
        BillBook {
            next: 1,
            bills_max,
            entries: VecDeque::new(),
            by_id: HashMap::new(),
            unreadable: Vec::new(),
            unreadable_count: 0,
            repeated: 0,
            forgotten: 0,
        }
    }

    /// Sequence of the next record to ask for.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Takes records that were read from the journal; those already known are skipped.
    pub fn add(&mut self, records: Vec<StoredRecord>) {
        for record in records {
            if record.sequence >= self.next {
                self.next = record.sequence + 1;
                self.add_one(record);
            }
        }
    }

    fn add_one(&mut self, record: StoredRecord) {
        let StoredRecord { sequence, cell: id, record } = record;
        let bill = match decode::<Bill>(&record) {
            Ok(bill) => bill,
            Err(error) => return self.add_unreadable(sequence, id, error.to_string()),
        };
        if self.by_id.contains_key(&id) {
            // The store refuses a second record of a cell, so the first one stands; that this
            // happened at all is worth showing.
            self.repeated += 1;
            return;
        }
        let parties = format!("{}\n{}", bill.caller, bill.callee).to_lowercase();
        let entry = Arc::new(BillEntry { sequence, id, bill, parties });
        self.by_id.insert(id, Arc::clone(&entry));
        self.entries.push_back(entry);
        if self.entries.len() > self.bills_max
            && let Some(oldest) = self.entries.pop_front()
        {
            self.by_id.remove(&oldest.id);
            self.forgotten += 1;
        }
    }

    fn add_unreadable(&mut self, sequence: u64, id: CellId, reason: String) {
        self.unreadable_count += 1;
        if self.unreadable.len() < UNREADABLE_SHOWN_MAX {
            self.unreadable.push(UnreadableRecord { sequence, id, reason });
        }
    }

    /// The record of one call.
    pub fn find(&self, id: CellId) -> Option<Found> {
        let bill = self.by_id.get(&id).cloned().map(Found::Bill);
        bill.or_else(|| {
            let unreadable = self.unreadable.iter().find(|record| record.id == id);
            unreadable.cloned().map(Found::Unreadable)
        })
    }

    /// All bills of a selection, the newest first.
    pub fn matching<'a>(
        &'a self,
        selection: &'a Selection,
    ) -> impl Iterator<Item = &'a Arc<BillEntry>> {
        let party = selection.party.to_lowercase();
        let wanted =
            move |entry: &&Arc<BillEntry>| selection.matches(&entry.bill, &entry.parties, &party);
        self.entries.iter().rev().filter(wanted)
    }

    /// One page of a selection. A page past the end is empty.
    pub fn page(&self, selection: &Selection) -> BillPage {
        let first = (selection.page - 1).saturating_mul(selection.per_page);
        let mut page =
            BillPage { entries: Vec::new(), totals: Totals::default(), found: 0, pages: 1 };
        for entry in self.matching(selection) {
            if page.found >= first && page.entries.len() < selection.per_page {
                page.entries.push(Arc::clone(entry));
            }
            page.found += 1;
            let bill = &entry.bill;
            page.totals.add(&bill.tariff.currency, bill.total, bill.seconds);
        }
        page.pages = page.found.div_ceil(selection.per_page).max(1);
        page
    }

    /// What the calls that ended at `start` or later add up to.
    pub fn totals_since(&self, start: Timestamp) -> Totals {
        self.page(&Selection { from: Some(start), ..Selection::all(1) }).totals
    }

    /// True if there is no bill.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records that are no bills this version can read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable_count
    }

    /// The first of them, with the reason.
    pub fn unreadable_records(&self) -> &[UnreadableRecord] {
        &self.unreadable
    }

    /// Further records of a cell that already has one; the first one stands.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Bills beyond the limit, which are in the journal only.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_call_billing::{Money, Tariff};
    use resilee_sbb::{CohortId, encode};
    use resilee_sip_api::{EndCause, Side};

    fn cell(number: u64) -> CellId {
        CellId { cohort: CohortId(7), number }
    }

    fn bill(caller: &str, ended_s: u64) -> Bill {
        let at = Timestamp::from_millis(ended_s * 1000);
        Bill {
            call_id: "c".to_owned(),
            caller: caller.to_owned(),
            callee: "sip:bob@example.org".to_owned(),
            set_up_at: at,
            answered_at: at,
            ended_at: at,
            seconds: 1,
            billed_seconds: 1,
            tariff: Tariff { currency: "EUR".to_owned(), ..Tariff::default() },
            total: Money::from_micros(1_000_000),
            answered_by: "server1".to_owned(),
            closed_by: "server2".to_owned(),
            ended_by: Side::Caller,
            end_cause: EndCause::Bye,
        }
    }

    fn record(sequence: u64, number: u64, bill: &Bill) -> StoredRecord {
        StoredRecord { sequence, cell: cell(number), record: encode(bill).unwrap() }
    }

    fn book_of(bills: &[Bill]) -> BillBook {
        let mut book = BillBook::default();
        let numbered = bills.iter().zip(1..);
        book.add(numbered.map(|(bill, number)| record(number, number, bill)).collect());
        book
    }

    #[test]
    fn the_book_asks_only_for_what_it_lacks() {
        let mut book = book_of(&[bill("sip:a@x", 10), bill("sip:a@x", 20)]);
        assert_eq!(book.next_sequence(), 3);
        book.add(vec![record(2, 2, &bill("sip:a@x", 20)), record(3, 3, &bill("sip:a@x", 30))]);
        assert_eq!((book.entries.len(), book.next_sequence(), book.repeated()), (3, 4, 0));
    }

    #[test]
    fn a_record_that_is_no_bill_is_counted_and_can_be_found() {
        let mut book = book_of(&[bill("sip:a@x", 10)]);
        book.add(vec![StoredRecord { sequence: 2, cell: cell(2), record: vec![0xc1, 0, 9] }]);
        assert_eq!((book.entries.len(), book.unreadable(), book.next_sequence()), (1, 1, 3));
        assert!(matches!(book.find(cell(2)), Some(Found::Unreadable(_))));
    }

    #[test]
    fn a_second_record_of_a_call_changes_no_total() {
        let mut book = book_of(&[bill("sip:a@x", 10)]);
        book.add(vec![record(2, 1, &bill("sip:a@x", 99))]);
        assert_eq!((book.entries.len(), book.repeated()), (1, 1));
        assert_eq!(book.totals_since(Timestamp::ZERO).bills(), 1);
    }

    #[test]
    fn the_oldest_bills_are_let_go_first() {
        let mut book = BillBook::with_limit(2);
        book.add((1..=5).map(|n| record(n, n, &bill("sip:a@x", n))).collect());
        assert_eq!((book.entries.len(), book.forgotten()), (2, 3));
        assert!(book.find(cell(3)).is_none() && book.find(cell(4)).is_some());
    }

    #[test]
    fn a_search_finds_either_party_in_any_case_within_its_time() {
        let bills = [bill("sip:Alice@x", 10), bill("sip:carol@x", 20), bill("sip:ALICE@x", 30)];
        let book = book_of(&bills);
        let of = |party: &str, from, to| {
            let at = |s: Option<u64>| s.map(|s| Timestamp::from_millis(s * 1000));
            let selection =
                Selection { party: party.to_owned(), from: at(from), to: at(to), ..all() };
            book.page(&selection).found
        };
        fn all() -> Selection {
            Selection::all(50)
        }
        assert_eq!([of("aLiCe", None, None), of("bob", None, None)], [2, 3]);
        assert_eq!([of("alice", Some(11), None), of("", Some(10), Some(30))], [1, 2]);
    }

    #[test]
    fn pages_are_newest_first_and_totals_are_of_the_whole_selection() {
        let bills: Vec<Bill> = (1..=5).map(|s| bill("sip:a@x", s)).collect();
        let book = book_of(&bills);
        let page = book.page(&Selection { page: 2, ..Selection::all(2) });
        let numbers: Vec<u64> = page.entries.iter().map(|entry| entry.id.number).collect();
        assert_eq!((numbers, page.found, page.pages), (vec![3, 2], 5, 3));
        assert_eq!(page.totals.bills(), 5);
        assert!(book.page(&Selection { page: usize::MAX, ..Selection::all(2) }).entries.is_empty());
    }
}
