//! Non-INVITE client transaction: RFC 3261 §17.1.2.
//!
//! | state              | input               | output                             | next       |
//! |--------------------|---------------------|------------------------------------|------------|
//! | (start)            | request             | send; start E and F                | Trying     |
//! | Trying             | timer E             | resend; E doubles up to T2         | same       |
//! | Proceeding         | timer E             | resend; E is T2                    | same       |
//! | Trying, Proceeding | timer F             | timeout to the user                | Terminated |
//! | Trying, Proceeding | 1xx                 | to the user                        | Proceeding |
//! | Trying, Proceeding | 200-699             | to the user; start K               | Completed  |
//! | Completed          | any response        |                                    | same       |
//! | Completed          | timer K             |                                    | Terminated |
//! | Trying, Proceeding | resume              | resend; E and F start anew         | same       |
//! | Completed          | resume              | K starts anew                      | same       |
//!
//! Over a reliable transport timer E does not run and K is zero: Completed is passed through.

use super::{Outputs, TimerConfig, TransactionOutput, after, earliest, is_due};
use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};

/// A request we sent that is neither INVITE nor ACK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientNonInvite {
    /// Where the transaction is.
    state: ClientNonInviteState,
    /// The request as sent.
    #[serde(with = "serde_bytes")]
    request: Vec<u8>,
    /// Timer E: the next retransmission; only over UDP.
    timer_e: Option<Timestamp>,
    /// Interval of timer E.
    timer_e_ms: u64,
    /// Timer F in Trying and Proceeding, K in Completed: ends the transaction.
    state_timer: Option<Timestamp>,
}

/// States of [`ClientNonInvite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientNonInviteState {
    /// Sent; nothing heard.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// A final response came; repeats of it are absorbed.
    Completed,
    /// Over.
    Terminated,
}

use ClientNonInviteState::{Completed, Proceeding, Terminated, Trying};

impl ClientNonInvite {
    /// Sends `request`, with our Via on top.
    pub fn start(now: Timestamp, cfg: &TimerConfig, request: Vec<u8>) -> (Self, Outputs) {
        let mut transaction = ClientNonInvite {
            state: Trying,
            request,
            timer_e: None,
            timer_e_ms: cfg.t1_ms,
            state_timer: None,
        };
        let outputs = transaction.send(now, cfg, cfg.t1_ms);
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
        match (self.state, status) {
            (Trying | Proceeding, 100..=199) => {
                self.state = Proceeding;
                vec![TransactionOutput::ToUser(bytes.to_vec())]
            }
            (Trying | Proceeding, 200..=699) => {
                let mut outputs = vec![TransactionOutput::ToUser(bytes.to_vec())];
                if cfg.reliable {
                    self.enter(Terminated, None);
                    outputs.push(TransactionOutput::Terminated);
                } else {
                    self.enter(Completed, after(now, cfg.t4_ms));
                }
                outputs
            }
            _ => Vec::new(),
        }
    }

    /// Fires all timers that are due.
    pub fn on_timeout(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        if is_due(self.state_timer, now) {
            let was_waiting = matches!(self.state, Trying | Proceeding);
            self.enter(Terminated, None);
            let timeout = was_waiting.then_some(TransactionOutput::Timeout);
            return timeout.into_iter().chain([TransactionOutput::Terminated]).collect();
        }
        if is_due(self.timer_e, now) {
            self.timer_e_ms = match self.state {
                Trying => self.timer_e_ms.saturating_mul(2).min(cfg.t2_ms),
                Proceeding | Completed | Terminated => cfg.t2_ms,
            };
            self.timer_e = after(now, self.timer_e_ms);
            return vec![TransactionOutput::Send(self.request.clone())];
        }
        Vec::new()
    }

    /// Goes on at another node.
    pub fn resume(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        match self.state {
            Trying => self.send(now, cfg, cfg.t1_ms),
            Proceeding => self.send(now, cfg, cfg.t2_ms),
            Completed => {
                self.state_timer = after(now, cfg.t4_ms);
                Vec::new()
            }
            Terminated => Vec::new(),
        }
    }

