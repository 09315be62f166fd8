//! The state file: the seat's voter state, stored whole, so that it survives any kill.
//!
//! A new state is written to a second file, synced, and renamed over the first; then the
//! directory is synced. A file that was read but does not decode stops the balancer: a voter
//! without its memory could vote twice.

use super::RunError;
use resilee_config::{Located, Place};
use resilee_membership::VoterState;
use resilee_sbb::{decode, encode};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    state: VoterState,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// Where the configuration names it.
    place: Place,
}

impl StateFile {
    pub(super) fn new(file: Located<PathBuf>) -> Self {
        StateFile { path: file.value, place: file.place }
    }

    /// What was stored last; none if there is no file.
    pub(super) fn load(&self) -> Result<Option<VoterState>, RunError> {
        let (path, place) = (self.path.clone(), self.place.clone());
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.folder().is_dir() => {
                return Ok(None);
            }
            Err(error) => {
                let what = format!("cannot read {}: {error}", path.display());
                return Err(place.error(what).into());
            }
        };
        match decode::<Record>(&bytes) {
            Ok(Record { version: VERSION, state }) => Ok(Some(state)),
            Ok(Record { version, .. }) => {
                let what = format!("version {version} is unknown");
                Err(RunError::State { place, path, what })
            }
            Err(error) => Err(RunError::State { place, path, what: error.to_string() }),
        }
    }

    /// Keeps every other process out until it is dropped: two with one vote could give it twice.
    pub(super) fn lock(&self) -> Result<File, RunError> {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        let failed =
            |error: io::Error| self.place.error(format!("cannot lock {}: {error}", path.display()));
        // Opened for writing, but never written: the state file itself is replaced at each save.
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let path = self.path.display();
                let what = format!("{path} is in use by another balancer: end that one first");
                Err(self.place.error(what).into())
            }
            Err(TryLockError::Error(error)) => Err(failed(error).into()),
        }
    }

    /// Returns once the state is safe.
    pub(super) fn save(&self, state: &VoterState) -> io::Result<()> {
        let record = Record { version: VERSION, state: state.clone() };
        let bytes = encode(&record).map_err(io::Error::other)?;
        let mut new_path = self.path.clone().into_os_string();
        new_path.push(".new");
        let mut file = File::create(&new_path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new_path, &self.path)?;
        File::open(self.folder())?.sync_all()
    }

    fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use resilee_membership::View;
    use std::net::SocketAddr;

    fn no_names(_: &str) -> Result<SocketAddr, String> {
        Err("no names here".to_owned())
    }

    #[test]
    fn a_state_is_read_back_and_a_damaged_file_is_refused() {
        let directory = std::env::temp_dir().join(format!("resilee-state-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let text = "listen = \"127.0.0.1:1\"\nkey_file = \"k\"\n[[server]]\nname = \"a\"\n\
                    address = \"127.0.0.1:2\"\n";
        let config = Config::parse(&directory.join("balancer.toml"), text, no_names).unwrap();
        let file = StateFile::new(config.state_file);
        assert!(file.load().unwrap().is_none());
        let highest = View { number: 7, ..View::default() };
        let state = VoterState { highest, ..Default::default() };
        file.save(&state).unwrap();
        assert_eq!(file.load().unwrap(), Some(state));
        fs::write(directory.join("balancer.state"), b"damage").unwrap();
        assert!(matches!(file.load(), Err(RunError::State { .. })));
        fs::remove_dir_all(&directory).unwrap();
    }
}
