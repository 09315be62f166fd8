//! baresip, a softphone of other people's make: two of them talk through the cluster with tones
//! instead of microphones. It is controlled over TCP by JSON in netstrings.

use super::cluster::{DOMAIN, password};
use super::condition::{SOON, wait_for, wait_until};
use super::ports::{free_ports, loopback};
use super::process::Process;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

/// Where Debian puts its modules.
const MODULES: &str = "/usr/lib/baresip/modules";

/// UDP and TCP take the first port, TLS the next.
const SIP_PORTS: u16 = 2;

/// Ports for media; a call takes two of them.
const MEDIA_PORTS: u16 = 16;

/// No event of it is longer.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// See the module. It is killed when it is dropped.
#[derive(Debug)]
pub struct Softphone {
    process: Process,
    control: TcpStream,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Softphone {
    /// A softphone of `user` that registers at `proxy`, answers by itself, and sends a tone.
    #[track_caller]
    pub fn start(folder: &Path, user: &str, proxy: SocketAddr, tone_hz: u32) -> Self {
        let folder = folder.join(format!("baresip-{user}"));
        fs::create_dir(&folder).expect("a folder for the softphone");
        let (sip, control) = (free_ports(SIP_PORTS), free_ports(1));
        let media = free_ports(MEDIA_PORTS);
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).expect("the softphone's folder takes files");
        };
        let password = password(user);
        write(
            "accounts",
            &format!(
                "<sip:{user}@{DOMAIN}>;auth_pass={password};outbound=\"sip:{proxy}\";regint=60;\
                 answermode=auto;audio_codecs=PCMU\n"
            ),
        );
        write("contacts", "");
        write("config", &config(sip, control, media, tone_hz));
        let mut command = Command::new("baresip");
        command.args(["-4", "-s", "-f"]).arg(&folder);
        let mut process = Process::start(user, &folder, &mut command);
        let control = wait_for("the softphone can be controlled", SOON, || {
            assert!(process.is_running(), "baresip ended: {}", process.output());
            TcpStream::connect(loopback(control)).ok()
        });
        let events = Arc::new(Mutex::new(Vec::new()));
        let (reading, told) = (control.try_clone().expect("a descriptor"), events.clone());
        thread::spawn(move || read_events(reading, &told));
        Softphone { process, control, events }
    }

    /// Waits for its registration: the answer to REGISTER with credentials.
    #[track_caller]
    pub fn wait_for_registration(&self) {
        // It may have come before anybody listened; the trace tells, too.
        wait_until("the softphone is registered", SOON, || {
            let output = self.process.output();
            assert!(!output.contains("403 Forbidden"), "the password is refused:\n{output}");
            self.has_event("REGISTER_OK") || output.contains("200 OK (")
        });
    }

    /// True if it sent credentials, as its trace shows.
    pub fn has_sent_credentials_for(&self, header: &str) -> bool {
        self.process.output().contains(&format!("\n{header}: Digest "))
    }

    /// Calls a user.
    pub fn dial(&mut self, user: &str) {
        self.command("dial", &format!("sip:{user}@{DOMAIN}"));
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.command("hangup", "");
    }

    /// Waits for an event of this type; its Call-ID.
    #[track_caller]
    pub fn wait_for_event(&self, kind: &str) -> String {
        let event = wait_for(format!("the softphone tells {kind}"), SOON, || self.event(kind));
        event["id"].as_str().expect("the event is about a call").to_owned()
    }

    /// True if such an event has come.
    pub fn has_event(&self, kind: &str) -> bool {
        self.event(kind).is_some()
    }

    /// RTP packets sent and received in the call that has ended.
    #[track_caller]
    pub fn wait_for_media_count(&self) -> (u64, u64) {
        wait_for("the softphone has counted its media", SOON, || {
            let output = self.process.output();
            let line = output.lines().rfind(|line| line.starts_with("packets:"))?;
            let mut numbers = line.split_whitespace().skip(1).map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
    }

    fn event(&self, kind: &str) -> Option<Value> {
        let events = self.events.lock().expect("the reader does not panic with the lock");
        events.iter().find(|event| event["type"] == kind).cloned()
    }

    fn command(&mut self, command: &str, parameter: &str) {
        let text = json!({ "command": command, "params": parameter }).to_string();
        let sent = write!(self.control, "{}:{text},", text.len());
        sent.expect("the softphone takes commands");
    }
}

/// What has worked with baresip 1.0: the tone needs 48 kHz and two channels, `aubridge` plays
/// into nothing.
fn config(sip: u16, control: u16, media: u16, tone_hz: u32) -> String {
    let (sip, control) = (loopback(sip), loopback(control));
    let media_last = media + MEDIA_PORTS - 1;
    format!(
        "poll_method epoll\nsip_listen {sip}\nsip_trans_def udp\n\
         call_local_timeout 120\ncall_max_calls 4\n\
         audio_player aubridge,earpiece\naudio_source ausine,{tone_hz}\n\
         audio_alert aubridge,bell\nausrc_srate 48000\nausrc_channels 2\n\
         auplay_srate 48000\nauplay_channels 1\naudio_txmode poll\naudio_level no\n\
         rtp_ports {media}-{media_last}\nrtp_stats yes\njitter_buffer_delay 5-10\n\
         module_path {MODULES}\nmodule g711.so\nmodule ausine.so\nmodule aubridge.so\n\
         module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
         ctrl_tcp_listen {control}\n"
    )
}

/// Until the connection ends.
fn read_events(stream: TcpStream, events: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream);
    while let Some(event) = read_netstring(&mut reader) {
        if let Ok(event) = serde_json::from_slice(&event) {
            events.lock().expect("no test panics with the lock").push(event);
        }
    }
}

fn read_netstring(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = Vec::new();
    reader.read_until(b':', &mut length).ok()?;
    let length: usize = std::str::from_utf8(length.strip_suffix(b":")?).ok()?.parse().ok()?;
    if length > EVENT_BYTES_MAX {
        return None;
    }
    let mut bytes = vec![0; length + 1];
    reader.read_exact(&mut bytes).ok()?;
    (bytes.pop() == Some(b',')).then_some(bytes)
}
