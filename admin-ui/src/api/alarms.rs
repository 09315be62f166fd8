//! `GET /api/v1/alarms`: the alarms of the whole cluster, as far as this node hears of them.

use crate::moment;
use crate::problem::RestProblem;
use crate::system::System;
use actix_web::{HttpResponse, web};
use serde::Serialize;

#[derive(Serialize)]
struct Alarms<'a> {
    now: String,
    node: &'a str,
    alarms: Vec<AlarmRow<'a>>,
}

#[derive(Serialize)]
struct AlarmRow<'a> {
    /// Where it is raised.
    node: &'a str,
    source: &'a str,
    text: &'a str,
    raised_at: String,
    count: u64,
}

/// The newest first.
pub async fn alarms(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let snapshot = system.snapshot().await?;
    let rows = snapshot.alarms().into_iter().map(|(node, alarm)| AlarmRow {
        node,
        source: &alarm.source,
        text: &alarm.text,
        raised_at: moment::iso(alarm.raised_at),
        count: alarm.count,
    });
    Ok(HttpResponse::Ok().json(Alarms {
        now: moment::iso(snapshot.status.now),
        node: &snapshot.cluster.this,
        alarms: rows.collect(),
    }))
}
