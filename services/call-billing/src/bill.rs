//! The bill of one answered call, as it stands in the journal. How the total comes about is in
//! `rating`; the key of the record is the cell of the call and not part of it.

use crate::money::Money;
use crate::tariff::Tariff;
use resilee_sbb::Timestamp;
use resilee_sip_api::{EndCause, Side};
use serde::{Deserialize, Serialize};

/// Name of the journal of bills.
pub const BILLS: &str = "bills";

/// What one answered call costs, with all that the sum follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// Call-ID header of the INVITE.
    pub call_id: String,
    /// Address of record of who called.
    pub caller: String,
    /// Address of record that was called.
    pub callee: String,
    /// When the INVITE was received.
    pub set_up_at: Timestamp,
    /// When the first 2xx was received: the talk begins.
    pub answered_at: Timestamp,
    /// When the first BYE was received, or the last proof of life: the talk ends.
    pub ended_at: Timestamp,
    /// Talk time in seconds; a second that was begun counts whole.
    pub seconds: u64,
    /// `seconds` rounded up to the tariff's increment: what is charged.
    pub billed_seconds: u64,
    /// The tariff as it was when the call was set up.
    pub tariff: Tariff,
    /// Connect fee and talk time, in the tariff's currency.
    pub total: Money,
    /// The node that saw the answer.
    pub answered_by: String,
    /// The node that saw the end; another one, if the first was taken over.
    pub closed_by: String,
    /// Who hung up; the server, if nobody was heard to.
    pub ended_by: Side,
    /// How the end became known.
    #[serde(default)]
    pub end_cause: EndCause,
}
