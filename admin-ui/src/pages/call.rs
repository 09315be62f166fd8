//! `/calls/{id}`: one cell as it is now: the call, its activities and its SBB entities. A call
//! that is over has a bill instead.

use super::overview::CallRow;
use super::{Fragment, Frame, html, read_cell_id};
use crate::bill_book::Found;
use crate::moment::Moment;
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_core::management::CellSnapshot;
use resilee_sbb::CellId;

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage<'a> {
    frame: Frame<'a>,
    id: String,
    details: CallDetails<'a>,
}

/// The page.
pub async fn page(
    system: web::Data<System>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageProblem> {
    let id = read_cell_id(&id)?;
    let snapshot = system.snapshot().await?;
    let details = CallDetails::new(&system, &snapshot, id).await?;
    if details.cell.is_none() && !details.has_bill {
        let help = "it may be over, and if it was answered it has a bill; see the lists";
        return Err(Problem::not_found(format!("there is no call {id}"), help).into());
    }
    html(&CallPage {
        frame: Frame::new("Call", "overview", &format!("watch=call&id={id}"), &snapshot),
        id: id.to_string(),
        details,
    })
}

/// What changes on it.
pub async fn fragments(
    system: &System,
    snapshot: &Snapshot,
    id: CellId,
) -> Result<Vec<Fragment>, Problem> {
    Ok(vec![Fragment::of("call", &CallDetails::new(system, snapshot, id).await?)?])
}

#[derive(Template)]
#[template(path = "parts/call_details.html")]
struct CallDetails<'a> {
    id: String,
    call: Option<CallRow>,
    answered: Option<Moment>,
    answered_by: String,
    tariff: String,
    cell: Option<&'a CellSnapshot>,
    born: Option<Moment>,
    has_bill: bool,
}

impl<'a> CallDetails<'a> {
    async fn new(system: &System, snapshot: &'a Snapshot, id: CellId) -> Result<Self, Problem> {
        let now = snapshot.status.now;
        let cell = snapshot.cell(id);
        let call = snapshot.calls.find(&id.to_string());
        let answered_at = call.and_then(|call| call.answered_at);
        let answered_by = call.and_then(|call| call.answered_by.clone());
        let has_bill = matches!(system.book().await?.find(id), Some(Found::Bill(_)));
        let tariff = call.map(|call| &call.tariff);
        Ok(CallDetails {
            id: id.to_string(),
            call: call.map(|call| CallRow::new(call, now)),
            answered: answered_at.map(|at| Moment::new(now, at)),
            answered_by: answered_by.unwrap_or_default(),
            tariff: tariff.map_or(String::new(), |tariff| {
                let (fee, price) = (tariff.connect_fee, tariff.per_minute);
                let (currency, step) = (&tariff.currency, tariff.increment_s.max(1));
                format!("{fee} {currency} to connect, {price} {currency} a minute, by {step} s")
            }),
            cell,
            born: cell.map(|cell| Moment::new(now, cell.born_at)),
            has_bill,
        })
    }
}
