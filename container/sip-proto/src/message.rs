//! One received message: an index of header names and values over its bytes.
//!
//! The bytes are never copied or changed, so that what a proxy does not touch goes on as it
//! came. Not here: the meaning of most values, which their readers parse ([`crate::uri`],
//! [`crate::via`], [`crate::digest`]), and changes ([`crate::edit`]).

use crate::header_index::{Head, HeaderIndex, find_line};
use crate::text::{is_one_word, is_same_word, is_space, is_token, param, split_list, trim, unfold};
use crate::uri::name_addr;
use crate::via::Via;
use std::borrow::Cow;
use std::ops::Range;

pub use crate::header_name::HeaderName;

/// Longest message; a UDP datagram cannot be longer. A longer one is refused.
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Most header lines of a message. One with more is refused.
pub const HEADERS_MAX: usize = 256;

/// Highest Max-Forwards.
const HOPS_MAX: u32 = 255;

/// A message, indexed but not copied.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// No line ends before it, nothing after the body.
    bytes: &'a [u8],
    start_line: StartLine<'a>,
    headers: HeaderIndex,
    /// Where the body starts.
    body_start: usize,
    top_via: Via<'a>,
    call_id: &'a str,
    cseq: (u32, &'a str),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but line ends.
    #[error("empty")]
    Empty,
    /// More than [`MESSAGE_BYTES_MAX`].
    #[error("longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`HEADERS_MAX`].
    #[error("more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    /// The first line is neither a request line nor a status line.
    #[error("bad start line")]
    BadStartLine,
    /// A SIP version other than 2.0.
    #[error("SIP version is not 2.0")]
    BadVersion,
    /// A header line without a name or a colon.
    #[error("bad header line")]
    BadHeaderLine,
    /// A carriage return without a line feed: others might take it for a line end.
    #[error("carriage return without line feed")]
    BareCarriageReturn,
    /// The message ends within its headers.
    #[error("no blank line after the headers")]
    NoBlankLine,
    /// A mandatory header is not there.
    #[error("no {0}")]
    Missing(HeaderName),
    /// A header that may be there once is there again.
    #[error("more than one {0}")]
    Duplicate(HeaderName),
    /// A header's value cannot be read.
    #[error("bad {0}")]
    Bad(HeaderName),
    /// The CSeq of a request names another method.
    #[error("CSeq names another method")]
    CSeqMethodMismatch,
    /// Content-Length is more than what came.
    #[error("body shorter than Content-Length")]
    BodyTooShort,
}

