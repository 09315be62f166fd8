//! The engine: sled for keys and values and as the index of the journals. The only file that
//! knows sled.
//!
//! A store that does not open is moved aside and a fresh one made, indexed from the journal
//! files; the rest comes from the other node. Threads and grouping are not here (`writer`).

use super::group::{Group, Writes};
use super::journal::{JournalFile, Place, RECORD_BYTES_MAX, Scan};
use resilee_core::{PROGRESS_KEY, VOTER_KEY};
use resilee_core::{Restored, StoreBatch, StoreOp, StoredRecord, Tree};
use resilee_sbb::CellId;
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// sled's cache; its own default of 1 GB is not for us.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Where the contents of a fresh store come from.
const REBUILT: &str = "bills come from the journal, calls and registrations from the other node";
/// The store opened, but not with all it had.
const INDEX_LOST: &str = "the store lost the index of journal";

/// Why a store cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Two nodes on one directory would destroy each other's bills.
    #[error("{0} is in use by another process: each node needs a data_dir of its own")]
    InUse(PathBuf),
    /// The directory, the lock or a journal cannot be read or written.
    #[error("cannot use {path}: {reason}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A fresh store could not be made either.
    #[error("cannot make a store in {path}: {reason}")]
    Fresh {
        /// Where.
        path: PathBuf,
        /// What sled says.
        reason: String,
    },
}

/// Why a write or a read failed. The store is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("{0}")]
    Sled(#[from] sled::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Codec(#[from] resilee_sbb::CodecError),
    #[error("the engine panicked")]
    Panicked,
    #[error("a record of {0} bytes is larger than {RECORD_BYTES_MAX}")]
    RecordTooLarge(usize),
}

/// An open store, and what it held.
#[derive(Debug)]
pub struct Opened {
    pub(super) engine: Engine,
    /// Held as long as the store is open.
    pub(super) lock: File,
    /// What it held.
    pub restored: Restored,
    /// What an operator should know: a torn tail, damage, a store that was moved aside.
    pub notices: Vec<String>,
}

/// Opens the store of a node in `data_dir`, or makes it.
///
/// # Errors
/// A directory that another process uses or that cannot be written.
pub fn open(data_dir: &Path) -> Result<Opened, StoreError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |reason| StoreError::Io { path, reason }
    };
    let folder = data_dir.join("journal");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let lock_path = data_dir.join("lock");
    let lock = File::create(&lock_path).map_err(at(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(data_dir.to_owned())),
        Err(TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
    }
    let store = data_dir.join("store");
    let gone = !store.exists() && !names_in(&folder).map_err(at(&folder))?.is_empty();
    let reason = match open_guarded(&store, &folder) {
        Ok((engine, restored, mut notices)) => {
            if gone {
                let path = store.display();
                notices.retain(|notice| !notice.contains(INDEX_LOST));
                notices.push(format!("the store {path} was gone: a fresh one is used; {REBUILT}"));
            }
            return Ok(Opened { engine, lock, restored, notices });
        }
        Err(WriteError::Io(reason)) => return Err(StoreError::Io { path: folder, reason }),
        Err(damage) => damage.to_string(),
    };
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let aside = data_dir.join(format!("store.broken-{millis}"));
    fs::rename(&store, &aside).map_err(at(&store))?;
    let fresh = open_guarded(&store, &folder);
    let (engine, restored, mut notices) =
        fresh.map_err(|error| StoreError::Fresh { path: store, reason: error.to_string() })?;
    notices.retain(|notice| !notice.contains(INDEX_LOST));
    notices.push(format!(
        "the store did not open ({reason}): it was moved to {} and a fresh one is used; {REBUILT}",
        aside.display()
    ));
    Ok(Opened { engine, lock, restored, notices })
}

