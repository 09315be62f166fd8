//! A call that nobody answers goes on to somebody else.
//!
//! | the callee                                 | what happens                                    |
//! |--------------------------------------------|-------------------------------------------------|
//! | has no rule, nor has `*` one               | it rings until somebody gives up                |
//! | answers, is busy, declines                 | nothing                                         |
//! | does not answer within the rule's seconds  | his phones are cancelled, and the phones of the |
//! |                                            | rule's target ring                              |
//! | answers while that happens                 | he has the call                                 |
//! | has a rule whose target has no phone       | it rings on                                     |
//!
//! One service: a [`CallForward`] in each call whose callee has a rule. Rules are profiles
//! ([`FORWARDS`]). There is one call, and one bill, whoever answers; a target's own rule does not
//! count, so there are no circles.

mod forward;
mod forwards;

pub use forward::CallForward;
pub use forwards::{FORWARDS, Forward};

#[cfg(target_arch = "wasm32")]
resilee_guest::export!(CallForward);
