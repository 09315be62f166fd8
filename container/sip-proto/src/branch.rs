//! Our Via branch and our Route token: both carry the call's cohort, both are signed.
//!
//! A branch depends only on what the cluster received, so the node that takes a call over
//! makes the same branch, and its resend *is* a retransmission. The method is no part of it:
//! CANCEL, and the ACK of a failure, carry the branch of their INVITE by construction.
//! Not here: which node serves a cohort (the balancer's view), nor any key management.

use std::fmt;

/// Every RFC 3261 branch starts with this (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// The name of the parameter that carries our token in a Record-Route or Contact URI.
pub const ROUTE_PARAMETER: &str = "c";

/// Hexadecimal digits of a cohort and of a MAC.
const HEX_DIGITS: usize = 16;

/// The cluster's key for branches and Route tokens.
#[derive(Clone)]
pub struct BranchKey([u8; 32]);

/// What distinguishes one forwarding of one received request from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchIdentity<'a> {
    /// Branch of the top Via as received.
    pub received_branch: &'a str,
    /// Sent-by (`host[:port]`) of the top Via as received.
    pub received_sent_by: &'a str,
    /// Call-ID.
    pub call_id: &'a str,
    /// Number of the CSeq.
    pub cseq_number: u32,
    /// Index of the target among those the request is forked to.
    pub target: u32,
    /// How many times this target was tried before.
    pub attempt: u32,
}

/// A branch that has the form of ours; the MACs are not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OurBranch {
    /// The cohort of the call.
    pub cohort: u64,
    /// MAC of the [`BranchIdentity`].
    pub mac1: u64,
    /// MAC of the Request-URI as received and the Routes.
    pub mac2: u64,
}

impl BranchKey {
    /// A key from the cluster's secret.
    pub const fn new(key: [u8; 32]) -> Self {
        BranchKey(key)
    }

    /// The branch for one forwarding: cookie, cohort, [`Self::mac1`], [`Self::mac2`].
    pub fn branch(
        &self,
        cohort: u64,
        identity: &BranchIdentity<'_>,
        uri_and_routes: &[u8],
    ) -> String {
        let mac1 = self.mac1(identity);
        let mac2 = self.mac2(uri_and_routes);
        format!("{MAGIC_COOKIE}-{cohort:016x}-{mac1:016x}-{mac2:016x}")
    }

    /// The MAC over who sent the request and where this copy of it goes.
    pub fn mac1(&self, identity: &BranchIdentity<'_>) -> u64 {
        self.mac(
            b"branch identity",
            &[
                identity.received_branch.as_bytes(),
                identity.received_sent_by.as_bytes(),
                identity.call_id.as_bytes(),
                &identity.cseq_number.to_be_bytes(),
                &identity.target.to_be_bytes(),
                &identity.attempt.to_be_bytes(),
            ],
        )
    }

    /// The MAC over what decides where a request goes next. Seen again under our own sent-by it
    /// means a loop, not a spiral (RFC 5393 §4.2).
    pub fn mac2(&self, uri_and_routes: &[u8]) -> u64 {
        self.mac(b"branch route", &[uri_and_routes])
    }

    /// The value of the Route parameter `c`: the cohort, signed for one Call-ID.
    pub fn route_token(&self, cohort: u64, call_id: &str) -> String {
        format!("{cohort:016x}.{:016x}", self.route_mac(cohort, call_id))
    }

    /// The cohort of a Route token, if we signed it for this Call-ID.
    pub fn verify_route_token(&self, token: &str, call_id: &str) -> Option<u64> {
        let (cohort, mac) = split_route_token(token.as_bytes())?;
        (mac == self.route_mac(cohort, call_id)).then_some(cohort)
    }

    fn route_mac(&self, cohort: u64, call_id: &str) -> u64 {
        self.mac(b"route token", &[&cohort.to_be_bytes(), call_id.as_bytes()])
    }

    /// Each part goes in with its length, so that no two lists of parts sign the same bytes.
    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(&purpose).chain(parts) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        hash.as_bytes()[..8].iter().fold(0, |mac, &byte| mac << 8 | u64::from(byte))
    }
}

impl fmt::Debug for BranchKey {
    /// Never prints the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BranchKey(..)")
    }
}

/// Reads a branch of our form; `None` for everybody else's.
pub fn parse_branch(branch: &str) -> Option<OurBranch> {
    parse_branch_bytes(branch.as_bytes())
}

/// [`parse_branch`] for bytes that need not be UTF-8.
pub(crate) fn parse_branch_bytes(branch: &[u8]) -> Option<OurBranch> {
    let rest = branch.strip_prefix(MAGIC_COOKIE.as_bytes())?;
    let (cohort, rest) = dashed_hex(rest)?;
    let (mac1, rest) = dashed_hex(rest)?;
    let (mac2, rest) = dashed_hex(rest)?;
    rest.is_empty().then_some(OurBranch { cohort, mac1, mac2 })
}

