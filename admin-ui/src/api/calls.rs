//! `GET /api/v1/calls`: calls in progress in the whole cluster. `POST …/{id}/hang-up` ends one.

use super::housekeeping::by;
use crate::live_call::LiveCall;
use crate::moment;
use crate::pages::read_cell_id;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpRequest, HttpResponse, web};
use resilee_call_billing::{CallBilling, Money};
use resilee_core::management::{Leftover, Removal, TableChange};
use resilee_sbb::Sbb;
use serde::Serialize;
use serde_json::json;

#[derive(Serialize)]
struct Calls<'a> {
    now: String,
    calls: Vec<CallRow<'a>>,
    /// Calls whose billing state cannot be read; they are not in the list.
    unreadable: usize,
}

#[derive(Serialize)]
struct CallRow<'a> {
    id: &'a str,
    call_id: &'a str,
    caller: &'a str,
    callee: &'a str,
    state: &'static str,
    node: Option<&'a str>,
    taken_over: bool,
    set_up_at: String,
    answered_at: Option<String>,
    seconds: u64,
    /// Null while the call rings.
    cost: Option<Money>,
    currency: &'a str,
}

/// All of them, the newest first.
pub async fn calls(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let snapshot = system.snapshot().await?;
    Ok(HttpResponse::Ok().json(Calls {
        now: moment::iso(snapshot.status.now),
        calls: snapshot.calls.calls.iter().map(row).collect(),
        unreadable: snapshot.calls.unreadable,
    }))
}

/// Both phones get a BYE, and it is billed up to now; one that rings ends with 480. An answer of
/// 200 means that it is so, also if the node dies now.
pub async fn hang_up(
    system: web::Data<System>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let id = read_cell_id(&path)?;
    let snapshot = system.snapshot().await?;
    let billing = CallBilling::descriptor().name;
    let activities = snapshot.cell(id).into_iter().flat_map(|cell| &cell.activities);
    let mut billed =
        activities.filter(|it| it.attached.iter().any(|service| service == billing) && !it.ending);
    let none = || Problem::not_found(format!("no call {id} is in progress"), "see /api/v1/calls");
    let activity = billed.next().ok_or_else(none)?;
    let what: Leftover = activity.id.parse().map_err(|_| none())?;
    let by = by(&system, &request).await?;
    let removal = Removal { what, by, again: false, orderly: true };
    system.change(TableChange::Remove(removal)).await?;
    Ok(HttpResponse::Ok().json(json!({ "hung_up": id.to_string() })))
}

fn row(call: &LiveCall) -> CallRow<'_> {
    CallRow {
        id: &call.id,
        call_id: &call.call_id,
        caller: &call.caller,
        callee: &call.callee,
        state: call.state.word(),
        node: call.node.as_deref(),
        taken_over: call.taken_over,
        set_up_at: moment::iso(call.set_up_at),
        answered_at: call.answered_at.map(moment::iso),
        seconds: call.seconds,
        cost: call.cost.as_ref().map(|cost| cost.amount),
        currency: &call.tariff.currency,
    }
}
