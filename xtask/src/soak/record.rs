//! What is known of a run, and its row in `bench/failover.csv`. What all rows add up to is in
//! `summary`.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use super::kind::Kind;
use super::verdict::Figures;
use super::witness::Seen;
use crate::figures::{append_row, or_dash, stamp};
use crate::phones::Load;

const HEADER: &str = "at,commit,seed,kind,rate,seconds,talk_ms,load_average,disk_max_ms,\
wait_max_ms,fault_at_ms,calls,failed,answered,bills,lost,double,stray,wrong,off_max_ms,left_over,\
differ,repeats,set_up_max_ms,balancer_notice_ms,cluster_notice_ms,alarm_ms,alarms_left,\
takeover_ms,resync_ms,good";

/// One run.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number and seed.
    pub seed: u64,
    /// What broke.
    pub kind: Kind,
    /// Calls that were made.
    pub load: Load,
    /// Processes that wanted to run on the machine.
    pub load_average: f64,
    /// How slow the machine was.
    pub seen: Seen,
    /// When it broke, from the first call.
    pub fault_at_ms: u64,
    /// Calls that began.
    pub calls: u64,
    /// Calls of the plan that did not come to their end.
    pub failed: u64,
    /// Messages that the phones sent again.
    pub repeats: u64,
    /// The bills.
    pub verdict: Figures,
    /// Calls that nobody ends.
    pub left_over: u64,
    /// The survivors have other bills than each other, or are no pair.
    pub differ: bool,
    /// Alarms that stay although all is well again.
    pub alarms_left: u64,
    /// When who noticed what.
    pub times: Times,
}

/// Milliseconds, where a log has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// From the fault to the balancer's notice.
    pub balancer_ms: Option<u64>,
    /// From the fault to a server's notice.
    pub cluster_ms: Option<u64>,
    /// From the fault to the first alarm of it that management shows; none if it does not show
    /// all that a person must see.
    pub alarm_ms: Option<u64>,
    /// From the fault to a view without one server.
    pub takeover_ms: Option<u64>,
    /// From the mending to a view with both.
    pub resync_ms: Option<u64>,
}

impl Record {
    /// True if nothing is wrong; `patient` judges no times.
    pub fn is_good(&self, patient: bool) -> bool {
        let Figures { lost, double, stray, wrong, set_up_max_ms, .. } = self.verdict;
        let limits = self.kind.limits();
        let within = |limit: Option<u64>, value: u64| limit.is_none_or(|limit| value <= limit);
        let takeover = self.times.takeover_ms.unwrap_or(u64::MAX);
        let in_time = within(limits.takeover_ms, takeover)
            && within(limits.set_up_ms, set_up_max_ms)
            && wrong == 0;
        let whole = [self.failed, lost, double, stray, self.left_over] == [0; 5] && !self.differ;
        let shows = self.times.alarm_ms.is_some() || self.kind.signs().alarms.is_empty();
        whole && shows && self.alarms_left == 0 && (patient || in_time)
    }

    /// Appends it to `file`.
    pub fn append(&self, root: &Path, file: &Path) -> Result<()> {
        let Figures { answered, bills, lost, double, stray, wrong, off_max_ms, set_up_max_ms } =
            self.verdict;
        let [balancer, cluster, alarm, takeover, resync] = self.times_or_dashes();
        let row = format!(
            "{},{},{},{},{},{},{:.2},{},{},{},{},{},{answered},{bills},{lost},{double},{stray},\
             {wrong},{off_max_ms},{},{},{},{set_up_max_ms},{balancer},{cluster},{alarm},{},\
             {takeover},{resync},{}",
            stamp(root),
            self.seed,
            self.kind,
            self.load.rate,
            self.load.seconds,
            self.load.talk_ms,
            self.load_average,
            self.seen.disk_max_ms,
            self.seen.wait_max_ms,
            self.fault_at_ms,
            self.calls,
            self.failed,
            self.left_over,
            u8::from(self.differ),
            self.repeats,
            self.alarms_left,
            u8::from(self.is_good(false)),
        );
        append_row(file, HEADER, &row)
    }

    fn times_or_dashes(&self) -> [String; 5] {
        let Times { balancer_ms, cluster_ms, alarm_ms, takeover_ms, resync_ms } = self.times;
        [balancer_ms, cluster_ms, alarm_ms, takeover_ms, resync_ms].map(or_dash)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { lost, double, stray, wrong, off_max_ms, set_up_max_ms, .. } = self.verdict;
        let [balancer, cluster, alarm, takeover, resync] = self.times_or_dashes();
        write!(
            f,
            "run {} {} at {} ms: {} calls, {} failed, {lost} lost, {double} double, {stray} stray, \
             {wrong} wrong (worst {off_max_ms} ms off), {} left over{}; slowest set-up \
             {set_up_max_ms} ms; noticed after {balancer} ms (balancer), {cluster} ms (cluster), \
             alarm {alarm} ms{}, takeover {takeover} ms, resync {resync} ms; load {:.1}, \
             disk {} ms, scheduler {} ms: {}",
            self.seed,
            self.kind,
            self.fault_at_ms,
            self.calls,
            self.failed,
            self.left_over,
            if self.differ { ", the survivors DIFFER" } else { "" },
            if self.alarms_left > 0 { " and some LEFT" } else { "" },
            self.load_average,
            self.seen.disk_max_ms,
            self.seen.wait_max_ms,
            if self.is_good(false) { "good" } else { "BAD" },
        )
    }
}
