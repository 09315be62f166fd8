//! What runs on the hosts: their property files and processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use super::fault::Fault;
use super::network::{ENTRY, HOSTS, PHONES_SIDE};
use crate::own_network::command_on;
use crate::pair::{
    Bill, KEY, Management, Process, TOKEN, TOKEN_FILE, first_line, service_tables, wait_until,
};

/// How long a start may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// After the last call: its bill, and a server that comes back.
const QUIET_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const KEEPER_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
pub struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    processes: BTreeMap<&'static str, Process>,
    /// keepalived on the balancers' hosts, which has its own children.
    keepers: BTreeMap<&'static str, Process>,
}

impl Cluster {
    /// Starts everything, and waits until a balancer serves a pair.
    pub fn start(binaries: &Path, folder: &Path, keepalived: bool) -> Result<Self> {
        write_files(binaries, folder, keepalived)?;
        let mut cluster = Cluster {
            folder: folder.to_owned(),
            binaries: binaries.to_owned(),
            processes: BTreeMap::new(),
            keepers: BTreeMap::new(),
        };
        for host in ["balancer1", "balancer2", "server1", "server2"] {
            cluster.start_process(host)?;
        }
        if keepalived {
            for host in ["balancer1", "balancer2"] {
                cluster.start_keepalived(host)?;
            }
        }
        let backed = || Ok(["server1", "server2"].iter().all(|it| management(it).is_backed()));
        wait_until("the servers are a pair", START_MAX, LOOK_EVERY, backed)?;
        let since = SystemTime::UNIX_EPOCH;
        wait_until("balancer1 is at the address", START_MAX, LOOK_EVERY, || {
            Ok(cluster.took_address("balancer1", since).is_some())
        })?;
        Ok(cluster)
    }

    /// Starts what runs on a host, again if it was killed.
    pub fn start_process(&mut self, host: &'static str) -> Result<()> {
        let program = if host.starts_with("balancer") { "resilee-balancer" } else { "resilee" };
        let program = self.binaries.join(program);
        let mut command = command_on(Some(host), &program.display().to_string());
        if host.starts_with("server") {
            command.arg("node");
        }
        command.arg("--config").arg(format!("{host}.toml"));
        self.processes.insert(host, Process::start(host, &self.folder, command)?);
        Ok(())
    }

    /// Starts keepalived on a host, again if it was ended.
    pub fn start_keepalived(&mut self, host: &'static str) -> Result<()> {
        let mut command = command_on(Some(host), "keepalived");
        command.args(["--dont-fork", "--log-console", "--use-file", "keepalived.conf"]);
        for (option, file) in
            [("--pid", "pid"), ("--vrrp_pid", "vrrp"), ("--checkers_pid", "check")]
        {
            command.arg(option).arg(self.folder.join(format!("{host}.keepalived.{file}")));
        }
        let keeper = Process::start(&format!("{host}.keepalived"), &self.folder, command);
        self.keepers.insert(host, keeper.context("keepalived is needed")?);
        Ok(())
    }

    /// By SIGTERM it ends its children, too, and removes the address; the moment before it.
    pub fn end_keepalived(&mut self, host: &str) -> Result<SystemTime> {
        let at = SystemTime::now();
        let mut keeper = self.keepers.remove(host).context("it has ended already")?;
        keeper.signal(nix::sys::signal::Signal::SIGTERM)?;
        keeper.wait(KEEPER_ENDS_WITHIN)?;
        Ok(at)
    }

    /// SIGKILL; the moment before it.
    pub fn kill(&mut self, host: &str) -> Result<SystemTime> {
        let killed_at = SystemTime::now();
        let mut process = self.processes.remove(host).context("it is dead already")?;
        process.kill()?;
        Ok(killed_at)
    }

    /// Ends everything.
    pub fn end(mut self) {
        self.processes.clear();
        for host in ["balancer1", "balancer2"] {
            // It may have ended by itself.
            let _ = self.end_keepalived(host);
        }
    }

    /// When, after that moment, a balancer was at the phones' address, by its log.
    pub fn took_address(&self, host: &str, since: SystemTime) -> Option<Duration> {
        first_line(&self.log(host), since, |said| said.contains("it is where clients are"))
    }

    /// When, after that moment, a server adopted a view without the other one, by its log.
    pub fn went_on_alone(&self, host: &str, since: SystemTime) -> Option<Duration> {
        let alone = |said: &str| said.contains(" adopted: ") && !said.contains(", ");
        first_line(&self.log(host), since, alone)
    }

