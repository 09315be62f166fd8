//! How long an instance may run: so much CPU time of its thread. On a machine that has too much to
//! do a thread stands still for a while, for which no unit can help.
//!
//! Ticks of the wall's time (`clock.rs`) say when to look:
//!
//! | its ticks are over, and             | what happens                                        |
//! |-------------------------------------|-----------------------------------------------------|
//! | its thread has used its time        | it is stopped                                       |
//! | its thread was kept from running    | it gets as many ticks as it has time left           |
//! | the same, and it has had            | it is stopped, as one for which its node has no     |
//! | [`WALL_TIMES_MAX`] times as many    | time                                                |

use crate::clock::Clock;
use crate::limits::WALL_TIMES_MAX;
use crate::stop::Stop;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Says how much CPU time the calling thread has used.
pub(crate) type CpuClock = fn() -> Duration;

/// What its operating system says of the calling thread.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    Duration::from(time.expect("Linux has a clock of each thread"))
}

/// Of one instance, which runs on the calling thread.
#[derive(Debug)]
pub(crate) struct Deadline {
    time_max: Duration,
    cpu: CpuClock,
    /// What the thread had used when it began.
    began: Duration,
    /// Ticks that it may still get.
    ticks_left: u64,
}

impl Deadline {
    /// One that begins now.
    pub fn begin(time_max: Duration, cpu: CpuClock) -> Self {
        let ticks_left = Clock::ticks(time_max * WALL_TIMES_MAX);
        Deadline { time_max, cpu, began: cpu(), ticks_left }
    }

    /// How many ticks it gets first.
    pub fn first_ticks(&mut self) -> u64 {
        self.take_ticks(self.time_max)
    }

    /// They are over: how many more it gets.
    pub fn on_ticks_over(&mut self) -> Result<u64, Stop> {
        let used = (self.cpu)().saturating_sub(self.began);
        if used >= self.time_max {
            return Err(Stop::Time(self.time_max));
        }
        match self.take_ticks(self.time_max - used) {
            0 => Err(Stop::Starved(self.time_max)),
            ticks => Ok(ticks),
        }
    }

    fn take_ticks(&mut self, time: Duration) -> u64 {
        let ticks = Clock::ticks(time).min(self.ticks_left);
        self.ticks_left -= ticks;
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static USED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    const TIME_MAX: Duration = Duration::from_millis(50);

    /// Its first ticks are over.
    fn begun() -> Deadline {
        USED.set(Duration::from_millis(7));
        let mut deadline = Deadline::begin(TIME_MAX, || USED.get());
        assert_eq!(deadline.first_ticks(), Clock::ticks(TIME_MAX));
        deadline
    }

    #[test]
    fn who_has_used_his_time_is_stopped() {
        let mut deadline = begun();
        USED.set(Duration::from_millis(57));
        assert_eq!(deadline.on_ticks_over(), Err(Stop::Time(TIME_MAX)));
    }

    #[test]
    fn who_was_kept_from_running_gets_what_he_has_left() {
        let mut deadline = begun();
        USED.set(Duration::from_millis(17));
        assert_eq!(deadline.on_ticks_over(), Ok(Clock::ticks(Duration::from_millis(40))));
        USED.set(Duration::from_millis(56));
        assert_eq!(deadline.on_ticks_over(), Ok(Clock::ticks(Duration::from_millis(1))));
        USED.set(Duration::from_millis(57));
        assert_eq!(deadline.on_ticks_over(), Err(Stop::Time(TIME_MAX)));
    }

    #[test]
    fn who_does_not_run_at_all_is_stopped_when_the_wall_s_limit_is_reached() {
        let mut deadline = begun();
        let mut ticks = Clock::ticks(TIME_MAX);
        let stop = loop {
            match deadline.on_ticks_over() {
                Ok(more) => ticks += more,
                Err(stop) => break stop,
            }
        };
        assert_eq!(stop, Stop::Starved(TIME_MAX));
        assert_eq!(ticks, Clock::ticks(Duration::from_secs(5)));
    }

    #[test]
    fn the_thread_s_own_clock_goes_on_while_it_runs() {
        let began = cpu_time();
        let mut sum = 0_u64;
        while cpu_time() == began {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(cpu_time() > began);
    }
}
