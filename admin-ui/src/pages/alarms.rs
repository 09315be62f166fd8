//! `/alarms`: what an operator should look at, the newest first. Alarms are cleared by what
//! raised them, not from here.

use super::{Fragment, Frame, count, html};
use crate::moment::Moment;
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use actix_web::{HttpResponse, web};
use askama::Template;

#[derive(Template)]
#[template(path = "alarms.html")]
struct AlarmsPage<'a> {
    frame: Frame<'a>,
    list: AlarmList<'a>,
}

/// The page.
pub async fn page(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let snapshot = system.snapshot().await?;
    html(&AlarmsPage {
        frame: Frame::new("Alarms", "alarms", "watch=alarms", &snapshot),
        list: AlarmList::new(&snapshot),
    })
}

/// What changes on it.
pub fn fragments(snapshot: &Snapshot) -> Result<Vec<Fragment>, Problem> {
    Ok(vec![Fragment::of("alarms", &AlarmList::new(snapshot))?])
}

#[derive(Template)]
#[template(path = "parts/alarm_list.html")]
struct AlarmList<'a> {
    node: &'a str,
    rows: Vec<AlarmRow<'a>>,
}

/// One alarm as a page shows it.
pub struct AlarmRow<'a> {
    pub node: &'a str,
    pub source: &'a str,
    pub text: &'a str,
    pub raised: Moment,
    pub count: String,
}

impl<'a> AlarmList<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        AlarmList { node: &snapshot.cluster.this, rows: rows(snapshot, usize::MAX) }
    }
}

/// The newest alarms of the cluster, at most `limit`.
pub fn rows(snapshot: &Snapshot, limit: usize) -> Vec<AlarmRow<'_>> {
    let now = snapshot.status.now;
    let alarms = snapshot.alarms().into_iter().take(limit);
    let rows = alarms.map(|(node, alarm)| AlarmRow {
        node,
        source: &alarm.source,
        text: &alarm.text,
        raised: Moment::new(now, alarm.raised_at),
        count: count(alarm.count),
    });
    rows.collect()
}
