//! Orders of an operator about usage figures and alarms, in some seeds: both are the bell's
//! (`bell.rs`). What they must come to is in `checks/orders.rs`.

use resilee_test_kit::Random;

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// Figures begin at zero.
    Reset,
    /// The first alarm of the node that is asked, if it has any, is cleared.
    Clear,
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// From the first call's beginning, in milliseconds.
    pub at_ms: u64,
    /// The node that is asked.
    pub node: usize,
    /// For what.
    pub ordered: Ordered,
}

/// Orders of one run.
const ORDERS_MAX: u64 = 12;
/// The last one comes before.
const AT_MS_MAX: u64 = 3_000;

impl Order {
    /// Some orders, by chance.
    pub fn some(random: &mut Random) -> Vec<Order> {
        let count = random.between(1, ORDERS_MAX);
        let order = |_| Order {
            at_ms: random.between(0, AT_MS_MAX),
            node: usize::from(random.chance(500)),
            ordered: if random.chance(500) { Ordered::Reset } else { Ordered::Clear },
        };
        (0..count).map(order).collect()
    }

    /// The same order at one node, again and again.
    #[cfg(feature = "planted-faults")]
    pub fn often(node: usize, ordered: Ordered, every_ms: u64) -> Vec<Order> {
        let moments = (0..AT_MS_MAX).step_by(every_ms as usize);
        moments.map(|at_ms| Order { at_ms, node, ordered }).collect()
    }
}
