//! What a call costs: pure arithmetic on a tariff and a talk time. Which tariff applies is in
//! `tariff`; when talk begins and ends is the SBB's.
//!
//! Talk time is rounded up to whole increments; the price of those is computed exactly and
//! rounded once, half up, to a micro-unit. Rounding each increment by itself would charge the
//! error of one second sixty times a minute: at 0.10 a minute and 1 s increments, a minute
//! would cost 0.10002. Rounded once, a whole minute always costs what the price list says, and
//! no call is off by more than half a micro-unit.

use crate::money::Money;
use crate::tariff::Tariff;
use std::time::Duration;

impl Tariff {
    /// Price of an answered call with so much talk: the connect fee, also for no talk at all,
    /// and the begun increments. Saturates at [`Money::MAX`].
    pub fn price(&self, talk: Duration) -> Money {
        let seconds = i128::from(self.billed_seconds(talk));
        // 64 bits times 64 bits fits into 127.
        let sixtieths = i128::from(self.per_minute.micros()) * seconds;
        let micros = (sixtieths + 30).div_euclid(60);
        let micros = i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX });
        self.connect_fee.saturating_add(Money::from_micros(micros))
    }

    /// Talk time in seconds, rounded up to whole increments: what is charged.
    pub fn billed_seconds(&self, talk: Duration) -> u64 {
        let increment_s = u64::from(self.increment_s.max(1));
        whole_seconds(talk).div_ceil(increment_s).saturating_mul(increment_s)
    }
}

/// Talk time in seconds; a second that was begun counts whole.
pub fn whole_seconds(talk: Duration) -> u64 {
    talk.as_secs().saturating_add(u64::from(talk.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tariff(connect_fee: &str, per_minute: &str, increment_s: u32) -> Tariff {
        Tariff {
            prefix: String::new(),
            currency: "EUR".to_owned(),
            connect_fee: connect_fee.parse().unwrap(),
            per_minute: per_minute.parse().unwrap(),
            increment_s,
        }
    }

    #[track_caller]
    fn assert_costs(tariff: &Tariff, calls: &[(u64, &str)]) {
        for (talk_ms, price) in calls {
            let total = tariff.price(Duration::from_millis(*talk_ms));
            assert_eq!(Ok(total), price.parse(), "{talk_ms} ms cost {total}, not {price}");
        }
    }

    #[test]
    fn whole_minutes_are_charged_by_60_60() {
        let calls = [(1, "0.12"), (60_000, "0.12"), (60_001, "0.24"), (119_000, "0.24")];
        assert_costs(&tariff("0", "0.12", 60), &calls);
    }

    #[test]
    fn begun_seconds_are_charged_by_1_1() {
        let calls = [(1, "0.002"), (1_000, "0.002"), (1_001, "0.004"), (59_500, "0.12")];
        assert_costs(&tariff("0", "0.12", 1), &calls);
    }

    /// The sums that CGRateS #118 asks for, which 6 s increments give too.
    #[test]
    fn begun_six_seconds_are_charged_by_6_6() {
        let calls = [(32_000, "0.0036"), (57_000, "0.006"), (75_000, "0.0078"), (1, "0.0006")];
        assert_costs(&tariff("0", "0.006", 6), &calls);
    }

    #[test]
    fn the_connect_fee_is_owed_once_also_for_no_talk() {
        let calls = [(0, "0.05"), (30_000, "0.11"), (3_600_000, "7.25")];
        assert_costs(&tariff("0.05", "0.12", 30), &calls);
    }

    #[test]
    fn a_fraction_of_a_micro_unit_is_rounded_once_and_half_up() {
        // 0.10 a minute is 1666.67 micro-units a second.
        let calls = [(1_000, "0.001667"), (2_000, "0.003333"), (3_000, "0.005")];
        assert_costs(&tariff("0", "0.10", 1), &calls);
        assert_costs(&tariff("0", "0.10", 1), &[(60_000, "0.10"), (3_600_000, "6")]);
        assert_costs(&tariff("0", "0.00003", 1), &[(1_000, "0.000001"), (3_000, "0.000002")]);
    }

    #[test]
    fn an_increment_of_zero_counts_as_one_second() {
        assert_eq!(tariff("0", "0.12", 0).billed_seconds(Duration::from_millis(1_500)), 2);
    }

    #[test]
    fn a_price_saturates_and_never_wraps() {
        let dear = Tariff { per_minute: Money::MAX, ..tariff("9000000000000", "0", u32::MAX) };
        assert_eq!(dear.price(Duration::MAX), Money::MAX);
        assert_eq!(dear.billed_seconds(Duration::MAX), u64::MAX);
        let credit = Tariff { per_minute: Money::from_micros(i64::MIN), ..dear };
        let micros = i64::MIN + credit.connect_fee.micros();
        assert_eq!(credit.price(Duration::MAX), Money::from_micros(micros));
    }

    #[test]
    fn a_longer_call_never_costs_less() {
        let tariff = tariff("0.01", "0.077777", 7);
        let price = |s| tariff.price(Duration::from_secs(s));
        assert!((0..10_000).all(|s| price(s) <= price(s + 1)));
    }
}
