//! `/housekeeping`: activities, SBB entities, timers and names, found by what they are and how old,
//! and removed one by one.

use super::{Frame, html, query_pairs};
use crate::leftover_query::{KINDS, kind, search};
use crate::moment::Moment;
use crate::problem::PageProblem;
use crate::profile_view::segment;
use crate::system::System;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use resilee_core::management::LeftoverRow;
use resilee_sbb::Timestamp;

/// Rows of one page, unless the address says otherwise.
const PER_PAGE: usize = 100;

#[derive(Template)]
#[template(path = "housekeeping.html")]
struct HousekeepingPage<'a> {
    frame: Frame<'a>,
    kinds: Vec<&'static str>,
    kind: String,
    /// What stands in the fields: service, older than, idle for.
    fields: [(&'static str, &'static str, String); 3],
    /// Names of the boxes, and whether they are ticked.
    boxes: [(&'static str, &'static str, bool); 3],
    rows: Vec<Row>,
    /// Query of the next page.
    next: Option<String>,
}

struct Row {
    id: String,
    /// Where an order removes it.
    url: String,
    services: String,
    attached: String,
    born: Moment,
    changed: Moment,
    due: Option<String>,
    note: &'static str,
    node: String,
}

/// The page.
pub async fn page(
    system: web::Data<System>,
    request: HttpRequest,
) -> Result<HttpResponse, PageProblem> {
    let mut pairs = query_pairs(&request)?;
    let at = pairs.iter().position(|(name, _)| name == "kind");
    let word = at.map_or("activities".to_owned(), |at| pairs.remove(at).1);
    let mut wanted = search(kind(&word)?, &pairs)?;
    if !pairs.iter().any(|(name, _)| name == "limit") {
        wanted.limit = PER_PAGE;
    }
    let given = |name: &str| {
        let pair = pairs.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let boxes = [
        ("unattached", "attached to nothing", wanted.unattached),
        ("null", "null activities only", wanted.null),
        ("overdue", "overdue timers only", wanted.overdue),
    ];
    let found = system.leftovers(wanted).await?;
    let snapshot = system.snapshot().await?;
    let now = snapshot.status.now;
    let kept = pairs.iter().filter(|(name, value)| name != "from" && !value.is_empty());
    let kept: String =
        kept.map(|(name, value)| format!("&{}={}", segment(name), segment(value))).collect();
    html(&HousekeepingPage {
        frame: Frame::new("Housekeeping", "housekeeping", "watch=frame", &snapshot),
        kinds: KINDS.map(|(name, _)| name).to_vec(),
        fields: [
            ("service", "Service", given("service")),
            ("older_than", "Older than, s", given("older_than")),
            ("idle_for", "Unchanged for, s", given("idle_for")),
        ],
        boxes,
        rows: found.rows.iter().map(|row| Row::new(now, &word, row)).collect(),
        next: found.next.map(|cell| format!("kind={word}&from={cell}{kept}")),
        kind: word,
    })
}

impl Row {
    fn new(now: Timestamp, kind: &str, row: &LeftoverRow) -> Self {
        let cell = format!("{}/", row.what.cell());
        let attached: Vec<_> = row.attached.iter().map(|id| id.replacen(&cell, "", 1)).collect();
        let id = row.what.to_string();
        Row {
            url: format!("/api/v1/housekeeping/{kind}/{}", segment(&id)),
            id,
            services: row.services.join(", "),
            attached: attached.join(", "),
            born: Moment::new(now, row.born_at),
            changed: Moment::new(now, row.changed_at),
            due: row.due.map(crate::moment::second),
            note: row.note,
            node: row.owner.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}
