//! Both nodes die, and the one with the older store goes on by force: what calls were up at the
//! other one is in a store that comes back later.

use super::{Action, World};
use crate::plan::Process;
use resilee_core::Input;
use resilee_core::management::Command;

/// From a start to the operator who forces it, and from one try to the next, in milliseconds.
const ORDER_MS: u64 = 300;
/// The time of a cluster that went on by force is that of a machine's clock: it may be off from
/// the time before by as much as two of them differ.
const CLOCKS_APART_MS: u64 = 1_100;
/// From a forced start to the first call that is served.
const SETTLE_MS: u64 = 1_000;
/// Longer than any run.
const FOR_EVER_MS: u64 = 600_000;

/// A forced start that is under way, or was.
#[derive(Clone, Copy, Debug)]
pub struct OldStore {
    /// Nobody lives now, or nobody did.
    pub nobody_lived: bool,
}

impl World {
    /// Times from the first death: to the other one, to the forced start, to the other's return.
    pub(super) fn go_on_with_old_store(&mut self, first: usize, at_ms: [u64; 3]) {
        let [other_dies, forced, other_back] = at_ms;
        self.power_cut = true;
        self.old_store = Some(OldStore { nobody_lived: false });
        self.router.old_store();
        let nobody_lives = forced + ORDER_MS - other_dies;
        self.lateness.trouble(self.now, other_back, nobody_lives + SETTLE_MS);
        self.lateness.trouble(self.now, FOR_EVER_MS, CLOCKS_APART_MS);
        self.kill(Process::Node(first));
        self.schedule(other_dies * 1000, Action::KillOther(1 - first));
        self.start_after(Process::Node(first), forced);
        self.schedule((forced + ORDER_MS) * 1000, Action::Force(first));
        self.start_after(Process::Node(1 - first), other_back);
    }

    /// An operator lets a node go on alone, and tries again until it does.
    pub(super) fn force(&mut self, node: usize) {
        let own = &self.nodes[node];
        let is_member = |run| own.core.as_ref().is_some_and(|core| core.view().contains(run));
        if !own.run.as_ref().is_some_and(is_member) {
            self.trace.add(self.now, "FORCE", &[], || format!("{node}"));
            self.feed(node, Input::Command(Command::Force));
            self.schedule(ORDER_MS * 1000, Action::Force(node));
        }
    }

    /// True at the first step after which nobody lives, before the forced start.
    pub fn old_store_is_all_there_is(&mut self) -> bool {
        let dead = self.nodes.iter().all(|node| node.core.is_none());
        let Some(old) = self.old_store.as_mut().filter(|old| dead && !old.nobody_lived) else {
            return false;
        };
        old.nobody_lived = true;
        true
    }
}
