//! What crates.io would get of each library crate: `cargo package --list`, looked through.
//!
//! | a package                                   | is wrong if                                    |
//! |---------------------------------------------|------------------------------------------------|
//! | has tests                                   | they stand on crates and files that it lacks   |
//! | has a file that is no source, beside        | none of its sources names it, or its folder    |
//! | cargo's own and the read-me                 |                                                |
//! | lacks what crates.io wants, or shows        | description, licence, read-me, edition, oldest |
//! |                                             | compiler: all but the first of the workspace   |
//! | is warned about by cargo                    | about anything but an address, as long as the  |
//! |                                             | workspace has no `repository`                  |
//!
//! Nothing is packed or sent. Programs for developers, examples and templates are no libraries.

use crate::command::{Mode, cargo};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Stdio;
use toml::{Table, Value};

/// Folders whose crates nobody takes from a registry.
const OF_DEVELOPERS: [&str; 7] =
    ["bench", "container/wasm/tests", "examples", "hostile", "sim", "templates", "xtask"];
/// What cargo puts into a package, and the workspace's read-me.
const EXPECTED: [&str; 5] =
    [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "README.md"];
/// Of these the workspace speaks for all.
const INHERITED: [&str; 4] = ["edition", "license", "readme", "rust-version"];
/// What cargo warns of while there is no public repository.
const NO_ADDRESS: &str = "warning: manifest has no documentation, homepage or repository";

/// Looks through the package of each library crate.
pub fn run(root: &Path, mode: Mode) -> Result<()> {
    let manifest: Table = read(&root.join("Cargo.toml"))?.parse()?;
    let members = manifest["workspace"].get("members").and_then(Value::as_array);
    let members: Vec<_> = members.into_iter().flatten().filter_map(Value::as_str).collect();
    let has_address = manifest["workspace"]
        .get("package")
        .is_some_and(|package| package.get("repository").is_some());
    let mut problems = Vec::new();
    let mut libraries = 0;
    for member in members.into_iter().filter(|member| is_library(root, member)) {
        libraries += 1;
        if mode == Mode::Run {
            let found = check(root, member, has_address)?;
            problems.extend(found.into_iter().map(|problem| format!("{member}: {problem}")));
        }
    }
    println!("cargo package --list of {libraries} library crates");
    problems.iter().for_each(|problem| println!("{problem}"));
    ensure!(problems.is_empty(), "{} problems", problems.len());
    Ok(())
}

fn is_library(root: &Path, member: &str) -> bool {
    let is_developers = OF_DEVELOPERS.iter().any(|folder| Path::new(member).starts_with(folder));
    !is_developers && root.join(member).join("src/lib.rs").exists()
}

fn check(root: &Path, member: &str, has_address: bool) -> Result<Vec<String>> {
    let folder = root.join(member);
    let manifest: Table = read(&folder.join("Cargo.toml"))?.parse()?;
    let package = manifest["package"].as_table().context("a package")?;
    let name = package["name"].as_str().context("a package has a name")?;
    // Without --allow-dirty it would list nothing before a commit.
    let mut list = cargo(root, &["package", "--list", "--offline", "--allow-dirty", "-p", name]);
    let listed = list.stdin(Stdio::null()).output().context("cannot start cargo")?;
    let warnings = String::from_utf8_lossy(&listed.stderr).into_owned();
    if !listed.status.success() {
        bail!("{member} cannot be listed: {warnings}");
    }
    let files = String::from_utf8(listed.stdout).context("file names are text")?;
    let files: Vec<_> = files.lines().collect();
    let mut problems = lacking(package);
    problems.extend(warned(&warnings, has_address));
    problems.extend(strays(&files, |file| std::fs::read_to_string(folder.join(file)).ok()));
    Ok(problems)
}

/// What the registry wants to show, and this package does not say.
fn lacking(package: &Table) -> Vec<String> {
    let description = package.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut problems = Vec::new();
    if description.trim().is_empty() {
        problems.push("write a `description` of one sentence".to_owned());
    }
    let is_inherited = |key: &&&str| {
        let value = package.get(**key).and_then(|value| value.get("workspace"));
        value.and_then(Value::as_bool) == Some(true)
    };
    let missing = INHERITED.iter().filter(|key| !is_inherited(key));
    problems.extend(missing.map(|key| format!("write `{key}.workspace = true`")));
    problems
}

