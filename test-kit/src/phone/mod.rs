//! A SIP user agent without socket or clock: registers, calls, answers, hangs up.
//!
//! Feed it with [`Phone::handle_input`], then take [`Phone::poll_output`] until there is none,
//! then come back at [`Phone::poll_timeout`] or when something happens. One call at a time; it
//! keeps answering repeats that belong to the calls before. Not here: media (see [`crate::rtp`]),
//! hold, transfer, forking beyond ending the surplus branches, name service, the connections of a
//! phone over TCP.

pub(crate) mod authentication;
mod call;
mod dialog;
mod hang_up;
mod incoming_call;
mod io;
mod outgoing_call;
mod registration;
mod transactions;

pub use call::{CallPhase, CallStatus, Side};
pub use io::{
    AnswerPolicy, DropReason, PhoneCommand, PhoneConfig, PhoneCounters, PhoneEvent, PhoneInput,
    PhoneOutput,
};

use crate::random::Random;
use authentication::Authentication;
use call::{Call, CallNumber};
use dialog::{ALLOW, response_address};
use registration::Registration;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Edit, Message, build, is_keepalive};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;
use transactions::{Purpose, Step, Transactions};

/// Calls that a phone remembers, to answer their repeats; the oldest is forgotten first.
const CALLS_MAX: usize = 64;

/// A SIP phone.
#[derive(Clone, Debug)]
pub struct Phone {
    config: PhoneConfig,
    random: Random,
    transactions: Transactions,
    registration: Registration,
    /// Credentials for calls; the registration has its own.
    authentication: Authentication,
    /// The call, and those before it until their repeats can't come any more.
    calls: BTreeMap<CallNumber, Call>,
    /// The latest call's last status; outlives the call.
    latest: Option<CallStatus>,
    /// Number of the next call.
    next_call: u64,
    outputs: VecDeque<PhoneOutput>,
    counters: PhoneCounters,
}

impl Phone {
    /// A phone that does nothing until it is asked to.
    pub fn new(config: PhoneConfig, _now: Timestamp) -> Self {
        // Phones of one seed must not draw the same Call-IDs.
        let name = format!("{}@{}", config.user, config.address);
        let mut random = Random::of(config.seed, &name);
        Phone {
            transactions: Transactions::new(config.timers),
            registration: Registration::new(&config, &mut random),
            random,
            config,
            authentication: Authentication::default(),
            calls: BTreeMap::new(),
            latest: None,
            next_call: 1,
            outputs: VecDeque::new(),
            counters: PhoneCounters::default(),
        }
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Timestamp, input: PhoneInput) {
        match input {
            PhoneInput::Datagram { source, bytes } => self.on_datagram(now, source, &bytes),
            PhoneInput::Timeout => self.on_timeout(now),
            PhoneInput::Command(command) => self.on_command(now, command),
        }
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<PhoneOutput> {
        self.outputs.pop_front()
    }

    /// When [`PhoneInput::Timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let calls = self.calls.values().filter_map(Call::next_timeout);
        let others = [self.transactions.next_timeout(), self.registration.next_timeout()];
        calls.chain(others.into_iter().flatten()).min()
    }

    /// The call, or the last one if there is none.
    pub fn call(&self) -> Option<&CallStatus> {
        self.calls
            .values()
            .rfind(|call| !call.is_silent)
            .map(|call| &call.status)
            .or(self.latest.as_ref())
    }

    /// True from the 200 of a REGISTER to the end of the registration.
    pub fn is_registered(&self) -> bool {
        self.registration.is_registered()
    }

