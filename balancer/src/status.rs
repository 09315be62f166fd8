//! What the balancer knows of itself and its servers, as one document for people and programs:
//! JSON by its fields, Prometheus text by `status/prometheus.rs`.
//!
//! Not here: who asks for it and how (`shell/metrics.rs`).

mod prometheus;

use serde::Serialize;
use std::collections::BTreeMap;

/// All that is known, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Since when it runs, in milliseconds.
    pub up_ms: u64,
    /// The view that it goes by, whose vote (the seat) it holds.
    pub view: ViewStatus,
    /// Who gets a new call.
    pub algorithm: &'static str,
    /// A node serves, or is missed for so short a time that clients need not hear of it.
    pub serving: bool,
    /// Requests that were answered 503 because no node served, since the start.
    pub unavailable_answers: u64,
    /// What it is in a pair of balancers; none if it is alone.
    pub pair: Option<PairStatus>,
    /// Why its last vote is not stored; it is tried again.
    pub state_file_error: Option<String>,
    /// The servers, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
    /// Datagrams and connections that were dropped since the start, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// How often the configuration was read again.
    pub reloads: Reloads,
}

/// A view, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ViewStatus {
    /// Its number; 0 is none.
    pub number: u64,
    /// The runs in it.
    pub members: Vec<String>,
    /// The run that owns registrations and the other shared tables.
    pub tables_owner: Option<String>,
}

/// One of two balancers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PairStatus {
    /// Its name.
    pub name: String,
    /// The other one's.
    pub peer: String,
    /// Which of them holds the seat by the view that this one knows.
    pub seat: Option<String>,
    /// It holds the seat and a lease: it serves clients.
    pub serves: bool,
    /// It is at the addresses of the clients.
    pub holds_address: bool,
    /// Why it is not, though it serves; it is tried again.
    pub address_refused: Option<String>,
    /// It could serve, as far as it knows; if not, the seat goes to the other one.
    pub ready: bool,
    /// Why it could not.
    pub unfit: Option<String>,
}

/// What became of configurations that were read while it ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloads {
    /// Taken.
    pub accepted: u64,
    /// Refused: what was there before stays.
    pub refused: u64,
    /// Why the last one was refused; none if it was taken.
    pub refusal: Option<String>,
}

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerStatus {
    /// As configured.
    pub name: String,
    /// As configured.
    pub address: String,
    /// As configured.
    pub weight: u32,
    /// What it is ([`NodeState`](crate::NodeState)).
    pub state: &'static str,
    /// Why it fails, if it does.
    pub failing: Option<String>,
    /// How much of its weight it has by now, in per cent.
    pub ramp_up_percent: u32,
    /// Time since its last heartbeat; none if none came.
    pub heartbeat_age_ms: Option<u64>,
    /// New calls that it got since the start.
    pub new_calls: u64,
    /// Its part of all new calls within the window of `[health]`, in per cent.
    pub new_calls_percent: u64,
    /// Requests of clients that it got since the start, their repeats among them.
    pub requests: u64,
    /// Its responses to clients since the start, by class: 1xx to 6xx.
    pub responses: [u64; 6],
    /// Of the requests that it should answer at once, those without any response within the
    /// window, in per cent.
    pub no_response_percent: u64,
    /// 5xx among its final responses within the window, in per cent.
    pub server_error_percent: u64,
}
