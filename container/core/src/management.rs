//! What operators see of a core: snapshots, notices and alarms. Plain data for pages, REST and
//! the log; nothing here changes the core.

mod adaptor;
mod change;
mod housekeeping;
mod migration;
mod unit;
mod usage;

pub use adaptor::{AdaptorOrder, AdaptorState, AdaptorStatus};
pub use change::{Changed, TableChange};
pub use housekeeping::{
    CELLS_PER_SEARCH_MAX, LEFTOVERS_MAX, Leftover, LeftoverKind, LeftoverPage, LeftoverRow,
    ParseLeftoverError, Removal, Search,
};
pub use migration::MigrationStatus;
pub use unit::{ChildSbb, UnitDescription, UnitStatus};
pub use usage::{SampleStatus, UsageSetStatus, UsageStatus, UsageSum};

use resilee_membership::{MemberNotice, NodeName, RunId, SeatProcess, View};
use resilee_sbb::{
    CellId, CohortId, Profile, ProfileTable, Severity, StateBytes, Timestamp, TraceLevel,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The membership noticed something.
    Member(MemberNotice),
    /// A view was adopted.
    View(View),
    /// Cells of a dead or draining run are now owned here.
    TakenOver {
        /// Number of cells.
        cells: usize,
        /// Effects of the dead run that were performed again.
        effects: usize,
    },
    /// A joiner has all state of this member.
    JoinerSynced(RunId),
    /// This node has all state of a member.
    Synced,
    /// This node came back with so many records that the others lacked; they have them now.
    RecordsOffered(usize),
    /// A cell is owned here from now on: it was born, or taken over.
    Began {
        /// The call.
        cell: CellId,
        /// What people call it (a Call-ID).
        label: String,
    },
    /// A cell that was owned here is over, or owned elsewhere.
    Over {
        /// The call.
        cell: CellId,
    },
    /// A trace line of a service.
    Trace {
        /// The call.
        cell: CellId,
        /// Name of the tracer: the service's, or one below it.
        tracer: String,
        /// How much it matters.
        level: TraceLevel,
        /// The line.
        text: String,
    },
    /// An alarm was raised.
    AlarmRaised(Alarm),
    /// An alarm was cleared; its text.
    AlarmCleared(String),
    /// Cohorts of this run have another owner now, as ordered.
    HandedOver {
        /// Number of cohorts.
        cohorts: usize,
        /// Their owner.
        to: RunId,
    },
    /// Cells did not come to rest in time: their cohorts stay. Who was to own them.
    HandOverGivenUp(RunId),
    /// An operator removed a part of a cell.
    Removed {
        /// The call.
        cell: CellId,
        /// What.
        what: String,
        /// Who.
        by: String,
    },
    /// A command could not be carried out; why.
    CommandRefused(String),
    /// Bad input from outside was dropped; the reason, as counted.
    Dropped(&'static str),
}

/// A condition that an operator should look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Names it at its node, as long as that runs.
    #[serde(default)]
    pub id: u64,
    /// What it is about, for example a service name or `cluster`.
    pub source: String,
    /// A service's type of it; empty for the container's own.
    #[serde(default)]
    pub alarm_type: String,
    /// What a service says it is about, in that type; empty for the container's own.
    #[serde(default)]
    pub instance: String,
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// What an operator reads.
    pub text: String,
    /// When it was raised first.
    pub raised_at: Timestamp,
    /// When it was raised last.
    #[serde(default)]
    pub last_at: Timestamp,
    /// How often it was raised.
    pub count: u64,
    /// It is cleared when what it speaks of is over, not by operators.
    #[serde(default)]
    pub lasting: bool,
}

/// One other node or the balancer, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeerStatus {
    /// The node's name.
    pub name: String,
    /// When its last heartbeat came.
    pub last_heard: Option<Timestamp>,
    /// True if its heartbeats come and it echoes ours.
    pub alive: bool,
    /// True if the cluster link is open.
    pub linked: bool,
    /// Commits that it has not acknowledged yet.
    pub unacknowledged: u64,
    /// Its cluster time minus ours, in milliseconds, as far as its heartbeats tell; none for a
    /// node that was not heard as a member.
    pub clock_offset_ms: Option<i64>,
}

