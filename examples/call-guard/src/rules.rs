//! Rules: profiles that say who may call, and how often.

use resilee_sbb::{Attribute, AttributeKind, Context, Failure, ProfileTable};
use serde::{Deserialize, Serialize};

/// Calls a minute that a rule may allow: the counter keeps the time of each.
pub(crate) const CALLS_PER_MINUTE_MAX: u32 = 600;
/// Name of the rule for who has none of his own.
const EVERYBODY: &str = "*";

/// The profile table. A profile's name is the caller's address of record, `sip:user@host`, or `*`
/// for everybody else.
pub const RULES: ProfileTable = ProfileTable {
    name: "call-guard",
    about: "who may call, and how often",
    attributes: &[
        Attribute::new("blocked", AttributeKind::Flag),
        Attribute::new(
            "calls_per_minute",
            AttributeKind::Number { min: 0, max: CALLS_PER_MINUTE_MAX as i64 },
        ),
    ],
    named_by: &[],
    separator: "",
    profiles_max: 100_000,
};

/// What one caller may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// None of his calls is put through.
    #[serde(default)]
    pub blocked: bool,
    /// So many begin in any 60 seconds; as many as he likes, if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u32>,
}

impl Rule {
    /// The rule for a caller.
    pub(crate) fn of(cx: &Context<'_>, caller: &str) -> Result<Rule, Failure> {
        let own = cx.profile(RULES.name, caller)?;
        let rule = own.map_or_else(|| cx.profile(RULES.name, EVERYBODY), |own| Ok(Some(own)))?;
        Ok(rule.unwrap_or_default())
    }
}
