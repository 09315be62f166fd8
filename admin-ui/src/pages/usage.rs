//! What a service counted and measured: on this node as a part of `/services`, on all nodes
//! together as `/usage/{service}`.

use super::{Frame, count, html};
use crate::moment::Moment;
use crate::problem::PageProblem;
use crate::system::System;
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_core::management::{SampleStatus, ServiceStatus, UsageStatus};
use resilee_membership::NodeName;
use resilee_sbb::Timestamp;

/// All sets of one service.
#[derive(Template)]
#[template(path = "parts/usage.html")]
pub struct ServiceUsage<'a> {
    service: &'a str,
    /// Nodes whose figures they are; empty: this one's.
    nodes: String,
    since: Moment,
    rows: Vec<UsageRow<'a>>,
    /// Changes beyond the limit of sets; empty: none.
    refused: String,
}

/// One parameter of one set.
struct UsageRow<'a> {
    parameter: &'a str,
    set: &'a str,
    /// With their names, for narrow screens; empty where there is none.
    figures: [(&'static str, String); 8],
}

/// The part for a service; none if it declares no usage parameters.
pub fn of(now: Timestamp, service: &ServiceStatus) -> Option<ServiceUsage<'_>> {
    Some(table(now, &service.name, String::new(), service.usage.as_ref()?))
}

fn table<'u>(
    now: Timestamp,
    service: &'u str,
    nodes: String,
    usage: &'u UsageStatus,
) -> ServiceUsage<'u> {
    let rows = usage.sets.iter().flat_map(|set| {
        let row = |parameter, figures| UsageRow { parameter, set: &set.set, figures };
        let counters = set.counters.iter().map(move |(name, sum)| row(name, counter(*sum)));
        let samples = set.samples.iter().map(move |(name, of)| row(name, sample(of)));
        counters.chain(samples)
    });
    ServiceUsage {
        service,
        nodes,
        since: Moment::new(now, usage.since),
        rows: rows.collect(),
        refused: if usage.refused > 0 { count(usage.refused) } else { String::new() },
    }
}

#[derive(Template)]
#[template(path = "usage.html")]
struct UsagePage<'a> {
    frame: Frame<'a>,
    usage: ServiceUsage<'a>,
}

/// The sum of all nodes.
pub async fn page(
    system: web::Data<System>,
    name: web::Path<String>,
) -> Result<HttpResponse, PageProblem> {
    let sum = system.usage_sum(&name).await?;
    let snapshot = system.snapshot().await?;
    html(&UsagePage {
        frame: Frame::new("Usage", "services", "watch=frame", &snapshot),
        usage: table(snapshot.status.now, &sum.service, listed(&sum.nodes), &sum.usage),
    })
}

fn listed(nodes: &[NodeName]) -> String {
    nodes.iter().map(|node| node.as_str()).collect::<Vec<_>>().join(" and ")
}

const LABELS: [&str; 8] = ["Sum", "Values", "Least", "Mean", "Half", "95 %", "99 %", "Greatest"];

fn counter(sum: i64) -> [(&'static str, String); 8] {
    let mut figures = LABELS.map(|label| (label, String::new()));
    figures[0].1 = count(sum);
    figures
}

fn sample(of: &SampleStatus) -> [(&'static str, String); 8] {
    let mut figures = LABELS.map(|label| (label, String::new()));
    figures[1].1 = count(of.count);
    if of.count > 0 {
        let mean = format!("{}.{}", count(of.mean_milli / 1_000), of.mean_milli % 1_000 / 100);
        let values = [count(of.min), mean, count(of.p50), count(of.p95), count(of.p99)];
        let values = values.into_iter().chain([count(of.max)]);
        figures.iter_mut().skip(2).zip(values).for_each(|(figure, value)| figure.1 = value);
    }
    figures
}
