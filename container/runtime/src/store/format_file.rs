//! The format of what a data directory holds, as a number in a file of its own.
//!
//! | `format` holds  | what is done                                                      |
//! |-----------------|-------------------------------------------------------------------|
//! | (no file)       | this format is written: the directory is new, or of before it was |
//! | this format     | nothing                                                           |
//! | a later one     | the directory is left alone: a later version of Resilee wrote it  |
//! | anything else   | the same                                                          |
//!
//! What may change without another format is in the core's `format.rs`.

use super::engine::StoreError;
use resilee_core::FORMAT;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

const NAME: &str = "format";

/// Says of a data directory whether this code may use it, before anything else in it is touched.
///
/// # Errors
/// Another format, or what the system says.
pub fn check(data_dir: &Path) -> Result<(), StoreError> {
    let path = data_dir.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim() == FORMAT.to_string() => Ok(()),
        Ok(text) => {
            let found = text.trim().chars().take(20).collect();
            Err(StoreError::Format { path: data_dir.to_owned(), found })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            write(data_dir).map_err(|reason| StoreError::Io { path, reason })
        }
        Err(reason) => Err(StoreError::Io { path, reason }),
    }
}

fn write(data_dir: &Path) -> io::Result<()> {
    // A name that is there at once, with its content: a half-written file would be another format.
    let new = data_dir.join("format.new");
    let mut file = File::create(&new)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    fs::rename(&new, data_dir.join(NAME))?;
    File::open(data_dir)?.sync_all()
}
