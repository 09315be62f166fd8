//! The MAC of an envelope, by *hash-then-PRF*: POLYVAL (RFC 8452 §3) makes 16 bytes of the body,
//! and a keyed BLAKE3, cut to 16 bytes, is the MAC over `head | length of the body 8 | hash 16`.
//!
//! POLYVAL hides nothing: whoever saw its values would know its key. They never leave, and what
//! does is the output of a pseudo-random function, so that no nonce is needed. To forge, two
//! bodies of one length must have one hash, which two that are chosen without knowing its key have
//! with a probability of at most `blocks / 2^128`. The hash fills the last block with zeros; the
//! length, which is in the function's input, too, tells such bodies apart.
//!
//! Not here: what is in head and body (`envelope.rs`).

use polyval::Polyval;
use polyval::universal_hash::UniversalHash;

pub(crate) const MAC_BYTES: usize = 16;

/// Bytes in front of the MAC: magic, kind, view.
pub(crate) const HEAD_BYTES: usize = 13;

/// Bytes of POLYVAL's key and value.
const HASH_BYTES: usize = 16;

const LENGTH_AT: usize = HEAD_BYTES;
const HASH_AT: usize = LENGTH_AT + size_of::<u64>();

/// Two keys that serve nothing else.
#[derive(Clone)]
pub(crate) struct MacKey {
    /// With its key taken in, and nothing yet of a body.
    hash: Polyval,
    function: [u8; 32],
}

impl MacKey {
    pub(crate) fn new(hash: [u8; HASH_BYTES], function: [u8; 32]) -> Self {
        MacKey { hash: Polyval::new(&hash.into()), function }
    }

    /// The MAC over an envelope's head and body.
    pub(crate) fn mac(&self, head: &[u8; HEAD_BYTES], body: &[u8]) -> [u8; MAC_BYTES] {
        let mut hash = self.hash.clone();
        hash.update_padded(body);
        let mut input = [0; HASH_AT + HASH_BYTES];
        input[..LENGTH_AT].copy_from_slice(head);
        input[LENGTH_AT..HASH_AT].copy_from_slice(&(body.len() as u64).to_be_bytes());
        input[HASH_AT..].copy_from_slice(&hash.finalize());
        let output = blake3::keyed_hash(&self.function, &input);
        *output.as_bytes().first_chunk().expect("it has 32 bytes")
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(crate) fn is_mac(&self, mac: &[u8], head: &[u8; HEAD_BYTES], body: &[u8]) -> bool {
        let expected = self.mac(head, body);
        mac.len() == MAC_BYTES
            && mac.iter().zip(expected).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const HEAD: &[u8; HEAD_BYTES] = b"RSL2\x01\0\0\0\0\0\0\0\x07";

    /// Keys of bytes that count up.
    fn key() -> MacKey {
        MacKey::new(std::array::from_fn(|at| at as u8), std::array::from_fn(|at| 32 + at as u8))
    }

    /// The values are those of a program that was written by RFC 8452 and the paper of BLAKE3, and
    /// shares nothing with this one.
    #[test]
    fn known_messages_have_known_macs() {
        let counted: Vec<u8> = (0..=255).collect();
        for (body, expected) in [
            (&b""[..], 0x4461_18b8_0655_c164_c766_1166_5b5c_11f2),
            (b"OPTIONS", 0xba6c_bb3e_7f79_5157_e590_7967_5b67_4cc7),
            (&counted, 0x596e_0e93_4d78_3516_51db_d1df_3b71_c31b_u128),
        ] {
            assert_eq!(u128::from_be_bytes(key().mac(HEAD, body)), expected, "{}", body.len());
        }
    }

    #[test]
    fn every_bit_of_every_length_counts() {
        for length in [0, 1, 15, 16, 17, 63, 64, 65, 933] {
            let mut body = vec![0x5a; length];
            let mac = key().mac(HEAD, &body);
            assert!(key().is_mac(&mac, HEAD, &body));
            for at in 0..8 * length {
                body[at / 8] ^= 1 << (at % 8);
                assert!(!key().is_mac(&mac, HEAD, &body), "bit {at} of a body of {length}");
                body[at / 8] ^= 1 << (at % 8);
            }
            for at in 0..8 * HEAD_BYTES {
                let mut head = *HEAD;
                head[at / 8] ^= 1 << (at % 8);
                assert!(!key().is_mac(&mac, &head, &body), "bit {at} of the head");
            }
            for at in 0..8 * MAC_BYTES {
                let mut mac = mac;
                mac[at / 8] ^= 1 << (at % 8);
                assert!(!key().is_mac(&mac, HEAD, &body), "bit {at} of the MAC");
            }
            assert!(!key().is_mac(&mac[..15], HEAD, &body) && !key().is_mac(&[], HEAD, &body));
        }
    }

    #[test]
    fn zeros_behind_a_body_are_not_those_that_fill_its_last_block() {
        for begin in [&b""[..], b"a", b"fifteen bytes..", b"sixteen bytes..."] {
            let lengths = begin.len()..begin.len() + 40;
            let padded = |length: usize| {
                let mut body = begin.to_vec();
                body.resize(length, 0);
                key().mac(HEAD, &body)
            };
            let macs: BTreeSet<_> = lengths.clone().map(padded).collect();
            assert_eq!(macs.len(), lengths.len(), "{begin:?}");
        }
    }

    #[test]
    fn both_keys_count() {
        let mac = key().mac(HEAD, b"a body");
        let other =
            [MacKey::new([0; HASH_BYTES], key().function), MacKey { function: [0; 32], ..key() }];
        assert!(other.iter().all(|it| !it.is_mac(&mac, HEAD, b"a body")));
    }
}
