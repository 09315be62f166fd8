//! Figures: percentiles, and files of rows that grow from run to run.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The value that `percent` of `values` do not exceed; `None` of none. Sorts them.
pub fn percentile(values: &mut [u64], percent: u32) -> Option<u64> {
    values.sort_unstable();
    let rank = (values.len() * percent as usize).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

/// A number, or a dash for none.
pub fn or_dash(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Appends a row to a file of comma-separated values, which gets `header` when it is made.
pub fn append_row(path: &Path, header: &str, row: &str) -> Result<()> {
    let known = fs::read_to_string(path).unwrap_or_default();
    let columns = known.lines().next();
    ensure!(
        columns.is_none_or(|columns| columns == header),
        "{}: other columns than this version writes; move the file away",
        path.display()
    );
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let header = columns.map_or_else(|| format!("{header}\n"), |_| String::new());
    file.write_all(format!("{header}{row}\n").as_bytes())?;
    Ok(())
}

/// When and what: time of day (UTC, whole seconds), and the commit of the source, with a `+` if
/// files differ from it.
pub fn stamp(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"]).unwrap_or_else(|| "-".to_owned());
    let source = ["status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench"];
    let changed = git(&source).is_none_or(|changes| !changes.is_empty());
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("{now},{commit}{}", if changed { "+" } else { "" })
}

/// Processes that want to run, on average over the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut values: Vec<u64> = (1..=200).rev().collect();
        let found = [50, 95, 99, 100].map(|percent| percentile(&mut values, percent));
        assert_eq!(found, [Some(100), Some(190), Some(198), Some(200)]);
        assert_eq!(percentile(&mut [7], 50), Some(7));
        assert_eq!(percentile(&mut [], 50), None);
    }

    #[test]
    fn rows_are_appended_under_one_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        append_row(&path, "a,b", "1,2").unwrap();
        append_row(&path, "a,b", "3,4").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n1,2\n3,4\n");
        assert!(append_row(&path, "a,c", "5,6").is_err());
    }
}
