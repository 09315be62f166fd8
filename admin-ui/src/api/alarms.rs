//! `GET /api/v1/alarms`: the alarms of the whole cluster, as far as this node hears of them.
//! `POST /api/v1/alarms/{id}/clear` clears one that is raised at this node.

use crate::moment;
use crate::problem::{Problem, RestProblem};
use crate::system::{self, System};
use actix_web::{HttpResponse, web};
use resilee_core::management::TableChange;
use resilee_sbb::Severity;
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
    /// Names it at that node.
    id: u64,
    severity: Severity,
    source: &'a str,
    /// A service's type of it, and what it is about; empty for the container's own.
    #[serde(rename = "type")]
    alarm_type: &'a str,
    instance: &'a str,
    text: &'a str,
    raised_at: String,
    last_at: String,
    count: u64,
    /// It is cleared when what it speaks of is over, not by operators.
    lasting: bool,
}

/// The newest first. Scripts ask often: no cell is looked at for it.
pub async fn alarms(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    let rows = system::alarms(&status).into_iter().map(|(node, alarm)| AlarmRow {
        node,
        id: alarm.id,
        severity: alarm.severity,
        source: &alarm.source,
        alarm_type: &alarm.alarm_type,
        instance: &alarm.instance,
        text: &alarm.text,
        raised_at: moment::iso(alarm.raised_at),
        last_at: moment::iso(alarm.last_at.max(alarm.raised_at)),
        count: alarm.count,
        lasting: alarm.lasting,
    });
    Ok(HttpResponse::Ok().json(Alarms {
        now: moment::iso(status.now),
        node: status.run.node.as_str(),
        alarms: rows.collect(),
    }))
}

/// An answer of 200 means that it is done, and held: no death of a node brings the alarm back.
pub async fn clear(
    system: web::Data<System>,
    id: web::Path<String>,
) -> Result<HttpResponse, RestProblem> {
    let help = "see /api/v1/alarms for the alarms and their ids; each node clears its own";
    let id = id.parse().map_err(|_| {
        Problem::bad_request(format!("{:?} is no id of an alarm", id.as_str()), help)
    })?;
    system.change(TableChange::ClearAlarm { id }).await?;
    alarms(system).await
}
