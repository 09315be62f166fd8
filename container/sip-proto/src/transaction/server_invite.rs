//! INVITE server transaction: RFC 3261 §17.2.1, with Accepted from RFC 6026.
//!
//! | state                 | input               | output                       | next       |
//! |-----------------------|---------------------|------------------------------|------------|
//! | (start)               | INVITE              |                              | Proceeding |
//! | Proceeding            | 1xx from the user   | send; too large: not kept    | same       |
//! | Proceeding            | INVITE again        | the last 1xx again           | same       |
//! | Proceeding            | 2xx from the user   | send; start L                | Accepted   |
//! | Proceeding            | 300-699 from user   | send; start G and H          | Completed  |
//! | Completed             | INVITE again        | the response again           | same       |
//! | Completed             | timer G             | the response; G doubles to T2| same       |
//! | Completed, sent once  |                     | no timer G                   |            |
//! | Completed             | timer H             | timeout to the user          | Terminated |
//! | Completed             | ACK                 | start I                      | Confirmed  |
//! | Confirmed             | INVITE, ACK again   |                              | same       |
//! | Confirmed, Accepted   | timer I, timer L    |                              | Terminated |
//! | Accepted              | INVITE again        |                              | same       |
//! | Accepted              | 2xx from the user   | send                         | same       |
//! | Accepted              | ACK                 | to the user                  | same       |
//! | Proceeding            | resume              | the last 1xx again           | same       |
//! | Completed             | resume              | the response; G, H anew      | same       |
//! | Confirmed, Accepted   | resume              | I, L anew                    | same       |
//!
//! The 100 Trying is the user's to send; a 2xx is repeated by whoever made it (the callee, or the
//! user itself), never by a timer here.

use super::{Outputs, RESPONSE_KEPT_MAX, TimerConfig, TransactionOutput, after, earliest, is_due};
use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};

/// An INVITE we received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInvite {
    /// Where the transaction is.
    state: ServerInviteState,
    /// The last response sent, for retransmissions; empty if none, and once a 2xx was sent.
    #[serde(with = "serde_bytes")]
    last_response: Vec<u8>,
    /// Timer G: the next retransmission of a failure; only Completed over UDP.
    timer_g: Option<Timestamp>,
    /// Interval of timer G.
    timer_g_ms: u64,
    /// Timer H in Completed, I in Confirmed, L in Accepted: ends the transaction.
    state_timer: Option<Timestamp>,
    /// A failure is sent again only when the INVITE comes again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_sent_once: bool,
}

/// States of [`ServerInvite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerInviteState {
    /// No final response yet.
    Proceeding,
    /// A 300-699 was sent; its ACK has not come.
    Completed,
    /// The ACK came; repeats of it are absorbed.
    Confirmed,
    /// A 2xx was sent.
    Accepted,
    /// Over.
    Terminated,
}

use ServerInviteState::{Accepted, Completed, Confirmed, Proceeding, Terminated};

impl ServerInvite {
    /// An INVITE came that belongs to no transaction yet.
    pub fn start(_now: Timestamp, cfg: &TimerConfig) -> Self {
        ServerInvite {
            state: Proceeding,
            last_response: Vec::new(),
            timer_g: None,
            timer_g_ms: cfg.t1_ms,
            state_timer: None,
            is_sent_once: false,
        }
    }

    /// A failure will be sent once, and again only when the INVITE comes again or another node
    /// takes over: no timer G (§26.3.2.4). For a sender who repeats its INVITE, as it got no
    /// provisional response.
    pub fn send_once(&mut self) {
        self.is_sent_once = true;
    }

    /// The INVITE came again.
    pub fn on_request(&mut self, _bytes: &[u8]) -> Outputs {
        match self.state {
            Proceeding | Completed => self.send_last(),
            Confirmed | Accepted | Terminated => Vec::new(),
        }
    }

    /// An ACK came that matches this transaction (§17.2.3).
    pub fn on_ack(&mut self, now: Timestamp, cfg: &TimerConfig, bytes: &[u8]) -> Outputs {
        match self.state {
            Completed if cfg.reliable => {
                self.enter(Terminated, None);
                vec![TransactionOutput::Terminated]
            }
            Completed => {
                self.enter(Confirmed, after(now, cfg.t4_ms));
                Vec::new()
            }
            Accepted => vec![TransactionOutput::ToUser(bytes.to_vec())],
            Proceeding | Confirmed | Terminated => Vec::new(),
        }
    }

