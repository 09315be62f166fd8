//! The processes of the story: balancers and two servers, with their property files.

use crate::ports::Ports;
use crate::process::Process;
use crate::setting::Setting;
use anyhow::{Context, bail};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// How long the story waits for the others before it fails.
pub const OTHERS_WITHIN: Duration = Duration::from_secs(30);

/// Names of the servers, in the order of the balancer's file.
pub const SERVERS: [&str; 2] = ["server1", "server2"];

/// What stands before each port in the files.
const LOOPBACK: [&str; 2] = ["127.0.0.1:", "127.0.0.2:"];

/// Held while the story runs in a folder.
const LOCK: &str = "example.lock";

/// Most deaths that wait to be told.
const DEATHS_MAX: usize = 4;

/// The processes, and where their files are.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    setting: Setting,
    balancers: Vec<Option<Process>>,
    servers: [Option<Process>; 2],
    deaths: mpsc::Sender<String>,
    /// Keeps others out of the folder.
    _lock: File,
}

impl Cluster {
    /// Takes the folder, and nothing in it is changed if somebody has it. What dies later is told
    /// to the receiver.
    pub fn take(folder: &Path, setting: Setting) -> anyhow::Result<(Self, mpsc::Receiver<String>)> {
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
        let balancers = setting.balancers.iter().map(|_| None).collect();
        let servers = [None, None];
        Ok((Cluster { folder, setting, balancers, servers, deaths, _lock: lock }, told))
    }

    /// Writes the property files; nothing runs yet.
    pub fn write_files(&self, ports: Ports) -> anyhow::Result<()> {
        for (name, text) in self.setting.files {
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

    /// How many balancers there are.
    pub fn balancer_count(&self) -> usize {
        self.balancers.len()
    }

    /// Starts the balancer with this index.
    pub fn start_balancer(&mut self, index: usize) -> anyhow::Result<()> {
        let (name, role) = self.setting.balancers[index];
        let config = self.folder.join(format!("{name}.toml"));
        let process = Process::start(name, &[role], &config, self.deaths.clone())?;
        self.balancers[index] = Some(process);
        Ok(())
    }

    /// SIGKILL to the balancer with this index; the moment before it.
    pub fn kill_balancer(&mut self, index: usize) -> anyhow::Result<SystemTime> {
        kill(&mut self.balancers[index])
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
        kill(&mut self.servers[index])
    }

    /// Log of a process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// SIGTERM to all, servers first; names of those that did not end with exit code 0.
    pub fn shut_down(&mut self) -> Vec<String> {
        let processes = self.servers.iter_mut().chain(&mut self.balancers);
        let processes: Vec<Process> = processes.filter_map(Option::take).collect();
        let end = |mut process: Process| {
            let ended_well = process.terminate().is_ok() && process.has_ended_well();
            (!ended_well).then(|| process.name().to_owned())
        };
        processes.into_iter().filter_map(end).collect()
    }
}

fn kill(process: &mut Option<Process>) -> anyhow::Result<SystemTime> {
    let killed_at = SystemTime::now();
    if let Some(mut process) = process.take() {
        process.kill()?;
    }
    Ok(killed_at)
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
    LOOPBACK.iter().fold(text.to_owned(), |text, address| with_ports_at(address, &text, ports))
}

fn with_ports_at(address: &str, text: &str, ports: Ports) -> String {
    let mut parts = text.split(address);
    let mut moved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (digits, rest) = part.split_at(end);
        moved.push_str(address);
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
    use crate::setting::ONE_BALANCER;
    use std::net::Ipv4Addr;

    fn ports(sip: u16, http: u16) -> Ports {
        Ports::new(Ipv4Addr::LOCALHOST, sip, http).unwrap()
    }

    #[test]
    fn ports_of_the_run_replace_those_of_the_files() {
        let moved = ports(15_060, 18_081);
        let text = "listen = \"127.0.0.1:5060\" # 127.0.0.1:506, 127.0.0.1: 5060\n\
                    a = \"127.0.0.1:5066\" b = \"127.0.0.1:8082\" c = \"127.0.0.1:8083\"";
        let expected = "listen = \"127.0.0.1:15060\" # 127.0.0.1:506, 127.0.0.1: 5060\n\
                        a = \"127.0.0.1:15066\" b = \"127.0.0.1:18082\" c = \"127.0.0.1:8083\"";
        assert_eq!(with_ports(text, moved), expected);
        let server = ONE_BALANCER.files[1].1;
        assert_eq!(with_ports(server, ports(5060, 8081)), server);
    }

    #[test]
    fn a_folder_in_use_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let first = Cluster::take(folder.path(), ONE_BALANCER).unwrap();
        first.0.write_files(ports(5060, 8081)).unwrap();
        let refused = Cluster::take(folder.path(), ONE_BALANCER).unwrap_err().to_string();
        assert!(refused.contains(&folder.path().display().to_string()), "{refused}");
        assert!(refused.contains("--data-dir"), "{refused}");
        drop(first);
        let store = folder.path().join("server2.data");
        fs::create_dir(&store).unwrap();
        let by_hand = File::create(store.join("lock")).unwrap();
        by_hand.lock().unwrap();
        let refused = Cluster::take(folder.path(), ONE_BALANCER).unwrap_err().to_string();
        assert!(refused.contains("server2.data/lock"), "{refused}");
        drop(by_hand);
        Cluster::take(folder.path(), ONE_BALANCER).unwrap();
    }

    #[test]
    fn ports_that_meet_are_refused() {
        let is_refused = |sip, http| Ports::new(Ipv4Addr::LOCALHOST, sip, http).is_err();
        assert!(is_refused(5060, 5061) && is_refused(65_535, 8081) && is_refused(0, 8081));
    }
}
