//! What happens to the store of a server that is dead at that moment.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Removes the store; the journal of bills stays.
pub fn remove_store(data_dir: &Path) -> Result<()> {
    let store = data_dir.join("store");
    fs::remove_dir_all(&store).with_context(|| format!("cannot remove {}", store.display()))
}

/// Removes all that the server ever stored.
pub fn remove_all(data_dir: &Path) -> Result<()> {
    fs::remove_dir_all(data_dir).with_context(|| format!("cannot remove {}", data_dir.display()))
}

/// Writes noise over the whole of the store's file: a part of it may be one that nothing is in,
/// and no damage at all.
pub fn overwrite(data_dir: &Path) -> Result<()> {
    let path = data_dir.join("store/db");
    let length = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?.len();
    fs::write(&path, vec![0xa5; usize::try_from(length)?])?;
    Ok(())
}
