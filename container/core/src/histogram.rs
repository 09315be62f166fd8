//! A histogram of whole numbers in bounded memory: exact below 32, and within one part in 32 above.
//!
//! Values share a bucket with those that have the same highest five bits after the leading one. So
//! there are 1,920 buckets at most, those that are empty take no room, and two histograms can be
//! added up. A percentile is the upper end of its bucket: it never understates.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bits of a value that are kept behind its leading one.
const BITS: u32 = 5;
/// Buckets of each power of two.
const STEPS: u64 = 1 << BITS;

/// The bucket of the greatest values.
const LAST_BUCKET: u16 = 1_919;

/// How often which values came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    /// Values by bucket.
    buckets: BTreeMap<u16, u64>,
}

impl Histogram {
    /// One more value.
    pub fn record(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(value));
        let bucket = self.buckets.entry(bucket(value)).or_default();
        *bucket = bucket.saturating_add(1);
    }

    /// Adds all values of another one, which may come from another node: buckets that there are not
    /// are left out.
    pub fn merge(&mut self, other: &Histogram) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        for (bucket, values) in other.buckets.iter().filter(|(bucket, _)| **bucket <= LAST_BUCKET) {
            let own = self.buckets.entry(*bucket).or_default();
            *own = own.saturating_add(*values);
        }
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The least value; 0 if there was none.
    pub fn min(&self) -> u64 {
        self.min
    }

    /// The greatest value; 0 if there was none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean in thousandths; 0 if there was no value.
    pub fn mean_milli(&self) -> u64 {
        let mean = self.sum.saturating_mul(1_000).checked_div(u128::from(self.count));
        u64::try_from(mean.unwrap_or(0)).unwrap_or(u64::MAX)
    }

    /// A value that `percent` of a hundred values do not exceed; 0 if there was none.
    pub fn percentile(&self, percent: u64) -> u64 {
        let wanted = (u128::from(self.count) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0u128;
        for (bucket, values) in &self.buckets {
            seen += u128::from(*values);
            if seen >= wanted {
                return upper_end(*bucket).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> u16 {
    if value < STEPS {
        return value as u16;
    }
    let shift = value.ilog2() - BITS;
    let step = (value >> shift) - STEPS;
    // At most (63 - 5 + 1) * 32 + 31.
    (u64::from(shift + 1) * STEPS + step) as u16
}

/// The greatest value of a bucket.
fn upper_end(bucket: u16) -> u64 {
    let (power, step) = (u64::from(bucket) / STEPS, u64::from(bucket) % STEPS);
    let Some(shift) = power.checked_sub(1) else { return step };
    let end = u128::from(STEPS + step + 1) << shift;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    #[test]
    fn small_values_are_told_exactly() {
        let histogram = of(1..=30);
        assert_eq!((histogram.count(), histogram.min(), histogram.max()), (30, 1, 30));
        assert_eq!(histogram.mean_milli(), 15_500);
        assert_eq!([50, 95, 99].map(|percent| histogram.percentile(percent)), [15, 29, 30]);
    }

    #[test]
    fn a_percentile_is_never_below_the_value_and_at_most_one_part_in_32_above() {
        for value in (0..64).map(|power| 1u64 << power).chain([33, 999, 65_537, u64::MAX]) {
            for value in [value.saturating_sub(1), value] {
                let end = upper_end(bucket(value));
                assert!(end >= value && end - value <= value / 32, "{value} becomes {end}");
            }
        }
        let histogram = of((1..=1_000).map(|value| value * 10));
        assert!((5_000..=5_156).contains(&histogram.percentile(50)));
        assert!((9_900..=10_000).contains(&histogram.percentile(99)));
    }

    #[test]
    fn what_another_node_tells_and_cannot_be_is_left_out() {
        let mut told = of([7]);
        told.buckets.insert(u16::MAX, u64::MAX);
        told.count = u64::MAX;
        let mut sum = of([9]);
        sum.merge(&told);
        assert_eq!(sum.percentile(99), 9);
        assert_eq!(resilee_sbb::decode::<Histogram>(&resilee_sbb::encode(&sum).unwrap()), Ok(sum));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        assert_eq!(bucket(u64::MAX), LAST_BUCKET);
    }

    #[test]
    fn two_histograms_add_up_to_one_of_all_values() {
        let (low, high) = (of(1..500), of(400..9_000));
        let mut sum = low.clone();
        sum.merge(&high);
        assert_eq!(sum, of((1..500).chain(400..9_000)));
        let mut from_nothing = Histogram::default();
        from_nothing.merge(&low);
        from_nothing.merge(&Histogram::default());
        assert_eq!(from_nothing, low);
    }

    #[test]
    fn without_values_all_is_zero() {
        let none = Histogram::default();
        assert_eq!((none.min(), none.max(), none.mean_milli(), none.percentile(99)), (0, 0, 0, 0));
    }
}
