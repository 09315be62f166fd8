//! The lines before the body: how long, how many, and who says he sent them. One pass, which ends
//! at the limits.
//!
//! Whether they are SIP is not looked at here (`sip-proto/src/routing_key.rs`).

use crate::boundary::DropReason;

/// What protection needs of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeaderSection<'a> {
    /// Of the first User-Agent, without the white space before it.
    pub(super) user_agent: Option<&'a [u8]>,
}

impl<'a> HeaderSection<'a> {
    /// Reads to the empty line, or to the end if there is none.
    ///
    /// # Errors
    /// More bytes or lines than that.
    pub(super) fn read(
        bytes: &'a [u8],
        bytes_max: usize,
        lines_max: usize,
    ) -> Result<Self, DropReason> {
        let mut section = HeaderSection::default();
        let within = &bytes[..bytes.len().min(bytes_max)];
        let mut line_ends = memchr::memchr_iter(b'\n', within);
        let Some(mut start) = line_ends.next().map(|end| end + 1) else {
            return section.unless_longer(bytes, bytes_max);
        };
        for (count, end) in line_ends.enumerate() {
            match within[start] {
                b'\n' => return Ok(section),
                b'\r' if end == start + 1 => return Ok(section),
                b'U' | b'u' if section.user_agent.is_none() => {
                    section.user_agent = user_agent(&within[start..end]);
                }
                _ => {}
            }
            if count == lines_max {
                return Err(DropReason::TooManyHeaders);
            }
            start = end + 1;
        }
        section.unless_longer(bytes, bytes_max)
    }

    /// It has no end within the limit.
    fn unless_longer(self, bytes: &[u8], bytes_max: usize) -> Result<Self, DropReason> {
        match bytes.len() > bytes_max {
            true => Err(DropReason::HeadersTooLong),
            false => Ok(self),
        }
    }
}

fn user_agent(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"User-Agent";
    let (name, rest) = line.split_at_checked(NAME.len())?;
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<&str>, DropReason> {
        let section = HeaderSection::read(text.as_bytes(), 100, 4)?;
        Ok(section.user_agent.map(|agent| std::str::from_utf8(agent).unwrap()))
    }

    #[test]
    fn the_first_user_agent_of_the_headers_is_found() {
        assert_eq!(
            read("A b SIP/2.0\r\nX: y\r\nUser-Agent: a b \r\nUser-Agent: c\r\n\r\n"),
            Ok(Some("a b"))
        );
        assert_eq!(read("A b SIP/2.0\nuser-agent \t:c\n\n"), Ok(Some("c")));
        assert_eq!(read("A b SIP/2.0\nUser-Agents: c\nUser\n\n"), Ok(None));
        assert_eq!(read("A b SIP/2.0\r\n\r\nUser-Agent: body\r\n"), Ok(None));
        assert_eq!(read("A b SIP/2.0\n\nUser-Agent: body\n"), Ok(None));
        for text in ["", "x", "\r\n", "\n\n", "\r\n\r\n", "\r\r\r\n"] {
            assert_eq!(read(text), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn lines_and_bytes_have_a_limit_and_the_body_counts_to_neither() {
        let with = |lines: usize| {
            format!("A b SIP/2.0\r\n{}\r\n{}", "X: y\r\n".repeat(lines), "b\n".repeat(200))
        };
        assert_eq!(read(&with(4)), Ok(None));
        assert_eq!(read(&with(5)), Err(DropReason::TooManyHeaders));
        let long = format!("A b SIP/2.0\r\nX: {}\r\n\r\n", "y".repeat(100));
        assert_eq!(read(&long), Err(DropReason::HeadersTooLong));
        assert_eq!(read(&"x".repeat(100)), Ok(None));
        assert_eq!(read(&"x".repeat(101)), Err(DropReason::HeadersTooLong));
    }
}
