//! `/units`: deployable units that were uploaded, and a place to drop another one. What is in it
//! is shown before it is deployed; `assets/units.js` asks for that.

use super::{Fragment, Frame, count, html};
use crate::moment::Moment;
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use crate::unit_view::{UnitProblem, UnitView};
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_core::UNIT_BYTES_MAX;
use resilee_core::management::ServiceState;

/// Characters of an id that are shown.
const ID_SHOWN: usize = 12;

#[derive(Template)]
#[template(path = "units.html")]
struct UnitsPage<'a> {
    frame: Frame<'a>,
    list: UnitList<'a>,
    mib_max: usize,
}

/// The page.
pub async fn page(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let snapshot = system.snapshot().await?;
    html(&UnitsPage {
        frame: Frame::new("Units", "units", "watch=units", &snapshot),
        list: UnitList::new(&snapshot),
        mib_max: UNIT_BYTES_MAX >> 20,
    })
}

/// What changes on it.
pub fn fragments(snapshot: &Snapshot) -> Result<Vec<Fragment>, Problem> {
    Ok(vec![Fragment::of("units", &UnitList::new(snapshot))?])
}

#[derive(Template)]
#[template(path = "parts/unit_list.html")]
struct UnitList<'a> {
    rows: Vec<UnitRow<'a>>,
}

struct UnitRow<'a> {
    id: &'a str,
    id_shown: &'a str,
    service: &'a str,
    size: String,
    put_at: Moment,
    state: &'static str,
    is_active: bool,
    nodes: String,
    missing: String,
    problems: Vec<UnitProblem<'a>>,
}

impl<'a> UnitList<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let status = &snapshot.status;
        let row = |unit| {
            let view = UnitView::new(unit, status);
            UnitRow {
                id: view.id,
                id_shown: view.id.get(..ID_SHOWN).unwrap_or(view.id),
                service: view.service,
                size: format!("{} KiB", count(view.bytes.div_ceil(1024))),
                put_at: Moment::new(status.now, unit.put_at),
                state: match view.state {
                    Some(ServiceState::Active) => "active",
                    Some(ServiceState::Stopping) => "stopping",
                    Some(ServiceState::Inactive) => "inactive",
                    None if view.problems.iter().all(|it| it.passing) => "compiling",
                    None => "failed",
                },
                is_active: view.state == Some(ServiceState::Active),
                nodes: view.nodes.join(", "),
                missing: view.missing.join(", "),
                problems: view.problems,
            }
        };
        UnitList { rows: status.units.iter().map(row).collect() }
    }
}
