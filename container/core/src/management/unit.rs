//! What operators see of uploaded deployable units.

use resilee_sbb::Timestamp;
use serde::Serialize;

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
}
