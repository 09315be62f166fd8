//! Where in a configuration file something is wrong, and the few checks that many keys share.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use toml::Spanned;

/// Something wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct ConfigError {
    file: String,
    line: usize,
    what: String,
}

/// The text of a file, to say where in it something is wrong.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// An error at a place.
    pub fn error(&self, span: Range<usize>, what: impl Into<String>) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        ConfigError { file: self.path.display().to_string(), line, what: what.into() }
    }

    /// An error of the TOML reader, with the line that it is about.
    pub fn toml_error(&self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim_end().replace('\n', " ");
        let mut error = self.error(span, message);
        let line = self.text.lines().nth(error.line - 1).unwrap_or_default().trim();
        if !line.is_empty() {
            error.what = format!("{} (at: {line})", error.what);
        }
        error
    }

    /// A value of any type that is read from text.
    pub fn parse<T>(&self, key: &str, text: &Spanned<String>) -> Result<T, ConfigError>
    where
        T: std::str::FromStr,
        T::Err: Display,
    {
        let wrong = |error| self.error(text.span(), format!("{key}: {error}"));
        text.get_ref().parse().map_err(wrong)
    }

    /// An address with a port.
    pub fn address(&self, key: &str, text: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
        let given = text.get_ref();
        let address: SocketAddr = given.parse().map_err(|_| {
            let expected = "an IP address and a port, like 127.0.0.1:5060, are expected";
            self.error(text.span(), format!("{key}: {given:?}: {expected}"))
        })?;
        if address.port() == 0 {
            let what = format!("{key}: {given:?}: a port other than 0 is expected");
            return Err(self.error(text.span(), what));
        }
        Ok(address)
    }

    /// A number within limits.
    pub fn within<T: Copy + PartialOrd + Display>(
        &self,
        key: &str,
        value: Option<&Spanned<T>>,
        range: &RangeInclusive<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        if range.contains(value.get_ref()) {
            return Ok(*value.get_ref());
        }
        let (from, to) = (range.start(), range.end());
        let what = format!("{key}: {}: a number from {from} to {to} is expected", value.get_ref());
        Err(self.error(value.span(), what))
    }

    /// Text that is not empty and not endless.
    pub fn word(&self, key: &str, text: &Spanned<String>) -> Result<String, ConfigError> {
        let given = text.get_ref();
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        if given.is_empty() || given.len() > 128 || given.contains(bad) {
            let expected = "1 to 128 characters without spaces and @ are expected";
            return Err(self.error(text.span(), format!("{key}: {given:?}: {expected}")));
        }
        Ok(given.clone())
    }
}