/// What [`Engine::open`] gives; sled panics on some kinds of damage.
fn open_guarded(
    store: &Path,
    folder: &Path,
) -> Result<(Engine, Restored, Vec<String>), WriteError> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut notices = Vec::new();
        let mut engine = Engine::open(store, folder)?;
        for name in names_in(folder)? {
            engine.journal(&name, &mut notices)?;
        }
        let restored = engine.restore()?;
        Ok((engine, restored, notices))
    }))
    .unwrap_or(Err(WriteError::Panicked))
}

fn index(tree: Tree) -> usize {
    match tree {
        Tree::Cells => 0,
        Tree::Tables => 1,
        Tree::Meta => 2,
    }
}

/// sled and the journals.
#[derive(Debug)]
pub(super) struct Engine {
    db: sled::Db,
    trees: [sled::Tree; 3],
    /// For each journal the length of the file that its index describes.
    places: sled::Tree,
    disk: File,
    folder: PathBuf,
    journals: BTreeMap<String, Journal>,
}

/// A journal file with its index.
#[derive(Debug)]
struct Journal {
    file: JournalFile,
    /// Place by sequence.
    by_sequence: sled::Tree,
    /// Sequence by cell.
    by_cell: sled::Tree,
    next_sequence: u64,
}

impl Engine {
    fn open(store: &Path, folder: &Path) -> Result<Engine, WriteError> {
        let config = sled::Config::new().path(store).cache_capacity(CACHE_BYTES);
        // Calls come and go: to pack what is left of old segments tightly is work for nothing.
        let db = config.mode(sled::Mode::HighThroughput).open()?;
        let trees = [db.open_tree("cells")?, db.open_tree("tables")?, db.open_tree("meta")?];
        let places = db.open_tree("places")?;
        // sled's flush() does not reach the disk; this descriptor is for fdatasync.
        let disk = File::open(store.join("db"))?;
        let (folder, journals) = (folder.to_owned(), BTreeMap::new());
        Ok(Engine { db, trees, places, disk, folder, journals })
    }

    /// Applies batches in order and waits for the disk.
    pub fn write(&mut self, batches: Vec<StoreBatch>) -> Result<(), WriteError> {
        let mut group = Group::default();
        let mut records: BTreeMap<String, Vec<(CellId, Vec<u8>)>> = BTreeMap::new();
        for op in batches.into_iter().flat_map(|batch| batch.ops) {
            match op {
                StoreOp::Put { tree, key, value } => group.put(tree, key, value),
                StoreOp::Remove { tree, key } => group.remove(tree, key),
                StoreOp::Clear { tree } => group.clear(tree),
                StoreOp::Record { journal, cell, record } => {
                    records.entry(journal).or_default().push((cell, record));
                }
            }
        }
        let mut writes = Vec::new();
        for (name, records) in records {
            self.append(&name, records, &mut writes)?;
        }
        for (tree, (cleared, pending)) in group.trees {
            let tree = &self.trees[index(tree)];
            if cleared {
                tree.clear()?;
            }
            writes.push((tree.clone(), pending));
        }
        apply(writes)?;
        self.db.flush()?;
        self.disk.sync_data()?;
        Ok(())
    }

