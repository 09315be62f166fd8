//! The units of these tests, each built and compiled once.

use resilee_sbb::{LinkedSbb, UnitCompiler, UnitLimits};
use resilee_wasm::UnitHost;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The example of that name.
pub fn office_hours() -> LinkedSbb {
    static SERVICE: OnceLock<LinkedSbb> = OnceLock::new();
    *SERVICE.get_or_init(|| unit("examples/office-hours"))
}

/// The service that has a twin in Rust.
pub fn twin() -> LinkedSbb {
    static SERVICE: OnceLock<LinkedSbb> = OnceLock::new();
    *SERVICE.get_or_init(|| unit("container/wasm/tests/javascript/twin"))
}

/// The unit of a service in a folder of this repository.
fn unit(folder: &str) -> LinkedSbb {
    static HOST: OnceLock<UnitHost> = OnceLock::new();
    // It is patient, since tests run on machines that have too much to do.
    let time_max = Duration::from_secs(2);
    let limits = UnitLimits::default().with_time_max(time_max);
    let host = HOST.get_or_init(|| UnitHost::new(limits).expect("a host"));
    host.compile(&build(folder)).expect("a unit")
}

fn build(folder: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
    let name = Path::new(folder).file_name().expect("a folder");
    let into = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name).with_extension("wasm");
    let mut build = Command::new(std::env::var_os("CARGO").expect("cargo runs tests"));
    build.current_dir(root).args(["run", "-q", "-p", "xtask", "--", "unit", folder, "--out"]);
    let built = build.arg(&into).output().expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(into).expect("what was built")
}
