//! From the order to a service that is active: a unit is uploaded to a pair of nodes without calls,
//! by the command that an operator gives, and removed, and uploaded again.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{UNITS, unit_file};
use crate::bench::binaries;
use crate::figures::{append_row, load_average, percentile, stamp};
use crate::pair::{Pair, wait_until};

const HEADER: &str =
    "at,commit,load_average,shape,uploads,file_bytes,median_ms,shortest_ms,longest_ms";

/// What is uploaded.
const SERVICE: &str = "call-timer";
/// How long one upload, or its removal, may take on a busy machine.
const DONE_WITHIN: Duration = Duration::from_secs(120);
/// How often both servers are asked. `resilee ctl` itself asks five times a second.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Uploads each unit so many times, and prints how long that took.
pub fn run(root: &Path, uploads: u32) -> Result<()> {
    println!("\n| | file kB | upload to active: median/shortest/longest ms | load |");
    println!("|---|---|---|---|");
    for (shape, _) in UNITS {
        measure(root, shape, uploads)?;
    }
    Ok(())
}

fn measure(root: &Path, shape: &str, uploads: u32) -> Result<()> {
    let file = unit_file(root, shape);
    let text = file.to_str().context("the path of the workspace is no text")?;
    let file_bytes = fs::metadata(&file).with_context(|| format!("no {text}"))?.len();
    let folder = tempfile::tempdir()?;
    let mut pair = Pair::start(&binaries(root, None), folder.path())?;
    let load = load_average();
    let mut times = Vec::new();
    for _ in 0..uploads {
        let begin = Instant::now();
        pair.ctl(1, &["deploy", text, "--activate", "--yes"])?;
        wait_for_state(&mut pair, Some("active"))?;
        times.push(u64::try_from(begin.elapsed().as_millis())?);
        pair.ctl(1, &["service", "deactivate", SERVICE])?;
        pair.ctl(1, &["undeploy", SERVICE])?;
        wait_for_state(&mut pair, None)?;
    }
    ensure!(!times.is_empty(), "nothing was uploaded");
    let [median, shortest, longest] =
        [50, 0, 100].map(|percent| percentile(&mut times, percent).unwrap_or_default());
    println!("| {shape} | {} | {median}/{shortest}/{longest} | {load:.1} |", file_bytes / 1_000);
    let row = format!(
        "{},{load:.2},{shape},{uploads},{file_bytes},{median},{shortest},{longest}",
        stamp(root)
    );
    append_row(&root.join("bench/uploads.csv"), HEADER, &row)
}

/// Waits until both servers list the service in this state, or list it no more.
fn wait_for_state(pair: &mut Pair, state: Option<&str>) -> Result<()> {
    let what = format!("{SERVICE} is {} at both servers", state.unwrap_or("removed"));
    wait_until(&what, DONE_WITHIN, ASK_EVERY, || {
        for server in [1, 2] {
            ensure!(pair.is_up(server)?, "server {server} is dead");
            let services = pair.management(server).services()?;
            let found = services.iter().find(|service| service.name == SERVICE);
            if found.map(|service| service.state.as_str()) != state {
                return Ok(false);
            }
        }
        Ok(true)
    })
}