/// The first line.
#[derive(Clone, Debug)]
pub(crate) enum StartLine<'a> {
    Request { method: &'a str, uri: Range<usize> },
    Response { status: u16, reason: &'a [u8] },
}

impl<'a> Message<'a> {
    /// Indexes one datagram.
    ///
    /// Line ends before the message and bytes after its Content-Length are left out of it.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, ParseError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let skipped = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        let bytes = &bytes[skipped.ok_or(ParseError::Empty)?..];
        let line = find_line(bytes, 0).ok_or(ParseError::NoBlankLine)?;
        let start_line = read_start_line(bytes, trim_end(bytes, 0..line.end))?;
        let mut headers = HeaderIndex::default();
        let Head { body_start, has_bare_cr } = headers.read(bytes, line.end)?;
        if line.has_bare_cr || has_bare_cr {
            return Err(ParseError::BareCarriageReturn);
        }
        let top_via = top_via(bytes, &headers)?;
        headers.once(HeaderName::From)?;
        headers.once(HeaderName::To)?;
        let call_id = read_call_id(&bytes[headers.once(HeaderName::CallId)?])?;
        let cseq = read_cseq(&bytes[headers.once(HeaderName::CSeq)?]);
        let cseq = cseq.ok_or(ParseError::Bad(HeaderName::CSeq))?;
        if matches!(start_line, StartLine::Request { method, .. } if method != cseq.1) {
            return Err(ParseError::CSeqMethodMismatch);
        }
        let bytes = &bytes[..body_end(bytes, &headers, body_start)?];
        Ok(Message { bytes, start_line, headers, body_start, top_via, call_id, cseq })
    }

    /// The message: no line ends before it, nothing after its Content-Length.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A request, not a response.
    pub fn is_request(&self) -> bool {
        matches!(self.start_line, StartLine::Request { .. })
    }

    /// Method of a request; letter case counts, unknown methods are fine.
    pub fn method(&self) -> Option<&'a str> {
        match self.start_line {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// Request-URI as written.
    pub fn request_uri(&self) -> Option<&'a str> {
        let StartLine::Request { uri, .. } = &self.start_line else { return None };
        std::str::from_utf8(&self.bytes[uri.clone()]).ok()
    }

    /// Status of a response.
    pub fn status(&self) -> Option<u16> {
        match self.start_line {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// Reason phrase of a response; may be empty.
    pub fn reason(&self) -> Option<Cow<'a, str>> {
        match self.start_line {
            StartLine::Request { .. } => None,
            StartLine::Response { reason, .. } => Some(String::from_utf8_lossy(reason)),
        }
    }

    /// First value of a header (a whole line, lists not split), unfolded and trimmed.
    /// Of [`HeaderName::Other`] there is none: use [`Self::header_named`].
    pub fn header(&self, name: HeaderName) -> Option<Cow<'a, str>> {
        self.raw_values(name).next().map(unfold)
    }

    /// First value of any header by its long name; letter case and compact forms don't matter.
    pub fn header_named(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw_values_named(name).next().map(unfold)
    }

    /// All values of a header; comma lists are split for [`HeaderName::is_list`] headers.
    pub fn values(&self, name: HeaderName) -> Vec<Cow<'a, str>> {
        if name.is_list() {
            self.raw_values(name).flat_map(entries).collect()
        } else {
            self.raw_values(name).map(unfold).collect()
        }
    }

    /// All values of any header by its long name, with comma lists split: for headers that are
    /// lists, such as `Path` and `Allow`.
    pub fn values_named(&self, name: &str) -> Vec<Cow<'a, str>> {
        self.raw_values_named(name).flat_map(entries).collect()
    }

    /// All headers in their order: name, name as written, whole value.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, Cow<'a, str>, Cow<'a, str>)> + '_ {
        let bytes = self.bytes;
        self.headers.lines().iter().map(move |header| {
            let written = String::from_utf8_lossy(&bytes[header.written_name()]);
            (header.name, written, unfold(&bytes[header.value()]))
        })
    }

    /// Call-ID.
    pub fn call_id(&self) -> &'a str {
        self.call_id
    }

    /// Number and method of the CSeq.
    pub fn cseq(&self) -> (u32, &'a str) {
        self.cseq
    }

    /// The top Via entry.
    pub fn top_via(&self) -> &Via<'a> {
        &self.top_via
    }

    /// Tag of the From.
    pub fn from_tag(&self) -> Option<Cow<'a, str>> {
        part_of(self.header(HeaderName::From)?, |value| name_addr(value)?.tag())
    }

    /// Tag of the To.
    pub fn to_tag(&self) -> Option<Cow<'a, str>> {
        part_of(self.header(HeaderName::To)?, |value| name_addr(value)?.tag())
    }

    /// URI of the From, without brackets and header parameters; `None` if it cannot be read.
    pub fn from_uri(&self) -> Option<Cow<'a, str>> {
        part_of(self.header(HeaderName::From)?, |value| Some(name_addr(value)?.uri))
    }

    /// URI of the To, without brackets and header parameters; `None` if it cannot be read.
    pub fn to_uri(&self) -> Option<Cow<'a, str>> {
        part_of(self.header(HeaderName::To)?, |value| Some(name_addr(value)?.uri))
    }

    /// Max-Forwards, if it is there and a number up to 255 (RFC 3261 §25.1).
    pub fn max_forwards(&self) -> Option<u32> {
        let value = self.headers.first(HeaderName::MaxForwards)?.value();
        let hops = read_digits(&self.bytes[value])?;
        u32::try_from(hops).ok().filter(|hops| *hops <= HOPS_MAX)
    }

    /// Whether the Via entries below the top one can be read, too.
    pub fn has_readable_vias(&self) -> bool {
        let entries = self.raw_values(HeaderName::Via).flat_map(entries);
        entries.skip(1).all(|entry| Via::parse_of_any_version(entry).is_some())
    }

    /// A parameter of the first value of a header, such as `expires` of a Contact.
    pub fn header_param(&self, name: HeaderName, parameter: &str) -> Option<Cow<'a, str>> {
        let first = self.values(name).into_iter().next()?;
        part_of(first, |value| param(name_addr(value)?.params, parameter))
    }

    /// How many header lines it has.
    pub fn header_lines(&self) -> usize {
        self.headers.lines().len()
    }

    /// The body, as long as Content-Length says; without one, all that follows the blank line.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_start..]
    }

    pub(crate) fn start_line(&self) -> &StartLine<'a> {
        &self.start_line
    }

    pub(crate) fn header_index(&self) -> &HeaderIndex {
        &self.headers
    }

    /// Whole values as they came, with their folds.
    pub(crate) fn raw_values(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + '_ {
        let bytes = self.bytes;
        let found = (name != HeaderName::Other).then(|| self.headers.all(name));
        found.into_iter().flatten().map(move |header| &bytes[header.value()])
    }

    fn raw_values_named<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + 'n {
        let bytes = self.bytes;
        let found = self.headers.lines().iter().filter(move |header| {
            HeaderName::is_same(&bytes[header.written_name()], name.as_bytes())
        });
        found.map(move |header| &bytes[header.value()])
    }
}

/// CRLF, CRLFCRLF or an empty datagram: keeps a NAT binding open, carries no message.
pub fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.len() <= 4 && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

