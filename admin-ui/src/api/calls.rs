//! `GET /api/v1/calls`: calls in progress in the whole cluster.

use crate::live_call::LiveCall;
use crate::moment;
use crate::problem::RestProblem;
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_call_billing::Money;
use serde::Serialize;

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
