//! The log: lines on standard output, chosen by `RUST_LOG`.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged without `RUST_LOG`. ractor and actix-web tell of their
/// actors and threads, which is of no use to an operator.
const DEFAULT: &str = "info,ractor=error,ractor_cluster=error,actix_server=warn";

/// Sets the log up, unless the process has one.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let ansi = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // An error means that the process has set up its own log, which is left alone.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).try_init();
}
