//! Digest nonces: time, random, what it is good for, and a MAC under the cluster key, so that any
//! node checks what any node made and nothing is stored.
//!
//! | nonce of        | good for                        | how often it was used, remembers    |
//! |-----------------|---------------------------------|-------------------------------------|
//! | a registration  | any REGISTER, 300 s             | the registrar, in its table         |
//! | another request | requests of its Call-ID, 8 s    | the call, for as long (INVITE only) |
//!
//! Each is good only for the network that the challenge was sent to. So who has one can receive
//! there: a wrong password with a fresh nonce is told to its true sender, whatever source address
//! others forge (`password_guard.rs`). A phone that moves between challenge and answer is told
//! `stale` and answers the next one.
//!
//! A call's cell cannot see what other cells have seen. It need not: credentials that somebody
//! has overheard are good in the cell of their own Call-ID alone.

use crate::secret::Secret;
use resilee_sbb::Timestamp;
use resilee_sip_api::REGISTER_NONCE_LIFETIME_S;
use resilee_sip_api::SourceNetwork;
use resilee_sip_proto::Message;
use std::net::IpAddr;
use std::time::Duration;

/// How long the nonce of a registration is good. After it the client is told `stale` and repeats
/// with a new one.
const REGISTER_NONCE_LIFETIME: Duration = Duration::from_secs(REGISTER_NONCE_LIFETIME_S);

/// How long that of a call is: the answer to a challenge comes at once, and the call's cell has to
/// live as long. A client that needed more repeats is told `stale`.
const CALL_NONCE_LIFETIME: Duration = Duration::from_secs(8);

/// A nonce this much younger than now is still good: what two nodes take for cluster time differs.
const CLOCK_ERROR_MAX: Duration = Duration::from_secs(1);

/// No nonce of a call that is used now is good after so long.
pub(crate) const CALL_NONCE_MEMORY: Duration = CALL_NONCE_LIFETIME.saturating_add(CLOCK_ERROR_MAX);

/// Hexadecimal digits of time, of random, of what it is good for, and of the MAC.
const PART_DIGITS: usize = 16;

/// What a nonce is good for, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    requests: Requests<'a>,
    source: SourceNetwork,
}

/// What a nonce is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requests<'a> {
    /// Any REGISTER.
    Registration,
    /// Other requests with this Call-ID.
    Call(&'a str),
}

impl<'a> Scope<'a> {
    /// Of a request that came from there.
    pub(crate) fn of(request: &Message<'a>, source: IpAddr) -> Self {
        match request.method() {
            Some("REGISTER") => Scope::registration(source),
            _ => Scope::call(request.call_id(), source),
        }
    }

    pub(crate) fn registration(source: IpAddr) -> Self {
        Scope { requests: Requests::Registration, source: SourceNetwork::of(source) }
    }

    pub(crate) fn call(call_id: &'a str, source: IpAddr) -> Self {
        Scope { requests: Requests::Call(call_id), source: SourceNetwork::of(source) }
    }

    fn lifetime(self) -> Duration {
        match self.requests {
            Requests::Registration => REGISTER_NONCE_LIFETIME,
            Requests::Call(_) => CALL_NONCE_LIFETIME,
        }
    }

    fn digits(self, secret: &Secret) -> String {
        let source = self.source.bytes();
        let hash = match self.requests {
            Requests::Registration => secret.hash64("nonce of a registration", &[&source]),
            Requests::Call(call_id) => {
                secret.hash64("nonce of a call", &[call_id.as_bytes(), &source])
            }
        };
        format!("{hash:016x}")
    }
}

/// Makes nonces. Its numbers come from a seed: the same seed gives the same nonces.
#[derive(Debug)]
pub(crate) struct NonceSource {
    seed: u64,
    /// Nonces made so far.
    count: u64,
}

/// What a nonce says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonceAge {
    /// Ours, and young enough.
    Fresh,
    /// Ours, but too old or for something else.
    Old,
    /// Not made by this cluster.
    Foreign,
}

impl NonceSource {
    pub(crate) fn new(seed: u64) -> Self {
        NonceSource { seed, count: 0 }
    }

    /// A nonce that was never given out before.
    pub(crate) fn make(&mut self, secret: &Secret, now: Timestamp, scope: Scope<'_>) -> String {
        self.count += 1;
        let micros = now.as_micros();
        let parts = [self.seed.to_be_bytes(), self.count.to_be_bytes(), micros.to_be_bytes()];
        let random = secret.hash64("nonce random", &[&parts.concat()]);
        let body = format!("{micros:016x}{random:016x}{}", scope.digits(secret));
        format!("{body}{}", mac(secret, &body))
    }
}

