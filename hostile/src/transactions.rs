//! What the four transaction machines are told, in any order and at any time; each is marshalled
//! and read back between two steps, as at a takeover.
//!
//! The first byte says which machine and which transport; then each byte is a step, and the low
//! bits of it what kind: a response or request, time, a resumption.

use crate::alone::START;
use resilee_sbb::{Timestamp, decode, encode};
use resilee_sip_proto::{
    ClientInvite, ClientNonInvite, Outputs, ServerInvite, ServerNonInvite, TimerConfig,
};
use std::time::Duration;

const INVITE: &[u8] = b"INVITE sip:bob@example.test SIP/2.0\r\n\
    Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@example.test>;tag=a\r\n\
    To: <sip:bob@example.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";

/// Most things that one step can make a machine do.
const OUTPUTS_MAX: usize = 8;
/// Timeouts without an end of the transaction.
const TIMEOUTS_MAX: usize = 200;

/// Nothing panics; a machine that is not over is waited for, or waits for its user; one that is
/// over sets no timer.
///
/// # Panics
/// A rule is broken.
pub fn transactions(bytes: &[u8]) {
    let Some((first, steps)) = bytes.split_first() else { return };
    let timers = TimerConfig { reliable: first & 4 != 0, ..TimerConfig::default() };
    let mut now = START;
    let mut machine = match first & 3 {
        0 => Machine::ClientInvite(ClientInvite::start(now, &timers, INVITE.to_vec()).0),
        1 => Machine::ClientNonInvite(ClientNonInvite::start(now, &timers, INVITE.to_vec()).0),
        2 => Machine::ServerInvite(ServerInvite::start(now, &timers)),
        _ => Machine::ServerNonInvite(ServerNonInvite::start(now, &timers)),
    };
    for step in steps {
        let outputs = machine.step(&mut now, &timers, *step);
        assert!(outputs.len() <= OUTPUTS_MAX, "{outputs:?}");
        machine = machine.handed_over();
        machine.check();
    }
    for _ in 0..TIMEOUTS_MAX {
        let Some(at) = machine.next_timeout() else { return };
        now = now.max(at);
        machine.on_timeout(now, &timers);
        machine.check();
        assert!(machine.next_timeout().is_none_or(|next| next > now), "a timer in the past");
    }
    panic!("a transaction without end: {machine:?}");
}

#[derive(Debug)]
#[expect(clippy::enum_variant_names, reason = "they are named as in RFC 3261 §17")]
enum Machine {
    ClientInvite(ClientInvite),
    ClientNonInvite(ClientNonInvite),
    ServerInvite(ServerInvite),
    ServerNonInvite(ServerNonInvite),
}

impl Machine {
    fn step(&mut self, now: &mut Timestamp, timers: &TimerConfig, step: u8) -> Outputs {
        // Any status, also one that is none.
        let status = 90 + u16::from(step >> 3) * 20;
        let message = format!("SIP/2.0 {status} x\r\n\r\n").into_bytes();
        match step & 7 {
            0..=2 => match self {
                Machine::ClientInvite(it) => it.on_response(*now, timers, &message, status),
                Machine::ClientNonInvite(it) => it.on_response(*now, timers, &message, status),
                Machine::ServerInvite(it) => it.respond(*now, timers, status, message),
                Machine::ServerNonInvite(it) => it.respond(*now, timers, status, message),
            },
            3 => match self {
                Machine::ServerInvite(it) => it.on_request(INVITE),
                Machine::ServerNonInvite(it) => it.on_request(INVITE),
                Machine::ClientInvite(it) => {
                    it.on_cancel_sent(*now, timers);
                    Outputs::default()
                }
                Machine::ClientNonInvite(_) => Outputs::default(),
            },
            4 => match self {
                Machine::ServerInvite(it) => it.on_ack(*now, timers, INVITE),
                _ => Outputs::default(),
            },
            5 => {
                *now = *now + Duration::from_millis(u64::from(step >> 3) * 700);
                self.on_timeout(*now, timers)
            }
            _ => match self {
                Machine::ClientInvite(it) => it.resume(*now, timers),
                Machine::ClientNonInvite(it) => it.resume(*now, timers),
                Machine::ServerInvite(it) => it.resume(*now, timers),
                Machine::ServerNonInvite(it) => it.resume(*now, timers),
            },
        }
    }

    fn on_timeout(&mut self, now: Timestamp, timers: &TimerConfig) -> Outputs {
        match self {
            Machine::ClientInvite(it) => it.on_timeout(now, timers),
            Machine::ClientNonInvite(it) => it.on_timeout(now, timers),
            Machine::ServerInvite(it) => it.on_timeout(now, timers),
            Machine::ServerNonInvite(it) => it.on_timeout(now, timers),
        }
    }

    fn next_timeout(&self) -> Option<Timestamp> {
        match self {
            Machine::ClientInvite(it) => it.next_timeout(),
            Machine::ClientNonInvite(it) => it.next_timeout(),
            Machine::ServerInvite(it) => it.next_timeout(),
            Machine::ServerNonInvite(it) => it.next_timeout(),
        }
    }

    fn is_terminated(&self) -> bool {
        match self {
            Machine::ClientInvite(it) => it.is_terminated(),
            Machine::ClientNonInvite(it) => it.is_terminated(),
            Machine::ServerInvite(it) => it.is_terminated(),
            Machine::ServerNonInvite(it) => it.is_terminated(),
        }
    }

    fn check(&self) {
        let is_client = matches!(self, Machine::ClientInvite(_) | Machine::ClientNonInvite(_));
        let waits = self.next_timeout().is_some();
        assert!(!(self.is_terminated() && waits), "over, and a timer is set: {self:?}");
        assert!(self.is_terminated() || waits || !is_client, "waits for nothing: {self:?}");
    }

    fn handed_over(self) -> Self {
        let bytes = |encoded: Result<Vec<u8>, _>| encoded.expect("plain data can be encoded");
        match self {
            Machine::ClientInvite(it) => Machine::ClientInvite(read(&bytes(encode(&it)))),
            Machine::ClientNonInvite(it) => Machine::ClientNonInvite(read(&bytes(encode(&it)))),
            Machine::ServerInvite(it) => Machine::ServerInvite(read(&bytes(encode(&it)))),
            Machine::ServerNonInvite(it) => Machine::ServerNonInvite(read(&bytes(encode(&it)))),
        }
    }
}

fn read<T: for<'de> serde::Deserialize<'de>>(bytes: &[u8]) -> T {
    decode(bytes).expect("what was written can be read")
}
