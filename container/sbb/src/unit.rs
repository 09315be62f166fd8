//! What makes services of uploaded units. The container asks; what a unit's bytes are and how they
//! run is a matter of whoever answers.

use crate::linked::LinkedSbb;
use std::fmt;

/// Makes services of the bytes of units.
pub trait UnitCompiler: fmt::Debug + Send + Sync {
    /// The service in the bytes of a unit. It may take seconds. Services of the same name that were
    /// compiled before are left alone, since one of them may be deployed: somebody may only want to
    /// see what is in another unit.
    ///
    /// # Errors
    /// What is wrong with them, and what to do.
    fn compile(&self, bytes: &[u8]) -> Result<LinkedSbb, String>;

    /// Nothing is delivered any more to any service of this name that was compiled here: what they
    /// hold may go.
    fn forget(&self, service: &str);
}
