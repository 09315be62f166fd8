//! Call control: authenticates the caller, finds the callee, proxies the call.
//!
//! It decides once, when a request begins an activity, and is gone. Forking, Record-Route and
//! retransmissions are the SIP resource adaptor's; contacts are written by the registrar; what a
//! call costs is call-billing's.

mod admission;
mod call_control;
mod request_uri;

pub use admission::{OPEN_CALLS, POLICY};
pub use call_control::{CallControl, TARGETS_MAX};
