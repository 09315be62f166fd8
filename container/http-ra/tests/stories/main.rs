//! The HTTP adaptor through what a node does with it: requests in, events out; commands in,
//! requests out; a takeover in between.

mod harness;
mod hooks_in;
mod hooks_out;
