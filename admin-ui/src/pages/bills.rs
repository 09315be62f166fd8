//! `/bills`: search by party and time, totals of the selection, one page of it; and the whole
//! selection as `/bills.csv`. One bill with its computation is in `bill`.

use super::{Fragment, Frame, count, html, query_pairs};
use crate::amount::{Address, Amount};
use crate::bill_book::{BillBook, BillEntry};
use crate::moment::{self, Moment};
use crate::problem::{PageProblem, Problem};
use crate::selection::Selection;
use crate::system::{Snapshot, System};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// Bills on one page, unless the query says otherwise.
pub const PER_PAGE: usize = 50;

#[derive(Template)]
#[template(path = "bills.html")]
struct BillsPage<'a> {
    frame: Frame<'a>,
    search: Search,
    list: BillList,
}

/// The page.
pub async fn page(
    system: web::Data<System>,
    request: HttpRequest,
) -> Result<HttpResponse, PageProblem> {
    let selection = Selection::read(&query_pairs(&request)?, PER_PAGE)?;
    let snapshot = system.snapshot().await?;
    let watch = format!("watch=bills&{}", selection.query(selection.page));
    let book = system.book().await?;
    html(&BillsPage {
        frame: Frame::new("Bills", "bills", &watch, &snapshot),
        search: Search::new(&selection, snapshot.status.now),
        list: BillList::new(&book, &selection, snapshot.status.now),
    })
}

/// What changes on it.
pub async fn fragments(
    system: &System,
    snapshot: &Snapshot,
    selection: &Selection,
) -> Result<Vec<Fragment>, Problem> {
    let book = system.book().await?;
    Ok(vec![Fragment::of("bills", &BillList::new(&book, selection, snapshot.status.now))?])
}

/// The form, filled in, and the usual ranges.
struct Search {
    party: String,
    from: String,
    to: String,
    per_page: usize,
    is_narrowed: bool,
    ranges: Vec<Range>,
}

struct Range {
    name: &'static str,
    query: String,
    is_chosen: bool,
}

impl Search {
    fn new(selection: &Selection, now: Timestamp) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        let today = moment::day_start(now);
        let ranges = [
            ("All time", None, None),
            ("Today", Some(today), Some(today + DAY)),
            ("Yesterday", Some(today - DAY), Some(today)),
            ("Last 7 days", Some(today - DAY * 6), Some(today + DAY)),
        ];
        let range = |(name, from, to): (&'static str, Option<Timestamp>, Option<Timestamp>)| {
            let ranged = Selection { from, to, ..selection.clone() };
            Range { name, query: ranged.query(1), is_chosen: ranged == *selection }
        };
        let field = |at: Option<Timestamp>| at.map(moment::form_field).unwrap_or_default();
        Search {
            party: selection.party.clone(),
            from: field(selection.from),
            to: field(selection.to),
            per_page: selection.per_page,
            is_narrowed: selection.is_narrowed(),
            ranges: ranges.map(range).into(),
        }
    }
}

/// The selection: totals, rows, links to its other pages.
#[derive(Template)]
#[template(path = "parts/bill_list.html")]
struct BillList {
    rows: Vec<BillRow>,
    found: String,
    talk: String,
    amounts: Vec<Amount>,
    first: String,
    last: String,
    previous: Option<String>,
    next: Option<String>,
    csv: String,
    is_narrowed: bool,
    is_book_empty: bool,
    unreadable: u64,
    unreadable_rows: Vec<(u64, String, String)>,
    repeated: u64,
    forgotten: String,
    has_forgotten: bool,
}

