//! `/bills/{id}`: one bill, with the computation worked out line by line. The arithmetic is the
//! tariff's own; it is done once more here to check the total that stands in the journal.

use super::{Frame, count, html, read_cell_id};
use crate::amount::Address;
use crate::bill_book::{BILLS_SHOWN_MAX, BillEntry, Found};
use crate::moment::{self, Moment};
use crate::problem::{PageProblem, Problem};
use crate::system::System;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_call_billing::{Bill, Money};
use resilee_sbb::{CellId, Timestamp};
use resilee_sip_api::{EndCause, Side};

#[derive(Template)]
#[template(path = "bill.html")]
struct BillPage<'a> {
    frame: Frame<'a>,
    id: String,
    sequence: u64,
    bill: &'a Bill,
    caller: Address,
    callee: Address,
    set_up: Step,
    answered: Step,
    ended: Step,
    rang_for: String,
    talked_for: String,
    ended_by: &'static str,
    /// The end itself was seen by nobody.
    is_unseen: bool,
    prefix: String,
    sum: Computation,
}

/// The page.
pub async fn page(
    system: web::Data<System>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageProblem> {
    let id = read_cell_id(&id)?;
    let snapshot = system.snapshot().await?;
    let entry = find(&system, id).await?;
    let (now, bill) = (snapshot.status.now, &entry.bill);
    html(&BillPage {
        frame: Frame::new("Bill", "bills", "watch=frame", &snapshot),
        id: entry.id.to_string(),
        sequence: entry.sequence,
        bill,
        caller: Address::new(&bill.caller),
        callee: Address::new(&bill.callee),
        set_up: Step::new(now, bill.set_up_at),
        answered: Step::new(now, bill.answered_at),
        ended: Step::new(now, bill.ended_at),
        rang_for: moment::age(bill.answered_at.since(bill.set_up_at)),
        talked_for: moment::span(bill.seconds),
        ended_by: match (bill.end_cause, bill.ended_by) {
            (EndCause::LastProofOfLife, _) => "at its last proof of life",
            (EndCause::MaxDuration, _) => "it lasted as long as a call may",
            (EndCause::Bye, Side::Caller) => "the caller hung up",
            (EndCause::Bye, Side::Callee) => "the callee hung up",
            (EndCause::Bye, Side::Server) => "the server ended it",
        },
        is_unseen: bill.end_cause == EndCause::LastProofOfLife,
        prefix: match bill.tariff.prefix.as_str() {
            "" => "default".to_owned(),
            prefix => format!("{prefix}…"),
        },
        sum: Computation::new(bill),
    })
}

/// The bill with this id, or why there is none.
pub async fn find(system: &System, id: CellId) -> Result<std::sync::Arc<BillEntry>, Problem> {
    let book = system.book().await?;
    match book.find(id) {
        Some(Found::Bill(entry)) => Ok(entry),
        Some(Found::Unreadable(record)) => {
            let sequence = record.sequence;
            let what = format!("record {sequence} is no bill we can read: {}", record.reason);
            let help = "the record is kept as it is; a newer version of the service may read it";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what, help))
        }
        None => {
            let help = match book.forgotten() {
                0 => "a call has a bill once it was answered and is over; see the list".to_owned(),
                _ => format!("only the newest {} bills are shown here", count(BILLS_SHOWN_MAX)),
            };
            Err(Problem::not_found(format!("there is no bill {id}"), help))
        }
    }
}

/// One moment of the call.
struct Step {
    date: String,
    clock: String,
    moment: Moment,
}

impl Step {
    fn new(now: Timestamp, at: Timestamp) -> Self {
        let exact = moment::iso(at);
        let (date, clock) = exact.split_once('T').unwrap_or((&exact, ""));
        Step {
            date: date.to_owned(),
            clock: clock.trim_end_matches('Z').to_owned(),
            moment: Moment::new(now, at),
        }
    }
}

/// How the total comes about.
struct Computation {
    currency: String,
    connect_fee: Money,
    talk: String,
    increments: String,
    increment_s: u32,
    billed_seconds: String,
    per_minute: Money,
    talk_price: Money,
    total: Money,
    /// What the tariff gives for this talk time, if that is not the total in the journal.
    disagrees: Option<Money>,
}

impl Computation {
    fn new(bill: &Bill) -> Self {
        let tariff = &bill.tariff;
        let increment_s = tariff.increment_s.max(1);
        let computed = tariff.price(bill.ended_at.since(bill.answered_at));
        let talk_price = bill.total.micros().saturating_sub(tariff.connect_fee.micros());
        Computation {
            currency: tariff.currency.clone(),
            connect_fee: tariff.connect_fee,
            talk: count(bill.seconds),
            increments: count(bill.billed_seconds / u64::from(increment_s)),
            increment_s,
            billed_seconds: count(bill.billed_seconds),
            per_minute: tariff.per_minute,
            talk_price: Money::from_micros(talk_price),
            total: bill.total,
            disagrees: (computed != bill.total).then_some(computed),
        }
    }
}
