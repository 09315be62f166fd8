//! Replicas are equal when nothing is on its way between the nodes: both hold the same cells and
//! rows, and the disk of each was given just that.

use crate::checks::Violation;
use crate::world::World;
use resilee_core::Durable;

/// Compares both nodes, if they are a pair and all is quiet between them.
///
/// # Errors
/// What one has and the other has not.
pub fn check_replicas(world: &World) -> Result<(), Violation> {
    if !world.is_pair() || !world.is_quiet_between_nodes() {
        return Ok(());
    }
    let durable = |index: usize| world.nodes[index].core.as_ref()?.durable();
    let (Some(first), Some(second)) = (durable(0), durable(1)) else { return Ok(()) };
    compare("replicas are equal when all is quiet", &first, &second)?;
    let working = world.nodes.iter().zip([&first, &second]).filter(|(node, _)| !node.disk.failed);
    for (node, held) in working {
        compare("a node's disk has what the node has", held, &node.disk.durable())?;
    }
    Ok(())
}

fn compare(rule: &'static str, one: &Durable, other: &Durable) -> Result<(), Violation> {
    if one == other {
        return Ok(());
    }
    let keys = one.keys().chain(other.keys());
    let differs = keys.into_iter().find(|key| one.get(key) != other.get(key));
    let key = differs.map(|(tree, key)| format!("{tree:?} {}", key.escape_ascii()));
    Err(Violation::new(rule, key.unwrap_or_default()))
}
