//! Profiles (JAIN SLEE 1.1 chapter 10), and the changes of shared tables that write them: what is
//! read, what is refused, and what a change outlives.

mod changes;
#[path = "../pair/pair.rs"]
#[allow(dead_code, reason = "each story uses a part of it")]
mod pair;
mod phone_book;
mod rules;
#[path = "../single_node/toy.rs"]
#[allow(dead_code, reason = "each story uses a part of it")]
mod toy;
