//! `cargo xtask unit`: builds a service as a deployable unit, a file that is uploaded to a cluster
//! while it runs. What makes a unit of a crate is `resilee_guest::export!` in it; a service in
//! JavaScript is built in `javascript.rs`.

mod javascript;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;

use crate::command::cargo;

/// Shown by `cargo xtask unit --help`.
pub const HELP: &str = "\
A package of this workspace, the folder of a project that `cargo xtask new-service` wrote, or the
folder of a service in JavaScript, which has a package.json and a package-lock.json:

    cargo xtask unit call-guard
    cargo xtask unit ~/call-filter
    cargo xtask unit examples/office-hours

Rust's target wasm32-unknown-unknown is installed by rustup if it is missing. JavaScript needs
Node.js 18 and npm 7 or later; npm fetches what the lock file names. What the file may do, and what
keeps a node from taking it, is in docs/units.md.";

/// What Rust builds units for: WebAssembly, and no operating system.
const TARGET: &str = "wasm32-unknown-unknown";
/// The section of a module that says what it exports; `resilee_guest::export!` makes it.
const INTERFACE: &[u8] = b"component-type:";

/// What is built, and where it goes.
#[derive(Args)]
pub struct Options {
    /// A package of this workspace, or a folder with a Cargo.toml or a package.json
    #[arg(value_name = "PACKAGE|FOLDER")]
    pub what: String,
    /// Features of the package
    #[arg(long, value_name = "FEATURES")]
    pub features: Option<String>,
    /// The file to write [default: target/units/PACKAGE.wasm of the workspace that has it]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Builds the unit.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let folder = Path::new(&options.what);
    let is_rust = folder.join("Cargo.toml").is_file();
    let (bytes, place) = match !is_rust && folder.join(javascript::MANIFEST).is_file() {
        true => {
            let features = options.features.as_ref();
            ensure!(features.is_none(), "--features are of packages in Rust: leave them out");
            javascript::build(root, folder)?
        }
        false => build(root, options, is_rust.then_some(folder))?,
    };
    let into = options.out.as_ref().unwrap_or(&place);
    let folder = into.parent().context("a file is in a folder")?;
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(into, &bytes));
    written.with_context(|| format!("cannot write {}", into.display()))?;
    println!("{} has {} kB", into.display(), bytes.len().div_ceil(1024));
    Ok(())
}

/// Builds the unit of a package, of this workspace or of a folder's; its bytes, and where they go
/// unless somebody says otherwise.
fn build(root: &Path, options: &Options, folder: Option<&Path>) -> Result<(Vec<u8>, PathBuf)> {
    install_target()?;
    let mut build = cargo(folder.unwrap_or(root), &["rustc", "--lib", "--release"]);
    build.args(["--crate-type", "cdylib", "--target", TARGET]);
    build.arg("--message-format=json-render-diagnostics");
    if folder.is_none() {
        build.args(["--package", &options.what]);
    }
    build.args(options.features.iter().flat_map(|features| ["--features", features]));
    // It is copied to each node and compiled there: small counts for more than fast.
    let settings =
        [("OPT_LEVEL", "z"), ("LTO", "true"), ("CODEGEN_UNITS", "1"), ("STRIP", "symbols")];
    for (setting, value) in settings {
        build.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    let built = built(build)?;
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    ensure!(
        bytes.windows(INTERFACE.len()).any(|part| part == INTERFACE),
        "{} exports no service: write `#[cfg(target_arch = \"wasm32\")] \
         resilee_guest::export!(MyService);` into its lib.rs",
        options.what
    );
    Ok((bytes, default_place(&built)?))
}

/// `target/units/NAME.wasm` for `target/wasm32-unknown-unknown/release/NAME.wasm`.
fn default_place(built: &Path) -> Result<PathBuf> {
    let mut above = built.ancestors();
    let target = above.find(|path| path.ends_with(TARGET)).and_then(Path::parent);
    let target = target.with_context(|| format!("{} is in no target folder", built.display()))?;
    let name = built.file_name().context("cargo has built a folder")?;
    Ok(target.join("units").join(name.to_string_lossy().replace('_', "-")))
}

/// Runs a build; the module that it made.
fn built(mut build: Command) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let output = build.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo ended with {}: the service does not build for {TARGET}", output.status);
    }
    let messages = String::from_utf8(output.stdout).context("cargo does not write text")?;
    let read = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let mut files = read.flat_map(|message| message.filenames);
    let is_module = |file: &PathBuf| file.extension().is_some_and(|it| it == "wasm");
    files.rfind(is_module).context("cargo has built no module")
}

/// Has rustup install the target, unless it is there.
fn install_target() -> Result<()> {
    let rustup =
        |arguments: &[&str]| Command::new("rustup").args(arguments).stdin(Stdio::null()).output();
    let listed = match rustup(&["target", "list", "--installed"]) {
        Ok(listed) => listed,
        // Rust of a distribution: cargo says what is missing.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("cannot start rustup"),
    };
    if String::from_utf8_lossy(&listed.stdout).lines().any(|target| target.trim() == TARGET) {
        return Ok(());
    }
    println!("rustup target add {TARGET}");
    let added = rustup(&["target", "add", TARGET]).context("cannot start rustup")?;
    ensure!(
        added.status.success(),
        "rustup cannot install {TARGET}: {}",
        String::from_utf8_lossy(&added.stderr).trim()
    );
    Ok(())
}
