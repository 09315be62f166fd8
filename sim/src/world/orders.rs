//! An operator's orders (`orders.rs`), at a node that lives.

use super::World;
use crate::bell;
use crate::orders::{Order, Ordered};
use resilee_core::Input;
use resilee_core::management::TableChange;

impl World {
    /// Somebody asks a node for something, now.
    pub(super) fn order(&mut self, Order { node, ordered, .. }: Order) {
        self.trace.add(self.now, "ORDER", &[node as u8], || format!("{node} {ordered:?}"));
        let own = &self.nodes[node];
        let Some(core) = own.core.as_ref() else { return };
        let (token, change) = match ordered {
            Ordered::Reset => {
                let service = bell::NAME.to_owned();
                (self.orders.asks_reset(), TableChange::ResetUsage { service })
            }
            Ordered::Clear => {
                let alarms = core.status(own.clock.at(self.now)).alarms;
                let Some(alarm) = alarms.iter().find(|alarm| bell::has_raised(alarm)) else {
                    return;
                };
                (self.orders.asks_clear(alarm), TableChange::ClearAlarm { id: alarm.id })
            }
        };
        self.feed(node, Input::Change { token, change });
    }

    /// A node dies. What was answered may be lost if nobody else was a member.
    pub(super) fn watch_dying(&mut self, node: usize) {
        let other = &self.nodes[1 - node];
        let view = other.core.as_ref().map(resilee_core::Core::view);
        let is_member = other.run.as_ref().zip(view).is_some_and(|(run, view)| view.contains(run));
        if !is_member {
            self.orders.forget();
        }
    }
}
