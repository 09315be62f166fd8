//! The only randomness of the test kit: SplitMix64, which a seed determines. Not for secrets.

/// A sequence of numbers that its seed determines.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// The sequence of `seed` for one of several users of it: others get other numbers.
    pub fn of(seed: u64, name: &str) -> Self {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Random::new(name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, fnv))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included; `low` if `high` is not above it.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low);
        let number = self.draw();
        if span == u64::MAX { number } else { low + number % (span + 1) }
    }

    /// True in `permille` of 1000 cases. Draws a number in any case, so that changing one
    /// probability does not move what others draw.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.draw() % 1000 < u64::from(permille)
    }

    /// The next number in hexadecimal, as a part of tags, branches and Call-IDs.
    pub fn token(&mut self) -> String {
        format!("{:016x}", self.draw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let draw = |mut random: Random| [random.draw(), random.draw(), random.draw()];
        assert_eq!(draw(Random::new(1)), draw(Random::new(1)));
        assert_ne!(draw(Random::new(1)), draw(Random::new(2)));
        assert_ne!(draw(Random::of(1, "alice")), draw(Random::of(1, "bob")));
    }

    #[test]
    fn numbers_stay_between_their_bounds() {
        let mut random = Random::new(3);
        assert!((0..1000).all(|_| (5..=9).contains(&random.between(5, 9))));
        assert_eq!(random.between(9, 5), 9);
        assert!((0..100).all(|_| !random.chance(0)));
        assert!((0..100).all(|_| random.chance(1000)));
    }
}
