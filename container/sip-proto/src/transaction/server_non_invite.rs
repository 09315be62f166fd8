//! Non-INVITE server transaction: RFC 3261 §17.2.2.
//!
//! | state                 | input                 | output                    | next       |
//! |-----------------------|-----------------------|---------------------------|------------|
//! | (start)               | request               |                           | Trying     |
//! | Trying                | request again         |                           | same       |
//! | Trying, Proceeding    | 1xx from the user     | send                      | Proceeding |
//! | Trying, Proceeding    | 200-699 from the user | send; start J             | Completed  |
//! | the same, too large   | 1xx from the user     | send; it is not kept      | Proceeding |
//! | the same, too large   | 200-699 from the user | send                      | Terminated |
//! | Proceeding, Completed | request again         | the last response again   | same       |
//! | Completed             | response from user    |                           | same       |
//! | Completed             | timer J               |                           | Terminated |
//! | Proceeding            | resume                | the last response again   | same       |
//! | Completed             | resume                | the last response; J anew | same       |
//!
//! Over a reliable transport timer J is zero: Completed is passed through.

use super::{Outputs, RESPONSE_KEPT_MAX, TimerConfig, TransactionOutput, after, is_due};
use resilee_sbb::Timestamp;
use serde::{Deserialize, Serialize};

/// A request we received that is neither INVITE nor ACK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerNonInvite {
    /// Where the transaction is.
    state: ServerNonInviteState,
    /// The last response sent, for retransmissions; empty in Trying.
    #[serde(with = "serde_bytes")]
    last_response: Vec<u8>,
    /// Timer J: ends Completed.
    timer_j: Option<Timestamp>,
}

/// States of [`ServerNonInvite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerNonInviteState {
    /// Nothing sent yet.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// A final response was sent.
    Completed,
    /// Over.
    Terminated,
}

use ServerNonInviteState::{Completed, Proceeding, Terminated, Trying};

impl ServerNonInvite {
    /// A request came that belongs to no transaction yet.
    pub fn start(_now: Timestamp, _cfg: &TimerConfig) -> Self {
        ServerNonInvite { state: Trying, last_response: Vec::new(), timer_j: None }
    }

    /// The request came again.
    pub fn on_request(&mut self, _bytes: &[u8]) -> Outputs {
        match self.state {
            Proceeding | Completed => self.send_last(),
            Trying | Terminated => Vec::new(),
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
            (Trying | Proceeding, 100..=199) if response.len() > RESPONSE_KEPT_MAX => {
                self.state = Proceeding;
                vec![TransactionOutput::Send(response)]
            }
            (Trying | Proceeding, 200..=699) if response.len() > RESPONSE_KEPT_MAX => {
                self.last_response = Vec::new();
                self.terminate();
                vec![TransactionOutput::Send(response), TransactionOutput::Terminated]
            }
            (Trying | Proceeding, 100..=199) => {
                self.state = Proceeding;
                self.last_response = response;
                self.send_last()
            }
            (Trying | Proceeding, 200..=699) => {
                self.last_response = response;
                self.complete(now, cfg)
            }
            _ => Vec::new(),
        }
    }

    /// Fires all timers that are due.
    pub fn on_timeout(&mut self, now: Timestamp, _cfg: &TimerConfig) -> Outputs {
        if !is_due(self.timer_j, now) {
            return Vec::new();
        }
        self.terminate();
        vec![TransactionOutput::Terminated]
    }

    /// Goes on at another node. The dead node may not have sent its last response.
    pub fn resume(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        match self.state {
            Trying | Terminated => Vec::new(),
            Proceeding => self.send_last(),
            Completed => self.complete(now, cfg),
        }
    }

