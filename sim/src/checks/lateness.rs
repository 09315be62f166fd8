//! How late the answer or the end of a call may be on its bill: by the network, and by what went
//! wrong at that moment.
//!
//! | what                              | adds                                                     |
//! |-----------------------------------|----------------------------------------------------------|
//! | always                            | two hops of the slowest datagram, and clock error        |
//! | phones over TCP                   | two writes that TCP has to send again                    |
//! | a network that loses              | repeats until losing them all is less likely than 1e-6   |
//! | a fault around that moment        | the client's next repeat after the takeover              |
//! | both nodes die, a clock is behind | any time at all may be missing, but none is too much     |

use crate::world::STREAM_US_MAX;
use resilee_sbb::Timestamp;
use resilee_test_kit::NetworkConfig;
use std::time::Duration;

/// How much the clocks of two nodes may differ (promise P2).
const CLOCK_ERROR: Duration = Duration::from_millis(50);
/// After a fault is over, this long things may still be unsettled.
const SETTLE: Duration = Duration::from_millis(2_000);
/// A client repeats so long after it spoke first (T1 = 100 ms, T2 = 800 ms), in milliseconds.
const REPEATS_MS: [u64; 9] = [0, 100, 300, 700, 1_500, 2_300, 3_100, 3_900, 4_700];

/// See the module.
#[derive(Debug)]
pub struct Lateness {
    usual: Duration,
    /// From when to when, and how late.
    troubles: Vec<(Timestamp, Timestamp, Duration)>,
    /// While nobody lived, time may have stood: the wall clock did not say how long that was.
    pub time_stands: bool,
}

impl Lateness {
    /// In a network without faults.
    pub fn new(network: &NetworkConfig, has_streams: bool) -> Self {
        let hops = Duration::from_micros(2 * network.delay_us.end());
        // Two hops; the next repeat is lost with the same chance.
        let lost = 2.0 * f64::from(network.loss_permille) / 1000.0;
        let repeats = (0..REPEATS_MS.len() - 1).find(|n| lost.powi(*n as i32 + 1) < 1e-6);
        let repeats = REPEATS_MS[repeats.unwrap_or(REPEATS_MS.len() - 1)];
        let streams = if has_streams { STREAM_US_MAX } else { 0 };
        let streams = Duration::from_micros(2 * streams);
        let usual = hops + streams + CLOCK_ERROR + Duration::from_millis(repeats);
        Lateness { usual, troubles: Vec::new(), time_stands: false }
    }

    /// For so long from now on something is wrong, and nobody serves for `outage_ms`.
    pub fn trouble(&mut self, now: Timestamp, for_ms: u64, outage_ms: u64) {
        let next = REPEATS_MS.iter().find(|repeat| **repeat >= outage_ms);
        let late = Duration::from_millis(*next.unwrap_or(&outage_ms));
        self.troubles.push((now, now + Duration::from_millis(for_ms) + SETTLE, late));
    }

    /// Whether something was wrong at that moment.
    pub fn is_troubled(&self, moment: Timestamp) -> bool {
        self.troubles.iter().any(|(from, to, _)| (*from..=*to).contains(&moment))
    }

    /// How late what a phone did at a moment may be.
    pub fn at(&self, moment: Timestamp) -> Duration {
        // What was said shortly before may have been lost with who heard it.
        let said = moment + SETTLE;
        let touching = self.troubles.iter().filter(|(from, to, _)| *from <= said && moment <= *to);
        self.usual + touching.map(|(.., late)| *late).sum::<Duration>()
    }
}
