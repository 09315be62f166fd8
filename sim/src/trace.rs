//! The trace of a run: hashed always, kept on request.

use resilee_sbb::Timestamp;
use std::net::SocketAddr;

/// Lines of what happened, in order.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    start: Timestamp,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// An empty trace; its times count from `start`.
    pub fn new(start: Timestamp, keep: bool) -> Self {
        Trace { hash: 0xcbf2_9ce4_8422_2325, start, lines: keep.then(Vec::new) }
    }

    /// Adds what happened. The text is made only if it is kept; `bytes` are hashed always.
    pub fn add(&mut self, now: Timestamp, kind: &str, bytes: &[u8], text: impl Fn() -> String) {
        self.hash(&now.as_micros().to_be_bytes());
        self.hash(kind.as_bytes());
        self.hash(bytes);
        if let Some(lines) = &mut self.lines {
            let at = now.since(self.start);
            lines.push(format!("{:>10.3} ms {kind} {}", at.as_secs_f64() * 1000.0, text()));
        }
    }

    fn hash(&mut self, bytes: &[u8]) {
        // FNV-1a, by words: a trace is long. What a multiplication moves up is brought down again.
        let (words, rest) = bytes.as_chunks::<8>();
        let last = rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        for word in words.iter().map(|word| u64::from_be_bytes(*word)).chain([last]) {
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
    }

    /// Equal for equal traces.
    pub fn fingerprint(&self) -> u64 {
        self.hash
    }

    /// The lines that were kept.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// One line of the trace: who to whom, and the first line of what they say.
pub fn describe(source: SocketAddr, destination: SocketAddr, bytes: &[u8]) -> String {
    let printable = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
    let line: Vec<u8> = bytes.iter().take_while(printable).copied().take(60).collect();
    let sip = bytes.windows(8).position(|window| window == b" SIP/2.0" || window == b"SIP/2.0 ");
    let inside = sip.filter(|_| line.len() < 8).map(|at| {
        let start = bytes[..at].iter().rposition(|b| !b.is_ascii_graphic() && *b != b' ');
        let text: Vec<_> =
            bytes[start.map_or(0, |s| s + 1)..].iter().take_while(printable).collect();
        text.into_iter().copied().take(60).collect::<Vec<u8>>()
    });
    let line = String::from_utf8_lossy(inside.as_deref().unwrap_or(&line)).into_owned();
    format!("{source} > {destination} {line}")
}
