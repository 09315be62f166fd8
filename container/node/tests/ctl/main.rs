//! `resilee ctl` at a whole node that runs in this process.

mod house;
mod housekeeping;
mod units;
