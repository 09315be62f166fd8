//! `cargo xtask new-service`: writes a project with a service of one's own.
//!
//! The project is `templates/service`, a member of this workspace that is tested like the others:
//! its names are replaced, and what it takes from the workspace is written out. Nothing is built.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use toml::{Table, Value};

/// Shown by `cargo xtask new-service --help`.
pub const HELP: &str = "\
The project builds and its tests pass as they are:

    cargo xtask new-service call-filter --into ~/call-filter
    cd ~/call-filter
    cargo test
    cargo run

It names Resilee's crates by their path in this checkout, or, with --git, by a repository.";

/// Files of the template but its manifest, with what they are called in the project.
const FILES: [(&str, &str); 5] = [
    ("README.md", include_str!("../../templates/service/README.md")),
    ("node.toml", include_str!("../../templates/service/node.toml")),
    ("src/lib.rs", include_str!("../../templates/service/src/lib.rs")),
    ("src/main.rs", include_str!("../../templates/service/src/main.rs")),
    ("tests/calls.rs", include_str!("../../templates/service/tests/calls.rs")),
];
const MANIFEST: &str = include_str!("../../templates/service/Cargo.toml");

/// Bytes of a name: it becomes one of files, tables and metrics.
const NAME_BYTES_MAX: usize = 64;
/// What a crate cannot be called, though it has the form of a name: crates of the compiler's own,
/// and keywords, also those that are kept for later.
const RESERVED: &str = "alloc core proc-macro std test \
    abstract as async await become box break const continue crate do dyn else enum extern false \
    final fn for gen if impl in let loop macro match mod move mut override priv pub ref return \
    self static struct super trait true try type typeof unsafe unsized use virtual where while \
    yield";

/// What to do about a name.
const ANOTHER: &str = "choose another name, like call-filter";

/// What is written, and where.
#[derive(Args)]
pub struct Options {
    /// Name of the service, of its crate and of its folder: small letters, digits and hyphens
    name: String,
    /// The folder to make [default: NAME in the current one]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Take Resilee's crates from this repository instead of this checkout
    #[arg(long, value_name = "URL")]
    git: Option<String>,
}

/// Writes the project.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    check_name(&options.name)?;
    let into = options.into.clone().unwrap_or_else(|| PathBuf::from(&options.name));
    ensure!(
        !into.exists(),
        "{} exists: name another folder with --into, or remove it",
        into.display()
    );
    let workspace = fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let manifest = manifest(&options.name, root, &workspace, options.git.as_deref())?;
    let write = |path: &str, text: &[u8]| -> Result<()> {
        let path = into.join(path);
        let folder = path.parent().expect("a file is in a folder");
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("cannot write {}", path.display()))
    };
    write("Cargo.toml", manifest.as_bytes())?;
    // The versions with which this checkout is tested.
    write("Cargo.lock", &fs::read(root.join("Cargo.lock"))?)?;
    write(".gitignore", b"/target\n/data\n/cluster.key\n/admin.token\n")?;
    for secret in ["cluster.key", "admin.token"] {
        write(secret, format!("{}\n", random_key()?).as_bytes())?;
    }
    for (path, text) in FILES {
        write(path, renamed(text, &options.name).as_bytes())?;
    }
    let folder = into.display();
    println!("{folder} has a service and its tests. Next:\n\n    cd {folder}\n    cargo test\n");
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = !name.ends_with('-') && !name.contains("--");
    if !(begins && ends && name.chars().all(fits) && name.len() <= NAME_BYTES_MAX) {
        bail!(
            "{name:?} is no name for a service: write small letters, digits and single hyphens, \
             beginning with a letter, {NAME_BYTES_MAX} bytes at most, like call-filter"
        );
    }
    let is_reserved = RESERVED.split_whitespace().any(|reserved| reserved == name);
    ensure!(!is_reserved, "a crate cannot be called {name}: {ANOTHER}");
    let needs = |line: &str| line.split(['.', ' ']).next() == Some(name);
    ensure!(!MANIFEST.lines().any(needs), "{name} is a crate that the service needs: {ANOTHER}");
    let of_type = of_type(name);
    let code = FILES.iter().filter(|(path, _)| path.ends_with(".rs"));
    let lines = code.flat_map(|(_, text)| text.lines().map(str::trim_start));
    let is_word = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == of_type)
    };
    let is_taken = lines.filter(|line| !line.starts_with("//")).any(is_word);
    ensure!(!is_taken, "{of_type} is something else in its source: {ANOTHER}");
    Ok(())
}

/// The name of its type.
fn of_type(name: &str) -> String {
    let capital = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    name.split('-').map(capital).collect()
}

/// A text of the template with the names of the new service.
fn renamed(text: &str, name: &str) -> String {
    let words: Vec<_> = name.split('-').collect();
    let sentence = words.join(" ");
    let at_start = format!("{}{}", sentence[..1].to_uppercase(), &sentence[1..]);
    text.replace("my-service", name)
        .replace("my_service", &words.join("_"))
        .replace("MyService", &of_type(name))
        .replace("My service", &at_start)
        .replace("my service", &sentence)
}

