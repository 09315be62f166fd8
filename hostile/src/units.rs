//! A file that somebody uploads as a unit.

use resilee_sbb::{UnitCompiler, UnitLimits};
use resilee_wasm::UnitHost;
use std::sync::LazyLock;

/// Bytes of what is wrong with one.
const REASON_BYTES_MAX: usize = 1_024;

static HOST: LazyLock<UnitHost> =
    LazyLock::new(|| UnitHost::new(UnitLimits::default()).expect("memory and a thread"));

/// It is a unit, or refused in a few words.
///
/// # Panics
/// A rule is broken.
pub fn units(bytes: &[u8]) {
    match HOST.compile(bytes) {
        Ok(service) => service.forget(),
        Err(reason) => {
            let text = reason.to_string();
            assert!((1..=REASON_BYTES_MAX).contains(&text.len()), "{text}");
        }
    }
}