    /// Records of a journal from a sequence on.
    pub fn read(
        &mut self,
        journal: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, WriteError> {
        let Some(journal) = self.journals.get(journal) else { return Ok(Vec::new()) };
        let places = journal.by_sequence.range(from.to_be_bytes()..).values().take(limit);
        places.map(|place| Ok(journal.file.read(decode_place(&place?)?)?)).collect()
    }

    /// What the store holds now.
    pub fn restore(&self) -> Result<Restored, WriteError> {
        let all = |tree: Tree| -> Result<Vec<_>, WriteError> {
            let pairs = self.trees[index(tree)].iter().map(|pair| {
                let (key, value) = pair?;
                Ok((key.to_vec(), value.to_vec()))
            });
            pairs.collect()
        };
        let meta = &self.trees[index(Tree::Meta)];
        let (voter, progress) = (meta.get(VOTER_KEY)?, meta.get(PROGRESS_KEY)?);
        let filled = self.journals.iter().filter(|(_, journal)| journal.next_sequence > 1);
        Ok(Restored {
            voter: voter.map(|bytes| resilee_sbb::decode(&bytes)).transpose()?,
            progress: match progress {
                Some(bytes) => resilee_sbb::decode(&bytes)?,
                None => Default::default(),
            },
            cells: all(Tree::Cells)?,
            tables: all(Tree::Tables)?,
            journals: filled.map(|(name, _)| name.clone()).collect(),
            notices: Vec::new(),
        })
    }

    /// Appends the records whose cell has none yet: file first, the index goes with the group.
    fn append(
        &mut self,
        name: &str,
        records: Vec<(CellId, Vec<u8>)>,
        writes: &mut Vec<(sled::Tree, Writes)>,
    ) -> Result<(), WriteError> {
        let mut notices = Vec::new();
        let places = self.places.clone();
        let journal = self.journal(name, &mut notices)?;
        let (mut by_cell, mut by_sequence) = (Writes::new(), Writes::new());
        let (mut encoded, mut sequences) = (Vec::new(), Vec::new());
        for (cell, record) in records {
            let key = cell_key(cell);
            if by_cell.contains_key(&key) || journal.by_cell.contains_key(&key)? {
                continue;
            }
            let sequence = journal.next_sequence + encoded.len() as u64;
            let bytes = resilee_sbb::encode(&StoredRecord { sequence, cell, record })?;
            if bytes.len() > RECORD_BYTES_MAX {
                return Err(WriteError::RecordTooLarge(bytes.len()));
            }
            encoded.push(bytes);
            sequences.push(sequence);
            by_cell.insert(key, Some(sequence.to_be_bytes().to_vec()));
        }
        if encoded.is_empty() {
            return Ok(());
        }
        for (sequence, place) in sequences.iter().zip(journal.file.append(&encoded)?) {
            by_sequence.insert(sequence.to_be_bytes().to_vec(), Some(encode_place(place)));
        }
        journal.next_sequence += encoded.len() as u64;
        let length = journal.file.length().to_be_bytes().to_vec();
        let indexed = Writes::from([(name.as_bytes().to_vec(), Some(length))]);
        writes.push((journal.by_cell.clone(), by_cell));
        writes.push((journal.by_sequence.clone(), by_sequence));
        merge(writes, places, indexed);
        Ok(())
    }

    /// The journal, opened and with an index that agrees with its file.
    fn journal(
        &mut self,
        name: &str,
        notices: &mut Vec<String>,
    ) -> Result<&mut Journal, WriteError> {
        if !self.journals.contains_key(name) {
            let journal = self.open_journal(name, notices)?;
            self.journals.insert(name.to_owned(), journal);
        }
        Ok(self.journals.get_mut(name).expect("inserted above"))
    }

    fn open_journal(&self, name: &str, notices: &mut Vec<String>) -> Result<Journal, WriteError> {
        let (file, scan) = JournalFile::open(&self.folder.join(file_name(name)))?;
        // The file's name must be on disk as well, before a record in it counts as stored.
        File::open(&self.folder)?.sync_all()?;
        if scan.torn_bytes > 0 {
            let bytes = scan.torn_bytes;
            notices.push(format!("journal {name}: {bytes} bytes of a torn record were cut off"));
        }
        if scan.damaged_bytes > 0 {
            let bytes = scan.damaged_bytes;
            notices.push(format!("journal {name}: {bytes} bytes are damaged and were left as is"));
        }
        let by_sequence = self.db.open_tree(format!("journal.{name}.sequence"))?;
        let by_cell = self.db.open_tree(format!("journal.{name}.cell"))?;
        let last = scan.records.iter().map(|(record, _)| record.sequence).max().unwrap_or(0);
        let journal = Journal { file, by_sequence, by_cell, next_sequence: last + 1 };
        self.reindex(name, &journal, &scan, notices)?;
        Ok(journal)
    }

    /// Makes the index anew unless it describes this very file.
    fn reindex(
        &self,
        name: &str,
        journal: &Journal,
        scan: &Scan,
        notices: &mut Vec<String>,
    ) -> Result<(), WriteError> {
        let length = journal.file.length().to_be_bytes();
        let place = self.places.get(name)?;
        // A death may leave an index that is behind its file, but not a file without any.
        if place.is_none() && !scan.records.is_empty() {
            notices.push(format!("{INDEX_LOST} {name}, and may have lost calls; {REBUILT}"));
        }
        let indexed = place.is_some_and(|indexed| indexed == length)
            && journal.by_sequence.len() == scan.records.len();
        if indexed {
            return Ok(());
        }
        journal.by_sequence.clear()?;
        journal.by_cell.clear()?;
        for (record, place) in &scan.records {
            let sequence = record.sequence.to_be_bytes();
            journal.by_sequence.insert(sequence, encode_place(*place))?;
            journal.by_cell.insert(cell_key(record.cell), &sequence)?;
        }
        self.places.insert(name, &length)?;
        self.db.flush()?;
        Ok(())
    }
}

/// Applies all writes as one transaction.
fn apply(writes: Vec<(sled::Tree, Writes)>) -> Result<(), WriteError> {
    let (trees, writes): (Vec<_>, Vec<_>) =
        writes.into_iter().filter(|(_, writes)| !writes.is_empty()).unzip();
    if trees.is_empty() {
        return Ok(());
    }
    let result = trees.as_slice().transaction(|views| {
        for (view, writes) in views.iter().zip(&writes) {
            for (key, value) in writes {
                match value {
                    Some(value) => view.insert(key.as_slice(), value.as_slice())?,
                    None => view.remove(key.as_slice())?,
                };
            }
        }
        Ok::<(), ConflictableTransactionError<std::convert::Infallible>>(())
    });
    match result {
        Ok(()) => Ok(()),
        Err(TransactionError::Storage(error)) => Err(error.into()),
        Err(TransactionError::Abort(never)) => match never {},
    }
}

/// A transaction must not name one tree twice.
fn merge(writes: &mut Vec<(sled::Tree, Writes)>, tree: sled::Tree, more: Writes) {
    match writes.iter_mut().find(|(known, _)| known.name() == tree.name()) {
        Some((_, pending)) => pending.extend(more),
        None => writes.push((tree, more)),
    }
}

fn cell_key(cell: CellId) -> Vec<u8> {
    [cell.cohort.0.to_be_bytes(), cell.number.to_be_bytes()].concat()
}

fn encode_place(place: Place) -> Vec<u8> {
    [&place.offset.to_be_bytes()[..], &place.length.to_be_bytes()[..]].concat()
}

fn decode_place(bytes: &[u8]) -> io::Result<Place> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the index of a journal is damaged");
    let (offset, length) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
    let length = u32::from_be_bytes(length.try_into().map_err(|_| wrong())?);
    Ok(Place { offset: u64::from_be_bytes(*offset), length })
}

/// Names of the journals in a folder.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(".log"));
        names.extend(name.and_then(journal_name));
    }
    names.sort();
    Ok(names)
}

/// The file of a journal: letters, digits and dashes as they are, other bytes as `%hh`.
fn file_name(journal: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    journal.bytes().map(byte).chain([".log".to_owned()]).collect()
}

/// The reverse of [`file_name`], without its ending.
fn journal_name(stem: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = stem;
    while let Some(char) = rest.chars().next() {
        let (byte, length) = match char {
            '%' => (u8::from_str_radix(rest.get(1..3)?, 16).ok()?, 3),
            char => (u8::try_from(char).ok()?, char.len_utf8()),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_journal_name_is_a_file_of_the_folder() {
        for name in ["call-bills", "../x/y", "a.b", "%41", "Ä", ""] {
            let file = file_name(name);
            assert!(!file.contains('/') && !file.starts_with('.') || name.is_empty(), "{file}");
            assert_eq!(journal_name(file.strip_suffix(".log").unwrap()).as_deref(), Some(name));
        }
    }
}
