//! The SLEE as one deterministic machine: messages in, commits and messages out.
//!
//! [`Core::handle_input`] takes an [`Input`], [`Core::poll_output`] gives the [`Output`]s until it
//! is empty, [`Core::poll_timeout`] says when [`Input::Timeout`] is due. The core never reads a
//! clock, opens a socket, starts a thread or draws a random number, and it knows nothing of SIP
//! or of bills: a protocol is a [`ResourceAdaptor`], a service a [`resilee_sbb::Sbb`].
//!
//! | file               | what it decides                                                     |
//! |--------------------|---------------------------------------------------------------------|
//! | `core.rs`          | which part an input goes to                                         |
//! | `adaptors.rs`      | which resource adaptors there are, and what is whose                |
//! | `balancers.rs`     | where balancers are                                                 |
//! | `ingress.rs`       | whose a client's message is: a cell here, another node's, nobody's  |
//! | `turns.rs`         | how a turn of a cell runs, delivery by delivery                     |
//! | `event_router.rs`  | who gets an event next                                              |
//! | `callbacks.rs`     | what adaptors hear of their events and activities                   |
//! | `commits.rs`       | what a turn changed; when its effects may leave                     |
//! | `retry.rs`         | what a service rolled back and gets again                           |
//! | `hangs.rs`         | handlers that do not return                                         |
//! | `replication.rs`   | what the other node gets, and what is done with what it sends       |
//! | `offer.rs`         | which records a rejoiner has that the others lack                   |
//! | `orphans.rs`       | what becomes of requests whose call no living node has              |
//! | `stranded.rs`      | which calls a rejoiner has that the others lack                     |
//! | `ties.rs`          | what an activity and a root entity in another cell have of each other |
//! | `words.rs`         | how cells tell each other what was posted, and what was heard       |
//! | `forwarding.rs`    | what an activity's events are to a root entity in another cell      |
//! | `mirrors.rs`       | what other cells' activities are in a root cell                     |
//! | `cluster_names.rs` | which activity has a name in the whole cluster                      |
//! | `restore.rs`       | what a store held becomes cells, rows and records again             |
//! | `deployed.rs`      | which services a node has, and what is under way of one that goes   |
//! | `units.rs`         | services that are uploaded while nodes run                          |
//! | `unit_check.rs`    | whether the service of a unit takes names of others                 |
//! | `unit_rows.rs`     | which uploads are taken, and which units may be removed             |
//! | `left_tables.rs`   | profile tables that removed units have left, and what is secret     |
//! | `unit_members.rs`  | which nodes have compiled which units                               |
//! | `unit_retries.rs`  | when units are compiled again that could not be                     |
//! | `takeover.rs`      | what a new view means for cells, timers and gates                   |
//! | `hand_over.rs`     | how cells rest until another member owns them                       |
//! | `store_failure.rs` | what goes on without a store                                        |
//! | `format.rs`        | what may change in frames and stored records                         |
//! | `shared_tables.rs` | which row is read: the configuration's or a written one             |
//! | `table_changes.rs` | how an operator's change of shared tables becomes a commit          |
//! | `profiles.rs`      | what may be written into profile tables, and what is shown          |
//! | `life_cycles.rs`   | whether the SLEE runs, and which services start entities            |
//! | `migrations.rs`    | which trees move from a service to the one that replaced it         |
//! | `migrated_trees.rs` | how one of them does                                               |
//! | `failures.rs`      | what is done about services that fail again and again               |
//! | `adaptor_life_cycles.rs` | which adaptors take new activities, and which lose theirs       |
//! | `conditions.rs`    | what is an alarm as long as it lasts                                |
//! | `finished_cohorts.rs` | which cohorts a view need not name any more                      |
//! | `cluster_clock.rs` | which time it is in the cluster                                     |
//! | `alarms.rs`        | which alarms are raised, and who may clear them                     |
//! | `timer_facility.rs` | when a timer fires, and what becomes of missed moments             |
//! | `tracers.rs`       | which lines of services are written                                 |
//! | `usage.rs`         | what services counted and measured                                  |
//! | `facilities.rs`    | what a delivery asks the facilities for                             |
//! | `inspection.rs`    | what a checker sees that no output says                             |
//! | `status.rs`        | what operators see                                                  |

