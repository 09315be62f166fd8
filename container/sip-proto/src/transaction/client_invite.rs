//! INVITE client transaction: RFC 3261 §17.1.1, with Accepted from RFC 6026.
//!
//! | state               | input               | output                       | next       |
//! |---------------------|---------------------|------------------------------|------------|
//! | (start)             | INVITE              | send; start A and B          | Calling    |
//! | Calling             | timer A             | resend; A doubles            | same       |
//! | Calling             | timer B             | timeout to the user          | Terminated |
//! | Calling, Proceeding | 1xx                 | to the user; start C         | Proceeding |
//! | Calling, Proceeding | 2xx                 | to the user; start M         | Accepted   |
//! | Calling, Proceeding | 300-699             | ACK; to the user; start D    | Completed  |
//! | the same            | the same, too large | ACK, once; to the user       | Terminated |
//! | Proceeding          | CANCEL sent         | C is now 64*T1               | same       |
//! | Proceeding          | timer C             | timeout to the user; C again | same       |
//! | Proceeding          | timer C after that  | timeout to the user          | Terminated |
//! | Completed           | 300-699 again       | ACK again                    | same       |
//! | Accepted            | 2xx again           | to the user                  | same       |
//! | Completed, Accepted | timer D, timer M    |                              | Terminated |
//! | Calling             | resume              | resend; A and B start anew   | same       |
//! | Calling             | silent resume       | start C                      | Proceeding |
//! | Proceeding          | resume              | C starts anew                | same       |
//! | Completed, Accepted | resume              | D, M start anew              | same       |
//!
//! Timer C is the proxy's (§16.8); it lives here because it runs exactly while the state is
//! Proceeding. The first [`TransactionOutput::Timeout`] without
//! [`TransactionOutput::Terminated`] asks the user to send a CANCEL; no final response 64*T1
//! after a CANCEL ends the transaction (§9.1). Not here: the CANCEL itself, a transaction of its
//! own, and the ACK of a 2xx, which is none of a transaction.

use super::{Outputs, RESPONSE_KEPT_MAX, TimerConfig, TransactionOutput, after, earliest, is_due};
use crate::build::ack_for_failure;
use crate::message::Message;
use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};

/// An INVITE we sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInvite {
    /// Where the transaction is.
    state: ClientInviteState,
    /// The INVITE as sent: resent by timer A, and the source of the CANCEL and the ACK. Empty
    /// after a final response, when none of them can follow: the state is kept for 32 s more.
    #[serde(with = "serde_bytes")]
    request: Vec<u8>,
    /// The ACK of the failure, from Completed on.
    #[serde(with = "serde_bytes")]
    ack: Vec<u8>,
    /// Timer A: the next retransmission; only Calling over UDP.
    timer_a: Option<Timestamp>,
    /// Interval of timer A.
    timer_a_ms: u64,
    /// Timer B in Calling, C in Proceeding, D in Completed, M in Accepted: ends the state.
    state_timer: Option<Timestamp>,
    /// The user sent a CANCEL or was asked to: a provisional response no longer restarts C.
    is_cancelled: bool,
}

/// States of [`ClientInvite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientInviteState {
    /// Sent; nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A 300-699 came; repeats of it are acknowledged.
    Completed,
    /// A 2xx came; repeats and those of other branches go to the user.
    Accepted,
    /// Over.
    Terminated,
}

use ClientInviteState::{Accepted, Calling, Completed, Proceeding, Terminated};

impl ClientInvite {
    /// Sends `request`, an INVITE with our Via on top.
    pub fn start(now: Timestamp, cfg: &TimerConfig, request: Vec<u8>) -> (Self, Outputs) {
        let mut transaction = ClientInvite {
            state: Calling,
            request,
            ack: Vec::new(),
            timer_a: None,
            timer_a_ms: cfg.t1_ms,
            state_timer: None,
            is_cancelled: false,
        };
        let outputs = transaction.call(now, cfg);
        (transaction, outputs)
    }

