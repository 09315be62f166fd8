//! Units: what makes services of their bytes, and what a unit and its node say to each other.
//!
//! The container asks; what a unit's bytes are and how they run is a matter of whoever answers. A
//! unit computes whole deliveries as the node does for services that are linked into it
//! ([`LinkedSbb::invoke`]): a [`Deliver`] goes in, an [`Outcome`] comes out, both in the
//! container's codec, so that each side skips fields that it does not know.

use crate::codec::{CodecError, decode, encode};
use crate::delivery::{Deliver, Outcome};
use crate::descriptor::Descriptor;
use crate::host::Host;
use crate::linked::LinkedSbb;
use crate::tables::Tables;
use std::fmt;

/// Makes services of the bytes of units.
pub trait UnitCompiler: fmt::Debug + Send + Sync {
    /// The service in the bytes of a unit. It may take seconds. Services of the same name that were
    /// compiled before go on, since one of them may be deployed: somebody may only want to see what
    /// is in another unit.
    ///
    /// # Errors
    /// What is wrong with them, or in the way, and what to do.
    fn compile(&self, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled>;

    /// The same for somebody who only wants to see what is in a unit: that may be refused, so that
    /// not everything that was ever looked at stays in memory.
    ///
    /// # Errors
    /// As those of [`UnitCompiler::compile`].
    fn look_at(&self, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        self.compile(bytes)
    }
}

/// Why there is no service of a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCompiled {
    /// What is wrong with it: it is so each time.
    #[error("{0}")]
    Lasting(String),
    /// What was in its way, as on a machine that has too much to do: the same bytes may be compiled
    /// later.
    #[error("{0}")]
    Passing(String),
}

impl From<String> for NotCompiled {
    /// What nobody calls passing lasts.
    fn from(reason: String) -> Self {
        NotCompiled::Lasting(reason)
    }
}

/// Within a unit: computes a delivery to an entity of one of its services.
///
/// # Panics
/// If it has no such service, or the delivery cannot be read; both are for the node to see to.
pub fn answer(
    services: &[LinkedSbb],
    service: &str,
    delivery: &[u8],
    host: &'static dyn Host,
) -> Vec<u8> {
    let of_name = |it: &&LinkedSbb| it.descriptor().name == service;
    let sbb = services.iter().find(of_name).expect("a node names services that were described");
    let mut deliver: Deliver = decode(delivery).expect("a node sends what this version can read");
    deliver.service = sbb.descriptor().name;
    deliver.tables = Tables::of_host(host);
    encode(&sbb.invoke(&deliver)).expect("plain data can be encoded")
}

impl Deliver {
    /// As the unit of a service is told it: without the service's name, the tables, and what of the
    /// cell is no matter of the service.
    ///
    /// # Panics
    /// Never: plain data can be encoded.
    pub fn to_unit(&self, service: &Descriptor) -> Vec<u8> {
        let less = self.within_reach(service);
        encode(less.as_ref().unwrap_or(self)).expect("plain data can be encoded")
    }
}

impl Outcome {
    /// What a unit answered.
    ///
    /// # Errors
    /// Bytes that are no answer.
    pub fn of_unit(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes)
    }
}
