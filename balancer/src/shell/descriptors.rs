//! File descriptors: connections of phones must leave some for what the balancer needs itself. One
//! that cannot store its vote lets no server take over.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use resilee_sip_tcp::TcpLimits;

/// For the state file, sockets, and connections that are refused just now.
const RESERVED: u64 = 128;

/// Asks the system for as many as it gives, and takes no more connections than that leaves.
pub(super) fn limited(mut limits: TcpLimits) -> TcpLimits {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return limits };
    let got = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    let left = usize::try_from(got.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    if left < limits.connections_max {
        tracing::warn!(
            "[tcp] connections_max is {}, and this process may have {got} files: {left} \
             connections are taken (LimitNOFILE of systemd, or ulimit -n)",
            limits.connections_max
        );
        limits.connections_max = left;
    }
    limits
}
