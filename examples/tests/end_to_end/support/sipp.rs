//! SIPp with the scenarios in `examples/tests/sipp`, or with those of a call flow.

use super::cluster::DOMAIN;
use super::ports::{free_ports, loopback};
use super::process::Process;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Ports that SIPp takes for itself: media from the first on, then its remote control.
const OWN_PORTS: u16 = 8;

/// One running SIPp.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
    name: String,
    folder: PathBuf,
}

/// What a caller's log says of one call: milliseconds of SIPp's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    answered_ms: Option<u64>,
    ended_ms: Option<u64>,
}

impl Held {
    /// From the answer to the first BYE.
    pub fn time(self) -> Option<Duration> {
        Some(Duration::from_millis(self.ended_ms?.checked_sub(self.answered_ms?)?))
    }
}

impl Sipp {
    /// Starts the scenario `name` on `port`, with its files in `folder`.
    #[track_caller]
    pub fn start(
        name: &str,
        folder: &Path,
        port: u16,
        remote: Option<SocketAddr>,
        options: &[&str],
    ) -> Self {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp");
        let scenario = scenarios.join(format!("{name}.xml"));
        Sipp::start_file(name, &scenario, folder, (port, remote), options)
    }

    /// Starts the scenario in a file, under a name for its own files in `folder`.
    #[track_caller]
    pub fn start_file(
        name: &str,
        scenario: &Path,
        folder: &Path,
        (port, remote): (u16, Option<SocketAddr>),
        options: &[&str],
    ) -> Self {
        let media_port = free_ports(OWN_PORTS);
        let control_port = media_port + OWN_PORTS - 1;
        let mut command = Command::new("sipp");
        command.args(remote.map(|address| address.to_string()));
        command.arg("-sf").arg(scenario);
        command.args(["-i", &loopback(0).ip().to_string(), "-p", &port.to_string()]);
        command.args(["-mp", &media_port.to_string(), "-cp", &control_port.to_string()]);
        command.args(["-key", "domain", DOMAIN, "-nostdin", "-buff_size", "2000000"]);
        command.args(["-trace_stat", "-fd", "1", "-stf", &format!("{name}.stat.csv")]);
        command.args(["-trace_logs", "-log_file", &format!("{name}.calls")]);
        command.args(["-trace_err", "-error_file", &format!("{name}.errors")]);
        // A phone does not give a call up because something comes late or twice; SIPp would.
        command.args(["-default_behaviors", "all,-abortunexp"]);
        command.args(options);
        let process = Process::start(name, folder, &mut command);
        Sipp { process, name: name.to_owned(), folder: folder.to_owned() }
    }

    /// True until it ends.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for the end; all calls must have gone well.
    #[track_caller]
    pub fn wait_for_success(&mut self, within: Duration) {
        self.outcome(within).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// A call did not go well; what SIPp says of it.
    #[track_caller]
    pub fn outcome(&mut self, within: Duration) -> Result<(), String> {
        let end = self.process.end_within(within);
        if end.is_some_and(|status| status.success()) {
            return Ok(());
        }
        let end = end.map_or("it does not end".to_owned(), |status| status.to_string());
        let [errors, messages] = [self.errors(), self.messages()];
        Err(format!("{}: {end}; {}\n{errors}\n{messages}", self.name, self.sum()))
    }

    /// A counter of the statistics file: at most a second old while SIPp runs.
    pub fn count(&self, column: &str) -> u64 {
        let text = self.file("stat.csv");
        let mut lines = text.lines();
        let (Some(header), Some(last)) = (lines.next(), lines.next_back()) else { return 0 };
        let position = header.split(';').position(|name| name == column);
        let position = position.unwrap_or_else(|| panic!("SIPp counts no {column}"));
        last.split(';').nth(position).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// The counters that matter, in words.
    pub fn sum(&self) -> String {
        let [created, good, failed, repeated] =
            ["TotalCallCreated", "SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)"]
                .map(|column| self.count(column));
        format!("{}: {created} calls, {good} good, {failed} failed, {repeated} repeats", self.name)
    }

    /// What the caller's log says, by Call-ID.
    pub fn held(&self) -> BTreeMap<String, Held> {
        let mut calls: BTreeMap<String, Held> = BTreeMap::new();
        for line in self.file("calls").lines() {
            let mut words = line.split_whitespace();
            let (Some(what), Some(call_id), Some(ms)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let held = calls.entry(call_id.to_owned()).or_default();
            match what {
                "talk" => held.answered_ms = ms.parse().ok(),
                "bye" => held.ended_ms = ms.parse().ok(),
                "invite" | "ring" | "over" => {}
                _ => panic!("the scenario {} logs {line:?}", self.name),
            }
        }
        calls
    }

    /// The Call-ID that a scenario has logged behind this word; none so far.
    pub fn logged(&self, what: &str) -> Option<String> {
        let log = self.file("calls");
        let mut lines = log.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(word, _)| *word == what).map(|(_, call_id)| call_id.trim().to_owned())
    }

    /// First lines and CSeqs of the messages that it sent and got, if it was asked to note them.
    fn messages(&self) -> String {
        let text = self.file("messages");
        let is_told = |line: &&str| {
            line.contains("SIP/2.0") && !line.starts_with("Via")
                || ["-----", "CSeq", "UDP message"].iter().any(|start| line.starts_with(start))
        };
        text.lines().filter(is_told).collect::<Vec<_>>().join("\n")
    }

    /// The first lines of what SIPp complains about.
    pub fn errors(&self) -> String {
        self.file("errors").lines().take(30).collect::<Vec<_>>().join("\n")
    }

    fn file(&self, kind: &str) -> String {
        let path = self.folder.join(format!("{}.{kind}", self.name));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }
}
