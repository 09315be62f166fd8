//! Handlers that never return, of services of which the phones notice nothing.

use crate::{family, witness};
use resilee_test_kit::Random;

/// Services of which nobody but the checkers hears. Not the village and the villagers: either would
/// wait for the other one, or miss it.
const SERVICES: [&str; 2] = [witness::NAME, family::NAME];
/// As many of them hang in one plan: fewer than those for which a node hands its calls over.
const HANGS_MAX: u64 = 3;
/// One of the first so many deliveries of a service.
const AMONG: u64 = 24;

/// A handler that does not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hang {
    /// Whose.
    pub service: &'static str,
    /// At which of its deliveries, wherever they are; the first one is 0.
    pub number: u64,
}

impl Hang {
    /// Some, by chance.
    pub(super) fn some(random: &mut Random) -> Vec<Hang> {
        let one = |random: &mut Random| {
            let service = SERVICES[random.between(0, SERVICES.len() as u64 - 1) as usize];
            Hang { service, number: random.between(0, AMONG - 1) }
        };
        (0..random.between(1, HANGS_MAX)).map(|_| one(random)).collect()
    }
}
