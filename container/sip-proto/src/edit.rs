//! Changes a proxy makes to a message: text edits; untouched bytes stay byte-identical.
//!
//! Nothing is re-printed: odd spacing, folds, compact names, unknown headers, reason phrases and
//! binary bodies go on as they came. Not here: which changes to make (RFC 3261 §16.6), and
//! changes of the body.

use crate::header_line::HeaderLine;
use crate::header_name::HeaderName;
use crate::message::{Message, StartLine};
use crate::text::{one_line, one_word, param_ranges, split_list, trim, unfold};
use crate::via::Via;
use smallvec::SmallVec;
use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;

/// Header lines of nearly all messages, with those that a proxy adds; more make an allocation.
const LINES_USUALLY: usize = 28;

/// Bytes that a proxy writes into nearly all messages: its Via, Record-Route and Request-URI.
const OWN_BYTES_USUALLY: usize = 512;

/// A message being changed: a list of texts, each of the message as it came or our own.
#[derive(Clone, Debug)]
pub struct Edit<'m> {
    /// The message as it came.
    received: &'m [u8],
    /// All that we wrote, one text behind the other.
    own: Vec<u8>,
    /// Before the Request-URI, the Request-URI, and what is behind it; of a response all is in the
    /// first.
    start_line: [Text; 3],
    lines: SmallVec<[Line; LINES_USUALLY]>,
    /// Where the blank line and the body are.
    rest: Text,
}

/// Some bytes of the message, or our own.
#[derive(Clone, Copy, Debug)]
struct Text {
    is_own: bool,
    start: u32,
    end: u32,
}

/// One header line, as received or ours.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: HeaderName,
    /// The whole line, with folds and line end.
    text: Text,
    /// Length of the name as written; the line starts with it.
    name_len: u16,
    /// Where the trimmed value is in the text.
    value_start: u32,
    value_end: u32,
}

impl<'m> Edit<'m> {
    /// Starts from a received message.
    pub fn new(message: &Message<'m>) -> Self {
        let received = message.bytes();
        let headers = message.header_lines();
        let headers_start = memchr::memchr(b'\n', received).map_or(received.len(), |at| at + 1);
        let headers_end = headers.last().map_or(headers_start, |last| last.line().end);
        let mut edit = Edit {
            received,
            own: Vec::with_capacity(OWN_BYTES_USUALLY),
            start_line: [Text::received(0..headers_start), Text::NONE, Text::NONE],
            lines: headers.iter().map(Line::received).collect(),
            rest: Text::received(headers_end..received.len()),
        };
        if let StartLine::Request { method, uri } = message.start_line() {
            edit.start_line = edit.request_line(method, uri.clone(), headers_start);
        }
        edit
    }

    /// The request line in its parts. White space that may not be there is tolerated but does not
    /// go on (RFC 4475 §3.1.2.9).
    fn request_line(&mut self, method: &str, uri: Range<usize>, end: usize) -> [Text; 3] {
        let line = &self.received[..end];
        let version = trim(line, uri.end..end);
        let is_clean = uri.start == method.len() + 1
            && version.start == uri.end + 1
            && matches!(&line[version.end..], b"\r\n" | b"\n");
        let (before, behind) = if is_clean {
            (Text::received(0..uri.start), Text::received(uri.end..end))
        } else {
            let before = self.write(|own| {
                own.extend_from_slice(method.as_bytes());
                own.push(b' ');
            });
            let behind = self.write(|own| {
                own.push(b' ');
                own.extend_from_slice(&line[version]);
                own.extend_from_slice(b"\r\n");
            });
            (before, behind)
        };
        [before, Text::received(uri), behind]
    }

    /// Replaces the Request-URI; nothing happens to a response.
    pub fn request_uri(&mut self, uri: &str) -> &mut Self {
        if self.start_line[1].len() > 0 {
            let uri = one_word(uri);
            self.start_line[1] = self.write(|own| own.extend_from_slice(uri.as_bytes()));
        }
        self
    }

    /// Puts a Via header line on top.
    pub fn push_via(&mut self, value: &str) -> &mut Self {
        let at = self.first(HeaderName::Via).unwrap_or(0);
        self.insert(at, "Via", value)
    }

    /// Takes the top Via entry away, and only it if the line has several.
    pub fn pop_via(&mut self) -> &mut Self {
        self.pop_entry(HeaderName::Via)
    }

