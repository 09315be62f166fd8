//! RTP packets with 20 ms of PCMU (RFC 3550, RFC 3551), built, read and counted.
//!
//! Not here: RTCP, jitter buffers, sound cards. The tone is the 1 kHz milliwatt of ITU-T G.711.

use crate::random::Random;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// Time that one packet covers.
pub const PACKET_TIME: Duration = Duration::from_millis(20);

/// Samples, and bytes, of one packet: 20 ms at 8 kHz.
pub const PACKET_SAMPLES: usize = 160;

/// Static payload type of PCMU.
pub const PCMU: u8 = 0;

/// Bytes of a header without contributing sources.
const HEADER_BYTES: usize = 12;

/// One period of the digital milliwatt in mu-law: eight samples of 1 kHz at 8 kHz.
const MILLIWATT: [u8; 8] = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];

/// One RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpPacket {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// First packet of a talk spurt.
    pub marker: bool,
    /// Grows by one with each packet.
    pub sequence: u16,
    /// Grows by one with each sample.
    pub timestamp: u32,
    /// Names the stream.
    pub source: u32,
    /// The sound.
    pub payload: Vec<u8>,
}

impl RtpPacket {
    /// The packet as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.payload.len());
        bytes.push(0x80);
        bytes.push(u8::from(self.marker) << 7 | (self.payload_type & 0x7f));
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.source.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads a datagram; `None` if it is no RTP packet.
    pub fn parse(bytes: &[u8]) -> Option<RtpPacket> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *header;
        if flags >> 6 != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(flags & 0x0f) * 4..)?;
        if flags & 0x10 != 0 {
            let (extension, after) = payload.split_first_chunk::<4>()?;
            let words = u16::from_be_bytes([extension[2], extension[3]]);
            payload = after.get(usize::from(words) * 4..)?;
        }
        if flags & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(RtpPacket {
            payload_type: kind & 0x7f,
            marker: kind & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            source: u32::from_be_bytes([c0, c1, c2, c3]),
            payload: payload.to_vec(),
        })
    }
}

/// An endless tone, packet by packet.
#[derive(Clone, Debug)]
pub struct Tone {
    next: RtpPacket,
}

impl Tone {
    /// A stream whose first sequence number, timestamp and source `seed` determines.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::of(seed, "rtp");
        let payload = MILLIWATT.iter().copied().cycle().take(PACKET_SAMPLES).collect();
        let next = RtpPacket {
            payload_type: PCMU,
            marker: true,
            sequence: random.draw() as u16,
            timestamp: random.draw() as u32,
            source: random.draw() as u32,
            payload,
        };
        Tone { next }
    }

    /// The next 20 ms.
    pub fn next_packet(&mut self) -> RtpPacket {
        let packet = self.next.clone();
        self.next.marker = false;
        self.next.sequence = packet.sequence.wrapping_add(1);
        self.next.timestamp = packet.timestamp.wrapping_add(PACKET_SAMPLES as u32);
        packet
    }
}

/// Counts a received stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RtpCounter {
    /// Packets received.
    pub received: u64,
    /// Packets that the sequence numbers say were sent and did not come.
    pub missing: u64,
    /// The longest time between two packets.
    pub longest_gap: Duration,
    /// Sequence number and arrival of the last packet in order.
    last: Option<(u16, Timestamp)>,
}

impl RtpCounter {
    /// Takes one packet of the stream.
    pub fn on_packet(&mut self, now: Timestamp, packet: &RtpPacket) {
        self.received += 1;
        if let Some((sequence, arrival)) = self.last {
            let step = packet.sequence.wrapping_sub(sequence);
            if step == 0 || step > u16::MAX / 2 {
                // It was counted as missing when a later one came, unless it is a copy.
                self.missing = self.missing.saturating_sub(u64::from(step != 0));
                return;
            }
            self.missing += u64::from(step - 1);
            self.longest_gap = self.longest_gap.max(now.since(arrival));
        }
        self.last = Some((packet.sequence, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_packet_reads_back_from_its_bytes() {
        let packet = Tone::new(1).next_packet();
        assert_eq!(packet.to_bytes().len(), 172);
        assert_eq!(RtpPacket::parse(&packet.to_bytes()), Some(packet));
    }

    #[test]
    fn sources_extension_and_padding_are_stepped_over() {
        let mut bytes = vec![0xb1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend_from_slice(&[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 8, 8, 8, 8, 42, 0, 2]);
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload, [42]);
    }

    #[test]
    fn what_is_no_rtp_is_refused() {
        let cut_short = [0x81, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1];
        let padded_to_nothing = [0xa0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for bytes in [&[][..], &[0x80; 11], &[0; 20], &cut_short, &padded_to_nothing] {
            assert_eq!(RtpPacket::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_tone_goes_on_where_it_was() {
        let mut tone = Tone::new(2);
        let (first, second) = (tone.next_packet(), tone.next_packet());
        assert!(first.marker && !second.marker);
        assert_eq!(second.sequence, first.sequence.wrapping_add(1));
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(160));
    }

    #[test]
    fn gaps_copies_and_late_packets_are_counted() {
        let mut tone = Tone::new(3);
        let packets: Vec<_> = (0..6).map(|_| tone.next_packet()).collect();
        let mut counter = RtpCounter::default();
        for (at, packet) in [(0, 0), (20, 1), (21, 1), (80, 4), (81, 2), (100, 5)] {
            counter.on_packet(ms(at), &packets[packet]);
        }
        assert_eq!((counter.received, counter.missing), (6, 1));
        assert_eq!(counter.longest_gap, Duration::from_millis(60));
    }
}
