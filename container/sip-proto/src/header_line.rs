//! One header line: where it is in its message, in as few bytes as the index of a message can be
//! kept without an allocation of its own.

use crate::header_name::HeaderName;
use crate::message::ParseError;
use crate::text::{is_space, is_token, trim};
use std::ops::Range;

/// One header, with its folds. Positions are from the start of the text that it is in, the message
/// as it came or what its edit wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderLine {
    pub(crate) name: HeaderName,
    /// It is in what its edit wrote.
    pub(crate) is_own: bool,
    /// Length of the name as written; the line starts with it.
    name_len: u16,
    /// From the first byte of the name to behind the line end.
    start: u32,
    end: u32,
    /// The value, trimmed.
    value_start: u32,
    value_end: u32,
}

impl HeaderLine {
    /// Reads the line; its line end is in the range. For each line of each message: it is worth
    /// its place in the loop.
    #[inline]
    pub(crate) fn read(bytes: &[u8], line: Range<usize>) -> Result<HeaderLine, ParseError> {
        let text = &bytes[line.clone()];
        let (name, name_len, colon) = match HeaderName::in_front_of(text) {
            Some(name) => (name, name.long().len(), name.long().len()),
            None => read_name(text)?,
        };
        let value = match &text[colon + 1..] {
            // Nearly all are written so.
            [b' ', value @ .., b'\r', b'\n'] if is_trimmed(value) => colon + 2..text.len() - 2,
            _ => match trim(text, colon + 1..text.len()) {
                // One that starts on the next line must not start behind this line's end.
                value if value.is_empty() => colon + 1..colon + 1,
                value => value,
            },
        };
        Ok(HeaderLine {
            name,
            is_own: false,
            name_len: name_length(name_len),
            start: received(line.start),
            end: received(line.end),
            value_start: received(line.start + value.start),
            value_end: received(line.start + value.end),
        })
    }

    /// A line that an edit wrote: from where on, how long the name is, and where the value is, with
    /// a line end of two bytes behind it.
    pub(crate) fn written(
        name: HeaderName,
        start: usize,
        name_len: usize,
        value: Range<usize>,
    ) -> HeaderLine {
        HeaderLine {
            name,
            is_own: true,
            name_len: name_length(name_len),
            start: position(start),
            end: position(value.end + 2),
            value_start: position(value.start),
            value_end: position(value.end),
        }
    }

    /// The same line written again elsewhere, with another value.
    pub(crate) fn rewritten(&self, line: Range<usize>, value: Range<usize>) -> HeaderLine {
        HeaderLine {
            is_own: true,
            start: position(line.start),
            end: position(line.end),
            value_start: position(value.start),
            value_end: position(value.end),
            ..*self
        }
    }

    /// Its value goes on in the line up to `line_end`.
    pub(crate) fn fold(&mut self, bytes: &[u8], line_end: usize) {
        self.end = received(line_end);
        let value = trim(bytes, self.value_start as usize..line_end);
        // One that is empty still stays where it is, not behind the line's end.
        if !value.is_empty() {
            (self.value_start, self.value_end) = (received(value.start), received(value.end));
        }
    }

    /// The other one begins where this one ends.
    pub(crate) fn is_above(&self, other: &HeaderLine) -> bool {
        self.is_own == other.is_own && self.end == other.start
    }

    /// From the first byte to behind the line end.
    pub(crate) fn line(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The name as written.
    pub(crate) fn written_name(&self) -> Range<usize> {
        self.start as usize..self.start as usize + usize::from(self.name_len)
    }

    /// The value, trimmed.
    pub(crate) fn value(&self) -> Range<usize> {
        self.value_start as usize..self.value_end as usize
    }
}

/// A name that is not written as in the RFC: which it is, its length, and where the colon is.
fn read_name(text: &[u8]) -> Result<(HeaderName, usize, usize), ParseError> {
    let name_len = text.iter().position(|byte| !is_token(*byte));
    let name_len = name_len.filter(|len| *len > 0).ok_or(ParseError::BadHeaderLine)?;
    let mut colon = name_len;
    while colon < text.len() && is_space(text[colon]) {
        colon += 1;
    }
    if text.get(colon) != Some(&b':') {
        return Err(ParseError::BadHeaderLine);
    }
    Ok((HeaderName::of(&text[..name_len]), name_len, colon))
}

/// Not empty, and no white space around it.
fn is_trimmed(value: &[u8]) -> bool {
    matches!(value, [first, .., last] if !is_space(*first) && !is_space(*last))
}

/// [`crate::message::MESSAGE_BYTES_MAX`] is the largest.
fn received(at: usize) -> u32 {
    at as u32
}

/// What is written into messages does not come near to 4 GB.
fn position(at: usize) -> u32 {
    u32::try_from(at).expect("messages have some thousand bytes")
}

/// Nothing asks for the end of a name that is longer.
fn name_length(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
