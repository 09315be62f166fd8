//! A table of fixed size, from hashes to small values: a hash chooses a set of [`WAYS`] places, and
//! its value is in one of them. When all are taken, the value goes that is worth least.
//!
//! Looking something up is a walk over a few cache lines, and memory has a limit, whatever comes;
//! it is asked for in chunks, so that a balancer with few clients takes little. The hashes are
//! keyed: nobody outside knows which ones share a set, so a flood of random ones is spread over
//! all sets and can't be aimed at one place. What it can do to a place is up to the owner of the
//! table, who says what a value is worth.

/// Places of a set.
const WAYS: usize = 8;

/// Sets that get their memory together, when the first value comes to one of them.
const CHUNK_SETS: usize = 64;

/// The worth of a value that is never given up.
pub(super) const KEEP: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, Default)]
struct Place<T> {
    /// 0: it is free.
    hash: u64,
    value: T,
}

type Set<T> = [Place<T>; WAYS];

/// None until the first value comes.
type Chunk<T> = Option<Box<[Set<T>; CHUNK_SETS]>>;

/// See the module.
#[derive(Debug)]
pub(super) struct SetTable<T>(Box<[Chunk<T>]>);

impl<T: Copy + Default> SetTable<T> {
    /// With so many places, a power of two.
    pub(super) fn new(places: usize) -> Self {
        let chunks = places / WAYS / CHUNK_SETS;
        assert!(places.is_power_of_two() && chunks > 0, "a mask chooses the set");
        SetTable((0..chunks).map(|_| None).collect())
    }

    pub(super) fn get_mut(&mut self, hash: u64) -> Option<&mut T> {
        Some(&mut self.place_mut(hash)?.value)
    }

    /// The value of this hash, which is a new one if there was none.
    pub(super) fn get_or_insert(&mut self, hash: u64, worth: impl Fn(&T) -> u64) -> &mut T {
        let hash = not_free(hash);
        let set = self.set(hash);
        let position = match set.iter().position(|place| place.hash == hash) {
            Some(position) => position,
            None => {
                let position = cheapest(set, worth).0;
                set[position] = Place { hash, value: T::default() };
                position
            }
        };
        &mut set[position].value
    }

    /// False if it found no place, as all others in the set are worth [`KEEP`].
    pub(super) fn insert(&mut self, hash: u64, value: T, worth: impl Fn(&T) -> u64) -> bool {
        let hash = not_free(hash);
        let set = self.set(hash);
        let own = set.iter().position(|place| place.hash == hash).map(|position| (position, 0));
        let (position, worth) = own.unwrap_or_else(|| cheapest(set, worth));
        if worth < KEEP {
            set[position] = Place { hash, value };
        }
        worth < KEEP
    }

    pub(super) fn remove(&mut self, hash: u64) {
        if let Some(place) = self.place_mut(hash) {
            *place = Place::default();
        }
    }

    fn place_mut(&mut self, hash: u64) -> Option<&mut Place<T>> {
        let hash = not_free(hash);
        let (chunk, set) = self.position(hash);
        self.0[chunk].as_mut()?[set].iter_mut().find(|place| place.hash == hash)
    }

    fn set(&mut self, hash: u64) -> &mut Set<T> {
        let (chunk, set) = self.position(hash);
        let empty = || Box::new([[Place::default(); WAYS]; CHUNK_SETS]);
        &mut self.0[chunk].get_or_insert_with(empty)[set]
    }

    /// Chunk and set within it.
    fn position(&self, hash: u64) -> (usize, usize) {
        let set = hash as usize & (self.0.len() * CHUNK_SETS - 1);
        (set / CHUNK_SETS, set % CHUNK_SETS)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let sets = self.0.iter().flatten().flat_map(|chunk| chunk.iter());
        sets.flatten().filter(|place| place.hash != 0).count()
    }
}

/// A free place, else the one that is worth least, and its worth.
fn cheapest<T>(set: &Set<T>, worth: impl Fn(&T) -> u64) -> (usize, u64) {
    let worth = |place: &Place<T>| if place.hash == 0 { 0 } else { worth(&place.value).max(1) };
    let worths = set.iter().map(worth).enumerate();
    worths.min_by_key(|(_, worth)| *worth).expect("a set has places")
}

/// 0 stands for a free place; two hashes that are one cost nobody anything.
fn not_free(hash: u64) -> u64 {
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that share a set of a table of one chunk.
    const fn nth(number: u64) -> u64 {
        number * CHUNK_SETS as u64
    }

    fn full() -> SetTable<u64> {
        let mut table = SetTable::new(WAYS * CHUNK_SETS);
        for number in 1..=WAYS as u64 {
            assert!(table.insert(nth(number), 100 + number, |worth| *worth));
        }
        table
    }

    #[test]
    fn the_value_that_is_worth_least_makes_room() {
        let mut table = full();
        assert!(table.insert(nth(99), 999, |worth| *worth));
        assert_eq!(table.get_mut(nth(1)), None);
        assert_eq!(table.get_mut(nth(2)), Some(&mut 102));
        assert_eq!(table.get_mut(nth(99)), Some(&mut 999));
        *table.get_or_insert(nth(98), |worth| *worth) = 500;
        assert_eq!(table.get_mut(nth(2)), None);
        assert_eq!(table.count(), WAYS);
        *table.get_or_insert(nth(98) + 1, |worth| *worth) = 500;
        assert_eq!(table.count(), WAYS + 1, "another set");
    }

    #[test]
    fn what_is_to_be_kept_stays_and_the_new_one_is_refused() {
        let mut table = full();
        assert!(!table.insert(nth(99), 999, |_| KEEP));
        assert_eq!(table.get_mut(nth(99)), None);
        assert!(table.insert(nth(3), 7, |_| KEEP), "its own place it has");
        table.remove(nth(4));
        assert!(table.insert(nth(99), 999, |_| KEEP), "and a free one");
        assert_eq!(table.count(), WAYS);
    }

    #[test]
    fn hash_0_is_as_good_as_any_and_looking_something_up_takes_no_memory() {
        let mut table = SetTable::<u64>::new(4 * WAYS * CHUNK_SETS);
        assert_eq!(table.get_mut(0), None);
        table.remove(0);
        assert!(table.0.iter().all(Option::is_none));
        *table.get_or_insert(0, |worth| *worth) = 7;
        assert_eq!(table.get_mut(0), Some(&mut 7));
        assert_eq!(table.0.iter().flatten().count(), 1);
        table.remove(0);
        assert_eq!(table.count(), 0);
    }
}
