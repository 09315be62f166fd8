//! Handlers that do not return, as the runtime would have it: the core asks after the deadline what
//! became of the delivery, and is told that its worker was replaced. The thread hangs on for a
//! while.

use super::{Action, TELL_US, World};
use crate::plan::{Hang, Plan};
use resilee_core::{Fate, Input, Limits};
use resilee_sbb::{CellId, Deliver, DeliveryId, Outcome};
use std::collections::BTreeMap;

/// How long a handler may take where some hang: clients repeat meanwhile, and do not give up.
const DEADLINE_MS: u64 = 300;
/// So long after its begin the handler returns all the same, and its answer comes too late.
const RETURNS_MS: u64 = 1_500;

/// See the module.
#[derive(Debug)]
pub(super) struct Hanging {
    planned: Vec<Hang>,
    /// Deliveries to each service so far.
    served: BTreeMap<&'static str, u64>,
    /// Deliveries that hang, by node and life.
    out: BTreeMap<(usize, u64, DeliveryId), (CellId, &'static str)>,
    /// Threads that hang, by node and life.
    threads: BTreeMap<(usize, u64), usize>,
}

impl Hanging {
    /// What a plan wants.
    pub(super) fn new(plan: &Plan) -> Self {
        Hanging {
            planned: plan.hangs().to_vec(),
            served: BTreeMap::new(),
            out: BTreeMap::new(),
            threads: BTreeMap::new(),
        }
    }

    /// True if the handler of this delivery, the next one of its service, does not return.
    fn takes(&mut self, deliver: &Deliver) -> bool {
        let served = self.served.entry(deliver.service).or_default();
        let hang = Hang { service: deliver.service, number: *served };
        *served += 1;
        self.planned.contains(&hang)
    }
}

/// What nodes are told of limits.
pub(super) fn limits(plan: &Plan) -> Limits {
    let usual = Limits::default();
    match plan.hangs().is_empty() {
        true => usual,
        false => Limits { delivery_deadline_ms: DEADLINE_MS, ..usual },
    }
}

impl World {
    /// True if the handler of a delivery does not return; what it would do comes too late.
    pub(super) fn hangs(&mut self, node: usize, deliver: &Deliver, outcome: &Outcome) -> bool {
        if !self.hanging.takes(deliver) {
            return false;
        }
        let (life, delivery) = (self.nodes[node].life, deliver.id);
        self.trace.add(self.now, "HANG", &[], || {
            format!("{node}: {} at {}", deliver.service, deliver.event.event_type)
        });
        self.lateness.trouble(self.now, DEADLINE_MS, DEADLINE_MS);
        let of = (deliver.entity.cell, deliver.service);
        self.hanging.out.insert((node, life, delivery), of);
        *self.hanging.threads.entry((node, life)).or_default() += 1;
        let late = Action::Outcome { node, life, delivery, outcome: outcome.clone() };
        self.schedule(RETURNS_MS * 1_000, late);
        self.schedule(RETURNS_MS * 1_000 + TELL_US, Action::Returned { node, life });
        true
    }

    /// What became of a delivery that is not answered in time.
    pub(super) fn abandon(&mut self, node: usize, delivery: DeliveryId) {
        let life = self.nodes[node].life;
        let hung = self.hanging.out.remove(&(node, life, delivery));
        let fate = match hung {
            Some(_) => Fate::Hangs("its worker was replaced".to_owned()),
            None => Fate::Waited,
        };
        if let (Some((cell, service)), Some(run)) = (hung, &self.nodes[node].run) {
            self.router.hangs(run, cell, service);
        }
        let input = Input::Abandoned { delivery, fate };
        self.schedule(TELL_US, Action::Input { node, life, input });
        if hung.is_some() {
            self.tell_hanging(node, life);
        }
    }

    /// A handler has returned after all.
    pub(super) fn return_late(&mut self, node: usize, life: u64) {
        self.hanging.threads.entry((node, life)).and_modify(|threads| *threads -= 1);
        self.tell_hanging(node, life);
    }

    fn tell_hanging(&mut self, node: usize, life: u64) {
        let threads = self.hanging.threads.get(&(node, life)).copied().unwrap_or_default();
        let input = Input::Hanging { threads };
        self.schedule(TELL_US, Action::Input { node, life, input });
    }
}
