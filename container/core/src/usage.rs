//! The usage facility (`javax.slee.usage`): what services counted and measured, by node.
//!
//! Each node counts what it does; its commits carry what their turns counted (`noted.rs`), so that
//! all members have the figures of all nodes, those that are gone as well. What a delivery adds is
//! added when its turn commits, so that a delivery which is tried again counts once.
//!
//! | figures of                | are                                                         |
//! |---------------------------|-------------------------------------------------------------|
//! | a node that died          | kept, and it goes on from there when it comes back          |
//! | a joiner                  | those of the snapshot                                       |
//! | a store                   | as of its last batch                                        |
//! | a service that is removed | removed with its unit's row, also where that is still       |
//! |                           | compiled, or a node joins; what comes late of it is left    |
//! |                           | out until it is uploaded again, or is linked where it counts|
//! | a reset service           | zero at all nodes; what was counted before by a node that   |
//! |                           | had not heard of it is left out                             |
//! | a reset service that is   | its number is kept, for when it is deployed                 |
//! | not deployed here         |                                                             |
//!
//! What another node says is taken only if a node can have said it, and there is room; what is not
//! taken is counted by whoever gave it here. How figures are stored is in `rows.rs`.

mod rows;

pub(crate) use rows::TABLE;

use crate::core::Core;
use crate::histogram::Histogram;
use crate::management::{SampleStatus, UsageSetStatus, UsageStatus, UsageSum};
use crate::noted::{Counted, UsageReset};
use resilee_membership::NodeName;
use resilee_sbb::{
    Descriptor, NAME_BYTES_MAX, Timestamp, USAGE_SET_NAME_MAX, UsageKind, UsageUpdate, UsageValue,
};
use rows::key;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Sets of one service, with the default set; what is meant for more is only counted.
pub const USAGE_SETS_MAX: usize = 64;
/// Services of which figures are kept, deployed here or not: further ones of other nodes are not.
const SERVICES_MAX: usize = 512;
/// Parameters of one set of which figures of other nodes are kept.
const PARAMETERS_MAX: usize = 1_024;
/// Nodes whose figures are kept.
const NODES_MAX: usize = 64;
/// Bytes of a service's name, and of a parameter's with the SBB's before it, in what another node
/// says.
const SERVICE_BYTES_MAX: usize = NAME_BYTES_MAX;
const PARAMETER_BYTES_MAX: usize = 2 * NAME_BYTES_MAX + 1;
/// Services of removed units of which late figures are left out; then the first is forgotten.
const REMOVED_MAX: usize = 64;
/// A reset may be so many ahead of what this node has heard of.
const RESETS_AHEAD_MAX: u32 = 65_536;

/// Why something of another node, or of the store, is not kept: as it is counted.
type NotKept = &'static str;
const TOO_MANY_SERVICES: NotKept = "usage of one service more than are kept";
const TOO_MANY_NODES: NotKept = "usage of one node more than are kept";
const TOO_MANY_SETS: NotKept = "usage of one set or parameter more than are kept";
const IMPOSSIBLE: NotKept = "usage that no node can have counted";
const REMOVED: NotKept = "usage of a service that was removed";
const UNREADABLE: NotKept = "row of usage that cannot be read";

/// The figures of all services.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    services: BTreeMap<String, ServiceUsage>,
    /// Keys of rows that the store has otherwise.
    unstored: BTreeSet<String>,
    /// Services of units that were removed, the last one at the end.
    removed: VecDeque<String>,
}

/// The figures of one service.
#[derive(Debug, Default)]
struct ServiceUsage {
    /// What it declares, with what its child SBBs declare; none if it is not deployed here.
    declared: Option<BTreeMap<String, UsageKind>>,
    began: Began,
    nodes: BTreeMap<NodeName, Figures>,
}

/// When figures were zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Began {
    since: Timestamp,
    /// How often an operator let them begin again.
    #[serde(default)]
    resets: u32,
}

/// What one node counted for one service.
#[derive(Debug, Default)]
struct Figures {
    /// By name of the set; the default set has none.
    sets: BTreeMap<String, Set>,
    /// Updates of sets beyond the limit, or of a name that is too long.
    refused: u64,
}