/// A balancer, as a node hears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalancerStatus {
    /// Its name; none of the one that has none.
    pub name: Option<String>,
    /// It holds the seat, by the highest view that the node knows.
    pub holds_seat: bool,
    /// When its last heartbeat came.
    pub last_heard: Option<Timestamp>,
    /// True if its heartbeats come and it echoes ours.
    pub alive: bool,
    /// It could serve clients, as it said last.
    pub ready: bool,
    /// What it says of its process; none if it was not heard.
    pub process: Option<SeatProcess>,
}

/// A deployed service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// Its descriptor's name, vendor, version and priority.
    pub name: String,
    /// Who wrote it.
    pub vendor: String,
    /// Version.
    pub version: String,
    /// Priority.
    pub priority: i8,
    /// Where it is in its life.
    pub state: ServiceState,
    /// Its deployable unit.
    pub unit: String,
    /// Services that it cannot do without.
    pub needs: Vec<String>,
    /// Active services that cannot do without it: it can be neither deactivated nor removed.
    pub needed_by: Vec<String>,
    /// Its entities in the cluster: those it must have none of, to be removed.
    pub entities_in_cluster: u64,
    /// Live entities on cells that this node owns.
    pub entities: u64,
    /// Deliveries that committed.
    pub delivered: u64,
    /// Deliveries that rolled back.
    pub rolled_back: u64,
    /// How far its entities are, if they are to move to another service.
    pub migration: Option<MigrationStatus>,
    /// What it counted and measured on this node, if it declares anything.
    #[serde(skip)]
    pub usage: Option<UsageStatus>,
}

/// One tracer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracerStatus {
    /// `root`, a service's name, or one below it.
    pub name: String,
    /// The level that it was given; none: it has that of the name above it.
    pub given: Option<TraceLevel>,
    /// The level that it goes by.
    pub effective: TraceLevel,
    /// Lines that it wrote since this run began.
    pub lines: u64,
    /// Lines that were too many in their second.
    pub left_out: u64,
}

/// Where a service is in its life (`javax.slee.management.ServiceState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// It starts root entities.
    Active,
    /// It starts none any more; those that are there finish.
    Stopping,
    /// It has none.
    Inactive,
}

/// Where the SLEE is in its life (`javax.slee.management.SleeState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SleeState {
    /// It is to run, and this node is no member yet.
    Starting,
    /// It takes calls.
    Running,
    /// It takes no new calls; those that are there finish.
    Stopping,
    /// It has none, and takes none.
    Stopped,
}

/// One node's account of itself and of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// This run.
    pub run: RunId,
    /// Cluster time of the snapshot.
    pub now: Timestamp,
    /// The adopted view.
    pub view: View,
    /// True if this run is a member of it.
    pub member: bool,
    /// True while the node hands over.
    pub draining: bool,
    /// Where the SLEE is in its life.
    pub slee: SleeState,
    /// Other nodes.
    pub peers: Vec<PeerStatus>,
    /// Balancers, by name.
    pub balancers: Vec<BalancerStatus>,
    /// Resource adaptors.
    pub adaptors: Vec<AdaptorStatus>,
    /// Deployed services, the highest priority first.
    pub services: Vec<ServiceStatus>,
    /// Uploaded deployable units.
    pub units: Vec<UnitStatus>,
    /// Cells by owner node.
    pub cells: BTreeMap<String, u64>,
    /// Activities of all cells.
    pub activities: u64,
    /// Commits of this run.
    pub commits: u64,
    /// Effects that wait for an acknowledgement.
    pub gated: u64,
    /// Ends of calls that wait for a store that has their call.
    pub orphans: u64,
    /// Dropped messages by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Alarms that are raised here.
    pub alarms: Vec<Alarm>,
    /// Tracers: the root, those of services, and those that wrote or were given a level.
    pub tracers: Vec<TracerStatus>,
    /// Alarms that are raised at other nodes, as far as links to them are up.
    pub peer_alarms: BTreeMap<String, Vec<Alarm>>,
}

/// One activity of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActivitySnapshot {
    /// Its text id.
    pub id: String,
    /// Names of its attributes.
    pub attributes: Vec<String>,
    /// Services of the attached entities.
    pub attached: Vec<String>,
    /// True once it ends.
    pub ending: bool,
}

