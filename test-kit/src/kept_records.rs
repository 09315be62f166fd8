//! Records as an earlier version wrote them, kept as text: each must be read for ever.
//!
//! A file has a line for each record: its name, a space, its bytes in hex. What such a record
//! means is in the test that reads it; what may change in records, in `resilee-core`'s `format.rs`.

use resilee_sbb::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Write as _};

/// Reads the record `name` of a file's text, and compares it with what it must mean.
///
/// # Panics
/// It is not there, cannot be read, or means something else. If it is not there, the text has the
/// line to add.
pub fn assert_read<T>(file: &str, name: &str, expected: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let Some(bytes) = bytes_of(file, name) else {
        let bytes = encode(expected).expect("plain data can be encoded");
        panic!("a record that is not kept yet: add the line\n{}", line(name, &bytes));
    };
    let read: T = decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read, *expected, "{name}");
}

/// The bytes of a record; none if the file does not have it.
///
/// # Panics
/// The line is not hex.
pub fn bytes_of(file: &str, name: &str) -> Option<Vec<u8>> {
    let words = file.lines().filter_map(|line| line.split_once(' '));
    let hex = words.into_iter().find(|(known, _)| *known == name)?.1.trim();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a kept record is hex");
    Some((0..hex.len()).step_by(2).map(byte).collect())
}

/// The line that keeps a record.
pub fn line(name: &str, bytes: &[u8]) -> String {
    bytes.iter().fold(format!("{name} "), |mut line, byte| {
        write!(line, "{byte:02x}").expect("a string takes everything");
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_by_its_name() {
        let file = format!("{}\n{}\n", line("one", &[1, 254]), line("other", b"x"));
        assert_eq!(bytes_of(&file, "one"), Some(vec![1, 254]));
        assert_eq!(bytes_of(&file, "none"), None);
        assert_read(&line("text", &encode(&"hello").expect("plain")), "text", &"hello".to_owned());
    }

    #[test]
    #[should_panic(expected = "not kept yet: add the line\nseven 07")]
    fn what_is_not_kept_is_told_as_a_line() {
        assert_read("", "seven", &7u8);
    }
}
