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
//! | a service that is removed | removed                                                     |
//! | a reset service           | zero at all nodes; what was counted before by a node that   |
//! |                           | had not heard of it is left out                             |

use crate::commit::RowChange;
use crate::core::Core;
use crate::histogram::Histogram;
use crate::management::{SampleStatus, UsageSetStatus, UsageStatus, UsageSum};
use crate::noted::{Counted, UsageReset};
use resilee_membership::NodeName;
use resilee_sbb::{
    Descriptor, Timestamp, USAGE_SET_NAME_MAX, UsageKind, UsageUpdate, UsageValue, decode, encode,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};

/// Sets of one service, with the default set; what is meant for more is only counted.
pub const USAGE_SETS_MAX: usize = 64;
/// Services of which figures are kept, deployed here or not: further ones of other nodes are not.
const SERVICES_MAX: usize = 512;
/// Parameters of one set of which figures of other nodes are kept.
const PARAMETERS_MAX: usize = 1_024;
/// Nodes whose figures are kept.
const NODES_MAX: usize = 64;
/// Table of the rows in which figures are stored.
pub(crate) const TABLE: &str = "slee.usage";
/// Between the parts of a row's key: service, node, set, parameter. A service alone: when it began;
/// service and node: what was refused.
const SEPARATOR: char = '\0';

/// The figures of all services.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    services: BTreeMap<String, ServiceUsage>,
    /// Keys of rows that the store has otherwise.
    unstored: BTreeSet<String>,
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

