//! A machine's clocks: off from the world's at the start, and a little too fast or too slow.
//!
//! | clock       | when somebody sets it | who reads it                                   |
//! |-------------|-----------------------|------------------------------------------------|
//! | the wall's  | jumps                 | a run at its start; its core, to raise alarms  |
//! | a run's own | goes on               | all else: it is the wall's as the run began    |

use crate::world::START;
use resilee_sbb::Timestamp;
use resilee_test_kit::Random;
use std::time::Duration;

/// A machine's clock may be off by so much at the start.
const SKEW_MS: u64 = 500;
/// A machine's clock may drift by so much.
const DRIFT_PPM: u64 = 200;

/// Converts between the world's time and a machine's.
#[derive(Clone, Copy, Debug)]
pub struct LocalClock {
    /// Of the machine's run.
    skew_us: i64,
    drift_ppm: i64,
    /// The wall clock minus the run's own.
    set_by_us: i64,
}

impl LocalClock {
    /// The clock of the machine with that number.
    pub fn of(seed: u64, machine: usize) -> Self {
        let mut random = Random::of(seed, if machine == 0 { "clock 0" } else { "clock 1" });
        let mut within = |limit: u64| random.between(0, 2 * limit) as i64 - limit as i64;
        let (skew_us, drift_ppm) = (within(SKEW_MS * 1_000), within(DRIFT_PPM));
        LocalClock { skew_us, drift_ppm, set_by_us: 0 }
    }

    /// Somebody sets the wall clock.
    pub fn set(&mut self, by_ms: i64) {
        self.set_by_us += by_ms * 1_000;
    }

    /// True if a run that begins now is behind the one before.
    pub fn is_behind(&self) -> bool {
        self.set_by_us < 0
    }

    /// A run begins: it goes by the wall clock of this moment.
    pub fn begin_run(&mut self) {
        self.skew_us += std::mem::take(&mut self.set_by_us);
    }

    /// What the wall clock shows at a moment of the world.
    pub fn wall(&self, world: Timestamp) -> Timestamp {
        let own = self.at(world).as_micros();
        Timestamp::from_micros(own.saturating_add_signed(self.set_by_us))
    }

    /// What the run's own clock shows at a moment of the world.
    pub fn at(&self, world: Timestamp) -> Timestamp {
        let elapsed = world.since(START).as_micros() as i64;
        let shown = elapsed + elapsed * self.drift_ppm / 1_000_000 + self.skew_us;
        Timestamp::from_micros(START.as_micros().saturating_add_signed(shown))
    }

    /// The first moment of the world at which it shows `local`, or more.
    pub fn world(&self, local: Timestamp) -> Timestamp {
        let shown = local.as_micros() as i64 - START.as_micros() as i64 - self.skew_us;
        let elapsed = i128::from(shown) * 1_000_000 / i128::from(1_000_000 + self.drift_ppm);
        let mut world = START + Duration::from_micros(u64::try_from(elapsed).unwrap_or(0));
        while self.at(world) < local {
            world = world + Duration::from_micros(1);
        }
        world
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_is_due_when_it_is_called_for() {
        for (skew_us, drift_ppm) in [(0, 0), (500_000, 200), (-500_000, -200), (77, -3)] {
            let clock = LocalClock { skew_us, drift_ppm, set_by_us: 0 };
            for millis in [501, 777, 12_345, 3_600_000] {
                let local = START + Duration::from_millis(millis);
                let world = clock.world(local);
                assert!(clock.at(world) >= local);
                assert!(clock.at(world - Duration::from_micros(1)) < local);
            }
        }
    }
}