/// The figures of one set, by parameter.
type Set = BTreeMap<String, Figure>;

/// What is kept of one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Figure {
    Counter(i64),
    Sample(Histogram),
}

impl Figure {
    fn zero(kind: UsageKind) -> Self {
        match kind {
            UsageKind::Counter => Figure::Counter(0),
            UsageKind::Sample => Figure::Sample(Histogram::default()),
        }
    }

    fn add(&mut self, value: UsageValue) {
        match (self, value) {
            (Figure::Counter(sum), UsageValue::Count(increment)) => {
                *sum = sum.saturating_add(increment);
            }
            (Figure::Sample(sample), UsageValue::Sample(value)) => sample.record(value),
            // Another version of the service meant something else by the name.
            (figure, value) => {
                *figure = Figure::zero(value.kind());
                figure.add(value);
            }
        }
    }

    /// Adds the same parameter of another node.
    fn merge(&mut self, other: &Figure) {
        match (self, other) {
            (Figure::Counter(sum), Figure::Counter(other)) => *sum = sum.saturating_add(*other),
            (Figure::Sample(sample), Figure::Sample(other)) => sample.merge(other),
            _ => {}
        }
    }
}

impl Usage {
    /// Figures at zero for services that declare any.
    pub fn new(now: Timestamp, services: &[Descriptor]) -> Self {
        let mut usage = Usage::default();
        services.iter().for_each(|service| usage.add(now, service));
        usage
    }

    /// A service begins to be deployed.
    pub fn add(&mut self, now: Timestamp, service: &Descriptor) {
        let declared = service.usage_parameters();
        if declared.is_empty() {
            return;
        }
        self.expect(service.name);
        let began = Began { since: now, resets: 0 };
        let begins = || ServiceUsage { began, ..ServiceUsage::default() };
        let own = self.services.entry(service.name.to_owned()).or_insert_with(begins);
        own.declared = Some(declared);
    }

    /// True if late figures of a service are left out.
    pub fn was_removed(&self, service: &str) -> bool {
        self.removed.iter().any(|removed| removed == service)
    }

    /// A service may count from now on: it is uploaded, or deployed.
    pub fn expect(&mut self, service: &str) {
        self.removed.retain(|removed| removed != service);
    }

    /// A service is not deployed any more. What is kept of it stays.
    pub fn undeclare(&mut self, service: &str) {
        if let Some(own) = self.services.get_mut(service) {
            own.declared = None;
            if own.is_as_at_start() {
                self.services.remove(service);
            }
        }
    }

    /// The unit of a service is removed, and what is kept of that goes. It may still be deployed
    /// here, and stays so if its unit is there again by the time that is looked at.
    pub fn remove(&mut self, now: Timestamp, service: &str) {
        if let Some(own) = self.services.get_mut(service) {
            self.unstored.insert(key([service]));
            self.unstored.extend(own.keys(service));
            own.nodes.clear();
            own.began = Began { since: now, resets: 0 };
            if own.declared.is_none() {
                self.services.remove(service);
            }
        }
        self.expect(service);
        if self.removed.len() >= REMOVED_MAX {
            self.removed.pop_front();
        }
        self.removed.push_back(service.to_owned());
    }

    /// Services of which something is kept.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// What is kept of a parameter of a service; none if it is not declared.
    pub fn kind(&self, service: &str, parameter: &str) -> Option<UsageKind> {
        self.services.get(service)?.declared.as_ref()?.get(parameter).copied()
    }

    /// True if the service declares usage parameters.
    pub fn counts(&self, service: &str) -> bool {
        self.services.get(service).is_some_and(|own| own.declared.is_some())
    }

    /// How often the figures of a service began again; none if it declares nothing.
    pub fn resets(&self, service: &str) -> Option<u32> {
        self.services.get(service).map(|own| own.began.resets)
    }

    /// When the figures of a service were zero, if they still are.
    pub fn began(&self, service: &str) -> Option<Timestamp> {
        let own = self.services.get(service)?;
        own.nodes.is_empty().then_some(own.began.since)
    }

