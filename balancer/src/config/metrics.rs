//! What `balancer.toml` says of metrics: the table `[metrics]`.

use resilee_config::{ConfigError, Located, OwnAddresses, Protocol, Source};
use serde::Deserialize;
use std::net::SocketAddr;
use toml::Spanned;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    listen: Option<Spanned<String>>,
    beyond_loopback: Option<bool>,
}

/// Where metrics are asked for; none: nowhere. They say who the servers are and how they do, so
/// other machines get them only if the file says so.
pub(super) fn listen(
    source: &Source<'_>,
    file: &Metrics,
    own: &mut OwnAddresses,
) -> Result<Option<Located<SocketAddr>>, ConfigError> {
    let Some(text) = &file.listen else { return Ok(None) };
    let value = source.any_address("metrics.listen", text)?;
    let place = source.place("metrics.listen", text.span());
    if !value.ip().is_loopback() && file.beyond_loopback != Some(true) {
        let what = format!(
            "{value}: a loopback address is expected, or beyond_loopback = true beside it: whoever \
             reaches this address reads the metrics without a password"
        );
        return Err(place.error(what));
    }
    own.take(Protocol::Tcp, value, place.clone())?;
    Ok(Some(Located { value, place }))
}