/// Whether this cluster made the nonce, whatever for.
pub(crate) fn is_ours(secret: &Secret, nonce: &str) -> bool {
    opened(secret, nonce).is_some()
}

/// Its time and its scope's digits, if its MAC is right.
fn opened<'a>(secret: &Secret, nonce: &'a str) -> Option<(u64, &'a str)> {
    let (body, found) = nonce.split_at_checked(3 * PART_DIGITS)?;
    let micros = u64::from_str_radix(body.get(..PART_DIGITS)?, 16).ok()?;
    let is_genuine = is_equal(found, &mac(secret, body));
    is_genuine.then(|| Some((micros, body.get(2 * PART_DIGITS..)?)))?
}

/// Whether a nonce is this cluster's, for this, and how old.
pub(crate) fn age(secret: &Secret, now: Timestamp, nonce: &str, scope: Scope<'_>) -> NonceAge {
    let Some((micros, made_for)) = opened(secret, nonce) else { return NonceAge::Foreign };
    let made_at = Timestamp::from_micros(micros);
    let is_for_it = is_equal(made_for, &scope.digits(secret));
    let is_old = now.since(made_at) > scope.lifetime() || made_at.since(now) > CLOCK_ERROR_MAX;
    if is_old || !is_for_it {
        return NonceAge::Old;
    }
    NonceAge::Fresh
}

fn mac(secret: &Secret, body: &str) -> String {
    format!("{:016x}", secret.hash64("nonce", &[body.as_bytes()]))
}

/// Compares without stopping at the first difference.
fn is_equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = Secret::new([7; 32]);
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn register() -> Scope<'static> {
        Scope::registration(HERE)
    }

    fn call() -> Scope<'static> {
        Scope::call("call-1", HERE)
    }

    #[test]
    fn a_nonce_is_fresh_for_its_lifetime_on_every_node() {
        let other_node = Secret::new([7; 32]);
        for scope in [register(), call()] {
            let nonce = NonceSource::new(1).make(&SECRET, NOW, scope);
            let age_at = |now| age(&other_node, now, &nonce, scope);
            assert_eq!(age_at(NOW), NonceAge::Fresh);
            assert_eq!(age_at(NOW + scope.lifetime()), NonceAge::Fresh);
            let later = NOW + scope.lifetime() + Duration::from_micros(1);
            assert_eq!(age_at(later), NonceAge::Old);
            assert_eq!(age_at(NOW - Duration::from_secs(6)), NonceAge::Old);
        }
    }

    #[test]
    fn a_nonce_is_good_for_nothing_but_what_it_was_made_for() {
        let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
        let pairs = [
            (register(), call()),
            (call(), register()),
            (call(), Scope::call("call-2", HERE)),
            (call(), Scope::call("call-1", elsewhere)),
            (register(), Scope::registration(elsewhere)),
        ];
        for (scope, other) in pairs {
            let nonce = NonceSource::new(1).make(&SECRET, NOW, scope);
            assert_eq!(age(&SECRET, NOW, &nonce, other), NonceAge::Old, "{scope:?} {other:?}");
        }
    }

    #[test]
    fn a_nonce_of_somebody_else_is_foreign() {
        let nonce = NonceSource::new(1).make(&Secret::new([8; 32]), NOW, call());
        for nonce in ["", "abc", &nonce, &format!("{nonce}0"), &"é".repeat(24), &"é".repeat(32)] {
            assert_eq!(age(&SECRET, NOW, nonce, call()), NonceAge::Foreign, "{nonce}");
        }
        let ours = NonceSource::new(1).make(&SECRET, NOW, call());
        let other_call = NonceSource::new(1).make(&SECRET, NOW, Scope::call("call-2", HERE));
        let forged = format!("{}{}{}", &ours[..32], &other_call[32..48], &ours[48..]);
        assert_eq!(age(&SECRET, NOW, &forged, Scope::call("call-2", HERE)), NonceAge::Foreign);
    }

    #[test]
    fn no_nonce_is_given_out_twice() {
        let make = |source: &mut NonceSource| source.make(&SECRET, NOW, call());
        let mut source = NonceSource::new(1);
        assert_ne!(make(&mut source), make(&mut source));
        assert_ne!(make(&mut NonceSource::new(1)), make(&mut NonceSource::new(2)));
    }
}
