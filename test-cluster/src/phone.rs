//! A phone and its user.

use crate::cluster::{BALANCER, TestCluster};
use resilee_sbb::{Profile, encode};
use resilee_sip_api::{ACCOUNTS, Account};
use resilee_sip_proto::TimerConfig;
use resilee_test_kit::{
    AnswerPolicy, CallPhase, Phone, PhoneCommand, PhoneConfig, PhoneEvent, PhoneInput,
};
use std::net::{Ipv4Addr, SocketAddr};

/// Domain of all phones.
const DOMAIN: &str = "example.test";
/// Password of all phones.
const PASSWORD: &str = "secret";
/// Who is called answers after so long, unless the test says something else.
const RING_MS: u64 = 1_000;
/// Phones of one cluster.
const PHONES_MAX: usize = 60_000;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// The phones talk.
    Answered,
    /// The call failed with this status; 408: nobody answered in time.
    Failed(u16),
}

/// A registered phone.
pub struct TestPhone<'a> {
    cluster: &'a mut TestCluster,
    user: String,
}

impl TestCluster {
    /// The phone of a user. The first time, an account is made for him, and his phone registers:
    /// whom nobody has asked for is not there, and a call to him gets 404.
    ///
    /// # Panics
    /// If it cannot register.
    pub fn phone(&mut self, user: &str) -> TestPhone<'_> {
        if !self.phones.contains_key(user) {
            self.add_phone(user);
        }
        TestPhone { cluster: self, user: user.to_owned() }
    }

    fn add_phone(&mut self, user: &str) {
        let account = encode(&Account::with_password(user, DOMAIN, PASSWORD));
        let account = account.ok().and_then(|row| Profile::from_row(&row).ok());
        let account = account.expect("an account is a profile");
        self.put_profile(ACCOUNTS, &Account::key(user, DOMAIN), account);
        assert!(self.phones.len() < PHONES_MAX, "a cluster has {PHONES_MAX} phones at most");
        let [high, low] = u16::try_from(self.phones.len() + 1).expect("few").to_be_bytes();
        let config = PhoneConfig {
            user: user.to_owned(),
            domain: DOMAIN.to_owned(),
            password: Some(PASSWORD.to_owned()),
            address: SocketAddr::from((Ipv4Addr::new(10, 1, high, low), 5060)),
            proxy: BALANCER,
            register_expires_s: 3_600,
            ring_ms: RING_MS,
            answer: AnswerPolicy::Answer,
            seed: 1,
            timers: TimerConfig::default(),
            rtp: None,
        };
        self.phones.insert(user.to_owned(), Phone::new(config, self.now));
        self.feed_phone(user, PhoneInput::Command(PhoneCommand::Register));
        self.until("the phone is registered", |it| it.phones[user].is_registered());
    }
}

impl TestPhone<'_> {
    /// Calls a user, or a `sip:` URI, and waits until the call is answered or has failed.
    ///
    /// # Panics
    /// If the phone is in a call.
    pub fn calls(&mut self, to: &str) -> Called {
        let before = self.cluster.events.len();
        self.dials(to);
        let user = self.user.clone();
        let ends = |event: &PhoneEvent| match event {
            PhoneEvent::Answered { .. } => Some(Called::Answered),
            PhoneEvent::CallFailed(status) => Some(Called::Failed(*status)),
            _ => None,
        };
        let called = |cluster: &TestCluster| {
            let own = cluster.events[before..].iter().filter(|(of, _)| *of == user);
            own.map(|(_, event)| event).find_map(ends)
        };
        self.cluster.until("the call is answered or fails", |it| called(it).is_some());
        called(self.cluster).expect("it was waited for")
    }

    /// Calls a user, or a `sip:` URI; what becomes of it is seen when time has passed.
    ///
    /// # Panics
    /// If the phone is in a call.
    pub fn dials(&mut self, to: &str) -> &mut Self {
        let phase = self.phase();
        assert!(matches!(phase, None | Some(CallPhase::Ended)), "{} is in a call", self.user);
        let to = match to.contains(':') {
            true => to.to_owned(),
            false => format!("sip:{to}@{DOMAIN}"),
        };
        self.command(PhoneCommand::Call { to })
    }

    /// Ends the call, and does not wait: a BYE, a CANCEL, or a refusal.
    pub fn gives_up(&mut self) -> &mut Self {
        self.command(PhoneCommand::HangUp)
    }

    /// Ends the call, and waits until it is over: a BYE, a CANCEL, or a refusal.
    pub fn hangs_up(&mut self) -> &mut Self {
        self.gives_up();
        let user = self.user.clone();
        let is_over = |phone: &Phone| phone.call().is_none_or(|it| it.phase == CallPhase::Ended);
        self.cluster.until("the call is over", |it| is_over(&it.phones[&user]));
        self
    }

    /// Picks up, if it rings ([`AnswerPolicy::Manual`]).
    pub fn picks_up(&mut self) -> &mut Self {
        self.command(PhoneCommand::Answer)
    }

    /// What it does with calls from now on: it answers after a second at first.
    pub fn will(&mut self, answer: AnswerPolicy) -> &mut Self {
        if let Some(phone) = self.cluster.phones.get_mut(&self.user) {
            phone.set_answer_policy(answer, RING_MS);
        }
        self
    }

    /// Where its call is, or the last one; none: it had none.
    pub fn phase(&self) -> Option<CallPhase> {
        self.cluster.phones[&self.user].call().map(|call| call.phase)
    }

    /// What its user was told since this was asked last.
    pub fn events(&mut self) -> Vec<PhoneEvent> {
        let all = std::mem::take(&mut self.cluster.events);
        let (own, others) = all.into_iter().partition(|(user, _)| *user == self.user);
        self.cluster.events = others;
        let own: Vec<(String, PhoneEvent)> = own;
        own.into_iter().map(|(_, event)| event).collect()
    }

    fn command(&mut self, command: PhoneCommand) -> &mut Self {
        self.cluster.feed_phone(&self.user, PhoneInput::Command(command));
        self
    }
}