/// The manifest, with all that the template takes from the workspace.
fn manifest(name: &str, root: &Path, workspace: &Table, git: Option<&str>) -> Result<String> {
    let shared = |table: &str| -> Result<Table> {
        let shared = workspace["workspace"].get(table).and_then(Value::as_table);
        shared.cloned().with_context(|| format!("the workspace has no {table}"))
    };
    let (package, dependencies) = (shared("package")?, shared("dependencies")?);
    let mut lines = Vec::new();
    for line in MANIFEST.lines() {
        lines.push(match line.trim_end().strip_suffix(".workspace = true") {
            Some(key) if package.contains_key(key) => format!("{key} = {}", package[key]),
            Some(key) => {
                let dependency = dependencies.get(key);
                let dependency = dependency.with_context(|| format!("nobody declares {key}"))?;
                format!("{key} = {}", written_out(dependency, root, git))
            }
            None => line.to_owned(),
        });
    }
    let text = lines.join("\n").replace("[lints]\nworkspace = true\n\n", "");
    // Without it each dependency is built with all that a debugger could ask: that takes long.
    let mut dev =
        workspace["profile"].get("dev").context("the workspace has no profile.dev")?.clone();
    // To optimize what compiles units doubles the first build, and its tests compile none.
    if let Some(packages) = dev.get_mut("package").and_then(Value::as_table_mut) {
        packages.retain(|package, _| package == "*");
    }
    let profile: Table = [("dev".to_owned(), dev)].into_iter().collect();
    let profile: Table = [("profile".to_owned(), Value::Table(profile))].into_iter().collect();
    Ok(format!("{}\n\n[workspace]\n\n{profile}", renamed(&text, name)))
}

/// A dependency of the workspace, as a project outside declares it.
fn written_out(dependency: &Value, root: &Path, git: Option<&str>) -> Value {
    let Some(path) = dependency.get("path").and_then(Value::as_str) else {
        return dependency.clone();
    };
    let (key, value) = match git {
        Some(url) => ("git", url.to_owned()),
        None => ("path", root.join(path).display().to_string()),
    };
    Value::Table([(key.to_owned(), Value::String(value))].into_iter().collect())
}

/// A secret: 32 random bytes, in hexadecimal digits.
fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.context("cannot read /dev/urandom, for a secret")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_this_workspace(git: Option<&str>) -> String {
        let root = crate::workspace_root();
        let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
        manifest("call-filter", &root, &workspace, git).unwrap()
    }

    #[test]
    fn a_name_is_that_of_a_crate() {
        for name in ["a", "call-filter", "x2"] {
            check_name(name).unwrap();
        }
        for name in ["", "Call", "2x", "a--b", "a-", "-a", "a_b", "test", "match", "async"] {
            check_name(name).unwrap_err();
        }
        check_name(&"x".repeat(65)).unwrap_err();
    }

    /// It would be there twice.
    #[test]
    fn a_name_is_none_of_what_the_source_has_already() {
        for name in ["context", "event", "invite", "ended", "option", "sbb", "test-cluster"] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains("something else in its source: choose another"), "{error}");
        }
        for name in ["serde", "resilee-sbb", "resilee-node"] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains("is a crate that the service needs"), "{error}");
        }
    }

    #[test]
    fn the_manifest_needs_no_workspace() {
        let manifest = of_this_workspace(None);
        let table: Table = manifest.parse().unwrap();
        assert_eq!(table["package"]["name"].as_str(), Some("call-filter"));
        let sbb = table["dependencies"]["resilee-sbb"]["path"].as_str().unwrap();
        assert!(Path::new(sbb).join("Cargo.toml").is_file(), "{sbb}");
        assert!(!manifest.contains(".workspace") && !manifest.contains("[lints]"), "{manifest}");
        let workspace: Table = fs::read_to_string(crate::workspace_root().join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        let (dev, of_workspace) = (&table["profile"]["dev"], &workspace["profile"]["dev"]);
        assert_eq!(dev["debug"], of_workspace["debug"]);
        assert_eq!(dev["package"].as_table().map(Table::len), Some(1), "no package is optimized");
        assert_eq!(dev["package"]["*"], of_workspace["package"]["*"]);
        let git = of_this_workspace(Some("https://example.com/resilee.git"));
        let url = "resilee-node = { git = \"https://example.com/resilee.git\" }";
        assert!(git.contains(url), "{git}");
        assert!(!git.contains("path = "), "{git}");
    }

    #[test]
    fn nothing_is_called_as_the_template_is() {
        for (path, text) in FILES {
            let text = renamed(text, "call-filter").to_lowercase();
            for word in ["my-service", "my_service", "myservice", "my service"] {
                assert!(!text.contains(word), "{path} has {word:?}");
            }
        }
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let root = crate::workspace_root();
        let options = Options { name: "x".to_owned(), into: Some(root.join("xtask")), git: None };
        let error = run(&root, &options).unwrap_err().to_string();
        assert!(error.contains("exists"), "{error}");
    }
}
