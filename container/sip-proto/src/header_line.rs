//! One header line: where it is in its message, in as few bytes as the index of a message can be
//! kept without an allocation of its own.

use crate::header_name::HeaderName;
use crate::message::ParseError;
use crate::text::{is_space, is_token, trim};
use smallvec::SmallVec;
use std::ops::Range;

/// Header lines of nearly all messages: more make an allocation.
const LINES_USUALLY: usize = 24;

/// The header lines of a message, in their order.
pub(crate) type HeaderLines = SmallVec<[HeaderLine; LINES_USUALLY]>;

/// One header, with its folds. No message is longer than what positions can say
/// ([`crate::message::MESSAGE_BYTES_MAX`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderLine {
    pub(crate) name: HeaderName,
    /// From the first byte of the name to behind the line end.
    start: u16,
    end: u16,
    name_end: u16,
    /// The value, trimmed.
    value_start: u16,
    value_end: u16,
}

impl HeaderLine {
    /// Reads the line; its line end is in the range.
    pub(crate) fn read(bytes: &[u8], line: Range<usize>) -> Result<HeaderLine, ParseError> {
        let text = &bytes[line.clone()];
        let name_len = text.iter().position(|byte| !is_token(*byte));
        let name_len = name_len.filter(|len| *len > 0).ok_or(ParseError::BadHeaderLine)?;
        let mut colon = name_len;
        while colon < text.len() && is_space(text[colon]) {
            colon += 1;
        }
        if text.get(colon) != Some(&b':') {
            return Err(ParseError::BadHeaderLine);
        }
        let value = match &text[colon + 1..] {
            // Nearly all are written so.
            [b' ', value @ .., b'\r', b'\n'] if is_trimmed(value) => colon + 2..text.len() - 2,
            _ => trim(text, colon + 1..text.len()),
        };
        // A value that starts on the next line must not start behind this line's end.
        let value = if value.is_empty() { colon + 1..colon + 1 } else { value };
        Ok(HeaderLine {
            name: HeaderName::of(&text[..name_len]),
            start: position(line.start),
            end: position(line.end),
            name_end: position(line.start + name_len),
            value_start: position(line.start + value.start),
            value_end: position(line.start + value.end),
        })
    }

    /// Its value goes on in the line up to `line_end`.
    pub(crate) fn fold(&mut self, bytes: &[u8], line_end: usize) {
        self.end = position(line_end);
        let value = trim(bytes, usize::from(self.value_start)..line_end);
        (self.value_start, self.value_end) = (position(value.start), position(value.end));
    }

    /// From the first byte to behind the line end.
    pub(crate) fn line(&self) -> Range<usize> {
        self.start.into()..self.end.into()
    }

    /// The name as written.
    pub(crate) fn written_name(&self) -> Range<usize> {
        self.start.into()..self.name_end.into()
    }

    /// The value, trimmed.
    pub(crate) fn value(&self) -> Range<usize> {
        self.value_start.into()..self.value_end.into()
    }
}

/// Not empty, and no white space around it.
fn is_trimmed(value: &[u8]) -> bool {
    matches!(value, [first, .., last] if !is_space(*first) && !is_space(*last))
}

/// [`crate::message::MESSAGE_BYTES_MAX`] is the largest.
fn position(at: usize) -> u16 {
    at as u16
}
