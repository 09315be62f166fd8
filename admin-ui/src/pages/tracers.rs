//! `/tracers`: which lines services of this node write, and the levels to choose others.

use super::{Fragment, Frame, count, html};
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_core::management::TracerStatus;
use resilee_sbb::{ROOT_TRACER, TraceLevel};

/// Names further down are moved in no more.
const DEPTH_MAX: usize = 3;

#[derive(Template)]
#[template(path = "tracers.html")]
struct TracersPage<'a> {
    frame: Frame<'a>,
    list: TracerList<'a>,
}

/// The page.
pub async fn page(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let snapshot = system.snapshot().await?;
    html(&TracersPage {
        frame: Frame::new("Tracers", "tracers", "watch=tracers", &snapshot),
        list: TracerList::new(&snapshot),
    })
}

/// What changes on it.
pub fn fragments(snapshot: &Snapshot) -> Result<Vec<Fragment>, Problem> {
    Ok(vec![Fragment::of("tracers", &TracerList::new(snapshot))?])
}

#[derive(Template)]
#[template(path = "parts/tracer_list.html")]
struct TracerList<'a> {
    node: &'a str,
    levels: [TraceLevel; 8],
    rows: Vec<TracerRow<'a>>,
}

struct TracerRow<'a> {
    name: &'a str,
    /// How far below the root it is shown.
    depth: usize,
    given: Option<TraceLevel>,
    effective: TraceLevel,
    /// It has the level of the name above it.
    inherits: bool,
    /// What it has without a level of its own.
    unset: &'static str,
    lines: String,
    left_out: String,
    /// Lines of it were left out.
    loses: bool,
}

impl<'a> TracerList<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let rows = snapshot.status.tracers.iter().map(row).collect();
        TracerList { node: &snapshot.cluster.this, levels: TraceLevel::ALL, rows }
    }
}

fn row(tracer: &TracerStatus) -> TracerRow<'_> {
    let root = tracer.name == ROOT_TRACER;
    let below_root = usize::from(!root) + tracer.name.matches('.').count();
    TracerRow {
        name: &tracer.name,
        depth: below_root.min(DEPTH_MAX),
        given: tracer.given,
        effective: tracer.effective,
        inherits: tracer.given.is_none(),
        unset: if root { "as at the start" } else { "from above" },
        lines: count(tracer.lines),
        left_out: count(tracer.left_out),
        loses: tracer.left_out > 0,
    }
}
