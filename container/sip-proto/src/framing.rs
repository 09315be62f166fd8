//! Messages in a stream (RFC 3261 §18.3): where one ends, its Content-Length says.
//!
//! | in the stream                                   | becomes                                   |
//! |-------------------------------------------------|-------------------------------------------|
//! | CRLF CRLF before a message                      | a ping (RFC 3261 §7.5, RFC 5626 §4.4.1)   |
//! | other line ends before a message                | nothing                                   |
//! | headers, a blank line, as many bytes as they say| a message, whatever else is wrong with it |
//! | no Content-Length, one that is no number,       | an error: nobody knows where the next     |
//! | two that differ                                 | message begins                            |
//! | more than the limits                            | an error, before it is all there          |
//!
//! Not here: what is in a message (`message.rs`), and how long one may take.

use crate::message::read_digits;
use crate::routing_key::{header_end, value_of};

/// Most bytes of start line and headers.
pub const STREAM_HEADER_BYTES_MAX: usize = 16_384;

/// Most bytes of a message: what fits into a datagram between balancer and nodes, with room for
/// what a node adds to it.
pub const STREAM_MESSAGE_BYTES_MAX: usize = 60_000;

/// Asks for a sign of life (RFC 5626 §4.4.1).
const PING: &[u8] = b"\r\n\r\n";

/// Why nothing behind this place of a stream can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// More than [`STREAM_HEADER_BYTES_MAX`] without a blank line.
    #[error("more than {STREAM_HEADER_BYTES_MAX} bytes of headers")]
    HeadersTooLong,
    /// More than [`STREAM_MESSAGE_BYTES_MAX`].
    #[error("a message of more than {STREAM_MESSAGE_BYTES_MAX} bytes")]
    MessageTooLong,
    /// RFC 3261 §20.14: mandatory in a stream.
    #[error("a message without Content-Length")]
    NoContentLength,
    /// No number, or two that differ.
    #[error("a Content-Length that cannot be read")]
    BadContentLength,
    /// The first line is none of SIP: another protocol.
    #[error("no SIP")]
    NotSip,
}

/// What was in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message, whole.
    Message(Vec<u8>),
    /// CRLF CRLF: is answered with CRLF.
    Ping,
}

/// Cuts the stream of one connection into messages.
#[derive(Debug, Default)]
pub struct Framing {
    /// What was received and is no frame yet.
    buffer: Vec<u8>,
    /// Where the next header to look at begins.
    at: usize,
    /// The Content-Length found so far in the message at the front.
    content_length: Option<usize>,
    /// Whole length of the message at the front, once it is known.
    length: Option<usize>,
}

