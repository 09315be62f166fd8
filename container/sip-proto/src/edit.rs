//! Changes a proxy makes to a message: text edits; untouched bytes stay byte-identical.
//!
//! Nothing is re-printed: odd spacing, folds, compact names, unknown headers, reason phrases and
//! binary bodies go on as they came. Not here: which changes to make (RFC 3261 §16.6), and
//! changes of the body.

use crate::header_name::HeaderName;
use crate::message::{HeaderLine, Message, StartLine};
use crate::text::{one_line, one_word, param_ranges, split_list, trim, unfold};
use crate::via::Via;
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

/// Via, Record-Route, Session-Expires, Min-SE.
const LINES_ADDED_USUALLY: usize = 4;

/// A message being changed.
#[derive(Clone, Debug)]
pub struct Edit<'m> {
    /// The first line, with its line end.
    start_line: Cow<'m, [u8]>,
    /// Where the Request-URI is in the start line; `None` in a response.
    request_uri: Option<Range<usize>>,
    lines: Vec<Line<'m>>,
    /// The blank line and the body.
    rest: &'m [u8],
}

impl<'m> Edit<'m> {
    /// Starts from a received message.
    pub fn new(message: &Message<'m>) -> Self {
        let bytes = message.bytes();
        let headers = message.header_lines();
        let mut lines = Vec::with_capacity(headers.len() + LINES_ADDED_USUALLY);
        lines.extend(headers.iter().map(|header| Line::received(bytes, header)));
        let headers_start = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let headers_end = headers.last().map_or(headers_start, |last| last.line.end);
        let (start_line, request_uri) = start_line(message, &bytes[..headers_start]);
        Edit { start_line, request_uri, lines, rest: &bytes[headers_end..] }
    }

    /// Replaces the Request-URI; nothing happens to a response.
    pub fn request_uri(&mut self, uri: &str) -> &mut Self {
        if let Some(range) = self.request_uri.clone() {
            let uri = one_word(uri);
            self.request_uri = Some(range.start..range.start + uri.len());
            self.start_line.to_mut().splice(range, uri.bytes());
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
        if let Some(line) = self.first(HeaderName::Via) {
            self.lines[line].amend_via(received.to_canonical(), rport);
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
        self.set(HeaderName::MaxForwards.long(), &value.to_string())
    }

    /// Replaces a header's first line in its place, removes its others; adds it if there is none.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let Some(first) = self.lines.iter().position(|line| line.is(name)) else {
            return self.add(name, value);
        };
        self.lines[first].replace_value(value);
        let mut index = 0;
        self.lines.retain(|line| {
            index += 1;
            index <= first + 1 || !line.is(name)
        });
        self
    }

    /// Adds a header line below the others.
    pub fn add(&mut self, name: &str, value: &str) -> &mut Self {
        self.insert(self.lines.len(), name, value)
    }

    /// Removes all lines of a header.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.lines.retain(|line| !line.is(name));
        self
    }

    /// The changed message.
    pub fn finish(&self) -> Vec<u8> {
        let headers_len: usize = self.lines.iter().map(|line| line.text.len()).sum();
        let mut bytes = Vec::with_capacity(self.start_line.len() + headers_len + self.rest.len());
        bytes.extend_from_slice(&self.start_line);
        for line in &self.lines {
            bytes.extend_from_slice(&line.text);
        }
        bytes.extend_from_slice(self.rest);
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
        self.lines.insert(at, Line::new(name, value));
        self
    }

    fn pop_entry(&mut self, name: HeaderName) -> &mut Self {
        while let Some(first) = self.first(name) {
            let line = &mut self.lines[first];
            let mut entries = split_list(&line.text[line.value.clone()]);
            let has_entry = entries.next().is_some();
            let second = entries.next().map(|second| line.value.start + second.start);
            drop(entries);
            if let Some(second) = second {
                line.cut(line.value.start..second);
                break;
            }
            self.lines.remove(first);
            if has_entry {
                break;
            }
        }
        self
    }
}

