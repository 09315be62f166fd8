//! Phones with sockets: each is a `Phone` of the test kit on a UDP socket of its own, with a
//! second one on which it sends and counts RTP while it talks.
//!
//! What a phone decides is the test kit's; here are only sockets, the clock and the tone's beat.

use anyhow::{Context, bail};
use resilee_sbb::Timestamp;
use resilee_sip_proto::TimerConfig;
use resilee_test_kit::rtp::{PACKET_TIME, RtpCounter, RtpPacket, Tone};
use resilee_test_kit::{
    AnswerPolicy, CallPhase, CallStatus, Phone, PhoneCommand, PhoneConfig, PhoneEvent, PhoneInput,
    PhoneOutput,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// The domain of all users; also the realm of their passwords.
pub const DOMAIN: &str = "resilee.example";

/// Registration interval; short, so that long stories show refreshes too.
const REGISTER_EXPIRES_S: u32 = 60;

/// Longest datagram that is read.
const DATAGRAM_BYTES: usize = 65_535;

/// Cluster time as phones measure it: wall clock at the start, monotonic since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at_start: Timestamp,
    started: Instant,
}

impl Clock {
    /// Reads both clocks once.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { at_start: Timestamp::ZERO + wall, started: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        self.at_start + self.started.elapsed()
    }
}

/// What the user of a handset wants.
#[derive(Clone, Debug)]
enum Wish {
    Command(PhoneCommand),
    OnCall(AnswerPolicy, Duration),
}

/// What a handset shows.
#[derive(Clone, Debug, Default)]
pub struct HandsetState {
    /// It is registered.
    pub is_registered: bool,
    /// The call, or the last one.
    pub call: Option<CallStatus>,
    /// All that happened, in order.
    pub events: Vec<PhoneEvent>,
    /// RTP packets sent in this call.
    pub rtp_sent: u64,
    /// RTP packets received in this call.
    pub rtp: RtpCounter,
    /// SIP messages that were sent again in all calls, by method or status.
    pub retransmitted: BTreeMap<String, u64>,
}

impl HandsetState {
    /// True if the call is in this phase.
    pub fn is_in(&self, phase: CallPhase) -> bool {
        self.call.as_ref().is_some_and(|call| call.phase == phase)
    }

    /// Time from the answer to the end, as this phone measured it.
    pub fn talk_time(&self) -> Option<Duration> {
        let call = self.call.as_ref()?;
        Some(call.ended_at?.since(call.answered_at?))
    }
}

/// A phone in the hand of the story.
#[derive(Debug)]
pub struct Handset {
    /// Its user.
    pub user: &'static str,
    wishes: mpsc::Sender<Wish>,
    state: watch::Receiver<HandsetState>,
}

impl Handset {
    /// A phone of `user` that reaches the service at `proxy`.
    pub async fn start(
        user: &'static str,
        proxy: SocketAddr,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let bind = async || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let sip = bind().await.context("no UDP port for a phone")?;
        let rtp = bind().await.context("no UDP port for a phone's media")?;
        let now = clock.now();
        let config = PhoneConfig {
            user: user.to_owned(),
            domain: DOMAIN.to_owned(),
            password: Some(format!("{user}-secret")),
            address: sip.local_addr().context("a bound socket has an address")?,
            proxy,
            register_expires_s: REGISTER_EXPIRES_S,
            ring_ms: 800,
            answer: AnswerPolicy::Answer,
            // Call-IDs must differ from those of earlier runs on the same data.
            seed: now.as_micros(),
            timers: TimerConfig::default(),
            rtp: Some(rtp.local_addr().context("a bound socket has an address")?),
        };
        let (wishes, wished) = mpsc::channel(16);
        let (shown, state) = watch::channel(HandsetState::default());
        let tone = Tone::new(config.seed);
        let phone = Phone::new(config, now);
        let desk = Desk { phone, sip, rtp, clock, tone, shown, is_talking: false };
        tokio::spawn(desk.run(wished));
        Ok(Handset { user, wishes, state })
    }

    /// Its address of record.
    pub fn uri(&self) -> String {
        format!("sip:{}@{DOMAIN}", self.user)
    }

    /// Presses a button.
    pub async fn press(&self, command: PhoneCommand) -> anyhow::Result<()> {
        self.wish(Wish::Command(command)).await
    }

    /// What it does with calls from now on.
    pub async fn on_call(&self, answer: AnswerPolicy, ring: Duration) -> anyhow::Result<()> {
        self.wish(Wish::OnCall(answer, ring)).await
    }

    /// What it shows now.
    pub fn state(&self) -> HandsetState {
        self.state.borrow().clone()
    }

