//! The log: lines on standard output, chosen by `RUST_LOG`.

use resilee_runtime::SERVICE_LINES;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged without `RUST_LOG`. ractor and actix-web tell of their
/// actors and threads, which is of no use to an operator.
const DEFAULT: &str = "info,ractor=error,ractor_cluster=error,actix_server=warn";

/// Lines of services are chosen by the levels of their tracers, which change while calls run; a
/// `service=` of one's own in `RUST_LOG` chooses among those.
fn with_service_lines(directives: &str) -> String {
    let of_services =
        |directive: &str| directive.trim().split(['=', '[']).next() == Some(SERVICE_LINES);
    match directives.split(',').any(of_services) {
        true => directives.to_owned(),
        false => format!("{directives},{SERVICE_LINES}=trace"),
    }
}

/// Sets the log up, unless the process has one.
pub(crate) fn init() {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let wanted = if wanted.is_empty() { DEFAULT } else { &wanted };
    let filter = EnvFilter::try_new(with_service_lines(wanted))
        .unwrap_or_else(|_| EnvFilter::new(with_service_lines(DEFAULT)));
    let ansi = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // An error means that the process has set up its own log, which is left alone.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_services_pass_unless_they_are_filtered_by_name() {
        assert_eq!(with_service_lines("warn"), "warn,service=trace");
        assert_eq!(with_service_lines("services=off"), "services=off,service=trace");
        assert_eq!(with_service_lines("info,service=warn"), "info,service=warn");
    }
}
