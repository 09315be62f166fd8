//! What the rows of `bench/failover.csv` add up to, by kind of fault.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::figures::{or_dash, percentile};

/// One row: values by column.
pub struct Row(BTreeMap<String, String>);

/// The figures of a group of rows.
#[derive(Default)]
struct Sum {
    runs: u64,
    good: u64,
    /// Calls, and the counts of [`COUNTS`].
    counts: [u64; COUNTS.len()],
    off_max_ms: Option<u64>,
    set_up_max_ms: Option<u64>,
    /// The times of [`TIMES`].
    times_ms: [Vec<u64>; TIMES.len()],
}

/// Columns that are added up.
const COUNTS: [&str; 9] =
    ["calls", "failed", "lost", "double", "stray", "wrong", "left_over", "differ", "alarms_left"];

/// Columns of which the summary says median, 99th percentile and the longest, and what it calls
/// them.
const TIMES: [(&str, &str); 5] = [
    ("balancer_notice_ms", "balancer notices"),
    ("cluster_notice_ms", "a server notices"),
    ("alarm_ms", "alarm seen"),
    ("takeover_ms", "takeover"),
    ("resync_ms", "resync"),
];

impl Row {
    fn number(&self, column: &str) -> Option<u64> {
        self.0.get(column)?.parse().ok()
    }

    /// The run's number.
    pub fn seed(&self) -> u64 {
        self.number("seed").unwrap_or(0)
    }
}

/// Reads the rows; none if there is no file yet.
pub fn read(file: &Path) -> Result<Vec<Row>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<Row> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let row = |line: &str| {
        let values = line.split(',').map(str::to_owned);
        Row(header.iter().map(|column| (*column).to_owned()).zip(values).collect())
    };
    lines.map(row).collect()
}

/// A table, a line for each kind and one for all.
pub fn summary(rows: &[Row]) -> String {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut all = Sum::default();
    for row in rows {
        let kind = row.0.get("kind").map_or("?", String::as_str);
        sums.entry(kind).or_default().add(row);
        all.add(row);
    }
    let mut text = String::from(
        "| kind | runs | good | calls | failed | lost | double | stray | wrong | left over \
         | differ | alarms left | worst duration, ms off | slowest set-up ms |",
    );
    for (_, name) in TIMES {
        let _ = write!(text, " {name}: p50/p99/max ms |");
    }
    let columns = text.matches('|').count() - 1;
    let _ = writeln!(text, "\n|{}", "---|".repeat(columns));
    for (kind, sum) in sums.into_iter().chain([("all", all)]) {
        let _ = writeln!(text, "| {kind} | {} |", sum.line());
    }
    text
}

impl Sum {
    fn add(&mut self, row: &Row) {
        self.runs += 1;
        self.good += row.number("good").unwrap_or(0);
        for (sum, column) in self.counts.iter_mut().zip(COUNTS) {
            *sum += row.number(column).unwrap_or(0);
        }
        self.off_max_ms = self.off_max_ms.max(row.number("off_max_ms"));
        self.set_up_max_ms = self.set_up_max_ms.max(row.number("set_up_max_ms"));
        for (times, (column, _)) in self.times_ms.iter_mut().zip(TIMES) {
            times.extend(row.number(column));
        }
    }

    fn line(mut self) -> String {
        let mut cells = vec![self.runs.to_string(), self.good.to_string()];
        cells.extend(self.counts.map(|count| count.to_string()));
        cells.extend([self.off_max_ms, self.set_up_max_ms].map(or_dash));
        for times in &mut self.times_ms {
            let values = [50, 99, 100].map(|percent| or_dash(percentile(times, percent)));
            cells.push(values.join("/"));
        }
        cells.join(" | ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_by_kind_and_in_all() {
        let rows = parse(
            "seed,kind,calls,failed,good,takeover_ms,set_up_max_ms,alarm_ms\n\
             1,kill1,100,0,1,20,30,70\n2,kill1,100,2,0,40,900,90\n3,pause1,50,0,1,-,10,-\n",
        );
        let text = summary(&rows);
        let line = |kind: &str| {
            let start = format!("| {kind} |");
            text.lines().find(|line| line.starts_with(&start)).unwrap().to_owned()
        };
        assert!(line("kill1").starts_with("| kill1 | 2 | 1 | 200 | 2 | 0 |"), "{text}");
        assert!(
            line("kill1").ends_with("| - | 900 | -/-/- | -/-/- | 70/90/90 | 20/40/40 | -/-/- |"),
            "{text}"
        );
        assert!(
            line("pause1").ends_with("| - | 10 | -/-/- | -/-/- | -/-/- | -/-/- | -/-/- |"),
            "{text}"
        );
        assert!(line("all").starts_with("| all | 3 | 2 | 250 | 2 |"), "{text}");
        assert_eq!(rows[2].seed(), 3);
    }
}
