//! Messages as they come from the wire: read, changed, answered.

mod building;
mod corpus;
mod editing;
mod reading;
mod robustness;
