//! How often what was refused or dropped, by reason: of TCP clients, and of a balancer's datagrams.

use std::collections::BTreeMap;

/// Counts by reason. There are as many as the type of reasons has values, at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops<R>(BTreeMap<R, u64>);

impl<R> Default for Drops<R> {
    fn default() -> Self {
        Drops(BTreeMap::new())
    }
}

impl<R: Copy + Ord> Drops<R> {
    /// How often that was the reason.
    pub fn count(&self, reason: R) -> u64 {
        self.0.get(&reason).copied().unwrap_or_default()
    }

    /// The reasons that there were, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (R, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }

    /// Counts all that another one has counted.
    pub fn add_all(&mut self, other: &Self) {
        for (reason, count) in other.iter() {
            *self.0.entry(reason).or_default() += count;
        }
    }

    /// Counts one; says the count when it is worth a line in the log: 1, 10, 100 and so on.
    pub fn add(&mut self, reason: R) -> Option<u64> {
        let count = self.0.entry(reason).or_default();
        *count += 1;
        let is_power_of_ten = 10_u64.pow(count.ilog10()) == *count;
        is_power_of_ten.then_some(*count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_count_of_its_own_and_is_told_at_powers_of_ten() {
        let mut drops = Drops::default();
        let told: Vec<u64> = (0..500).filter_map(|_| drops.add("idle")).collect();
        assert_eq!(told, [1, 10, 100]);
        assert_eq!(drops.add("slow"), Some(1));
        assert_eq!((drops.count("idle"), drops.count("other")), (500, 0));
        assert!(drops.iter().eq([("idle", 500), ("slow", 1)]));
        let mut more = drops.clone();
        more.add_all(&drops);
        assert!(more.iter().eq([("idle", 1_000), ("slow", 2)]));
    }
}
