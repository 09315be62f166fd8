//! `resilee ctl account`: makes accounts from passwords. The secrets are computed here, so that no
//! password leaves this machine; what is written are profiles of the table `accounts`.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError, segment};
use resilee_sip_api::{ACCOUNTS, Account};
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// What is done with accounts.
#[derive(Debug, clap::Subcommand)]
pub enum AccountOrder {
    /// Adds an account, or gives one that is there another password. The password is read from
    /// standard input, a line, or from a file; it is never sent.
    Add {
        /// Its name, without the domain: alice.
        #[arg(value_parser = user)]
        user: String,
        /// Its domain: example.test.
        #[arg(value_parser = realm)]
        realm: String,
        /// A file whose first line is the password.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Lists accounts, with the algorithms that each can be proven by.
    List {
        /// The first name wanted, with its domain.
        #[arg(long, default_value = "")]
        from: String,
    },
    /// Removes an account, also one that the configuration has. Who is registered stays so until
    /// it is to be prolonged.
    Remove {
        /// Its name, without the domain.
        #[arg(value_parser = user)]
        user: String,
        /// Its domain.
        #[arg(value_parser = realm)]
        realm: String,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// Digest hashes `user:realm:password`: a colon would make two names one (RFC 7616 §3.4.2).
fn user(text: &str) -> Result<String, String> {
    let is_wrong = |c: char| c.is_control() || c.is_whitespace() || ":@\"\\<>".contains(c);
    match text.is_empty() || text.contains(is_wrong) {
        true => Err("a name without domain is expected, like alice".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// Domains are compared in lower case, and hashed so.
fn realm(text: &str) -> Result<String, String> {
    match user(text) {
        Ok(realm) => Ok(realm.to_ascii_lowercase()),
        Err(_) => Err("a domain is expected, like example.test".to_owned()),
    }
}

/// Does it at the node at `admin`; what came of it, for people. `input` is where a password is
/// read from if no file is named.
///
/// # Errors
/// A password or token that cannot be read, nobody answers, or the node refuses.
pub fn account(
    admin: &str,
    order: &AccountOrder,
    input: &mut dyn BufRead,
) -> Result<String, CtlError> {
    match order {
        AccountOrder::Add { user, realm, password_file, token } => {
            let password = match password_file {
                Some(file) => read_file(file)?,
                None => first_line(input, "standard input")?,
            };
            let account = Account::with_password(user, realm, &password);
            ctl::put(admin, &path(user, realm), &token.read()?, &profile(&account))?;
            Ok(format!("done: {user} of {realm} can register and call\n"))
        }
        AccountOrder::List { from } => {
            let path = format!("profiles/{ACCOUNTS}?from={}", segment(from));
            Ok(accounts(&ctl::ask(admin, &path)?))
        }
        AccountOrder::Remove { user, realm, token } => {
            ctl::delete(admin, &path(user, realm), &token.read()?)?;
            Ok(format!("done: {user} of {realm} has no account any more\n"))
        }
    }
}

/// The attributes that are written; its name says the others.
fn profile(account: &Account) -> Value {
    json!({ "ha1": account.ha1, "ha1_sha256": account.ha1_sha256 })
}

fn path(user: &str, realm: &str) -> String {
    format!("profiles/{ACCOUNTS}/{}", segment(&Account::key(user, realm)))
}

fn read_file(file: &Path) -> Result<String, CtlError> {
    let from = file.display().to_string();
    match std::fs::File::open(file) {
        Ok(file) => first_line(&mut std::io::BufReader::new(file), &from),
        Err(error) => Err(CtlError::Password { from, reason: error.to_string() }),
    }
}

/// A password: a line, without its end.
fn first_line(input: &mut dyn BufRead, from: &str) -> Result<String, CtlError> {
    let wrong = |reason: String| CtlError::Password { from: from.to_owned(), reason };
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| wrong(error.to_string()))?;
    let password = line.trim_end_matches(['\r', '\n']);
    match password.is_empty() || password.contains(char::is_control) {
        true => Err(wrong("a line with the password is expected".to_owned())),
        false => Ok(password.to_owned()),
    }
}

/// A line for each account.
fn accounts(answer: &Value) -> String {
    let row = |profile: &Value| {
        let has = |secret: &str| {
            let secrets = profile["secrets"].as_array().map(Vec::as_slice).unwrap_or_default();
            secrets.iter().any(|it| it == secret)
        };
        let algorithms = match (has("ha1"), has("ha1_sha256")) {
            (true, true) => "SHA-256, MD5",
            (false, true) => "SHA-256",
            (true, false) => "MD5",
            (false, false) => "-",
        };
        json!({
            "user": profile["attributes"]["user"],
            "realm": profile["attributes"]["realm"],
            "algorithms": algorithms,
            "source": profile["source"],
        })
    };
    let profiles = answer["profiles"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = profiles.iter().map(row).collect();
    let mut text = ctl::table(&["user", "realm", "algorithms", "source"], &rows);
    if rows.is_empty() {
        text.push_str("no accounts\n");
    }
    if let Value::String(next) = &answer["next"] {
        text.push_str(&format!("more: --from {next:?}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_and_must_be_there() {
        let read = |text: &str| first_line(&mut text.as_bytes(), "standard input");
        assert_eq!(read("s3cret: with spaces \r\nmore").expect("a line"), "s3cret: with spaces ");
        for nothing in ["", "\n", "\r\n", "a\u{1b}[A\n"] {
            let error = read(nothing).expect_err("no password").to_string();
            assert!(error.contains("standard input: a line with the password"), "{error}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        assert!(read_file(&file).is_err());
        std::fs::write(&file, "secret\n").expect("written");
        assert_eq!(read_file(&file).expect("a line"), "secret");
    }

    #[test]
    fn what_is_written_are_the_secrets_and_not_the_password() {
        let written = profile(&Account::with_password("alice", "example.test", "secret"));
        let ha1 = "fba31dd2ef5d92c8c7c8d11fd6e3f9b8";
        assert_eq!(written["ha1"].as_str().map(str::len), Some(ha1.len()));
        assert_eq!(written["ha1_sha256"].as_str().map(str::len), Some(64));
        assert!(!written.to_string().contains("secret"));
        assert_eq!(path("a/b", "example.test"), "profiles/accounts/a%2Fb%40example.test");
    }

    #[test]
    fn a_name_has_no_domain_and_a_domain_is_in_lower_case() {
        assert_eq!(realm("Example.TEST").as_deref(), Ok("example.test"));
        for wrong in ["", "alice@example.test", "a:b", "a b", "a\"b", "a\n"] {
            assert!(user(wrong).is_err() && realm(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn accounts_are_listed_with_what_they_can_be_proven_by() {
        let account = |user: &str, secrets: &[&str]| {
            json!({
                "name": format!("{user}@h"), "source": "written", "secrets": secrets,
                "attributes": { "user": user, "realm": "h" },
            })
        };
        let all = [account("a", &["ha1", "ha1_sha256"]), account("b", &["ha1"])];
        let text = accounts(&json!({ "profiles": all, "next": "c@h" }));
        let expected = "user  realm  algorithms    source\n\
                        a     h      SHA-256, MD5  written\n\
                        b     h      MD5           written\nmore: --from \"c@h\"\n";
        assert_eq!(text, expected);
        assert!(accounts(&json!({ "profiles": [] })).ends_with("no accounts\n"));
    }
}
