//! SIPp as callers and callees, with the scenarios of the end-to-end tests
//! (`examples/tests/sipp`), and what it says of its calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::own_network;
use crate::pair::{DOMAIN, Process, SIP, USERS, user};

/// Where the scenarios are, from the root of the repository.
const SCENARIOS: &str = "examples/tests/sipp";
/// Where callees are, and before that register from.
const CALLEE_PORT: u16 = 5081;
const CALLER_PORT: u16 = 5080;
/// How long all registrations may take.
const REGISTER_MAX: Duration = Duration::from_secs(30);
/// How long the callees may take to write their statistics.
const CALLEE_END_MAX: Duration = Duration::from_secs(3);
/// How long a callee rings, in the scenario; no delay of ours.
pub const RING_MS: u64 = 100;

/// Where phones are, and where they send to.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Their address.
    pub address: &'a str,
    /// A network namespace; none: that of the task.
    pub host: Option<&'a str>,
    /// What they send to.
    pub proxy: &'a str,
    /// What they sign for: else SIPp signs for the address it sends to, which a forwarder may have.
    pub signed: &'a str,
}

impl Place<'_> {
    /// Beside a pair on loopback.
    pub const LOOPBACK: Place<'static> =
        Place { address: "127.0.0.1", host: None, proxy: SIP, signed: SIP };
}

/// Callees that answer and a caller that calls them.
pub struct Phones {
    folder: PathBuf,
    callee: Process,
    caller: Process,
}

/// How much they call.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Calls that begin in a second.
    pub rate: u32,
    /// For so long.
    pub seconds: u32,
    /// From answer to BYE.
    pub talk_ms: u32,
}

impl Load {
    /// How many calls that makes.
    pub fn calls(self) -> u32 {
        self.rate * self.seconds
    }

    /// Calls of the plan that did not come to their end.
    pub fn failed(self, calls: &BTreeMap<String, Call>) -> u64 {
        let good = calls.values().filter(|call| call.is_good()).count() as u64;
        u64::from(self.calls()).saturating_sub(good)
    }

    /// From the first INVITE to the last BYE, if all goes well.
    pub fn duration(self) -> Duration {
        let talk = Duration::from_millis(u64::from(self.talk_ms) + RING_MS);
        Duration::from_secs(self.seconds.into()) + talk
    }
}

/// What the caller's log says of one call: milliseconds of SIPp's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// The first INVITE went.
    pub invited_ms: Option<u64>,
    /// The 180 came.
    pub rang_ms: Option<u64>,
    /// The 200 came.
    pub answered_ms: Option<u64>,
    /// The first BYE went.
    pub hung_up_ms: Option<u64>,
    /// Its 200 came.
    pub over_ms: Option<u64>,
}

impl Call {
    /// From INVITE to 180.
    pub fn ring_delay_ms(&self) -> Option<u64> {
        self.rang_ms?.checked_sub(self.invited_ms?)
    }

    /// From INVITE to 200, without the time that the callee rings.
    pub fn set_up_ms(&self) -> Option<u64> {
        Some(self.answered_ms?.checked_sub(self.invited_ms?)?.saturating_sub(RING_MS))
    }

    /// From the 200 to the first BYE.
    pub fn held_ms(&self) -> Option<u64> {
        self.hung_up_ms?.checked_sub(self.answered_ms?)
    }

    /// True if it came to its end.
    pub fn is_good(&self) -> bool {
        self.answered_ms.is_some() && self.over_ms.is_some()
    }

    /// From the first BYE to its 200.
    pub fn release_ms(&self) -> Option<u64> {
        self.over_ms?.checked_sub(self.hung_up_ms?)
    }
}

impl Phones {
    /// Registers all users, and starts callees and caller.
    pub fn start(root: &Path, folder: &Path, load: Load) -> Result<Self> {
        Phones::start_at(root, folder, load, Place::LOOPBACK)
    }

    /// The same, of phones somewhere else.
    pub fn start_at(root: &Path, folder: &Path, load: Load, place: Place<'_>) -> Result<Self> {
        let scenarios = root.join(SCENARIOS);
        register(&scenarios, folder, place)?;
        let calls = load.calls().to_string();
        let (rate, talk) = (load.rate.to_string(), load.talk_ms.to_string());
        let callee = sipp(&scenarios, folder, place, ("callee", CALLEE_PORT), &[])?;
        let options = [
            place.proxy,
            "-inf",
            "users.csv",
            "-m",
            &calls,
            "-r",
            &rate,
            "-d",
            &talk,
            "-l",
            &calls,
        ];
        let caller = sipp(&scenarios, folder, place, ("caller", CALLER_PORT), &options)?;
        Ok(Phones { folder: folder.to_owned(), callee, caller })
    }

    /// Waits until the caller has ended all its calls, one way or the other; after `within` it
    /// gives up those that are left.
    pub fn wait(&mut self, within: Duration) -> Result<()> {
        if self.caller.wait(within).is_err() {
            self.caller.kill()?;
        }
        Ok(())
    }

