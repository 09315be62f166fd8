//! Where in a property file something stands, and the error that says so.

use std::fmt;
use std::path::PathBuf;

/// A key in a property file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) file: PathBuf,
    /// None if the key is not in the file, or the file could not be read.
    pub(crate) line: Option<usize>,
    /// With the tables it is in, `heartbeat.missed`; empty if it is about no key.
    pub(crate) key: String,
}

impl Place {
    /// An error about this place.
    pub fn error(&self, what: impl Into<String>) -> ConfigError {
        ConfigError { place: self.clone(), what: what.into() }
    }

    /// The line, counted from 1; none if the key is not in the file.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The key with its tables, as in `heartbeat.missed`.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}

/// A value, and where it stands, for errors that are found later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// Something wrong in a property file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    place: Place,
    what: String,
}

impl ConfigError {
    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }
}