    /// True if there is no call and no transaction, not even one that only absorbs repeats.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.transactions.is_empty()
    }

    /// What was counted.
    pub fn counters(&self) -> &PhoneCounters {
        &self.counters
    }

    /// The configuration.
    pub fn config(&self) -> &PhoneConfig {
        &self.config
    }

    /// Changes what is done with calls from now on.
    pub fn set_answer_policy(&mut self, answer: AnswerPolicy, ring_ms: u64) {
        self.config.answer = answer;
        self.config.ring_ms = ring_ms;
    }

    fn on_command(&mut self, now: Timestamp, command: PhoneCommand) {
        match command {
            PhoneCommand::Register => self.register(now),
            PhoneCommand::Unregister => self.unregister(now),
            PhoneCommand::Call { to } => self.place_call(now, &to),
            PhoneCommand::Answer => self.answer_ringing(now),
            PhoneCommand::HangUp => self.hang_up(now),
            PhoneCommand::Cancel => self.cancel(now),
        }
    }

    fn on_timeout(&mut self, now: Timestamp) {
        let steps = self.transactions.on_timeout(now);
        self.perform(now, steps);
        self.on_registration_timeout(now);
        let numbers: Vec<CallNumber> = self.calls.keys().copied().collect();
        for number in numbers {
            self.on_incoming_timeout(now, number);
        }
        self.calls.retain(|_, call| call.forget_at.is_none_or(|at| at > now));
    }

    fn on_datagram(&mut self, now: Timestamp, source: SocketAddr, bytes: &[u8]) {
        self.counters.received += 1;
        if is_keepalive(bytes) {
            return;
        }
        let Ok(message) = Message::parse(bytes) else { return self.drop(DropReason::NoMessage) };
        if !message.is_request() {
            match self.transactions.on_response(now, &message) {
                Some(steps) => self.perform(now, steps),
                None => self.drop(DropReason::StrayResponse),
            }
            return;
        }
        let amended = Edit::new(&message).amend_top_via(source.ip(), source.port()).finish();
        let Ok(request) = Message::parse(&amended) else {
            return self.drop(DropReason::NoMessage);
        };
        self.on_request(now, source, &request);
    }

    fn on_request(&mut self, now: Timestamp, source: SocketAddr, request: &Message<'_>) {
        if request.method() == Some("ACK") {
            if !self.transactions.on_ack(now, request) {
                self.on_ack_of_answer(now, request);
            }
            return;
        }
        if let Some(steps) = self.transactions.on_repeated_request(request) {
            self.counters.duplicate_requests += 1;
            return self.perform(now, steps);
        }
        let destination = response_address(request, source);
        if !self.transactions.start_server(now, request, destination) {
            return self.drop(DropReason::TooManyTransactions);
        }
        let is_in_dialog = request.to_tag().is_some();
        let call = self.call_of(request);
        match request.method() {
            Some("CANCEL") => self.on_cancel(now, request),
            _ if is_in_dialog && call.is_none() => self.respond(now, request, 481, &[]),
            Some("BYE") => match call {
                Some(number) => self.on_bye(now, number, request),
                None => self.respond(now, request, 481, &[]),
            },
            // A phone without hold has nothing to renegotiate.
            Some("INVITE") if is_in_dialog => self.respond(now, request, 488, &[]),
            Some("INVITE") => self.on_invite(now, destination, request),
            // Of a call that is over only repeats are still answered.
            Some("OPTIONS") if is_in_dialog && !self.is_up(call) => {
                self.respond(now, request, 481, &[]);
            }
            Some("OPTIONS") => self.on_options(now, call, request),
            _ => self.respond(now, request, 405, &[("Allow", ALLOW)]),
        }
    }

    /// Within a dialog a lower number than before is refused (RFC 3261 §12.2.2); the same again
    /// some phones take for a copy, and say nothing. Before any request there is none to be one of.
    fn on_options(&mut self, now: Timestamp, call: Option<CallNumber>, request: &Message<'_>) {
        let call = call.and_then(|number| self.calls.get(&number));
        let last = call.map_or(0, |call| call.dialog.remote_cseq);
        match request.cseq().0 {
            number if number < last => self.respond(now, request, 500, &[]),
            number if number == last && last > 0 => {}
            _ => self.respond(now, request, 200, &[("Allow", ALLOW)]),
        }
    }

    /// Carries out what the transactions want.
    fn perform(&mut self, now: Timestamp, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send { destination, bytes, is_repeat } => {
                    if is_repeat {
                        self.note_repeat(&bytes);
                    }
                    self.send(destination, bytes);
                }
                Step::Response { purpose, bytes } => self.on_response(now, purpose, &bytes),
                Step::Timeout { purpose, is_over } => match purpose {
                    Purpose::Register => self.on_register_failed(now, 408),
                    Purpose::Invite(number) if is_over => self.fail_call(now, number, 408),
                    Purpose::Invite(number) => self.send_cancel(now, number),
                    Purpose::Bye(number) => self.on_bye_answered(now, number, 408),
                    Purpose::Cancel => {}
                },
                Step::NoAck => {}
            }
        }
    }

    fn on_response(&mut self, now: Timestamp, purpose: Purpose, bytes: &[u8]) {
        let response = Message::parse(bytes).expect("a transaction passes on what was parsed");
        let status = response.status().expect("a client transaction passes on responses");
        match purpose {
            Purpose::Register => self.on_register_response(now, &response, status),
            Purpose::Invite(number) => self.on_invite_response(now, number, &response, status),
            Purpose::Bye(number) if status >= 200 => self.on_bye_answered(now, number, status),
            Purpose::Bye(_) | Purpose::Cancel => {}
        }
    }

    /// Responds without a body; a tag is added where there is none.
    fn respond(
        &mut self,
        now: Timestamp,
        request: &Message<'_>,
        status: u16,
        extra: &[(&str, &str)],
    ) {
        let tag = self.random.token();
        let response = build::response(request, status, "", Some(&tag), extra, b"");
        let steps = self.transactions.respond(now, request, status, response);
        self.perform(now, steps);
    }

    /// The call whose dialog a request belongs to.
    fn call_of(&self, request: &Message<'_>) -> Option<CallNumber> {
        let found = self.calls.iter().rfind(|(_, call)| call.dialog.is_of(request));
        found.map(|(number, _)| *number)
    }

    /// Whether the dialog of a call is one for this phone's user, too.
    fn is_up(&self, call: Option<CallNumber>) -> bool {
        let call = call.and_then(|number| self.calls.get(&number));
        call.is_some_and(|call| !matches!(call.status.phase, CallPhase::Ending | CallPhase::Ended))
    }

    /// The call that occupies the phone.
    fn active(&self) -> Option<CallNumber> {
        self.calls.iter().rfind(|(_, call)| call.is_active()).map(|(number, _)| *number)
    }

    fn add_call(&mut self, call: Call) -> CallNumber {
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_first();
        }
        let number = CallNumber(self.next_call);
        self.next_call += 1;
        self.calls.insert(number, call);
        number
    }

    /// The call is over; repeats are answered for 64*T1.
    fn end_call(&mut self, now: Timestamp, number: CallNumber, event: PhoneEvent) {
        let forget_at = now + self.long();
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.status.phase = CallPhase::Ended;
        call.status.ended_at.get_or_insert(now);
        call.forget_at = Some(forget_at);
        if let Some(leg) = call.incoming() {
            leg.answer_at = None;
            leg.unacked = None;
        }
        if !call.is_silent {
            self.latest = Some(call.status.clone());
            self.tell(event);
        }
    }

    fn fail_call(&mut self, now: Timestamp, number: CallNumber, status: u16) {
        if self.calls.get(&number).is_some_and(Call::is_being_set_up) {
            self.end_call(now, number, PhoneEvent::CallFailed(status));
        }
    }

    /// 64*T1.
    fn long(&self) -> Duration {
        Duration::from_millis(self.config.timers.t1_ms.saturating_mul(64))
    }

    fn send(&mut self, destination: SocketAddr, bytes: Vec<u8>) {
        self.counters.sent += 1;
        self.outputs.push_back(PhoneOutput::Send { destination, bytes });
    }

    fn tell(&mut self, event: PhoneEvent) {
        self.outputs.push_back(PhoneOutput::Event(event));
    }

    fn drop(&mut self, reason: DropReason) {
        *self.counters.dropped.entry(reason).or_default() += 1;
        self.tell(PhoneEvent::Dropped(reason));
    }

    fn note_repeat(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let status = message.status().map(|status| status.to_string());
        let what = status.or(message.method().map(str::to_owned)).unwrap_or_default();
        *self.counters.retransmitted.entry(what.clone()).or_default() += 1;
        self.tell(PhoneEvent::Retransmitted { what });
    }
}
