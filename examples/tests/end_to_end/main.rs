//! End to end: a balancer and two nodes as the processes that an operator runs, with SIP, RTP,
//! HTTP and a browser from outside. Each test proves that the parts are wired; what the parts do
//! in every order of events is the simulator's.
//!
//! All of it is on loopback, on ports that were free when the test began, in folders of its own.
//! The binaries are those beside the test, so they are built first:
//!
//! ```text
//! cargo build --release --bins --examples -p resilee-node -p resilee-balancer \
//!     -p resilee-examples -p call-screening -p wake-up-call
//! cargo test --release -p resilee-examples -- --test-threads=1
//! ```
//!
//! | variable                   | what it does                                               |
//! |----------------------------|------------------------------------------------------------|
//! | `RESILEE_SKIP_SIPP=1`, …   | leaves out the tests that need the program                 |
//! | `RESILEE_FLOWS=hold,busy`  | plays only these call flows                                |
//! | `RESILEE_SCREENSHOTS=dir`  | the browser's test saves pictures in that absolute path    |

mod baresip_call;
mod call_screening;
mod chromium;
mod examples_as_units;
mod faults;
mod flows;
mod front_door;
mod management;
mod office_hours;
mod old_store;
mod outage;
mod over_tcp;
mod repaired_unit;
mod restart;
mod sipp_load;
mod stories;
mod support;
mod units;
mod units_page;
mod upgrades;
mod wake_up_call;
mod web_hooks;
