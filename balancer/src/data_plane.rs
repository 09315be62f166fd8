//! Whether a server that sends heartbeats serves: which of its requests found an answer, and how
//! many of its final responses were 5xx, within a window that slides.
//!
//! | event                                             | counts as                              |
//! |---------------------------------------------------|----------------------------------------|
//! | INVITE or REGISTER forwarded, for the first time  | awaited                                |
//! | a response to it, also a provisional one          | an answered request                    |
//! | none for `ANSWER_WITHIN`                          | a request without an answer            |
//! | a final response                                  | a response, and an error if it is 5xx, |
//! |                                                   | but for [`FAULTS_OF_REQUESTS`]         |
//! | the same of a stranger                            | each once in `ANSWER_WITHIN`           |
//! | the balancer was paused, the server down          | nothing: what is awaited is forgotten  |
//!
//! Only what a node answers itself and at once is awaited: a 100 to an INVITE, a challenge to a
//! REGISTER. Other requests wait for a phone, which may be gone. Past [`AWAITED_MAX`] further
//! requests are not awaited and say nothing.
//!
//! Whoever can have requests go unanswered, as one who guesses passwords can, or has them answered
//! with 5xx, as one whose SIP has a version of its own, must not make a server fail. So a
//! *stranger*, a source that no server has accepted yet (`protection.rs`), has one request awaited
//! in [`ANSWER_WITHIN`], and of his responses that one counts which is the first to it. A server
//! that has stopped is found by phones and trunks that are known, and by many that are not.
//!
//! Not here: what a failing server is spared (`node_state.rs`), and when it is tried again
//! (`balancer/standing.rs`).

use crate::boundary::HealthConfig;
use resilee_sbb::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// Most requests of one server that are awaited at a time.
pub(crate) const AWAITED_MAX: usize = 4_096;

/// A node that serves has answered by then: the client has repeated itself twice.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// 5xx that say what is wrong with the request, and not with the server: Not Implemented, Version
/// Not Supported, Message Too Large (RFC 3261, section 21.5).
const FAULTS_OF_REQUESTS: [u16; 3] = [501, 505, 513];

/// The window slides in so many steps.
const STEPS: u64 = 10;

/// What was counted, in one step or in the whole window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// New calls that it got.
    pub(crate) new_calls: u64,
    /// Requests that were answered.
    answered: u64,
    /// Requests that were not.
    unanswered: u64,
    /// Final responses.
    responses: u64,
    /// Those of them with a 5xx.
    errors: u64,
}

impl Counts {
    /// Requests without any response, in per cent.
    pub(crate) fn no_response_percent(&self) -> u64 {
        percent(self.unanswered, self.answered + self.unanswered)
    }

    /// 5xx among final responses, in per cent.
    pub(crate) fn server_error_percent(&self) -> u64 {
        percent(self.errors, self.responses)
    }
}

/// Rounded up: what is just past a limit is past it.
fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).map_or(0, |it| it + u64::from(it * whole < part * 100))
}

/// Why a server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// So many of its requests, in per cent, were not answered.
    NoResponse(u64),
    /// So many of its final responses, in per cent, were 5xx.
    ServerErrors(u64),
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failing::NoResponse(percent) => write!(f, "{percent} % of requests got no response"),
            Failing::ServerErrors(percent) => write!(f, "{percent} % of responses were 5xx"),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct DataPlane {
    /// One for each step of the window, the latest last.
    steps: VecDeque<Counts>,
    /// When the latest step began.
    step_at: Timestamp,
    /// When each request was forwarded that has no response yet, by a hash of its branch.
    awaited: BTreeMap<u64, Timestamp>,
    /// The same, oldest first; some of them were answered meanwhile.
    order: VecDeque<(u64, Timestamp)>,
    /// Strangers of whom a request is or was awaited in the last [`ANSWER_WITHIN`].
    strangers: BTreeSet<u64>,
    /// The same with the moment of that, oldest first.
    strangers_order: VecDeque<(u64, Timestamp)>,
}

impl DataPlane {
    /// A request was forwarded that a node answers at once, and of which stranger, if it is of one.
    pub(crate) fn handle_request(&mut self, now: Timestamp, request: u64, of: Option<u64>) {
        if self.order.len() >= AWAITED_MAX || self.awaited.contains_key(&request) {
            return;
        }
        if let Some(stranger) = of {
            if self.strangers_order.len() >= AWAITED_MAX || !self.strangers.insert(stranger) {
                return;
            }
            self.strangers_order.push_back((stranger, now));
        }
        self.awaited.insert(request, now);
        self.order.push_back((request, now));
    }

    /// A new call was given to it.
    pub(crate) fn handle_new_call(&mut self) {
        self.latest().new_calls += 1;
    }

    /// It sent a response to this request, to a stranger or not.
    pub(crate) fn handle_response(&mut self, request: u64, status: u16, is_strangers: bool) {
        let is_first = self.awaited.remove(&request).is_some();
        if is_first {
            self.latest().answered += 1;
        }
        if status >= 200 && (is_first || !is_strangers) {
            let latest = self.latest();
            latest.responses += 1;
            let is_error = (500..600).contains(&status) && !FAULTS_OF_REQUESTS.contains(&status);
            latest.errors += u64::from(is_error);
        }
    }