    fn log(&self, host: &str) -> String {
        let bytes = fs::read(self.folder.join(format!("{host}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Servers that must have all bills at the end.
    pub fn survivors(&self, fault: Fault) -> Vec<&'static str> {
        let all = ["server1", "server2"].into_iter();
        all.filter(|server| fault != Fault::KillServer || *server != "server1").collect()
    }

    /// The bills of a server, once no call is left and their number rests.
    pub fn bills_once_quiet(&self, server: &str) -> Result<Vec<Bill>> {
        let management = management(server);
        let deadline = Instant::now() + QUIET_MAX;
        let mut before = None;
        loop {
            if management.calls().is_ok_and(|calls| calls == 0) {
                let bills = management.bills()?;
                if before == Some(bills.len()) {
                    return Ok(bills);
                }
                before = Some(bills.len());
            }
            ensure!(Instant::now() < deadline, "{server} still has calls, or does not answer");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

fn address(host: &str) -> &'static str {
    let found = HOSTS.into_iter().find(|(name, ..)| *name == host);
    found.and_then(|(_, address, _)| address).unwrap_or_default()
}

fn management(server: &str) -> Management {
    Management::new(&format!("{}:8081", address(server)))
}

fn write_files(binaries: &Path, folder: &Path, keepalived: bool) -> Result<()> {
    fs::write(folder.join("cluster.key"), KEY)?;
    fs::write(folder.join(TOKEN_FILE), TOKEN)?;
    let mut certificates = std::process::Command::new(binaries.join("resilee"));
    certificates.current_dir(folder).args(["ctl", "cluster", "certificates"]);
    certificates.args(["--out", "certificates", "--node", "server1", "--node", "server2"]);
    let made = certificates.output().context("cannot start resilee ctl")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr).trim());
    for (host, peer) in [("balancer1", "balancer2"), ("balancer2", "balancer1")] {
        fs::write(folder.join(format!("{host}.toml")), balancer(host, peer, keepalived))?;
    }
    for (host, peer) in [("server1", "server2"), ("server2", "server1")] {
        fs::write(folder.join(format!("{host}.toml")), server(host, peer))?;
    }
    if keepalived {
        write_keepalived(folder)?;
    }
    Ok(())
}

/// The files for people, with the addresses of this network.
fn write_keepalived(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let script = folder.join("check-seat");
    fs::write(&script, include_str!("../../../balancer/keepalived/check-seat"))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let text = include_str!("../../../balancer/keepalived/keepalived.conf");
    let text = text.replace("/usr/local/lib/resilee/check-seat", &script.display().to_string());
    // Folders on the way to this one may be anybody's.
    let text = text
        .replace("    enable_script_security\n    script_user nobody\n", "    script_user root\n");
    let text = text.replace("192.0.2.10", ENTRY).replace("eth0", PHONES_SIDE);
    fs::write(folder.join("keepalived.conf"), text)?;
    Ok(())
}

fn balancer(host: &str, peer: &str, keepalived: bool) -> String {
    let interface =
        if keepalived { String::new() } else { format!("interface = \"{PHONES_SIDE}\"\n") };
    let mut text = format!(
        "listen = \"{ENTRY}:5060\"\nkey_file = \"cluster.key\"\nstate_file = \"{host}.state\"\n\
         [pair]\nname = \"{host}\"\npeer = \"{peer}\"\n{interface}\
         [heartbeat]\ninterval_ms = 50\nmissed = 6\n[health]\nramp_up_s = 0\n\
         [protection]\nallow = [\"10.9.1.0/24\"]\n[metrics]\nlisten = \"127.0.0.1:9160\"\n"
    );
    for server in ["server1", "server2"] {
        let entry =
            format!("[[server]]\nname = \"{server}\"\naddress = \"{}:5063\"\n", address(server));
        text.push_str(&entry);
    }
    text
}

fn server(host: &str, peer: &str) -> String {
    let (own, other) = (address(host), address(peer));
    let head = format!(
        "[node]\nname = \"{host}\"\ndata_dir = \"{host}.data\"\n\
         [sip]\nlisten = \"{own}:5063\"\nbehind_balancer = \"{ENTRY}:5060\"\n\
         [cluster]\nlisten = \"{own}:5065\"\nkey_file = \"cluster.key\"\n\
         peers = [{{ name = \"{peer}\", address = \"{other}:5065\" }}]\n\
         balancers = [\"balancer1\", \"balancer2\"]\n\
         certificate_file = \"certificates/{host}.pem\"\n\
         private_key_file = \"certificates/{host}-key.pem\"\nca_file = \"certificates/ca.pem\"\n\
         [admin]\nlisten = \"{own}:8081\"\ntoken_file = \"{TOKEN_FILE}\"\n"
    );
    head + &service_tables()
}
