//! `cargo xtask bench-sip`: what one SIP message costs, beside `rsip`'s own parser and printer; and
//! what it costs the balancer.

use std::path::Path;

use anyhow::{Result, ensure};
use clap::Args;

use crate::bench::binaries;
use crate::command::build_programs;
use crate::figures::{append_row, load_average, stamp};
use crate::valgrind;

/// Shown by `cargo xtask bench-sip --help`.
pub const HELP: &str = "\
Instructions (callgrind) and allocations of an INVITE of 933 bytes and a BYE of 464: to index it;
to index it, change it as a proxy does (Request-URI, Max-Forwards, Max-Breadth, Record-Route, Via)
and write it; and the same with rsip. Then what the balancer takes to send on the INVITE (each of a
new call), its 200 (933 bytes) and the BYE (480, with a Route), without sockets and the worker's
lock. Each figure is the difference of two runs. Needs valgrind.
Rows go to bench/sip.csv.";

const HEADER: &str = "at,commit,load_average,what,message,instructions,allocations";

/// How often the message is worked on in the shorter run; in the longer one twice as often.
const TIMES: u64 = 1_000;

/// What is measured.
#[derive(Args)]
pub struct Options {}

/// Builds the program and measures.
pub fn run(root: &Path, _options: &Options) -> Result<()> {
    ensure!(valgrind::is_installed(), "install valgrind: it counts the instructions");
    build_programs(root, &["resilee-bench-sip"])?;
    let program = binaries(root, None).join("resilee-bench-sip");
    println!("| | message | instructions | allocations |\n|---|---|---|---|");
    let alone = ["index", "forward", "rsip-parse", "rsip-forward"];
    let alone = ["invite", "bye"].map(|message| alone.map(|what| (what, message)));
    let balanced = ["invite", "answer", "bye"].map(|message| ("balance", message));
    for (what, message) in alone.into_iter().flatten().chain(balanced) {
        let of = |count: fn(&Path, &[&str]) -> Result<u64>| -> Result<u64> {
            let (once, twice) = (TIMES.to_string(), (2 * TIMES).to_string());
            let less = count(&program, &[what, message, &once])?;
            Ok((count(&program, &[what, message, &twice])? - less) / TIMES)
        };
        let instructions = of(valgrind::instructions)?;
        let allocations = of(valgrind::allocations)?;
        println!("| {what} | {message} | {instructions} | {allocations} |");
        let load = load_average();
        let row =
            format!("{},{load:.2},{what},{message},{instructions},{allocations}", stamp(root));
        append_row(&root.join("bench/sip.csv"), HEADER, &row)?;
    }
    Ok(())
}
