//! What a node keeps of services that only the other one's program has.

use resilee_core::Core;
use std::collections::BTreeSet;

/// What is kept about something that is not there, also if these services are linked into the other
/// node.
pub fn kept_of_none(core: &Core, linked: &BTreeSet<String>) -> Vec<String> {
    let of = |it: &str| it.rsplit_once(" of ").map(|(_, service)| service.to_owned());
    let is_linked = |it: &String| of(it).is_some_and(|service| linked.contains(&service));
    core.kept_of_none().into_iter().filter(|it| !is_linked(it)).collect()
}
