//! The text of a property file: where in it something is wrong, and the checks of single values
//! that many keys share.

use crate::key_path;
use crate::place::{ConfigError, Located, Place};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Spanned;

/// Bytes that names, users and the like may have.
const WORD_BYTES: RangeInclusive<usize> = 1..=128;

/// A number's limits, and what it is if the file does not say.
#[derive(Clone, Debug)]
pub struct Limits<T> {
    /// From the least to the most.
    pub range: RangeInclusive<T>,
    /// Without the key.
    pub default: T,
}

/// The text of a file, to say where in it something is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file.
    pub path: &'a Path,
    /// All of it.
    pub text: &'a str,
    /// A table whose values no error may show: somebody may have written a password there.
    pub secret_table: Option<&'a str>,
}

impl Source<'_> {
    /// Reads the whole file as a `T`.
    ///
    /// # Errors
    /// It is no TOML, or a key is missing, unknown or of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error| self.toml_error(&error))
    }

    /// Where `key` stands.
    pub fn place(&self, key: &str, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = Some(1 + before.matches('\n').count());
        Place { file: self.path.to_owned(), line, key: key.to_owned() }
    }

    /// The place of `key` where it is not in the file.
    pub fn absent(&self, key: &str) -> Place {
        Place { file: self.path.to_owned(), line: None, key: key.to_owned() }
    }

    /// An error at a place.
    pub fn error(&self, key: &str, span: Range<usize>, what: impl Into<String>) -> ConfigError {
        self.place(key, span).error(what)
    }

    /// The path of a file or folder; relative ones are relative to this file's folder.
    pub fn file(&self, key: &str, path: &Spanned<PathBuf>) -> Located<PathBuf> {
        Located { value: self.folder().join(path.get_ref()), place: self.place(key, path.span()) }
    }

    /// The same for a key that need not be there.
    pub fn file_or(
        &self,
        key: &str,
        path: Option<&Spanned<PathBuf>>,
        default: &str,
    ) -> Located<PathBuf> {
        path.map(|path| self.file(key, path)).unwrap_or_else(|| Located {
            value: self.folder().join(default),
            place: self.absent(key),
        })
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// A value of any type that is read from text.
    ///
    /// # Errors
    /// The type's own.
    pub fn parse<T>(&self, key: &str, text: &Spanned<String>) -> Result<T, ConfigError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let wrong = |error: T::Err| self.error(key, text.span(), error.to_string());
        text.get_ref().parse().map_err(wrong)
    }

    /// An address with a port; 0 lets the system choose.
    ///
    /// # Errors
    /// It is none.
    pub fn any_address(
        &self,
        key: &str,
        text: &Spanned<String>,
    ) -> Result<SocketAddr, ConfigError> {
        text.get_ref().parse().map_err(|_| {
            let expected = "an IP address and a port, like 127.0.0.1:5060, are expected";
            self.error(key, text.span(), format!("{:?}: {expected}", text.get_ref()))
        })
    }

    /// An address with a port that others know.
    ///
    /// # Errors
    /// It is none.
    pub fn address(&self, key: &str, text: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
        let address = self.any_address(key, text)?;
        if address.port() == 0 {
            let what = format!("{:?}: a port other than 0 is expected", text.get_ref());
            return Err(self.error(key, text.span(), what));
        }
        Ok(address)
    }

    /// A number within limits.
    ///
    /// # Errors
    /// It is outside.
    pub fn within<T: Copy + PartialOrd + Display>(
        &self,
        key: &str,
        value: Option<&Spanned<T>>,
        limits: &Limits<T>,
    ) -> Result<T, ConfigError> {
        let Some(value) = value else { return Ok(limits.default) };
        if limits.range.contains(value.get_ref()) {
            return Ok(*value.get_ref());
        }
        let (from, to) = (limits.range.start(), limits.range.end());
        let what = format!("{}: a number from {from} to {to} is expected", value.get_ref());
        Err(self.error(key, value.span(), what))
    }

    /// Text that is not empty and not endless.
    ///
    /// # Errors
    /// It is either, or has spaces or an @.
    pub fn word(&self, key: &str, text: &Spanned<String>) -> Result<String, ConfigError> {
        let given = text.get_ref();
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        if !WORD_BYTES.contains(&given.len()) || given.contains(bad) {
            let expected = "1 to 128 characters without spaces and @ are expected";
            return Err(self.error(key, text.span(), format!("{given:?}: {expected}")));
        }
        Ok(given.clone())
    }

    /// An error of the TOML reader, with its key and the line that it is about.
    fn toml_error(&self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let mut message = in_plain_words(error.message());
        let mut place = self.place("", span.clone());
        let number = place.line.unwrap_or(1);
        let mut line = self.text.lines().nth(number - 1).unwrap_or_default().trim();
        place.key = match message.strip_prefix("missing field `") {
            Some(rest) => {
                let field = rest.split('`').next().unwrap_or_default();
                match key_path::of_table(self.text, &span) {
                    Some(table) => format!("{table}.{field}"),
                    None => {
                        // It is missing in the file, not in its first line.
                        line = "";
                        field.to_owned()
                    }
                }
            }
            None => {
                key_path::at(self.text, &span).unwrap_or_else(|| key_path::guess(self.text, number))
            }
        };
        let top = place.key.split('.').next().unwrap_or_default();
        if self.secret_table.is_some_and(|table| top == table) {
            line = line.split('=').next().unwrap_or_default().trim_end();
            if message.starts_with("invalid ") {
                let expected = message.rsplit_once("expected ").map_or("another", |(_, it)| it);
                message = format!("invalid type: expected {expected}");
            }
        }
        match line.is_empty() {
            true => place.error(message),
            false => place.error(format!("{message} (at: {line})")),
        }
    }
}

/// A message of the TOML reader without line ends and names of Rust's types.
fn in_plain_words(message: &str) -> String {
    let mut message = message.trim_end().replace('\n', " ");
    for (type_name, words) in
        [("u64", "a whole number"), ("u32", "a whole number"), ("path string", "a string")]
    {
        if let Some(before) = message.strip_suffix(&format!("expected {type_name}")) {
            message = format!("{before}expected {words}");
        }
    }
    message
}
