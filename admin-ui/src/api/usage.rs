//! `GET /api/v1/services/{name}/usage`: what a service counted and measured on this node; with
//! `of=cluster` on all nodes together. `POST …/usage/reset` lets the figures of all nodes begin at
//! zero.

use crate::moment;
use crate::pages::query_pairs;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpRequest, HttpResponse, web};
use resilee_core::management::{ServiceStatus, TableChange, UsageStatus};
use serde::Serialize;

#[derive(Serialize)]
struct Usage<'a> {
    now: String,
    /// The node that answers.
    node: &'a str,
    /// Nodes whose figures these are.
    nodes: Vec<&'a str>,
    service: &'a str,
    /// When the figures of all nodes were zero.
    since: String,
    /// Changes that were meant for sets beyond the limit.
    refused: u64,
    usage: Vec<UsageRow<'a>>,
}

/// One parameter of one set; the default set has no name.
#[derive(Serialize)]
struct UsageRow<'a> {
    set: &'a str,
    parameter: &'a str,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Figures {
    Counter { value: i64 },
    Sample { count: u64, min: u64, mean: f64, p50: u64, p95: u64, p99: u64, max: u64 },
}

/// The default set first.
pub async fn usage(
    system: web::Data<System>,
    name: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    let (service, usage) = find(&status.services, &name)?;
    let own = status.run.node.as_str();
    let (now, service) = (moment::iso(status.now), service.name.as_str());
    let of_cluster = match &query_pairs(&request)?[..] {
        [] => false,
        [(key, value)] if key == "of" && ["node", "cluster"].contains(&value.as_str()) => {
            value == "cluster"
        }
        _ => {
            let help = "ask without a parameter for this node, or with of=cluster for all";
            return Err(Problem::bad_request("there is no such parameter", help).into());
        }
    };
    if !of_cluster {
        let nodes = vec![own];
        return Ok(answer(Usage { nodes, ..empty(now, own, service) }, usage));
    }
    let sum = system.usage_sum(service).await?;
    let nodes = sum.nodes.iter().map(|node| node.as_str()).collect();
    Ok(answer(Usage { nodes, ..empty(now, own, service) }, &sum.usage))
}

fn empty<'a>(now: String, node: &'a str, service: &'a str) -> Usage<'a> {
    let (nodes, usage) = (Vec::new(), Vec::new());
    Usage { now, node, nodes, service, since: String::new(), refused: 0, usage }
}

fn answer<'a>(head: Usage<'a>, usage: &'a UsageStatus) -> HttpResponse {
    let rows = usage.sets.iter().flat_map(|set| {
        let counters = set.counters.iter().map(|(name, value)| UsageRow {
            set: &set.set,
            parameter: name,
            figures: Figures::Counter { value: *value },
        });
        let samples = set.samples.iter().map(|(name, of)| {
            let mean = of.mean_milli as f64 / 1_000.0;
            let (count, min, p50, p95, p99, max) =
                (of.count, of.min, of.p50, of.p95, of.p99, of.max);
            let figures = Figures::Sample { count, min, mean, p50, p95, p99, max };
            UsageRow { set: &set.set, parameter: name, figures }
        });
        counters.chain(samples)
    });
    HttpResponse::Ok().json(Usage {
        since: moment::iso(usage.since),
        refused: usage.refused,
        usage: rows.collect(),
        ..head
    })
}

/// An answer of 200 means that it is done, and held: no death of a node brings figures back.
pub async fn reset(
    system: web::Data<System>,
    name: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    find(&system.status().await?.services, &name)?;
    system.change(TableChange::ResetUsage { service: name.clone() }).await?;
    usage(system, name, request).await
}

fn find<'s>(
    services: &'s [ServiceStatus],
    name: &str,
) -> Result<(&'s ServiceStatus, &'s UsageStatus), Problem> {
    let help = "see /api/v1/services for the services of this node";
    let service = services.iter().find(|service| service.name == name);
    let service =
        service.ok_or_else(|| Problem::not_found(format!("there is no service {name:?}"), help))?;
    let usage = service
        .usage
        .as_ref()
        .ok_or_else(|| Problem::not_found(format!("{name} declares no usage parameters"), help))?;
    Ok((service, usage))
}
