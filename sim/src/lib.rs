//! Whole clusters in one process on one seed: two nodes, the balancer, phones, a bad network, slow
//! disks and sudden deaths.
//!
//! Only pure crates run here, in virtual time: a seed determines everything, so a failure is
//! replayed by its number. What needs real processes (sockets, actors, sled, ractor) is not here
//! but in `examples/tests`.

mod bell;
mod checks;
mod family;
mod host;
mod local_clock;
mod node;
mod orders;
mod plan;
#[cfg(feature = "planted-faults")]
pub mod planted;
mod story;
mod trace;
mod village;
mod waker;
mod waking;
mod witness;
mod world;

pub use checks::Violation;
pub use orders::{Order, Ordered};
pub use plan::{Cut, Ending, Fault, Hang, Plan, Process, When};
pub use trace::Trace;
pub use waking::{Waking, Woken};

use story::Story;

/// What one seed came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What it planned.
    pub plan: Plan,
    /// Steps taken.
    pub steps: u64,
    /// Steps from the first call's begin to the last one's end.
    pub steps_of_calls: u64,
    /// Hash of the whole trace: equal for equal seeds.
    pub fingerprint: u64,
    /// Calls that failed since chance lost all INVITEs that could have been answered.
    pub unlucky: u64,
    /// The rule that was broken first, if any.
    pub violation: Option<Violation>,
    /// The trace, if it was asked for.
    pub lines: Vec<String>,
}

/// Plays the story of `seed`; `verbose` keeps the trace's lines.
pub fn play(seed: u64, verbose: bool) -> Report {
    play_plan(Plan::of(seed), verbose)
}

/// Plays a given plan.
pub fn play_plan(plan: Plan, verbose: bool) -> Report {
    let mut story = Story::new(plan.clone(), verbose);
    let violation = story.run().err();
    let (steps_of_calls, unlucky) = (story.steps_of_calls(), story.unlucky_calls());
    let (steps, trace) = story.into_trace();
    Report {
        seed: plan.seed,
        plan,
        steps,
        steps_of_calls,
        fingerprint: trace.fingerprint(),
        unlucky,
        violation,
        lines: trace.into_lines(),
    }
}
