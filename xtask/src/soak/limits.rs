//! What is promised about a run, by what broke.
//!
//! | what broke                        | takeover | set-up | a bill is off by, and why            |
//! |-----------------------------------|----------|--------|--------------------------------------|
//! | a server is killed                | 0.5 s    | 1.5 s  | the first repeat of a BYE            |
//! | a server stands still, a cut      | 1.5 s    | 3.6 s  | the second: the loss must be noticed |
//! | the balancer is killed            |          | 3.6 s  | the second: it is soon back          |
//! | the balancer stands still         |          | 3.6 s  | the third: that may take 2.5 s       |
//! | both servers are killed           |          |        | the fourth: a cold start waits       |
//! | a disk is full, hand-overs        |          | 1.5 s  | the first: nobody waits for a disk   |

use super::kind::Kind;

/// The clock of a call's owner may differ by 50 ms; the rest is the machine's, which is busy.
const CLOCK_MS: u64 = 250;
/// When a phone says its BYE again.
const FIRST_REPEAT_MS: u64 = 500;
const SECOND_REPEAT_MS: u64 = 1_500;
const THIRD_REPEAT_MS: u64 = 3_500;
const FOURTH_REPEAT_MS: u64 = 7_500;

/// A set-up that lost one message and was repeated by then; one that lost two repeats more.
const SET_UP_MS: u64 = 1_500;
const LATE_SET_UP_MS: u64 = 3_600;

/// What is promised about a run; milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the fault to the next view.
    pub takeover_ms: Option<u64>,
    /// Longest set-up.
    pub set_up_ms: Option<u64>,
    /// How far a bill may be from what the caller held.
    pub duration_ms: u64,
}

impl Kind {
    /// What must hold.
    pub fn limits(self) -> Limits {
        let (takeover_ms, set_up_ms, repeat_ms) = match self {
            Kind::Kill1
            | Kind::Kill2
            | Kind::Restart1
            | Kind::Restart2
            | Kind::LoseStore1
            | Kind::LoseData1
            | Kind::SpoilStore1 => (Some(500), Some(SET_UP_MS), FIRST_REPEAT_MS),
            Kind::Pause1
            | Kind::Pause2
            | Kind::CutCluster
            | Kind::CutCluster1To2
            | Kind::CutCluster2To1
            | Kind::CutSeat1
            | Kind::CutSeat1In
            | Kind::CutSeat1Out
            | Kind::CutSeat2 => (Some(1_500), Some(LATE_SET_UP_MS), SECOND_REPEAT_MS),
            // Nothing gets through while it is down; then the next repeat does.
            Kind::KillBalancer => (None, Some(LATE_SET_UP_MS), SECOND_REPEAT_MS),
            // What came meanwhile waits in its socket, as far as there is room.
            Kind::PauseBalancer => (None, Some(LATE_SET_UP_MS), THIRD_REPEAT_MS),
            // The phones' repeats are up to four seconds apart by then.
            Kind::KillBoth => (None, None, FOURTH_REPEAT_MS),
            // The backup is the gate in a pair, so the disk that is full delays nothing.
            Kind::FullDisk1 | Kind::FullDisk2 | Kind::HandOvers => {
                (None, Some(SET_UP_MS), FIRST_REPEAT_MS)
            }
        };
        Limits { takeover_ms, set_up_ms, duration_ms: repeat_ms + CLOCK_MS }
    }
}
