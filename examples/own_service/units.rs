//! Where the two units come from: built from their source as a user builds them, or given.

use anyhow::{Context, bail, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The package that both are built of.
const PACKAGE: &str = "call-screening";
/// The feature with which it exports its second version.
const SECOND: &str = "version-2";
/// The repository that this example was built in.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The files of both versions.
#[derive(Debug)]
pub struct Units {
    /// Version 1.0.
    pub first: PathBuf,
    /// Version 2.0.
    pub second: PathBuf,
}

impl Units {
    /// Those in a folder, once they are there.
    fn in_folder(folder: &Path) -> Self {
        let first = folder.join("call-screening.wasm");
        Units { first, second: folder.join("call-screening-2.wasm") }
    }

    /// Those that were built before.
    pub fn given(folder: &Path) -> anyhow::Result<Self> {
        let units = Units::in_folder(folder);
        for file in [&units.first, &units.second] {
            ensure!(
                file.is_file(),
                "{} is not there: --units names a folder with both units, see \
                 examples/own_service/README.md",
                file.display()
            );
        }
        Ok(units)
    }

    /// Builds both into a folder; the commands are told.
    pub async fn build(folder: &Path, mut tell: impl FnMut(String)) -> anyhow::Result<Self> {
        let units = Units::in_folder(folder);
        build(&units.first, None, &mut tell).await?;
        build(&units.second, Some(SECOND), &mut tell).await?;
        Ok(units)
    }
}

async fn build(
    out: &Path,
    features: Option<&str>,
    tell: &mut impl FnMut(String),
) -> anyhow::Result<()> {
    let mut words = vec!["xtask", "unit", PACKAGE];
    words.extend(features.iter().flat_map(|features| ["--features", features]));
    let name = out.file_name().unwrap_or_default().display();
    tell(format!("$ cargo {} --out {name}", words.join(" ")));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(REPOSITORY).args(words).arg("--out").arg(out);
    // A story that is interrupted leaves no compiler behind.
    cargo.stdin(Stdio::null()).kill_on_drop(true);
    let built = cargo.output().await.with_context(|| {
        format!("cannot start cargo in {REPOSITORY}: build the units elsewhere and give --units")
    })?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        bail!("cargo xtask unit ended with {}:\n{}", built.status, said.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Units::given(folder.path()).unwrap_err().to_string();
        assert!(error.contains("call-screening.wasm") && error.contains("--units"), "{error}");
        std::fs::write(folder.path().join("call-screening.wasm"), "").unwrap();
        let error = Units::given(folder.path()).unwrap_err().to_string();
        assert!(error.contains("call-screening-2.wasm"), "{error}");
    }
}
