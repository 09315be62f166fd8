//! How SIP text is cut: comma lists, parameters, folded lines.
//!
//! A delimiter counts only outside quoted strings and angle brackets (RFC 3261 §25.1). The cuts
//! are ranges, so that what lies between them can stay as it was written.

use std::borrow::Cow;
use std::ops::Range;

/// Entries of a comma list, trimmed; empty ones are left out.
pub fn split_list(value: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    split(value, b',').filter(|range| !range.is_empty())
}

/// Name and value of each `;name=value`, trimmed; the value is empty if there is none.
pub fn params(text: &str) -> impl Iterator<Item = (&str, &str)> {
    param_ranges(text.as_bytes()).map(|(name, value)| (&text[name], &text[value]))
}

/// A parameter's value without its quotes; `Some("")` if it has none.
pub fn param<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, value) = params(text).find(|(found, _)| found.eq_ignore_ascii_case(name))?;
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(unquoted.unwrap_or(value))
}

/// [`params`] as ranges.
pub(crate) fn param_ranges(
    bytes: &[u8],
) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
    split(bytes, b';').filter(|range| !range.is_empty()).map(move |range| {
        // Names are short: `memchr` would not be faster.
        let equals = bytes[range.clone()].iter().position(|byte| *byte == b'=');
        let Some(equals) = equals else {
            return (range.clone(), range.end..range.end);
        };
        let equals = range.start + equals;
        (trim(bytes, range.start..equals), trim(bytes, equals + 1..range.end))
    })
}

/// A header value as text: folds become one space (RFC 3261 §7.3.1), bytes that are not UTF-8
/// the replacement character.
pub fn unfold(value: &[u8]) -> Cow<'_, str> {
    let text = match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value),
    };
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return text;
    }
    let mut unfolded = String::with_capacity(text.len());
    for part in text.split(['\r', '\n']) {
        let part = part.trim_matches([' ', '\t']);
        if !unfolded.is_empty() && !part.is_empty() {
            unfolded.push(' ');
        }
        unfolded.push_str(part);
    }
    Cow::Owned(unfolded)
}

/// One line of text that can stand in a header: no line end of it gets into the message, where
/// it could start a header of its own.
#[inline]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if memchr::memchr3(b'\r', b'\n', b'\0', text.as_bytes()).is_some() {
        Cow::Owned(text.replace(['\r', '\n', '\0'], " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// [`one_line`] for a Request-URI, which has no spaces either.
#[inline]
pub(crate) fn one_word(text: &str) -> Cow<'_, str> {
    if is_one_word(text.as_bytes()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.replace(|c: char| c == ' ' || c.is_ascii_control(), ""))
    }
}

/// No space and no control character is in it.
pub(crate) fn is_one_word(text: &[u8]) -> bool {
    let is_fine = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    // Of eight bytes all are looked at, without a jump behind each: they are taken at once.
    let (eights, rest) = text.as_chunks::<8>();
    eights.iter().all(|eight| eight.iter().fold(true, |fine, byte| fine & is_fine(byte)))
        && rest.iter().all(is_fine)
}

/// Whether two words are the same in any letter case; nearly all are written as in the RFC.
#[inline]
pub(crate) fn is_same_word(one: &[u8], other: &[u8]) -> bool {
    one == other || one.eq_ignore_ascii_case(other)
}

/// All quotes and angle brackets are closed: what is appended is not swallowed by one.
pub(crate) fn is_closed(bytes: &[u8]) -> bool {
    let Some(first) = memchr::memchr2(b'"', b'<', bytes) else { return true };
    let mut nesting = Nesting::default();
    bytes[first..].iter().for_each(|byte| nesting.step(*byte));
    nesting.is_outside()
}

/// The range without white space and line ends around it.
pub(crate) fn trim(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = range;
    while start < end && is_space(bytes[start]) {
        start += 1;
    }
    while end > start && is_space(bytes[end - 1]) {
        end -= 1;
    }
    start..end
}

/// White space, also that of a fold.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A character of a token (RFC 3261 §25.1): methods and header names are made of these.
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether it is a token (RFC 3261 §25.1).
pub fn is_a_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token)
}

/// A character of a host name or an IPv4 address; underscores are seen, too.
pub(crate) fn is_host(byte: u8) -> bool {
    HOST[usize::from(byte)]
}

/// Asked for each byte of names: a look-up is a quarter of the comparisons.
const TOKEN: [bool; 256] = letters_digits_and(b"-.!%*_+`'~");
const HOST: [bool; 256] = letters_digits_and(b"-._");

const fn letters_digits_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
}

/// Trimmed parts between the delimiters that are outside quotes and angle brackets.
fn split(bytes: &[u8], delimiter: u8) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = Some(0);
    std::iter::from_fn(move || {
        let from = start?;
        let end = find_outside(bytes, from, delimiter);
        start = end.map(|at| at + 1);
        Some(trim(bytes, from..end.unwrap_or(bytes.len())))
    })
}

fn find_outside(bytes: &[u8], from: usize, delimiter: u8) -> Option<usize> {
    // What comes before the first quote or bracket is outside of both.
    let first = from + memchr::memchr3(delimiter, b'"', b'<', &bytes[from..])?;
    if bytes[first] == delimiter {
        return Some(first);
    }
    let from = first;
    let mut nesting = Nesting::default();
    let found = bytes[from..].iter().position(|&byte| {
        nesting.step(byte);
        byte == delimiter && nesting.is_outside()
    });
    found.map(|at| from + at)
}

/// Where a scan is: in a quoted string, in angle brackets, behind a backslash.
#[derive(Default)]
struct Nesting {
    quoted: bool,
    angled: bool,
    escaped: bool,
}

impl Nesting {
    fn step(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ if self.quoted => {}
            b'<' => self.angled = true,
            b'>' => self.angled = false,
            _ => {}
        }
    }

    fn is_outside(&self) -> bool {
        !self.quoted && !self.angled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<&str> {
        split_list(text.as_bytes()).map(|range| &text[range]).collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_cut() {
        let text = r#""a, \" b" <sip:a,b@c> ;q=1 , <sip:d>,, "x" <sip:e>"#;
        assert_eq!(list(text), [r#""a, \" b" <sip:a,b@c> ;q=1"#, "<sip:d>", r#""x" <sip:e>"#]);
        assert!(list(" , ").is_empty());
    }

    #[test]
    fn parameters_are_found_whatever_their_case() {
        let text = r#" ;Branch = z9 ; lr;x="a;b""#;
        assert_eq!(param(text, "branch"), Some("z9"));
        assert_eq!(param(text, "LR"), Some(""));
        assert_eq!(param(text, "x"), Some("a;b"));
        assert_eq!(param(text, "y"), None);
    }

    #[test]
    fn folds_become_one_space() {
        assert_eq!(unfold(b"a\r\n  b\n\tc"), "a b c");
        assert!(matches!(unfold(b"a  b"), Cow::Borrowed("a  b")));
        assert_eq!(unfold(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn open_quotes_and_brackets_are_noticed() {
        assert!(is_closed(br#""a<" <b>"#));
        assert!(!is_closed(br#""a\""#));
        assert!(!is_closed(b"a<b"));
    }

    #[test]
    fn no_line_end_gets_through() {
        assert_eq!(one_line("a\r\nVia: b"), "a  Via: b");
    }
}