    /// Takes a response that matches (§17.1.3).
    pub fn on_response(
        &mut self,
        now: Timestamp,
        cfg: &TimerConfig,
        bytes: &[u8],
        status: u16,
    ) -> Outputs {
        let to_user = TransactionOutput::ToUser(bytes.to_vec());
        match (self.state, status) {
            (Calling | Proceeding, 100..=199) => {
                self.proceed(now, cfg, status);
                vec![to_user]
            }
            (Calling | Proceeding, 200..=299) => {
                self.enter(Accepted, after(now, cfg.long_ms()));
                vec![to_user]
            }
            (Calling | Proceeding, 300..=699) => self.fail(now, cfg, bytes),
            (Completed, 300..=699) => vec![TransactionOutput::Send(self.ack.clone())],
            (Accepted, 200..=299) => vec![to_user],
            _ => Vec::new(),
        }
    }

    /// Fires all timers that are due.
    pub fn on_timeout(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        if is_due(self.state_timer, now) {
            return self.on_state_timer(now, cfg);
        }
        if is_due(self.timer_a, now) {
            self.timer_a_ms = self.timer_a_ms.saturating_mul(2);
            self.timer_a = after(now, self.timer_a_ms);
            return vec![TransactionOutput::Send(self.request.clone())];
        }
        Vec::new()
    }

    /// The user sent a CANCEL: a final response must come within 64*T1 (§9.1).
    pub fn on_cancel_sent(&mut self, now: Timestamp, cfg: &TimerConfig) {
        if self.state == Proceeding && !self.is_cancelled {
            self.is_cancelled = true;
            self.state_timer = after(now, cfg.long_ms());
        }
    }

    /// Goes on at another node.
    pub fn resume(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        if self.state == Calling {
            return self.call(now, cfg);
        }
        self.resume_silently(now, cfg);
        Vec::new()
    }

    /// The same so late that the INVITE is sent no more: whoever answers it now has it already. A
    /// provisional response may have come that nobody has stored, or while nobody lived; and no
    /// CANCEL overtakes the INVITE any more, which is why it would have to wait for one (§9.1).
    pub fn resume_silently(&mut self, now: Timestamp, cfg: &TimerConfig) {
        match self.state {
            Calling => self.enter(Proceeding, after(now, cfg.timer_c_ms)),
            Proceeding if self.is_cancelled => self.state_timer = after(now, cfg.long_ms()),
            Proceeding => self.state_timer = after(now, cfg.timer_c_ms),
            // The ACK is sent again when the response is repeated; until then it may be there.
            Completed | Accepted => self.state_timer = after(now, cfg.long_ms()),
            Terminated => {}
        }
    }

