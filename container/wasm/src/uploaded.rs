//! The service of a unit: an [`UploadedSbb`] whose deliveries run in instances of the unit.
//!
//! It lives as long as the process, as its description does (`descriptions.rs`); its code goes when
//! it is forgotten.

use crate::descriptions::Described;
use crate::instance::{Code, Shared, Stopped};
use crate::node_side::NodeSide;
use crate::stop::Stop;
use resilee_http_ra::{AllowedHosts, Url};
use resilee_sbb::{Deliver, Descriptor, Effect, Outcome, Permission, UploadedSbb, checked, decode};
use serde::Deserialize;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The resource adaptor whose calls go to hosts.
const HTTP: &str = "http";

/// A unit with one service.
pub(crate) struct Unit {
    described: &'static Described,
    /// None until the unit is taken, and once it is forgotten.
    code: Mutex<Option<Arc<Code>>>,
    /// The node may be over, and somebody hold the service still.
    shared: Weak<Shared>,
}

impl Unit {
    /// The service that a unit has described, without its code.
    pub fn leaked(described: &'static Described, shared: &Arc<Shared>) -> &'static Unit {
        let (code, shared) = (Mutex::new(None), Arc::downgrade(shared));
        Box::leak(Box::new(Unit { described, code, shared }))
    }

    /// It is taken: this is its code.
    pub fn give(&self, code: Code) {
        *self.code() = Some(Arc::new(code));
    }

    fn code(&self) -> MutexGuard<'_, Option<Arc<Code>>> {
        self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, deliver: &Deliver) -> Result<Outcome, Stopped> {
        let service = self.descriptor();
        let code = self.code().clone();
        let (Some(code), Some(shared)) = (code, self.shared.upgrade()) else {
            let reason = format!("{} was removed", self.described.name);
            return Ok(Outcome::RolledBack { reason, effects: Vec::new() });
        };
        let side = NodeSide::new(shared.limits, Some(service), deliver.tables.clone());
        let answer =
            code.deliver(&shared, side, self.described.name, &deliver.to_unit(&service))?;
        let outcome = Outcome::of_unit(&answer).unwrap_or_else(|error| Outcome::RolledBack {
            reason: format!("its answer is not readable: {error}"),
            effects: Vec::new(),
        });
        Ok(match refused_call(&service, &outcome) {
            Some(reason) => Outcome::RolledBack { reason, effects: effects_of(outcome) },
            None => outcome,
        })
    }
}

impl UploadedSbb for Unit {
    fn descriptor(&self) -> Descriptor {
        self.described.service()
    }

    fn invoke(&self, deliver: &Deliver) -> Outcome {
        let outcome = self.answer(deliver).unwrap_or_else(|Stopped { why, kept: effects }| {
            let reason = why.to_string();
            match why {
                Stop::Starved(_) => Outcome::Starved { reason, effects },
                _ => Outcome::RolledBack { reason, effects },
            }
        });
        checked(deliver, &self.descriptor(), outcome)
    }

    fn forget(&self) {
        *self.code() = None;
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit").field("name", &self.described.name).finish_non_exhaustive()
    }
}

/// Why a call to a web host is not made: the permissions name the hosts.
fn refused_call(service: &Descriptor, outcome: &Outcome) -> Option<String> {
    #[derive(Deserialize)]
    struct Call {
        url: String,
    }
    let Outcome::Delivered { effects, .. } = outcome else { return None };
    let hosts = service.deployment.permissions.iter().filter_map(|permission| match permission {
        Permission::Start { adaptor: HTTP, to } => Some(*to),
        _ => None,
    });
    let hosts: Vec<_> = hosts.collect();
    if hosts.contains(&"") {
        return None;
    }
    // Those of a unit were looked at before it came to this.
    let allowed = AllowedHosts::parse(hosts).unwrap_or_default();
    effects.iter().find_map(|effect| {
        let Effect::StartActivityOf { adaptor, command, .. } = effect else { return None };
        if adaptor != HTTP {
            return None;
        }
        let url = decode::<Call>(command).map_err(|error| error.to_string());
        let url = url.and_then(|call| Url::parse(&call.url).map_err(|error| error.to_string()));
        match url {
            Ok(url) if allowed.allow(&url) => None,
            Ok(url) => Some(format!(
                "it calls {}, which its permissions do not name: add Permission::Start of it to \
                 its descriptor's",
                url.host
            )),
            Err(error) => Some(format!("it calls a host that nobody can read: {error}")),
        }
    })
}

/// Why permissions of a service mean nothing.
pub(crate) fn check_permissions(service: &Descriptor) -> Result<(), String> {
    service.deployment.permissions.iter().try_for_each(|permission| match permission {
        Permission::Start { adaptor: HTTP, to } if !to.is_empty() => {
            AllowedHosts::parse([*to]).map(drop).map_err(|error| format!("a permission: {error}"))
        }
        Permission::Start { adaptor, to } if *adaptor != HTTP && !to.is_empty() => Err(format!(
            "a permission: what {adaptor} starts goes wherever the service says, and nobody looks \
             whether it is {to}: leave that empty"
        )),
        _ => Ok(()),
    })
}

fn effects_of(outcome: Outcome) -> Vec<Effect> {
    match outcome {
        Outcome::Delivered { effects, .. }
        | Outcome::Selected { effects, .. }
        | Outcome::RolledBack { effects, .. }
        | Outcome::Starved { effects, .. } => effects,
    }
}
