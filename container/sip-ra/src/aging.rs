//! A table of one node's memory: bounded, and what was put first goes first.

use resilee_sbb::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A table that forgets the entry that was put first when it is full.
#[derive(Debug)]
pub(crate) struct Aging<K, V> {
    entries: BTreeMap<K, (Timestamp, V)>,
    by_age: BTreeSet<(Timestamp, K)>,
}

impl<K, V> Default for Aging<K, V> {
    fn default() -> Self {
        Aging { entries: BTreeMap::new(), by_age: BTreeSet::new() }
    }
}

impl<K: Copy + Ord, V: Copy> Aging<K, V> {
    /// What is there for this key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).map(|(_, value)| *value)
    }

    /// When it was put.
    pub(crate) fn age(&self, key: &K) -> Option<Timestamp> {
        self.entries.get(key).map(|(at, _)| *at)
    }

    /// Puts it; of more than `entries_max`, the one that was put first is forgotten.
    pub(crate) fn put(&mut self, now: Timestamp, key: K, value: V, entries_max: usize) {
        self.remove(&key);
        if self.entries.len() >= entries_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.entries.insert(key, (now, value));
        self.by_age.insert((now, key));
    }

    /// Another value for what is there, as old as before.
    pub(crate) fn keep_age(&mut self, key: &K, value: V) {
        if let Some((_, known)) = self.entries.get_mut(key) {
            *known = value;
        }
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some((at, _)) = self.entries.remove(key) {
            self.by_age.remove(&(at, *key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    #[test]
    fn the_tables_are_bounded_and_forget_the_oldest() {
        let mut aging = Aging::default();
        for number in 0..5_u64 {
            aging.put(NOW + Duration::from_secs(number), number, (), 3);
        }
        aging.put(NOW + Duration::from_secs(9), 2, (), 3);
        aging.put(NOW + Duration::from_secs(10), 5, (), 3);
        let keys: Vec<_> = aging.entries.keys().copied().collect();
        assert_eq!((keys, aging.by_age.len()), (vec![2, 4, 5], 3));
    }
}
