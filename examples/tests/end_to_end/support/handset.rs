//! A phone of the test kit with a line and a thread: it registers, calls, answers, hangs up.
//!
//! What a phone decides is the test kit's. It has no media: that is the softphones' test.

use super::cluster::{DOMAIN, password};
use super::condition::{SOON, wait_for, wait_until};
use super::line::{Line, Transport};
use resilee_sbb::Timestamp;
use resilee_sip_proto::TimerConfig;
use resilee_test_kit::{
    AnswerPolicy, CallPhase, CallStatus, Phone, PhoneCommand, PhoneConfig, PhoneEvent, PhoneInput,
    PhoneOutput,
};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time between two looks at timers and at what the user wants, if no datagram comes.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long it rings before it answers.
const RING_MS: u64 = 300;

/// What a handset shows.
#[derive(Clone, Debug, Default)]
struct Shown {
    is_registered: bool,
    call: Option<CallStatus>,
    events: Vec<PhoneEvent>,
}

/// What its thread is told.
#[derive(Debug)]
enum Order {
    /// By its user.
    Phone(PhoneCommand),
    /// Its connection breaks.
    LoseConnection,
}

/// See the module. It ends when it is dropped.
#[derive(Debug)]
pub struct Handset {
    user: String,
    orders: Sender<Order>,
    shown: Arc<Mutex<Shown>>,
}

impl Handset {
    /// A phone of `user` that sends to `proxy`.
    pub fn start(user: &str, proxy: SocketAddr) -> Self {
        Handset::start_over(Transport::Udp, user, proxy)
    }

    /// The same, at an address of loopback.
    pub fn start_at(user: &str, proxy: SocketAddr, address: SocketAddr) -> Self {
        Handset::start_on(Line::udp(address, LOOK_EVERY), user, proxy)
    }

    /// The same, connected by this.
    pub fn start_over(transport: Transport, user: &str, proxy: SocketAddr) -> Self {
        Handset::start_on(Line::open(transport, proxy, LOOK_EVERY), user, proxy)
    }

    /// A phone that rings until its user answers.
    pub fn start_ringing(user: &str, proxy: SocketAddr) -> Self {
        let line = Line::open(Transport::Udp, proxy, LOOK_EVERY);
        Handset::start_with(line, user, proxy, (AnswerPolicy::Manual, TimerConfig::default()))
    }

    /// A phone with this T1: it repeats sooner, and sooner gives up what nobody answers.
    pub fn start_hasty(user: &str, proxy: SocketAddr, t1_ms: u64) -> Self {
        let line = Line::open(Transport::Udp, proxy, LOOK_EVERY);
        let timers = TimerConfig::with_t1(t1_ms);
        Handset::start_with(line, user, proxy, (AnswerPolicy::Answer, timers))
    }

    fn start_on(line: Line, user: &str, proxy: SocketAddr) -> Self {
        let reliable = matches!(line, Line::Tcp(_));
        let timers = TimerConfig { reliable, ..TimerConfig::default() };
        Handset::start_with(line, user, proxy, (AnswerPolicy::Answer, timers))
    }

    fn start_with(
        line: Line,
        user: &str,
        proxy: SocketAddr,
        (answer, timers): (AnswerPolicy, TimerConfig),
    ) -> Self {
        let now = now();
        let config = PhoneConfig {
            user: user.to_owned(),
            domain: DOMAIN.to_owned(),
            password: Some(password(user)),
            address: line.address(),
            proxy,
            register_expires_s: 300,
            ring_ms: RING_MS,
            answer,
            seed: now.as_micros(),
            timers,
            rtp: None,
        };
        let (orders, wanted) = channel();
        let shown = Arc::new(Mutex::new(Shown::default()));
        let desk = Desk { phone: Phone::new(config, now), line, shown: shown.clone() };
        thread::spawn(move || desk.run(&wanted));
        Handset { user: user.to_owned(), orders, shown }
    }

    /// Registers.
    #[track_caller]
    pub fn register(&self) {
        self.press(PhoneCommand::Register);
        self.wait_for("registered", |shown| shown.is_registered.then_some(()));
    }

    /// Calls a user and waits for the answer; the Call-ID.
    #[track_caller]
    pub fn call(&self, user: &str) -> String {
        self.dial(user);
        self.wait_for_answer()
    }

    /// Calls a user and waits until it rings there; the Call-ID.
    #[track_caller]
    pub fn call_ringing(&self, user: &str) -> String {
        self.dial(user);
        self.wait_for_phase("hearing it ring", CallPhase::Ringing)
    }

    /// Waits until whom it calls has answered; the Call-ID.
    #[track_caller]
    pub fn wait_for_answer(&self) -> String {
        self.wait_for_phase("in a call", CallPhase::Answered)
    }

    /// Calls a user who will not answer; the status that came.
    #[track_caller]
    pub fn call_in_vain(&self, user: &str) -> u16 {
        self.dial(user);
        self.wait_for("refused", |shown| {
            shown.events.iter().find_map(|event| match event {
                PhoneEvent::CallFailed(status) => Some(*status),
                _ => None,
            })
        })
    }

    /// Waits until somebody calls, for so long.
    #[track_caller]
    pub fn wait_for_call(&self, within: Duration) {
        let is_called = || {
            let shown = self.shown();
            shown.events.iter().any(|event| matches!(event, PhoneEvent::IncomingCall { .. }))
        };
        wait_until(&format!("{} is called", self.user), within, is_called);
    }

    /// Answers the call that rings, and waits for the ACK.
    #[track_caller]
    pub fn answer(&self) {
        self.press(PhoneCommand::Answer);
        self.wait_for_ack();
    }

