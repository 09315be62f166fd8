//! The programs of the system that the tests of a step need, and how a missing one is met.
//!
//! | missing, and …                | then                                                  |
//! |-------------------------------|-------------------------------------------------------|
//! | root on Debian                | apt-get installs its package; still missing: as below |
//! | `CI=true`                     | failure that names it                                 |
//! | otherwise                     | a loud line; its tests are told to leave it out       |
//!
//! What the tests do with a program is not here.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{Mode, run as run_command};
use crate::full_test::TestStep;

/// One program: its name on the search path, the Debian package that brings it, and the steps whose
/// tests need it.
struct Program {
    name: &'static str,
    package: &'static str,
    steps: &'static [TestStep],
}

const BOTH: &[TestStep] = &[TestStep::Crates, TestStep::EndToEnd];
const END_TO_END: &[TestStep] = &[TestStep::EndToEnd];

const PROGRAMS: [Program; 8] = [
    // Services in JavaScript.
    Program { name: "node", package: "nodejs", steps: BOTH },
    Program { name: "npm", package: "npm", steps: BOTH },
    Program { name: "sipp", package: "sip-tester", steps: END_TO_END },
    Program { name: "baresip", package: "baresip", steps: END_TO_END },
    Program { name: "chromium", package: "chromium", steps: END_TO_END },
    Program { name: "chromedriver", package: "chromium-driver", steps: END_TO_END },
    Program { name: "ip", package: "iproute2", steps: END_TO_END },
    Program { name: "iptables", package: "iptables", steps: END_TO_END },
];

/// Provides the programs of the steps that are run; returns the names of those whose tests must be
/// left out.
pub fn provide(is_run: impl Fn(TestStep) -> bool, mode: Mode) -> Result<Vec<&'static str>> {
    let needed = needed_by(is_run);
    let left_out: Vec<_> = needed.iter().copied().filter(|program| is_left_out(program)).collect();
    let mut missing = missing_of(&needed);
    if !missing.is_empty() && may_install() {
        if let Err(error) = install(&missing, mode) {
            println!("apt-get did not install them: {error:#}");
        }
        missing = match mode {
            Mode::Run => missing_of(&needed),
            Mode::Print => Vec::new(),
        };
    }
    decide(&needed, &names(&missing), &names(&left_out), Place::of_this_run())
}

/// The programs that any of the steps needs which are run.
fn needed_by(is_run: impl Fn(TestStep) -> bool) -> Vec<&'static Program> {
    let is_needed = |program: &&Program| program.steps.iter().any(|step| is_run(*step));
    PROGRAMS.iter().filter(is_needed).collect()
}

/// The variable that tells the tests to leave a program out.
pub fn skip_variable(program: &str) -> String {
    format!("RESILEE_SKIP_{}", program.to_ascii_uppercase())
}

/// Who is waiting for the tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Continuous integration: nothing is left out unseen.
    Ci,
    /// A person who reads the loud line.
    Desk,
}

impl Place {
    fn of_this_run() -> Self {
        match env::var("CI") {
            Ok(ci) if ci == "true" || ci == "1" => Self::Ci,
            _ => Self::Desk,
        }
    }
}

/// Failure or loud lines, from what is missing and what was left out by hand.
fn decide(
    needed: &[&'static Program],
    missing: &[&'static str],
    left_out: &[&'static str],
    place: Place,
) -> Result<Vec<&'static str>> {
    if place == Place::Ci {
        if let Some(program) = left_out.first() {
            bail!("with CI=true nothing may be left out: unset {}", skip_variable(program));
        }
        if !missing.is_empty() {
            bail!("with CI=true these programs must be there: {}", missing.join(", "));
        }
    }
    let mut skipped = Vec::new();
    for program in needed {
        let reason = if left_out.contains(&program.name) {
            "is left out by hand"
        } else if missing.contains(&program.name) {
            "IS MISSING"
        } else {
            println!("{}: found", program.name);
            continue;
        };
        println!(
            "{} {reason}: its tests are SKIPPED ({}=1). It comes with Debian's package {}.",
            program.name,
            skip_variable(program.name),
            program.package
        );
        skipped.push(program.name);
    }
    Ok(skipped)
}

fn names(programs: &[&Program]) -> Vec<&'static str> {
    programs.iter().map(|program| program.name).collect()
}

fn is_left_out(program: &Program) -> bool {
    env::var_os(skip_variable(program.name)).is_some_and(|value| value == "1")
}

fn missing_of(needed: &[&'static Program]) -> Vec<&'static Program> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there =
        |name: &str| env::split_paths(&path).any(|folder| is_program(&folder.join(name)));
    needed.iter().copied().filter(|program| !is_there(program.name)).collect()
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Root on Debian; the owner of `/proc/self` is the user this process acts as.
fn may_install() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    is_root && Path::new("/etc/debian_version").exists() && is_program(Path::new(APT_GET))
}

const APT_GET: &str = "/usr/bin/apt-get";

fn install(missing: &[&Program], mode: Mode) -> Result<()> {
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    println!("Installing by apt-get, as root on Debian: {}", packages.join(" "));
    run_command(apt_get(&["update"]), mode)?;
    let mut command = apt_get(&["install", "--yes", "--no-install-recommends"]);
    command.args(packages);
    run_command(command, mode)
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new(APT_GET);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["-qq", "-o", "Acquire::Retries=3", "-o", "Dpkg::Use-Pty=0"]).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide_of_all(
        missing: &[&'static str],
        left_out: &[&'static str],
        place: Place,
    ) -> Result<Vec<&'static str>> {
        decide(&PROGRAMS.iter().collect::<Vec<_>>(), missing, left_out, place)
    }

    #[test]
    fn with_everything_there_nothing_is_skipped() {
        assert_eq!(decide_of_all(&[], &[], Place::Ci).unwrap(), Vec::<&str>::new());
        assert_eq!(decide_of_all(&[], &[], Place::Desk).unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn a_missing_program_fails_ci_by_name() {
        let error = decide_of_all(&["baresip"], &[], Place::Ci).unwrap_err();
        assert!(error.to_string().contains("baresip"), "{error}");
    }

    #[test]
    fn a_missing_program_is_skipped_at_the_desk() {
        assert_eq!(
            decide_of_all(&["baresip"], &["sipp"], Place::Desk).unwrap(),
            ["sipp", "baresip"]
        );
    }

    #[test]
    fn nothing_is_left_out_by_hand_in_ci() {
        let error = decide_of_all(&[], &["chromium"], Place::Ci).unwrap_err();
        assert!(error.to_string().contains("RESILEE_SKIP_CHROMIUM"), "{error}");
    }

    #[test]
    fn services_in_javascript_are_built_in_both_steps() {
        for step in [TestStep::Crates, TestStep::EndToEnd] {
            let needed = names(&needed_by(|run| run == step));
            assert!(needed.contains(&"node") && needed.contains(&"npm"), "{needed:?}");
        }
        assert_eq!(names(&needed_by(|run| run == TestStep::Crates)), ["node", "npm"]);
        assert!(needed_by(|run| run == TestStep::Seeds).is_empty());
    }

    #[test]
    fn only_an_executable_file_is_a_program() {
        assert!(is_program(Path::new("/bin/sh")));
        assert!(!is_program(Path::new("/bin")));
        assert!(!is_program(Path::new("/bin/no-such-program")));
    }
}
