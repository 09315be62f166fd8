//! A disk of one server alone that can be full: a file system in memory, mounted in the task's own
//! mount namespace, whose size is what is used of it as long as it is to be full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::statvfs::statvfs;

use crate::own_network;

/// Room for whatever a run stores.
const ROOM_BYTES: u64 = 1 << 30;
/// The server writes while its disk becomes full, so the size is tried again.
const TRIES: u32 = 50;

/// Mounted until it is dropped; what it held is gone then.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// An empty one at `at`, with room.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn mount(at: &Path) -> Result<Self> {
        ensure!(
            own_network::is_inside(),
            "disks are mounted in a namespace of the task's own only"
        );
        fs::create_dir_all(at)?;
        mount(&format!("size={ROOM_BYTES}"), at)?;
        Ok(SmallDisk { at: at.to_owned() })
    }

    /// From now on nothing more can be written.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn fill(&self) -> Result<()> {
        let mut last = Ok(());
        for _ in 0..TRIES {
            let disk = statvfs(&self.at)?;
            let used = (disk.blocks() - disk.blocks_free()) * disk.fragment_size();
            last = self.resize(used);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// There is room again.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn make_room(&self) -> Result<()> {
        self.resize(ROOM_BYTES)
    }

    fn resize(&self, bytes: u64) -> Result<()> {
        mount(&format!("remount,size={bytes}"), &self.at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It ends with the namespace at the latest.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

fn mount(options: &str, at: &Path) -> Result<()> {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "soak"]).arg(at);
    let output = command.output().context("cannot start `mount` (package mount)")?;
    if !output.status.success() {
        bail!("mount -o {options}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