/// One SBB entity of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntitySnapshot {
    /// Number in its cell.
    pub number: u32,
    /// Name of its service.
    pub service: String,
    /// Encoded CMP state.
    #[serde(skip)]
    pub state: StateBytes,
}

/// One cell: owned here, or held as backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CellSnapshot {
    /// Its text id.
    pub id: String,
    /// Node that owns it.
    pub owner: Option<String>,
    /// When it was born.
    pub born_at: Timestamp,
    /// Its activities.
    pub activities: Vec<ActivitySnapshot>,
    /// Its entities.
    pub entities: Vec<EntitySnapshot>,
}

/// A question of the pages, REST or `resilee ctl` to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// [`Answer::Status`].
    Status,
    /// Cells owned here or held as backup, newest first; [`Answer::Cells`].
    Cells {
        /// At most so many.
        limit: usize,
    },
    /// Records of a journal in the order they were written here; [`Answer::Records`].
    Records {
        /// The journal.
        journal: String,
        /// Sequence of the first one wanted, from 1.
        from: u64,
        /// At most so many.
        limit: usize,
    },
    /// What a service counted and measured in the whole cluster; [`Answer::UsageSum`], or
    /// [`Answer::Refused`].
    UsageSum {
        /// Its name.
        service: String,
    },
    /// Parts of cells that may be left over; [`Answer::Leftovers`].
    Leftovers(Box<Search>),
    /// Carry this out; [`Answer::Accepted`] or [`Answer::Refused`].
    Command(Command),
    /// Change shared tables, or remove a part of a cell; [`Answer::Changed`], when that is held.
    Change(TableChange),
    /// What is in a deployable unit, which is not deployed by it; [`Answer::Unit`], or
    /// [`Answer::Refused`] by a node that cannot compile units.
    DescribeUnit {
        /// All of its bytes.
        bytes: Vec<u8>,
    },
    /// [`Answer::ProfileTables`].
    ProfileTables,
    /// Profiles in the order of their names; [`Answer::Profiles`].
    Profiles {
        /// The profile table.
        table: String,
        /// The first name wanted, or the next one that there is.
        from: String,
        /// At most so many.
        limit: usize,
    },
}

/// What an operator wants done (REST, `resilee ctl`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Give cohorts of this node to another member, while calls go on.
    HandOver {
        /// Which one; `None`: all that this node owns.
        cohort: Option<CohortId>,
        /// The member that is to own them.
        to: NodeName,
    },
    /// Start, or go on, without the votes of others: gives promise P7 up.
    Force,
    /// No store will come that has the calls whose ends wait for one: forget those ends.
    ForgetOrphans,
}

/// A profile table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTableStatus {
    /// Its schema.
    pub table: ProfileTable,
    /// Number of its profiles.
    pub profiles: usize,
}

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileStatus {
    /// Its name.
    pub name: String,
    /// Its attributes, those that are secret among them: whoever shows it leaves them out.
    pub profile: Profile,
    /// Who says so.
    pub source: ProfileSource,
}

/// Whose word a profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileSource {
    /// The configuration's.
    Configured,
    /// An operator's, or a service's.
    Written,
    /// The same, and the configuration says something else.
    WrittenOver,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// The node's account of itself.
    Status(Box<Status>),
    /// Cells.
    Cells(Vec<CellSnapshot>),
    /// Records.
    Records(Vec<crate::store::StoredRecord>),
    /// What was found.
    Leftovers(LeftoverPage),
    /// The figures of all members that told theirs.
    UsageSum(Box<UsageSum>),
    /// What became of a change.
    Changed(Changed),
    /// What is in a deployable unit; or what is wrong with it.
    Unit(Result<Box<UnitDescription>, String>),
    /// The profile tables.
    ProfileTables(Vec<ProfileTableStatus>),
    /// Profiles; `None`: there is no such table.
    Profiles(Option<Vec<ProfileStatus>>),
    /// The command is being carried out.
    Accepted,
    /// The command cannot be carried out; why, and what to do instead.
    Refused(String),
    /// The node cannot answer now; why.
    Unavailable(String),
}