    /// Writes where the request came from into the top Via.
    ///
    /// RFC 3261 §18.2.1: `received` if the sent-by says something else. RFC 3581 §4: a request
    /// with `rport` gets both. What the client itself wrote there is replaced.
    pub fn amend_top_via(&mut self, received: IpAddr, rport: u16) -> &mut Self {
        if let Some(line) = self.first(HeaderName::Via)
            && let Some(value) = amended_via(self.value(&self.lines[line]), received, rport)
        {
            self.replace_value(line, |own| own.extend_from_slice(&value));
        }
        self
    }

    /// Adds `;rport` to a top Via that has none: the port of a connection is known to whoever
    /// answers by this Via alone, though RFC 3581 lets clients ask for it over UDP only.
    pub fn ask_for_rport(&mut self) -> &mut Self {
        let Some(line) = self.first(HeaderName::Via) else { return self };
        let value = self.value(&self.lines[line]);
        let entry = split_list(value).next().filter(|it| via_param(value, it, "rport").is_none());
        if let Some(end) = entry.map(|entry| entry.end) {
            let value = [&value[..end], b";rport", &value[end..]].concat();
            self.replace_value(line, |own| own.extend_from_slice(&value));
        }
        self
    }

    /// Puts a Record-Route header line above the others.
    pub fn push_record_route(&mut self, value: &str) -> &mut Self {
        let at = self.first(HeaderName::RecordRoute).unwrap_or_else(|| self.below_vias());
        self.insert(at, "Record-Route", value)
    }

    /// Takes the top Route entry away, and only it if the line has several.
    pub fn pop_route(&mut self) -> &mut Self {
        self.pop_entry(HeaderName::Route)
    }

    /// Puts a Route header line above the others.
    pub fn push_route(&mut self, value: &str) -> &mut Self {
        let at = self.first(HeaderName::Route).unwrap_or_else(|| self.below_vias());
        self.insert(at, "Route", value)
    }

    /// Sets Max-Forwards.
    pub fn max_forwards(&mut self, value: u32) -> &mut Self {
        let Some(first) = self.first(HeaderName::MaxForwards) else {
            return self.add(HeaderName::MaxForwards.long(), &value.to_string());
        };
        // What is written into memory is written.
        self.replace_value(first, |own| drop(write!(own, "{value}")));
        self.keep_first(first, |line, _| line.name == HeaderName::MaxForwards)
    }

    /// Replaces a header's first line in its place, removes its others; adds it if there is none.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let Some(first) = self.lines.iter().position(|line| self.is(line, name)) else {
            return self.add(name, value);
        };
        self.replace_value(first, |own| own.extend_from_slice(one_line(value).as_bytes()));
        self.keep_first(first, |line, edit| edit.is(line, name))
    }

    /// Removes the lines behind this one that are of its header.
    fn keep_first(&mut self, first: usize, is_same: impl Fn(&Line, &Self) -> bool) -> &mut Self {
        for at in (first + 1..self.lines.len()).rev() {
            if is_same(&self.lines[at], self) {
                self.lines.remove(at);
            }
        }
        self
    }

    /// Adds a header line below the others.
    pub fn add(&mut self, name: &str, value: &str) -> &mut Self {
        self.insert(self.lines.len(), name, value)
    }

    /// Removes all lines of a header.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        for at in (0..self.lines.len()).rev() {
            if self.is(&self.lines[at], name) {
                self.lines.remove(at);
            }
        }
        self
    }

    /// The changed message.
    pub fn finish(&self) -> Vec<u8> {
        let lines = self.lines.iter().map(|line| line.text);
        let texts = self.start_line.into_iter().chain(lines).chain([self.rest]);
        let mut bytes = Vec::with_capacity(self.received.len() + self.own.len());
        let mut run = Text::NONE;
        for text in texts {
            // What was one piece of the message is copied at once.
            if text.is_own == run.is_own && text.start == run.end {
                run.end = text.end;
            } else {
                bytes.extend_from_slice(self.text(run));
                run = text;
            }
        }
        bytes.extend_from_slice(self.text(run));
        bytes
    }

    fn first(&self, name: HeaderName) -> Option<usize> {
        self.lines.iter().position(|line| line.name == name)
    }

    fn below_vias(&self) -> usize {
        let last = self.lines.iter().rposition(|line| line.name == HeaderName::Via);
        last.map_or(0, |last| last + 1)
    }

    fn insert(&mut self, at: usize, name: &str, value: &str) -> &mut Self {
        let (name, value) = (one_line(name), one_line(value));
        let text = self.write(|own| {
            for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                own.extend_from_slice(part);
            }
        });
        let value_start = short(name.len()) + 2;
        let line = Line {
            name: HeaderName::of(name.as_bytes()),
            text,
            name_len: u16::try_from(name.len()).unwrap_or(u16::MAX),
            value_start,
            value_end: value_start + short(value.len()),
        };
        self.lines.insert(at, line);
        self
    }

    fn pop_entry(&mut self, name: HeaderName) -> &mut Self {
        while let Some(first) = self.first(name) {
            let value = self.value(&self.lines[first]);
            let mut entries = split_list(value);
            let has_entry = entries.next().is_some();
            let rest = entries.next().map(|second| value[second.start..].to_vec());
            drop(entries);
            if let Some(rest) = rest {
                self.replace_value(first, |own| own.extend_from_slice(&rest));
                break;
            }
            self.lines.remove(first);
            if has_entry {
                break;
            }
        }
        self
    }

    /// The line with another value; what stands before and behind it stays.
    fn replace_value(&mut self, at: usize, value: impl FnOnce(&mut Vec<u8>)) {
        let Line { text, value_start, value_end, .. } = self.lines[at];
        let start = self.own.len();
        self.copy(text, 0..value_start);
        value(&mut self.own);
        let value_end_now = short(self.own.len() - start);
        self.copy(text, value_end..text.len());
        let line = &mut self.lines[at];
        line.text = Text { is_own: true, start: short(start), end: short(self.own.len()) };
        line.value_end = value_end_now;
    }

    /// Writes a part of a text again.
    fn copy(&mut self, text: Text, part: Range<u32>) {
        let range = (text.start + part.start) as usize..(text.start + part.end) as usize;
        if text.is_own {
            self.own.extend_from_within(range);
        } else {
            self.own.extend_from_slice(&self.received[range]);
        }
    }

    /// A text of our own.
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Text {
        let start = short(self.own.len());
        write(&mut self.own);
        Text { is_own: true, start, end: short(self.own.len()) }
    }

    fn text(&self, text: Text) -> &[u8] {
        let bytes = if text.is_own { &self.own } else { self.received };
        &bytes[text.start as usize..text.end as usize]
    }

    fn value(&self, line: &Line) -> &[u8] {
        &self.text(line.text)[line.value_start as usize..line.value_end as usize]
    }

    fn is(&self, line: &Line, name: &str) -> bool {
        HeaderName::is_same(&self.text(line.text)[..line.name_len.into()], name.as_bytes())
    }
}

