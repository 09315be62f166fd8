//! What bytes of anybody are put through: a datagram of a phone or its stream, what a transaction
//! is told, a record or frame of another node, an envelope, the file of a unit. Each function
//! panics if a rule is broken.
//!
//! `fuzz/` calls them with bytes that libFuzzer makes up, on nightly; the tests here call them with
//! the corpora in `corpus/`, to which what was found is added.

pub mod alone;
mod datagram;
mod envelope;
mod records;
mod stream;
mod transactions;
mod units;

pub use datagram::datagram;
pub use envelope::envelope;
pub use records::records;
pub use stream::stream;
pub use transactions::transactions;
pub use units::units;

/// What bytes are put through.
pub type Target = fn(&[u8]);

/// The targets by the names of their corpora.
pub const TARGETS: [(&str, Target); 6] = [
    ("datagram", datagram),
    ("stream", stream),
    ("transactions", transactions),
    ("records", records),
    ("envelope", envelope),
    ("units", units),
];
