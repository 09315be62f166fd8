//! Instructions and allocations of a program, as valgrind counts them: they hardly depend on what
//! else the machine does.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

/// Whether it is installed.
pub fn is_installed() -> bool {
    let mut command = Command::new("valgrind");
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Instructions of one run.
pub fn instructions(program: &Path, arguments: &[&str]) -> Result<u64> {
    let tool = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    number_behind(&run(&tool, program, arguments)?, "Collected : ")
}

/// Allocations of one run; the program must use the system's allocator.
pub fn allocations(program: &Path, arguments: &[&str]) -> Result<u64> {
    number_behind(&run(&["--tool=memcheck"], program, arguments)?, "total heap usage: ")
}

fn run(tool: &[&str], program: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("valgrind");
    command.args(tool).arg(program).args(arguments).stdin(Stdio::null());
    let output = command.output()?;
    ensure!(output.status.success(), "valgrind: {}", output.status);
    Ok(output)
}

fn number_behind(output: &Output, text: &str) -> Result<u64> {
    let said = String::from_utf8_lossy(&output.stderr);
    let found = said.lines().find_map(|line| line.split(text).nth(1));
    let found = found.with_context(|| format!("valgrind does not say \"{text}\""))?;
    let number = found.split_whitespace().next().unwrap_or_default().replace(',', "");
    Ok(number.parse()?)
}
