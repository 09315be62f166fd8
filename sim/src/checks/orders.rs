//! What an operator was told is done stays done, whoever dies: no member shows figures from before
//! a reset, or an alarm that was cleared.
//!
//! Figures are compared with what the bell has counted in all commits since the reset was asked
//! for: a member may show less, as what was counted by a node that had not heard of it is left out.
//! An alarm is the same one if it was raised at the same moment.

use crate::bell;
use crate::checks::Violation;
use crate::world::World;
use resilee_core::Observed;
use resilee_core::management::{Alarm, Changed};
use resilee_membership::RunId;
use resilee_sbb::{CellId, Deliver, Effect, Outcome, Timestamp, UsageValue};
use std::collections::{BTreeMap, BTreeSet};

/// An alarm, by what it is about and when it was raised.
type Raised = (String, Timestamp);

/// What an order is to come to.
#[derive(Debug)]
enum Asked {
    /// So much was counted before.
    Reset {
        counted: i64,
    },
    Clear(Raised),
}

/// The orders of a run, and what the bell has counted.
#[derive(Debug, Default)]
pub struct Orders {
    /// By the number of its change.
    asked: BTreeMap<u64, Asked>,
    next_token: u64,
    /// What was counted in turns that are not committed yet.
    pending: BTreeMap<(RunId, CellId), i64>,
    /// And in all commits.
    counted: i64,
    /// So much of it was before the last reset that was answered.
    before_reset: i64,
    cleared: BTreeSet<Raised>,
    /// Orders that were answered as done.
    pub done: u64,
}

fn raised(alarm: &Alarm) -> Raised {
    (alarm.instance.clone(), alarm.raised_at)
}

impl Orders {
    /// A handler has run.
    pub fn delivers(&mut self, run: &RunId, deliver: &Deliver, outcome: &Outcome) {
        let Outcome::Delivered { effects, .. } = outcome else { return };
        if deliver.service != bell::NAME {
            return;
        }
        for effect in effects {
            if let Effect::Usage(update) = effect
                && let UsageValue::Count(increment) = update.value
            {
                *self.pending.entry((run.clone(), deliver.entity.cell)).or_default() += increment;
            }
        }
    }

    /// What a run has done.
    pub fn observes(&mut self, run: &RunId, observed: &[Observed]) {
        for what in observed {
            if let Observed::Committed { cell, .. } = what {
                self.counted += self.pending.remove(&(run.clone(), *cell)).unwrap_or_default();
            }
        }
    }

    /// Figures are to begin at zero; the number of the change.
    pub fn asks_reset(&mut self) -> u64 {
        self.asks(Asked::Reset { counted: self.counted })
    }

    /// An alarm is to be cleared; the number of the change.
    pub fn asks_clear(&mut self, alarm: &Alarm) -> u64 {
        self.asks(Asked::Clear(raised(alarm)))
    }

    fn asks(&mut self, what: Asked) -> u64 {
        self.next_token += 1;
        self.asked.insert(self.next_token, what);
        self.next_token
    }

    /// What became of it.
    pub fn answered(&mut self, token: u64, changed: &Changed) {
        let asked = self.asked.remove(&token);
        if *changed != Changed::Done {
            return;
        }
        self.done += u64::from(asked.is_some());
        match asked {
            Some(Asked::Reset { counted }) => {
                self.before_reset = self.before_reset.max(counted);
            }
            Some(Asked::Clear(alarm)) => drop(self.cleared.insert(alarm)),
            None => {}
        }
    }

    /// Nobody who lives was to hold what was answered.
    pub fn forget(&mut self) {
        self.before_reset = 0;
        self.cleared.clear();
        self.asked.clear();
    }
}

/// Looks at the members of the latest view.
///
/// # Errors
/// What should be gone, and who shows it.
pub fn check_orders(world: &World) -> Result<(), Violation> {
    let orders = &world.orders;
    if orders.done == 0 {
        return Ok(());
    }
    let cores = || world.nodes.iter().filter_map(|node| Some((node, node.core.as_ref()?)));
    let latest = cores().map(|(_, core)| core.view().number).max();
    for (node, core) in cores() {
        let is_member = node.run.as_ref().is_some_and(|run| core.view().contains(run));
        if Some(core.view().number) != latest || !is_member {
            continue;
        }
        let since = orders.counted - orders.before_reset;
        let sum = core.usage_sum(bell::NAME).expect("it counts");
        let shown = sum.usage.sets.iter().filter_map(|set| set.counters.get(bell::STROKES));
        let shown: i64 = shown.sum();
        if shown > since {
            let detail = format!("{}: {shown} counted, {since} since then", node.name);
            return Err(Violation::new("no figure is from before a reset", detail));
        }
        let alarms = core.status(node.clock.at(world.now)).alarms;
        let is_back =
            |alarm: &&Alarm| bell::has_raised(alarm) && orders.cleared.contains(&raised(alarm));
        if let Some(alarm) = alarms.iter().find(is_back) {
            let detail = format!("{}: {}", node.name, alarm.instance);
            return Err(Violation::new("what an operator has cleared stays cleared", detail));
        }
    }
    Ok(())
}
