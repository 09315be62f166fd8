//! The pages: one file, one template, one URL each. Here is what they share: the frame around
//! them, and the parts that `/events` keeps fresh. Pages see snapshots and the bill book only;
//! `system` asks for those.

mod alarms;
mod bill;
mod bills;
mod call;
mod housekeeping;
mod overview;
mod profiles;
mod rest;
mod services;
mod tracers;
mod units;
mod usage;

pub use bill::find as find_bill;

use crate::problem::{PageProblem, Problem};
use crate::selection::Selection;
use crate::system::{Snapshot, System};
use crate::{amount, moment};
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, guard, web};
use askama::Template;
use resilee_sbb::CellId;
use serde::Serialize;

/// All pages, and the page that says that there is none.
pub fn configure(config: &mut web::ServiceConfig) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .route("/", read().to(overview::page))
        .route("/bills", read().to(bills::page))
        .route("/bills.csv", read().to(bills::csv))
        .route("/bills/{id}", read().to(bill::page))
        .route("/calls/{id}", read().to(call::page))
        .route("/alarms", read().to(alarms::page))
        .route("/services", read().to(services::page))
        .route("/units", read().to(units::page))
        .route("/usage/{service}", read().to(usage::page))
        .route("/housekeeping", read().to(housekeeping::page))
        .route("/tracers", read().to(tracers::page))
        .route("/profiles", read().to(profiles::tables))
        .route("/profiles/{table}", read().to(profiles::table))
        .route("/profiles/{table}/{name:.*}", read().to(profiles::profile))
        .route("/new-profile/{table}", read().to(profiles::new_profile))
        .route("/rest", read().to(rest::page))
        .default_service(web::route().to(no_such_page));
}

async fn no_such_page(request: HttpRequest) -> Result<HttpResponse, PageProblem> {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return Ok(crate::write_guard::no_such_method());
    }
    let help = "start again from the overview";
    Err(Problem::not_found("there is no page of that address", help).into())
}

/// A part of a page, named by the id of its element.
#[derive(Debug, Serialize)]
pub struct Fragment {
    /// Id of the element.
    pub id: &'static str,
    /// The element as it looks now.
    pub html: String,
}

impl Fragment {
    fn of(id: &'static str, part: &impl Template) -> Result<Self, Problem> {
        Ok(Fragment { id, html: part.render()? })
    }
}

/// Which page a stream of events keeps fresh.
#[derive(Debug)]
pub enum Watch {
    /// `/`.
    Overview,
    /// `/bills`, as it was asked for.
    Bills(Selection),
    /// `/calls/{id}`.
    Call(CellId),
    /// `/alarms`.
    Alarms,
    /// `/services`.
    Services,
    /// `/tracers`.
    Tracers,
    /// `/units`.
    Units,
    /// A page that never changes: only its frame does.
    Frame,
}

impl Watch {
    /// Reads the query of `/events`.
    pub fn read(mut pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut take = |wanted: &str| {
            let at = pairs.iter().position(|(name, _)| name == wanted)?;
            Some(pairs.remove(at).1)
        };
        match take("watch").as_deref() {
            Some("overview") => Ok(Watch::Overview),
            Some("alarms") => Ok(Watch::Alarms),
            Some("services") => Ok(Watch::Services),
            Some("tracers") => Ok(Watch::Tracers),
            Some("units") => Ok(Watch::Units),
            Some("frame") => Ok(Watch::Frame),
            Some("call") => Ok(Watch::Call(read_cell_id(&take("id").unwrap_or_default())?)),
            Some("bills") => Ok(Watch::Bills(Selection::read(&pairs, bills::PER_PAGE)?)),
            _ => {
                let help = "watch is one of overview, bills, call, alarms, services, tracers, \
                            units and frame";
                Err(Problem::bad_request("there is no such page to watch", help))
            }
        }
    }
}

