//! The durable store: what the core hands over is on disk when `Stored` comes back.
//!
//! `engine` puts it together: `log` takes each group, `trees` (sled) what many groups came to,
//! `journal` the records, `voter_file` the vote; `format_file` says which format all that has.
//! `writer` is the one thread that writes. What is stored, and when it gates an answer, is the
//! core's.

mod engine;
mod format_file;
mod frames;
mod group;
mod journal;
mod log;
mod recorded_cells;
mod trees;
mod voter_file;
mod writer;

pub use engine::{Opened, StoreError, open};
pub use writer::{Store, StoreEvent, StoreHandle};
