//! What is remembered of one source: how much of its rate it has used, and its violations.

use super::ProtectionConfig;
use resilee_sbb::Timestamp;

/// The configured limits, as they are reckoned with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Time in which one message more may come, in microseconds; 0: no limit.
    pub(super) interval_us: u64,
    /// So far ahead of its rate a source may be.
    burst_us: u64,
    window_us: u64,
    ban_after: u64,
}

impl Limits {
    pub(super) fn of(config: &ProtectionConfig) -> Self {
        let interval_us = 1_000_000_u64.checked_div(config.rate_per_s.into()).unwrap_or(0);
        Limits {
            interval_us,
            burst_us: interval_us * u64::from(config.burst),
            window_us: u64::try_from(config.ban_window.as_micros()).unwrap_or(u64::MAX),
            ban_after: config.ban_after.into(),
        }
    }
}

/// A token bucket, written down as the moment at which it is full again (the *generic cell rate
/// algorithm* of ITU-T I.371): one number, and no refilling.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SourceState {
    /// When the bucket is full, in microseconds.
    full_at_us: u64,
    /// When the window of `violations` began.
    window_at_us: u64,
    violations: u32,
}

impl SourceState {
    /// One message more; false if it is one too many.
    pub(super) fn take(&mut self, now: Timestamp, limits: &Limits) -> bool {
        let now = now.as_micros();
        let full_at = self.full_at_us.max(now) + limits.interval_us;
        if full_at - now > limits.burst_us {
            return false;
        }
        self.full_at_us = full_at;
        true
    }

    /// One violation more; how many there are in the window.
    pub(super) fn violate(&mut self, now: Timestamp, limits: &Limits) -> u32 {
        let now = now.as_micros();
        if now.saturating_sub(self.window_at_us) >= limits.window_us {
            self.window_at_us = now;
            self.violations = 0;
        }
        self.violations = self.violations.saturating_add(1);
        self.violations
    }

    pub(super) fn forget_violations(&mut self) {
        self.violations = 0;
    }

    /// How near the source is to being limited or banned, in millionths. A state that is forgotten
    /// begins with a full bucket and no violation: a source can only gain by that. Those within
    /// their limits gain next to nothing, and are the first to go; whoever is near a limit stays,
    /// so that nobody gets rid of his past by a flood in other names.
    pub(super) fn worth(&self, now: Timestamp, limits: &Limits) -> u64 {
        let now = now.as_micros();
        let used_us = self.full_at_us.saturating_sub(now).min(limits.burst_us);
        let is_open = now.saturating_sub(self.window_at_us) < limits.window_us;
        let violations = if is_open { u64::from(self.violations) } else { 0 };
        share(used_us, limits.burst_us) + share(violations, limits.ban_after)
    }
}

fn share(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1_000_000).checked_div(whole).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn limits(rate_per_s: u32, burst: u32) -> Limits {
        Limits::of(&ProtectionConfig { rate_per_s, burst, ..ProtectionConfig::default() })
    }

    #[test]
    fn a_burst_passes_and_then_what_the_rate_allows() {
        let limits = limits(10, 5);
        let mut state = SourceState::default();
        let passed =
            |state: &mut SourceState, now| (0..100).filter(|_| state.take(now, &limits)).count();
        assert_eq!(passed(&mut state, NOW), 5);
        assert_eq!(passed(&mut state, NOW + Duration::from_millis(99)), 0);
        assert_eq!(passed(&mut state, NOW + Duration::from_millis(300)), 3);
        assert_eq!(passed(&mut state, NOW + Duration::from_secs(3_600)), 5);
    }

    /// For any times, in no time more passes than the burst and what the rate allows.
    #[test]
    fn whatever_the_times_no_more_passes_than_burst_and_rate_allow() {
        for seed in 1..=50_u64 {
            let (rate, burst) = (1 + seed as u32 * 37 % 500, 1 + seed as u32 * 11 % 60);
            let limits = limits(rate, burst);
            let (mut state, mut random, mut now) = (SourceState::default(), seed, NOW);
            let mut passed = 0_u64;
            for _ in 0..5_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                now = now + Duration::from_micros((random >> 33) % 4_000);
                passed += u64::from(state.take(now, &limits));
                let most = u64::from(burst)
                    + (now.as_micros() - NOW.as_micros()) / limits.interval_us.max(1);
                assert!(passed <= most, "seed {seed}: {passed} of {most}");
            }
            assert!(passed > u64::from(burst), "seed {seed}: {passed}");
        }
    }

    #[test]
    fn violations_count_within_their_window_only() {
        let limits = limits(10, 5);
        let mut state = SourceState::default();
        let counts =
            [0, 1, 9_999, 10_000].map(|ms| state.violate(NOW + Duration::from_millis(ms), &limits));
        assert_eq!(counts, [1, 2, 3, 1]);
    }

    #[test]
    fn whoever_is_near_a_limit_is_worth_most_and_the_idle_nothing() {
        let limits = limits(10, 5);
        let (mut idle, mut fast, mut bad) =
            (SourceState::default(), SourceState::default(), SourceState::default());
        idle.take(NOW, &limits);
        (0..5).for_each(|_| assert!(fast.take(NOW, &limits)));
        (0..99).for_each(|_| _ = bad.violate(NOW, &limits));
        assert_eq!(
            [&idle, &fast, &bad].map(|it| it.worth(NOW, &limits)),
            [200_000, 1_000_000, 990_000]
        );
        let later = NOW + Duration::from_secs(10);
        assert_eq!([&idle, &fast, &bad].map(|it| it.worth(later, &limits)), [0, 0, 0]);
    }
}
