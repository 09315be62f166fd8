//! What a message of a scenario becomes: its keywords replaced, its lines ended, its body counted.
//!
//! A line of which nothing is left but an empty keyword is left out, as SIPp does.

use resilee_sip_proto::Message;

/// Replaces what is in brackets, by `keyword`; what that does not know is left as it is.
pub(super) fn expand(text: &str, keyword: &dyn Fn(&str) -> Option<String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        result.push_str(&rest[..open]);
        let Some(length) = rest[open..].find(']') else { break };
        let name = &rest[open + 1..open + length];
        match keyword(name) {
            Some(value) => result.push_str(&value),
            None => result.push_str(&rest[open..=open + length]),
        }
        rest = &rest[open + length + 1..];
    }
    result.push_str(rest);
    result
}

/// The whole message.
pub(super) fn message(text: &str, keyword: &dyn Fn(&str) -> Option<String>) -> Vec<u8> {
    let mut lines = text.trim().lines().map(str::trim);
    let headers: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let mut body = String::new();
    for line in lines {
        body.push_str(&expand(line, keyword));
        body.push_str("\r\n");
    }
    let with_length = |name: &str| match name {
        "len" => Some(body.len().to_string()),
        _ => keyword(name),
    };
    let mut result = String::new();
    for line in headers {
        let line = expand(line, &with_length);
        if !line.is_empty() {
            result.push_str(&line);
            result.push_str("\r\n");
        }
    }
    format!("{result}\r\n{body}").into_bytes()
}

/// All lines of a header, as `[last_NAME:]` wants them.
pub(super) fn lines_of(message: &Message<'_>, name: &str) -> String {
    let found =
        message.headers().filter(|(_, as_written, _)| as_written.eq_ignore_ascii_case(name));
    let lines: Vec<_> = found.map(|(_, _, value)| format!("{name}: {value}")).collect();
    lines.join("\r\n")
}
