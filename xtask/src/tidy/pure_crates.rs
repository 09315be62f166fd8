//! A pure crate has no clock, thread, socket, lock or random number, and cannot get them.
//!
//! Its `clippy.toml` bans the standard library's; its `Cargo.toml` depends on no crate that brings
//! them. Only what it names itself is looked at: what a dependency does inside is not.

use toml::{Table, Value};

use super::source_tree::{Problem, SourceFile, SourceTree};

/// The crates that decide; those that act are not here.
const PURE_CRATES: [&str; 14] = [
    "container/sbb",
    "container/sip-api",
    "container/http-api",
    "container/membership",
    "container/core",
    "container/sip-proto",
    "container/sip-ra",
    "container/http-ra",
    "services/call-billing",
    "services/call-control",
    "services/registrar",
    "sim",
    "test-kit",
    "test-slee",
];

/// What each `clippy.toml` bans, whatever it bans besides.
const BANS: [(&str, &[&str]); 2] = [
    (
        "disallowed-methods",
        &[
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "std::thread::spawn",
            "std::thread::sleep",
        ],
    ),
    (
        "disallowed-types",
        &[
            "std::collections::HashMap",
            "std::collections::HashSet",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::net::UdpSocket",
            "std::net::TcpStream",
        ],
    ),
];

/// Crates, and with them all whose names go on with `-` or `_`.
const IMPURE_DEPENDENCIES: [&str; 9] =
    ["actix", "fastrand", "getrandom", "mio", "ractor", "rand", "sled", "socket2", "tokio"];

/// Finds pure crates that are not.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    PURE_CRATES.iter().flat_map(|folder| check_crate(tree, folder)).collect()
}

fn check_crate(tree: &SourceTree, folder: &str) -> Vec<Problem> {
    let manifest = format!("{folder}/Cargo.toml");
    let clippy = format!("{folder}/clippy.toml");
    let mut problems = match tree.file(&clippy) {
        Some(file) => check_bans(file),
        None => vec![missing(clippy, "a pure crate has a clippy.toml that says what it bans")],
    };
    problems.extend(match tree.file(&manifest) {
        Some(file) => check_dependencies(file),
        None => vec![missing(manifest, "no such crate: correct the list of pure crates in xtask")],
    });
    problems
}

fn missing(path: String, message: &str) -> Problem {
    Problem { path, line: 1, message: message.to_owned() }
}

fn check_bans(file: &SourceFile) -> Vec<Problem> {
    let table: Table = match file.text.parse() {
        Ok(table) => table,
        Err(error) => return vec![file.problem(1, error.to_string())],
    };
    let mut problems = Vec::new();
    for (key, paths) in BANS {
        let banned = table.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let path_of = |ban: &Value| ban.get("path").unwrap_or(ban).as_str().map(str::to_owned);
        let bans = |path: &str| banned.iter().any(|ban| path_of(ban).as_deref() == Some(path));
        for path in paths.iter().filter(|path| !bans(path)) {
            problems.push(file.problem(1, format!("`{key}` must name {path}")));
        }
    }
    problems
}

fn check_dependencies(file: &SourceFile) -> Vec<Problem> {
    let table: Table = match file.text.parse() {
        Ok(table) => table,
        Err(error) => return vec![file.problem(1, error.to_string())],
    };
    let mut problems = Vec::new();
    for name in dependencies(&table).into_iter().filter(|name| is_impure(name)) {
        let line = file.lines().find(|(_, line)| line.trim_start().starts_with(name.as_str()));
        let message = format!("a pure crate does not depend on {name}");
        problems.push(file.problem(line.map_or(1, |(number, _)| number), message));
    }
    problems
}

/// The packages of all tables of dependencies, also those of one target, by their real names.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            for (name, dependency) in table {
                let renamed = dependency.get("package").and_then(Value::as_str);
                names.push(renamed.unwrap_or(name).to_owned());
            }
        } else if key == "target" {
            names.extend(table.values().filter_map(Value::as_table).flat_map(dependencies));
        }
    }
    names
}

fn is_impure(name: &str) -> bool {
    IMPURE_DEPENDENCIES.iter().any(|impure| {
        name.strip_prefix(impure)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clippy_toml() -> String {
        BANS.iter().map(|(key, paths)| format!("{key} = {paths:?}\n")).collect()
    }

    fn problems(manifest: &str, clippy: &str) -> Vec<Problem> {
        let files = [("sim/Cargo.toml", manifest), ("sim/clippy.toml", clippy)];
        check_crate(&SourceTree::of(&files), "sim")
    }

    #[test]
    fn a_pure_crate_passes() {
        assert_eq!(
            problems("[dependencies]\nserde = \"1\"\nrandom-x = \"1\"\n", &clippy_toml()),
            []
        );
    }

    #[test]
    fn a_crate_without_its_files_fails() {
        assert_eq!(check_crate(&SourceTree::of(&[]), "sim").len(), 2);
    }

    #[test]
    fn a_ban_that_is_left_out_fails() {
        let found = problems("", &clippy_toml().replace("std::sync::Mutex", "a::B"));
        assert_eq!(found[0].message, "`disallowed-types` must name std::sync::Mutex");
    }

    #[test]
    fn a_ban_with_a_reason_counts() {
        let with_reason = "{ path = \"std::sync::Mutex\", reason = \"none\" }";
        assert_eq!(problems("", &clippy_toml().replace("\"std::sync::Mutex\"", with_reason)), []);
    }

    #[test]
    fn an_impure_dependency_fails_wherever_it_stands() {
        for manifest in [
            "[dependencies]\ntokio.workspace = true\n",
            "[dev-dependencies]\nrand_core = \"1\"\n",
            "[dependencies]\nstore = { package = \"sled\", version = \"0\" }\n",
            "[target.'cfg(unix)'.dependencies]\nactix-web = \"4\"\n",
        ] {
            assert_eq!(problems(manifest, &clippy_toml()).len(), 1, "{manifest}");
        }
    }
}
