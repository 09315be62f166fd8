//! Digest credentials and challenges as text (RFC 3261 §22, RFC 7616). No password is hashed here.

use crate::text::{is_token, one_line, split_list};
use std::fmt;

/// An Authorization or Proxy-Authorization value; quoted strings are unescaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Realm.
    pub realm: String,
    /// The nonce of the challenge.
    pub nonce: String,
    /// Digest URI.
    pub uri: String,
    /// Response hash.
    pub response: String,
    /// Algorithm.
    pub algorithm: Option<String>,
    /// Quality of protection.
    pub qop: Option<String>,
    /// Client nonce.
    pub cnonce: Option<String>,
    /// Nonce count.
    pub nc: Option<u32>,
    /// Opaque.
    pub opaque: Option<String>,
}

/// A WWW-Authenticate or Proxy-Authenticate value; quoted strings are unescaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Realm.
    pub realm: String,
    /// Nonce.
    pub nonce: String,
    /// Algorithm.
    pub algorithm: Option<String>,
    /// Offered qualities of protection, a comma list.
    pub qop: Option<String>,
    /// Opaque.
    pub opaque: Option<String>,
    /// The nonce was good but is too old: same password, new nonce.
    pub stale: bool,
}

impl Credentials {
    /// Reads a header value; `None` if it is not Digest or a required field is missing.
    pub fn parse(value: &str) -> Option<Credentials> {
        let fields = Fields::parse(value)?;
        let nc = match fields.get("nc") {
            Some(digits) => Some(u32::from_str_radix(digits, 16).ok()?),
            None => None,
        };
        Some(Credentials {
            username: fields.owned("username")?,
            realm: fields.owned("realm")?,
            nonce: fields.owned("nonce")?,
            uri: fields.owned("uri")?,
            response: fields.owned("response")?,
            algorithm: fields.owned("algorithm"),
            qop: fields.owned("qop"),
            cnonce: fields.owned("cnonce"),
            nc,
            opaque: fields.owned("opaque"),
        })
    }
}

impl Challenge {
    /// Reads a header value; `None` if it is not Digest or a required field is missing.
    pub fn parse(value: &str) -> Option<Challenge> {
        let fields = Fields::parse(value)?;
        Some(Challenge {
            realm: fields.owned("realm")?,
            nonce: fields.owned("nonce")?,
            algorithm: fields.owned("algorithm"),
            qop: fields.owned("qop"),
            opaque: fields.owned("opaque"),
            stale: fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

impl fmt::Display for Credentials {
    /// A header value; quoted as RFC 7616 §3.4 wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest username={}", quoted(&self.username))?;
        write!(f, ", realm={}, nonce={}", quoted(&self.realm), quoted(&self.nonce))?;
        write!(f, ", uri={}, response={}", quoted(&self.uri), quoted(&self.response))?;
        if let Some(algorithm) = &self.algorithm {
            write!(f, ", algorithm={}", token(algorithm))?;
        }
        if let Some(qop) = &self.qop {
            write!(f, ", qop={}", token(qop))?;
        }
        if let Some(cnonce) = &self.cnonce {
            write!(f, ", cnonce={}", quoted(cnonce))?;
        }
        if let Some(nc) = self.nc {
            write!(f, ", nc={nc:08x}")?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quoted(opaque))?;
        }
        Ok(())
    }
}

impl fmt::Display for Challenge {
    /// A header value; quoted as RFC 7616 §3.3 wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", quoted(&self.realm), quoted(&self.nonce))?;
        if let Some(algorithm) = &self.algorithm {
            write!(f, ", algorithm={}", token(algorithm))?;
        }
        if let Some(qop) = &self.qop {
            write!(f, ", qop={}", quoted(qop))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quoted(opaque))?;
        }
        f.write_str(if self.stale { ", stale=true" } else { "" })
    }
}

/// Name and value of each field, unescaped.
struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `Digest name=value, name="value", ...`.
    fn parse(value: &str) -> Option<Fields> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut fields = Vec::new();
        for range in split_list(rest.as_bytes()) {
            let (name, value) = rest[range].split_once('=')?;
            fields.push((name.trim_end().to_owned(), unquoted(value.trim_start())?));
        }
        Some(Fields(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

/// The content of a quoted string, or the token as it is; `None` if a quote is not closed.
fn unquoted(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut content = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '\\' => content.push(characters.next()?),
            '"' => break,
            character => content.push(character),
        }
    }
    characters.as_str().is_empty().then_some(content)
}

fn quoted(content: &str) -> String {
    let escaped = one_line(content).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Tokens are made by us or were tokens when they came; anything else would end the field early.
fn token(text: &str) -> String {
    text.chars().filter(|c| u8::try_from(*c).is_ok_and(is_token)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_softphone_are_read() {
        let value = r#"digest username="bob", realm="a, b", nonce="n/+==",uri="sip:x;y=1,2",
            response="6629fae4", algorithm=MD5, cnonce="0a", qop=auth, nc=0000001f, new=1"#;
        let credentials = Credentials::parse(&value.replace('\n', " ")).unwrap();
        assert_eq!((credentials.username.as_str(), credentials.realm.as_str()), ("bob", "a, b"));
        assert_eq!((credentials.uri.as_str(), credentials.nc), ("sip:x;y=1,2", Some(0x1f)));
        assert_eq!(credentials.qop.as_deref(), Some("auth"));
        assert_eq!(credentials.opaque, None);
    }

    #[test]
    fn what_is_printed_reads_the_same() {
        let credentials = Credentials {
            username: r#"a "quoted" \ name, x"#.to_owned(),
            realm: "r".to_owned(),
            qop: Some("auth".to_owned()),
            nc: Some(7),
            opaque: Some(String::new()),
            ..Credentials::default()
        };
        assert_eq!(Credentials::parse(&credentials.to_string()), Some(credentials));
        let challenge = Challenge {
            realm: "x\"y".to_owned(),
            nonce: "n".to_owned(),
            algorithm: Some("SHA-256".to_owned()),
            qop: Some("auth,auth-int".to_owned()),
            opaque: None,
            stale: true,
        };
        assert_eq!(Challenge::parse(&challenge.to_string()), Some(challenge));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for value in [
            "",
            "Digest",
            "Basic QWxhZGRpbg==",
            r#"Digest realm="r""#,
            r#"Digest realm="r, nonce="n""#,
            r#"Digest realm="r", nonce="n\"#,
            r#"Digest realm="r", nonce"#,
        ] {
            assert_eq!(Challenge::parse(value), None, "{value}");
        }
        let bad_nc = r#"Digest username="u", realm="r", nonce="n", uri="u", response="r", nc=zz"#;
        assert_eq!(Credentials::parse(bad_nc), None);
    }

    #[test]
    fn no_line_end_is_printed() {
        let challenge = Challenge { realm: "a\r\nVia: x".to_owned(), ..Challenge::default() };
        assert!(!challenge.to_string().contains(['\r', '\n']));
    }
}