fn top_via<'a>(bytes: &'a [u8], headers: &HeaderIndex) -> Result<Via<'a>, ParseError> {
    let line = headers.first(HeaderName::Via).ok_or(ParseError::Missing(HeaderName::Via))?;
    let line = &bytes[line.value()];
    let via = split_list(line).next().and_then(|range| Via::parse(unfold(&line[range])));
    via.ok_or(ParseError::Bad(HeaderName::Via))
}

fn read_call_id(value: &[u8]) -> Result<&str, ParseError> {
    let text = std::str::from_utf8(value).ok().filter(|_| is_one_word(value));
    text.ok_or(ParseError::Bad(HeaderName::CallId))
}

fn body_end(bytes: &[u8], headers: &HeaderIndex, body_start: usize) -> Result<usize, ParseError> {
    const NAME: HeaderName = HeaderName::ContentLength;
    let Some(first) = headers.first(NAME) else { return Ok(bytes.len()) };
    let value = &bytes[first.value()];
    if headers.is_repeated(NAME) && headers.all(NAME).any(|other| bytes[other.value()] != *value) {
        return Err(ParseError::Duplicate(NAME));
    }
    let length = read_digits(value).ok_or(ParseError::Bad(NAME))?;
    let available = bytes.len() - body_start;
    let length = usize::try_from(length).ok().filter(|length| *length <= available);
    Ok(body_start + length.ok_or(ParseError::BodyTooShort)?)
}

fn read_start_line(bytes: &[u8], line: Range<usize>) -> Result<StartLine<'_>, ParseError> {
    let text = &bytes[line.clone()];
    if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return read_status_line(text);
    }
    let method_end = memchr::memchr(b' ', text).ok_or(ParseError::BadStartLine)?;
    let version_start = memchr::memrchr(b' ', text).ok_or(ParseError::BadStartLine)? + 1;
    let uri = trim(text, method_end..version_start);
    let uri_text = &text[uri.clone()];
    let method = read_method(&text[..method_end]).ok_or(ParseError::BadStartLine)?;
    if uri.is_empty() || !is_one_word(uri_text) || std::str::from_utf8(uri_text).is_err() {
        return Err(ParseError::BadStartLine);
    }
    check_version(&text[version_start..])?;
    Ok(StartLine::Request { method, uri: line.start + uri.start..line.start + uri.end })
}

/// A method: one of those of nearly all messages, or another token.
pub(crate) fn read_method(written: &[u8]) -> Option<&str> {
    match written {
        b"INVITE" => Some("INVITE"),
        b"ACK" => Some("ACK"),
        b"BYE" => Some("BYE"),
        b"CANCEL" => Some("CANCEL"),
        b"OPTIONS" => Some("OPTIONS"),
        b"REGISTER" => Some("REGISTER"),
        b"" => None,
        _ if written.iter().all(|byte| is_token(*byte)) => std::str::from_utf8(written).ok(),
        _ => None,
    }
}

fn read_status_line(text: &[u8]) -> Result<StartLine<'_>, ParseError> {
    let version_end = memchr::memchr(b' ', text).ok_or(ParseError::BadStartLine)?;
    check_version(&text[..version_end])?;
    let rest = &text[version_end + 1..];
    let digits = rest.get(..3).ok_or(ParseError::BadStartLine)?;
    let status = read_digits(digits).and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (100..=699).contains(status));
    let status = status.ok_or(ParseError::BadStartLine)?;
    let reason = match &rest[3..] {
        [] => &[][..],
        [b' ', reason @ ..] => reason,
        _ => return Err(ParseError::BadStartLine),
    };
    Ok(StartLine::Response { status, reason })
}

pub(crate) fn check_version(version: &[u8]) -> Result<(), ParseError> {
    if is_same_word(version, b"SIP/2.0") {
        return Ok(());
    }
    let is_sip = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    Err(if is_sip { ParseError::BadVersion } else { ParseError::BadStartLine })
}

pub(crate) fn trim_end(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let kept = bytes[range.clone()].iter().rposition(|byte| !is_space(*byte));
    range.start..kept.map_or(range.start, |last| range.start + last + 1)
}

/// Number (below 2^31, RFC 3261 §8.1.1.5) and method.
fn read_cseq(value: &[u8]) -> Option<(u32, &str)> {
    let number_end = value.iter().position(|byte| is_space(*byte))?;
    let number = u32::try_from(read_digits(&value[..number_end])?).ok()?;
    let method = read_method(&value[trim(value, number_end..value.len())])?;
    (number < 1 << 31).then_some((number, method))
}

/// Digits only: no sign, no white space; `None` also if the number is too large.
pub(crate) fn read_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn entries(value: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    split_list(value).map(|range| unfold(&value[range]))
}

/// A part of a value that may have been copied to unfold it.
fn part_of<'a>(
    value: Cow<'a, str>,
    part: impl for<'v> Fn(&'v str) -> Option<&'v str>,
) -> Option<Cow<'a, str>> {
    match value {
        Cow::Borrowed(value) => part(value).map(Cow::Borrowed),
        Cow::Owned(value) => part(&value).map(|part| Cow::Owned(part.to_owned())),
    }
}
