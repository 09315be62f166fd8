//! Wake-up calls: a user books one from his phone, and at that time the server calls him.
//!
//! | who dials                    | what happens                                             |
//! |------------------------------|----------------------------------------------------------|
//! | `*55*0730`                   | he is called at 07:30; 480 `Wake-Up Call At 07:30`       |
//! | the same with another time   | that is the time now: each user has one wake-up call     |
//! | `*55*`                       | there is none any more; 480 `No Wake-Up Call`            |
//! | `*55*2575`, and what else is | 484 `No Such Time`                                       |
//! | no time                      |                                                          |
//! | and has not proven who he is | call control asks him first                              |
//!
//! | his phone                    | what happens                                             |
//! |------------------------------|----------------------------------------------------------|
//! | is answered                  | it is silent, and over after [`HANG_UP_AFTER`]: done     |
//! | is not, for [`RINGS_FOR`];   | again after [`AGAIN_AFTER`], [`TRIES`] times in all      |
//! | is busy, or not there        |                                                          |
//!
//! Two services, one deployable unit: a [`BookingDesk`] in each call to such a number, and one
//! [`WakeUp`] for each user in the cluster who has booked. Nobody answers the call by which he
//! books, for a server has no voice: his phone shows the reason. What time it is for him says a
//! profile ([`CLOCKS`]).

mod booking_desk;
mod clocks;
mod wake_up;

pub use booking_desk::{BOOKED_WITHIN, BookingDesk};
pub use clocks::{CLOCKS, Clock};
pub use wake_up::{AGAIN_AFTER, HANG_UP_AFTER, RINGS_FOR, TRIES, WakeUp};

/// The deployable unit of both services.
const UNIT: &str = "wake-up-call";

#[cfg(all(target_arch = "wasm32", not(feature = "wake-up")))]
resilee_guest::export!(BookingDesk);

#[cfg(all(target_arch = "wasm32", feature = "wake-up"))]
resilee_guest::export!(WakeUp);
