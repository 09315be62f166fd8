//! How large and how many: from the configuration, and what an operator changes of it while nodes
//! run.
//!
//! | property             | is                                              |
//! |----------------------|-------------------------------------------------|
//! | `allow`              | hosts that services may call, with commas       |
//! | `requests_max`       | requests that wait for their answer             |
//! | `call_timeout_ms`    | how long a call may take                        |
//! | `calls_max`          | calls under way                                 |

use crate::url::AllowedHosts;
use resilee_http_api::BODY_BYTES_MAX;
use resilee_sbb::Failure;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a node takes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Hosts that services may call; none by default.
    pub allow: AllowedHosts,
    /// How long a request waits for its answer, in milliseconds; then it gets 504.
    pub request_timeout_ms: u64,
    /// Requests of this node that wait for their answer; one more gets 503.
    pub requests_max: usize,
    /// How long a call may take, in milliseconds.
    pub call_timeout_ms: u64,
    /// Calls of this node under way; one more fails.
    pub calls_max: usize,
    /// Bytes of a body, in both directions; not more than [`BODY_BYTES_MAX`].
    pub body_bytes_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            allow: AllowedHosts::default(),
            request_timeout_ms: 10_000,
            requests_max: 256,
            call_timeout_ms: 10_000,
            calls_max: 32,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}

/// What a time-out may be.
const TIMEOUT_MS: RangeInclusive<u64> = 1..=120_000;
/// What a number of requests may be.
const COUNT: RangeInclusive<u64> = 1..=4_096;

impl HttpLimits {
    /// These limits, with the properties that an operator gave.
    ///
    /// # Errors
    /// An unknown property, or a value that it cannot have.
    pub(crate) fn with(&self, properties: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let mut limits = self.clone();
        for (name, value) in properties {
            match name.as_str() {
                "allow" => {
                    let hosts = value.split(',').map(str::trim).filter(|host| !host.is_empty());
                    limits.allow = AllowedHosts::parse(hosts).map_err(Failure::new)?;
                }
                "call_timeout_ms" => limits.call_timeout_ms = number(name, value, TIMEOUT_MS)?,
                "requests_max" => limits.requests_max = number(name, value, COUNT)? as usize,
                "calls_max" => limits.calls_max = number(name, value, COUNT)? as usize,
                unknown => {
                    let text = format!(
                        "it has no property {unknown:?}: it has allow, requests_max, \
                         call_timeout_ms and calls_max"
                    );
                    return Err(Failure::new(text));
                }
            }
        }
        Ok(limits)
    }
}

fn number(name: &str, value: &str, range: RangeInclusive<u64>) -> Result<u64, Failure> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        Failure::new(format!("{name} is a number from {least} to {most}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<HttpLimits, Failure> {
        HttpLimits::default().with(&[(name.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn properties_replace_what_is_configured() {
        assert_eq!(with("calls_max", "7").expect("a number").calls_max, 7);
        let allow = with("allow", "a.test, b.test:81").expect("hosts").allow;
        assert_eq!(allow, AllowedHosts::parse(["a.test", "b.test:81"]).expect("hosts"));
    }

    #[test]
    fn properties_that_cannot_be_are_refused() {
        let bad = [("colour", "red"), ("calls_max", "0"), ("call_timeout_ms", "x"), ("allow", "*")];
        for (name, value) in bad {
            assert!(with(name, value).is_err(), "{name}");
        }
    }
}
