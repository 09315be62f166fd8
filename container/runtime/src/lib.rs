//! Actors, clock, sockets and store around the deterministic core.
//!
//! Each part is a thin shell: it feeds the core what happened and carries out what the core
//! wants. Nothing here decides about SIP, bills, views or replication.
//!
//! | file             | what it is                                                            |
//! |------------------|-----------------------------------------------------------------------|
//! | `runtime.rs`     | starts all of it; the handle of a running node                        |
//! | `slee.rs`        | the actor that owns the core                                          |
//! | `run.rs`         | one run: incarnation, core and links                                  |
//! | `cell_worker.rs` | threads that run deliveries                                           |
//! | `sbb_entity.rs`  | the actor of one root entity's tree                                   |
//! | `units.rs`       | uploaded units and their services at this node                        |
//! | `unit_thread.rs` | the thread that compiles them                                         |
//! | `udp.rs`         | sockets                                                               |
//! | `links.rs`       | between the cluster's links and the core                              |
//! | `store/`         | sled and journals behind one writer thread                            |
//! | `clock.rs`       | cluster time                                                          |
//! | `notice_log.rs`  | the log as an operator reads it                                       |

mod cell_worker;
mod clock;
mod config;
mod links;
mod notice_log;
mod run;
mod runtime;
mod sbb_entity;
mod slee;
pub mod store;
mod tcp;
mod udp;
mod unit_thread;
mod units;

pub use clock::Clock;
pub use config::{
    ACTORS_MAX, AdaptorFactory, Parts, RuntimeConfig, RuntimeError, Shell, WORKERS_DEFAULT,
};
pub use notice_log::SERVICE_LINES;
pub use runtime::{Asker, Failed, Feeder, Runtime};
pub use unit_thread::unit_id;