impl Framing {
    /// Takes what was received.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if it is there; call until there is none.
    ///
    /// # Errors
    /// The rest of the stream cannot be read: it has to be closed.
    pub fn poll_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        if self.length.is_none() && self.at == 0 && self.skip_line_ends() {
            return Ok(Some(Frame::Ping));
        }
        let Some(length) = self.find_length()? else { return Ok(None) };
        if self.buffer.len() < length {
            return Ok(None);
        }
        let rest = self.buffer.split_off(length);
        let message = std::mem::replace(&mut self.buffer, rest);
        (self.at, self.content_length, self.length) = (0, None, None);
        Ok(Some(Frame::Message(message)))
    }

    /// How many bytes are kept until the rest of their message is there.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a message has begun that is not all there.
    pub fn is_within_message(&self) -> bool {
        self.buffer.iter().any(|byte| !is_line_end(*byte))
    }

    /// Takes line ends off until a message begins, or a ping is found: then it is true. What may
    /// become a ping stays until the next bytes say.
    fn skip_line_ends(&mut self) -> bool {
        let mut skipped = 0;
        let is_ping = loop {
            let rest = &self.buffer[skipped..];
            match rest.first() {
                _ if rest.starts_with(PING) => break true,
                Some(byte) if is_line_end(*byte) && !PING.starts_with(rest) => skipped += 1,
                _ => break false,
            }
        };
        self.buffer.drain(..if is_ping { skipped + PING.len() } else { skipped });
        is_ping
    }

    fn find_length(&mut self) -> Result<Option<usize>, FramingError> {
        if self.length.is_some() || !self.is_within_message() {
            return Ok(self.length);
        }
        loop {
            let Some(end) = self.line_end()? else { return Ok(None) };
            let line = &self.buffer[self.at..end];
            if self.at == 0 && !is_start_line(line) {
                return Err(FramingError::NotSip);
            }
            if matches!(line, b"\n" | b"\r\n") {
                let body = self.content_length.ok_or(FramingError::NoContentLength)?;
                let length = end.checked_add(body).filter(|it| *it <= STREAM_MESSAGE_BYTES_MAX);
                self.length = Some(length.ok_or(FramingError::MessageTooLong)?);
                return Ok(self.length);
            }
            if let Some(value) = value_of(line, b"content-length", b"l") {
                let number = read_digits(value).ok_or(FramingError::BadContentLength)?;
                let number = usize::try_from(number).map_err(|_| FramingError::BadContentLength)?;
                if self.content_length.is_some_and(|before| before != number) {
                    return Err(FramingError::BadContentLength);
                }
                self.content_length = Some(number);
            }
            self.at = end;
        }
    }

    /// Behind the start line, or behind the header at `at` once it cannot be folded any more.
    fn line_end(&self) -> Result<Option<usize>, FramingError> {
        let end = match self.at {
            0 => memchr::memchr(b'\n', &self.buffer).map(|line_end| line_end + 1),
            at => header_end(&self.buffer, at).filter(|end| {
                // What follows may be a fold, unless this is the blank line.
                matches!(self.buffer[at], b'\r' | b'\n') || *end < self.buffer.len()
            }),
        };
        let so_far = end.unwrap_or(self.buffer.len());
        if so_far > STREAM_HEADER_BYTES_MAX {
            return Err(FramingError::HeadersTooLong);
        }
        Ok(end)
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// `… SIP/2.0` or `SIP/2.0 …`: anything else speaks another protocol, and will go on so.
fn is_start_line(line: &[u8]) -> bool {
    let words = |range: &[u8]| range.to_ascii_uppercase().windows(4).any(|it| it == b"SIP/");
    words(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 4\r\n\r\nbody";

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().to_vec())
    }

    /// What is read of a stream that comes in pieces of this size.
    fn frames(text: &str, piece: usize) -> Result<Vec<Frame>, FramingError> {
        let (mut framing, mut found) = (Framing::default(), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            framing.handle_bytes(bytes);
            while let Some(frame) = framing.poll_frame()? {
                found.push(frame);
            }
        }
        Ok(found)
    }

    #[test]
    fn s18_3_messages_are_cut_by_their_content_length_however_they_come() {
        let second = "SIP/2.0 200 OK\nl : 0\nCall-ID: 1\n\n";
        let stream = format!("{OPTIONS}{second}{OPTIONS}");
        for piece in 1..stream.len() {
            let found = frames(&stream, piece).unwrap();
            assert_eq!(found, [message(OPTIONS), message(second), message(OPTIONS)], "{piece}");
        }
    }

    #[test]
    fn s7_3_1_a_folded_content_length_is_one() {
        let folded = "SIP/2.0 200 OK\r\nContent-Length:\r\n\t2\r\n\r\nxy";
        for piece in 1..folded.len() {
            assert_eq!(frames(folded, piece), Ok(vec![message(folded)]), "{piece}");
        }
    }

    #[test]
    fn s7_5_line_ends_before_a_message_are_skipped_and_four_bytes_are_a_ping() {
        for piece in 1..8 {
            let stream = format!("\r\n\r\n{OPTIONS}\r\n{OPTIONS}");
            let found = frames(&stream, piece).unwrap();
            assert_eq!(found, [Frame::Ping, message(OPTIONS), message(OPTIONS)], "{piece}");
            assert_eq!(frames("\r\n\r\n\r\n\r\n", piece), Ok(vec![Frame::Ping, Frame::Ping]));
        }
    }

    #[test]
    fn a_stream_that_cannot_be_cut_is_an_error() {
        let headers = |lines: &str| format!("OPTIONS sip:a SIP/2.0\r\n{lines}\r\n");
        let cases = [
            (headers("Call-ID: 1\r\n"), FramingError::NoContentLength),
            (headers("Content-Length: many\r\n"), FramingError::BadContentLength),
            (headers("Content-Length: -1\r\n"), FramingError::BadContentLength),
            (headers("Content-Length: 4\r\nl: 5\r\n"), FramingError::BadContentLength),
            (headers("Content-Length: 60000\r\n"), FramingError::MessageTooLong),
            (headers("Content-Length: 99999999999999999999\r\n"), FramingError::BadContentLength),
            ("GET / HTTP/1.1\r\n".to_owned(), FramingError::NotSip),
            (format!("SIP/2.0 200 {}", "O".repeat(20_000)), FramingError::HeadersTooLong),
            (headers(&"a: b\r\n".repeat(4_000)), FramingError::HeadersTooLong),
        ];
        for (stream, error) in cases {
            for piece in [1, 7, stream.len()] {
                assert_eq!(frames(&stream, piece), Err(error), "{stream:.60}");
            }
        }
    }

    #[test]
    fn what_is_not_all_there_is_told() {
        let mut framing = Framing::default();
        for (bytes, is_within, kept) in [("\r\n", false, 2), (OPTIONS, false, 0), ("OPT", true, 3)]
        {
            framing.handle_bytes(bytes.as_bytes());
            while framing.poll_frame().unwrap().is_some() {}
            assert_eq!(framing.is_within_message(), is_within, "{bytes}");
            assert_eq!(framing.bytes(), kept, "{bytes}");
        }
    }
}