    /// When [`Self::on_timeout`] is next due.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        self.timer_j
    }

    /// The state.
    pub fn state(&self) -> ServerNonInviteState {
        self.state
    }

    /// Over; can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == Terminated
    }

    /// Sends the final response and starts timer J.
    fn complete(&mut self, now: Timestamp, cfg: &TimerConfig) -> Outputs {
        self.state = Completed;
        self.timer_j = after(now, cfg.long_ms());
        let mut outputs = self.send_last();
        if cfg.reliable {
            self.terminate();
            outputs.push(TransactionOutput::Terminated);
        }
        outputs
    }

    fn terminate(&mut self) {
        self.state = Terminated;
        self.timer_j = None;
    }

    fn send_last(&self) -> Outputs {
        if self.last_response.is_empty() {
            return Vec::new();
        }
        vec![TransactionOutput::Send(self.last_response.clone())]
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{at, large_response, response, tcp, told, udp};
    use super::*;

    const BYE: &[u8] = b"BYE sip:a@b SIP/2.0";

    fn trying() -> ServerNonInvite {
        ServerNonInvite::start(at(0), &udp())
    }

    fn after_response(status: u16) -> ServerNonInvite {
        let mut request = trying();
        request.respond(at(100), &udp(), status, response(status));
        request
    }

    #[test]
    fn s17_2_2_in_trying_a_repeated_request_is_absorbed() {
        let mut request = trying();
        assert!(request.on_request(BYE).is_empty());
        assert_eq!((request.state(), request.next_timeout()), (Trying, None));
    }

    #[test]
    fn s17_2_2_in_proceeding_a_repeated_request_gets_the_last_response() {
        let mut request = trying();
        for status in [100, 183] {
            let outputs = request.respond(at(0), &udp(), status, response(status));
            assert_eq!(told(&outputs), [format!("send {status}")]);
        }
        assert_eq!(request.state(), Proceeding);
        assert_eq!(told(&request.on_request(BYE)), ["send 183"]);
    }

    #[test]
    fn s17_2_2_the_final_response_is_repeated_until_timer_j() {
        for mut request in [trying(), after_response(100)] {
            let outputs = request.respond(at(200), &udp(), 200, response(200));
            assert_eq!(told(&outputs), ["send 200"]);
            assert_eq!((request.state(), request.next_timeout()), (Completed, Some(at(32_200))));
            assert_eq!(told(&request.on_request(BYE)), ["send 200"]);
            assert!(request.respond(at(300), &udp(), 500, response(500)).is_empty());
            assert!(request.on_timeout(at(32_199), &udp()).is_empty());
            assert_eq!(told(&request.on_timeout(at(32_200), &udp())), ["terminated"]);
            assert!(request.is_terminated() && request.next_timeout().is_none());
        }
    }

    #[test]
    fn a_response_that_is_too_large_is_sent_once_and_a_final_one_ends_the_transaction() {
        let mut request = after_response(100);
        let outputs = request.respond(at(200), &udp(), 183, large_response(183));
        assert_eq!(told(&outputs), ["send 183"]);
        assert_eq!(told(&request.on_request(BYE)), ["send 100"]);
        let outputs = request.respond(at(300), &udp(), 200, large_response(200));
        assert_eq!(told(&outputs), ["send 200", "terminated"]);
        assert!(request.on_request(BYE).is_empty());
    }

    #[test]
    fn s17_2_2_timer_j_is_zero_over_tcp() {
        let mut request = ServerNonInvite::start(at(0), &tcp());
        let outputs = request.respond(at(1), &tcp(), 200, response(200));
        assert_eq!(told(&outputs), ["send 200", "terminated"]);
    }

    #[test]
    fn a_taken_over_request_gets_its_last_response_again() {
        assert!(trying().resume(at(9_000), &udp()).is_empty());
        assert_eq!(told(&after_response(100).resume(at(9_000), &udp())), ["send 100"]);
        let mut completed = after_response(200);
        assert_eq!(told(&completed.resume(at(9_000), &udp())), ["send 200"]);
        assert_eq!(completed.next_timeout(), Some(at(41_000)));
    }
}
