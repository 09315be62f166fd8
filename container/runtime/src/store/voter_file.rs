//! What the node's voter remembers, in two files of its own beside the store.
//!
//! A store that is damaged is moved aside, and one may be gone or take nothing any more; a vote
//! that went with it could be given again, to another view of the same number. So each state is
//! written here first, whole, and synced: over the older one of the two files, which leaves the
//! later one whatever happens meanwhile. Then it goes into the store like everything else, and the
//! latest of the three counts.
//!
//! A file has its room from the start, and is never replaced: writing over it takes no space on
//! most file systems. So a node votes on a disk that others have filled; its calls need that when
//! the other node dies.
//!
//! If all are gone the run cannot tell that from a first start: it proposes nothing while anybody
//! knows a view (`member/cold_start.rs` of the membership), and grants nothing before all others
//! have told it what they know (`voter.rs` there).

use super::frames::Framing;
use resilee_membership::VoterState;
use resilee_sbb::decode;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const NAMES: [&str; 2] = ["voter", "voter.other"];
/// A view names some thousand cohorts at most.
const FRAMING: Framing = Framing { magic: *b"RV1\n", bytes_max: 16 * 1024 * 1024 };
/// Room of a new file: for some hundred cohorts.
const ROOM_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub struct VoterFile {
    folder: PathBuf,
    /// Which file is the older one, once that is known.
    older: Option<usize>,
}

impl VoterFile {
    /// The files of a node's data directory.
    pub fn of(folder: &Path) -> VoterFile {
        VoterFile { folder: folder.to_owned(), older: None }
    }

    /// True if something was saved.
    pub fn exists(&self) -> bool {
        (0..NAMES.len()).any(|file| self.path(file).exists())
    }

    /// What was saved last; nothing if there is no file. What an operator should know is added to
    /// `notices`.
    pub fn load(&self, notices: &mut Vec<String>) -> Option<VoterState> {
        let mut load = |file| {
            self.load_one(file).unwrap_or_else(|reason| {
                let path = self.path(file);
                notices.push(format!(
                    "the voter's file {} is of no use ({reason}): what its other file or the \
                     store remembers counts",
                    path.display()
                ));
                None
            })
        };
        later(load(0), load(1))
    }

    /// Returns once the encoded state is safe.
    ///
    /// # Errors
    /// What the system says. What was saved before is still there.
    pub fn save(&mut self, state: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        FRAMING.push(state, &mut bytes)?;
        // Kept also if this fails: what is read then may be in the system's memory alone, and the
        // other file is all that is on the disk.
        let older = self.older.unwrap_or_else(|| 1 - self.load_later());
        self.older = Some(older);
        self.write(older, &bytes)?;
        if !self.path(1 - older).exists() {
            // Its room is taken while there is some.
            self.write(1 - older, &bytes)?;
        }
        self.older = Some(1 - older);
        Ok(())
    }

    fn path(&self, file: usize) -> PathBuf {
        self.folder.join(NAMES[file])
    }

    fn load_one(&self, file: usize) -> Result<Option<VoterState>, String> {
        let bytes = match fs::read(self.path(file)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let state = FRAMING.content(&bytes).ok_or("it is damaged")?;
        decode(state).map(Some).map_err(|error| error.to_string())
    }

    /// Which file has the later state; the second if none has one.
    fn load_later(&self) -> usize {
        let [first, second] = [0, 1].map(|file| self.load_one(file).ok().flatten());
        usize::from(first.is_none() || later(first.clone(), second) != first)
    }

    fn write(&self, file: usize, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(file);
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        let mut bytes = bytes.to_vec();
        if length < ROOM_BYTES as u64 && bytes.len() < ROOM_BYTES {
            bytes.resize(ROOM_BYTES, 0);
        }
        file.write_all(&bytes)?;
        file.sync_all()?;
        match length < bytes.len() as u64 {
            // A new one, or one that was not finished: its name must be on disk as well.
            true => File::open(&self.folder)?.sync_all(),
            false => Ok(()),
        }
    }
}

/// The later one of two states of one voter. Both numbers only grow.
pub fn later(one: Option<VoterState>, other: Option<VoterState>) -> Option<VoterState> {
    let age = |state: &VoterState| {
        (state.highest.number, state.vote.as_ref().map_or(0, |vote| vote.number))
    };
    one.into_iter().chain(other).max_by_key(age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_membership::View;
    use std::os::unix::fs::MetadataExt;

    fn state(number: u64) -> VoterState {
        VoterState { highest: View { number, ..View::default() }, ..VoterState::default() }
    }

    fn save(file: &mut VoterFile, number: u64) -> io::Result<()> {
        file.save(&resilee_sbb::encode(&state(number)).unwrap())
    }

    fn loaded(folder: &Path) -> (Option<VoterState>, usize) {
        let mut notices = Vec::new();
        let state = VoterFile::of(folder).load(&mut notices);
        (state, notices.len())
    }

    #[test]
    fn the_state_saved_last_counts_whoever_saves_the_next() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(loaded(dir.path()), (None, 0));
        for number in 1..=7 {
            let mut file = VoterFile::of(dir.path());
            save(&mut file, 2 * number).unwrap();
            save(&mut file, 2 * number + 1).unwrap();
            assert_eq!(loaded(dir.path()), (Some(state(2 * number + 1)), 0));
        }
    }

    #[test]
    fn a_state_that_is_half_written_leaves_the_one_before_it() {
        for number in 1..=4 {
            let dir = tempfile::tempdir().unwrap();
            let mut file = VoterFile::of(dir.path());
            for number in 1..=number {
                save(&mut file, number).unwrap();
            }
            let older = file.path(file.older.unwrap());
            let half = OpenOptions::new().write(true).open(older).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&half, &[0xa5; 20], 0).unwrap();
            assert_eq!(loaded(dir.path()), (Some(state(number)), 1));
            save(&mut VoterFile::of(dir.path()), number + 1).unwrap();
            assert_eq!(loaded(dir.path()), (Some(state(number + 1)), 0));
        }
    }

    #[test]
    fn a_save_that_failed_is_tried_again_over_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = VoterFile::of(dir.path());
        // The first of the two can be written, and the save fails nevertheless.
        std::os::unix::fs::symlink("nowhere/voter", file.path(1)).unwrap();
        save(&mut file, 1).unwrap_err();
        fs::remove_file(file.path(1)).unwrap();
        fs::copy(file.path(0), file.path(1)).unwrap();
        // Nobody knows whether that one is on the disk: the other one must not be touched.
        save(&mut file, 2).unwrap();
        assert_eq!(file.load_one(0), Ok(Some(state(2))));
        assert_eq!(file.load_one(1), Ok(Some(state(1))));
    }

    #[test]
    fn a_state_takes_no_room_on_the_disk_once_there_was_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = VoterFile::of(dir.path());
        save(&mut file, 1).unwrap();
        let taken = || {
            let folder = fs::read_dir(dir.path()).unwrap();
            let files = folder.map(|entry| entry.unwrap().metadata().unwrap());
            let mut files: Vec<_> = files.map(|it| (it.ino(), it.len(), it.blocks())).collect();
            files.sort_unstable();
            files
        };
        let before = taken();
        assert_eq!(before.len(), 2);
        assert!(before.iter().all(|(_, bytes, _)| *bytes == ROOM_BYTES as u64), "{before:?}");
        for number in 2..10 {
            save(&mut file, number).unwrap();
        }
        assert_eq!(taken(), before);
    }
}
