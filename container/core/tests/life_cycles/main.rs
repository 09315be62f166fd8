//! Life cycles of the SLEE and of its services (JAIN SLEE 1.1 chapter 14): who starts root
//! entities, what finishes, what an operator may not do, and that all nodes agree.

mod guards;
mod house_of_services;
#[path = "../pair/pair.rs"]
#[allow(dead_code, reason = "each story uses a part of it")]
mod pair;
mod services;
mod slee;
#[path = "../single_node/toy.rs"]
#[allow(dead_code, reason = "each story uses a part of it")]
mod toy;