/// The cohort in the parameter `c` of a Route or Contact URI; the MAC is not checked.
/// `uri` may be a bare URI or a whole Route value.
pub fn parse_route_cohort(uri: &str) -> Option<u64> {
    parse_route_cohort_bytes(uri.as_bytes())
}

/// [`parse_route_cohort`] for bytes that need not be UTF-8.
pub(crate) fn parse_route_cohort_bytes(uri: &[u8]) -> Option<u64> {
    let mut rest = uri;
    while let Some(semicolon) = memchr::memchr(b';', rest) {
        rest = &rest[semicolon + 1..];
        let Some(value) = rest.strip_prefix(ROUTE_PARAMETER.as_bytes()) else { continue };
        let Some(value) = value.strip_prefix(b"=") else { continue };
        let end = value.iter().position(|b| !b.is_ascii_hexdigit() && *b != b'.');
        return split_route_token(&value[..end.unwrap_or(value.len())]).map(|(cohort, _)| cohort);
    }
    None
}

fn split_route_token(token: &[u8]) -> Option<(u64, u64)> {
    let (cohort, rest) = hex(token)?;
    let (mac, rest) = hex(rest.strip_prefix(b".")?)?;
    rest.is_empty().then_some((cohort, mac))
}

fn dashed_hex(bytes: &[u8]) -> Option<(u64, &[u8])> {
    hex(bytes.strip_prefix(b"-")?)
}

/// Exactly 16 hexadecimal digits, and what follows them.
fn hex(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(HEX_DIGITS)?;
    let mut value = 0u64;
    for &digit in digits {
        value = value << 4 | u64::from(char::from(digit).to_digit(16)?);
    }
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BranchKey = BranchKey::new([7; 32]);

    fn identity() -> BranchIdentity<'static> {
        BranchIdentity {
            received_branch: "z9hG4bKabc",
            received_sent_by: "192.0.2.1:5060",
            call_id: "call@example.test",
            cseq_number: 1,
            target: 0,
            attempt: 0,
        }
    }

    #[test]
    fn a_branch_carries_its_cohort() {
        let branch = KEY.branch(0xabc, &identity(), b"sip:bob@example.test");
        let ours = parse_branch(&branch).unwrap();
        assert_eq!(ours.cohort, 0xabc);
        assert_eq!(ours.mac1, KEY.mac1(&identity()));
        assert_eq!(ours.mac2, KEY.mac2(b"sip:bob@example.test"));
    }

    #[test]
    fn two_nodes_make_the_same_branch() {
        let other_node = BranchKey::new([7; 32]);
        let other_cluster = BranchKey::new([8; 32]);
        let branch = KEY.branch(1, &identity(), b"uri");
        assert_eq!(branch, other_node.branch(1, &identity(), b"uri"));
        assert_ne!(branch, other_cluster.branch(1, &identity(), b"uri"));
    }

    #[test]
    fn each_part_of_the_identity_changes_the_branch() {
        let mut others = [identity(); 6];
        others[0].received_branch = "z9hG4bKabd";
        others[1].received_sent_by = "192.0.2.1";
        others[2].call_id = "other";
        others[3].cseq_number = 2;
        others[4].target = 1;
        others[5].attempt = 1;
        let mut macs: Vec<u64> = others.iter().map(|other| KEY.mac1(other)).collect();
        macs.push(KEY.mac1(&identity()));
        macs.sort_unstable();
        macs.dedup();
        assert_eq!(macs.len(), 7);
    }

    #[test]
    fn foreign_branches_are_not_ours() {
        for branch in ["", "z9hG4bK", "z9hG4bK-0-0-0", "z9hG4bK776asdhds", "1234567890123456"] {
            assert_eq!(parse_branch(branch), None, "{branch}");
        }
        let longer = KEY.branch(1, &identity(), b"") + "0";
        assert_eq!(parse_branch(&longer), None);
    }

    #[test]
    fn a_route_token_is_good_for_its_call_only() {
        let token = KEY.route_token(5, "call-1");
        assert_eq!(KEY.verify_route_token(&token, "call-1"), Some(5));
        assert_eq!(KEY.verify_route_token(&token, "call-2"), None);
        assert_eq!(BranchKey::new([1; 32]).verify_route_token(&token, "call-1"), None);
        assert_eq!(KEY.verify_route_token("", "call-1"), None);
    }

    #[test]
    fn the_cohort_is_read_from_a_route() {
        let token = KEY.route_token(0xfeed, "call-1");
        let route = format!("<sip:[::1]:5060;transport=udp;c={token};lr>;x=y");
        assert_eq!(parse_route_cohort(&route), Some(0xfeed));
        assert_eq!(parse_route_cohort("<sip:a@b;cc=1;lr>"), None);
        assert_eq!(parse_route_cohort("sip:a@b;c=zz"), None);
    }

    #[test]
    fn the_key_is_never_printed() {
        assert_eq!(format!("{KEY:?}"), "BranchKey(..)");
    }
}
