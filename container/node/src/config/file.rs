//! The shape of `node.toml`, as it is written. What its values mean is checked in `mod.rs`.

use resilee_config::OneOrMany;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub node: Node,
    pub sip: Sip,
    pub cluster: Cluster,
    pub admin: Option<Admin>,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub account: Vec<Account>,
    #[serde(default)]
    pub tariff: Vec<Tariff>,
    #[serde(default)]
    pub policy: Policy,
    #[serde(default)]
    pub timers: Timers,
    #[serde(default)]
    pub heartbeat: Heartbeat,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub calls: Calls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    pub name: Spanned<String>,
    pub data_dir: Spanned<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sip {
    pub listen: Spanned<String>,
    pub advertise: Option<Spanned<OneOrMany>>,
    pub behind_balancer: Option<Spanned<OneOrMany>>,
    pub digest_algorithms: Option<Spanned<Vec<Spanned<String>>>>,
    pub scanners: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub listen: Option<Spanned<String>>,
    #[serde(default)]
    pub peers: Vec<Peer>,
    pub balancers: Option<Spanned<Vec<Spanned<String>>>>,
    pub key_file: Spanned<PathBuf>,
    pub unclean: Option<Spanned<String>>,
    pub certificate_file: Option<Spanned<PathBuf>>,
    pub private_key_file: Option<Spanned<PathBuf>>,
    pub ca_file: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub name: Spanned<String>,
    pub address: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub listen: Spanned<String>,
    pub token_file: Option<Spanned<PathBuf>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub listen: Option<Spanned<String>>,
    #[serde(default)]
    pub allow: Vec<Spanned<String>>,
    pub body_bytes_max: Option<Spanned<usize>>,
    pub request_timeout_ms: Option<Spanned<u64>>,
    pub requests_max: Option<Spanned<usize>>,
    pub call_timeout_ms: Option<Spanned<u64>>,
    pub calls_max: Option<Spanned<usize>>,
    pub ca_file: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub user: Spanned<String>,
    pub realm: Spanned<String>,
    pub ha1: Spanned<String>,
    pub ha1_sha256: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tariff {
    pub prefix: Spanned<String>,
    pub currency: Spanned<String>,
    pub connect_fee: Spanned<String>,
    pub per_minute: Spanned<String>,
    pub increment_s: Spanned<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(default)]
    pub open_calls: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timers {
    pub t1_ms: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Calls {
    pub ask_after_s: Option<Spanned<u32>>,
    pub session_expires_s: Option<Spanned<u32>>,
    pub max_s: Option<Spanned<u32>>,
    pub ringing_max_s: Option<Spanned<u32>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub calls_max: Option<Spanned<usize>>,
    pub deliveries_max: Option<Spanned<usize>>,
    pub delivery_age_ms: Option<Spanned<u64>>,
    pub hung_handlers_max: Option<Spanned<usize>>,
    pub inbox_max: Option<Spanned<usize>>,
    pub inbox_age_ms: Option<Spanned<u64>>,
    pub events_per_turn_max: Option<Spanned<usize>>,
    pub births_per_turn_max: Option<Spanned<usize>>,
    pub suspended_events_max: Option<Spanned<usize>>,
    pub suspended_s_max: Option<Spanned<u64>>,
    pub timers_max: Option<Spanned<usize>>,
    pub entities_max: Option<Spanned<usize>>,
    pub state_bytes_max: Option<Spanned<usize>>,
    pub attributes_max: Option<Spanned<usize>>,
    pub attribute_bytes_max: Option<Spanned<usize>>,
    pub names_max: Option<Spanned<usize>>,
    pub null_activities_max: Option<Spanned<usize>>,
    pub mirrors_max: Option<Spanned<usize>>,
    pub alarms_max: Option<Spanned<usize>>,
    pub cell_bytes_max: Option<Spanned<usize>>,
    pub turn_bytes_max: Option<Spanned<usize>>,
    pub delivery_deadline_ms: Option<Spanned<u64>>,
    pub unit_time_ms: Option<Spanned<u64>>,
    pub unit_memory_bytes_max: Option<Spanned<usize>>,
    pub unit_host_calls_max: Option<Spanned<u32>>,
    pub actors_max: Option<Spanned<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Heartbeat {
    pub interval_ms: Option<Spanned<u64>>,
    pub missed: Option<Spanned<u32>>,
    pub cold_start_ms: Option<Spanned<u64>>,
}
