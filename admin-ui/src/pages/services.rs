//! `/services`: what is deployed and how it does, and the container beneath it. Deploying is not
//! done from here.

use super::usage::{self, ServiceUsage};
use super::{Fragment, Frame, count, html};
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use actix_web::{HttpResponse, web};
use askama::Template;

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage<'a> {
    frame: Frame<'a>,
    list: ServiceList<'a>,
}

/// The page.
pub async fn page(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let snapshot = system.snapshot().await?;
    html(&ServicesPage {
        frame: Frame::new("Services", "services", "watch=services", &snapshot),
        list: ServiceList::new(&snapshot),
    })
}

/// What changes on it.
pub fn fragments(snapshot: &Snapshot) -> Result<Vec<Fragment>, Problem> {
    Ok(vec![Fragment::of("services", &ServiceList::new(snapshot))?])
}

#[derive(Template)]
#[template(path = "parts/service_list.html")]
struct ServiceList<'a> {
    node: &'a str,
    rows: Vec<ServiceRow<'a>>,
    usages: Vec<ServiceUsage<'a>>,
    run: String,
    cells: String,
    activities: String,
    commits: String,
    gated: String,
    dropped: Vec<(&'a str, String)>,
}

struct ServiceRow<'a> {
    name: &'a str,
    vendor: &'a str,
    version: &'a str,
    priority: i8,
    entities: String,
    delivered: String,
    rolled_back: u64,
}

impl<'a> ServiceList<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let status = &snapshot.status;
        let row = |service: &'a resilee_core::management::ServiceStatus| ServiceRow {
            name: &service.name,
            vendor: &service.vendor,
            version: &service.version,
            priority: service.priority,
            entities: count(service.entities),
            delivered: count(service.delivered),
            rolled_back: service.rolled_back,
        };
        let dropped = status.dropped.iter().map(|(reason, times)| (reason.as_str(), count(times)));
        ServiceList {
            node: &snapshot.cluster.this,
            rows: status.services.iter().map(row).collect(),
            usages: status.services.iter().filter_map(|it| usage::of(status.now, it)).collect(),
            run: status.run.to_string(),
            cells: count(status.cells.values().sum::<u64>()),
            activities: count(status.activities),
            commits: count(status.commits),
            gated: count(status.gated),
            dropped: dropped.collect(),
        }
    }
}
