//! What operators see of the usage facility.

use resilee_membership::NodeName;
use resilee_sbb::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a service counted and measured on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UsageStatus {
    /// When the figures were all zero.
    pub since: Timestamp,
    /// The default set, which has no name, and the named ones.
    pub sets: Vec<UsageSetStatus>,
    /// Changes that were meant for sets beyond the limit.
    pub refused: u64,
}

/// One set of a service's usage parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UsageSetStatus {
    /// Its name; empty for the default set.
    pub set: String,
    /// Counters by name.
    pub counters: BTreeMap<String, i64>,
    /// Samples by name.
    pub samples: BTreeMap<String, SampleStatus>,
}

/// What is known of the values of one sample. Percentiles are at most 1/32 too high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SampleStatus {
    /// Number of values.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// The greatest.
    pub max: u64,
    /// The mean, in thousandths.
    pub mean_milli: u64,
    /// Half of the values are not above it.
    pub p50: u64,
    /// 95 of a hundred values are not above it.
    pub p95: u64,
    /// 99 of a hundred values are not above it.
    pub p99: u64,
}

/// What a service counted and measured in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageSum {
    /// Its name.
    pub service: String,
    /// The sum. Percentiles are those of all values together.
    pub usage: UsageStatus,
    /// This node, and all that have counted something, also those that are gone.
    pub nodes: Vec<NodeName>,
}
