//! The header lines of a message, and where the first of each name is: what is there once is
//! found without looking at the others.

use crate::header_line::HeaderLine;
use crate::header_name::HeaderName;
use crate::message::{HEADERS_MAX, ParseError};
use smallvec::SmallVec;
use std::ops::Range;

/// Header lines of nearly all messages: more make an allocation.
const LINES_USUALLY: usize = 24;

/// All header lines of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderIndex {
    lines: SmallVec<[HeaderLine; LINES_USUALLY]>,
    /// Number of the first line of each name; only of names that are there.
    first: [u8; HeaderName::COUNT],
    /// A bit for each name that is there.
    present: u32,
    /// A bit for each name that is there more than once.
    repeated: u32,
}

/// What stands above the body.
#[derive(Debug)]
pub(crate) struct Head {
    /// Where the body starts.
    pub(crate) body_start: usize,
    /// A carriage return without a line feed is in a header.
    pub(crate) has_bare_cr: bool,
}

impl HeaderIndex {
    /// Reads the header lines from `start` on, up to the blank line.
    pub(crate) fn read(&mut self, bytes: &[u8], start: usize) -> Result<Head, ParseError> {
        let mut has_bare_cr = false;
        let mut at = start;
        // To ask the list each time how many it has would cost more.
        let mut count = 0;
        loop {
            let line = find_line(bytes, at).ok_or(ParseError::NoBlankLine)?;
            has_bare_cr |= line.has_bare_cr;
            match bytes[at] {
                b'\r' | b'\n' if line.end - at <= 2 => {
                    return Ok(Head { body_start: line.end, has_bare_cr });
                }
                b' ' | b'\t' => {
                    let folded = self.lines.last_mut().ok_or(ParseError::BadHeaderLine)?;
                    folded.fold(bytes, line.end);
                }
                _ if count == HEADERS_MAX => return Err(ParseError::TooManyHeaders),
                _ => {
                    self.push(count, HeaderLine::read(bytes, at..line.end)?);
                    count += 1;
                }
            }
            at = line.end;
        }
    }

    /// The lines, in their order.
    pub(crate) fn lines(&self) -> &[HeaderLine] {
        &self.lines
    }

    /// A bit for each name that is there, and for each that is there more than once.
    pub(crate) fn names(&self) -> (u32, u32) {
        (self.present, self.repeated)
    }

    /// The first line of a header.
    pub(crate) fn first(&self, name: HeaderName) -> Option<&HeaderLine> {
        let is_present = self.present & name.bit() != 0;
        is_present.then(|| &self.lines[self.first_at(name)])
    }

    /// The lines of a header, in their order.
    pub(crate) fn all(&self, name: HeaderName) -> impl Iterator<Item = &HeaderLine> {
        let lines = match self.first(name) {
            Some(_) if self.is_repeated(name) => &self.lines[self.first_at(name)..],
            Some(only) => std::slice::from_ref(only),
            None => &[],
        };
        lines.iter().filter(move |line| line.name == name)
    }

    /// Whether a header has several lines.
    pub(crate) fn is_repeated(&self, name: HeaderName) -> bool {
        self.repeated & name.bit() != 0
    }

    /// The value of a header that must be there, once, and not be empty.
    #[inline]
    pub(crate) fn once(&self, name: HeaderName) -> Result<Range<usize>, ParseError> {
        let value = self.first(name).ok_or(ParseError::Missing(name))?.value();
        if self.is_repeated(name) {
            return Err(ParseError::Duplicate(name));
        }
        if value.is_empty() { Err(ParseError::Bad(name)) } else { Ok(value) }
    }

    /// The line that so many stand above.
    fn push(&mut self, above: usize, line: HeaderLine) {
        let bit = line.name.bit();
        if self.present & bit == 0 {
            self.first[line.name as usize] = above as u8;
        }
        self.repeated |= self.present & bit;
        self.present |= bit;
        self.lines.push(line);
    }

    fn first_at(&self, name: HeaderName) -> usize {
        self.first[name as usize].into()
    }
}

// The numbers of lines fit into a byte.
const _: () = assert!(HEADERS_MAX <= 256);

/// A line of a message.
pub(crate) struct FoundLine {
    /// Behind its line feed.
    pub(crate) end: usize,
    /// A carriage return without a line feed is in it.
    pub(crate) has_bare_cr: bool,
}

/// The line that starts there; none if no line feed follows.
pub(crate) fn find_line(bytes: &[u8], start: usize) -> Option<FoundLine> {
    let first = start + memchr::memchr2(b'\r', b'\n', &bytes[start..])?;
    match bytes[first..] {
        [b'\n', ..] => Some(FoundLine { end: first + 1, has_bare_cr: false }),
        [_, b'\n', ..] => Some(FoundLine { end: first + 2, has_bare_cr: false }),
        _ => {
            let line_feed = first + memchr::memchr(b'\n', &bytes[first..])?;
            Some(FoundLine { end: line_feed + 1, has_bare_cr: true })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(text: &str) -> HeaderIndex {
        let mut index = HeaderIndex::default();
        let head = index.read(text.as_bytes(), 0).unwrap();
        assert_eq!(head.body_start, text.len());
        index
    }

    #[test]
    fn a_header_is_found_wherever_it_is_and_however_often() {
        let text = format!("{}Via: a\r\nTo: b\n\tc\nv : d\r\n\r\n", "X: y\r\n".repeat(253));
        let index = index(&text);
        let values = |name| index.all(name).map(|line| &text[line.value()]).collect::<Vec<_>>();
        assert_eq!(index.lines().len(), HEADERS_MAX);
        assert_eq!(values(HeaderName::Via), ["a", "d"]);
        assert_eq!(values(HeaderName::To), ["b\n\tc"]);
        assert!(values(HeaderName::From).is_empty());
        assert_eq!(index.once(HeaderName::To).map(|value| &text[value]), Ok("b\n\tc"));
        let duplicate = ParseError::Duplicate(HeaderName::Via);
        assert_eq!(index.once(HeaderName::Via), Err(duplicate));
        assert_eq!(index.once(HeaderName::From), Err(ParseError::Missing(HeaderName::From)));
    }

    #[test]
    fn a_bare_carriage_return_is_seen_whatever_ends_the_lines() {
        for (text, is_bare) in [
            ("X: a\r\n\r\n", false),
            ("X: a\n\n", false),
            ("X: a\r\r\n\r\n", true),
            ("X: a\rb\r\n\n", true),
            ("X: a\rb\n\n", true),
            ("X: a\n Y\rb\n\n", true),
        ] {
            let head = HeaderIndex::default().read(text.as_bytes(), 0);
            assert_eq!(head.map(|head| head.has_bare_cr), Ok(is_bare), "{text:?}");
        }
    }
}
