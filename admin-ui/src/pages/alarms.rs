//! `/alarms`: what an operator should look at, the newest first. Those of this node that do not
//! end by themselves may be cleared.

use super::{Fragment, Frame, count, html};
use crate::moment::Moment;
use crate::problem::{PageProblem, Problem};
use crate::system::{Snapshot, System};
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_sbb::Severity;

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
    pub severity: Severity,
    pub text: &'a str,
    /// Type and instance, of a service's alarm.
    pub about: String,
    pub raised: Moment,
    pub last: Moment,
    pub count: String,
    /// Its id, if it may be cleared here.
    pub clearable: Option<u64>,
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
        severity: alarm.severity,
        text: &alarm.text,
        about: [&*alarm.alarm_type, &*alarm.instance].join(" ").trim().to_owned(),
        raised: Moment::new(now, alarm.raised_at),
        last: Moment::new(now, alarm.last_at.max(alarm.raised_at)),
        count: count(alarm.count),
        clearable: (node == snapshot.cluster.this && !alarm.lasting).then_some(alarm.id),
    });
    rows.collect()
}
