//! A scenario, played: `handle_input`, then `poll_output` until there is none, then `poll_timeout`.

use super::scenario::{Action, Receive, ScenarioError, Send, Step, What, read};
use super::template::{expand, lines_of, message};
use crate::phone::authentication::Authentication;
use crate::random::Random;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{HeaderName, Message, name_addr};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Between two repeats it is no longer than so many times the first interval (T2 is 8 T1).
const REPEAT_FACTOR_MAX: u32 = 8;

/// Who a party is.
#[derive(Clone, Debug)]
pub struct SippConfig {
    /// Its own address.
    pub address: SocketAddr,
    /// Where everything goes.
    pub proxy: SocketAddr,
    /// `[service]`, `-s` of SIPp.
    pub service: String,
    /// `[domain]`.
    pub domain: String,
    /// `-au` and `-ap`: who proves to be whom.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The Call-ID; empty: that of the first message.
    pub call_id: String,
    /// A `<pause/>`, `-d`.
    pub pause: Duration,
}

/// All that goes in.
#[derive(Clone, Debug)]
pub enum SippInput {
    /// Begin.
    Start,
    /// A datagram came.
    Datagram(Vec<u8>),
    /// The moment of `poll_timeout` has come.
    Timeout,
}

/// All that comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SippOutput {
    /// Send this.
    Send {
        /// Where to.
        destination: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// A line of the log.
    Log(String),
    /// What came was passed over: its start.
    PassedOver(String),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct SippParty {
    config: SippConfig,
    steps: Vec<Step>,
    /// The step that is next.
    at: usize,
    /// A pause lasts until then.
    paused_until: Option<Timestamp>,
    repeat: Option<Repeat>,
    variables: BTreeMap<String, String>,
    /// What was received last.
    last: Vec<u8>,
    /// Request-URI and Routes of the dialog, from the first message that says so.
    route: Option<(String, String)>,
    /// What was received, and what it is answered with when it comes again.
    received: BTreeMap<Identity, Option<Vec<u8>>>,
    /// What was received last and nothing was sent since.
    unanswered: Option<Identity>,
    /// Branches by the name of a transaction.
    transactions: BTreeMap<String, String>,
    authentication: Authentication,
    random: Random,
    outputs: VecDeque<SippOutput>,
}

/// A message is the same again if all of this is equal (`-rtcheck loose`): method or status, CSeq,
/// tags, Call-ID.
type Identity = (String, (u32, String), [String; 2], String);

#[derive(Clone, Debug)]
struct Repeat {
    bytes: Vec<u8>,
    due: Timestamp,
    after: Duration,
    first: Duration,
}

impl SippParty {
    /// A party that has not begun.
    ///
    /// # Errors
    /// The file has what is not played.
    pub fn new(config: SippConfig, scenario: &str, seed: u64) -> Result<Self, ScenarioError> {
        let random = Random::of(seed, &config.address.to_string());
        Ok(SippParty {
            steps: read(scenario)?,
            config,
            at: 0,
            paused_until: None,
            repeat: None,
            variables: BTreeMap::new(),
            last: Vec::new(),
            route: None,
            received: BTreeMap::new(),
            unanswered: None,
            transactions: BTreeMap::new(),
            authentication: Authentication::default(),
            random,
            outputs: VecDeque::new(),
        })
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Timestamp, input: SippInput) {
        match input {
            SippInput::Start => self.play(now),
            SippInput::Datagram(bytes) => self.on_datagram(now, &bytes),
            SippInput::Timeout => {
                if self.paused_until.is_some_and(|until| until <= now) {
                    self.paused_until = None;
                    self.at += 1;
                    self.play(now);
                }
                self.repeat_if_due(now);
            }
        }
    }

    /// What is to be done, until there is nothing.
    pub fn poll_output(&mut self) -> Option<SippOutput> {
        self.outputs.pop_front()
    }

    /// When it wants to be woken.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let repeat = self.repeat.as_ref().map(|repeat| repeat.due);
        repeat.into_iter().chain(self.paused_until).min()
    }

    /// True if the scenario is at its end.
    pub fn is_done(&self) -> bool {
        matches!(self.steps.get(self.at), None | Some(Step::Linger))
    }

    /// The step that it is at, for a report.
    pub fn step(&self) -> String {
        match self.steps.get(self.at) {
            Some(Step::Receive(receive)) => format!("{}: {:?}", self.at, receive.what),
            _ => self.at.to_string(),
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.config.address
    }

    fn repeat_if_due(&mut self, now: Timestamp) {
        let Some(repeat) = self.repeat.as_mut().filter(|repeat| repeat.due <= now) else { return };
        repeat.after = (repeat.after * 2).min(repeat.first * REPEAT_FACTOR_MAX);
        repeat.due = now + repeat.after;
        let bytes = repeat.bytes.clone();
        self.send(bytes);
    }

    /// Goes on until something must be received, or waited for.
    fn play(&mut self, now: Timestamp) {
        while let Some(step) = self.steps.get(self.at).cloned() {
            match step {
                Step::Send(send) => {
                    self.send_step(now, &send);
                    self.at += 1;
                }
                Step::Nop(actions, next) => {
                    actions.iter().for_each(|action| self.act(action));
                    self.at = next.unwrap_or(self.at + 1);
                }
                Step::Pause(ms) => {
                    let pause = ms.map_or(self.config.pause, Duration::from_millis);
                    self.paused_until = Some(now + pause);
                    return;
                }
                Step::Receive(_) | Step::Linger => return,
            }
        }
    }

    fn send_step(&mut self, now: Timestamp, send: &Send) {
        let credentials = self.credentials(&send.text);
        let bytes = message(&send.text, &|name| match name.strip_prefix("authentication") {
            Some(_) => Some(credentials.clone()),
            None => self.keyword(name),
        });
        if let Some(name) = &send.transaction {
            self.transactions.insert(name.clone(), self.branch(self.at));
        }
        if let Some(identity) = self.unanswered.take()
            && let Ok(sent) = Message::parse(&bytes)
        {
            // A request is answered by a response, and a response by an ACK or by nothing.
            let was_request = identity.0.parse::<u16>().is_err();
            let is_answer = match was_request {
                true => !sent.is_request(),
                false => sent.method() == Some("ACK"),
            };
            if is_answer {
                self.received.insert(identity, Some(bytes.clone()));
            }
        }
        if let Some(ms) = send.repeat_ms {
            let first = Duration::from_millis(ms);
            let bytes = bytes.clone();
            self.repeat = Some(Repeat { bytes, due: now + first, after: first, first });
        }
        self.send(bytes);
    }

    /// The header that answers the challenge, if the message is to have it.
    fn credentials(&mut self, text: &str) -> String {
        let Some((_, rest)) = text.split_once("[authentication") else { return String::new() };
        let given = rest.split(']').next().and_then(|it| it.trim().strip_prefix("password="));
        let password = given.unwrap_or(&self.config.password).to_owned();
        let start =
            expand(text.trim().lines().next().unwrap_or_default(), &|name| self.keyword(name));
        let mut words = start.split_whitespace();
        let (method, uri) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let user = self.config.user.clone();
        let random = &mut self.random;
        let header = self.authentication.header(random, &user, Some(&password), method, uri);
        header.map(|(name, value)| format!("{name}: {value}")).unwrap_or_default()
    }

    fn keyword(&self, name: &str) -> Option<String> {
        let last = || Message::parse(&self.last).ok();
        let route = self.route.as_ref();
        Some(match name {
            "service" => self.config.service.clone(),
            "domain" => self.config.domain.clone(),
            "local_ip" => self.config.address.ip().to_string(),
            "local_port" => self.config.address.port().to_string(),
            "call_id" => self.config.call_id.clone(),
            "branch" => self.branch(self.at),
            "next_url" => route.map(|(uri, _)| uri.clone()).unwrap_or_default(),
            "routes" => route.map(|(_, routes)| routes.clone()).unwrap_or_default(),
            _ => {
                if let Some(back) = name.strip_prefix("branch-") {
                    return Some(self.branch(self.at.checked_sub(back.parse().ok()?)?));
                }
                if let Some(variable) = name.strip_prefix('$') {
                    return Some(self.variables.get(variable).cloned().unwrap_or_default());
                }
                let header = name.strip_prefix("last_")?.strip_suffix(':')?;
                return Some(last().map(|last| lines_of(&last, header)).unwrap_or_default());
            }
        })
    }

    /// Of the request that a step sends.
    fn branch(&self, step: usize) -> String {
        format!("z9hG4bK-{}-{step}", self.config.address.to_string().replace(':', "-"))
    }

    fn on_datagram(&mut self, now: Timestamp, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let call_id = message.call_id().rsplit("///").next().unwrap_or_default();
        if self.config.call_id.is_empty() && message.is_request() {
            self.config.call_id = call_id.to_owned();
        }
        let identity = identity(&message);
        if let Some(answer) = self.received.get(&identity) {
            if let Some(bytes) = answer.clone() {
                self.send(bytes);
            }
            return;
        }
        let found = self.expected(&message).filter(|_| call_id == self.config.call_id);
        let Some((index, receive)) = found else {
            let start =
                String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
            return self.outputs.push_back(SippOutput::PassedOver(start));
        };
        self.received.insert(identity.clone(), None);
        self.unanswered = Some(identity);
        self.last = bytes.to_vec();
        if self.stops_repeats(&message) {
            self.repeat = None;
        }
        if receive.keeps_route && self.route.is_none() {
            self.keep_route(&message);
        }
        if receive.is_challenge {
            self.authentication.on_challenge(&message);
        }
        receive.actions.iter().for_each(|action| self.act(action));
        let is_met = receive.test.as_ref().is_none_or(|name| self.variables.contains_key(name));
        match receive.next.filter(|_| is_met) {
            Some(next) => self.at = next,
            None if receive.is_optional => return,
            None => self.at = index + 1,
        }
        self.play(now);
    }

    /// The step that a message is for: the next one that must be received, or an optional one
    /// before it.
    fn expected(&self, message: &Message<'_>) -> Option<(usize, Receive)> {
        if self.paused_until.is_some() {
            return None;
        }
        for (index, step) in self.steps.iter().enumerate().skip(self.at) {
            let Step::Receive(receive) = step else { return None };
            if self.is_for(receive, message) {
                return Some((index, receive.clone()));
            }
            if !receive.is_optional {
                return None;
            }
        }
        None
    }

    fn is_for(&self, receive: &Receive, message: &Message<'_>) -> bool {
        match &receive.what {
            What::Request(method) => message.method() == Some(method),
            What::Response(status) => {
                let branch = message.top_via().branch();
                let wanted = receive.transaction.as_ref().map(|name| self.transactions.get(name));
                message.status() == Some(*status)
                    && wanted.is_none_or(|wanted| wanted.map(String::as_str) == branch)
            }
        }
    }

    /// A provisional response ends the repeats of an INVITE alone, and a CANCEL ends none.
    fn stops_repeats(&self, message: &Message<'_>) -> bool {
        let Some(repeat) = &self.repeat else { return false };
        let Ok(repeated) = Message::parse(&repeat.bytes) else { return true };
        match message.status() {
            Some(100..=199) => repeated.method() == Some("INVITE"),
            Some(_) => repeated.is_request(),
            None => !repeated.is_request() && message.method() != Some("CANCEL"),
        }
    }

    fn keep_route(&mut self, message: &Message<'_>) {
        let contact = message.header(HeaderName::Contact).unwrap_or_default();
        let uri = name_addr(&contact).map(|it| it.uri.to_owned()).unwrap_or_default();
        let mut routes = message.values(HeaderName::RecordRoute);
        if !message.is_request() {
            routes.reverse();
        }
        let routes: Vec<_> = routes.iter().map(|route| format!("Route: {route}")).collect();
        self.route = Some((uri, routes.join("\r\n")));
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Log(text) => {
                let line = expand(text, &|name| self.keyword(name));
                self.outputs.push_back(SippOutput::Log(line));
            }
            Action::Take { header, occurrence, variable } => {
                let Ok(last) = Message::parse(&self.last) else { return };
                let lines = lines_of(&last, header);
                let value = lines.lines().nth(occurrence - 1).and_then(|it| it.split_once(':'));
                let value = value.map(|(_, value)| value.to_owned()).unwrap_or_default();
                self.variables.insert(variable.clone(), value);
            }
            Action::Find { header, word, variable } => {
                let Ok(last) = Message::parse(&self.last) else { return };
                if lines_of(&last, header).contains(word.as_str()) {
                    self.variables.insert(variable.clone(), word.clone());
                }
            }
        }
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.outputs.push_back(SippOutput::Send { destination: self.config.proxy, bytes });
    }
}

fn identity(message: &Message<'_>) -> Identity {
    let status = message.status().map(|status| status.to_string());
    let what = status.or(message.method().map(str::to_owned)).unwrap_or_default();
    let (number, method) = message.cseq();
    let tag = |tag: Option<std::borrow::Cow<'_, str>>| tag.unwrap_or_default().into_owned();
    let tags = [tag(message.from_tag()), tag(message.to_tag())];
    (what, (number, method.to_owned()), tags, message.call_id().to_owned())
}
