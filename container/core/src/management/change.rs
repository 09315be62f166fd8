//! Changes that an operator asks for, of the shared tables above all, and what became of them.

use super::{AdaptorOrder, Removal};
use resilee_sbb::{Profile, TraceLevel};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How an operator wants rows of shared tables, a cell, alarms or figures to be. What is asked of
/// the owner of tables or of a cell may be made twice, which is as good as once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableChange {
    /// A profile is added or replaced. A secret attribute that is not given stays as it is.
    PutProfile {
        /// The profile table.
        table: String,
        /// Name of the profile.
        name: String,
        /// Its attributes.
        profile: Profile,
    },
    /// A profile is not there any more, also if the configuration has it.
    RemoveProfile {
        /// The profile table.
        table: String,
        /// Name of the profile.
        name: String,
    },
    /// A profile is what the configuration says, whatever was written.
    ResetProfile {
        /// The profile table.
        table: String,
        /// Name of the profile.
        name: String,
    },
    /// Services are activated and deactivated, in one step. A name may be a deployable unit's.
    Services {
        /// These start root entities from now on.
        activate: Vec<String>,
        /// These do not any more.
        deactivate: Vec<String>,
    },
    /// The SLEE runs, or is stopped.
    Slee {
        /// True: it takes calls.
        running: bool,
    },
    /// A tracer has a level at all nodes, or that of the name above it again.
    TraceLevel {
        /// Its name.
        tracer: String,
        /// The level; none: that of the name above it.
        level: Option<TraceLevel>,
    },
    /// A part of a deployable unit is there. Whoever puts the first part of one drops what is there
    /// of another one that was not finished.
    PutUnitPart {
        /// The unit: the hash of its bytes, in hexadecimal digits.
        unit: String,
        /// Which part, from 0.
        part: u32,
        /// Its bytes; all parts but the last one have [`crate::UNIT_PART_BYTES`].
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// A deployable unit is there, whose parts are: all nodes compile it.
    PutUnit {
        /// The unit.
        unit: String,
        /// Name of the service that is in it.
        service: String,
        /// How many bytes it has.
        bytes: u64,
        /// Secret attributes of its profile tables: they stay so once it is gone, also if the node
        /// that removes it never compiled it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        secrets: BTreeMap<String, BTreeSet<String>>,
    },
    /// A deployable unit is not there any more, nor is its service.
    RemoveUnit {
        /// The unit.
        unit: String,
    },
    /// What a service began that was replaced moves to the one that replaced it, or does not any
    /// more: then what has moved stays where it is.
    Migrate {
        /// The service whose entities move.
        from: String,
        /// The one that takes them; none: they stay.
        to: Option<String>,
    },
    /// A part of a cell is not there any more.
    Remove(Removal),
    /// A resource adaptor is activated, drained, removed, told properties, or looks at its
    /// activities.
    Adaptor {
        /// Its name.
        name: String,
        /// What is wanted.
        order: AdaptorOrder,
    },
    /// An alarm of the asked node is cleared; what a service raised is gone everywhere.
    ClearAlarm {
        /// [`super::Alarm::id`].
        id: u64,
    },
    /// The usage figures of a service begin at zero, at all nodes.
    ResetUsage {
        /// Its name.
        service: String,
    },
}

/// What became of a [`TableChange`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Changed {
    /// It is made, and outlives the node.
    Done,
    /// It is not made; why, and what to do instead.
    Refused(String),
    /// It is not made yet, and may be in a moment, if it is asked again; what it waits for.
    NotYet(String),
    /// It may be made, or not; what to do.
    Unknown(String),
}

impl From<String> for Changed {
    fn from(reason: String) -> Self {
        Changed::Refused(reason)
    }
}
