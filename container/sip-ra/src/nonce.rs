//! Digest nonces: time, random and a MAC under the cluster key, so that any node checks what any
//! node made and nothing is stored. How often one was used is the registrar's to watch.

use crate::secret::Secret;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// How long a nonce is good. After it the client is told `stale` and repeats with a new one.
pub(crate) const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// A nonce this much younger than now is still good: clocks of two nodes differ.
const CLOCK_ERROR_MAX: Duration = Duration::from_secs(5);

/// Hexadecimal digits of time and of random.
const PART_DIGITS: usize = 16;

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
    /// Ours, but too old.
    Old,
    /// Not made by this cluster.
    Foreign,
}

impl NonceSource {
    pub(crate) fn new(seed: u64) -> Self {
        NonceSource { seed, count: 0 }
    }

    /// A nonce that was never given out before.
    pub(crate) fn make(&mut self, secret: &Secret, now: Timestamp) -> String {
        self.count += 1;
        let micros = now.as_micros();
        let parts = [self.seed.to_be_bytes(), self.count.to_be_bytes(), micros.to_be_bytes()];
        let random = secret.hash64("nonce random", &[&parts.concat()]);
        let body = format!("{micros:016x}{random:016x}");
        format!("{body}{}", mac(secret, &body))
    }
}

/// Whether a nonce is this cluster's, and how old.
pub(crate) fn age(secret: &Secret, now: Timestamp, nonce: &str) -> NonceAge {
    let Some((body, found)) = nonce.split_at_checked(2 * PART_DIGITS) else {
        return NonceAge::Foreign;
    };
    let Ok(micros) = u64::from_str_radix(&body[..PART_DIGITS], 16) else {
        return NonceAge::Foreign;
    };
    if !is_equal(found, &mac(secret, body)) {
        return NonceAge::Foreign;
    }
    let made_at = Timestamp::from_micros(micros);
    if now.since(made_at) > NONCE_LIFETIME || made_at.since(now) > CLOCK_ERROR_MAX {
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

    #[test]
    fn a_nonce_is_fresh_for_its_lifetime_on_every_node() {
        let nonce = NonceSource::new(1).make(&SECRET, NOW);
        let other_node = Secret::new([7; 32]);
        assert_eq!(age(&other_node, NOW, &nonce), NonceAge::Fresh);
        assert_eq!(age(&other_node, NOW + NONCE_LIFETIME, &nonce), NonceAge::Fresh);
        let later = NOW + NONCE_LIFETIME + Duration::from_micros(1);
        assert_eq!(age(&other_node, later, &nonce), NonceAge::Old);
        assert_eq!(age(&other_node, NOW - Duration::from_secs(6), &nonce), NonceAge::Old);
    }

    #[test]
    fn a_nonce_of_somebody_else_is_foreign() {
        let nonce = NonceSource::new(1).make(&Secret::new([8; 32]), NOW);
        for nonce in ["", "abc", &nonce, &format!("{nonce}0"), &"é".repeat(24)] {
            assert_eq!(age(&SECRET, NOW, nonce), NonceAge::Foreign, "{nonce}");
        }
    }

    #[test]
    fn no_nonce_is_given_out_twice() {
        let mut source = NonceSource::new(1);
        assert_ne!(source.make(&SECRET, NOW), source.make(&SECRET, NOW));
        assert_ne!(NonceSource::new(1).make(&SECRET, NOW), NonceSource::new(2).make(&SECRET, NOW));
    }
}
