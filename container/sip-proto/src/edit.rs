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
    lines: SmallVec<[HeaderLine; LINES_USUALLY]>,
    /// A bit for each name that may be there: for the others no line has to be looked at.
    present: u32,
    /// A bit for each name that may be there more than once.
    repeated: u32,
    /// Where the blank line and the body are.
    rest: Text,
}

/// Some bytes of the message, or our own.
#[derive(Clone, Copy, Debug)]
struct Text {
    is_own: bool,
    start: usize,
    end: usize,
}

impl<'m> Edit<'m> {
    /// Starts from a received message.
    pub fn new(message: &Message<'m>) -> Self {
        let received = message.bytes();
        let headers = message.header_index().lines();
        let headers_start = headers.first().map_or(received.len(), |first| first.line().start);
        let headers_end = headers.last().map_or(headers_start, |last| last.line().end);
        let mut own = Vec::with_capacity(OWN_BYTES_USUALLY);
        let start_line = match message.start_line() {
            StartLine::Request { method, uri } => {
                request_line(&received[..headers_start], method, uri.clone(), &mut own)
            }
            StartLine::Response { .. } => {
                [Text::received(0..headers_start), Text::NONE, Text::NONE]
            }
        };
        let rest = Text::received(headers_end..received.len());
        let mut lines = SmallVec::new();
        lines.extend_from_slice(headers);
        let (present, repeated) = message.header_index().names();
        Edit { received, own, start_line, lines, present, repeated, rest }
    }

    /// Replaces the Request-URI; nothing happens to a response.
    pub fn request_uri(&mut self, uri: &str) -> &mut Self {
        if self.start_line[1].start < self.start_line[1].end {
            let uri = one_word(uri);
            self.start_line[1] = Text::written(&mut self.own, &[uri.as_bytes()]);
        }
        self
    }

    /// Puts a Via header line on top.
    pub fn push_via(&mut self, value: &str) -> &mut Self {
        let at = self.first(HeaderName::Via).unwrap_or(0);
        self.insert(at, HeaderName::Via, "Via", value)
    }

    /// Takes the top Via entry away, and only it if the line has several.
    pub fn pop_via(&mut self) -> &mut Self {
        self.pop_entries(HeaderName::Via, 1)
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
        let at = self.first_or_below_vias(HeaderName::RecordRoute);
        self.insert(at, HeaderName::RecordRoute, "Record-Route", value)
    }

    /// Takes the top Route entry away, and only it if the line has several.
    pub fn pop_route(&mut self) -> &mut Self {
        self.pop_routes(1)
    }

    /// Takes so many Route entries away, the top ones.
    pub fn pop_routes(&mut self, count: usize) -> &mut Self {
        self.pop_entries(HeaderName::Route, count)
    }

    /// Puts a Route header line above the others.
    pub fn push_route(&mut self, value: &str) -> &mut Self {
        let at = self.first_or_below_vias(HeaderName::Route);
        self.insert(at, HeaderName::Route, "Route", value)
    }

    /// Adds a header line above those of its name.
    pub fn push(&mut self, name: &str, value: &str) -> &mut Self {
        let first = self.lines.iter().position(|line| self.is(line, name));
        let (at, name) = (first.unwrap_or(self.lines.len()), one_line(name));
        self.insert(at, HeaderName::of(name.as_bytes()), &name, value)
    }

    /// Sets Max-Forwards.
    pub fn max_forwards(&mut self, value: u32) -> &mut Self {
        self.set_number(HeaderName::MaxForwards, self.lines.len(), value)
    }

    /// Sets Max-Breadth (RFC 5393 §5); below Max-Forwards if there was none.
    pub fn max_breadth(&mut self, value: u32) -> &mut Self {
        let below = self.first(HeaderName::MaxForwards).map_or(self.lines.len(), |at| at + 1);
        self.set_number(HeaderName::MaxBreadth, below, value)
    }

