//! What `balancer.toml` says of who is fit for new calls: the table `[health]`.

use crate::boundary::HealthConfig;
use resilee_config::{ConfigError, Limits, Source};
use serde::Deserialize;
use std::ops::RangeInclusive;
use toml::Spanned;

const RAMP_UP_S: RangeInclusive<u64> = 0..=3_600;
const WINDOW_S: RangeInclusive<u64> = 1..=3_600;
const PERCENT: RangeInclusive<u64> = 1..=100;
const REQUESTS_MIN: RangeInclusive<u64> = 1..=1_000_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    ramp_up_s: Option<Spanned<u64>>,
    window_s: Option<Spanned<u64>>,
    no_response_max_percent: Option<Spanned<u64>>,
    server_error_max_percent: Option<Spanned<u64>>,
    requests_min: Option<Spanned<u64>>,
}

pub(super) fn read(source: &Source<'_>, file: &Health) -> Result<HealthConfig, ConfigError> {
    let usual = HealthConfig::default();
    let within = |key, value: &Option<Spanned<u64>>, range: RangeInclusive<u64>, default| {
        source.within(key, value.as_ref(), &Limits { range, default })
    };
    Ok(HealthConfig {
        ramp_up_s: within("health.ramp_up_s", &file.ramp_up_s, RAMP_UP_S, usual.ramp_up_s)?,
        window_s: within("health.window_s", &file.window_s, WINDOW_S, usual.window_s)?,
        no_response_max_percent: within(
            "health.no_response_max_percent",
            &file.no_response_max_percent,
            PERCENT,
            usual.no_response_max_percent,
        )?,
        server_error_max_percent: within(
            "health.server_error_max_percent",
            &file.server_error_max_percent,
            PERCENT,
            usual.server_error_max_percent,
        )?,
        requests_min: within(
            "health.requests_min",
            &file.requests_min,
            REQUESTS_MIN,
            usual.requests_min,
        )?,
    })
}
