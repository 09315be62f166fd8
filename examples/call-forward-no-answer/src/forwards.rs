//! Rules: profiles that say to whom a callee's calls go, and when.

use resilee_sbb::{Attribute, AttributeKind, Context, Failure, ProfileTable};
use serde::{Deserialize, Serialize};

/// Characters of a target.
const TARGET_CHARS_MAX: usize = 256;
/// Name of the rule for who has none of his own.
const EVERYBODY: &str = "*";

/// The profile table. A profile's name is the callee's address of record, `sip:user@host`, or `*`
/// for everybody else.
pub const FORWARDS: ProfileTable = ProfileTable {
    name: "call-forward-no-answer",
    about: "to whom a call goes that nobody answers, and when",
    attributes: &[
        Attribute::new("target", AttributeKind::Text { chars_max: TARGET_CHARS_MAX }),
        // Beyond three minutes the proxy gives up by itself (RFC 3261 §16.8).
        Attribute::new("seconds", AttributeKind::Number { min: 1, max: 180 }),
    ],
    named_by: &[],
    separator: "",
    profiles_max: 100_000,
};

/// What becomes of one callee's calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Address of record of who is called instead; empty: nobody, also where `*` has a target.
    #[serde(default)]
    pub target: String,
    /// After so many seconds; 20 if it is not given.
    #[serde(default = "seconds")]
    pub seconds: u32,
}

fn seconds() -> u32 {
    20
}

impl Forward {
    /// The rule for a callee, if he has one.
    pub(crate) fn of(cx: &Context<'_>, callee: &str) -> Result<Option<Forward>, Failure> {
        let own = cx.profile(FORWARDS.name, callee)?;
        let rule = own.map_or_else(|| cx.profile(FORWARDS.name, EVERYBODY), |own| Ok(Some(own)))?;
        // Who is the target of `*` must not be called instead of himself.
        Ok(rule.filter(|rule: &Forward| !rule.target.is_empty() && rule.target != callee))
    }
}
