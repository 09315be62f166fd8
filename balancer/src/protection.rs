//! What keeps hostile traffic from the nodes, and from the balancer itself.
//!
//! | a message                                             | becomes of it                       |
//! |-------------------------------------------------------|-------------------------------------|
//! | from an address of `allow`                            | no bans, no rate; the rest holds    |
//! | from an address of `deny`                             | dropped                             |
//! | from a banned source                                  | dropped; but see below              |
//! | from a source that is above its rate                  | dropped                             |
//! | too long, or with headers too long or too many        | dropped; a violation                |
//! | a request of a scanner                                | dropped; a violation                |
//! | not to be routed, as it is malformed (`balancer.rs`)  | dropped; a violation                |
//!
//! A *source* is an IPv4 address, or the /64 of an IPv6 address, of which one client may have any.
//! One that commits [`ProtectionConfig::ban_after`] violations in a while is banned for a time.
//!
//! Whoever can forge source addresses could have others banned. So a source whose REGISTER or
//! INVITE a node answered with 2xx is *known* for [`KNOWN_FOR`] and not banned, whatever comes in
//! its name: a registered phone, a trunk that makes calls. And a ban lets a REGISTER pass every
//! [`PROBE_EVERY`]: if a node accepts it, the ban is over. So a phone whose address was abused
//! before it registered is late, not locked out. What is above the rate is no violation: a trunk in
//! its busy hour is no enemy.
//!
//! All tables have a limit (`protection/set_table.rs`). Not here: clocks and sockets.

mod header_section;
mod prefixes;
mod set_table;
mod source_state;

use crate::boundary::DropReason;
use header_section::HeaderSection;
use prefixes::Prefixes;
pub use prefixes::{Prefix, PrefixError};
use resilee_membership::{SIP_BYTES_MAX, dual_stack::ipv4_of};
use resilee_sbb::Timestamp;
use resilee_sip_proto::{Message, SCANNERS_DEFAULT};
use set_table::{KEEP, SetTable};
use source_state::{Limits, SourceState};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

/// Most sources whose rate and violations are remembered. Beyond it those go first that are
/// furthest from a limit (`protection/source_state.rs`).
pub const SOURCES_MAX: usize = 65_536;

/// Most sources that are banned at once. Beyond it nobody else is banned; no ban is given up.
pub const BANS_MAX: usize = 16_384;

/// Most sources that are known. Beyond it goes whoever was answered longest ago.
pub const KNOWN_MAX: usize = 65_536;

/// So long after its last 2xx a source is known: longer than registrations last.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Answers to a source that was known anyway are looked at this often.
const KNOWN_AGAIN: Duration = Duration::from_secs(600);

/// Time between two REGISTERs of a banned source that are let pass.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What is let pass; table `[protection]` of `balancer.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionConfig {
    /// Messages a second that one source may send for long; 0: any.
    pub rate_per_s: u32,
    /// Messages that it may send at once.
    pub burst: u32,
    /// Trusted: never banned, at any rate.
    pub allow: Vec<Prefix>,
    /// Banned for good, unless `allow` has them.
    pub deny: Vec<Prefix>,
    /// Violations within `ban_window` that make a ban; 0: nobody is banned.
    pub ban_after: u32,
    /// See `ban_after`.
    pub ban_window: Duration,
    /// How long a ban lasts.
    pub ban_for: Duration,
    /// Bytes of a message.
    pub message_bytes_max: usize,
    /// Bytes of its start line and headers.
    pub header_bytes_max: usize,
    /// Header lines, folds included.
    pub headers_max: usize,
    /// How the User-Agent of a scanner begins; upper and lower case are the same.
    pub scanners: Vec<String>,
}

impl Default for ProtectionConfig {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1"].map(|it| it.parse().expect("these are prefixes"));
        ProtectionConfig {
            rate_per_s: 1_000,
            burst: 2_000,
            allow: loopback.to_vec(),
            deny: Vec::new(),
            ban_after: 100,
            ban_window: Duration::from_secs(10),
            ban_for: Duration::from_secs(300),
            message_bytes_max: SIP_BYTES_MAX,
            header_bytes_max: 16_384,
            headers_max: 256,
            scanners: SCANNERS_DEFAULT.map(str::to_owned).to_vec(),
        }
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An address of `allow`.
    Allowed,
    /// An address of `deny`.
    Denied,
    /// Any other, by its hash under the cluster's key.
    Other(u64),
}

#[derive(Clone, Copy, Debug, Default)]
struct Ban {
    until: Timestamp,
    /// When the next REGISTER may pass.
    probe_at: Timestamp,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Protection {
    config: ProtectionConfig,
    limits: Limits,
    allow: Prefixes,
    deny: Prefixes,
    /// Has taken the key in; nobody outside can aim at a set of the tables.
    hasher: DefaultHasher,
    sources: SetTable<SourceState>,
    bans: SetTable<Ban>,
    /// When each of them was answered last.
    known: SetTable<Timestamp>,
    /// How many bans there were.
    bans_total: u64,
}

impl Protection {
    pub(crate) fn new(secret: [u8; 32], config: ProtectionConfig) -> Self {
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        Protection {
            limits: Limits::of(&config),
            allow: Prefixes::new(&config.allow),
            deny: Prefixes::new(&config.deny),
            config,
            hasher,
            sources: SetTable::new(SOURCES_MAX),
            bans: SetTable::new(BANS_MAX),
            known: SetTable::new(KNOWN_MAX),
            bans_total: 0,
        }
    }