    /// Ends the callees, so that their counters are final; messages that both sides sent again.
    pub fn repeats(&mut self) -> Result<u64> {
        // SIPp writes its last statistics when it is asked to end, not when it is killed.
        self.callee.signal(Signal::SIGTERM)?;
        if self.callee.wait(CALLEE_END_MAX).is_err() {
            self.callee.kill()?;
        }
        Ok(["caller", "callee"].map(|side| self.counter(side, "Retransmissions(C)")).iter().sum())
    }

    /// What the caller's log says, by Call-ID.
    pub fn calls(&self) -> Result<BTreeMap<String, Call>> {
        read_calls(&fs::read_to_string(self.folder.join("caller.calls"))?)
    }

    /// The last value in a column of the statistics, which come every second.
    fn counter(&self, side: &str, column: &str) -> u64 {
        let path = self.folder.join(format!("{side}.stat.csv"));
        let text = fs::read_to_string(path).unwrap_or_default();
        last_value(&text, column).unwrap_or(0)
    }
}

fn last_value(text: &str, column: &str) -> Option<u64> {
    let mut lines = text.lines();
    let (header, last) = (lines.next()?, lines.next_back()?);
    let position = header.split(';').position(|name| name == column)?;
    last.split(';').nth(position)?.parse().ok()
}

fn read_calls(text: &str) -> Result<BTreeMap<String, Call>> {
    let mut calls: BTreeMap<String, Call> = BTreeMap::new();
    for line in text.lines() {
        let [what, call_id, ms] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        let ms = Some(ms.parse().with_context(|| format!("SIPp logs {line:?}"))?);
        let call = calls.entry(call_id.to_owned()).or_default();
        match what {
            "invite" => call.invited_ms = ms,
            "ring" => call.rang_ms = call.rang_ms.or(ms),
            "talk" => call.answered_ms = ms,
            "bye" => call.hung_up_ms = ms,
            "over" => call.over_ms = ms,
            _ => anyhow::bail!("SIPp logs {line:?}"),
        }
    }
    Ok(calls)
}

/// All phones are one SIPp, at the port where the callees will be.
fn register(scenarios: &Path, folder: &Path, place: Place<'_>) -> Result<()> {
    let mut file = String::from("SEQUENTIAL\n");
    for number in 1..=USERS {
        let (user, password) = user(number);
        let _ = writeln!(file, "{user};[authentication username={user} password={password}]");
    }
    fs::write(folder.join("users.csv"), file)?;
    let count = USERS.to_string();
    let options = [place.proxy, "-inf", "users.csv", "-m", &count, "-r", "200", "-timeout", "25s"];
    let mut sipp = sipp(scenarios, folder, place, ("register", CALLEE_PORT), &options)?;
    let status = sipp.wait(REGISTER_MAX)?;
    ensure!(status.success(), "registration: SIPp ended with {status}");
    Ok(())
}

fn sipp(
    scenarios: &Path,
    folder: &Path,
    place: Place<'_>,
    (name, port): (&str, u16),
    options: &[&str],
) -> Result<Process> {
    let scenario = scenarios.join(format!("{name}.xml"));
    let mut command = own_network::command_on(place.host, "sipp");
    command.arg("-sf").arg(scenario).args(["-i", place.address, "-p", &port.to_string()]);
    // Ports of its own for media and remote control, which nobody uses.
    command.args(["-mp", &(port + 10_000).to_string(), "-cp", &(port + 20_000).to_string()]);
    command.args(["-key", "domain", DOMAIN, "-nostdin", "-buff_size", "4000000"]);
    command.args(["-trace_stat", "-fd", "1", "-stf", &format!("{name}.stat.csv")]);
    command.args(["-trace_logs", "-log_file", &format!("{name}.calls")]);
    command.args(["-trace_err", "-error_file", &format!("{name}.errors")]);
    command.args(["-auth_uri", place.signed]);
    // A phone does not give a call up because something comes late or twice; SIPp would.
    command.args(["-default_behaviors", "all,-abortunexp"]);
    command.args(options);
    Process::start(name, folder, command).context("SIPp (package sip-tester) is needed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_call_are_read_from_the_log() {
        let log = "invite a@b 1000\nring a@b 1004\ninvite c 1010\nring a@b 1504\n\
                   talk a@b 1107\nbye a@b 2107\nover a@b 2109\n";
        let calls = read_calls(log).unwrap();
        let call = calls["a@b"];
        assert_eq!((call.ring_delay_ms(), call.set_up_ms()), (Some(4), Some(7)));
        assert_eq!((call.held_ms(), call.release_ms()), (Some(1000), Some(2)));
        assert_eq!(calls["c"].set_up_ms(), None);
        assert!(read_calls("moan a@b 7\n").is_err());
    }

    #[test]
    fn a_counter_is_the_last_of_its_column() {
        assert_eq!(last_value("A;B;\n1;2;\n3;4;\n", "B"), Some(4));
        assert_eq!(last_value("A;B;\n", "B"), None);
        assert_eq!(last_value("A;B;\n1;2;\n", "C"), None);
    }
}
