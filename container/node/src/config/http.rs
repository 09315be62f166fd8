//! `[http]`: web hooks in and out.

use super::file;
use resilee_config::{ConfigError, Limits, Source, read_file};
use resilee_http_api::BODY_BYTES_MAX;
use resilee_http_ra::{AllowedHosts, HttpLimits};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Limits and default of `http.body_bytes_max`.
const BODY_BYTES: Limits<usize> = Limits { range: 0..=BODY_BYTES_MAX, default: BODY_BYTES_MAX };
/// Limits and default of `http.request_timeout_ms`, and of `http.call_timeout_ms`.
const TIMEOUT_MS: Limits<u64> = Limits { range: 1..=120_000, default: 10_000 };
/// Limits and default of `http.requests_max`.
const REQUESTS: Limits<usize> = Limits { range: 1..=4_096, default: 256 };
/// Limits and default of `http.calls_max`.
const CALLS: Limits<usize> = Limits { range: 1..=4_096, default: 32 };

/// Web hooks of a node.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where hooks come in, if anywhere.
    pub listen: Option<SocketAddr>,
    /// What the adaptor takes on.
    pub limits: HttpLimits,
    /// Certificates of whom `https` trusts.
    pub ca_file: Option<PathBuf>,
}

pub(super) fn read(
    source: &Source<'_>,
    http: &file::Http,
    listen: Option<SocketAddr>,
) -> Result<HttpConfig, ConfigError> {
    for host in &http.allow {
        let wrong = |what| source.error("http.allow", host.span(), what);
        AllowedHosts::parse([host.get_ref().as_str()]).map_err(wrong)?;
    }
    let hosts = http.allow.iter().map(|host| host.get_ref().as_str());
    let allow = AllowedHosts::parse(hosts).map_err(|what| {
        let span = http.allow.first().map_or(0..0, |host| host.span());
        source.error("http.allow", span, what)
    })?;
    let (requests, calls) = (http.requests_max.as_ref(), http.calls_max.as_ref());
    let (request_ms, call_ms) = (http.request_timeout_ms.as_ref(), http.call_timeout_ms.as_ref());
    let body = http.body_bytes_max.as_ref();
    let limits = HttpLimits {
        allow,
        request_timeout_ms: source.within("http.request_timeout_ms", request_ms, &TIMEOUT_MS)?,
        requests_max: source.within("http.requests_max", requests, &REQUESTS)?,
        call_timeout_ms: source.within("http.call_timeout_ms", call_ms, &TIMEOUT_MS)?,
        calls_max: source.within("http.calls_max", calls, &CALLS)?,
        body_bytes_max: source.within("http.body_bytes_max", body, &BODY_BYTES)?,
    };
    let ca_file = http.ca_file.as_ref().map(|file| source.file("http.ca_file", file));
    // What is in it is looked at when the client is made.
    ca_file.as_ref().map(read_file).transpose()?;
    Ok(HttpConfig { listen, limits, ca_file: ca_file.map(|file| file.value) })
}