    /// From now on this holds. Bans and what is known of sources stay.
    pub(crate) fn configure(&mut self, config: ProtectionConfig) {
        self.limits = Limits::of(&config);
        self.allow = Prefixes::new(&config.allow);
        self.deny = Prefixes::new(&config.deny);
        self.config = config;
    }

    /// Whose messages are counted together with those of this address.
    pub(crate) fn source(&self, address: IpAddr) -> Source {
        let address = address.to_canonical();
        if self.allow.contain(address) {
            return Source::Allowed;
        }
        if self.deny.contain(address) {
            return Source::Denied;
        }
        let mut hasher = self.hasher.clone();
        match (ipv4_of(address), address) {
            (Some(ip), _) | (None, IpAddr::V4(ip)) => hasher.write_u64(ip.to_bits().into()),
            // Never what an IPv4 address is.
            (None, IpAddr::V6(ip)) => hasher.write_u128(ip.to_bits() >> 64 << 64 | 1),
        }
        Source::Other(hasher.finish())
    }

    /// Whether a message may go on.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn admit(
        &mut self,
        now: Timestamp,
        source: Source,
        bytes: &[u8],
    ) -> Result<(), DropReason> {
        match source {
            Source::Allowed => {}
            Source::Denied => return Err(DropReason::Denied),
            Source::Other(id) => self.admit_source(now, id, bytes)?,
        }
        let config = &self.config;
        if bytes.len() > config.message_bytes_max {
            return Err(DropReason::TooLong);
        }
        let section = HeaderSection::read(bytes, config.header_bytes_max, config.headers_max)?;
        if section.user_agent.is_some_and(|agent| self.is_scanner(agent)) {
            return Err(DropReason::Scanner);
        }
        Ok(())
    }

    fn admit_source(&mut self, now: Timestamp, id: u64, bytes: &[u8]) -> Result<(), DropReason> {
        if let Some(ban) = self.bans.get_mut(id).filter(|ban| ban.until > now) {
            if ban.probe_at > now || !bytes.starts_with(b"REGISTER ") {
                return Err(DropReason::Banned);
            }
            ban.probe_at = now + PROBE_EVERY;
        }
        let limits = self.limits;
        if limits.interval_us == 0 {
            return Ok(());
        }
        let state = self.sources.get_or_insert(id, |state| state.worth(now, &limits));
        match state.take(now, &limits) {
            true => Ok(()),
            false => Err(DropReason::TooFast),
        }
    }

    /// A message of that source was dropped. If that made a ban that is worth a line in the log, it
    /// says how many there were until now: 1, 10, 100 and so on.
    pub(crate) fn handle_drop(
        &mut self,
        now: Timestamp,
        source: Source,
        reason: DropReason,
    ) -> Option<u64> {
        let Source::Other(id) = source else { return None };
        if self.config.ban_after == 0 || !reason.is_violation() || self.is_known(now, id) {
            return None;
        }
        let limits = self.limits;
        let state = self.sources.get_or_insert(id, |state| state.worth(now, &limits));
        if state.violate(now, &limits) < self.config.ban_after {
            return None;
        }
        state.forget_violations();
        let ban = Ban { until: now + self.config.ban_for, probe_at: now };
        let is_banned = self.bans.insert(id, ban, |ban| if ban.until > now { KEEP } else { 0 });
        self.bans_total += u64::from(is_banned);
        let is_told = is_banned && 10_u64.pow(self.bans_total.ilog10()) == self.bans_total;
        is_told.then_some(self.bans_total)
    }

    /// A node answers a client, or asks it something.
    pub(crate) fn handle_sent(&mut self, now: Timestamp, client: IpAddr, bytes: &[u8]) {
        if !bytes.starts_with(b"SIP/2.0 2") {
            return;
        }
        let Source::Other(id) = self.source(client) else { return };
        if self.known.get_mut(id).is_some_and(|at| now < *at + KNOWN_AGAIN) {
            return;
        }
        // Those two are accepted only of who has proved who he is. Anybody's OPTIONS gets a 200,
        // and so does his CANCEL of what he has begun: that vouches for nobody.
        let proves = |method: &str| matches!(method, "REGISTER" | "INVITE");
        if Message::parse(bytes).is_ok_and(|message| proves(message.cseq().1)) {
            self.known.insert(id, now, |at| at.as_micros());
            self.bans.remove(id);
        }
    }

    /// Who nobody has vouched for: neither `allow` nor a node that accepted him.
    pub(crate) fn stranger(&mut self, now: Timestamp, source: Source) -> Option<u64> {
        match source {
            Source::Other(id) if !self.is_known(now, id) => Some(id),
            _ => None,
        }
    }

    fn is_known(&mut self, now: Timestamp, id: u64) -> bool {
        self.known.get_mut(id).is_some_and(|at| now < *at + KNOWN_FOR)
    }

    fn is_scanner(&self, agent: &[u8]) -> bool {
        let begins = |name: &String| {
            agent.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()))
        };
        self.config.scanners.iter().any(begins)
    }
}

#[cfg(test)]
mod tests;
