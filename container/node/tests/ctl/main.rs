//! `resilee ctl` at a whole node that runs in this process, or at one whose answers are written
//! down.

mod house;
mod housekeeping;
mod scripted;
mod units;
