//! The envelope around every datagram between balancer and nodes, and between nodes beside
//! their link: `magic 4 | kind 1 | view 8 | MAC 16 | body`, numbers in network order.
//!
//! The MAC is over everything else (`mac.rs`). It proves that a holder of the cluster's key wrote
//! the datagram; it does not hide the content. A recorded datagram that is sent again opens again:
//! heartbeats carry sequences and runs, everything else may be repeated by design. Whether the view
//! number is good enough is not decided here.
//!
//! Magic is another one whenever the rest is to be read in another way: what a program of before
//! sends is no envelope then, and counts as that, not as one with a wrong key.

use crate::Control;
use crate::mac::{HEAD_BYTES, MAC_BYTES, MacKey};
use resilee_sbb::{decode, encode_into};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Largest datagram that is sealed or opened: what UDP over IPv4 can carry.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Largest SIP message that fits into an envelope with any flow.
pub const SIP_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - BODY_AT - FLOW_BYTES_MAX;

/// Shortest content of a key file.
pub const KEY_BYTES_MIN: usize = 32;

/// Largest key file; more is surely another file.
const KEY_FILE_BYTES_MAX: usize = 4096;

/// Until the MAC of today it was `RSLE`.
const MAGIC: [u8; 4] = *b"RSL2";
const KIND_SIP: u8 = 1;
const KIND_CONTROL: u8 = 2;
const MAC_AT: usize = HEAD_BYTES;
const BODY_AT: usize = MAC_AT + MAC_BYTES;
/// A heartbeat has fewer.
const CONTROL_BYTES_USUAL: usize = 256;
const FLOW_BYTES_MAX: usize = 1 + 2 * 19;
const FAMILY_V4: u8 = 4;
const FAMILY_V6: u8 = 6;
const TRANSPORT_UDP: u8 = 1;
const TRANSPORT_TCP: u8 = 2;

/// The cluster's secret. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Key {
    secret: [u8; 32],
    envelope: MacKey,
}

/// A key file that holds no usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too little to be a secret.
    #[error("the key has {0} bytes, at least {KEY_BYTES_MIN} are expected")]
    TooShort(usize),
    /// Too much to be a key.
    #[error("the key has {0} bytes, at most {KEY_FILE_BYTES_MAX} are expected")]
    TooLong(usize),
}

impl Key {
    /// The key in the content of a key file: any text or bytes, white space at the ends ignored.
    ///
    /// # Errors
    /// Fewer than [`KEY_BYTES_MIN`] bytes, or a file too large to be a key.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Key, KeyError> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < KEY_BYTES_MIN {
            return Err(KeyError::TooShort(bytes.len()));
        }
        if bytes.len() > KEY_FILE_BYTES_MAX {
            return Err(KeyError::TooLong(bytes.len()));
        }
        let secret = blake3::derive_key("resilee cluster key file, version 1", bytes);
        let hash = *derive(&secret, "envelope, hash of the body").first_chunk().expect("32 bytes");
        let envelope = MacKey::new(hash, derive(&secret, "envelope, MAC over head and hash"));
        Ok(Key { secret, envelope })
    }

    /// A key of its own for one purpose, so that no two uses share one.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        derive(&self.secret, purpose)
    }
}

fn derive(secret: &[u8; 32], purpose: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("resilee cluster key purpose, version 1");
    hasher.update(secret);
    hasher.update(purpose.as_bytes());
    *hasher.finalize().as_bytes()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How a SIP message came from or goes to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// One message, one datagram.
    Udp,
    /// Messages in a stream; whoever holds the connection makes it look like UDP.
    Tcp,
}

/// Between whom a SIP message travels, as the balancer's socket sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The client.
    pub remote: SocketAddr,
    /// The balancer's own address that the client uses.
    pub local: SocketAddr,
    /// What carries it.
    pub transport: Transport,
}

/// An opened datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A SIP message on its way between a client and a node.
    Sip {
        /// The sender's view number.
        view: u64,
        /// The client's side of it.
        flow: Flow,
        /// The message as it was received, or is to be sent.
        bytes: &'a [u8],
    },
    /// A message between voters.
    Control(Control),
}

/// Why a datagram does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Larger than [`DATAGRAM_BYTES_MAX`].
    #[error("the datagram is too large")]
    TooLarge,
    /// Not an envelope at all.
    #[error("the datagram is no envelope")]
    NotAnEnvelope,
    /// Written without this cluster's key, or damaged.
    #[error("the datagram's MAC is wrong: another cluster key, or damage")]
    WrongMac,
    /// Rightly sealed by a version that says things this one does not understand.
    #[error("the datagram's content is not understood")]
    UnknownContent,
}

