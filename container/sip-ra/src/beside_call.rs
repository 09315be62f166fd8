//! What else is under way under the Call-ID of a call: MESSAGE, a subscription, and so on.
//!
//! It may outlive the call, and its cell with it. A cell has one bill, so another INVITE under that
//! Call-ID must not begin a call then, though nothing is left of the first one: that it was there
//! is noted with each of the others.

use crate::activity::Activity;
use crate::adaptor::{SipRa, of_cell};
use resilee_core::Endpoint;
use resilee_sbb::CellId;

impl SipRa {
    /// True if a call that was not rejected has been in the cell, and is forgotten.
    pub(crate) fn had_call(&self, cell: CellId) -> bool {
        let mut has_call = false;
        let mut had_call = false;
        for (_, activity) in self.activities.range(of_cell(cell)) {
            has_call |= matches!(activity, Activity::Call(_));
            had_call |= activity.is_beside_call();
        }
        had_call && !has_call
    }

    /// To be called when something begins: if there is a call, or was one, all others note it.
    pub(crate) fn note_call_beside(&mut self, endpoint: &mut Endpoint) {
        let of_cell = || of_cell(endpoint.cell());
        let is_known = |activity: &Activity| match activity {
            Activity::Call(call) => !call.is_rejected(),
            Activity::Exchange(exchange) => exchange.beside_call,
            Activity::OwnCall(_) => false,
        };
        if !self.activities.range(of_cell()).any(|(_, activity)| is_known(activity)) {
            return;
        }
        let mut noted = Vec::new();
        for (id, activity) in self.activities.range_mut(of_cell()) {
            if let Activity::Exchange(exchange) = activity
                && !std::mem::replace(&mut exchange.beside_call, true)
            {
                noted.push(*id);
            }
        }
        noted.into_iter().for_each(|id| endpoint.changed(id));
    }
}
