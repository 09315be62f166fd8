//! The usage facility (`javax.slee.usage`): what services counted and measured on this node.
//!
//! It is no state of a call: it is not replicated, and a node that starts begins at zero. What a
//! delivery adds is added when it commits, so that a delivery which is tried again counts once.
//! How those of all nodes are added up is in `usage_sum.rs`.

use crate::histogram::Histogram;
use crate::management::{SampleStatus, UsageSetStatus, UsageStatus};
use crate::usage_sum::Sums;
use resilee_sbb::{Descriptor, Timestamp, USAGE_SET_NAME_MAX, UsageKind, UsageUpdate, UsageValue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sets of one service, with the default set; what is meant for more is only counted.
pub const USAGE_SETS_MAX: usize = 64;

/// The figures of all services.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    services: BTreeMap<&'static str, ServiceUsage>,
    /// Sums of the cluster that somebody waits for.
    pub sums: Sums,
}

/// The figures of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceUsage {
    /// What it declares, with what its child SBBs declare. Each node knows that itself.
    #[serde(skip)]
    declared: BTreeMap<String, UsageKind>,
    /// When they began at zero.
    since: Timestamp,
    /// By name of the set; the default set has none.
    sets: BTreeMap<String, Set>,
    /// Updates of sets beyond the limit, or of a name that is too long.
    refused: u64,
}

/// The figures of one set, by parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    counters: BTreeMap<String, i64>,
    samples: BTreeMap<String, Histogram>,
}

impl Set {
    /// A set with all that is declared, at zero.
    fn of(declared: &BTreeMap<String, UsageKind>) -> Self {
        let mut set = Set::default();
        for (name, kind) in declared {
            match kind {
                UsageKind::Counter => drop(set.counters.insert(name.clone(), 0)),
                UsageKind::Sample => drop(set.samples.insert(name.clone(), Histogram::default())),
            }
        }
        set
    }
}

impl ServiceUsage {
    fn new(now: Timestamp, declared: BTreeMap<String, UsageKind>) -> Self {
        let sets = [(String::new(), Set::of(&declared))].into();
        ServiceUsage { declared, since: now, sets, refused: 0 }
    }
}

impl Usage {
    /// Figures at zero for services that declare any.
    pub fn new(now: Timestamp, services: &[Descriptor]) -> Self {
        let declared = services.iter().map(|service| (service.name, service.usage_parameters()));
        let services = declared.filter(|(_, declared)| !declared.is_empty());
        let services = services.map(|(name, declared)| (name, ServiceUsage::new(now, declared)));
        Usage { services: services.collect(), sums: Sums::default() }
    }

    /// A service begins to be deployed.
    pub fn add(&mut self, now: Timestamp, service: &Descriptor) {
        let declared = service.usage_parameters();
        if !declared.is_empty() {
            let begins = || ServiceUsage::new(now, declared);
            self.services.entry(service.name).or_insert_with(begins);
        }
    }

    /// A service is not deployed any more.
    pub fn remove(&mut self, service: &str) {
        self.services.remove(service);
    }

    /// What is kept of a parameter of a service; none if it is not declared.
    pub fn kind(&self, service: &str, parameter: &str) -> Option<UsageKind> {
        self.services.get(service)?.declared.get(parameter).copied()
    }

    /// A service begins at zero again, with its default set alone.
    pub fn reset(&mut self, now: Timestamp, service: &str) {
        if let Some(own) = self.services.get_mut(service) {
            *own = ServiceUsage::new(now, std::mem::take(&mut own.declared));
        }
    }

    /// True if the service declares usage parameters.
    pub fn counts(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// Adds what a committed delivery asked for; a parameter that is not declared was refused
    /// before.
    pub fn update(&mut self, service: &str, update: UsageUpdate) {
        let Some(own) = self.services.get_mut(service) else { return };
        if !own.sets.contains_key(&update.set) {
            if own.sets.len() >= USAGE_SETS_MAX || update.set.len() > USAGE_SET_NAME_MAX {
                own.refused += 1;
                return;
            }
            own.sets.insert(update.set.clone(), Set::of(&own.declared));
        }
        let Some(set) = own.sets.get_mut(&update.set) else { return };
        match update.value {
            UsageValue::Count(increment) => {
                if let Some(counter) = set.counters.get_mut(&update.parameter) {
                    *counter = counter.saturating_add(increment);
                }
            }
            UsageValue::Sample(value) => {
                if let Some(sample) = set.samples.get_mut(&update.parameter) {
                    sample.record(value);
                }
            }
        }
    }

    /// The figures of a service; nothing if it declares nothing.
    pub fn of(&self, service: &str) -> Option<&ServiceUsage> {
        self.services.get(service)
    }

    /// What operators see of a service; nothing if it declares nothing.
    pub fn status(&self, service: &str) -> Option<UsageStatus> {
        self.of(service).map(ServiceUsage::status)
    }
}

impl ServiceUsage {
    /// Adds the figures of the same service at another node: those of parameters that are declared
    /// here, in as many sets as one node has.
    pub fn merge(&mut self, other: ServiceUsage) {
        self.since = self.since.min(other.since);
        self.refused = self.refused.saturating_add(other.refused);
        for (name, told) in other.sets {
            if !self.sets.contains_key(&name) {
                if self.sets.len() >= USAGE_SETS_MAX || name.len() > USAGE_SET_NAME_MAX {
                    self.refused = self.refused.saturating_add(1);
                    continue;
                }
                self.sets.insert(name.clone(), Set::of(&self.declared));
            }
            let Some(own) = self.sets.get_mut(&name) else { continue };
            for (parameter, counter) in &mut own.counters {
                let told = told.counters.get(parameter).copied().unwrap_or_default();
                *counter = counter.saturating_add(told);
            }
            for (parameter, sample) in &mut own.samples {
                told.samples.get(parameter).into_iter().for_each(|told| sample.merge(told));
            }
        }
    }

    /// What operators see of it.
    pub fn status(&self) -> UsageStatus {
        let sets = self.sets.iter().map(|(name, set)| UsageSetStatus {
            set: name.clone(),
            counters: set.counters.clone(),
            samples: set.samples.iter().map(|(name, of)| (name.clone(), sample(of))).collect(),
        });
        UsageStatus { since: self.since, refused: self.refused, sets: sets.collect() }
    }
}

fn sample(histogram: &Histogram) -> SampleStatus {
    SampleStatus {
        count: histogram.count(),
        min: histogram.min(),
        max: histogram.max(),
        mean_milli: histogram.mean_milli(),
        p50: histogram.percentile(50),
        p95: histogram.percentile(95),
        p99: histogram.percentile(99),
    }
}