    /// The user responds.
    pub fn respond(
        &mut self,
        now: Timestamp,
        cfg: &TimerConfig,
        status: u16,
        response: Vec<u8>,
    ) -> Outputs {
        match (self.state, status) {
            (Proceeding, 100..=199) => {
                if response.len() > RESPONSE_KEPT_MAX {
                    return vec![TransactionOutput::Send(response)];
                }
                self.last_response = response;
                self.send_last()
            }
            (Proceeding, 200..=299) => {
                self.last_response = Vec::new();
                self.enter(Accepted, after(now, cfg.long_ms()));
                vec![TransactionOutput::Send(response)]
            }
            (Proceeding, 300..=699) => {
                self.last_response = response;
                self.complete(now, cfg)
            }
            (Accepted, 200..=299) => vec![TransactionOutput::Send(response)],
            _ => Vec::new(),
        }
    }

    /// Fires all timers that are due.
    pub fn on_timeout(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        if is_due(self.state_timer, now) {
            let has_no_ack = self.state == Completed;
            self.enter(Terminated, None);
            let timeout = has_no_ack.then_some(TransactionOutput::Timeout);
            return timeout.into_iter().chain([TransactionOutput::Terminated]).collect();
        }
        if is_due(self.timer_g, now) {
            self.timer_g_ms = self.timer_g_ms.saturating_mul(2).min(cfg.t2_ms);
            self.timer_g = after(now, self.timer_g_ms);
            return self.send_last();
        }
        Vec::new()
    }

    /// Goes on at another node. The dead node may not have sent its last response.
    pub fn resume(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        match self.state {
            Proceeding => return self.send_last(),
            Completed => return self.complete(now, cfg),
            Confirmed => self.state_timer = after(now, cfg.t4_ms),
            Accepted => self.state_timer = after(now, cfg.long_ms()),
            Terminated => {}
        }
        Vec::new()
    }