    /// When [`Self::on_timeout`] is next due.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        earliest(&[self.timer_a, self.state_timer])
    }

    /// The state.
    pub fn state(&self) -> ClientInviteState {
        self.state
    }

    /// The INVITE as sent, from which its CANCEL is built; empty after a final response.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Over; can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == Terminated
    }

    /// Sends the INVITE and starts timers A and B.
    fn call(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        self.timer_a_ms = cfg.t1_ms;
        self.timer_a = if cfg.reliable { None } else { after(now, cfg.t1_ms) };
        self.state_timer = after(now, cfg.long_ms());
        vec![TransactionOutput::Send(self.request.clone())]
    }

    /// §16.7 step 2: every provisional response but 100 restarts timer C.
    fn proceed(&mut self, now: Timestamp, cfg: &TimerConfig, status: u16) {
        let restarts_c = status != 100 && !self.is_cancelled;
        if self.state == Calling || restarts_c {
            self.enter(Proceeding, after(now, cfg.timer_c_ms));
        }
    }

    fn fail(&mut self, now: Timestamp, cfg: &TimerConfig, bytes: &[u8]) -> Outputs {
        let mut outputs = Outputs::new();
        if let (Ok(invite), Ok(response)) = (Message::parse(&self.request), Message::parse(bytes)) {
            self.ack = ack_for_failure(&invite, &response);
            outputs.push(TransactionOutput::Send(self.ack.clone()));
        }
        outputs.push(TransactionOutput::ToUser(bytes.to_vec()));
        let is_too_large = self.ack.len() > RESPONSE_KEPT_MAX;
        if is_too_large {
            self.ack = Vec::new();
        }
        if cfg.reliable || is_too_large {
            self.enter(Terminated, None);
            outputs.push(TransactionOutput::Terminated);
        } else {
            // Timer D is at least 32 s; 64*T1 is that, and scales with the configuration.
            self.enter(Completed, after(now, cfg.long_ms()));
        }
        outputs
    }

    fn on_state_timer(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        match self.state {
            Calling => {
                self.enter(Terminated, None);
                vec![TransactionOutput::Timeout, TransactionOutput::Terminated]
            }
            Proceeding if !self.is_cancelled => {
                self.is_cancelled = true;
                self.state_timer = after(now, cfg.long_ms());
                vec![TransactionOutput::Timeout]
            }
            Proceeding => {
                self.enter(Terminated, None);
                vec![TransactionOutput::Timeout, TransactionOutput::Terminated]
            }
            Completed | Accepted => {
                self.enter(Terminated, None);
                vec![TransactionOutput::Terminated]
            }
            Terminated => Vec::new(),
        }
    }

    fn enter(&mut self, state: ClientInviteState, state_timer: Option<Timestamp>) {
        self.state = state;
        if matches!(state, Accepted | Completed | Terminated) {
            self.request = Vec::new();
        }
        self.timer_a = None;
        self.state_timer = state_timer;
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{at, invite, response, tcp, told, udp};
    use super::*;

    fn calling() -> ClientInvite {
        ClientInvite::start(at(0), &udp(), invite()).0
    }

    fn after_response(status: u16) -> ClientInvite {
        let mut call = calling();
        call.on_response(at(100), &udp(), &response(status), status);
        call
    }

    #[test]
    fn s17_1_1_2_start_sends_the_invite() {
        let (call, outputs) = ClientInvite::start(at(0), &udp(), invite());
        assert_eq!(outputs, [TransactionOutput::Send(invite())]);
        assert_eq!((call.state(), call.next_timeout()), (Calling, Some(at(500))));
    }

    #[test]
    fn s17_1_1_2_timer_a_doubles_until_timer_b() {
        let mut call = calling();
        for ms in [500, 1_500, 3_500, 7_500, 15_500, 31_500] {
            assert_eq!(call.next_timeout(), Some(at(ms)));
            assert!(call.on_timeout(at(ms - 1), &udp()).is_empty());
            assert_eq!(told(&call.on_timeout(at(ms), &udp())), ["send INVITE"]);
        }
        assert_eq!(call.next_timeout(), Some(at(32_000)));
        assert_eq!(told(&call.on_timeout(at(32_000), &udp())), ["timeout", "terminated"]);
        assert!(call.is_terminated() && call.next_timeout().is_none());
    }

    #[test]
    fn s17_1_1_2_timer_a_does_not_run_over_tcp() {
        let (call, _) = ClientInvite::start(at(0), &tcp(), invite());
        assert_eq!(call.next_timeout(), Some(at(32_000)));
    }

    #[test]
    fn s17_1_1_2_a_provisional_response_stops_retransmissions() {
        let mut call = calling();
        for status in [100, 180, 183] {
            let outputs = call.on_response(at(100), &udp(), &response(status), status);
            assert_eq!(told(&outputs), [format!("user {status}")]);
        }
        assert_eq!((call.state(), call.next_timeout()), (Proceeding, Some(at(180_100))));
    }

    #[test]
    fn s16_7_2_all_provisional_responses_but_100_restart_timer_c() {
        let mut call = after_response(180);
        call.on_response(at(5_000), &udp(), &response(100), 100);
        assert_eq!(call.next_timeout(), Some(at(180_100)));
        call.on_response(at(6_000), &udp(), &response(180), 180);
        assert_eq!(call.next_timeout(), Some(at(186_000)));
    }

    #[test]
    fn s16_8_timer_c_asks_for_a_cancel_and_ends_the_call_64_t1_later() {
        let mut call = after_response(180);
        assert_eq!(told(&call.on_timeout(at(180_100), &udp())), ["timeout"]);
        assert_eq!((call.state(), call.next_timeout()), (Proceeding, Some(at(212_100))));
        call.on_response(at(190_000), &udp(), &response(180), 180);
        assert_eq!(told(&call.on_timeout(at(212_100), &udp())), ["timeout", "terminated"]);
    }

    #[test]
    fn s9_1_a_cancelled_call_ends_without_a_final_response() {
        let mut call = after_response(180);
        call.on_cancel_sent(at(1_000), &udp());
        call.on_cancel_sent(at(2_000), &udp());
        assert_eq!(told(&call.on_timeout(at(33_000), &udp())), ["timeout", "terminated"]);
    }

    #[test]
    fn an_ack_that_is_too_large_is_sent_once() {
        let mut call = calling();
        let tag = "t".repeat(RESPONSE_KEPT_MAX);
        let busy = String::from_utf8(response(486)).expect("text");
        let busy = busy.replacen("To: ", &format!("To: \"{tag}\" "), 1).into_bytes();
        let outputs = call.on_response(at(100), &udp(), &busy, 486);
        assert_eq!(told(&outputs), ["send ACK", "user 486", "terminated"]);
        assert!(call.on_response(at(200), &udp(), &busy, 486).is_empty());
    }

    #[test]
    fn the_request_is_kept_until_nothing_can_be_made_of_it() {
        for (status, kept) in [(180, invite()), (200, Vec::new()), (486, Vec::new())] {
            assert_eq!(after_response(status).request(), kept, "after {status}");
        }
    }

    #[test]
    fn rfc6026_s7_1_a_2xx_and_its_repeats_go_to_the_user() {
        for mut call in [calling(), after_response(180)] {
            for _ in 0..3 {
                let outputs = call.on_response(at(200), &udp(), &response(200), 200);
                assert_eq!(told(&outputs), ["user 200"]);
            }
            assert_eq!((call.state(), call.next_timeout()), (Accepted, Some(at(32_200))));
            assert!(call.on_response(at(300), &udp(), &response(486), 486).is_empty());
            assert!(call.on_response(at(300), &udp(), &response(180), 180).is_empty());
            assert_eq!(told(&call.on_timeout(at(32_200), &udp())), ["terminated"]);
        }
    }

    #[test]
    fn s17_1_1_2_a_failure_is_acknowledged_and_so_are_its_repeats() {
        for mut call in [calling(), after_response(180)] {
            let outputs = call.on_response(at(200), &udp(), &response(486), 486);
            assert_eq!(told(&outputs), ["send ACK", "user 486"]);
            assert_eq!((call.state(), call.next_timeout()), (Completed, Some(at(32_200))));
            let again = call.on_response(at(700), &udp(), &response(486), 486);
            assert_eq!(again, outputs[..1]);
            assert!(call.on_response(at(700), &udp(), &response(200), 200).is_empty());
            assert_eq!(told(&call.on_timeout(at(32_200), &udp())), ["terminated"]);
        }
    }

    #[test]
    fn s17_1_1_3_the_ack_has_the_branch_of_the_invite_and_the_tag_of_the_response() {
        let mut call = calling();
        let outputs = call.on_response(at(200), &udp(), &response(486), 486);
        let TransactionOutput::Send(ack) = &outputs[0] else { panic!("{outputs:?}") };
        let ack = Message::parse(ack).unwrap();
        assert_eq!(ack.top_via().branch(), Some("z9hG4bK1"));
        assert_eq!(ack.to_tag().as_deref(), Some("486"));
        assert_eq!(ack.cseq(), (1, "ACK"));
    }

    #[test]
    fn s17_1_1_2_timer_d_is_zero_over_tcp() {
        let (mut call, _) = ClientInvite::start(at(0), &tcp(), invite());
        let outputs = call.on_response(at(1), &tcp(), &response(486), 486);
        assert_eq!(told(&outputs), ["send ACK", "user 486", "terminated"]);
    }

    #[test]
    fn a_taken_over_call_resends_the_invite_at_once() {
        let mut call = calling();
        call.on_timeout(at(500), &udp());
        assert_eq!(told(&call.resume(at(600), &udp())), ["send INVITE"]);
        assert_eq!(call.next_timeout(), Some(at(1_100)));
    }

    #[test]
    fn a_call_that_goes_on_silently_is_as_if_a_provisional_response_had_come() {
        let mut call = calling();
        call.resume_silently(at(600), &udp());
        assert_eq!((call.state(), call.next_timeout()), (Proceeding, Some(at(180_600))));
        let outputs = call.on_response(at(700), &udp(), &response(486), 486);
        assert_eq!(told(&outputs), ["send ACK", "user 486"]);
    }

    #[test]
    fn a_taken_over_call_waits_anew() {
        for (status, wait_ms) in [(180, 180_000), (200, 32_000), (486, 32_000)] {
            let mut call = after_response(status);
            assert!(call.resume(at(5_000), &udp()).is_empty());
            assert_eq!(call.next_timeout(), Some(at(5_000 + wait_ms)));
        }
        let mut failed = after_response(486);
        failed.resume(at(5_000), &udp());
        let again = failed.on_response(at(5_100), &udp(), &response(486), 486);
        assert_eq!(told(&again), ["send ACK"]);
    }
}
