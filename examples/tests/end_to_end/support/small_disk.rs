//! A disk of one node alone that can be full: a file system in memory, mounted where the node
//! keeps its data, in a mount namespace of the node's own.

use super::cluster::Cluster;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Far more than a few calls need.
const SIZE: &str = "size=24m";
/// So much is written at once to fill it.
const CHUNK_BYTES: usize = 64 * 1024;
/// Mounts at the first argument and becomes the rest.
const SCRIPT: &str = "mount -t tmpfs -o \"$1\" disk \"$2\" && shift 2 && exec \"$@\"";

/// See the module. It ends with the process.
#[derive(Debug)]
pub struct SmallDisk {
    /// What takes all the room, as the node's process has it.
    filler: PathBuf,
}

impl SmallDisk {
    /// Starts `server` on an empty one; nothing, with a line that says so, if the system lets
    /// nobody mount.
    #[track_caller]
    pub fn of_node(cluster: &mut Cluster, server: usize) -> Option<Self> {
        let mut trial = unshare();
        trial.args(["true"]).stdout(Stdio::null()).stderr(Stdio::null());
        if !trial.status().is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "unshare gives no mount namespace");
            println!("LEFT OUT: this system gives us no mount namespace");
            return None;
        }
        let at = cluster.data_dir(server);
        fs::create_dir_all(&at).expect("the folder takes folders");
        let mut around = unshare();
        around.args(["sh", "-c", SCRIPT, "sh", SIZE]).arg(&at);
        let id = cluster.start_node_in(server, around);
        let at = at.strip_prefix("/").expect("a temporary folder has a whole path");
        Some(SmallDisk {
            filler: PathBuf::from(format!("/proc/{id}/root")).join(at).join("filler"),
        })
    }

    /// From now on nothing more can be written.
    #[track_caller]
    pub fn fill(&self) {
        let mut file = File::create(&self.filler).expect("there is room for a name");
        let mut bytes = CHUNK_BYTES;
        while bytes > 0 {
            if file.write_all(&vec![7; bytes]).is_err() {
                bytes /= 2;
            }
        }
    }

    /// There is room again.
    #[track_caller]
    pub fn make_room(&self) {
        fs::remove_file(&self.filler).expect("it was filled");
    }
}

/// The command that runs another one in a mount namespace.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--"]);
    command
}
