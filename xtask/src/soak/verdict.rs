//! Compares bills with what the caller's log says of its calls.

use std::collections::BTreeMap;

use crate::pair::Bill;
use crate::phones::Call;

/// Problems that are told one by one; the rest is in the figures.
const TOLD_MAX: usize = 8;

/// What is wrong with the bills, and the first problems in words.
pub struct Verdict {
    /// What was counted.
    pub figures: Figures,
    /// For a person.
    pub problems: Vec<String>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that the caller saw answered.
    pub answered: u64,
    /// Bills.
    pub bills: u64,
    /// Answered calls without a bill.
    pub lost: u64,
    /// Bills beyond the first of a call.
    pub double: u64,
    /// Bills of calls that the caller never saw answered.
    pub stray: u64,
    /// Bills whose duration is too far from what the caller held.
    pub wrong: u64,
    /// The largest such distance, right or wrong.
    pub off_max_ms: u64,
    /// The longest set-up.
    pub set_up_max_ms: u64,
}

impl Verdict {
    /// Compares; a duration may be `tolerance_ms` off.
    pub fn new(calls: &BTreeMap<String, Call>, bills: &[Bill], tolerance_ms: u64) -> Self {
        let set_up_max = calls.values().filter_map(Call::set_up_ms).max();
        let mut verdict = Verdict {
            figures: Figures {
                bills: bills.len() as u64,
                set_up_max_ms: set_up_max.unwrap_or(0),
                ..Figures::default()
            },
            problems: Vec::new(),
        };
        let mut of_call: BTreeMap<&str, Vec<&Bill>> = BTreeMap::new();
        for bill in bills {
            of_call.entry(&bill.call_id).or_default().push(bill);
        }
        for (call_id, call) in calls {
            let bills = of_call.remove(call_id.as_str()).unwrap_or_default();
            verdict.judge_call(call_id, call, &bills, tolerance_ms);
        }
        for (call_id, bills) in of_call {
            verdict.figures.stray += bills.len() as u64;
            verdict.tell(|| format!("a bill of no call: {call_id}"));
        }
        verdict
    }

    fn judge_call(&mut self, call_id: &str, call: &Call, bills: &[&Bill], tolerance_ms: u64) {
        let count = bills.len() as u64;
        if call.answered_ms.is_none() {
            self.figures.stray += count;
            if call.over_ms.is_none() {
                self.tell(|| format!("not answered: {call_id} {call:?}, {count} bills"));
            }
            return;
        }
        self.figures.answered += 1;
        self.figures.double += count.saturating_sub(1);
        if call.over_ms.is_none() {
            self.tell(|| format!("not ended: {call_id} {call:?}, {count} bills"));
        }
        let Some(bill) = bills.first() else {
            self.figures.lost += 1;
            return self.tell(|| format!("no bill: {call_id} {call:?}"));
        };
        if count > 1 {
            self.tell(|| format!("{count} bills: {call_id} {bills:?}"));
        }
        let Some(held_ms) = call.held_ms() else { return };
        let billed_ms = bill.ended_at.as_millisecond() - bill.answered_at.as_millisecond();
        let off = u64::try_from(billed_ms).unwrap_or(0).abs_diff(held_ms);
        self.figures.off_max_ms = self.figures.off_max_ms.max(off);
        if off > tolerance_ms {
            self.figures.wrong += 1;
            self.tell(|| format!("held {held_ms} ms, billed {billed_ms} ms: {call_id} {call:?}"));
        }
    }

    fn tell(&mut self, problem: impl FnOnce() -> String) {
        if self.problems.len() < TOLD_MAX {
            self.problems.push(problem());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ms: [u64; 4]) -> Call {
        let [invited, answered, hung_up, over] = ms.map(Some);
        Call {
            invited_ms: invited,
            answered_ms: answered,
            hung_up_ms: hung_up,
            over_ms: over,
            ..Call::default()
        }
    }

    fn bill(call_id: &str, seconds: i64) -> Bill {
        let answered_at = jiff::Timestamp::from_second(100).unwrap();
        let ended_at = jiff::Timestamp::from_second(100 + seconds).unwrap();
        Bill { call_id: call_id.to_owned(), answered_at, ended_at }
    }

    #[test]
    fn what_is_lost_doubled_stray_or_wrong_is_counted() {
        let good = call([0, 150, 10_150, 10_160]);
        let slow = call([0, 1_300, 11_300, 11_310]);
        let ids = ["a", "b", "c", "d"];
        let mut calls: BTreeMap<_, _> = ids.into_iter().map(|id| (id.to_owned(), good)).collect();
        calls.insert("slow".to_owned(), slow);
        calls.insert("open".to_owned(), Call { invited_ms: Some(7), ..Call::default() });
        let bills = [bill("a", 10), bill("b", 10), bill("b", 10), bill("d", 12), bill("slow", 10)];
        let strays = [bill("x", 1), bill("open", 1)];
        let verdict = Verdict::new(&calls, &[&bills[..], &strays[..]].concat(), 750);
        let expected = Figures {
            answered: 5,
            bills: 7,
            lost: 1,
            double: 1,
            stray: 2,
            wrong: 1,
            off_max_ms: 2_000,
            set_up_max_ms: 1_200,
        };
        assert_eq!(verdict.figures, expected);
    }
}
