//! The facilities: timer, alarm, trace and usage (`javax.slee.facilities`), a file for
//! each. On one node, and on a pair where a takeover must keep something.

mod alarms;
mod gone_alarms;
#[path = "../single_node/house.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod house;
mod orders;
#[path = "../pair/pair.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod pair;
mod timers;
mod toy;
mod traces;
mod units;
mod usage;
