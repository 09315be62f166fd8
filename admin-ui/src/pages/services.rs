//! `/services`: what is deployed and how it does, and the container beneath it. Services are
//! activated and deactivated here, and the SLEE stopped and started; deploying is not done
//! from here.

use super::usage::{self, ServiceUsage};
use super::{Fragment, Frame, count, html};
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_core::management::{
    AdaptorState, AdaptorStatus, MigrationStatus, ServiceState, SleeState,
};
use std::collections::BTreeMap;

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage<'a> {
    frame: Frame<'a>,
    list: ServiceList<'a>,
    names: Vec<&'a str>,
    adaptors: Vec<&'a str>,
    is_running: bool,
}

/// The page.
pub async fn page(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let snapshot = system.snapshot().await?;
    html(&ServicesPage {
        frame: Frame::new("Services", "services", "watch=services", &snapshot),
        list: ServiceList::new(&snapshot),
        names: snapshot.status.services.iter().map(|it| it.name.as_str()).collect(),
        adaptors: snapshot.status.adaptors.iter().map(|it| it.name.as_str()).collect(),
        is_running: matches!(snapshot.status.slee, SleeState::Running | SleeState::Starting),
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
    adaptors: Vec<AdaptorRow<'a>>,
    slee: &'static str,
    run: String,
    cells: String,
    activities: String,
    commits: String,
    gated: String,
    dropped: Vec<(&'a str, String)>,
    dropped_by_balancers: Vec<(&'a str, Vec<(&'a str, String)>)>,
}

struct ServiceRow<'a> {
    name: &'a str,
    vendor: &'a str,
    version: &'a str,
    priority: i8,
    unit: &'a str,
    state: &'static str,
    is_active: bool,
    needed_by: String,
    moves: String,
    entities: String,
    delivered: String,
    rolled_back: u64,
}

struct AdaptorRow<'a> {
    name: &'a str,
    state: &'static str,
    is_active: bool,
    in_cluster: String,
    here: String,
    properties: String,
}

impl<'a> AdaptorRow<'a> {
    fn new(adaptor: &'a AdaptorStatus) -> Self {
        let properties = adaptor.properties.iter().map(|(name, value)| format!("{name} = {value}"));
        AdaptorRow {
            name: &adaptor.name,
            state: match adaptor.state {
                AdaptorState::Active => "active",
                AdaptorState::Stopping => "stopping",
                AdaptorState::Inactive => "inactive",
            },
            is_active: adaptor.state == AdaptorState::Active,
            in_cluster: count(adaptor.activities_in_cluster),
            here: count(adaptor.activities),
            properties: properties.collect::<Vec<_>>().join(", "),
        }
    }
}

impl<'a> ServiceList<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let status = &snapshot.status;
        let row = |service: &'a resilee_core::management::ServiceStatus| ServiceRow {
            name: &service.name,
            vendor: &service.vendor,
            version: &service.version,
            priority: service.priority,
            unit: &service.unit,
            state: state_word(service.state),
            is_active: service.state == ServiceState::Active,
            needed_by: service.needed_by.join(", "),
            moves: service.migration.as_ref().map(moves).unwrap_or_default(),
            entities: count(service.entities),
            delivered: count(service.delivered),
            rolled_back: service.rolled_back,
        };
        let counts = |of: &'a BTreeMap<String, u64>| -> Vec<_> {
            of.iter().map(|(reason, times)| (reason.as_str(), count(times))).collect()
        };
        let balancers = snapshot.cluster.balancers.iter();
        let dropped_by_balancers =
            balancers.filter_map(|it| Some((&*it.name, counts(&it.process.as_ref()?.dropped))));
        ServiceList {
            node: &snapshot.cluster.this,
            rows: status.services.iter().map(row).collect(),
            usages: status.services.iter().filter_map(|it| usage::of(status.now, it)).collect(),
            adaptors: status.adaptors.iter().map(AdaptorRow::new).collect(),
            slee: slee_word(status.slee),
            run: status.run.to_string(),
            cells: count(status.cells.values().sum::<u64>()),
            activities: count(status.activities),
            commits: count(status.commits),
            gated: count(status.gated),
            dropped: counts(&status.dropped),
            dropped_by_balancers: dropped_by_balancers.collect(),
        }
    }
}

/// How far its entities are on their way to another service.
fn moves(migration: &MigrationStatus) -> String {
    let MigrationStatus { to, moved, stayed, reasons, .. } = migration;
    let most = reasons.iter().max_by_key(|(_, times)| **times);
    let why = most.map(|(reason, _)| format!(": {reason}")).unwrap_or_default();
    format!("to {to}: {} moved here, {} stayed{why}", count(*moved), count(*stayed))
}

fn state_word(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Active => "active",
        ServiceState::Stopping => "stopping",
        ServiceState::Inactive => "inactive",
    }
}

fn slee_word(state: SleeState) -> &'static str {
    match state {
        SleeState::Starting => "starting",
        SleeState::Running => "running",
        SleeState::Stopping => "stopping",
        SleeState::Stopped => "stopped",
    }
}
