//! Reads property files and the files that they name.

use crate::place::{ConfigError, Located, Place};
use resilee_membership::Key;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most bytes of a property file.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// Most bytes of a key or token file.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// How a key is made.
const KEY_HELP: &str = "make one with: openssl rand -hex 32";

/// The text of a property file.
///
/// # Errors
/// It cannot be read, is too large, or is no text.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let mut place = Place { file: path.to_owned(), line: None, key: String::new() };
    let bytes = read_at_most(path, TEXT_BYTES_MAX)
        .map_err(|error| place.error(format!("cannot read this configuration: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        place.line = Some(1 + before.iter().filter(|byte| **byte == b'\n').count());
        place.error("text in UTF-8 is expected")
    })
}

/// What is in a file that a property file names.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_file(file: &Located<PathBuf>) -> Result<Vec<u8>, ConfigError> {
    let path = file.value.display();
    read_at_most(&file.value, SECRET_BYTES_MAX)
        .map_err(|error| file.place.error(format!("cannot read {path}: {error}")))
}

/// The cluster's key.
///
/// # Errors
/// The file cannot be read, or holds no key.
pub fn read_key(file: &Located<PathBuf>) -> Result<Key, ConfigError> {
    let bytes = read_file(file)?;
    Key::from_file_bytes(&bytes)
        .map_err(|error| file.place.error(format!("{}: {error}; {KEY_HELP}", file.value.display())))
}

fn read_at_most(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    // Only a usize of fewer than 64 bits could be too small for it.
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(io::Error::other(format!("it is larger than {} KiB", bytes_max >> 10)));
    }
    Ok(bytes)
}