impl BillList {
    fn new(book: &BillBook, selection: &Selection, now: Timestamp) -> Self {
        let page = book.page(selection);
        let before = (selection.page - 1).saturating_mul(selection.per_page);
        let unreadable = book.unreadable_records().iter();
        let query = |page: usize| selection.query(page);
        BillList {
            found: count(page.found),
            talk: moment::span(page.totals.seconds()),
            amounts: page.totals.amounts(),
            first: count(before.saturating_add(1)),
            last: count(before.saturating_add(page.entries.len())),
            // From past the end, back to the last page that there is.
            previous: (selection.page > 1).then(|| query((selection.page - 1).min(page.pages))),
            next: (selection.page < page.pages).then(|| query(selection.page + 1)),
            csv: selection.query_of_search(),
            rows: page.entries.iter().map(|entry| BillRow::new(entry, now)).collect(),
            is_narrowed: selection.is_narrowed(),
            is_book_empty: book.is_empty(),
            unreadable: book.unreadable(),
            unreadable_rows: unreadable
                .map(|record| (record.sequence, record.id.to_string(), record.reason.clone()))
                .collect(),
            repeated: book.repeated(),
            forgotten: count(book.forgotten()),
            has_forgotten: book.forgotten() > 0,
        }
    }
}

struct BillRow {
    id: String,
    caller: Address,
    callee: Address,
    ended: String,
    moment: Moment,
    talk: String,
    charged: String,
    total: Amount,
    answered_by: String,
    closed_by: String,
}

impl BillRow {
    fn new(entry: &BillEntry, now: Timestamp) -> Self {
        let bill = &entry.bill;
        BillRow {
            id: entry.id.to_string(),
            caller: Address::new(&bill.caller),
            callee: Address::new(&bill.callee),
            ended: moment::second(bill.ended_at),
            moment: Moment::new(now, bill.ended_at),
            talk: moment::span(bill.seconds),
            charged: moment::span(bill.billed_seconds),
            total: Amount { amount: bill.total, currency: bill.tariff.currency.clone() },
            answered_by: bill.answered_by.clone(),
            closed_by: bill.closed_by.clone(),
        }
    }
}

/// `/bills.csv`: all bills of the selection, the newest first.
pub async fn csv(
    system: web::Data<System>,
    request: HttpRequest,
) -> Result<HttpResponse, PageProblem> {
    let selection = Selection::read(&query_pairs(&request)?, PER_PAGE)?;
    let book = system.book().await?;
    let mut lines = String::from(
        "id,call_id,caller,callee,set_up_at,answered_at,ended_at,seconds,billed_seconds,\
         total,currency,answered_by,closed_by\r\n",
    );
    for entry in book.matching(&selection) {
        lines.push_str(&csv_line(entry));
    }
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header(("content-disposition", "attachment; filename=\"bills.csv\""))
        .body(lines))
}

fn csv_line(entry: &BillEntry) -> String {
    let bill = &entry.bill;
    let fields = [
        csv_text(&entry.id.to_string()),
        csv_text(&bill.call_id),
        csv_text(&bill.caller),
        csv_text(&bill.callee),
        moment::iso(bill.set_up_at),
        moment::iso(bill.answered_at),
        moment::iso(bill.ended_at),
        bill.seconds.to_string(),
        bill.billed_seconds.to_string(),
        bill.total.to_string(),
        csv_text(&bill.tariff.currency),
        csv_text(&bill.answered_by),
        csv_text(&bill.closed_by),
    ];
    fields.join(",") + "\r\n"
}

/// Quotes a field (RFC 4180). One that a spreadsheet would take for a formula gets an apostrophe
/// in front: callers choose their names.
fn csv_text(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let apostrophe = if is_formula { "'" } else { "" };
    let text = format!("{apostrophe}{text}");
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::csv_text;

    #[test]
    fn a_callers_name_is_no_formula_and_breaks_no_line() {
        let quoted = ["sip:a@x", "a,b", "a\"b", "=1+1", "+49,1"].map(csv_text);
        assert_eq!(quoted, ["sip:a@x", "\"a,b\"", "\"a\"\"b\"", "'=1+1", "\"'+49,1\""]);
    }
}