/// The parts of the watched page, as they look now.
pub async fn fragments(watch: &Watch, system: &System) -> Result<Vec<Fragment>, Problem> {
    let snapshot = system.snapshot().await?;
    let mut parts = vec![
        Fragment::of("place", &Place::new(&snapshot))?,
        Fragment::of("alarm-badge", &AlarmBadge::new(&snapshot))?,
        Fragment::of("notices", &Notices::new(&snapshot))?,
    ];
    match watch {
        Watch::Overview => parts.extend(overview::fragments(system, &snapshot).await?),
        Watch::Bills(selection) => {
            parts.extend(bills::fragments(system, &snapshot, selection).await?);
        }
        Watch::Call(id) => parts.extend(call::fragments(system, &snapshot, *id).await?),
        Watch::Alarms => parts.extend(alarms::fragments(&snapshot)?),
        Watch::Services => parts.extend(services::fragments(&snapshot)?),
        Watch::Tracers => parts.extend(tracers::fragments(&snapshot)?),
        Watch::Units => parts.extend(units::fragments(&snapshot)?),
        Watch::Frame => {}
    }
    Ok(parts)
}

/// What is around every page.
struct Frame<'a> {
    title: &'a str,
    /// First path segment of the page in the navigation.
    active: &'static str,
    /// Query of `/events`.
    watch: String,
    place: Place<'a>,
    badge: AlarmBadge,
    notices: Notices<'a>,
}

impl<'a> Frame<'a> {
    fn new(title: &'a str, active: &'static str, watch: &str, snapshot: &'a Snapshot) -> Self {
        Frame {
            title,
            active,
            watch: watch.to_owned(),
            place: Place::new(snapshot),
            badge: AlarmBadge::new(snapshot),
            notices: Notices::new(snapshot),
        }
    }
}

/// Which node answers, in which view, at what time.
#[derive(Template)]
#[template(path = "parts/place.html")]
struct Place<'a> {
    node: &'a str,
    view: u64,
    clock: String,
    exact: String,
}

impl<'a> Place<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let now = snapshot.status.now;
        Place {
            node: &snapshot.cluster.this,
            view: snapshot.cluster.view,
            clock: moment::clock(now),
            exact: moment::exact(now),
        }
    }
}

/// Number of alarms in the navigation.
#[derive(Template)]
#[template(path = "parts/alarm_badge.html")]
struct AlarmBadge {
    alarms: usize,
}

impl AlarmBadge {
    fn new(snapshot: &Snapshot) -> Self {
        AlarmBadge { alarms: snapshot.alarms().len() }
    }
}

/// What an operator must not overlook, on every page.
#[derive(Template)]
#[template(path = "parts/notices.html")]
struct Notices<'a> {
    cluster: &'a crate::cluster::Cluster,
    degraded: bool,
    single: bool,
    outside: bool,
    draining: bool,
}

impl<'a> Notices<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        use crate::cluster::Protection;
        let protection = snapshot.cluster.protection;
        Notices {
            cluster: &snapshot.cluster,
            degraded: protection == Protection::Degraded,
            single: protection == Protection::Single,
            outside: protection == Protection::Outside,
            draining: snapshot.status.draining,
        }
    }
}

fn html(page: &impl Template) -> Result<HttpResponse, PageProblem> {
    let html = page.render()?;
    Ok(HttpResponse::Ok().content_type(ContentType::html()).body(html))
}

/// The parameters of a query, decoded.
pub fn query_pairs(request: &HttpRequest) -> Result<Vec<(String, String)>, Problem> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    pairs.map(web::Query::into_inner).map_err(|error| {
        let help = "write name=value, with & between and special characters percent-encoded";
        Problem::bad_request(format!("the query cannot be read: {error}"), help)
    })
}

/// Reads the id of a call or bill.
pub fn read_cell_id(text: &str) -> Result<CellId, Problem> {
    let help = "ids look like 0f3c9a1b2d4e5f60-17; take one from the list";
    text.parse::<CellId>().map_err(|error| Problem::bad_request(error.to_string(), help))
}

/// A whole number with its thousands set apart.
fn count(number: impl ToString) -> String {
    amount::grouped(&number.to_string())
}