/// Puts a SIP message into an envelope. One longer than [`SIP_BYTES_MAX`] will not open.
pub fn seal_sip(key: &Key, view: u64, flow: &Flow, bytes: &[u8]) -> Vec<u8> {
    let mut datagram = head(KIND_SIP, view, FLOW_BYTES_MAX + bytes.len());
    datagram.push(match flow.transport {
        Transport::Udp => TRANSPORT_UDP,
        Transport::Tcp => TRANSPORT_TCP,
    });
    push_address(&mut datagram, &flow.remote);
    push_address(&mut datagram, &flow.local);
    datagram.extend_from_slice(bytes);
    seal(key, &mut datagram);
    datagram
}

/// Puts a control message into an envelope.
pub fn seal_control(key: &Key, control: &Control) -> Vec<u8> {
    let mut datagram = head(KIND_CONTROL, control.view, CONTROL_BYTES_USUAL);
    encode_into(&mut datagram, control).expect("a control message has only maps of known length");
    seal(key, &mut datagram);
    datagram
}

/// Checks and opens a datagram.
///
/// # Errors
/// Says why it was not written by this cluster, or is not understood.
pub fn open<'a>(key: &Key, datagram: &'a [u8]) -> Result<Packet<'a>, EnvelopeError> {
    if datagram.len() > DATAGRAM_BYTES_MAX {
        return Err(EnvelopeError::TooLarge);
    }
    let Some((head, rest)) = datagram.split_first_chunk().filter(|_| datagram.len() >= BODY_AT)
    else {
        return Err(EnvelopeError::NotAnEnvelope);
    };
    if head[..4] != MAGIC {
        return Err(EnvelopeError::NotAnEnvelope);
    }
    let (mac, body) = rest.split_at(MAC_BYTES);
    if !key.envelope.is_mac(mac, head, body) {
        return Err(EnvelopeError::WrongMac);
    }
    let view = u64::from_be_bytes(head[5..13].try_into().expect("eight bytes"));
    match head[4] {
        KIND_SIP => open_sip(view, body).ok_or(EnvelopeError::UnknownContent),
        KIND_CONTROL => {
            let control: Control = decode(body).map_err(|_| EnvelopeError::UnknownContent)?;
            Ok(Packet::Control(control))
        }
        _ => Err(EnvelopeError::UnknownContent),
    }
}

fn open_sip(view: u64, mut body: &[u8]) -> Option<Packet<'_>> {
    let transport = match *take(&mut body, 1)? {
        [TRANSPORT_UDP] => Transport::Udp,
        [TRANSPORT_TCP] => Transport::Tcp,
        _ => return None,
    };
    let remote = take_address(&mut body)?;
    let local = take_address(&mut body)?;
    let flow = Flow { remote, local, transport };
    Some(Packet::Sip { view, flow, bytes: body })
}

fn head(kind: u8, view: u64, body_bytes: usize) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(BODY_AT + body_bytes);
    datagram.extend_from_slice(&MAGIC);
    datagram.push(kind);
    datagram.extend_from_slice(&view.to_be_bytes());
    datagram.extend_from_slice(&[0; MAC_BYTES]);
    datagram
}

/// Writes its MAC into what is an envelope but for that. Less than the head and MAC of one stays as
/// it is.
pub fn seal(key: &Key, datagram: &mut [u8]) {
    let Some((head, rest)) = datagram.split_first_chunk_mut() else { return };
    let Some((mac, body)) = rest.split_first_chunk_mut() else { return };
    *mac = key.envelope.mac(head, body);
}

fn push_address(datagram: &mut Vec<u8>, address: &SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            datagram.push(FAMILY_V4);
            datagram.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            datagram.push(FAMILY_V6);
            datagram.extend_from_slice(&ip.octets());
        }
    }
    datagram.extend_from_slice(&address.port().to_be_bytes());
}

fn take_address(body: &mut &[u8]) -> Option<SocketAddr> {
    let ip: IpAddr = match take(body, 1)? {
        [FAMILY_V4] => Ipv4Addr::from(<[u8; 4]>::try_from(take(body, 4)?).ok()?).into(),
        [FAMILY_V6] => Ipv6Addr::from(<[u8; 16]>::try_from(take(body, 16)?).ok()?).into(),
        _ => return None,
    };
    let port = u16::from_be_bytes(take(body, 2)?.try_into().ok()?);
    Some(SocketAddr::new(ip, port))
}