/// The start line, and where its Request-URI is. White space that may not be there is tolerated
/// but does not go on (RFC 4475 §3.1.2.9).
fn start_line<'m>(message: &Message<'m>, line: &'m [u8]) -> (Cow<'m, [u8]>, Option<Range<usize>>) {
    let StartLine::Request { method, uri } = message.start_line() else {
        return (Cow::Borrowed(line), None);
    };
    let version = trim(line, uri.end..line.len());
    let is_clean = uri.start == method.len() + 1
        && version.start == uri.end + 1
        && matches!(&line[version.end..], b"\r\n" | b"\n");
    if is_clean {
        return (Cow::Borrowed(line), Some(uri.clone()));
    }
    let parts = [method.as_bytes(), &line[uri.clone()], &line[version]];
    let clean = [parts.join(&b' '), b"\r\n".to_vec()].concat();
    let start = method.len() + 1;
    (Cow::Owned(clean), Some(start..start + uri.len()))
}

/// The value of a Via line with the source in its top entry ([`Edit::amend_top_via`]).
pub(crate) fn amended_via(bytes: &[u8], header: &HeaderLine, source: IpAddr, port: u16) -> Vec<u8> {
    let mut line = Line::received(bytes, header);
    line.amend_via(source.to_canonical(), port);
    line.text[line.value].to_vec()
}

/// One header line, as received or ours.
#[derive(Clone, Debug)]
struct Line<'m> {
    name: HeaderName,
    /// The whole line, with folds and line end.
    text: Cow<'m, [u8]>,
    /// Length of the name as written; the line starts with it.
    name_len: usize,
    /// Where the trimmed value is in the text.
    value: Range<usize>,
}

impl<'m> Line<'m> {
    fn received(bytes: &'m [u8], header: &HeaderLine) -> Self {
        let start = header.line.start;
        Line {
            name: header.name,
            text: Cow::Borrowed(&bytes[header.line.clone()]),
            name_len: header.name_range.len(),
            value: header.value.start - start..header.value.end - start,
        }
    }

    fn new(name: &str, value: &str) -> Self {
        let (name, value) = (one_line(name), one_line(value));
        let value_start = name.len() + 2;
        Line {
            name: HeaderName::of(name.as_bytes()),
            text: Cow::Owned([&name, ": ", &value, "\r\n"].concat().into_bytes()),
            name_len: name.len(),
            value: value_start..value_start + value.len(),
        }
    }

    fn is(&self, name: &str) -> bool {
        HeaderName::is_same(&self.text[..self.name_len], name.as_bytes())
    }

    fn cut(&mut self, range: Range<usize>) {
        self.value.end -= range.len();
        self.text.to_mut().drain(range);
    }

    fn replace_value(&mut self, value: &str) {
        self.replace(self.value.clone(), &one_line(value));
    }

    /// Replaces a part of the value.
    fn replace(&mut self, range: Range<usize>, with: &str) {
        self.value.end = self.value.end - range.len() + with.len();
        self.text.to_mut().splice(range, with.bytes());
    }

    fn amend_via(&mut self, source: IpAddr, source_port: u16) {
        let value = &self.text[self.value.clone()];
        let Some(entry) = split_list(value).next() else { return };
        let Some(via) = Via::parse_of_any_version(unfold(&value[entry.clone()])) else { return };
        let host = via.host().parse::<IpAddr>();
        let says_source = host.is_ok_and(|host| host.to_canonical() == source);
        let entry = self.value.start + entry.start..self.value.start + entry.end;
        let received = self.via_param(&entry, "received");
        let rport = self.via_param(&entry, "rport");
        let mut changes = Vec::new();
        match received {
            Some(range) => changes.push((range, format!("received={source}"))),
            None if says_source && rport.is_none() => {}
            None => changes.push((entry.end..entry.end, format!(";received={source}"))),
        }
        if let Some(range) = rport {
            changes.push((range, format!("rport={source_port}")));
        }
        // From the back, so that the ranges before stay right.
        changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        for (range, text) in changes {
            self.replace(range, &text);
        }
    }

    /// Where a parameter of the Via entry is, from its name to the end of its value.
    fn via_param(&self, entry: &Range<usize>, name: &str) -> Option<Range<usize>> {
        let text = &self.text[entry.clone()];
        let params_start = memchr::memchr(b';', text)?;
        let params = &text[params_start..];
        let (found, value) = param_ranges(params)
            .find(|(found, _)| params[found.clone()].eq_ignore_ascii_case(name.as_bytes()))?;
        let start = entry.start + params_start;
        Some(start + found.start..start + value.end)
    }
}
