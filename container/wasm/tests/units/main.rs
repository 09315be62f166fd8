//! Units that are uploaded: what is refused, what stops one, and what is believed of its answer.

mod answers;
mod beside_calls;
mod descriptions;
mod files;
mod guest;
mod limits;
mod migrations;
mod room;
mod startup;
mod starved;
mod work;
