//! What makes services of uploaded units. The container asks; what a unit's bytes are and how they
//! run is a matter of whoever answers.

use crate::linked::LinkedSbb;
use std::fmt;

/// Makes services of the bytes of units.
pub trait UnitCompiler: fmt::Debug + Send + Sync {
    /// The service in the bytes of a unit. It may take seconds.
    ///
    /// # Errors
    /// What is wrong with them, and what to do.
    fn compile(&self, bytes: &[u8]) -> Result<LinkedSbb, String>;

    /// Nothing is delivered to a service any more that was compiled here: what it holds may go.
    fn forget(&self, service: &str);
}
