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

struct AlarmRow<'a> {
    source: &'a str,
    text: &'a str,
    raised: Moment,
    count: String,
}

impl<'a> AlarmList<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let status = &snapshot.status;
        let mut alarms: Vec<_> = status.alarms.iter().collect();
        alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.raised_at));
        let row = |alarm: &&'a resilee_core::management::Alarm| AlarmRow {
            source: &alarm.source,
            text: &alarm.text,
            raised: Moment::new(status.now, alarm.raised_at),
            count: count(alarm.count),
        };
        AlarmList { node: &snapshot.cluster.this, rows: alarms.iter().map(row).collect() }
    }
}