    /// When [`Self::on_timeout`] is next due.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        earliest(&[self.timer_g, self.state_timer])
    }

    /// The state.
    pub fn state(&self) -> ServerInviteState {
        self.state
    }

    /// Over; can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == Terminated
    }

    /// Sends the failure and starts timers G and H.
    fn complete(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        self.enter(Completed, after(now, cfg.long_ms()));
        self.timer_g_ms = cfg.t1_ms;
        let is_silent = cfg.reliable || self.is_sent_once;
        self.timer_g = if is_silent { None } else { after(now, cfg.t1_ms) };
        self.send_last()
    }

    fn send_last(&self) -> Outputs {
        if self.last_response.is_empty() {
            return Vec::new();
        }
        vec![TransactionOutput::Send(self.last_response.clone())]
    }

    fn enter(&mut self, state: ServerInviteState, state_timer: Option<Timestamp>) {
        self.state = state;
        self.timer_g = None;
        self.state_timer = state_timer;
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{at, invite, large_response, response, tcp, told, udp};
    use super::*;

    const ACK: &[u8] = b"ACK sip:a@b SIP/2.0";

    fn proceeding() -> ServerInvite {
        ServerInvite::start(at(0), &udp())
    }

    fn after_response(status: u16) -> ServerInvite {
        let mut call = proceeding();
        call.respond(at(100), &udp(), status, response(status));
        call
    }

    fn confirmed() -> ServerInvite {
        let mut call = after_response(486);
        call.on_ack(at(200), &udp(), ACK);
        call
    }

    #[test]
    fn s17_2_1_the_last_provisional_response_answers_a_repeated_invite() {
        let mut call = proceeding();
        assert!(call.on_request(&invite()).is_empty());
        for status in [100, 180] {
            let outputs = call.respond(at(0), &udp(), status, response(status));
            assert_eq!(told(&outputs), [format!("send {status}")]);
        }
        assert_eq!(told(&call.on_request(&invite())), ["send 180"]);
        assert_eq!((call.state(), call.next_timeout()), (Proceeding, None));
    }

    #[test]
    fn a_provisional_response_that_is_too_large_is_sent_once() {
        let mut call = after_response(180);
        let outputs = call.respond(at(200), &udp(), 183, large_response(183));
        assert_eq!(told(&outputs), ["send 183"]);
        assert_eq!(told(&call.on_request(&invite())), ["send 180"]);
    }

    #[test]
    fn s17_2_1_timer_g_doubles_up_to_t2_until_timer_h() {
        let mut call = proceeding();
        assert_eq!(told(&call.respond(at(0), &udp(), 486, response(486))), ["send 486"]);
        for ms in [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500] {
            assert_eq!(call.next_timeout(), Some(at(ms)));
            assert_eq!(told(&call.on_timeout(at(ms), &udp())), ["send 486"]);
        }
        assert_eq!(told(&call.on_timeout(at(32_000), &udp())), ["timeout", "terminated"]);
        assert!(call.is_terminated() && call.next_timeout().is_none());
    }

    #[test]
    fn s17_2_1_in_completed_a_repeated_invite_gets_the_failure_again() {
        let mut call = after_response(486);
        assert_eq!(told(&call.on_request(&invite())), ["send 486"]);
        assert!(call.respond(at(300), &udp(), 200, response(200)).is_empty());
    }

    #[test]
    fn s17_2_1_an_ack_confirms_and_its_repeats_are_absorbed() {
        let mut call = confirmed();
        assert_eq!((call.state(), call.next_timeout()), (Confirmed, Some(at(5_200))));
        assert!(call.on_ack(at(300), &udp(), ACK).is_empty());
        assert!(call.on_request(&invite()).is_empty());
        assert_eq!(told(&call.on_timeout(at(5_200), &udp())), ["terminated"]);
    }

    #[test]
    fn s17_2_1_over_tcp_nothing_is_resent_and_timer_i_is_zero() {
        let mut call = ServerInvite::start(at(0), &tcp());
        call.respond(at(0), &tcp(), 486, response(486));
        assert_eq!(call.next_timeout(), Some(at(32_000)));
        assert_eq!(told(&call.on_ack(at(1), &tcp(), ACK)), ["terminated"]);
    }

    #[test]
    fn rfc6026_s7_1_in_accepted_2xx_are_sent_and_invites_absorbed() {
        let mut call = after_response(180);
        for _ in 0..3 {
            let outputs = call.respond(at(500), &udp(), 200, response(200));
            assert_eq!(told(&outputs), ["send 200"]);
        }
        assert_eq!((call.state(), call.next_timeout()), (Accepted, Some(at(32_500))));
        assert!(call.on_request(&invite()).is_empty());
        assert!(call.respond(at(600), &udp(), 486, response(486)).is_empty());
        assert_eq!(told(&call.on_ack(at(600), &udp(), ACK)), ["user ACK"]);
        assert_eq!(told(&call.on_timeout(at(32_500), &udp())), ["terminated"]);
    }

    #[test]
    fn s26_3_2_4_a_challenge_is_repeated_only_when_the_invite_is() {
        let mut call = proceeding();
        call.send_once();
        assert_eq!(told(&call.respond(at(0), &udp(), 407, response(407))), ["send 407"]);
        assert_eq!(call.next_timeout(), Some(at(32_000)));
        assert_eq!(told(&call.on_request(&invite())), ["send 407"]);
        assert_eq!(told(&call.resume(at(9_000), &udp())), ["send 407"]);
        assert_eq!(call.next_timeout(), Some(at(41_000)));
    }

    #[test]
    fn a_taken_over_call_sends_its_last_response_again() {
        assert!(proceeding().resume(at(9_000), &udp()).is_empty());
        assert_eq!(told(&after_response(180).resume(at(9_000), &udp())), ["send 180"]);
        let mut failed = after_response(486);
        assert_eq!(told(&failed.resume(at(9_000), &udp())), ["send 486"]);
        assert_eq!(failed.next_timeout(), Some(at(9_500)));
    }

    #[test]
    fn a_taken_over_call_that_is_over_only_lingers_anew() {
        for (mut call, linger_ms) in [(confirmed(), 5_000), (after_response(200), 32_000)] {
            assert!(call.resume(at(9_000), &udp()).is_empty());
            assert_eq!(call.next_timeout(), Some(at(9_000 + linger_ms)));
        }
    }
}
