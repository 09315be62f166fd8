//! `/`: numbers, cluster and live calls at a glance. Nothing here computes a cost: `live_call`
//! has it from the billing service.

use super::alarms::{self, AlarmRow};
use super::{Fragment, Frame, count, html};
use crate::amount::{Address, Amount};
use crate::cluster::Cluster;
use crate::live_call::{CallState, LiveCall};
use crate::moment::{self, Moment};
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_sbb::Timestamp;

/// Live calls in the table; more are only counted, and are all in REST.
pub const CALLS_SHOWN_MAX: usize = 100;
/// Alarms at the top; the others are on their own page.
const ALARMS_SHOWN_MAX: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    numbers: Numbers<'a>,
    alarms: AlarmStrip<'a>,
    cluster: ClusterStrip<'a>,
    calls: CallsTable,
}

/// The page.
pub async fn page(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let snapshot = system.snapshot().await?;
    html(&OverviewPage {
        frame: Frame::new("Overview", "overview", "watch=overview", &snapshot),
        numbers: Numbers::new(&system, &snapshot).await?,
        alarms: AlarmStrip::new(&snapshot),
        cluster: ClusterStrip { cluster: &snapshot.cluster },
        calls: CallsTable::new(&snapshot),
    })
}

/// What changes on it.
pub async fn fragments(system: &System, snapshot: &Snapshot) -> Result<Vec<Fragment>, Problem> {
    Ok(vec![
        Fragment::of("numbers", &Numbers::new(system, snapshot).await?)?,
        Fragment::of("alarm-strip", &AlarmStrip::new(snapshot))?,
        Fragment::of("cluster", &ClusterStrip { cluster: &snapshot.cluster })?,
        Fragment::of("calls", &CallsTable::new(snapshot))?,
    ])
}

#[derive(Template)]
#[template(path = "parts/numbers.html")]
struct Numbers<'a> {
    calls: String,
    talking: usize,
    ringing: usize,
    bills_today: String,
    talk_today: String,
    money_today: Vec<Amount>,
    cluster: &'a Cluster,
    alarms: usize,
    newest_alarm: Option<String>,
}

impl<'a> Numbers<'a> {
    async fn new(system: &System, snapshot: &'a Snapshot) -> Result<Self, Problem> {
        let status = &snapshot.status;
        let today = system.book().await?.totals_since(moment::day_start(status.now));
        let alarms = snapshot.alarms();
        Ok(Numbers {
            calls: count(snapshot.calls.calls.len()),
            talking: snapshot.calls.count(CallState::Talking),
            ringing: snapshot.calls.count(CallState::Ringing),
            bills_today: count(today.bills()),
            talk_today: moment::span(today.seconds()),
            money_today: today.amounts(),
            cluster: &snapshot.cluster,
            alarms: alarms.len(),
            newest_alarm: alarms.first().map(|(_, alarm)| moment::ago(status.now, alarm.raised_at)),
        })
    }
}

/// What needs a look; nothing if all is well.
#[derive(Template)]
#[template(path = "parts/alarm_strip.html")]
struct AlarmStrip<'a> {
    rows: Vec<AlarmRow<'a>>,
    all: usize,
}

impl<'a> AlarmStrip<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let rows = alarms::rows(snapshot, ALARMS_SHOWN_MAX);
        AlarmStrip { rows, all: snapshot.alarms().len() }
    }
}

#[derive(Template)]
#[template(path = "parts/cluster.html")]
struct ClusterStrip<'a> {
    cluster: &'a Cluster,
}

#[derive(Template)]
#[template(path = "parts/calls.html")]
struct CallsTable {
    rows: Vec<CallRow>,
    all: usize,
    unreadable: usize,
    is_billing_deployed: bool,
}

impl CallsTable {
    fn new(snapshot: &Snapshot) -> Self {
        let calls = &snapshot.calls;
        let row = |call| CallRow::new(call, snapshot.status.now);
        let services = &snapshot.status.services;
        CallsTable {
            rows: calls.calls.iter().take(CALLS_SHOWN_MAX).map(row).collect(),
            all: calls.calls.len(),
            unreadable: calls.unreadable,
            is_billing_deployed: services.iter().any(|service| service.name == "call-billing"),
        }
    }
}

/// One call as a page shows it.
pub struct CallRow {
    pub id: String,
    pub call_id: String,
    pub state: &'static str,
    pub caller: Address,
    pub callee: Address,
    pub node: String,
    pub taken_over: bool,
    pub set_up: Moment,
    pub duration: String,
    pub cost: Option<Amount>,
}

impl CallRow {
    /// `call` as seen at `now`.
    pub fn new(call: &LiveCall, now: Timestamp) -> Self {
        CallRow {
            id: call.id.clone(),
            call_id: call.call_id.clone(),
            state: call.state.word(),
            caller: Address::new(&call.caller),
            callee: Address::new(&call.callee),
            node: call.node.clone().unwrap_or_else(|| "none".to_owned()),
            taken_over: call.taken_over,
            set_up: Moment::new(now, call.set_up_at),
            duration: moment::span(call.seconds),
            cost: call.cost.clone(),
        }
    }
}
