//! sled: cells, tables and single values as of the last checkpoint. The only file that knows sled.
//!
//! A checkpoint notes the number of its segment of the log: segments up to it are left out when the
//! store is opened, and from the next one on there must be no gap.

use super::engine::synced;
use super::group::{Group, Writes};
use super::journal::JournalFile;
use super::log::Segment;
use resilee_core::{PROGRESS_KEY, Restored, Tree, VOTER_KEY};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// sled's cache. It is written by checkpoints and read at a start, so it needs little; its own
/// default of 1 GB is not for us.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Writes that sled gets at once.
const CHECKPOINT_OPS: usize = 1_024;

/// Number of the last segment that is in sled, in the tree of single values.
const SEGMENT_KEY: &[u8] = b"segment";

/// What an operator reads of it.
const DAMAGED: &str = "the store's log is damaged: calls and registrations are those of some \
                       seconds before the end; bills stand in their journal";

/// What sled says of a file that is locked; it has no kind of error for that.
const LOCKED: &str = "could not acquire lock";
/// How long it may stay so.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// Why a write or a read failed. The store is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("{0}")]
    Sled(sled::Error),
    /// There is nothing wrong with the store: its disk takes nothing.
    #[error("{0}")]
    Disk(io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Codec(#[from] resilee_sbb::CodecError),
    #[error("the engine panicked")]
    Panicked,
    /// There is nothing wrong with the store: something else has it open.
    #[error("it is locked")]
    Locked,
    #[error("what it had before its log is lost")]
    Lost,
    #[error("an earlier checkpoint failed")]
    Checkpoint,
}

impl From<sled::Error> for WriteError {
    fn from(error: sled::Error) -> Self {
        use io::ErrorKind::{
            FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
        };
        match error {
            sled::Error::Io(error)
                if matches!(
                    error.kind(),
                    FileTooLarge
                        | PermissionDenied
                        | QuotaExceeded
                        | ReadOnlyFilesystem
                        | StorageFull
                ) =>
            {
                WriteError::Disk(error)
            }
            // Damage is an I/O error to sled as well.
            error => WriteError::Sled(error),
        }
    }
}

/// A journal, as long as it was when a checkpoint began.
#[derive(Debug)]
pub(super) struct Synced {
    pub name: String,
    pub length: u64,
    pub file: File,
}

/// sled.
#[derive(Clone, Debug)]
pub(super) struct Trees {
    db: sled::Db,
    cells: sled::Tree,
    tables: sled::Tree,
    meta: sled::Tree,
    /// How long each journal was at the last checkpoint.
    journals: sled::Tree,
    /// Its file.
    path: PathBuf,
}

/// The engine's file may be locked for a moment by one that is being closed: its threads end after
/// it, and so does what a child process was given at its birth.
fn open_when_free(config: &sled::Config) -> Result<sled::Db, WriteError> {
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains(LOCKED) => {
                if Instant::now() >= until {
                    return Err(WriteError::Locked);
                }
                std::thread::sleep(LOCK_LOOK);
            }
            opened => return Ok(opened?),
        }
    }
}

impl Trees {
    pub fn open(store: &Path) -> Result<Trees, WriteError> {
        let config = sled::Config::new().path(store).cache_capacity(CACHE_BYTES);
        // Calls come and go: to pack what is left of old segments tightly is work for nothing.
        let config = config.mode(sled::Mode::HighThroughput);
        // A checkpoint flushes when it is done.
        let db = open_when_free(&config.flush_every_ms(None))?;
        let (cells, tables) = (db.open_tree("cells")?, db.open_tree("tables")?);
        let meta = db.open_tree("meta")?;
        let journals = db.open_tree("lengths")?;
        Ok(Trees { db, cells, tables, meta, journals, path: store.join("db") })
    }

    /// Brings what the log has into sled; gives the number of the last segment.
    pub fn take_in(
        &self,
        segments: Vec<Segment>,
        existed: bool,
        journals: &BTreeMap<String, JournalFile>,
        notices: &mut Vec<String>,
    ) -> Result<u64, WriteError> {
        let known = self.segment()?;
        let no_log = segments.is_empty();
        // Before there was a log the journals had their index here.
        let old = self.db.tree_names().iter().any(|name| name.as_ref() == b"places");
        let done = known.unwrap_or(0);
        let mut rest = segments.into_iter().filter(|segment| segment.number > done).peekable();
        let unknown = known.is_none() && existed && !old && rest.peek().is_none();
        if unknown || rest.peek().is_some_and(|segment| segment.number > done + 1) {
            return Err(WriteError::Lost);
        }
        if known.is_some() && no_log && (done > 0 || !journals.is_empty()) {
            notices.push("the store lost its log: the last seconds may be missing".to_owned());
        }
        let (mut group, mut last, mut whole) = (Group::default(), done, true);
        while let Some(segment) = rest.next() {
            let Segment { number, lost_bytes, torn_bytes, .. } = segment;
            let follows = number == last + 1;
            last = number;
            if whole && follows {
                group.extend(segment.group);
            }
            // A segment that has another one behind it was complete.
            let sound = follows && lost_bytes == 0 && (torn_bytes == 0 || rest.peek().is_none());
            if whole && !sound {
                notices.push(DAMAGED.to_owned());
            } else if whole && torn_bytes > 0 {
                // No alarm: that is how a log ends whose process was killed.
                tracing::info!(torn_bytes, "the end of the store's log was cut off");
            }
            whole &= sound;
        }
        self.apply(group, last, &synced(journals)?)?;
        for name in self.db.tree_names() {
            if name.as_ref() == b"places" || name.starts_with(b"journal.") {
                self.db.drop_tree(name)?;
            }
        }
        Ok(last)
    }

