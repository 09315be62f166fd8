//! `GET /api/v1/activities`: what events are about, cell by cell.

use crate::moment;
use crate::problem::RestProblem;
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_core::management::{ActivitySnapshot, CellSnapshot};
use serde::Serialize;

#[derive(Serialize)]
struct Activities<'a> {
    now: String,
    activities: Vec<ActivityRow<'a>>,
}

#[derive(Serialize)]
struct ActivityRow<'a> {
    #[serde(flatten)]
    activity: &'a ActivitySnapshot,
    cell: &'a str,
    node: Option<&'a str>,
    born_at: String,
}

/// Activities of all cells, the newest cell first.
pub async fn activities(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let snapshot = system.snapshot().await?;
    Ok(HttpResponse::Ok().json(Activities {
        now: moment::iso(snapshot.status.now),
        activities: snapshot.cells.iter().flat_map(rows).collect(),
    }))
}

fn rows(cell: &CellSnapshot) -> impl Iterator<Item = ActivityRow<'_>> {
    cell.activities.iter().map(|activity| ActivityRow {
        activity,
        cell: &cell.id,
        node: cell.owner.as_deref(),
        born_at: moment::iso(cell.born_at),
    })
}
