//! The clock: wall time at the start; from then on what has passed, a sleep of the machine as well.
//!
//! A lease is over when its time has passed for the others. `CLOCK_MONOTONIC` stands still while
//! the machine is suspended, so a lease would go on when it wakes.

use nix::time::{ClockId, clock_gettime};
use resilee_sbb::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started_at: Timestamp,
    /// Since the machine was booted.
    started: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        // A clock before 1970 counts as 1970.
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Clock { started_at: Timestamp::ZERO + epoch, started: since_boot() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.started_at + since_boot().saturating_sub(self.started)
    }
}

fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had it since 2.6.39").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Set where the machine is as if it had slept.
    const INSIDE: &str = "RESILEE_SLEPT";

    fn after_a_sleep(program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--time", "--boottime", "1000", "--fork"]);
        command.args(["--", program]);
        command
    }

    #[test]
    fn it_goes_on_while_the_machine_is_suspended() {
        if std::env::var_os(INSIDE).is_some() {
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
            assert!((since_boot().as_secs_f64() - uptime).abs() < 1.0, "{uptime}");
            return;
        }
        let possible = after_a_sleep("true").stderr(Stdio::null()).status();
        if !possible.is_ok_and(|status| status.success()) {
            return println!("left out: this system gives no time namespace");
        }
        let this = std::env::current_exe().unwrap();
        let mut command = after_a_sleep(this.to_str().unwrap());
        command.args(["--exact", std::thread::current().name().unwrap(), "--nocapture"]);
        assert!(command.env(INSIDE, "1").status().unwrap().success(), "see above");
    }
}