    /// Brings a segment into sled; the journals, which have its records, are synced as well.
    pub fn apply(&self, group: Group, segment: u64, journals: &[Synced]) -> Result<(), WriteError> {
        for journal in journals {
            journal.file.sync_data()?;
            self.journals.insert(&journal.name, &journal.length.to_be_bytes())?;
        }
        for (tree, (cleared, writes)) in group.trees {
            let tree = self.tree(tree);
            if cleared {
                tree.clear()?;
            }
            apply(tree, writes)?;
        }
        self.flush()?;
        // The number counts once all before it is on disk.
        self.meta.insert(SEGMENT_KEY, &segment.to_be_bytes())?;
        self.flush()
    }

    /// Tells of journals that are shorter than a checkpoint had them: what a kill tears off was
    /// written after that.
    pub fn compare_journals(
        &self,
        found: &BTreeMap<String, u64>,
        notices: &mut Vec<String>,
    ) -> Result<(), WriteError> {
        for pair in &self.journals {
            let (name, length) = pair?;
            let name = String::from_utf8_lossy(&name).into_owned();
            let had = <[u8; 8]>::try_from(&length[..]).map_or(0, u64::from_be_bytes);
            let lost = had.saturating_sub(found.get(&name).copied().unwrap_or(0));
            if lost > 0 {
                if !found.contains_key(&name) {
                    self.journals.remove(&name)?;
                }
                notices.push(format!(
                    "journal {name} lost {lost} bytes at its end: bills come from the other node"
                ));
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), WriteError> {
        self.db.flush()?;
        // sled's flush() does not reach the disk.
        Ok(File::open(&self.path)?.sync_data()?)
    }

    fn segment(&self) -> Result<Option<u64>, WriteError> {
        let bytes = self.meta.get(SEGMENT_KEY)?;
        let number = |bytes: sled::IVec| <[u8; 8]>::try_from(&bytes[..]).map(u64::from_be_bytes);
        bytes.map(|bytes| number(bytes).map_err(|_| WriteError::Lost)).transpose()
    }

    /// What is in sled, with what was written since.
    pub fn restore(&self, since: &Group) -> Result<Restored, WriteError> {
        let (cells, tables) = (self.all(Tree::Cells, since)?, self.all(Tree::Tables, since)?);
        let mut meta = self.all(Tree::Meta, since)?;
        let progress = meta.remove(PROGRESS_KEY).map(|bytes| resilee_sbb::decode(&bytes));
        let voter = meta.remove(VOTER_KEY).map(|bytes| resilee_sbb::decode(&bytes));
        Ok(Restored {
            voter: voter.transpose()?,
            progress: progress.transpose()?.unwrap_or_default(),
            cells: cells.into_iter().collect(),
            tables: tables.into_iter().collect(),
            ..Restored::default()
        })
    }

    fn all(&self, tree: Tree, since: &Group) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, WriteError> {
        let mut all = BTreeMap::new();
        let written = since.trees.get(&tree);
        if !written.is_some_and(|(cleared, _)| *cleared) {
            for pair in self.tree(tree) {
                let (key, value) = pair?;
                all.insert(key.to_vec(), value.to_vec());
            }
        }
        for (key, value) in written.into_iter().flat_map(|(_, writes)| writes) {
            match value {
                Some(value) => drop(all.insert(key.clone(), value.clone())),
                None => drop(all.remove(key)),
            }
        }
        Ok(all)
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Cells => &self.cells,
            Tree::Tables => &self.tables,
            Tree::Meta => &self.meta,
        }
    }
}

fn apply(tree: &sled::Tree, writes: Writes) -> Result<(), WriteError> {
    let mut writes = writes.into_iter().peekable();
    while writes.peek().is_some() {
        let mut batch = sled::Batch::default();
        for (key, value) in writes.by_ref().take(CHECKPOINT_OPS) {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        tree.apply_batch(batch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_still_locked_is_waited_for_and_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        drop(super::super::open(dir.path()).unwrap());
        let held = Trees::open(&store).unwrap();
        let released = std::thread::spawn(move || {
            // As long as a look, and no more is needed: the other one looks again and again.
            std::thread::park_timeout(10 * LOCK_LOOK);
            drop(held);
        });
        let opened = super::super::open(dir.path()).unwrap();
        released.join().unwrap();
        assert_eq!(opened.notices, Vec::<String>::new());
    }

    #[test]
    fn a_store_from_before_there_was_a_log_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let db = sled::open(dir.path().join("store")).unwrap();
        db.open_tree("cells").unwrap().insert(b"cell", b"state").unwrap();
        db.open_tree("places").unwrap().insert(b"bills", b"length").unwrap();
        db.open_tree("journal.bills.cell").unwrap().insert(b"cell", b"1").unwrap();
        drop(db);
        for _ in 0..2 {
            let opened = super::super::open(dir.path()).unwrap();
            assert_eq!(opened.restored.cells, [(b"cell".to_vec(), b"state".to_vec())]);
            assert_eq!(opened.notices, Vec::<String>::new());
            drop(opened);
            let names = Trees::open(&dir.path().join("store")).unwrap().db.tree_names();
            assert!(!names.iter().any(|name| name.as_ref() == b"places"));
        }
    }
}
