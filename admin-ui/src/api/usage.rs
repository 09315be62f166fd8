//! `GET /api/v1/services/{name}/usage`: what a service counted and measured on this node.
//! `POST …/usage/reset` lets its figures begin at zero.

use super::obey;
use crate::moment;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_core::management::{Command, ServiceStatus, UsageStatus};
use serde::Serialize;

#[derive(Serialize)]
struct Usage<'a> {
    now: String,
    node: &'a str,
    service: &'a str,
    /// When the figures were all zero.
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
) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    let (service, usage) = find(&status.services, &name)?;
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
    Ok(HttpResponse::Ok().json(Usage {
        now: moment::iso(status.now),
        node: status.run.node.as_str(),
        service: &service.name,
        since: moment::iso(usage.since),
        refused: usage.refused,
        usage: rows.collect(),
    }))
}

/// An answer of 200 means that it is done.
pub async fn reset(
    system: web::Data<System>,
    name: web::Path<String>,
) -> Result<HttpResponse, RestProblem> {
    find(&system.status().await?.services, &name)?;
    let help = "see /api/v1/services for the services of this node";
    obey(&system, Command::ResetUsage { service: name.clone() }, help).await?;
    usage(system, name).await
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
