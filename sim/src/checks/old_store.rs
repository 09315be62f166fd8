//! What is promised when both nodes died and the older store went on by force: a call that was up
//! has its bill once the other store is back, and one that was hung up meanwhile ends then.

use super::{Call, Calls, Violation};
use crate::world::World;
use resilee_call_billing::Bill;
use resilee_sip_api::EndCause;

impl Calls {
    /// Nothing is promised for calls that are not up when the last node dies. One that is over by
    /// then may be billed again: the older store has it as one that goes on.
    pub fn give_up_what_is_not_up(&self, world: &mut World) {
        for (pair, call) in self.calls.iter().enumerate() {
            let begun = world.phones[pair * 2].call().map(|status| status.call_id.clone());
            if let Some(call_id) = begun.filter(|_| !call.goes_on()) {
                world.watch.gives_up(&call_id);
            }
        }
    }
}

impl Call {
    fn goes_on(&self) -> bool {
        self.up.iter().all(Option::is_some) && self.over.iter().all(Option::is_none)
    }

    /// A BYE that was answered came to a node: it is what ended the call. Where datagrams are lost
    /// or overtake each other, a question to the other phone may cross it and be answered first.
    pub(super) fn check_cause(&self, bill: &Bill, world: &World) -> Result<(), Violation> {
        if world.old_store.is_none() || !self.hung_up || !world.in_order {
            return Ok(());
        }
        if bill.end_cause == EndCause::Bye {
            return Ok(());
        }
        Err(Violation::new("who hangs up ends the bill", self.call_id.clone()))
    }
}
