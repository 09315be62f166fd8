//! The durable store: what the core hands over is on disk when `Stored` comes back.
//!
//! `engine` knows sled, `journal` the append-only files of records, `writer` is the one thread
//! that writes. What is stored, and when it gates an answer, is the core's.

mod engine;
mod group;
mod journal;
mod writer;

pub use engine::{Opened, StoreError, open};
pub use writer::{Store, StoreEvent, StoreHandle};
