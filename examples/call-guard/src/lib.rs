//! Who may call, and how often, in the whole cluster.
//!
//! | who calls                                     | what happens                            |
//! |-----------------------------------------------|-----------------------------------------|
//! | has no rule, nor has `*` one                  | the call goes on                        |
//! | is blocked                                    | 403                                     |
//! | has a limit, and has not reached it           | the call goes on, and counts            |
//! | has reached it                                | 480                                     |
//! | has a limit, and nobody counts in time        | the call goes on ([`COUNTED_WITHIN`])   |
//! | has not proven who he is                      | nothing is counted; call control asks   |
//!
//! Two services, one deployable unit: a [`CallGuard`] in each call, and one [`CallCounter`] for
//! each caller in the cluster, whichever server has his calls. While the counter is asked the
//! INVITE is suspended, so call control does not see it yet. Rules are profiles ([`RULES`]): an
//! operator changes them while calls run.

mod counter;
mod guard;
mod rules;

pub use counter::CallCounter;
pub use guard::{COUNTED_WITHIN, CallGuard};
pub use rules::{RULES, Rule};

/// The deployable unit of both services.
const UNIT: &str = "call-guard";

#[cfg(all(target_arch = "wasm32", not(feature = "counter")))]
resilee_guest::export!(CallGuard);

#[cfg(all(target_arch = "wasm32", feature = "counter"))]
resilee_guest::export!(CallCounter);
