//! Which of the failures of a forked request its sender gets (RFC 3261 §16.7 step 6).
//!
//! Not here: redirection (a 3xx goes upstream as it is), and merging the challenges of several
//! targets into one response.

use serde::{Deserialize, Serialize};

/// The final failure of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Status code, 300 to 699.
    pub(crate) status: u16,
    /// The response without our Via; empty: the target did not answer.
    #[serde(with = "serde_bytes")]
    pub(crate) response: Vec<u8>,
}

impl Failure {
    /// RFC 3261 §16.8: a target that never answered counts as 408.
    pub(crate) fn no_answer() -> Self {
        Failure { status: 408, response: Vec::new() }
    }
}

/// The best of them: a 6xx, else the lowest class, and in it what helps the sender most.
pub(crate) fn best<'a>(failures: impl Iterator<Item = &'a Failure>) -> Option<&'a Failure> {
    failures.min_by_key(|failure| rank(failure.status))
}

fn rank(status: u16) -> (u16, bool, bool) {
    let class = if status >= 600 { 0 } else { status / 100 };
    let tells_what_to_change = matches!(status, 401 | 407 | 415 | 420 | 484);
    // A target that did not answer, or was cancelled, says less than one that did.
    let says_little = matches!(status, 408 | 487);
    (class, !tells_what_to_change, says_little)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best_of(statuses: &[u16]) -> u16 {
        let failure = |status: &u16| Failure { status: *status, response: Vec::new() };
        let failures: Vec<_> = statuses.iter().map(failure).collect();
        best(failures.iter()).unwrap().status
    }

    #[test]
    fn the_best_failure_is_chosen_rfc_3261_16_7_step_6() {
        assert_eq!(best_of(&[486, 603, 302]), 603);
        assert_eq!(best_of(&[500, 486, 302]), 302);
        assert_eq!(best_of(&[408, 486]), 486);
        assert_eq!(best_of(&[487, 486, 407]), 407);
        assert_eq!(best_of(&[503, 404]), 404);
    }
}
