//! A unit of a service in JavaScript: npm fetches what its lock file names, and componentize-qjs,
//! which is among that, makes a component of it, with the interpreter QuickJS within.
//!
//! The placeholders of WASI that it has do nothing but trap: a unit reaches nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// What names a service in JavaScript, beside its Cargo.toml in a folder of one in Rust.
pub const MANIFEST: &str = "package.json";

/// What is read of it.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    #[serde(default = "index")]
    main: String,
}

fn index() -> String {
    "index.js".to_owned()
}

/// A program that is needed: the first version that does, and what it is wanted for.
struct Needed {
    program: &'static str,
    major_min: u32,
}

/// The first that componentize-qjs and lock files of today run with.
const NEEDED: [Needed; 2] =
    [Needed { program: "node", major_min: 18 }, Needed { program: "npm", major_min: 7 }];

/// Where the bindings to a node are described, in this repository.
const INTERFACE: &str = "container/guest/wit";
/// Made by npm of the package of that name.
const COMPONENTIZE: &str = "node_modules/componentize-qjs/bin/componentize-qjs";

/// What is componentized. componentize-qjs does not look whether there is what a unit exports.
const ENTRY: &str = "node_modules/.unit.js";

fn entry_of(main: &str) -> String {
    let wrong = format!("{main} exports no service: write `export const unit = service(...)`");
    format!(
        "import * as main from \"../{main}\";\n\
         if (typeof main.unit?.deliver !== \"function\") throw new Error({wrong:?});\n\
         export const unit = main.unit;\n"
    )
}

/// Builds the unit of a folder; its bytes, and where they go unless somebody says otherwise.
pub fn build(root: &Path, folder: &Path) -> Result<(Vec<u8>, PathBuf)> {
    let shown = folder.display();
    let folder = folder.canonicalize().with_context(|| format!("cannot find {shown}"))?;
    let manifest = Manifest::read(&folder)?;
    for needed in &NEEDED {
        needed.check(&version_of(needed.program)?)?;
    }
    ensure!(
        folder.join("package-lock.json").is_file(),
        "{shown} has no package-lock.json: run `npm install` there once, and keep the file"
    );
    let mut npm = Command::new("npm");
    // Scripts of packages would run on this machine; none that is needed has any.
    npm.args(["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]);
    run(npm.current_dir(&folder), "npm has not fetched what package-lock.json names")?;
    let made = folder.join(COMPONENTIZE);
    ensure!(
        made.is_file(),
        "{shown} does not depend on resilee-guest: add \"resilee-guest\": \"file:{}\" to the \
         dependencies in its package.json, \"install-links=true\" to its .npmrc, and run \
         `npm install` there",
        root.join("container/guest-js").display()
    );
    let (entry, out) = (folder.join(ENTRY), folder.join("node_modules/.unit.wasm"));
    fs::write(&entry, entry_of(&manifest.main))
        .with_context(|| format!("cannot write {}", entry.display()))?;
    let mut node = Command::new("node");
    node.arg(&made).args(["--opt-size", "--sync", "--stub-wasi", "--module-root", "."]);
    node.args(["--js", ENTRY, "--output"]).arg(&out);
    node.arg("--wit").arg(root.join(INTERFACE));
    run(node.current_dir(&folder), "the service does not build")?;
    let bytes = fs::read(&out).with_context(|| format!("cannot read {}", out.display()))?;
    let root = root.canonicalize().with_context(|| format!("cannot find {}", root.display()))?;
    let workspace = if folder.starts_with(&root) { &root } else { &folder };
    let name = manifest.name.rsplit('/').next().unwrap_or_default();
    Ok((bytes, workspace.join("target/units").join(name).with_extension("wasm")))
}

impl Manifest {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let shown = path.display();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        let manifest: Manifest = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is not as npm wants it, with a name"))?;
        ensure!(
            folder.join(&manifest.main).is_file(),
            "{shown} names {:?} as main, and there is no such file: name the one that exports \
             `unit`",
            manifest.main
        );
        Ok(manifest)
    }
}

impl Needed {
    /// Says whether what a program answers to `--version` is enough.
    fn check(&self, version: &str) -> Result<()> {
        let Needed { program, major_min } = self;
        let number = version.trim().trim_start_matches('v');
        let major = number.split('.').next().and_then(|major| major.parse::<u32>().ok());
        let major =
            major.with_context(|| format!("{program} --version says {version:?}: no version"))?;
        ensure!(
            major >= *major_min,
            "{program} {number} is too old: a service in JavaScript needs {major_min} or later"
        );
        Ok(())
    }
}

fn version_of(program: &str) -> Result<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "{program} is missing: a service in JavaScript is built by Node.js and npm (of Debian: \
             apt-get install nodejs npm)"
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot start {program}")),
    };
    ensure!(output.status.success(), "{program} --version ended with {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{program} does not write text"))
}

/// Runs a program; what it says is shown only if it fails.
fn run(command: &mut Command, failure: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{failure}: {program} ended with {}\n{}", output.status, String::from_utf8_lossy(&said));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_too_old_is_named_with_what_is_needed() {
        let [node, npm] = &NEEDED;
        node.check("v20.20.2\n").expect("new enough");
        npm.check("11.19.1").expect("new enough");
        let error = node.check("v16.3.0\n").unwrap_err().to_string();
        let text = "node 16.3.0 is too old: a service in JavaScript needs 18 or later";
        assert_eq!(error, text);
        assert!(npm.check("six").unwrap_err().to_string().contains("no version"));
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_where_it_comes_from() {
        let error = version_of("resilee-no-such-program").unwrap_err().to_string();
        assert!(error.starts_with("resilee-no-such-program is missing: "), "{error}");
        assert!(error.contains("apt-get install nodejs npm"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_built_is_refused_with_what_to_do() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let folder = tempfile::tempdir().expect("a folder");
        let error = || format!("{:#}", build(root, folder.path()).unwrap_err());
        let write = |name, text| fs::write(folder.path().join(name), text).expect("a file");
        assert!(error().contains("cannot read"), "{}", error());
        write(MANIFEST, r#"{"main": "a.js"}"#);
        assert!(error().contains("with a name"), "{}", error());
        write(MANIFEST, r#"{"name": "a", "main": "a.js"}"#);
        assert!(error().contains("name the one that exports `unit`"), "{}", error());
    }
}
