//! What the node's voter remembers, in a file of its own beside the store.
//!
//! A store that is damaged is moved aside, and one may be gone; a vote that went with it could be
//! given again, to another view of the same number. So each state is written here first, whole:
//! to a second file, synced, renamed over the first, and the folder synced. Then it goes into the
//! store like everything else, and the later one of the two counts.
//!
//! If both are gone the run cannot tell that from a first start: it proposes nothing while anybody
//! knows a view (`member/cold_start.rs` of the membership), and grants nothing before all others
//! have told it what they know (`voter.rs` there).

use super::frames::Framing;
use resilee_membership::VoterState;
use resilee_sbb::decode;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const NAME: &str = "voter";
/// A view names some thousand cohorts at most.
const FRAMING: Framing = Framing { magic: *b"RV1\n", bytes_max: 16 * 1024 * 1024 };

/// See the module.
#[derive(Clone, Debug)]
pub struct VoterFile {
    folder: PathBuf,
}

impl VoterFile {
    /// The file of a node's data directory.
    pub fn of(folder: &Path) -> VoterFile {
        VoterFile { folder: folder.to_owned() }
    }

    /// True if something was saved.
    pub fn exists(&self) -> bool {
        self.folder.join(NAME).exists()
    }

    /// What was saved last; nothing if there is no file.
    ///
    /// # Errors
    /// Why what is there cannot be read.
    pub fn load(&self) -> Result<Option<VoterState>, String> {
        let bytes = match fs::read(self.folder.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let state = FRAMING.content(&bytes).ok_or("it is damaged")?;
        decode(state).map(Some).map_err(|error| error.to_string())
    }

    /// Returns once the encoded state is safe.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, state: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        FRAMING.push(state, &mut bytes)?;
        let new = self.folder.join(format!("{NAME}.new"));
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(NAME))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// The later one of two states of one voter. Both numbers only grow.
pub fn later(one: Option<VoterState>, other: Option<VoterState>) -> Option<VoterState> {
    let age = |state: &VoterState| {
        (state.highest.number, state.vote.as_ref().map_or(0, |vote| vote.number))
    };
    one.into_iter().chain(other).max_by_key(age)
}
