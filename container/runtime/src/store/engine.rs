//! The engine: a log that takes each group of writes, and sled, into which checkpoints bring what
//! they came to.
//!
//! | where            | what                                             | on disk            |
//! |------------------|--------------------------------------------------|--------------------|
//! | `store/log/`     | all writes since the last checkpoint (`log.rs`)  | with each group    |
//! | `store/` (sled)  | cells, tables, single values as of a checkpoint  | with a checkpoint  |
//! | `journal/`       | records, for ever (`journal.rs`)                 | with a checkpoint  |
//! | `voter`, `voter.other` | the voter's state once more (`voter_file.rs`) | before its group |
//! | `format`         | the format of all that (`format_file.rs`)        | when it is made    |
//!
//! A store that does not open is moved aside and a fresh one made; records stand in the journals,
//! and what a log has of them is brought there before. Threads and grouping are not here
//! (`writer`), nor how a checkpoint gets into sled (`trees`).

use super::format_file;
use super::journal::JournalFile;
use super::log::{self, Log};
use super::trees::{Synced, Trees, WriteError};
use super::voter_file::{VoterFile, later};
use resilee_core::{FORMAT, Restored, StoreBatch, StoreOp, StoredRecord, Tree, VOTER_KEY};
use resilee_sbb::CellId;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

/// A segment of the log that is so large ends with a checkpoint.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// If the last checkpoint takes so long that a segment gets so large, writing waits for it.
const SEGMENT_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Where the contents of a fresh store come from.
const REBUILT: &str = "bills come from the journal, calls and registrations from the other node";

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
    /// Another version of this program wrote it, or nobody knows who.
    #[error(
        "{path} is of format {found:?}, and this version of Resilee reads format {FORMAT}: start \
         the version that wrote it, or give this node another data_dir"
    )]
    Format {
        /// The data directory.
        path: PathBuf,
        /// What its file `format` says.
        found: String,
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

/// An open store, and what it held.
#[derive(Debug)]
pub struct Opened {
    pub(super) engine: Engine,
    /// Held as long as the store is open.
    pub(super) lock: File,
    /// What it held.
    pub restored: Restored,
    /// What an operator should know: damage, a store that was moved aside.
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
    fs::create_dir_all(data_dir).map_err(at(data_dir))?;
    let lock_path = data_dir.join("lock");
    let lock = File::create(&lock_path).map_err(at(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(data_dir.to_owned())),
        Err(TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
    }
    format_file::check(data_dir)?;
    let folder = data_dir.join("journal");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let store = data_dir.join("store");
    let known = !names_in(&folder).map_err(at(&folder))?.is_empty();
    // Its file, not its folder: that is there while a fresh store is being made.
    let gone = !store.join("db").exists() && (known || VoterFile::of(data_dir).exists());
    let reason = match open_guarded(data_dir) {
        Ok((engine, restored, mut notices)) => {
            if gone {
                let path = store.display();
                notices.push(format!("the store {path} was gone: a fresh one is used; {REBUILT}"));
            }
            return Ok(Opened { engine, lock, restored, notices });
        }
        Err(WriteError::Io(reason) | WriteError::Disk(reason)) => {
            return Err(StoreError::Io { path: data_dir.to_owned(), reason });
        }
        Err(WriteError::Locked) => return Err(StoreError::InUse(data_dir.to_owned())),
        Err(damage) => damage.to_string(),
    };
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let aside = data_dir.join(format!("store.broken-{millis}"));
    fs::rename(&store, &aside).map_err(at(&store))?;
    let (engine, restored, mut notices) = match open_guarded(data_dir) {
        Ok(fresh) => fresh,
        Err(error) => {
            // It is the disk then: what was moved may be sound, and is all there is.
            fs::remove_dir_all(&store).map_err(at(&store))?;
            fs::rename(&aside, &store).map_err(at(&aside))?;
            return Err(StoreError::Fresh { path: store, reason: error.to_string() });
        }
    };
    notices.push(format!(
        "the store did not open ({reason}): it was moved to {} and a fresh one is used; {REBUILT}",
        aside.display()
    ));
    Ok(Opened { engine, lock, restored, notices })
}

/// What [`Engine::open`] gives; sled panics on some kinds of damage.
fn open_guarded(data_dir: &Path) -> Result<(Engine, Restored, Vec<String>), WriteError> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut notices = Vec::new();
        let mut engine = Engine::open(data_dir, &mut notices)?;
        let restored = engine.restore()?;
        Ok((engine, restored, notices))
    }))
    .unwrap_or(Err(WriteError::Panicked))
}

