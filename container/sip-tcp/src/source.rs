//! Whose connections and messages are counted together: an IPv4 address, or an IPv6 /64, of which
//! one client may have any address.

use resilee_membership::Flow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(u128);

impl Source {
    pub(crate) fn of(flow: &Flow) -> Self {
        match flow.remote.ip().to_canonical() {
            IpAddr::V4(ip) => Source(ip.to_ipv6_mapped().to_bits()),
            IpAddr::V6(ip) => Source(ip.to_bits() >> 64 << 64),
        }
    }

    /// One fewer of this source.
    pub(crate) fn leave(counts: &mut BTreeMap<Source, usize>, source: Source) {
        if let Some(count) = counts.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&source);
            }
        }
    }
}
