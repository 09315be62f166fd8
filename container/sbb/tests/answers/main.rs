//! Answers that no linked service could give: each is refused, with a reason.

mod activities;
mod effects;
mod lies;
mod tree;