fn key<const N: usize>(parts: [&str; N]) -> String {
    parts.join(&String::from(SEPARATOR))
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
        let began = Began { since: now, resets: 0 };
        let begins = || ServiceUsage { began, ..ServiceUsage::default() };
        let own = self.services.entry(service.name.to_owned()).or_insert_with(begins);
        own.declared = Some(declared);
    }

    /// A service is not deployed any more.
    pub fn remove(&mut self, service: &str) {
        if let Some(gone) = self.services.remove(service) {
            self.unstored.insert(key([service]));
            self.unstored.extend(gone.keys(service));
        }
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
    pub fn update(&mut self, node: &NodeName, service: &str, update: &UsageUpdate) {
        let Some(own) = self.services.get_mut(service) else { return };
        if own.nodes.len() >= NODES_MAX && !own.nodes.contains_key(node) {
            return;
        }
        if own.nodes.is_empty() {
            self.unstored.insert(key([service]));
        }
        let figures = own.nodes.entry(node.clone()).or_default();
        let UsageUpdate { set, parameter, value } = update;
        let changed = match figures.set(set) {
            Some(known) if known.len() < PARAMETERS_MAX || known.contains_key(parameter) => {
                let zero = || Figure::zero(value.kind());
                known.entry(parameter.clone()).or_insert_with(zero).add(*value);
                key([service, node.as_str(), set, parameter])
            }
            _ => {
                figures.refused = figures.refused.saturating_add(1);
                key([service, node.as_str()])
            }
        };
        self.unstored.insert(changed);
    }

    /// Adds what another node counted. Untrusted.
    pub fn apply(&mut self, now: Timestamp, node: &NodeName, counted: &Counted) {
        let Counted { service, resets, since, updates } = counted;
        if self.services.len() >= SERVICES_MAX && !self.services.contains_key(service) {
            return;
        }
        let own = self.services.entry(service.clone()).or_default();
        if own.began.resets > *resets {
            return;
        }
        if own.began.resets < *resets {
            let (service, number) = (service.clone(), *resets);
            self.apply_reset(&UsageReset { service, number, at: now });
        } else if let Some(since) = *since {
            let own_since = own.began.since;
            own.began.since = if own.nodes.is_empty() { since } else { since.min(own_since) };
            self.unstored.insert(key([service]));
        }
        updates.iter().for_each(|update| self.update(node, service, update));
    }

    /// A service begins at zero again; the order for the other nodes.
    pub fn reset(&mut self, now: Timestamp, service: &str) -> Option<UsageReset> {
        let number = self.resets(service)?.saturating_add(1);
        let reset = UsageReset { service: service.to_owned(), number, at: now };
        self.apply_reset(&reset);
        Some(reset)
    }

    /// The same, by whichever node. Untrusted.
    pub fn apply_reset(&mut self, reset: &UsageReset) {
        let UsageReset { service, number, at } = reset;
        let Some(own) = self.services.get_mut(service) else { return };
        if own.began.resets < *number {
            self.unstored.extend(own.keys(service));
            own.nodes.clear();
            own.began = Began { since: *at, resets: *number };
        } else if own.began.resets == *number {
            // Two operators did it at the same time.
            own.began.since = own.began.since.max(*at);
        }
        self.unstored.insert(key([service]));
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

    /// True if the store is to be told something.
    pub fn has_unstored(&self) -> bool {
        !self.unstored.is_empty()
    }

    /// Rows that the store is to be told.
    pub fn take_unstored(&mut self) -> Vec<RowChange> {
        let keys = std::mem::take(&mut self.unstored);
        keys.into_iter().map(|key| self.row(key)).collect()
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = RowChange> {
        let keys = self.services.iter().flat_map(|(service, own)| {
            let began = (!own.is_as_at_start()).then(|| key([service]));
            own.keys(service).into_iter().chain(began)
        });
        keys.map(|key| self.row(key))
    }

    fn row(&self, key: String) -> RowChange {
        let row = self.value(&key).map(ByteBuf::from);
        RowChange { table: TABLE.to_owned(), key, row }
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let parts: Vec<_> = key.splitn(4, SEPARATOR).collect();
        let own = self.services.get(*parts.first()?)?;
        let encoded = match parts[..] {
            [_] if own.is_as_at_start() => return None,
            [_] => encode(&own.began),
            [_, node] => encode(&own.figures(node)?.refused),
            [_, node, set, parameter] => {
                encode(own.figures(node)?.sets.get(set)?.get(parameter)?) //
            }
            _ => return None,
        };
        Some(encoded.expect("plain data can be encoded"))
    }

    /// Takes one of [`Usage::rows`]; one that cannot be read is left out.
    pub fn read_row(&mut self, key: &str, row: Option<&[u8]>) {
        let parts: Vec<_> = key.splitn(4, SEPARATOR).collect();
        let Some(row) = row else { return };
        let service = parts.first().copied().unwrap_or_default();
        if self.services.len() >= SERVICES_MAX && !self.services.contains_key(service) {
            return;
        }
        let own = self.services.entry(service.to_owned()).or_default();
        match parts[..] {
            [_] => decode(row).into_iter().for_each(|began| own.began = began),
            [_, node, ref place @ ..] => {
                let Ok(node) = node.parse::<NodeName>() else { return };
                if own.nodes.len() >= NODES_MAX && !own.nodes.contains_key(&node) {
                    return;
                }
                let figures = own.nodes.entry(node).or_default();
                match *place {
                    [] => decode(row).into_iter().for_each(|refused| figures.refused = refused),
                    [set, parameter] => {
                        let (Ok(figure), Some(set)) = (decode(row), figures.set(set)) else {
                            return;
                        };
                        if set.len() < PARAMETERS_MAX {
                            set.insert(parameter.to_owned(), figure);
                        }
                    }
                    _ => {}
                }
            }
            [] => {}
        }
    }

    /// Drops what was counted; a snapshot is to say what it was.
    pub fn forget(&mut self) {
        self.services.retain(|_, own| own.declared.is_some());
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

    fn figures(&self, node: &str) -> Option<&Figures> {
        self.nodes.iter().find(|(name, _)| name.as_str() == node).map(|(_, figures)| figures)
    }

    /// Keys of the rows of all nodes.
    fn keys(&self, service: &str) -> Vec<String> {
        let of_node = |(node, figures): (&NodeName, &Figures)| {
            let node = node.as_str();
            let refused = (figures.refused > 0).then(|| key([service, node]));
            let of_set = |(set, figures): (&String, &Set)| {
                let keys = figures.keys().map(|parameter| key([service, node, set, parameter]));
                keys.collect::<Vec<_>>()
            };
            figures.sets.iter().flat_map(of_set).chain(refused).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of_node).collect()
    }

    /// What is declared, as some nodes counted it.
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
                if sum.sets.len() >= USAGE_SETS_MAX && !sum.sets.contains_key(name) {
                    sum.refused = sum.refused.saturating_add(1);
                    continue;
                }
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
