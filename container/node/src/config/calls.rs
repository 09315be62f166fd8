//! `[calls]`: when calls are looked after that nobody ends. 0 switches one of the keys off.

use super::file;
use resilee_config::{ConfigError, Source};
use resilee_sip_ra::CallLimits;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;

/// Each question is a message to both phones of each such call.
const ASK_AFTER_S: RangeInclusive<u32> = 60..=86_400;
/// RFC 4028 §4 forbids less.
const SESSION_EXPIRES_S: RangeInclusive<u32> = 90..=86_400;
const MAX_S: RangeInclusive<u32> = 60..=604_800;
/// RFC 3261 §16.6 step 11: timer C is 3 minutes or more.
const RINGING_MAX_S: RangeInclusive<u32> = 180..=86_400;

/// What the file says, checked.
///
/// # Errors
/// A number out of its range.
pub(super) fn limits(source: &Source<'_>, file: &file::Calls) -> Result<CallLimits, ConfigError> {
    let default = CallLimits::default();
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    let read = |key: &str, value: &Option<Spanned<u32>>, range, default: Option<u32>| {
        let Some(value) = value else { return Ok(default) };
        within(source, &format!("calls.{key}"), value, range)
    };
    let (ask_after, longest) = (default.ask_after.map(seconds), default.longest.map(seconds));
    let longest_ringing = default.longest_ringing.map(seconds);
    let duration = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let session_expires_s = read(
        "session_expires_s",
        &file.session_expires_s,
        SESSION_EXPIRES_S,
        default.session_expires_s,
    )?;
    Ok(CallLimits {
        ask_after: read("ask_after_s", &file.ask_after_s, ASK_AFTER_S, ask_after)?.map(duration),
        session_expires_s,
        longest: read("max_s", &file.max_s, MAX_S, longest)?.map(duration),
        longest_ringing: read(
            "ringing_max_s",
            &file.ringing_max_s,
            RINGING_MAX_S,
            longest_ringing,
        )?
        .map(duration),
    })
}

fn within(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<u32>,
    range: RangeInclusive<u32>,
) -> Result<Option<u32>, ConfigError> {
    match *value.get_ref() {
        0 => Ok(None),
        given if range.contains(&given) => Ok(Some(given)),
        given => {
            let (from, to) = (range.start(), range.end());
            let what = format!("{given}: 0 or a number from {from} to {to} is expected");
            Err(source.error(key, value.span(), what))
        }
    }
}
