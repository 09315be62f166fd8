//! What operators see of deployable units: those that were uploaded, and what is in one that may
//! be.

use resilee_sbb::{Descriptor, ProfileTable, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// An uploaded deployable unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitStatus {
    /// The hash of its bytes, in hexadecimal digits.
    pub id: String,
    /// Name of its service.
    pub service: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was uploaded.
    pub put_at: Timestamp,
    /// Nodes that have compiled it, as far as links to them are up.
    pub nodes: Vec<String>,
    /// Why it is not deployed at this node.
    pub problem: Option<String>,
    /// That may pass: the node tries again to compile it.
    pub is_passing: bool,
}

/// What is in a deployable unit, before anybody uploads it or after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitDescription {
    /// The hash of its bytes, in hexadecimal digits.
    pub id: String,
    /// Its bytes.
    pub bytes: u64,
    /// Name of its service.
    pub service: String,
    /// Who wrote it.
    pub vendor: String,
    /// Version.
    pub version: String,
    /// Services with a higher priority get an event first.
    pub priority: i8,
    /// Event types that start it.
    pub initial_events: Vec<String>,
    /// It chooses for which of those an entity begins, and for which the same one goes on.
    pub selects_initial_events: bool,
    /// Event types that it gets besides, once it is attached.
    pub events: Vec<String>,
    /// What it and its child SBBs count and measure, by name: counter or sample.
    pub usage: BTreeMap<String, String>,
    /// Profile tables that it reads.
    pub profile_tables: Vec<String>,
    /// Services that it cannot do without.
    pub needs: Vec<String>,
    /// Services whose entities may move to it.
    pub migrates_from: Vec<String>,
    /// What it may do, as it asks for it.
    pub permissions: Vec<String>,
    /// Attributes that it shares with other services, by the names that all of them use; those of
    /// its child SBBs, too.
    pub shares: Vec<String>,
    /// SBBs of its child relations, and those of theirs.
    pub child_sbbs: Vec<ChildSbb>,
    /// What becomes of an event that it did not get done: drop, retry, remove.
    pub on_roll_back: String,
    /// What a node does when it fails again and again, besides an alarm: keep, refuse new, suspend.
    pub on_repeated_failures: String,
    /// Why its service could not be deployed at this node as it is now: a name that is taken, for
    /// example. What the node says elsewhere it need not say here.
    #[serde(skip)]
    pub in_the_way: Option<String>,
    /// Secret attributes of its profile tables, for [`super::TableChange::PutUnit`].
    #[serde(skip)]
    pub secrets: BTreeMap<String, BTreeSet<String>>,
}

/// An SBB of a unit that is no service: its entities are in the trees of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChildSbb {
    /// Its name.
    pub name: String,
    /// Who wrote it.
    pub vendor: String,
    /// Version.
    pub version: String,
    /// Event types that it gets, once it is attached.
    pub events: Vec<String>,
}

/// Secret attributes, by the profile table; a table without any is not there.
fn secrets_of(service: &Descriptor) -> BTreeMap<String, BTreeSet<String>> {
    let secrets = |table: &ProfileTable| {
        let secret = table.attributes.iter().filter(|it| it.secret);
        secret.map(|it| it.name.to_owned()).collect::<BTreeSet<_>>()
    };
    let tables = service.deployment.profile_tables.iter();
    let tables = tables.map(|table| (table.name.to_owned(), secrets(table)));
    tables.filter(|(_, secrets)| !secrets.is_empty()).collect()
}

impl UnitDescription {
    /// A unit of so many bytes, whose service declares this.
    pub fn new(id: String, bytes: u64, service: &Descriptor) -> Self {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let Descriptor { deployment, .. } = service;
        let usage = service.usage_parameters().into_iter();
        let sbbs = service.all_sbbs();
        let shares = sbbs.iter().flat_map(|sbb| sbb.attribute_aliases).map(|it| it.alias);
        let shares: BTreeSet<_> = shares.map(str::to_owned).collect();
        let child = |sbb: &Descriptor| ChildSbb {
            name: sbb.name.to_owned(),
            vendor: sbb.vendor.to_owned(),
            version: sbb.version.to_owned(),
            events: names(sbb.events),
        };
        UnitDescription {
            id,
            bytes,
            service: service.name.to_owned(),
            vendor: service.vendor.to_owned(),
            version: service.version.to_owned(),
            priority: service.priority,
            initial_events: names(service.initial_events),
            selects_initial_events: service.selects_initial_events,
            events: names(service.events),
            usage: usage.map(|(name, kind)| (name, kind.to_string())).collect(),
            profile_tables: deployment.profile_tables.iter().map(|it| it.name.into()).collect(),
            needs: names(deployment.needs),
            migrates_from: names(deployment.migrates_from),
            permissions: deployment.permissions.iter().map(ToString::to_string).collect(),
            shares: shares.into_iter().collect(),
            child_sbbs: sbbs[1..].iter().map(child).collect(),
            on_roll_back: service.on_roll_back.to_string(),
            on_repeated_failures: deployment.on_repeated_failures.to_string(),
            in_the_way: None,
            secrets: secrets_of(service),
        }
    }
}