/// The log, sled and the journals.
#[derive(Debug)]
pub(super) struct Engine {
    trees: Trees,
    log: Log,
    checkpoint: Checkpoint,
    folder: PathBuf,
    journals: BTreeMap<String, JournalFile>,
    voter: VoterFile,
}

impl Engine {
    fn open(data_dir: &Path, notices: &mut Vec<String>) -> Result<Engine, WriteError> {
        let (store, folder) = (data_dir.join("store"), data_dir.join("journal"));
        let log_folder = store.join("log");
        let existed = store.join("db").exists();
        fs::create_dir_all(&log_folder)?;
        // The names of what was just made must be on disk before anything in it counts as stored.
        for made in [&store, &data_dir.to_owned()] {
            File::open(made)?.sync_all()?;
        }
        let mut journals = BTreeMap::new();
        for name in names_in(&folder)? {
            journals.insert(name.clone(), open_journal(&folder, &name, notices)?);
        }
        let lengths: BTreeMap<_, _> =
            journals.iter().map(|(name, journal)| (name.clone(), journal.length())).collect();
        // Bills first: whatever is wrong with the rest, they are kept.
        let mut segments = log::read(&log_folder)?;
        for segment in &mut segments {
            for (name, cell, record) in std::mem::take(&mut segment.records) {
                journal(&mut journals, &folder, &name)?.append(vec![(cell, record)])?;
            }
        }
        for journal in journals.values() {
            journal.handle()?.sync_data()?;
        }
        let trees = Trees::open(&store)?;
        trees.compare_journals(&lengths, notices)?;
        let last = trees.take_in(segments, existed, &journals, notices)?;
        let done = log::numbers(&log_folder)?;
        let log = Log::begin(&log_folder, last + 1)?;
        for number in done {
            log::remove(&log_folder, number)?;
        }
        let (voter, checkpoint) = (VoterFile::of(data_dir), Checkpoint::default());
        Ok(Engine { trees, log, checkpoint, folder, journals, voter })
    }

    /// Writes batches in order and waits for the disk.
    pub fn write(&mut self, batches: Vec<StoreBatch>) -> Result<(), WriteError> {
        if !self.checkpoint.is_under_way() {
            self.checkpoint.finish()?;
        }
        let ops: Vec<_> = batches.into_iter().flat_map(|batch| batch.ops).collect();
        let mut records: BTreeMap<&str, Vec<(CellId, Vec<u8>)>> = BTreeMap::new();
        for op in &ops {
            match op {
                StoreOp::Put { tree: Tree::Meta, key, value } if key == VOTER_KEY => {
                    self.voter.save(value)?;
                }
                StoreOp::Record { journal, cell, record } => {
                    records.entry(journal).or_default().push((*cell, record.clone()));
                }
                _ => {}
            }
        }
        for (name, records) in records {
            journal(&mut self.journals, &self.folder, name)?.append(records)?;
        }
        if !ops.is_empty() {
            self.log.append(&ops)?;
        }
        let under_way = self.checkpoint.is_under_way() && self.log.length() < SEGMENT_BYTES_MAX;
        if self.log.length() >= SEGMENT_BYTES && !under_way {
            self.begin_checkpoint()?;
        }
        Ok(())
    }

    /// Saves the voter's state alone.
    pub fn save_vote(&mut self, state: &[u8]) -> io::Result<()> {
        self.voter.save(state)
    }