    /// Adds what a turn counted at a node.
    ///
    /// # Errors
    /// Nothing is added.
    pub fn update(
        &mut self,
        node: &NodeName,
        service: &str,
        update: &UsageUpdate,
    ) -> Result<(), NotKept> {
        let Some(own) = self.services.get_mut(service) else { return Ok(()) };
        own.check_room(node)?;
        if own.nodes.is_empty() {
            self.unstored.insert(key([service]));
        }
        let figures = own.nodes.entry(node.clone()).or_default();
        let UsageUpdate { set, parameter, value } = update;
        let changed = match figures.set(set) {
            Some(known) if known.len() < PARAMETERS_MAX || known.contains_key(parameter) => {
                let zero = || Figure::zero(value.kind());
                known.entry(parameter.clone()).or_insert_with(zero).add(*value);
                rows::key_of(service, node.as_str(), set, parameter)
            }
            _ => {
                figures.refused = figures.refused.saturating_add(1);
                key([service, node.as_str()])
            }
        };
        self.unstored.insert(changed);
        Ok(())
    }

    /// Adds what another node counted. Untrusted.
    ///
    /// # Errors
    /// Some of it is not added.
    pub fn apply(
        &mut self,
        now: Timestamp,
        node: &NodeName,
        counted: &Counted,
    ) -> Result<(), NotKept> {
        let Counted { service, resets, since, linked: _, updates } = counted;
        if updates.iter().any(|update| update.parameter.len() > PARAMETER_BYTES_MAX) {
            return Err(IMPOSSIBLE);
        }
        let own = self.of_another(service, *resets)?;
        own.check_room(node)?;
        if own.began.resets > *resets {
            return Ok(());
        }
        if own.began.resets < *resets {
            let (service, number) = (service.clone(), *resets);
            self.reset_to(&UsageReset { service, number, at: now });
        } else if let Some(since) = *since {
            let own_since = own.began.since;
            own.began.since = if own.nodes.is_empty() { since } else { since.min(own_since) };
            self.unstored.insert(key([service]));
        }
        updates.iter().try_for_each(|update| self.update(node, service, update))
    }

    /// The figures of a service that another node speaks of, which need not be deployed here.
    fn of_another(&mut self, service: &str, resets: u32) -> Result<&mut ServiceUsage, NotKept> {
        let known = self.services.get(service).map(|own| own.began.resets);
        let ahead = resets.saturating_sub(known.unwrap_or(0));
        let is_named = (1..=SERVICE_BYTES_MAX).contains(&service.len());
        if !is_named || service.contains('\0') || ahead > RESETS_AHEAD_MAX {
            return Err(IMPOSSIBLE);
        }
        if self.was_removed(service) {
            return Err(REMOVED);
        }
        if known.is_none() && self.services.len() >= SERVICES_MAX {
            return Err(TOO_MANY_SERVICES);
        }
        Ok(self.services.entry(service.to_owned()).or_default())
    }

    /// A service begins at zero again; the order for the other nodes.
    pub fn reset(&mut self, now: Timestamp, service: &str) -> Option<UsageReset> {
        let number = self.resets(service)?.saturating_add(1);
        let reset = UsageReset { service: service.to_owned(), number, at: now };
        self.reset_to(&reset);
        Some(reset)
    }

    /// The same, by whichever node; also of a service that is not deployed here, which may be
    /// later. Untrusted.
    ///
    /// # Errors
    /// It is left out.
    pub fn apply_reset(&mut self, reset: &UsageReset) -> Result<(), NotKept> {
        self.of_another(&reset.service, reset.number)?;
        self.reset_to(reset);
        Ok(())
    }

    /// Counts the resets that were heard of, each of them once. Of two that cross each other both
    /// are counted at both nodes: what was counted by who knew only one of them is left out.
    fn reset_to(&mut self, reset: &UsageReset) {
        let UsageReset { service, number, at } = reset;
        let Some(own) = self.services.get_mut(service) else { return };
        self.unstored.extend(own.keys(service));
        self.unstored.insert(key([service]));
        own.nodes.clear();
        let Began { since, resets } = own.began;
        own.began = match *number > resets {
            true => Began { since: *at, resets: *number },
            false => Began { since: since.max(*at), resets: resets.saturating_add(1) },
        };
    }

