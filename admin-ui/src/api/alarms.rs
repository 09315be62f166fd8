//! `GET /api/v1/alarms`: the alarms of the whole cluster, as far as this node hears of them.

use crate::moment;
use crate::problem::RestProblem;
use crate::system::{self, System};
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

/// The newest first. Scripts ask often: no cell is looked at for it.
pub async fn alarms(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    let rows = system::alarms(&status).into_iter().map(|(node, alarm)| AlarmRow {
        node,
        source: &alarm.source,
        text: &alarm.text,
        raised_at: moment::iso(alarm.raised_at),
        count: alarm.count,
    });
    Ok(HttpResponse::Ok().json(Alarms {
        now: moment::iso(status.now),
        node: status.run.node.as_str(),
        alarms: rows.collect(),
    }))
}
