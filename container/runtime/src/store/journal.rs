//! One journal: an append-only file of records, each framed with its length and checksum.
//!
//! The file is the truth about what was billed; the index in sled is made from it. A torn last
//! frame (the process died while it was written) is cut off: nobody was told that it is stored.
//! Damage in the middle is stepped over, never cut: the records behind it are bills.

use resilee_core::StoredRecord;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Starts each frame; a reader finds the next one behind damage.
const MAGIC: [u8; 4] = *b"RJ1\n";
/// Magic, length and checksum.
const HEADER_BYTES: usize = 12;
/// Longest encoded record; a longer length is damage.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of its frame in the file.
    pub offset: u64,
    /// Length of the encoded record, without the frame's header.
    pub length: u32,
}

/// What a scan of the file found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Each readable record and its place.
    pub records: Vec<(StoredRecord, Place)>,
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
}

impl JournalFile {
    /// Opens or makes the file, reads it whole and cuts off a torn tail.
    pub fn open(path: &Path) -> io::Result<(JournalFile, Scan)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let size = file.metadata()?.len();
        let mut scan = Scan::default();
        let end = scan_frames(&file, size, &mut scan)?;
        if end < size {
            scan.torn_bytes = size - end;
            file.set_len(end)?;
            file.sync_all()?;
        }
        Ok((JournalFile { file, length: end }, scan))
    }

    /// Length of the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends encoded records and waits for the disk. On an error the file is as before.
    pub fn append(&mut self, records: &[Vec<u8>]) -> io::Result<Vec<Place>> {
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let length = u32::try_from(record.len()).map_err(io::Error::other)?;
            places.push(Place { offset: self.length + bytes.len() as u64, length });
            bytes.extend_from_slice(&MAGIC);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&crc32fast::hash(record).to_be_bytes());
            bytes.extend_from_slice(record);
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What could not be written must not be found later; the first error is the cause.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(places)
    }

    /// Reads the record at a place.
    pub fn read(&self, place: Place) -> io::Result<StoredRecord> {
        let mut bytes = vec![0; HEADER_BYTES + place.length as usize];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        let (record, _) = parse_frame(&bytes).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the journal has no record there")
        })?;
        Ok(record)
    }
}

/// Reads frames from the start; gives the end of the last readable one.
fn scan_frames(file: &File, size: u64, scan: &mut Scan) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut offset = 0;
    while let Some(bytes) = read_frame(&mut reader, size - offset)? {
        let Some((record, length)) = parse_frame(&bytes) else {
            return scan_behind_damage(file, offset, scan);
        };
        scan.records.push((record, Place { offset, length }));
        offset += bytes.len() as u64;
    }
    if offset < size { scan_behind_damage(file, offset, scan) } else { Ok(offset) }
}

/// The next frame's bytes if its header is sound and the file is long enough.
fn read_frame(reader: &mut impl Read, left: u64) -> io::Result<Option<Vec<u8>>> {
    if left < HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; HEADER_BYTES];
    reader.read_exact(&mut bytes)?;
    let Some(length) = frame_length(&bytes).filter(|length| *length as u64 <= left) else {
        return Ok(None);
    };
    bytes.resize(length, 0);
    reader.read_exact(&mut bytes[HEADER_BYTES..])?;
    Ok(Some(bytes))
}

/// Looks at every later offset for a sound frame. Rare, so the rest is read into memory.
fn scan_behind_damage(mut file: &File, start: u64, scan: &mut Scan) -> io::Result<u64> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut rest)?;
    let (mut at, mut end) = (0, 0);
    while at + HEADER_BYTES <= rest.len() {
        match parse_frame(&rest[at..]) {
            Some((record, length)) => {
                scan.damaged_bytes += (at - end) as u64;
                scan.records.push((record, Place { offset: start + at as u64, length }));
                at += HEADER_BYTES + length as usize;
                end = at;
            }
            None => at += 1,
        }
    }
    Ok(start + end as u64)
}

fn frame_length(header: &[u8]) -> Option<usize> {
    let rest = header.strip_prefix(&MAGIC)?;
    let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
    (length <= RECORD_BYTES_MAX).then_some(HEADER_BYTES + length)
}

/// The record at the start of `bytes`, and the length of its encoding.
fn parse_frame(bytes: &[u8]) -> Option<(StoredRecord, u32)> {
    let length = frame_length(bytes)?;
    let record = bytes.get(HEADER_BYTES..length)?;
    let crc = u32::from_be_bytes(*bytes[8..].first_chunk()?);
    if crc32fast::hash(record) != crc {
        return None;
    }
    Some((resilee_sbb::decode(record).ok()?, u32::try_from(record.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_sbb::{CellId, CohortId};

    fn record(sequence: u64) -> StoredRecord {
        let cell = CellId { cohort: CohortId(9), number: sequence };
        StoredRecord { sequence, cell, record: vec![sequence as u8; 20] }
    }

    fn written(path: &Path, count: u64) -> Vec<Place> {
        let (mut file, _) = JournalFile::open(path).unwrap();
        let records: Vec<_> =
            (1..=count).map(|n| resilee_sbb::encode(&record(n)).unwrap()).collect();
        file.append(&records).unwrap()
    }

    fn sequences(scan: &Scan) -> Vec<u64> {
        scan.records.iter().map(|(record, _)| record.sequence).collect()
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_off_and_the_next_record_follows_the_last_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.log");
        let places = written(&path, 3);
        let bytes = std::fs::read(&path).unwrap();
        let last = places[2].offset as usize;
        for cut in last..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let (mut file, scan) = JournalFile::open(&path).unwrap();
            assert_eq!(sequences(&scan), [1, 2], "cut at {cut}");
            assert_eq!(scan.torn_bytes, (cut - last) as u64);
            let again = file.append(&[resilee_sbb::encode(&record(3)).unwrap()]).unwrap();
            assert_eq!(file.read(again[0]).unwrap(), record(3));
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn damage_in_the_middle_costs_its_own_record_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.log");
        let places = written(&path, 4);
        let whole = std::fs::read(&path).unwrap();
        for at in places[1].offset..places[2].offset {
            let mut bytes = whole.clone();
            bytes[at as usize] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            let (file, scan) = JournalFile::open(&path).unwrap();
            assert_eq!(sequences(&scan), [1, 3, 4], "byte {at}");
            assert_eq!(scan.damaged_bytes, places[2].offset - places[1].offset);
            assert_eq!((file.length(), scan.torn_bytes), (whole.len() as u64, 0));
        }
    }
}
