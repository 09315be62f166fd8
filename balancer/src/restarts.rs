//! When a worker that ended is started again, and when there is no sense in it.
//!
//! | it ended                                          | next                                  |
//! |---------------------------------------------------|---------------------------------------|
//! | after it ran for a while                          | start at once                         |
//! | early, with an error, and it never ran before     | give up: its configuration is wrong   |
//! | early, for the first time in a row                | start at once                         |
//! | early again                                       | start after a wait that doubles       |
//! | early, `EARLY_ENDS_MAX` times in a row            | give up                               |
//!
//! Not here: processes, clocks and waiting (`shell/keeper.rs`).

use std::time::Duration;

/// Who runs for less is not up yet.
const EARLY: Duration = Duration::from_secs(2);

/// So many early ends in a row, and it is not started again.
const EARLY_ENDS_MAX: u32 = 10;

/// The wait before the third start in a row; it doubles from there.
const WAIT_FIRST: Duration = Duration::from_millis(100);

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It said what is wrong and ended.
    Error,
    /// By a signal, or in order.
    Other,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Start it again, after this time.
    Start(Duration),
    /// End with it.
    GiveUp,
}

/// See the table above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarts {
    /// It was up once.
    was_up: bool,
    early_ends: u32,
}

impl Restarts {
    /// The worker ended after it ran for `lived`.
    pub(crate) fn handle_end(&mut self, lived: Duration, end: End) -> Next {
        if lived >= EARLY {
            self.was_up = true;
            self.early_ends = 0;
            return Next::Start(Duration::ZERO);
        }
        self.early_ends += 1;
        let never_up = !self.was_up && self.early_ends == 1;
        if self.early_ends >= EARLY_ENDS_MAX || (never_up && end == End::Error) {
            return Next::GiveUp;
        }
        Next::Start(match self.early_ends.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => (WAIT_FIRST * 2_u32.saturating_pow(doublings)).min(WAIT_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const AT_ONCE: Next = Next::Start(Duration::ZERO);

    #[test]
    fn a_worker_that_was_up_is_started_at_once_each_time() {
        let mut restarts = Restarts::default();
        for _ in 0..100 {
            assert_eq!(restarts.handle_end(LONG, End::Other), AT_ONCE);
        }
        assert_eq!(restarts.handle_end(Duration::ZERO, End::Error), AT_ONCE);
    }

    #[test]
    fn a_wrong_configuration_ends_the_first_start_for_good() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.handle_end(Duration::ZERO, End::Error), Next::GiveUp);
    }

    #[test]
    fn early_ends_in_a_row_wait_longer_and_then_nobody_tries_any_more() {
        let mut restarts = Restarts::default();
        let wait = |restarts: &mut Restarts| restarts.handle_end(Duration::ZERO, End::Other);
        let first: Vec<Next> = (0..5).map(|_| wait(&mut restarts)).collect();
        let millis = [0, 100, 200, 400, 800].map(|ms| Next::Start(Duration::from_millis(ms)));
        assert_eq!(first, millis);
        let rest: Vec<Next> = (5..EARLY_ENDS_MAX).map(|_| wait(&mut restarts)).collect();
        assert_eq!(rest[rest.len() - 2..], [Next::Start(WAIT_MAX), Next::GiveUp]);
    }
}
