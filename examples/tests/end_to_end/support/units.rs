//! Units as a developer builds them, and orders as an operator gives them.

use super::cluster::Cluster;
use super::condition::{SOON, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What proves that an order may be given.
pub const TOKEN: [&str; 2] = ["--token-file", "admin.token"];

/// Builds the service of `package` that `features` choose, into a file of this name.
#[track_caller]
pub fn unit(folder: &Path, name: &str, package: &str, features: &[&str]) -> PathBuf {
    let out = folder.join(name).with_extension("wasm");
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    build.args(["xtask", "unit", package, "--out"]).arg(&out).args(features);
    let output = build.stdin(Stdio::null()).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

/// What comes of an order that is carried out.
#[track_caller]
pub fn order(cluster: &Cluster, server: usize, words: &[&str]) -> String {
    let words = [words, &TOKEN].concat();
    cluster.ctl(server, &words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// Builds the service and has it deployed and activated, as an operator would.
#[track_caller]
pub fn deploy(cluster: &Cluster, name: &str, package: &str, features: &[&str]) {
    let file = unit(cluster.folder(), name, package, features);
    let file = file.to_str().expect("a name as text");
    println!("{}", order(cluster, 1, &["deploy", file, "--yes", "--activate"]));
}

/// A service says this in its trace, at one of these servers.
#[track_caller]
pub fn wait_for_trace(cluster: &Cluster, at: &[&str], service: &str, says: &str) {
    let tracer = format!("tracer=\"{service}\"");
    let logs = || at.iter().map(|name| cluster.folder().join(format!("{name}.log")));
    wait_until(&format!("{service} says {says:?} at {at:?}"), SOON, || {
        let texts = logs().map(|log| fs::read_to_string(log).unwrap_or_default());
        let is_it = |line: &str| line.contains(says) && line.contains(&tracer);
        texts.into_iter().any(|text| text.lines().any(is_it))
    });
}
