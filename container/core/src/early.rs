//! Messages that came before the view by which they were sent.

use crate::core::Core;
use crate::resource_adaptor::Ingress;
use resilee_sbb::Timestamp;

/// Messages that wait for the view they were sent by; a view is adopted in milliseconds.
const EARLY_MAX: usize = 1_024;

impl Core {
    /// The seat adopts a view when it grants it, and sends the dead node's last datagrams by it
    /// at once; this node adopts it only when it has stored it.
    pub(crate) fn keep_early(&mut self, ingress: Ingress) {
        if self.early.len() >= EARLY_MAX {
            return self.count_drop("message of a view that is not adopted yet");
        }
        self.early.push(ingress);
    }

    /// What was kept for the view that holds now.
    pub(crate) fn take_in_early(&mut self, now: Timestamp) {
        for ingress in std::mem::take(&mut self.early) {
            self.on_message(now, ingress, false);
        }
    }
}