    /// Waits until it shows something; the time that took.
    pub async fn wait_for(
        &mut self,
        what: &str,
        within: Duration,
        is_reached: impl FnMut(&HandsetState) -> bool,
    ) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let reached = timeout(within, self.state.wait_for(is_reached)).await;
        match reached.map(|reached| reached.map(drop)) {
            Ok(Ok(())) => Ok(started.elapsed()),
            Ok(Err(_)) => bail!("the phone of {} is gone", self.user),
            Err(_) => {
                let events = self.state.borrow().events.clone();
                bail!("{}: not {what} within {within:?}; so far: {events:?}", self.user)
            }
        }
    }

    async fn wish(&self, wish: Wish) -> anyhow::Result<()> {
        let sent = self.wishes.send(wish).await;
        sent.map_err(|_| anyhow::anyhow!("the phone of {} is gone", self.user))
    }
}

/// What is behind a handset: the phone with its sockets, its clock and its tone.
struct Desk {
    phone: Phone,
    sip: UdpSocket,
    rtp: UdpSocket,
    clock: Clock,
    tone: Tone,
    shown: watch::Sender<HandsetState>,
    /// The call is answered: RTP flows.
    is_talking: bool,
}

impl Desk {
    /// Runs until the handset is dropped.
    async fn run(mut self, mut wished: mpsc::Receiver<Wish>) {
        let mut sip_buffer = vec![0; DATAGRAM_BYTES];
        let mut rtp_buffer = vec![0; DATAGRAM_BYTES];
        let mut beat = interval(PACKET_TIME);
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            self.carry_out().await;
            let due = self.phone.poll_timeout().map(|due| due.since(self.clock.now()));
            tokio::select! {
                received = self.sip.recv_from(&mut sip_buffer) => {
                    // An error here is an ICMP message about an earlier datagram; SIP repeats.
                    let Ok((length, source)) = received else { continue };
                    let bytes = sip_buffer[..length].to_vec();
                    self.input(PhoneInput::Datagram { source, bytes });
                }
                received = self.rtp.recv_from(&mut rtp_buffer) => {
                    if let Ok((length, _)) = received {
                        self.count(&rtp_buffer[..length]);
                    }
                }
                _ = beat.tick() => self.send_tone().await,
                _ = sleep(due.unwrap_or(Duration::MAX)), if due.is_some() => {
                    self.input(PhoneInput::Timeout);
                }
                wish = wished.recv() => match wish {
                    Some(Wish::Command(command)) => self.input(PhoneInput::Command(command)),
                    Some(Wish::OnCall(answer, ring)) => {
                        let ring_ms = u64::try_from(ring.as_millis()).unwrap_or(u64::MAX);
                        self.phone.set_answer_policy(answer, ring_ms);
                    }
                    None => return,
                },
            }
        }
    }

    fn input(&mut self, input: PhoneInput) {
        self.phone.handle_input(self.clock.now(), input);
    }

    async fn carry_out(&mut self) {
        let mut events = Vec::new();
        while let Some(output) = self.phone.poll_output() {
            match output {
                PhoneOutput::Send { destination, bytes } => {
                    // What cannot be sent is lost, like what gets lost on its way.
                    let _ = self.sip.send_to(&bytes, destination).await;
                }
                PhoneOutput::Event(event) => events.push(event),
            }
        }
        let was_talking = self.is_talking;
        let phase = self.phone.call().map(|call| call.phase);
        self.is_talking = phase == Some(CallPhase::Answered);
        if events.is_empty() && was_talking == self.is_talking {
            return;
        }
        let phone = &self.phone;
        let begins = !was_talking && self.is_talking;
        self.shown.send_modify(|shown| {
            shown.is_registered = phone.is_registered();
            shown.call = phone.call().cloned();
            shown.retransmitted = phone.counters().retransmitted.clone();
            shown.events.extend(events);
            if begins {
                shown.rtp_sent = 0;
                shown.rtp = RtpCounter::default();
            }
        });
    }

    fn count(&mut self, datagram: &[u8]) {
        let Some(packet) = RtpPacket::parse(datagram) else { return };
        let now = self.clock.now();
        self.shown.send_modify(|shown| shown.rtp.on_packet(now, &packet));
    }

    async fn send_tone(&mut self) {
        let remote = self.phone.call().and_then(|call| call.remote_rtp);
        let (true, Some(remote)) = (self.is_talking, remote) else { return };
        let packet = self.tone.next_packet().to_bytes();
        if self.rtp.send_to(&packet, remote).await.is_ok() {
            self.shown.send_modify(|shown| shown.rtp_sent += 1);
        }
    }
}
