//! A table of one node's memory that has entries of many networks: bounded, and when it is full it
//! forgets of whoever has most. So nobody has others' entries forgotten by many of his own.
//!
//! One customer may have many IPv6 networks: a home a /56, a company or a rented server a /48. So
//! IPv4 addresses and IPv6 /48 are compared first, then the /56 of the one that has most, then the
//! /64 of that; the oldest entry there is forgotten. Of two that have as much it is that whose last
//! entry is older.

use resilee_sbb::Timestamp;
use resilee_sip_api::SourceNetwork;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Whose entries are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    All,
    /// An IPv6 /48.
    Site(u64),
    /// An IPv6 /56.
    Home(u64),
    /// An IPv4 address, or an IPv6 /64.
    Network(SourceNetwork),
}

/// How many entries somebody has, and when the last one was put: the greatest gives way.
type Share = (usize, Reverse<Timestamp>);

#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    network: SourceNetwork,
    at: Timestamp,
    value: V,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct FairAging<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    by_age: BTreeMap<SourceNetwork, BTreeSet<(Timestamp, K)>>,
    shares: BTreeMap<Holder, Share>,
    /// What of each one's share its parts have.
    parts: BTreeMap<Holder, BTreeSet<(Share, Holder)>>,
}

impl<K, V> Default for FairAging<K, V> {
    fn default() -> Self {
        FairAging {
            entries: BTreeMap::new(),
            by_age: BTreeMap::new(),
            shares: BTreeMap::new(),
            parts: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord, V: Copy> FairAging<K, V> {
    /// What is there for this key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).map(|entry| entry.value)
    }

    /// Puts it, as this network's; of more than `entries_max`, one of whoever has most goes.
    pub(crate) fn put(
        &mut self,
        (now, network): (Timestamp, SourceNetwork),
        key: K,
        value: V,
        entries_max: usize,
    ) {
        self.remove(&key);
        self.entries.insert(key, Entry { network, at: now, value });
        self.by_age.entry(network).or_default().insert((now, key));
        self.change_shares(network, |(count, last)| (count + 1, last.min(Reverse(now))));
        if self.entries.len() > entries_max
            && let Some(surplus) = self.surplus()
        {
            self.remove(&surplus);
        }
    }

    /// Another value for what is there, as old as before.
    pub(crate) fn keep_age(&mut self, key: &K, value: V) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.value = value;
        }
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, key: &K) {
        let Some(Entry { network, at, .. }) = self.entries.remove(key) else { return };
        take_out(&mut self.by_age, network, &(at, *key));
        self.change_shares(network, |(count, last)| (count - 1, last));
    }

    /// The oldest entry of whoever has most.
    fn surplus(&self) -> Option<K> {
        let mut holder = Holder::All;
        loop {
            if let Holder::Network(network) = holder {
                return self.by_age.get(&network)?.first().map(|(_, key)| *key);
            }
            (_, holder) = *self.parts.get(&holder)?.last()?;
        }
    }

    fn change_shares(&mut self, network: SourceNetwork, change: impl Fn(Share) -> Share) {
        let mut whole = Holder::All;
        for holder in holders_of(network) {
            let none = (0, Reverse(Timestamp::ZERO));
            let before = self.shares.remove(&holder).unwrap_or(none);
            take_out(&mut self.parts, whole, &(before, holder));
            let share = change(before);
            if share.0 > 0 {
                self.shares.insert(holder, share);
                self.parts.entry(whole).or_default().insert((share, holder));
            }
            whole = holder;
        }
    }
}

/// All that a network is counted with, each one a part of the one before.
fn holders_of(network: SourceNetwork) -> impl Iterator<Item = Holder> {
    let site = network.site().map(Holder::Site);
    let home = network.home().map(Holder::Home);
    site.into_iter().chain(home).chain([Holder::Network(network)])
}

/// Takes it out of the set of this key, which is forgotten with the last one.
fn take_out<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: K, value: &V) {
    if let Some(set) = sets.get_mut(&key) {
        set.remove(value);
        if set.is_empty() {
            sets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of eight, and the time: each entry is put a millisecond after the one before.
    #[derive(Default)]
    struct Table {
        aging: FairAging<u32, ()>,
        now: Timestamp,
    }

    impl Table {
        fn put(&mut self, address: &str, keys: impl IntoIterator<Item = u32>) {
            let network = SourceNetwork::of(address.parse().expect("an address"));
            for key in keys {
                self.now = Timestamp::from_millis(self.now.as_millis() + 1);
                self.aging.put((self.now, network), key, (), 8);
            }
        }

        fn keys(&self) -> Vec<u32> {
            self.aging.entries.keys().copied().collect()
        }
    }

    #[test]
    fn whoever_has_most_gives_way_by_his_oldest() {
        let mut table = Table::default();
        table.put("192.0.2.1", [100, 101]);
        table.put("192.0.2.2", 0..20);
        assert_eq!(table.keys(), [14, 15, 16, 17, 18, 19, 100, 101]);
        table.put("192.0.2.3", 200..203);
        assert_eq!(table.keys(), [17, 18, 19, 100, 101, 200, 201, 202]);
        table.put("192.0.2.1", [102]);
        assert_eq!(table.keys(), [18, 19, 100, 101, 102, 200, 201, 202], "it was there first");
    }

    #[test]
    fn of_many_who_have_as_much_the_one_who_was_there_last_stays_longest() {
        let mut table = Table::default();
        for number in 0..12 {
            table.put(&format!("192.0.2.{number}"), [number]);
        }
        assert_eq!(table.keys(), [4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn many_ipv6_networks_of_one_customer_are_counted_together_and_his_neighbours_are_spared() {
        for networks in ["2001:db8:1:1", "2001:db8:1:100"] {
            let step = u32::from_str_radix(&networks[11..], 16).expect("a number");
            let mut table = Table::default();
            table.put("2001:db8:2::1", [100, 101]);
            table.put("2001:db8:1:ffff::1", [200]);
            for number in 1..20 {
                table.put(&format!("2001:db8:1:{:x}::1", number * step), [number]);
            }
            let neighbours = table.keys().into_iter().filter(|key| *key >= 100);
            let spared: &[u32] = if step == 1 { &[100, 101, 200] } else { &[100, 101] };
            assert!(neighbours.eq(spared.iter().copied()), "{networks}: {:?}", table.keys());
        }
    }

    #[test]
    fn nothing_is_left_of_what_was_forgotten() {
        let mut table = Table::default();
        table.put("2001:db8::1", [1, 2]);
        table.put("192.0.2.1", [1]);
        table.aging.keep_age(&2, ());
        assert_eq!(table.aging.shares.len(), 4);
        for key in [1, 2, 3] {
            table.aging.remove(&key);
            assert_eq!(table.aging.get(&key), None);
        }
        let FairAging { entries, by_age, shares, parts } = &table.aging;
        assert_eq!((entries.len(), by_age.len(), shares.len(), parts.len()), (0, 0, 0, 0));
    }
}
