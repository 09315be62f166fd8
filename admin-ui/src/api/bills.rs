//! `GET /api/v1/bills` and `/api/v1/bills/{id}`: the bills of the whole cluster.

use crate::amount::Totals;
use crate::bill_book::BillEntry;
use crate::moment;
use crate::pages::{find_bill, query_pairs, read_cell_id};
use crate::problem::RestProblem;
use crate::selection::Selection;
use crate::system::System;
use actix_web::{HttpRequest, HttpResponse, web};
use resilee_call_billing::{Money, Tariff};
use resilee_sip_api::{EndCause, Side};
use serde::Serialize;

/// Bills of one answer, unless the query says otherwise.
const PER_PAGE: usize = 100;

#[derive(Serialize)]
struct Bills<'a> {
    bills: Vec<BillRow<'a>>,
    page: usize,
    pages: usize,
    per_page: usize,
    /// Bills in the selection, on all its pages.
    found: usize,
    /// What all of them add up to, by currency.
    totals: Totals,
    /// Records that are no bills this version can read; they are in no total.
    unreadable: u64,
    /// Older bills that are in the journal only.
    forgotten: u64,
}

#[derive(Serialize)]
struct BillRow<'a> {
    id: String,
    /// Position in the journal of the node that answers.
    sequence: u64,
    call_id: &'a str,
    caller: &'a str,
    callee: &'a str,
    set_up_at: String,
    answered_at: String,
    ended_at: String,
    seconds: u64,
    billed_seconds: u64,
    tariff: &'a Tariff,
    total: Money,
    currency: &'a str,
    answered_by: &'a str,
    closed_by: &'a str,
    ended_by: &'static str,
    /// How the end became known.
    end_cause: &'static str,
}

/// One page of a selection, the newest first.
pub async fn bills(
    system: web::Data<System>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let selection = Selection::read(&query_pairs(&request)?, PER_PAGE)?;
    let book = system.book().await?;
    let page = book.page(&selection);
    Ok(HttpResponse::Ok().json(Bills {
        bills: page.entries.iter().map(|entry| row(entry)).collect(),
        page: selection.page,
        pages: page.pages,
        per_page: selection.per_page,
        found: page.found,
        totals: page.totals,
        unreadable: book.unreadable(),
        forgotten: book.forgotten(),
    }))
}

/// The bill of one call.
pub async fn bill(
    system: web::Data<System>,
    id: web::Path<String>,
) -> Result<HttpResponse, RestProblem> {
    let entry = find_bill(&system, read_cell_id(&id)?).await?;
    Ok(HttpResponse::Ok().json(row(&entry)))
}

fn row(entry: &BillEntry) -> BillRow<'_> {
    let bill = &entry.bill;
    BillRow {
        id: entry.id.to_string(),
        sequence: entry.sequence,
        call_id: &bill.call_id,
        caller: &bill.caller,
        callee: &bill.callee,
        set_up_at: moment::iso(bill.set_up_at),
        answered_at: moment::iso(bill.answered_at),
        ended_at: moment::iso(bill.ended_at),
        seconds: bill.seconds,
        billed_seconds: bill.billed_seconds,
        tariff: &bill.tariff,
        total: bill.total,
        currency: &bill.tariff.currency,
        answered_by: &bill.answered_by,
        closed_by: &bill.closed_by,
        ended_by: match bill.ended_by {
            Side::Caller => "caller",
            Side::Callee => "callee",
            Side::Server => "server",
        },
        end_cause: match bill.end_cause {
            EndCause::Bye => "bye",
            EndCause::LastProofOfLife => "last proof of life",
            EndCause::MaxDuration => "max duration",
        },
    }
}