    /// Waits until a call that it has answered is acknowledged.
    #[track_caller]
    pub fn wait_for_ack(&self) {
        self.wait_for("in a call", |shown| {
            shown.call.as_ref().filter(|call| call.is_acked && call.answered_at.is_some()).map(drop)
        });
    }

    /// How often somebody has called since it was dialled last.
    pub fn times_called(&self) -> usize {
        let shown = self.shown();
        let calls = |event: &&PhoneEvent| matches!(event, PhoneEvent::IncomingCall { .. });
        shown.events.iter().filter(calls).count()
    }

    /// Hangs up and waits for the 200 to the BYE.
    #[track_caller]
    pub fn hang_up(&self) {
        self.press(PhoneCommand::HangUp);
        self.wait_for_hang_up(false);
    }

    /// Hangs up, and waits until nobody has answered its BYE and it has sent another.
    #[track_caller]
    pub fn hang_up_unheard(&self) {
        self.press(PhoneCommand::HangUp);
        let again = PhoneEvent::Retransmitted { what: "BYE".to_owned() };
        self.wait_for("repeating its BYE", |shown| shown.events.contains(&again).then_some(()));
    }

    /// Hangs up, and waits until it gives up that anybody answers its BYE.
    #[track_caller]
    pub fn hang_up_in_vain(&self) {
        self.press(PhoneCommand::HangUp);
        let unheard = PhoneEvent::HangUpFailed(408);
        self.wait_for("not heard", |shown| shown.events.contains(&unheard).then_some(()));
    }

    /// Waits until the call is over, by a BYE of this phone or of the other one.
    #[track_caller]
    pub fn wait_for_hang_up(&self, by_remote: bool) {
        let end = self.wait_for("out of its call", |shown| {
            let is_over = shown.call.as_ref()?.phase == CallPhase::Ended;
            let is_end = |event: &&PhoneEvent| {
                matches!(event, PhoneEvent::HungUp { .. } | PhoneEvent::HangUpFailed(_))
            };
            shown.events.iter().rfind(is_end).filter(|_| is_over).cloned()
        });
        assert_eq!(end, PhoneEvent::HungUp { by_remote }, "{}", self.user);
    }

    /// Its connection breaks; it takes another, and opens one when it has something to say.
    pub fn lose_connection(&self) {
        self.orders.send(Order::LoseConnection).expect("the phone's thread runs");
    }

    /// True while it talks.
    pub fn is_talking(&self) -> bool {
        let shown = self.shown();
        shown.call.as_ref().is_some_and(|call| call.phase == CallPhase::Answered)
    }

    /// Time since the answer, by its own clock.
    #[track_caller]
    pub fn time_talked(&self) -> Duration {
        let call = self.shown().call.clone().expect("there is a call");
        now().since(call.answered_at.expect("the call was answered"))
    }

    /// Time from the answer to the end, by its own clock.
    #[track_caller]
    pub fn talk_time(&self) -> Duration {
        let call = self.shown().call.clone().expect("there was a call");
        let answered_at = call.answered_at.expect("the call was answered");
        call.ended_at.expect("the call is over").since(answered_at)
    }

    /// What happened in earlier calls is forgotten.
    fn dial(&self, user: &str) {
        self.shown().events.clear();
        self.press(PhoneCommand::Call { to: format!("sip:{user}@{DOMAIN}") });
    }

    fn press(&self, command: PhoneCommand) {
        let sent = self.orders.send(Order::Phone(command));
        sent.expect("the phone's thread runs as long as its handset");
    }

    #[track_caller]
    fn wait_for_phase(&self, what: &str, phase: CallPhase) -> String {
        self.wait_for(what, |shown| {
            let call = shown.call.as_ref()?;
            (call.phase == phase).then(|| call.call_id.clone())
        })
    }

    #[track_caller]
    fn wait_for<T>(&self, what: &str, look: impl Fn(&Shown) -> Option<T>) -> T {
        let what = format!("{} is {what}", self.user);
        wait_for(&what, SOON, || look(&self.shown()))
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().expect("no thread panics while it writes")
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("--- what {}'s phone told\n{:?}", self.user, self.shown());
        }
    }
}

/// Behind the handset: phone, socket and clock.
struct Desk {
    phone: Phone,
    line: Line,
    shown: Arc<Mutex<Shown>>,
}

impl Desk {
    /// Runs until the handset is gone.
    fn run(mut self, wanted: &Receiver<Order>) {
        loop {
            match wanted.try_recv() {
                Ok(Order::Phone(command)) => {
                    self.phone.handle_input(now(), PhoneInput::Command(command));
                }
                Ok(Order::LoseConnection) => self.line.hang(),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            if self.phone.poll_timeout().is_some_and(|due| due <= now()) {
                self.phone.handle_input(now(), PhoneInput::Timeout);
            }
            self.carry_out();
            if let Some((source, bytes)) = self.line.receive() {
                self.phone.handle_input(now(), PhoneInput::Datagram { source, bytes });
                self.carry_out();
            }
        }
    }

    fn carry_out(&mut self) {
        let mut events = Vec::new();
        while let Some(output) = self.phone.poll_output() {
            match output {
                PhoneOutput::Send { destination, bytes } => self.line.send(destination, &bytes),
                PhoneOutput::Event(event) => events.push(event),
            }
        }
        let mut shown = self.shown.lock().expect("no reader panics with the lock");
        shown.is_registered = self.phone.is_registered();
        shown.call = self.phone.call().cloned();
        shown.events.extend(events);
    }
}

/// The machine's clock: bills are compared with it.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::ZERO + since.expect("it is later than 1970")
}