mod adaptor_life_cycles;
mod adaptors;
mod alarms;
mod balancers;
mod births;
mod callbacks;
mod cell;
mod cell_bytes;
mod census;
mod cluster_clock;
mod cluster_names;
mod cluster_time;
mod commit;
mod commits;
mod conditions;
mod config;
mod conflicts;
mod consistency;
mod core;
mod deliveries;
mod deployed;
mod early;
mod effects;
mod entity_tree;
mod event_router;
mod facilities;
mod facility_orders;
mod failures;
mod finished_cohorts;
mod format;
mod forwarding;
mod frame;
mod frame_updates;
mod gate;
mod hand_over;
mod hangs;
mod histogram;
mod housekeeping;
mod inbox;
mod ingress;
mod inspection;
mod io;
mod left_tables;
mod leftovers;
mod life_cycles;
mod limits;
mod link;
pub mod management;
mod migrated_trees;
mod migrations;
mod mirrors;
mod noted;
mod offer;
mod orphans;
mod overload;
mod pending_rows;
mod profiles;
mod remains;
mod replica;
mod replication;
mod resource_adaptor;
mod restore;
mod retry;
mod shared_tables;
mod status;
mod store;
mod store_failure;
mod stranded;
mod suspension;
mod table_changes;
mod takeover;
mod ties;
mod timer_facility;
mod timers;
mod tracers;
mod turns;
mod unit_check;
mod unit_members;
mod unit_retries;
mod unit_rows;
mod units;
mod untrusted;
mod usage;
mod votes;
mod wall_clock;
mod words;

pub use self::core::Core;
pub use adaptor_life_cycles::{PROPERTIES_MAX, PROPERTY_BYTES_MAX};
pub use adaptors::{ADAPTORS_MAX, AdaptorId, Adaptors};
pub use alarms::sources::ALARM_SOURCES;
pub use alarms::{ALARM_LINES_PER_SECOND_MAX, ALARMS_END, ALARMS_MIN, ALARMS_PER_SERVICE_MAX};
pub use config::{CoreConfig, Peer};
pub use failures::{FAILURES_MAX, FAILURES_WITHIN};
pub use format::FORMAT;
pub use inspection::{Durable, Observed};
pub use io::{Fate, Input, Output};
pub use limits::{
    ALARMS_MAX, BIRTHS_PER_TURN_MAX, CELL_BYTES_MAX, CELLS_MAX, DELIVERY_DEADLINE_MS,
    EVENTS_PER_TURN_MAX, HUNG_HANDLERS_MAX, INBOX_AGE_MS_MAX, INBOX_MAX, Limits,
    MIRRORS_PER_CELL_MAX, SUSPENDED_EVENTS_MAX, TIMERS_PER_CELL_MAX, TURN_BYTES_MAX,
};
pub use migrations::{MIGRATED_AT_ONCE_MAX, MIGRATIONS_MAX};
pub use orphans::ORPHANS_MAX;
pub use overload::{DELIVERIES_MAX, DELIVERY_AGE_MS_MAX};
pub use resource_adaptor::{
    Adoption, Egress, Endpoint, Ingress, Missed, PassedOn, ResourceAdaptor, Route, Scope,
};
pub use store::{
    PROGRESS_KEY, Progress, Restored, StoreBatch, StoreOp, StoredRecord, Tree, VOTER_KEY,
};
pub use timer_facility::MISSED_KEPT_MAX;
pub use tracers::{LINES_PER_SECOND_MAX, SERVICE_LINES_PER_SECOND_MAX, TRACERS_MAX};
pub use unit_retries::{AGAIN_AFTER, AGAIN_AFTER_MAX};
pub use unit_rows::{UNIT_BYTES_MAX, UNIT_PART_BYTES, UNITS_BYTES_MAX, UNITS_MAX, units_of};
pub use usage::USAGE_SETS_MAX;
