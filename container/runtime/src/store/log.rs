//! The log: each group of writes as one frame at the end of a file, so that a group costs one
//! write and one flush, whatever is in it.
//!
//! A file of the log is a *segment*, with a number. When one is large enough the next is begun,
//! and a checkpoint brings what the full one came to into sled; then its file is removed. So most
//! calls that are short never reach sled, and the others do so with their last state only.
//!
//! | in a segment                | when it is read                                                |
//! |-----------------------------|----------------------------------------------------------------|
//! | a torn end of the last one  | cut off: nobody was told that it is stored                     |
//! | damage, or any other gap    | the writes before it count: the store as it was at that moment |
//! | records behind the damage   | count all the same: they are bills                             |

use super::frames::Framing;
use super::group::Group;
use resilee_core::StoreOp;
use resilee_sbb::{CellId, decode, encode};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FRAMING: Framing = Framing { magic: *b"RL1\n", bytes_max: 1024 * 1024 * 1024 };
const ENDING: &str = ".log";

/// The segment that is written.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    number: u64,
    file: File,
    length: u64,
}

/// A segment that was read.
#[derive(Debug, Default)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// Its writes up to the first damage.
    pub group: Group,
    /// All its records.
    pub records: Vec<(String, CellId, Vec<u8>)>,
    /// Length up to the first damage.
    sound_bytes: u64,
    /// Unreadable bytes, or bytes behind them whose writes do not count.
    pub lost_bytes: u64,
    /// Bytes that are torn off at its end.
    pub torn_bytes: u64,
}

impl Log {
    /// Begins a segment.
    pub fn begin(folder: &Path, number: u64) -> io::Result<Log> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).open(path(folder, number))?;
        // Its name must be on disk before a group in it counts as stored.
        File::open(folder)?.sync_all()?;
        Ok(Log { folder: folder.to_owned(), number, file, length: 0 })
    }

    /// Where the segments are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Length of the segment.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Number of the segment.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Begins the next segment; gives the one that is complete.
    pub fn turn(&mut self) -> io::Result<Log> {
        let next = Log::begin(&self.folder, self.number + 1)?;
        Ok(std::mem::replace(self, next))
    }

    /// What the segment comes to.
    pub fn written(&self) -> io::Result<Group> {
        let segment = read_segment(&self.folder, self.number)?;
        // What follows an append that failed is not ours; what is before it must be there.
        let lost = || io::Error::other("the log lost a group while it was open");
        (segment.lost_bytes == 0 && segment.sound_bytes >= self.length)
            .then_some(segment.group)
            .ok_or_else(lost)
    }

    /// Appends a group and waits for the disk. After an error the log is of no use.
    pub fn append(&mut self, ops: &Vec<StoreOp>) -> io::Result<()> {
        let content = encode(ops).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(content.len() + super::frames::HEADER_BYTES);
        FRAMING.push(&content, &mut bytes)?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// Reads all segments of a folder, in order.
pub fn read(folder: &Path) -> io::Result<Vec<Segment>> {
    let numbers = numbers(folder)?.into_iter();
    numbers.map(|number| read_segment(folder, number)).collect()
}

/// Numbers of the segments in a folder, in order.
pub fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(ENDING));
        numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes a segment whose writes are in sled. One that comes back after a power cut is known by
/// its number.
pub fn remove(folder: &Path, number: u64) -> io::Result<()> {
    match fs::remove_file(path(folder, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read_segment(folder: &Path, number: u64) -> io::Result<Segment> {
    let file = File::open(path(folder, number))?;
    let size = file.metadata()?.len();
    let mut segment = Segment { number, ..Segment::default() };
    let scanned = FRAMING.scan(&file, size, |offset, content| {
        let Ok(ops) = decode::<Vec<StoreOp>>(content) else { return false };
        let whole = offset == segment.sound_bytes;
        if whole {
            segment.sound_bytes = offset + (super::frames::HEADER_BYTES + content.len()) as u64;
        }
        for op in ops {
            match op {
                StoreOp::Record { journal, cell, record } => {
                    segment.records.push((journal, cell, record));
                }
                op if whole => segment.group.add(op),
                _ => {}
            }
        }
        true
    })?;
    segment.lost_bytes = scanned.end - segment.sound_bytes;
    segment.torn_bytes = size - scanned.end;
    Ok(segment)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}{ENDING}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_core::Tree;
    use resilee_sbb::CohortId;

    fn group(number: u8) -> Vec<StoreOp> {
        let (journal, cell) = ("bills".to_owned(), CellId { cohort: CohortId(1), number: 7 });
        let put = StoreOp::Put { tree: Tree::Cells, key: vec![number], value: vec![number; 9] };
        vec![put, StoreOp::Record { journal, cell, record: vec![number] }]
    }

    /// Keys and records of the only segment.
    fn contents(folder: &Path) -> (Vec<u8>, Vec<u8>, u64, u64) {
        let mut segments = read(folder).unwrap();
        let segment = segments.pop().unwrap();
        let cells = segment.group.trees.get(&Tree::Cells);
        let keys = cells.map_or(Vec::new(), |cells| cells.1.keys().map(|key| key[0]).collect());
        let records = segment.records.iter().map(|record| record.2[0]).collect();
        (keys, records, segment.lost_bytes, segment.torn_bytes)
    }

    #[test]
    fn behind_damage_writes_are_left_out_and_records_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::begin(dir.path(), 1).unwrap();
        let mut ends = vec![0];
        for number in 1..=4 {
            log.append(&group(number)).unwrap();
            ends.push(log.length() as usize);
        }
        let whole = fs::read(path(dir.path(), 1)).unwrap();
        assert_eq!(contents(dir.path()), (vec![1, 2, 3, 4], vec![1, 2, 3, 4], 0, 0));
        for at in ends[1]..ends[2] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            fs::write(path(dir.path(), 1), &bytes).unwrap();
            let lost = (ends[4] - ends[1]) as u64;
            assert_eq!(contents(dir.path()), (vec![1], vec![1, 3, 4], lost, 0), "byte {at}");
        }
        for cut in ends[3]..ends[4] {
            fs::write(path(dir.path(), 1), &whole[..cut]).unwrap();
            let torn = (cut - ends[3]) as u64;
            assert_eq!(contents(dir.path()), (vec![1, 2, 3], vec![1, 2, 3], 0, torn), "at {cut}");
        }
    }
}
