//! A web hook for each call that nobody answered.
//!
//! | the call                                | what happens                                      |
//! |-----------------------------------------|---------------------------------------------------|
//! | is to somebody without a hook           | nothing                                           |
//! | is answered                             | nothing                                           |
//! | is refused before anybody was called    | nothing (a challenge, an unknown callee, …)       |
//! | is given up before it rings             | nothing: nobody was disturbed                     |
//! | ends in another way without an answer   | its hook gets a [`MissedCall`], once              |
//!
//! Whom to tell says a profile ([`HOOKS`]). The POST is made again until it is accepted, with the
//! same `Idempotency-Key` each time: by [`MissedCallHook`] when the receiver fails, and by the HTTP
//! adaptor when a server dies.

mod hook;
mod hooks;
mod missed_call;

pub use hook::{MissedCallHook, POSTS_MAX};
pub use hooks::{HOOKS, Hook};
pub use missed_call::{MissedCall, Reason};

#[cfg(target_arch = "wasm32")]
resilee_guest::export!(MissedCallHook);
