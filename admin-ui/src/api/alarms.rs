//! `GET /api/v1/alarms`: the alarms that are raised at this node.

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
    source: &'a str,
    text: &'a str,
    raised_at: String,
    count: u64,
}

/// In the node's own order.
pub async fn alarms(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let snapshot = system.snapshot().await?;
    let rows = snapshot.status.alarms.iter().map(|alarm| AlarmRow {
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