    /// As [`Self::set`]; a header that was not there goes to `at`.
    fn set_number(&mut self, name: HeaderName, at: usize, value: u32) -> &mut Self {
        let Some(first) = self.first(name) else {
            return self.insert_written(at, name, name.long(), |own| push_number(own, value));
        };
        self.replace_value(first, |own| push_number(own, value));
        match self.repeated & name.bit() {
            0 => self,
            _ => self.keep_first(first, |line, _| line.name == name),
        }
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
    fn keep_first(
        &mut self,
        first: usize,
        is_same: impl Fn(&HeaderLine, &Self) -> bool,
    ) -> &mut Self {
        let find =
            |edit: &Self| edit.lines[first + 1..].iter().position(|line| is_same(line, edit));
        while let Some(at) = find(self) {
            self.lines.remove(first + 1 + at);
        }
        self
    }

    /// Adds a header line below the others.
    pub fn add(&mut self, name: &str, value: &str) -> &mut Self {
        let name = one_line(name);
        self.insert(self.lines.len(), HeaderName::of(name.as_bytes()), &name, value)
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
        let mut bytes = Vec::with_capacity(self.received.len() + self.own.len());
        for text in self.start_line {
            bytes.extend_from_slice(self.text(text));
        }
        // Lines that stand behind each other already are copied at once.
        for run in self.lines.chunk_by(HeaderLine::is_above) {
            let (first, last) = (run[0], run[run.len() - 1]);
            let range = first.line().start..last.line().end;
            bytes.extend_from_slice(&self.source(first.is_own)[range]);
        }
        bytes.extend_from_slice(self.text(self.rest));
        bytes
    }

    fn first(&self, name: HeaderName) -> Option<usize> {
        if self.present & name.bit() == 0 {
            return None;
        }
        self.lines.iter().position(|line| line.name == name)
    }

    /// Where the first line of the header is, or would be: below the last Via.
    fn first_or_below_vias(&self, name: HeaderName) -> usize {
        self.first(name).unwrap_or_else(|| {
            let last_via = match self.repeated & HeaderName::Via.bit() {
                0 => self.first(HeaderName::Via),
                _ => self.lines.iter().rposition(|line| line.name == HeaderName::Via),
            };
            last_via.map_or(0, |at| at + 1)
        })
    }

    /// Puts in a line; there is no line end in its name.
    fn insert(&mut self, at: usize, name: HeaderName, written: &str, value: &str) -> &mut Self {
        let value = one_line(value);
        self.insert_written(at, name, written, |own| own.extend_from_slice(value.as_bytes()))
    }

    /// Puts in a line; there is no line end in its name and in its value.
    fn insert_written(
        &mut self,
        at: usize,
        name: HeaderName,
        written: &str,
        value: impl FnOnce(&mut Vec<u8>),
    ) -> &mut Self {
        let start = self.own.len();
        self.own.extend_from_slice(written.as_bytes());
        self.own.extend_from_slice(b": ");
        let value_start = self.own.len();
        value(&mut self.own);
        let value = value_start..self.own.len();
        self.own.extend_from_slice(b"\r\n");
        self.repeated |= self.present & name.bit();
        self.present |= name.bit();
        self.lines.insert(at, HeaderLine::written(name, start, written.len(), value));
        self
    }

    /// Takes the top entries of a list away. What is left of a line is written once, however many
    /// go: a line may have thousands.
    fn pop_entries(&mut self, name: HeaderName, mut count: usize) -> &mut Self {
        while count > 0
            && let Some(first) = self.first(name)
        {
            let value = self.value(&self.lines[first]);
            let mut entries = split_list(value);
            let popped = entries.by_ref().take(count).count();
            let rest = entries.next().map(|next| value[next.start..].to_vec());
            drop(entries);
            if let Some(rest) = rest {
                self.replace_value(first, |own| own.extend_from_slice(&rest));
                break;
            }
            self.lines.remove(first);
            count -= popped;
        }
        self
    }

    /// The line with another value; what stands before and behind it stays.
    fn replace_value(&mut self, at: usize, value: impl FnOnce(&mut Vec<u8>)) {
        let before = self.lines[at];
        let start = self.own.len();
        self.copy(before.is_own, before.line().start..before.value().start);
        let value_start = self.own.len();
        value(&mut self.own);
        let value_end = self.own.len();
        self.copy(before.is_own, before.value().end..before.line().end);
        self.lines[at] = before.rewritten(start..self.own.len(), value_start..value_end);
    }

    /// Writes a part of the message or of our own again.
    fn copy(&mut self, is_own: bool, part: Range<usize>) {
        if is_own {
            self.own.extend_from_within(part);
        } else {
            self.own.extend_from_slice(&self.received[part]);
        }
    }

    fn text(&self, text: Text) -> &[u8] {
        &self.source(text.is_own)[text.start..text.end]
    }

    fn value(&self, line: &HeaderLine) -> &[u8] {
        &self.source(line.is_own)[line.value()]
    }

    fn is(&self, line: &HeaderLine, name: &str) -> bool {
        let written = &self.source(line.is_own)[line.written_name()];
        HeaderName::is_same(written, name.as_bytes())
    }

    fn source(&self, is_own: bool) -> &[u8] {
        if is_own { &self.own } else { self.received }
    }
}

impl Text {
    const NONE: Text = Text { is_own: false, start: 0, end: 0 };

    /// These parts, written behind what was written before.
    fn written(own: &mut Vec<u8>, parts: &[&[u8]]) -> Self {
        let start = own.len();
        parts.iter().for_each(|part| own.extend_from_slice(part));
        Text { is_own: true, start, end: own.len() }
    }

    fn received(range: Range<usize>) -> Self {
        Text { is_own: false, start: range.start, end: range.end }
    }
}

/// The request line in its parts. White space that may not be there is tolerated but does not go on
/// (RFC 4475 §3.1.2.9).
fn request_line(line: &[u8], method: &str, uri: Range<usize>, own: &mut Vec<u8>) -> [Text; 3] {
    let version = trim(line, uri.end..line.len());
    let is_clean = uri.start == method.len() + 1
        && version.start == uri.end + 1
        && matches!(&line[version.end..], b"\r\n" | b"\n");
    if is_clean {
        let behind = Text::received(uri.end..line.len());
        return [Text::received(0..uri.start), Text::received(uri), behind];
    }
    let before = Text::written(own, &[method.as_bytes(), b" "]);
    let behind = Text::written(own, &[b" ", &line[version], b"\r\n"]);
    [before, Text::received(uri), behind]
}

/// The number in digits. In the way of each request, where `write!` takes several times as long;
/// nearly all have two digits, which are written at once.
fn push_number(bytes: &mut Vec<u8>, number: u32) {
    let digit = |number: u32| b'0' + (number % 10) as u8;
    match number {
        0..10 => bytes.push(digit(number)),
        10..100 => bytes.extend_from_slice(&[digit(number / 10), digit(number)]),
        _ => {
            push_number(bytes, number / 10);
            bytes.push(digit(number));
        }
    }
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
