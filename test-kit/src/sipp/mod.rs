//! A party that does what a scenario file of SIPp says, without SIPp: no socket, no clock, so that
//! the simulator can play the call flows that real processes are tested with.
//!
//! | it is the same as with SIPp               | and this is not                              |
//! |-------------------------------------------|----------------------------------------------|
//! | steps, labels, optional receptions        | the elements and attributes that no flow has |
//! | what comes in a pause is as good as lost  | regular expressions but `.*` and one word    |
//! | what is unexpected is passed over         | a response is known by its status alone      |
//! | repeated requests get the same response;  | *each* of them, and after the end of the     |
//! | repeated 2xx and failures the same ACK    | scenario, too, as phones do                  |
//! | `retrans`: twice as long each time        | 1xx do not end those of other than INVITE    |

mod party;
mod scenario;
mod template;

pub use party::{SippConfig, SippInput, SippOutput, SippParty};
pub use scenario::ScenarioError;
