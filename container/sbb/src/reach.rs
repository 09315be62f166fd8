//! What of a call a unit has to do with. A service that is linked may be trusted with all of its
//! cell; one that was uploaded sees, and asks for something of, the activity contexts that it
//! reaches:
//!
//! | activity context                                 | why                                      |
//! |--------------------------------------------------|------------------------------------------|
//! | the first one of the cell                        | what the cell is about: the call         |
//! | that of the event                                | it is told of it                         |
//! | one that an entity of its tree is attached to    | it was told of it                        |
//! | one with a name                                  | who has bound it wants that              |
//! | one that it starts                               | (`answer_check.rs`)                      |
//!
//! So nobody's own null activities are ended by a stranger, nor does he get the answers to
//! somebody's requests. Of attributes it sees those that one of its SBBs has.

use crate::delivery::{ContextView, Deliver};
use crate::descriptor::Descriptor;

impl Deliver {
    /// The activity context is one that a unit reaches.
    pub(crate) fn reaches(&self, activity: u32) -> bool {
        let is_reached = |context: &ContextView| {
            !context.names.is_empty()
                || context.attached.iter().any(|entity| self.tree.contains_key(entity))
        };
        activity == 0
            || activity == self.event.activity.number
            || self.contexts.get(&activity).is_some_and(is_reached)
    }

    /// Without what the service does not reach, if there is anything.
    pub(crate) fn within_reach(&self, service: &Descriptor) -> Option<Deliver> {
        let sbbs = service.all_sbbs();
        let is_seen = |attribute: &String| sbbs.iter().any(|sbb| sbb.has_attribute(attribute));
        let is_whole = self.contexts.iter().all(|(number, context)| {
            self.reaches(*number) && context.attributes.keys().all(is_seen)
        });
        if is_whole {
            return None;
        }
        let mut deliver = self.clone();
        deliver.contexts.retain(|number, _| self.reaches(*number));
        for context in deliver.contexts.values_mut() {
            context.attributes.retain(|attribute, _| is_seen(attribute));
        }
        Some(deliver)
    }
}