    /// What operators see of a service at one node; nothing if it declares nothing.
    pub fn status(&self, node: &NodeName, service: &str) -> Option<UsageStatus> {
        let own = self.services.get(service)?;
        Some(own.status(own.declared.as_ref()?, own.nodes.get(node)))
    }

    /// The sum of all nodes, and whose figures are in it.
    fn sum(&self, service: &str) -> Option<(UsageStatus, Vec<NodeName>)> {
        let own = self.services.get(service)?;
        let usage = own.status(own.declared.as_ref()?, own.nodes.values());
        Some((usage, own.nodes.keys().cloned().collect()))
    }

    /// Drops what was counted; a snapshot is to say what it was.
    pub fn forget(&mut self) {
        self.services.retain(|_, own| own.declared.is_some());
        self.removed.clear();
        for own in self.services.values_mut() {
            own.nodes.clear();
            own.began.resets = 0;
        }
    }
}

impl ServiceUsage {
    /// True if nothing was ever counted: each node knows as much itself.
    fn is_as_at_start(&self) -> bool {
        self.nodes.is_empty() && self.began.resets == 0
    }

    /// There is room for the figures of a node.
    fn check_room(&self, node: &NodeName) -> Result<(), NotKept> {
        match self.nodes.len() < NODES_MAX || self.nodes.contains_key(node) {
            true => Ok(()),
            false => Err(TOO_MANY_NODES),
        }
    }

    /// What is declared, as some nodes counted it: all sets of each of them, which together are
    /// [`NODES_MAX`] times [`USAGE_SETS_MAX`] at most.
    fn status<'f>(
        &self,
        declared: &BTreeMap<String, UsageKind>,
        nodes: impl IntoIterator<Item = &'f Figures>,
    ) -> UsageStatus {
        let zero = || declared.iter().map(|(name, kind)| (name.clone(), Figure::zero(*kind)));
        let mut sum = Figures::default();
        sum.sets.insert(String::new(), zero().collect());
        for figures in nodes {
            sum.refused = sum.refused.saturating_add(figures.refused);
            for (name, counted) in &figures.sets {
                let set = sum.sets.entry(name.clone()).or_insert_with(|| zero().collect());
                for (parameter, figure) in set {
                    counted.get(parameter).into_iter().for_each(|counted| figure.merge(counted));
                }
            }
        }
        let sets = sum.sets.into_iter().map(|(set, figures)| set_status(set, figures)).collect();
        UsageStatus { since: self.began.since, refused: sum.refused, sets }
    }
}

impl Figures {
    /// A set, which is made if there is room for it.
    fn set(&mut self, name: &str) -> Option<&mut Set> {
        let named = self.sets.keys().filter(|name| !name.is_empty()).count();
        let has_room = name.is_empty() || named + 1 < USAGE_SETS_MAX;
        match has_room && name.len() <= USAGE_SET_NAME_MAX || self.sets.contains_key(name) {
            true => Some(self.sets.entry(name.to_owned()).or_default()),
            false => None,
        }
    }
}

fn set_status(name: String, figures: Set) -> UsageSetStatus {
    let mut set = UsageSetStatus { set: name, ..UsageSetStatus::default() };
    for (parameter, figure) in figures {
        match figure {
            Figure::Counter(sum) => drop(set.counters.insert(parameter, sum)),
            Figure::Sample(of) => drop(set.samples.insert(parameter, sample(&of))),
        }
    }
    set
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

impl Core {
    /// What a service counted and measured in the cluster.
    ///
    /// # Errors
    /// There is no such service, or it declares no usage parameters.
    pub fn usage_sum(&self, service: &str) -> Result<UsageSum, String> {
        self.check_counts(service)?;
        let (usage, mut nodes) = self.usage.sum(service).unwrap_or_default();
        let me = &self.config.me.node;
        if !nodes.contains(me) {
            nodes.push(me.clone());
            nodes.sort();
        }
        Ok(UsageSum { service: service.to_owned(), usage, nodes })
    }
}
