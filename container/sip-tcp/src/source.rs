//! Whose connections and messages are counted together: an IPv4 address, or an IPv6 /64, of which
//! one client may have any address.
//!
//! A customer may have many such networks: a home a /56, a company or a rented server a /48. So
//! these are counted as well. But a /48 may also be many phones of one mobile network, with a /64
//! each: it has half of all there is, so that others have the rest.

use resilee_membership::Flow;
use resilee_membership::dual_stack::ipv4_of;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Networks of IPv6 that are counted, by the bits of their prefixes.
const IPV6_NETWORKS: [u32; 3] = [64, HOME, SITE];
/// So many bits has the prefix of a home, which may have twice what a /64 may have,
const HOME: u32 = 56;
/// and that of a site, which may have half of all, if that is not less.
const SITE: u32 = 48;

/// An IPv4 address, or an IPv6 network by its prefix and the number of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source(u128, u32);

/// Most requests of clients that are kept: nobody has all the room.
pub(crate) const REQUESTS: Most = Most { of_source: 2_048, in_all: 16_384 };

/// Most requests of nodes that clients were told of, and are remembered to have been: for half a
/// minute, so that a trunk with all its calls on one connection has many.
pub(crate) const TOLD: Most = Most { of_source: 8_192, in_all: 16_384 };

/// Most bytes that are kept of clients' requests, of their answers, or of what is not all there.
pub(crate) const BYTES: Most = Most { of_source: 4 << 20, in_all: 32 << 20 };

/// Most of something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Of one IPv4 address or IPv6 /64.
    pub(crate) of_source: usize,
    /// Of all.
    pub(crate) in_all: usize,
}

/// How much of something each source has.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    of_sources: BTreeMap<Source, usize>,
    in_all: usize,
}

impl Shares {
    /// Whether a client may have so much more.
    pub(crate) fn has_room(&self, flow: &Flow, more: usize, most: Most) -> bool {
        self.in_all.saturating_add(more) <= most.in_all
            && sources(flow).all(|source| {
                let has = self.of_sources.get(&source).copied().unwrap_or_default();
                has.saturating_add(more) <= source.may_have(most)
            })
    }

    /// A client has so much more.
    pub(crate) fn take(&mut self, flow: &Flow, amount: usize) {
        for source in sources(flow).filter(|_| amount > 0) {
            *self.of_sources.entry(source).or_default() += amount;
        }
        self.in_all += amount;
    }

    /// A client has so much less.
    pub(crate) fn give_back(&mut self, flow: &Flow, amount: usize) {
        for source in sources(flow) {
            let Some(has) = self.of_sources.get_mut(&source) else { continue };
            *has = has.saturating_sub(amount);
            if *has == 0 {
                self.of_sources.remove(&source);
            }
        }
        self.in_all = self.in_all.saturating_sub(amount);
    }
}

impl Source {
    fn may_have(self, most: Most) -> usize {
        let of_home = most.of_source.saturating_mul(2);
        match self.1 {
            HOME => of_home,
            SITE => of_home.max(most.in_all / 2),
            _ => most.of_source,
        }
    }
}

/// All that a client is counted with.
fn sources(flow: &Flow) -> impl Iterator<Item = Source> {
    let ip = flow.remote.ip();
    let v4 = ipv4_of(ip).map(|ip| Source(ip.to_bits().into(), u32::BITS));
    let (bits, networks) = match ip {
        IpAddr::V6(ip) if v4.is_none() => (ip.to_bits(), &IPV6_NETWORKS[..]),
        _ => (0, &[][..]),
    };
    let network = move |length: &u32| Source(bits >> (128 - length) << (128 - length), *length);
    v4.into_iter().chain(networks.iter().map(network))
}
