//! Hooks: profiles that say who is told of whose missed calls.

use resilee_sbb::{Attribute, AttributeKind, Context, Failure, ProfileTable};
use serde::{Deserialize, Serialize};

/// Characters of a URL.
const URL_CHARS_MAX: usize = 1_024;
/// Name of the hook for who has none of his own.
const EVERYBODY: &str = "*";

/// The profile table. A profile's name is the callee's address of record, `sip:user@host`, or `*`
/// for everybody else.
pub const HOOKS: ProfileTable = ProfileTable {
    name: "missed-call-hook",
    about: "who is told of missed calls",
    attributes: &[Attribute::new("url", AttributeKind::Text { chars_max: URL_CHARS_MAX })],
    named_by: &[],
    separator: "",
    profiles_max: 100_000,
};

/// Who is told of one callee's missed calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Gets the POST; empty: nobody, also where `*` has a hook. Its host must be allowed
    /// (`[http] allow`).
    #[serde(default)]
    pub url: String,
}

impl Hook {
    /// The URL for a callee; `None`: nobody is told.
    pub(crate) fn of(cx: &Context<'_>, callee: &str) -> Result<Option<String>, Failure> {
        let own = cx.profile(HOOKS.name, callee)?;
        let hook = own.map_or_else(|| cx.profile(HOOKS.name, EVERYBODY), |own| Ok(Some(own)))?;
        Ok(hook.map(|hook: Hook| hook.url).filter(|url| !url.is_empty()))
    }
}
