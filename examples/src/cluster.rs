//! The processes of the story: a balancer and two servers, with their property files.
//!
//! The files are those of `resilient_billing`; they are copied into the data folder with the ports
//! of the run, so that what runs can be read and run again by hand.

use crate::ports::Ports;
use crate::process::Process;
use anyhow::{Context, bail};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// How long the story waits for the others before it fails.
pub const OTHERS_WITHIN: Duration = Duration::from_secs(30);

/// Names of the servers, in the order of the balancer's file.
pub const SERVERS: [&str; 2] = ["server1", "server2"];

/// Property files, and the key they name.
const FILES: [(&str, &str); 5] = [
    ("balancer.toml", include_str!("../resilient_billing/balancer.toml")),
    ("server1.toml", include_str!("../resilient_billing/server1.toml")),
    ("server2.toml", include_str!("../resilient_billing/server2.toml")),
    ("cluster.key", include_str!("../resilient_billing/cluster.key")),
    ("admin.token", include_str!("../resilient_billing/admin.token")),
];

/// What stands before each port in the files.
const LOOPBACK: &str = "127.0.0.1:";

/// Held while the story runs in a folder.
const LOCK: &str = "example.lock";

/// Most deaths that wait to be told.
const DEATHS_MAX: usize = 4;

/// The processes, and where their files are.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    balancer: Option<Process>,
    servers: [Option<Process>; 2],
    deaths: mpsc::Sender<String>,
    /// Keeps others out of the folder.
    _lock: File,
}

impl Cluster {
    /// Takes the folder, and nothing in it is changed if somebody has it. What dies later is told
    /// to the receiver.
    pub fn take(folder: &Path) -> anyhow::Result<(Self, mpsc::Receiver<String>)> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make --data-dir {}", folder.display()))?;
        // Children run in it, so its name must not depend on where this process runs.
        let folder = folder.canonicalize().context("cannot find --data-dir again")?;
        let lock = lock(&folder, LOCK)?;
        for server in SERVERS {
            // A server that was started by hand holds the lock of its store.
            let store_lock = format!("{server}.data/lock");
            if folder.join(&store_lock).exists() {
                drop(self::lock(&folder, &store_lock)?);
            }
        }
        let (deaths, told) = mpsc::channel(DEATHS_MAX);
        let servers = [None, None];
        Ok((Cluster { folder, balancer: None, servers, deaths, _lock: lock }, told))
    }

    /// Writes the property files; nothing runs yet.
    pub fn write_files(&self, ports: Ports) -> anyhow::Result<()> {
        for (name, text) in FILES {
            let file = self.folder.join(name);
            fs::write(&file, with_ports(text, ports))
                .with_context(|| format!("cannot write {}", file.display()))?;
            if !name.ends_with(".toml") {
                make_private(&file)?;
            }
        }
        Ok(())
    }

    /// Where files, stores and logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the balancer.
    pub fn start_balancer(&mut self) -> anyhow::Result<()> {
        let config = self.folder.join("balancer.toml");
        self.balancer =
            Some(Process::start("balancer", &["balancer"], &config, self.deaths.clone())?);
        Ok(())
    }

    /// Starts the server with this index.
    pub fn start_server(&mut self, index: usize) -> anyhow::Result<()> {
        let config = self.folder.join(format!("{}.toml", SERVERS[index]));
        let process = Process::start(SERVERS[index], &["node"], &config, self.deaths.clone())?;
        self.servers[index] = Some(process);
        Ok(())
    }

    /// SIGKILL to the server with this index; the moment before it.
    pub fn kill_server(&mut self, index: usize) -> anyhow::Result<SystemTime> {
        let killed_at = SystemTime::now();
        if let Some(mut process) = self.servers[index].take() {
            process.kill()?;
        }
        Ok(killed_at)
    }

    /// Log of a process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// SIGTERM to all, servers first; names of those that did not end with exit code 0.
    pub fn shut_down(&mut self) -> Vec<String> {
        let servers = self.servers.iter_mut().filter_map(Option::take);
        let processes: Vec<Process> = servers.chain(self.balancer.take()).collect();
        let end = |mut process: Process| {
            let ended_well = process.terminate().is_ok() && process.has_ended_well();
            (!ended_well).then(|| process.name().to_owned())
        };
        processes.into_iter().filter_map(end).collect()
    }
}

/// The lock file `name` of a folder, held until it is dropped.
fn lock(folder: &Path, name: &str) -> anyhow::Result<File> {
    let path = folder.join(name);
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "{} is in use by another process, which holds {name} there: end that one, or choose \
             another folder with --data-dir",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// The text with every loopback port moved to that of this run.
fn with_ports(text: &str, ports: Ports) -> String {
    let mut parts = text.split(LOOPBACK);
    let mut moved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (digits, rest) = part.split_at(end);
        moved.push_str(LOOPBACK);
        match digits.parse() {
            Ok(port) => moved.push_str(&ports.moved(port).to_string()),
            Err(_) => moved.push_str(digits),
        }
        moved.push_str(rest);
    }
    moved
}

/// Keys and tokens are their owner's to read only.
fn make_private(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot make {} private", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_the_run_replace_those_of_the_files() {
        let ports = Ports::new(15_060, 18_081).unwrap();
        let text = "listen = \"127.0.0.1:5060\" # 127.0.0.1:506, 127.0.0.1: 5060\n\
                    a = \"127.0.0.1:5066\" b = \"127.0.0.1:8082\" c = \"127.0.0.1:8083\"";
        let expected = "listen = \"127.0.0.1:15060\" # 127.0.0.1:506, 127.0.0.1: 5060\n\
                        a = \"127.0.0.1:15066\" b = \"127.0.0.1:18082\" c = \"127.0.0.1:8083\"";
        assert_eq!(with_ports(text, ports), expected);
        assert_eq!(with_ports(FILES[1].1, Ports::new(5060, 8081).unwrap()), FILES[1].1);
    }

    #[test]
    fn a_folder_in_use_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let first = Cluster::take(folder.path()).unwrap();
        first.0.write_files(Ports::new(5060, 8081).unwrap()).unwrap();
        let refused = Cluster::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&folder.path().display().to_string()), "{refused}");
        assert!(refused.contains("--data-dir"), "{refused}");
        drop(first);
        let store = folder.path().join("server2.data");
        fs::create_dir(&store).unwrap();
        let by_hand = File::create(store.join("lock")).unwrap();
        by_hand.lock().unwrap();
        let refused = Cluster::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("server2.data/lock"), "{refused}");
        drop(by_hand);
        Cluster::take(folder.path()).unwrap();
    }

    #[test]
    fn ports_that_meet_are_refused() {
        assert!(Ports::new(5060, 5061).is_err());
        assert!(Ports::new(65_535, 8081).is_err() && Ports::new(0, 8081).is_err());
    }
}
