//! What happens to the store of a server that is dead at that moment.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::random::Random;

/// So many bytes are overwritten at the front, without which a store does not open.
const FRONT_BYTES: usize = 4_096;
/// And so many at some other place.
const PLACE_BYTES: usize = 512;

/// Removes the store; the journal of bills stays.
pub fn remove_store(data_dir: &Path) -> Result<()> {
    let store = data_dir.join("store");
    fs::remove_dir_all(&store).with_context(|| format!("cannot remove {}", store.display()))
}

/// Removes all that the server ever stored.
pub fn remove_all(data_dir: &Path) -> Result<()> {
    fs::remove_dir_all(data_dir).with_context(|| format!("cannot remove {}", data_dir.display()))
}

/// Writes noise over parts of the store's file.
pub fn overwrite(data_dir: &Path, random: &mut Random) -> Result<()> {
    let path = data_dir.join("store/db");
    let file = OpenOptions::new().write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    file.write_all_at(&[0xa5; FRONT_BYTES], 0)?;
    let end = file.metadata()?.len().saturating_sub(PLACE_BYTES as u64);
    file.write_all_at(&[0x5a; PLACE_BYTES], random.between(0, end))?;
    Ok(())
}
