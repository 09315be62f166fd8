//! The usage facility (`javax.slee.usage`): what a service counts and measures, as it
//! declares it and asks for it. The figures are kept by each node.

use crate::context::Context;
use crate::descriptor::Descriptor;
use crate::effect::Effect;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Longest name of a usage parameter set.
pub const USAGE_SET_NAME_MAX: usize = 64;

/// A usage parameter of a service, declared in its [`crate::Descriptor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageParameter {
    /// Name, with its unit last: `calls_blocked`, `ring_ms`.
    pub name: &'static str,
    /// What is kept of it.
    pub kind: UsageKind,
}

/// What is kept of a usage parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageKind {
    /// A sum.
    Counter,
    /// How many values there were, the least, the greatest, mean and percentiles.
    Sample,
}

impl fmt::Display for UsageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UsageKind::Counter => "counter",
            UsageKind::Sample => "sample",
        })
    }
}

impl UsageParameter {
    /// A counter of this name.
    pub const fn counter(name: &'static str) -> Self {
        UsageParameter { name, kind: UsageKind::Counter }
    }

    /// A sample of this name.
    pub const fn sample(name: &'static str) -> Self {
        UsageParameter { name, kind: UsageKind::Sample }
    }
}

/// One change of a usage parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageUpdate {
    /// Name of the set; empty for the default set.
    pub set: String,
    /// Name of the parameter.
    pub parameter: String,
    /// What is added.
    pub value: UsageValue,
}

/// What is added to a usage parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageValue {
    /// To the sum of a counter; may be below zero.
    Count(i64),
    /// One more value of a sample.
    Sample(u64),
}

impl UsageValue {
    /// The kind of parameter that takes it.
    pub fn kind(self) -> UsageKind {
        match self {
            UsageValue::Count(_) => UsageKind::Counter,
            UsageValue::Sample(_) => UsageKind::Sample,
        }
    }
}

/// A named set of a service's usage parameters, for one delivery.
#[derive(Debug)]
pub struct UsageSet<'c, 'd> {
    cx: &'c mut Context<'d>,
    name: &'c str,
}

impl UsageSet<'_, '_> {
    /// Adds to a counter of this set.
    pub fn count(&mut self, parameter: &str, increment: i64) -> &mut Self {
        self.update(parameter, UsageValue::Count(increment))
    }

    /// One more value of a sample of this set.
    pub fn sample(&mut self, parameter: &str, value: u64) -> &mut Self {
        self.update(parameter, UsageValue::Sample(value))
    }

    fn update(&mut self, parameter: &str, value: UsageValue) -> &mut Self {
        let parameter = full_name(self.cx.child_sbb(), parameter);
        let set = self.name.to_owned();
        self.cx.tx.ask(Effect::Usage(UsageUpdate { set, parameter, value }));
        self
    }
}

/// A child SBB's parameters have its name before theirs.
fn full_name(child: Option<&str>, parameter: &str) -> String {
    child.map_or_else(|| parameter.to_owned(), |sbb| format!("{sbb}.{parameter}"))
}

impl Descriptor {
    /// All usage parameters of a service whose root SBB this is: its own, and those of its
    /// children, by their full names.
    pub fn usage_parameters(&self) -> BTreeMap<String, UsageKind> {
        let (mut known, mut parameters) = (BTreeSet::new(), BTreeMap::new());
        let mut sbbs = vec![*self];
        while let Some(sbb) = sbbs.pop() {
            if !known.insert(sbb.name) {
                continue;
            }
            let child = (sbb.name != self.name).then_some(sbb.name);
            let own = sbb.usage.iter().map(|it| (full_name(child, it.name), it.kind));
            parameters.extend(own);
            sbbs.extend(sbb.children.iter().map(|relation| relation.sbb.descriptor()));
        }
        parameters
    }
}

impl<'d> Context<'d> {
    /// Adds to a counter that the service declares. Nothing is added if the delivery rolls back;
    /// a parameter that is not declared, or is a sample, rolls it back.
    pub fn count(&mut self, parameter: &str, increment: i64) {
        self.usage_set("").count(parameter, increment);
    }

    /// One more value of a sample that the service declares; the same rule as for
    /// [`Context::count`].
    pub fn sample(&mut self, parameter: &str, value: u64) {
        self.usage_set("").sample(parameter, value);
    }

    /// The service's usage parameters in a set of that name, which is made when it is first used.
    /// A node keeps a limited number of sets for each service, and counts what is meant for more.
    pub fn usage_set<'c>(&'c mut self, name: &'c str) -> UsageSet<'c, 'd> {
        UsageSet { cx: self, name }
    }
}
