//! A node alone on real sockets, threads and disks.

mod faults;
mod life;
mod node;
mod units;
mod units_of_store;