    /// Time passes.
    pub(crate) fn handle_time(&mut self, now: Timestamp, window_s: u64) {
        while let Some((request, at)) = self.order.front().copied() {
            let is_open = self.awaited.get(&request) == Some(&at);
            if is_open && now.since(at) < ANSWER_WITHIN {
                break;
            }
            self.order.pop_front();
            if is_open {
                self.awaited.remove(&request);
                self.latest().unanswered += 1;
            }
        }
        while let Some((stranger, at)) = self.strangers_order.front().copied()
            && now.since(at) >= ANSWER_WITHIN
        {
            self.strangers_order.pop_front();
            self.strangers.remove(&stranger);
        }
        let step = Duration::from_millis(window_s * 1_000 / STEPS);
        if now.since(self.step_at) >= step * u32::try_from(STEPS).unwrap_or(u32::MAX) {
            self.steps.clear();
            self.step_at = now;
        }
        while now.since(self.step_at) >= step && !step.is_zero() {
            self.step_at = self.step_at + step;
            self.steps.push_back(Counts::default());
        }
        while self.steps.len() as u64 > STEPS {
            self.steps.pop_front();
        }
    }

    /// What was forwarded until now says nothing any more.
    pub(crate) fn forget_awaited(&mut self) {
        self.awaited.clear();
        self.order.clear();
    }

    /// Nothing that was counted until now counts.
    pub(crate) fn forget_counts(&mut self) {
        self.steps.clear();
    }

    /// All that was counted in the window.
    pub(crate) fn counts(&self) -> Counts {
        self.steps.iter().fold(Counts::default(), |sum, step| Counts {
            new_calls: sum.new_calls + step.new_calls,
            answered: sum.answered + step.answered,
            unanswered: sum.unanswered + step.unanswered,
            responses: sum.responses + step.responses,
            errors: sum.errors + step.errors,
        })
    }

    /// Why it fails, if it does.
    pub(crate) fn failing(&self, health: &HealthConfig) -> Option<Failing> {
        let counts = self.counts();
        let (silent, errors) = (counts.no_response_percent(), counts.server_error_percent());
        let says_enough = |count: u64| count >= health.requests_min;
        if says_enough(counts.answered + counts.unanswered)
            && silent > health.no_response_max_percent
        {
            Some(Failing::NoResponse(silent))
        } else if says_enough(counts.responses) && errors > health.server_error_max_percent {
            Some(Failing::ServerErrors(errors))
        } else {
            None
        }
    }

    fn latest(&mut self) -> &mut Counts {
        if self.steps.is_empty() {
            self.steps.push_back(Counts::default());
        }
        self.steps.back_mut().expect("one was added if there was none")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTH: HealthConfig = HealthConfig {
        ramp_up_s: 0,
        window_s: 10,
        no_response_max_percent: 50,
        server_error_max_percent: 50,
        requests_min: 10,
    };

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    /// One that was asked so often, and answered so many with this.
    fn asked(requests: u64, answers: u64, status: u16) -> DataPlane {
        let mut data_plane = DataPlane::default();
        data_plane.handle_time(at(0), HEALTH.window_s);
        for request in 0..requests {
            data_plane.handle_request(at(0), request, None);
            data_plane.handle_request(at(500), request, None);
        }
        for request in 0..answers {
            data_plane.handle_response(request, status, false);
        }
        data_plane
    }

    #[test]
    fn requests_without_a_response_count_once_they_had_their_time() {
        let mut silent = asked(20, 9, 100);
        silent.handle_time(at(1_999), HEALTH.window_s);
        assert_eq!(silent.failing(&HEALTH), None);
        silent.handle_time(at(2_000), HEALTH.window_s);
        assert_eq!(silent.failing(&HEALTH), Some(Failing::NoResponse(55)));
        let mut half = asked(20, 10, 100);
        half.handle_time(at(2_000), HEALTH.window_s);
        assert_eq!(half.failing(&HEALTH), None, "50 % is no more than 50 %");
    }

    #[test]
    fn server_errors_count_among_final_responses() {
        assert_eq!(asked(20, 20, 503).failing(&HEALTH), Some(Failing::ServerErrors(100)));
        for status in [100, 200, 404, 501, 505, 513, 603] {
            assert_eq!(asked(20, 20, status).failing(&HEALTH), None, "{status}");
        }
    }

    #[test]
    fn few_requests_say_nothing_and_old_ones_are_forgotten() {
        assert_eq!(asked(9, 9, 500).failing(&HEALTH), None);
        let mut data_plane = asked(20, 20, 500);
        data_plane.handle_time(at(9_999), HEALTH.window_s);
        assert!(data_plane.failing(&HEALTH).is_some());
        data_plane.handle_time(at(11_000), HEALTH.window_s);
        assert_eq!(data_plane.failing(&HEALTH), None);
        assert_eq!(data_plane.counts(), Counts::default());
    }

    #[test]
    fn a_just_exceeded_limit_is_exceeded() {
        assert_eq!((percent(0, 0), percent(1, 3), percent(501, 1_000)), (0, 34, 51));
    }

    #[test]
    fn what_is_awaited_is_bounded_and_so_is_the_window() {
        let mut data_plane = DataPlane::default();
        for millis in 0..100_000 {
            data_plane.handle_time(at(millis), HEALTH.window_s);
            for request in (0..10).map(|part| 10 * millis + part) {
                let stranger = Some(request).filter(|_| request % 2 == 0);
                data_plane.handle_request(at(millis), request, stranger);
            }
        }
        assert!(data_plane.order.len() <= AWAITED_MAX && data_plane.awaited.len() <= AWAITED_MAX);
        assert!(data_plane.strangers_order.len() <= AWAITED_MAX);
        assert_eq!(data_plane.strangers.len(), data_plane.strangers_order.len());
        data_plane.handle_time(at(200_000), HEALTH.window_s);
        assert!(data_plane.strangers.is_empty());
        assert!(data_plane.steps.len() as u64 <= STEPS);
    }
}
