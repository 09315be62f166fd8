//! `/api/v1/housekeeping/{kind}`: activities, SBB entities, timers and names that may be left over.
//! `DELETE` of one removes it. Any node answers, and may be told.

use crate::leftover_query::{kind, search};
use crate::moment;
use crate::pages::query_pairs;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpRequest, HttpResponse, web};
use resilee_core::management::{
    Leftover, LeftoverKind, LeftoverRow, ParseLeftoverError, Removal, TableChange,
};
use resilee_sbb::Timestamp;
use serde::Serialize;
use serde_json::json;

#[derive(Serialize)]
struct Row<'a> {
    id: String,
    cell: String,
    node: Option<&'a str>,
    services: &'a [String],
    attached: &'a [String],
    born_at: String,
    /// Of its cell.
    age_s: u64,
    changed_at: String,
    idle_s: u64,
    due: Option<String>,
    note: &'static str,
}

impl<'a> Row<'a> {
    fn new(now: Timestamp, row: &'a LeftoverRow) -> Self {
        Row {
            id: row.what.to_string(),
            cell: row.what.cell().to_string(),
            node: row.owner.as_ref().map(|node| node.as_str()),
            services: &row.services,
            attached: &row.attached,
            born_at: moment::iso(row.born_at),
            age_s: now.since(row.born_at).as_secs(),
            changed_at: moment::iso(row.changed_at),
            idle_s: now.since(row.changed_at).as_secs(),
            due: row.due.map(moment::iso),
            note: row.note,
        }
    }
}

/// In the order of their cells, those that were born first in front.
pub async fn find(
    system: web::Data<System>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let search = search(kind(&path)?, &query_pairs(&request)?)?;
    let status = system.status().await?;
    let page = system.leftovers(search).await?;
    let rows: Vec<_> = page.rows.iter().map(|row| Row::new(status.now, row)).collect();
    Ok(HttpResponse::Ok().json(json!({
        "now": moment::iso(status.now),
        "node": status.run.node.as_str(),
        "found": rows,
        "next": page.next.map(|cell| cell.to_string()),
    })))
}

/// An answer of 200 means that it is removed, and will be after a takeover.
pub async fn remove(
    system: web::Data<System>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let (word, id) = path.into_inner();
    let help = || format!("take an id from /api/v1/housekeeping/{word}");
    let what: Leftover = id
        .parse()
        .map_err(|error: ParseLeftoverError| Problem::bad_request(error.to_string(), help()))?;
    let wanted = kind(&word)?;
    if wanted != kind_of(&what) {
        let text = format!("{id} is the id of a {}, and none of {word}", what.kind());
        return Err(Problem::bad_request(text, help()).into());
    }
    let by = by(&system, &request).await?;
    system.change(TableChange::Remove(Removal { what, by, again: false, orderly: false })).await?;
    Ok(HttpResponse::Ok().json(json!({ "removed": id })))
}

/// Who gives an order, for the log.
pub async fn by(system: &System, request: &HttpRequest) -> Result<String, Problem> {
    let node = system.status().await?.run.node;
    Ok(match request.peer_addr() {
        Some(address) => format!("{address} at {node}"),
        None => node.to_string(),
    })
}

fn kind_of(what: &Leftover) -> LeftoverKind {
    match what {
        Leftover::Activity(_) => LeftoverKind::Activities,
        Leftover::Entity(_) => LeftoverKind::Entities,
        Leftover::Timer(..) => LeftoverKind::Timers,
        Leftover::Name(..) => LeftoverKind::Names,
    }
}
