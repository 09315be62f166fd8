//! One journal: an append-only file of records, each in a frame.
//!
//! The file is the truth about what was billed; what is found in it quickly is made from it when
//! it is opened. A torn end is cut off: nobody was told that it is stored. Damage in the middle is
//! stepped over, never cut: the records behind it are bills.

use super::frames::{Framing, HEADER_BYTES};
use super::recorded_cells::RecordedCells;
use resilee_core::StoredRecord;
use resilee_sbb::{CellId, decode, encode};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Longest encoded record.
const RECORD_BYTES_MAX: usize = 1024 * 1024;
const FRAMING: Framing = Framing { magic: *b"RJ1\n", bytes_max: RECORD_BYTES_MAX };

/// Records that are read together.
const RUN_RECORDS: usize = 64;
/// A longer run takes no more.
const RUN_BYTES: u64 = 256 * 1024;

/// Records that follow each other in the file.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Sequence of the first.
    first: u64,
    records: usize,
    /// Where they stand.
    start: u64,
    end: u64,
}

/// What was wrong with the file when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Bytes of a torn frame that were cut off at the end.
    pub torn_bytes: u64,
    /// Bytes that are unreadable, with readable records behind them.
    pub damaged_bytes: u64,
}

/// An open journal file.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    length: u64,
    next_sequence: u64,
    runs: Vec<Run>,
    cells: RecordedCells,
}

impl JournalFile {
    /// Opens or makes the file, reads it whole and cuts off a torn end.
    pub fn open(path: &Path) -> io::Result<(JournalFile, Found)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let size = file.metadata()?.len();
        let (runs, cells) = (Vec::new(), RecordedCells::default());
        let mut journal = JournalFile { file, length: 0, next_sequence: 1, runs, cells };
        let handle = journal.file.try_clone()?;
        let scanned = FRAMING.scan(&handle, size, |start, content| {
            let Ok(record) = decode::<StoredRecord>(content) else { return false };
            let end = start + (HEADER_BYTES + content.len()) as u64;
            journal.note(record.sequence, record.cell, start, end);
            true
        })?;
        journal.length = scanned.end;
        let torn_bytes = size - scanned.end;
        if torn_bytes > 0 {
            journal.file.set_len(scanned.end)?;
            journal.file.sync_all()?;
        }
        Ok((journal, Found { torn_bytes, damaged_bytes: scanned.damaged }))
    }

    /// Length of its whole records.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// True if it has no record.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Appends the records whose cell has none yet. Whether they are on disk is up to the system
    /// until [`JournalFile::sync`]. On an error the file is as before.
    pub fn append(&mut self, records: Vec<(CellId, Vec<u8>)>) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(records.len());
        let mut new = RecordedCells::default();
        for (cell, record) in records {
            if self.cells.contains(cell) || !new.insert(cell) {
                continue;
            }
            let sequence = self.next_sequence + places.len() as u64;
            let record = encode(&StoredRecord { sequence, cell, record });
            let start = self.length + bytes.len() as u64;
            FRAMING.push(&record.map_err(io::Error::other)?, &mut bytes)?;
            places.push((sequence, cell, start, self.length + bytes.len() as u64));
        }
        if let Err(error) = self.file.write_all_at(&bytes, self.length) {
            // What could not be written must not be found later; the first error is the cause.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        for (sequence, cell, start, end) in places {
            self.note(sequence, cell, start, end);
        }
        Ok(())
    }

    /// A handle to wait for the disk with.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Records from a sequence on.
    pub fn read(&self, from: u64, limit: usize) -> io::Result<Vec<StoredRecord>> {
        let mut records = Vec::new();
        let first = self.runs.partition_point(|run| run.first <= from).saturating_sub(1);
        for run in &self.runs[first..] {
            if records.len() >= limit {
                break;
            }
            let bytes = usize::try_from(run.end - run.start).map_err(io::Error::other)?;
            let mut bytes = vec![0; bytes];
            self.file.read_exact_at(&mut bytes, run.start)?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let lost = || io::Error::other("the journal lost a record while it was open");
                let content = FRAMING.content(rest).ok_or_else(lost)?;
                let record: StoredRecord = decode(content).map_err(io::Error::other)?;
                rest = &rest[HEADER_BYTES + content.len()..];
                if record.sequence >= from && records.len() < limit {
                    records.push(record);
                }
            }
        }
        Ok(records)
    }

    /// A record stands in the file.
    fn note(&mut self, sequence: u64, cell: CellId, start: u64, end: u64) {
        self.length = end;
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.cells.insert(cell);
        match self.runs.last_mut() {
            Some(run)
                if run.end == start
                    && run.records < RUN_RECORDS
                    && run.end - run.start < RUN_BYTES =>
            {
                run.end = end;
                run.records += 1;
            }
            _ => self.runs.push(Run { first: sequence, records: 1, start, end }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_sbb::CohortId;

    fn record(number: u64) -> (CellId, Vec<u8>) {
        (CellId { cohort: CohortId(9), number }, vec![number as u8; 20])
    }

    /// Offsets of the records in a file with so many.
    fn written(path: &Path, count: u64) -> Vec<usize> {
        let (mut journal, _) = JournalFile::open(path).unwrap();
        let append = |number| {
            let start = journal.length as usize;
            journal.append(vec![record(number)]).unwrap();
            start
        };
        (1..=count).map(append).collect()
    }

    fn sequences(journal: &JournalFile, from: u64, limit: usize) -> Vec<u64> {
        let records = journal.read(from, limit).unwrap();
        records.iter().for_each(|r| assert_eq!(record(r.sequence), (r.cell, r.record.clone())));
        records.iter().map(|record| record.sequence).collect()
    }

    #[test]
    fn an_end_torn_at_any_byte_is_cut_off_and_the_next_record_follows_the_last_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.log");
        let last = written(&path, 3)[2];
        let bytes = std::fs::read(&path).unwrap();
        for cut in last..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let (mut journal, found) = JournalFile::open(&path).unwrap();
            assert_eq!(sequences(&journal, 1, 9), [1, 2], "cut at {cut}");
            assert_eq!(found.torn_bytes, (cut - last) as u64);
            journal.append(vec![record(3)]).unwrap();
            assert_eq!(sequences(&journal, 3, 9), [3]);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn damage_in_the_middle_costs_its_own_record_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.log");
        let places = written(&path, 4);
        let whole = std::fs::read(&path).unwrap();
        for at in places[1]..places[2] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            let (journal, found) = JournalFile::open(&path).unwrap();
            assert_eq!(sequences(&journal, 1, 9), [1, 3, 4], "byte {at}");
            assert_eq!(found.damaged_bytes, (places[2] - places[1]) as u64);
            assert_eq!((journal.length, found.torn_bytes), (whole.len() as u64, 0));
        }
    }

    #[test]
    fn records_are_read_from_any_sequence_on_whatever_run_they_stand_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.log");
        written(&path, 200);
        let (journal, _) = JournalFile::open(&path).unwrap();
        assert_eq!(journal.runs.len(), 4);
        for from in [0, 1, 64, 65, 128, 199, 200, 201] {
            let expected: Vec<u64> = (from.max(1)..=200).take(70).collect();
            assert_eq!(sequences(&journal, from, 70), expected, "from {from}");
        }
    }
}
