//! What units have said that they are. Descriptors live as long as the process, whatever becomes of
//! the unit: so each description is kept once, and those that were only looked at are so many at
//! most.

use crate::limits::DESCRIPTIONS_BYTES_MAX;
use resilee_sbb::{Deliver, Descriptor, LinkedSbb, Outcome, UnitDescription, UploadedSbb};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Why a unit is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Deployment,
    /// Somebody wants to see what is in it.
    ALook,
}

/// All that this host has been told.
#[derive(Debug, Default)]
pub(crate) struct Descriptions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By their bytes.
    all: BTreeMap<Vec<u8>, &'static Described>,
    bytes: usize,
}

/// A unit of one service, and its SBBs.
#[derive(Debug)]
pub(crate) struct Described {
    pub name: &'static str,
    /// Given right after it is made, since they refer to it.
    sbbs: OnceLock<Vec<Descriptor>>,
}

/// A child SBB of a unit: it is described, and runs within its parent's deliveries.
#[derive(Debug)]
struct Child {
    unit: &'static Described,
    name: String,
}

impl Descriptions {
    /// Keeps what a unit has said, if it was not said before.
    pub fn keep(&self, bytes: &[u8], wanted: For) -> Result<&'static Described, String> {
        let description = UnitDescription::read(bytes)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.all.get(bytes) {
            return Ok(known);
        }
        let (sum, max) = (kept.bytes + bytes.len(), DESCRIPTIONS_BYTES_MAX);
        if wanted == For::ALook && sum > max {
            return Err(format!(
                "this node has looked at units of {} bytes of descriptions since it started, which \
                 it keeps, {max} allowed: ask another node, or start this one again",
                kept.bytes
            ));
        }
        let described = Described::leaked(&description)?;
        kept.all.insert(bytes.to_vec(), described);
        kept.bytes = sum;
        Ok(described)
    }
}

impl Described {
    fn leaked(description: &UnitDescription) -> Result<&'static Described, String> {
        let [name] = &description.services[..] else {
            let count = description.services.len();
            return Err(format!("it has {count} services, and a unit has one: build one of each"));
        };
        let (name, sbbs) = (name.clone().leak(), OnceLock::new());
        let unit: &Described = Box::leak(Box::new(Described { name, sbbs }));
        let child = |name: &str| {
            let name = name.to_owned();
            LinkedSbb::uploaded(Box::leak(Box::new(Child { unit, name })))
        };
        let mut sbbs = description.leaked(child);
        for sbb in &mut sbbs {
            // What is uploaded together is a unit of its own, whatever it is where it is linked.
            sbb.deployment.unit = "";
            sbb.deployment.is_uploaded = true;
        }
        unit.sbbs.get_or_init(|| sbbs);
        Ok(unit)
    }

    pub fn service(&self) -> Descriptor {
        self.sbb(self.name)
    }

    fn sbb(&self, name: &str) -> Descriptor {
        let sbbs = self.sbbs.get().map(Vec::as_slice).unwrap_or_default();
        let found = sbbs.iter().find(|sbb| sbb.name == name);
        *found.expect("descriptions name SBBs that they describe")
    }
}

impl UploadedSbb for Child {
    fn descriptor(&self) -> Descriptor {
        self.unit.sbb(&self.name)
    }

    fn invoke(&self, _: &Deliver) -> Outcome {
        let reason = format!("{} is a child SBB, and no service", self.name);
        Outcome::RolledBack { reason, effects: Vec::new() }
    }

    // Its code is its unit's.
    fn forget(&self) {}
}
