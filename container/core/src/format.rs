//! The format of what nodes say to each other and keep, and what may change in it.
//!
//! Everything is a MessagePack map with field names. A reader skips fields that it does not know.
//!
//! | change                                            | what it takes                         |
//! |---------------------------------------------------|---------------------------------------|
//! | a field more                                      | `#[serde(default)]`                   |
//! | a field less                                      | nothing, if it had a default; else it |
//! |                                                   | is written on                         |
//! | another name, type or meaning of a field          | the next [`FORMAT`]                   |
//! | a variant more of an enum, a part more of a cell  | the next [`FORMAT`]: an older reader  |
//! |                                                   | would take it for noise               |
//! | the same, before the first release                | nothing                               |
//! | another state of a service or of an adaptor       | its own `STATE_VERSION`               |
//!
//! Nodes of two formats refuse each other's frames with an alarm; a store of a later format is
//! left alone. The examples below are records as the first format wrote them: they must be read
//! for ever.

/// The format of this code.
pub const FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
