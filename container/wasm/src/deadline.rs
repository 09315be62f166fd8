//! How long an instance may run: so much CPU time of its thread. On a machine that has too much to
//! do a thread stands still for a while, for which no unit can help.
//!
//! Ticks (`clock.rs`) say when to look; they may come late, and so count for nothing else:
//!
//! | its ticks are over, and             | what happens                                        |
//! |-------------------------------------|-----------------------------------------------------|
//! | its thread has used its time        | it is stopped                                       |
//! | its thread was kept from running    | it gets as many ticks as it has time left           |
//! | the same, and by the wall's clock   | it is stopped, as one for which its node has no     |
//! | its time is over, too               | time                                                |

use crate::clock::Clock;
use crate::stop::Stop;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The clocks that are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// Says how much CPU time the calling thread has used.
    pub cpu: fn() -> Duration,
    /// Says how much time has passed since some moment.
    pub wall: fn() -> Duration,
}

impl Clocks {
    /// Those of the operating system.
    pub const SYSTEM: Clocks = Clocks {
        cpu: || time_of(ClockId::CLOCK_THREAD_CPUTIME_ID),
        wall: || time_of(ClockId::CLOCK_MONOTONIC),
    };

    fn read(&self) -> Used {
        Used { cpu: (self.cpu)(), wall: (self.wall)() }
    }
}

fn time_of(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("Linux has both clocks").into()
}

/// What the clocks say.
#[derive(Clone, Copy, Debug)]
struct Used {
    cpu: Duration,
    wall: Duration,
}

/// Of one instance, which runs on the calling thread.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// Of CPU time.
    time_max: Duration,
    /// Of the wall's.
    wall_max: Duration,
    clocks: Clocks,
    began: Used,
}

impl Deadline {
    /// One that begins now.
    pub fn begin(time_max: Duration, wall_max: Duration, clocks: Clocks) -> Self {
        Deadline { time_max, wall_max, clocks, began: clocks.read() }
    }

    /// How many ticks it gets first.
    pub fn first_ticks(&self) -> u64 {
        Clock::ticks(self.time_max)
    }

    /// They are over: how many more it gets.
    pub fn on_ticks_over(&self) -> Result<u64, Stop> {
        let now = self.clocks.read();
        let used = now.cpu.saturating_sub(self.began.cpu);
        if used >= self.time_max {
            return Err(Stop::Time(self.time_max));
        }
        if now.wall.saturating_sub(self.began.wall) >= self.wall_max {
            return Err(Stop::Starved(self.wall_max));
        }
        Ok(Clock::ticks(self.time_max - used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static USED: Cell<u64> = const { Cell::new(0) };
        static PASSED: Cell<u64> = const { Cell::new(0) };
    }

    const TIME_MAX: Duration = Duration::from_millis(50);
    const WALL_MAX: Duration = Duration::from_millis(400);

    /// Its first ticks are over.
    fn begun() -> Deadline {
        pass(7, 900);
        let clocks = Clocks {
            cpu: || Duration::from_millis(USED.get()),
            wall: || Duration::from_millis(PASSED.get()),
        };
        let deadline = Deadline::begin(TIME_MAX, WALL_MAX, clocks);
        assert_eq!(deadline.first_ticks(), Clock::ticks(TIME_MAX));
        deadline
    }

    fn pass(cpu: u64, wall: u64) {
        USED.set(USED.get() + cpu);
        PASSED.set(PASSED.get() + wall);
    }

    #[test]
    fn who_has_used_his_time_is_stopped() {
        let deadline = begun();
        pass(50, 50);
        assert_eq!(deadline.on_ticks_over(), Err(Stop::Time(TIME_MAX)));
    }

    #[test]
    fn who_was_kept_from_running_gets_what_he_has_left() {
        let deadline = begun();
        pass(10, 200);
        assert_eq!(deadline.on_ticks_over(), Ok(Clock::ticks(Duration::from_millis(40))));
        pass(39, 199);
        assert_eq!(deadline.on_ticks_over(), Ok(Clock::ticks(Duration::from_millis(1))));
        pass(1, 1);
        assert_eq!(deadline.on_ticks_over(), Err(Stop::Time(TIME_MAX)));
    }

    /// However few ticks there were: their thread may have been kept from running, too.
    #[test]
    fn who_does_not_run_at_all_is_stopped_when_the_wall_s_limit_is_reached() {
        let deadline = begun();
        pass(0, 399);
        assert_eq!(deadline.on_ticks_over(), Ok(Clock::ticks(TIME_MAX)));
        pass(0, 1);
        assert_eq!(deadline.on_ticks_over(), Err(Stop::Starved(WALL_MAX)));
    }

    #[test]
    fn the_thread_s_own_clock_goes_on_while_it_runs() {
        let began = (Clocks::SYSTEM.cpu)();
        let mut sum = 0_u64;
        while (Clocks::SYSTEM.cpu)() == began {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!((Clocks::SYSTEM.cpu)() > began);
    }
}