fn take<'a>(body: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, rest) = body.split_at_checked(bytes)?;
    *body = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ControlBody, VoterId};

    fn key(text: &str) -> Key {
        Key::from_file_bytes(text.repeat(32).as_bytes()).expect("long enough")
    }

    fn flow(remote: &str, local: &str) -> Flow {
        Flow {
            remote: remote.parse().unwrap(),
            local: local.parse().unwrap(),
            transport: Transport::Udp,
        }
    }

    #[test]
    fn a_sip_message_opens_as_it_was_sealed() {
        let udp = flow("192.0.2.1:5060", "198.51.100.7:5061");
        let tcp = Flow { transport: Transport::Tcp, ..flow("[2001:db8::1]:5060", "[::1]:65535") };
        for flow in [udp, tcp] {
            let datagram = seal_sip(&key("k"), 7, &flow, b"BYE sip:a SIP/2.0\r\n\r\n");
            let packet = open(&key("k"), &datagram).unwrap();
            assert_eq!(packet, Packet::Sip { view: 7, flow, bytes: b"BYE sip:a SIP/2.0\r\n\r\n" });
        }
    }

    #[test]
    fn a_control_message_opens_as_it_was_sealed() {
        let control = Control { view: 3, from: VoterId::Seat, body: ControlBody::AskView };
        let datagram = seal_control(&key("k"), &control);
        assert_eq!(open(&key("k"), &datagram), Ok(Packet::Control(control)));
    }

    #[test]
    fn another_clusters_datagram_is_refused() {
        let control = Control { view: 3, from: VoterId::Seat, body: ControlBody::AskView };
        let datagram = seal_control(&key("k"), &control);
        assert_eq!(open(&key("other"), &datagram), Err(EnvelopeError::WrongMac));
    }

    #[test]
    fn no_byte_can_be_changed_or_cut() {
        let datagram = seal_sip(&key("k"), 7, &flow("192.0.2.1:5060", "[::1]:5060"), b"OPTIONS");
        for at in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 0x40;
            assert!(open(&key("k"), &changed).is_err(), "byte {at}");
            assert!(open(&key("k"), &datagram[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_message_of_any_length_opens_and_one_that_is_too_long_does_not() {
        let flow = flow("192.0.2.1:5060", "198.51.100.7:5061");
        let flow_bytes = seal_sip(&key("k"), 7, &flow, b"").len() - BODY_AT;
        let most = DATAGRAM_BYTES_MAX - BODY_AT - flow_bytes;
        for length in [0, 1, 15, 16, 17, SIP_BYTES_MAX, most] {
            let bytes = vec![b'x'; length];
            let mut datagram = seal_sip(&key("k"), 7, &flow, &bytes);
            let packet = open(&key("k"), &datagram);
            assert_eq!(packet, Ok(Packet::Sip { view: 7, flow, bytes: &bytes }), "{length}");
            *datagram.last_mut().unwrap() ^= 1;
            assert_eq!(open(&key("k"), &datagram), Err(EnvelopeError::WrongMac), "{length}");
        }
        let too_long = seal_sip(&key("k"), 7, &flow, &vec![b'x'; most + 1]);
        assert_eq!(open(&key("k"), &too_long), Err(EnvelopeError::TooLarge));
    }

    #[test]
    fn what_versions_before_this_mac_sent_is_no_envelope() {
        let control = Control { view: 3, from: VoterId::Seat, body: ControlBody::AskView };
        let mut datagram = seal_control(&key("k"), &control);
        datagram[..4].copy_from_slice(b"RSLE");
        assert_eq!(open(&key("k"), &datagram), Err(EnvelopeError::NotAnEnvelope));
    }

    #[test]
    fn a_short_key_is_refused_and_white_space_does_not_count() {
        assert_eq!(Key::from_file_bytes(b" short \n").unwrap_err(), KeyError::TooShort(5));
        let spaced = Key::from_file_bytes(format!("{}\n", "k".repeat(32)).as_bytes()).unwrap();
        assert_eq!(spaced.derive("x"), key("k").derive("x"));
        assert_ne!(spaced.derive("x"), spaced.derive("y"));
    }
}
