//! Bills each answered call once.
//!
//! The service sees a call as three facts (set up, answered, ended) and knows neither who routes
//! it nor which node does. Where bills are stored, and that a second bill of the same call is
//! dropped, is the container's; showing them is the admin UI's.

mod bill;
mod call_billing;
mod money;
mod rating;
mod tariff;

pub use bill::{BILLS, Bill};
pub use call_billing::{CallBilling, TEXT_BYTES_MAX};
pub use money::{Money, ParseMoneyError};
pub use rating::whole_seconds;
pub use tariff::{PREFIX_CHARS_MAX, TARIFF_PROFILES, TARIFFS, Tariff};