    /// When [`Self::on_timeout`] is next due.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        earliest(&[self.timer_e, self.state_timer])
    }

    /// The state.
    pub fn state(&self) -> ClientNonInviteState {
        self.state
    }

    /// The request as sent; empty after a final response.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Over; can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == Terminated
    }

    /// Sends the request and starts timers E (after `timer_e_ms`) and F.
    fn send(&mut self, now: Timestamp, cfg: &TimerConfig, timer_e_ms: u64) -> Outputs {
        self.timer_e_ms = timer_e_ms;
        self.timer_e = if cfg.reliable { None } else { after(now, timer_e_ms) };
        self.state_timer = after(now, cfg.long_ms());
        vec![TransactionOutput::Send(self.request.clone())]
    }

    fn enter(&mut self, state: ClientNonInviteState, state_timer: Option<Timestamp>) {
        self.state = state;
        if matches!(state, Completed | Terminated) {
            self.request = Vec::new();
        }
        self.timer_e = None;
        self.state_timer = state_timer;
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{at, response, tcp, told, udp};
    use super::*;

    fn bye() -> Vec<u8> {
        b"BYE sip:a@b SIP/2.0\r\n\r\n".to_vec()
    }

    fn trying() -> ClientNonInvite {
        ClientNonInvite::start(at(0), &udp(), bye()).0
    }

    fn after_response(status: u16) -> ClientNonInvite {
        let mut request = trying();
        request.on_response(at(100), &udp(), &response(status), status);
        request
    }

    #[test]
    fn s17_1_2_2_timer_e_doubles_up_to_t2_until_timer_f() {
        let (mut request, outputs) = ClientNonInvite::start(at(0), &udp(), bye());
        assert_eq!(told(&outputs), ["send BYE"]);
        for ms in [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500] {
            assert_eq!(request.next_timeout(), Some(at(ms)));
            assert_eq!(told(&request.on_timeout(at(ms), &udp())), ["send BYE"]);
        }
        assert_eq!(told(&request.on_timeout(at(32_000), &udp())), ["timeout", "terminated"]);
        assert!(request.is_terminated() && request.next_timeout().is_none());
    }

    #[test]
    fn s17_1_2_2_in_proceeding_timer_e_is_t2_and_timer_f_goes_on() {
        let mut request = after_response(100);
        assert_eq!(request.state(), Proceeding);
        assert_eq!(told(&request.on_timeout(at(500), &udp())), ["send BYE"]);
        assert_eq!(request.next_timeout(), Some(at(4_500)));
        let outputs = request.on_response(at(600), &udp(), &response(183), 183);
        assert_eq!(told(&outputs), ["user 183"]);
        assert_eq!(told(&request.on_timeout(at(32_000), &udp())), ["timeout", "terminated"]);
    }

    #[test]
    fn s17_1_2_2_a_final_response_goes_to_the_user_once() {
        for mut request in [trying(), after_response(100)] {
            let outputs = request.on_response(at(200), &udp(), &response(200), 200);
            assert_eq!(told(&outputs), ["user 200"]);
            assert_eq!((request.state(), request.next_timeout()), (Completed, Some(at(5_200))));
            assert!(request.request().is_empty(), "nothing is made of it any more");
            assert!(request.on_response(at(300), &udp(), &response(200), 200).is_empty());
            assert_eq!(told(&request.on_timeout(at(5_200), &udp())), ["terminated"]);
        }
    }

    #[test]
    fn s17_1_2_2_nothing_is_resent_and_nothing_lingers_over_tcp() {
        let (mut request, _) = ClientNonInvite::start(at(0), &tcp(), bye());
        assert_eq!(request.next_timeout(), Some(at(32_000)));
        let outputs = request.on_response(at(1), &tcp(), &response(481), 481);
        assert_eq!(told(&outputs), ["user 481", "terminated"]);
    }

    #[test]
    fn a_taken_over_request_is_resent_at_once() {
        for (mut request, timer_e_ms) in [(trying(), 500), (after_response(100), 4_000)] {
            assert_eq!(told(&request.resume(at(9_000), &udp())), ["send BYE"]);
            assert_eq!(request.next_timeout(), Some(at(9_000 + timer_e_ms)));
        }
        let mut completed = after_response(200);
        assert!(completed.resume(at(9_000), &udp()).is_empty());
        assert_eq!(completed.next_timeout(), Some(at(14_000)));
    }
}
