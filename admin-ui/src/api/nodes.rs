//! `GET /api/v1/nodes`: the cluster as this node sees it.

use crate::cluster::{Balancer, Cluster, Node, Protection};
use crate::moment;
use crate::problem::RestProblem;
use crate::system::System;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Serialize)]
struct Nodes<'a> {
    now: String,
    answered_by: &'a str,
    view: u64,
    members: usize,
    protection: &'static str,
    nodes: Vec<NodeRow<'a>>,
    balancers: Vec<BalancerRow<'a>>,
}

#[derive(Serialize)]
struct NodeRow<'a> {
    name: &'a str,
    state: &'static str,
    role: &'static str,
    member: bool,
    run: Option<String>,
    this: bool,
    /// Null for the node that answers.
    heartbeat_age_ms: Option<u64>,
    linked: Option<bool>,
    unacknowledged: u64,
    cohorts: usize,
    /// Their ids, for a hand-over.
    cohort_ids: Vec<String>,
    cells: u64,
    calls: usize,
}

#[derive(Serialize)]
struct BalancerRow<'a> {
    name: &'a str,
    /// False of one that stands by.
    holds_seat: bool,
    /// It is at the phones' address; null of the only one, and of a silent one.
    holds_address: Option<bool>,
    state: &'static str,
    /// It could serve phones; null of a silent one.
    ready: Option<bool>,
    heartbeat_age_ms: Option<u64>,
    /// Null until it was heard.
    up_ms: Option<u64>,
    sockets_kept: Option<bool>,
    restarts: Option<u64>,
    /// How often what was dropped since its start, by reason.
    dropped: Option<&'a BTreeMap<String, u64>>,
}

/// Nodes, balancer and view.
pub async fn nodes(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let snapshot = system.snapshot().await?;
    let cluster: &Cluster = &snapshot.cluster;
    Ok(HttpResponse::Ok().json(Nodes {
        now: moment::iso(snapshot.status.now),
        answered_by: &cluster.this,
        view: cluster.view,
        members: cluster.members,
        protection: match cluster.protection {
            Protection::Backed => "backed",
            Protection::Degraded => "degraded",
            Protection::Single => "single",
            Protection::Outside => "outside",
        },
        nodes: cluster.nodes.iter().map(row).collect(),
        balancers: cluster.balancers.iter().map(balancer_row).collect(),
    }))
}

fn balancer_row(balancer: &Balancer) -> BalancerRow<'_> {
    let process = balancer.process.as_ref();
    BalancerRow {
        name: &balancer.name,
        holds_seat: balancer.holds_seat,
        holds_address: balancer.holds_address(),
        state: balancer.health.word(),
        ready: balancer.ready,
        heartbeat_age_ms: balancer.heartbeat_age.map(millis),
        up_ms: process.map(|process| process.up_ms),
        sockets_kept: process.map(|process| process.sockets_kept),
        restarts: process.map(|process| process.restarts),
        dropped: process.map(|process| &process.dropped),
    }
}

fn row(node: &Node) -> NodeRow<'_> {
    NodeRow {
        name: &node.name,
        state: node.health.word(),
        role: node.role(),
        member: node.member,
        run: node.run.as_ref().map(ToString::to_string),
        this: node.this,
        heartbeat_age_ms: node.heartbeat_age.map(millis),
        linked: node.linked,
        unacknowledged: node.unacknowledged,
        cohorts: node.cohorts.len(),
        cohort_ids: node.cohorts.iter().map(ToString::to_string).collect(),
        cells: node.cells,
        calls: node.calls,
    }
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
