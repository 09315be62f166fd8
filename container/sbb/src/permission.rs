//! What a service may do that was uploaded as a unit.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One permission, declared in the [`Deployment`](crate::Deployment) of a service. An operator sees
/// them before he uploads it. Without any it may decide about its own state, activity contexts,
/// timers, events, traces and alarms, and read the profile tables that it declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Commands of this kind to the adaptor of an activity: `Proxy`, `Respond`, `HangUp`.
    Command(&'static str),
    /// To start activities of a resource adaptor.
    Start {
        /// Name of the adaptor: `http`.
        adaptor: &'static str,
        /// Where to, in the adaptor's words: of `http` a `host` or `host:port`. Empty: wherever the
        /// adaptor lets services go, as an operator has configured it.
        to: &'static str,
    },
    /// To read a shared table.
    Read(&'static str),
    /// To write rows of a shared table, where a service may.
    Write(&'static str),
    /// To write records to a journal.
    Record(&'static str),
    /// To suspend events: who else is attached to their activity gets neither them nor later ones
    /// meanwhile.
    Suspend,
}

/// A [`Permission`] as the description of a unit has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionDescription {
    /// [`Permission::Command`].
    Command(String),
    /// [`Permission::Start`].
    Start {
        /// Name of the adaptor.
        adaptor: String,
        /// Where to.
        to: String,
    },
    /// [`Permission::Read`].
    Read(String),
    /// [`Permission::Write`].
    Write(String),
    /// [`Permission::Record`].
    Record(String),
    /// [`Permission::Suspend`].
    Suspend,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Permission::Command(kind) => write!(f, "command {kind}"),
            Permission::Start { adaptor, to: "" } => {
                write!(f, "{adaptor} to anywhere it may go")
            }
            Permission::Start { adaptor, to } => write!(f, "{adaptor} to {to}"),
            Permission::Read(table) => write!(f, "read {table}"),
            Permission::Write(table) => write!(f, "write {table}"),
            Permission::Record(journal) => write!(f, "record {journal}"),
            Permission::Suspend => f.write_str("suspend events"),
        }
    }
}

impl From<&Permission> for PermissionDescription {
    fn from(permission: &Permission) -> Self {
        match *permission {
            Permission::Command(kind) => PermissionDescription::Command(kind.to_owned()),
            Permission::Start { adaptor, to } => {
                PermissionDescription::Start { adaptor: adaptor.to_owned(), to: to.to_owned() }
            }
            Permission::Read(table) => PermissionDescription::Read(table.to_owned()),
            Permission::Write(table) => PermissionDescription::Write(table.to_owned()),
            Permission::Record(journal) => PermissionDescription::Record(journal.to_owned()),
            Permission::Suspend => PermissionDescription::Suspend,
        }
    }
}

impl PermissionDescription {
    /// What it names.
    pub(crate) fn texts(&self) -> Vec<&String> {
        match self {
            PermissionDescription::Start { adaptor, to } => vec![adaptor, to],
            PermissionDescription::Command(text)
            | PermissionDescription::Read(text)
            | PermissionDescription::Write(text)
            | PermissionDescription::Record(text) => vec![text],
            PermissionDescription::Suspend => Vec::new(),
        }
    }

    /// The permission, whose texts live as long as the process.
    pub(crate) fn leaked(&self) -> Permission {
        let leak = |text: &String| -> &'static str { text.clone().leak() };
        match self {
            PermissionDescription::Command(kind) => Permission::Command(leak(kind)),
            PermissionDescription::Start { adaptor, to } => {
                Permission::Start { adaptor: leak(adaptor), to: leak(to) }
            }
            PermissionDescription::Read(table) => Permission::Read(leak(table)),
            PermissionDescription::Write(table) => Permission::Write(leak(table)),
            PermissionDescription::Record(journal) => Permission::Record(leak(journal)),
            PermissionDescription::Suspend => Permission::Suspend,
        }
    }
}