    /// Records of a journal from a sequence on.
    pub fn read(
        &self,
        journal: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, WriteError> {
        let journal = self.journals.get(journal);
        Ok(journal.map_or(Ok(Vec::new()), |journal| journal.read(from, limit))?)
    }

    /// What the store holds now.
    pub fn restore(&mut self) -> Result<Restored, WriteError> {
        let whole = self.checkpoint.finish();
        let mut restored = self.trees.restore(&self.log.written()?)?;
        if let Err(error) = whole {
            tracing::error!(%error, "a checkpoint failed: calls are to come from the other node");
            restored.progress.joining = true;
        }
        let filled = self.journals.iter().filter(|(_, journal)| !journal.is_empty());
        restored.journals = filled.map(|(name, _)| name.clone()).collect();
        let saved = self.voter.load(&mut restored.notices);
        restored.voter = later(saved, restored.voter);
        Ok(restored)
    }

    /// Begins the next segment, and brings this one into sled on a thread of its own. It is read
    /// again for that: to keep it in memory until then costs more than to read what the system
    /// has at hand.
    fn begin_checkpoint(&mut self) -> Result<(), WriteError> {
        self.checkpoint.finish()?;
        let journals = synced(&self.journals)?;
        let complete = self.log.turn()?;
        let trees = self.trees.clone();
        let thread = std::thread::Builder::new().name("checkpoint".to_owned());
        let thread = thread.spawn(move || {
            let number = complete.number();
            trees.apply(complete.written()?, number, &journals)?;
            Ok(log::remove(complete.folder(), number)?)
        });
        self.checkpoint.failed = thread.is_err();
        self.checkpoint.thread = Some(thread?);
        Ok(())
    }
}

/// A checkpoint that is under way; its end is awaited with it.
#[derive(Debug, Default)]
struct Checkpoint {
    thread: Option<JoinHandle<Result<(), WriteError>>>,
    /// One failed: sled lacks a segment, and may take none that follows.
    failed: bool,
}

impl Checkpoint {
    fn is_under_way(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits for it.
    fn finish(&mut self) -> Result<(), WriteError> {
        if self.failed {
            return Err(WriteError::Checkpoint);
        }
        let Some(thread) = self.thread.take() else { return Ok(()) };
        // sled panics on some errors of the disk.
        let ended = thread.join().unwrap_or(Err(WriteError::Panicked));
        self.failed = ended.is_err();
        ended
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        // The log has what one that failed was to bring.
        let _ = self.finish();
    }
}

/// The journals as a checkpoint takes them: it syncs at least what they have now.
pub(super) fn synced(journals: &BTreeMap<String, JournalFile>) -> io::Result<Vec<Synced>> {
    let synced = journals.iter().map(|(name, journal)| {
        Ok(Synced { name: name.clone(), length: journal.length(), file: journal.handle()? })
    });
    synced.collect()
}

/// The journal, opened if it is not.
fn journal<'a>(
    journals: &'a mut BTreeMap<String, JournalFile>,
    folder: &Path,
    name: &str,
) -> Result<&'a mut JournalFile, WriteError> {
    if !journals.contains_key(name) {
        // A new one has nothing to tell of.
        let journal = open_journal(folder, name, &mut Vec::new())?;
        journals.insert(name.to_owned(), journal);
    }
    Ok(journals.get_mut(name).expect("inserted above"))
}

fn open_journal(
    folder: &Path,
    name: &str,
    notices: &mut Vec<String>,
) -> Result<JournalFile, WriteError> {
    let (journal, found) = JournalFile::open(&folder.join(file_name(name)))?;
    // The file's name must be on disk as well, before a record in it counts as stored.
    File::open(folder)?.sync_all()?;
    if found.torn_bytes > 0 {
        // No alarm: so ends a journal whose process was killed. What a checkpoint had of it is
        // compared (`trees`).
        tracing::info!(name, torn_bytes = found.torn_bytes, "the end of a journal was cut off");
    }
    if found.damaged_bytes > 0 {
        let bytes = found.damaged_bytes;
        notices.push(format!("journal {name}: {bytes} bytes are damaged and were left as is"));
    }
    Ok(journal)
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