impl Text {
    const NONE: Text = Text { is_own: false, start: 0, end: 0 };

    fn received(range: Range<usize>) -> Self {
        Text { is_own: false, start: short(range.start), end: short(range.end) }
    }

    fn len(self) -> u32 {
        self.end - self.start
    }
}

impl Line {
    fn received(header: &HeaderLine) -> Self {
        let (line, value) = (header.line(), header.value());
        Line {
            name: header.name,
            text: Text::received(line.clone()),
            name_len: header.written_name().len() as u16,
            value_start: short(value.start - line.start),
            value_end: short(value.end - line.start),
        }
    }
}

/// A position: neither messages nor what is written into them come near to 4 GB.
fn short(at: usize) -> u32 {
    u32::try_from(at).expect("messages have some thousand bytes")
}

/// The value of a Via line with the source in its top entry ([`Edit::amend_top_via`]); none if it
/// stays as it is.
pub(crate) fn amended_via(value: &[u8], source: IpAddr, source_port: u16) -> Option<Vec<u8>> {
    let source = source.to_canonical();
    let entry = split_list(value).next()?;
    let via = Via::parse_of_any_version(unfold(&value[entry.clone()]))?;
    let host = via.host().parse::<IpAddr>();
    let says_source = host.is_ok_and(|host| host.to_canonical() == source);
    let received = via_param(value, &entry, "received");
    let rport = via_param(value, &entry, "rport");
    let mut changes = Vec::new();
    match received {
        Some(range) => changes.push((range, format!("received={source}"))),
        None if says_source && rport.is_none() => {}
        None => changes.push((entry.end..entry.end, format!(";received={source}"))),
    }
    if let Some(range) = rport {
        changes.push((range, format!("rport={source_port}")));
    }
    if changes.is_empty() {
        return None;
    }
    // From the back, so that the ranges before stay right.
    changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut value = value.to_vec();
    for (range, text) in changes {
        value.splice(range, text.into_bytes());
    }
    Some(value)
}

/// Where a parameter of the Via entry is, from its name to the end of its value.
fn via_param(value: &[u8], entry: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let text = &value[entry.clone()];
    let params_start = memchr::memchr(b';', text)?;
    let params = &text[params_start..];
    let (found, value) = param_ranges(params)
        .find(|(found, _)| params[found.clone()].eq_ignore_ascii_case(name.as_bytes()))?;
    let start = entry.start + params_start;
    Some(start + found.start..start + value.end)
}
