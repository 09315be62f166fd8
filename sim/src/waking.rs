//! Calls that a service makes, in the place of the pairs' calls: the first phone of each pair dials
//! for it, and the second one is called.
//!
//! | plan      | the phone         | the service               | the call ends as        |
//! |-----------|-------------------|---------------------------|-------------------------|
//! | HangsUp   | answers, hangs up | waits for long            | ended by the callee     |
//! | IsHungUp  | answers           | hangs up                  | ended by the server     |
//! | IsBusy    | says so           |                           | rejected, 486           |
//! | IsGivenUp | rings             | gives up                  | rejected, 487           |
//! | IsOff     | says nothing      |                           | rejected, 408           |
//!
//! If nobody has lived meanwhile, a call that was not answered is given up as well (503), and one
//! whose BYE nobody heard ends by the service.

use crate::plan::Plan;
use crate::waker::{HERE, NUMBER, Outcome, Patience};
use resilee_sip_api::Side;
use resilee_test_kit::AnswerPolicy;

/// So long after a phone should have hung up the service does: a phone says its BYE for 6.4 s.
const LONG_MS: u64 = 10_000;

/// How the calls of a service go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waking {
    /// What becomes of the phones.
    pub woken: Woken,
    /// The service's root entity is one of the cluster, not one in a cell.
    pub in_cluster: bool,
}

/// What becomes of a phone that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// It answers, and hangs up.
    HangsUp,
    /// It answers, and the service hangs up.
    IsHungUp,
    /// It is busy.
    IsBusy,
    /// It rings until the service gives up.
    IsGivenUp,
    /// Nothing of it is heard.
    IsOff,
}

impl Woken {
    /// All of them.
    pub const ALL: [Woken; 5] =
        [Woken::HangsUp, Woken::IsHungUp, Woken::IsBusy, Woken::IsGivenUp, Woken::IsOff];
}

impl Waking {
    /// All of them, in both places.
    pub fn all() -> impl Iterator<Item = Waking> {
        let both = |woken| [false, true].map(|in_cluster| Waking { woken, in_cluster });
        Woken::ALL.into_iter().flat_map(both)
    }

    /// When the service hangs up.
    pub(crate) fn patience(self, plan: &Plan) -> Patience {
        let ring_ms = (self.woken == Woken::IsGivenUp).then_some(plan.ring_ms);
        let more_ms = if self.woken == Woken::IsHungUp { 0 } else { LONG_MS };
        Patience { ring_ms, talk_ms: plan.talk_ms + more_ms }
    }

    /// What the phones do that are called.
    pub(crate) fn policy(self) -> AnswerPolicy {
        match self.woken {
            Woken::HangsUp | Woken::IsHungUp | Woken::IsOff => AnswerPolicy::Answer,
            Woken::IsBusy => AnswerPolicy::Busy,
            Woken::IsGivenUp => AnswerPolicy::Ring,
        }
    }

    /// What is dialled to have this user called.
    pub(crate) fn number(self, user: &str) -> String {
        let here = if self.in_cluster { "" } else { HERE };
        format!("{NUMBER}{here}{user}")
    }

    /// True if a call may end so.
    pub(crate) fn may_end_as(self, outcome: Outcome, has_nobody_lived: bool) -> bool {
        let planned = match self.woken {
            Woken::HangsUp => Outcome::Ended(Side::Callee),
            Woken::IsHungUp => Outcome::Ended(Side::Server),
            Woken::IsBusy => Outcome::Rejected(486),
            Woken::IsGivenUp => Outcome::Rejected(487),
            Woken::IsOff => Outcome::Rejected(408),
        };
        let otherwise = [Outcome::Rejected(503), Outcome::Ended(Side::Server)];
        outcome == planned || (has_nobody_lived && otherwise.contains(&outcome))
    }
}
