//! What an operator wants of all calls: is each still up, or is each to end.
//!
//! | order             | unanswered request | a call that rings | a call that is up     |
//! |-------------------|--------------------|-------------------|-----------------------|
//! | query of liveness | nothing            | nothing           | `proof_of_life.rs`,   |
//! |                   |                    |                   | `own_call_life.rs`    |
//! | hanging up        | 480                | 480 and CANCEL    | BYE to both ends, and |
//! |                   |                    |                   | services hear its end |
//! | removal           | 503                | the same          | the same              |
//!
//! The activity ends right behind a removal: nothing of that is repeated. A 2xx that crosses the
//! CANCEL then finds no call, and gets nothing: the phone repeats it for 64 T1 and hangs up itself
//! (RFC 3261 §13.3.1.4). Behind hanging up it gets ACK and BYE (`late_answer.rs`).
//!
//! ACK and BYE could be made of the 2xx alone. But a 2xx without a call looks the same when the
//! call is in a store that is away, or that was lost (`orphan.rs`): those phones talk, the caller's
//! ACK goes on without state, and a 2xx comes again if one was lost. A BYE made of it would end
//! that call, and nobody would have kept when. To tell the two apart something of a removed call
//! would have to stay, and a removal is for what must not stay.

use crate::activity::Activity;
use crate::step::Step;
use resilee_sbb::Failure;

impl Activity {
    /// An operator asks whether it is still up.
    pub(crate) fn query_liveness(&mut self, step: &mut Step<'_>) {
        match self {
            Activity::Call(call) if !call.is_unanswered() => call.ask_for_life(step),
            Activity::OwnCall(call) => call.ask_for_life(step),
            Activity::Call(_) | Activity::Exchange(_) => {}
        }
    }

    /// A service or an operator ends it.
    ///
    /// # Errors
    /// One that is over, or whose request is under way and is not a call.
    pub(crate) fn hang_up(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        match self {
            Activity::Call(call) => call.hang_up(step),
            Activity::Exchange(exchange) => exchange.respond(step, 480, "", &[]),
            Activity::OwnCall(call) => call.hang_up(step),
        }
    }

    /// An operator wants it gone.
    pub(crate) fn end_in_order(&mut self, step: &mut Step<'_>) {
        // One that is over lingers only for what its clients may repeat.
        let _ = self.hang_up(step);
        if let Activity::Call(call) = self {
            call.end_subscriptions(step);
        }
    }

    /// It ends by force.
    pub(crate) fn say_last_words(&mut self, step: &mut Step<'_>) {
        if self.is_undecided() {
            self.respond(step, 503, "", &[]).expect("an undecided request can be answered");
        } else if let Activity::Call(call) = self {
            // One that is over has nothing more to say.
            let _ = call.hang_up(step);
            call.wait_no_longer(step);
        } else if let Activity::OwnCall(call) = self {
            let _ = call.hang_up(step);
            call.wait_no_longer(step);
        }
    }
}