fn warned(text: &str, has_address: bool) -> Vec<String> {
    let warnings = text.lines().filter(|line| line.starts_with("warning:"));
    warnings.filter(|line| has_address || *line != NO_ADDRESS).map(str::to_owned).collect()
}

/// Files that nothing in the package needs.
fn strays(files: &[&str], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let is_expected = |file: &&&str| EXPECTED.contains(*file) || **file == "build.rs";
    let (sources, others): (Vec<_>, Vec<_>) = files
        .iter()
        .filter(|file| !is_expected(file))
        .partition(|file| file.starts_with("src/") && file.ends_with(".rs"));
    let is_text = |file: &&&&str| !file.starts_with("tests/");
    let texts = sources.iter().chain(others.iter().filter(is_text));
    let texts: Vec<(&str, String)> = texts.filter_map(|it| Some((**it, read(it)?))).collect();
    let mut problems = Vec::new();
    for file in others {
        if file.starts_with("tests/") {
            let text = "it has tests: write `exclude = [\"/tests\"]`".to_owned();
            problems.extend(Some(text).filter(|text| !problems.contains(text)));
        } else if !texts.iter().any(|(by, text)| by != file && names(text, file)) {
            problems.push(format!("{file}: no source names it: remove it, or exclude it"));
        }
    }
    problems
}

/// True if a text names a file, or a folder that it is in.
fn names(text: &str, file: &str) -> bool {
    let mut parts = file.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let in_folder = |folder: &str| {
        text.contains(&format!("/{folder}/\"")) || text.contains(&format!("\"{folder}\""))
    };
    text.contains(name) || parts.filter(|part| *part != "src").any(in_folder)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stray(files: &[&str], text: &str) -> Vec<String> {
        strays(files, |file| file.ends_with(".rs").then(|| text.to_owned()))
    }

    #[test]
    fn sources_and_what_they_name_are_no_strays() {
        let files = ["Cargo.toml", "README.md", "src/lib.rs", "assets/app.css", "flows/a/b.xml"];
        let text = "include_str!(\"../assets/app.css\"); concat!(\"../flows/\", name)";
        assert_eq!(stray(&files, text), [""; 0]);
        assert_eq!(stray(&["src/lib.rs", "wit/sbb.wit"], "path: \"wit\""), [""; 0]);
    }

    #[test]
    fn tests_and_what_nobody_names_are_strays() {
        let files = [
            "src/lib.rs",
            "tests/a.rs",
            "tests/b.rs",
            "notes.txt",
            "src/lib.rs.orig",
            "clippy.toml",
        ];
        let problems = stray(&files, "//! Text.");
        assert_eq!(problems[0], "it has tests: write `exclude = [\"/tests\"]`");
        let of = |file: &&str| problems.iter().any(|it| it.starts_with(&format!("{file}: ")));
        assert!(files[3..].iter().all(of) && problems.len() == 4, "{problems:?}");
    }

    #[test]
    fn a_package_says_what_the_registry_shows() {
        let whole = "description = \"Text\"\nedition.workspace = true\nlicense.workspace = true\n\
                     readme.workspace = true\nrust-version.workspace = true\n";
        assert_eq!(lacking(&whole.parse().expect("a table")), [""; 0]);
        let own = "description = \" \"\nedition = \"2024\"\n";
        assert_eq!(lacking(&own.parse().expect("a table")).len(), 5);
    }

    #[test]
    fn cargo_may_warn_of_a_missing_address_until_there_is_one() {
        let text = format!("{NO_ADDRESS}\n  |\n  = note: see …\n");
        assert_eq!(warned(&text, false), [""; 0]);
        assert_eq!(warned(&text, true), [NO_ADDRESS]);
        assert_eq!(warned("warning: only one of `license` …\n", false).len(), 1);
    }
}
