//! `resilee ctl profile`: reads and writes profiles of a running node, through its REST interface.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError, segment};
use serde_json::{Map, Value};

/// What is done with profiles.
#[derive(Debug, clap::Subcommand)]
pub enum ProfileOrder {
    /// Lists the profile tables, or the profiles of one.
    List {
        /// The table.
        table: Option<String>,
        /// The first name wanted.
        #[arg(long, default_value = "")]
        from: String,
    },
    /// Shows one profile. Secrets are named, never shown.
    Get {
        /// The table.
        table: String,
        /// Name of the profile; "" is a name, too.
        name: String,
    },
    /// Adds a profile, or changes the given attributes of one.
    Set {
        /// The table.
        table: String,
        /// Name of the profile; "" is a name, too.
        name: String,
        /// Attributes; an empty value removes one that is optional.
        #[arg(value_name = "ATTRIBUTE=VALUE", value_parser = pair)]
        attributes: Vec<(String, String)>,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Removes a profile, also one that the configuration has.
    Remove {
        /// The table.
        table: String,
        /// Name of the profile.
        name: String,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Makes a profile what the configuration says, whatever was written or removed.
    Reset {
        /// The table.
        table: String,
        /// Name of the profile.
        name: String,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "ATTRIBUTE=VALUE is expected, like per_minute=0.25".to_owned())
}

/// Does it at the node at `admin`; what came of it, for people.
///
/// # Errors
/// A token that cannot be read, nobody answers, or the node refuses.
pub fn profile(admin: &str, order: &ProfileOrder) -> Result<String, CtlError> {
    match order {
        ProfileOrder::List { table: None, .. } => {
            let answer = ctl::ask(admin, "profiles")?;
            Ok(ctl::table(&["name", "profiles", "about"], list(&answer["tables"])))
        }
        ProfileOrder::List { table: Some(table), from } => {
            let path = format!("profiles/{}?from={}", segment(table), segment(from));
            Ok(profiles(&ctl::ask(admin, &path)?))
        }
        ProfileOrder::Get { table, name } => {
            Ok(profile_text(&ctl::ask(admin, &path(table, name))?))
        }
        ProfileOrder::Set { table, name, attributes, token } => {
            let path = path(table, name);
            let body = merged(ctl::ask(admin, &path), attributes)?;
            Ok(profile_text(&ctl::put(admin, &path, &token.read()?, &body)?))
        }
        ProfileOrder::Remove { table, name, token } => {
            ctl::delete(admin, &path(table, name), &token.read()?)?;
            Ok(format!("done: {name:?} is not in {table} any more\n"))
        }
        ProfileOrder::Reset { table, name, token } => {
            let path = format!("{}?reset=true", path(table, name));
            ctl::delete(admin, &path, &token.read()?)?;
            Ok(format!("done: {name:?} of {table} is what the configuration says\n"))
        }
    }
}

/// All attributes of the profile that is there, with the given ones.
fn merged(known: Result<Value, CtlError>, given: &[(String, String)]) -> Result<Value, CtlError> {
    let mut attributes = match known {
        Ok(mut known) => match known["attributes"].take() {
            Value::Object(attributes) => attributes,
            _ => Map::new(),
        },
        Err(CtlError::Refused { status: 404, .. }) => Map::new(),
        Err(error) => return Err(error),
    };
    for (name, value) in given {
        attributes.insert(name.clone(), value.as_str().into());
    }
    // An optional attribute goes by an empty value; a required one may be the empty text.
    attributes.retain(|name, value| value != "" || !given.iter().any(|(given, _)| given == name));
    Ok(Value::Object(attributes))
}

fn path(table: &str, name: &str) -> String {
    format!("profiles/{}/{}", segment(table), segment(name))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The profiles of a table: name, attributes, source.
fn profiles(answer: &Value) -> String {
    let rows = list(&answer["profiles"]);
    let flat = |row: &Value| {
        let mut flat = row["attributes"].as_object().cloned().unwrap_or_default();
        flat.insert("name".to_owned(), row["name"].clone());
        flat.insert("source".to_owned(), row["source"].clone());
        Value::Object(flat)
    };
    let flat: Vec<_> = rows.iter().map(flat).collect();
    let mut columns: Vec<&str> = vec!["name"];
    for key in rows.iter().filter_map(|row| row["attributes"].as_object()).flat_map(Map::keys) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    columns.push("source");
    let mut text = ctl::table(&columns, &flat);
    if rows.is_empty() {
        text.push_str("no profiles\n");
    }
    if let Value::String(next) = &answer["next"] {
        text.push_str(&format!("more: --from {next:?}\n"));
    }
    text
}

/// One profile, an attribute in a line.
fn profile_text(profile: &Value) -> String {
    let mut text =
        format!("{:?}, {}\n", ctl::cell(&profile["name"]), ctl::cell(&profile["source"]));
    for (name, value) in profile["attributes"].as_object().into_iter().flatten() {
        text.push_str(&format!("  {name} = {}\n", ctl::cell(value)));
    }
    for secret in list(&profile["secrets"]) {
        text.push_str(&format!("  {} is set\n", ctl::cell(secret)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn given_attributes_are_added_to_those_that_are_there() {
        let known = json!({ "attributes": { "prefix": "", "per_minute": "0.12", "note": "x" } });
        let given = |text: &str| pair(text).expect("a pair");
        let given = [given("per_minute=0.25"), given("note=")];
        let expected = json!({ "prefix": "", "per_minute": "0.25" });
        assert_eq!(merged(Ok(known), &given).expect("it is there"), expected);
        let (url, text) = (String::new(), String::new());
        let none = CtlError::Refused { url, status: 404, text, code: None };
        assert_eq!(
            merged(Err(none), &given[..1]).expect("a new one"),
            json!({"per_minute": "0.25"})
        );
        assert!(pair("per_minute").is_err() && pair("=1").is_err());
    }

    #[test]
    fn a_profile_is_told_with_its_source_and_without_its_secrets() {
        let account = json!({
            "name": "a@b", "source": "written", "attributes": { "user": "a" }, "secrets": ["ha1"],
        });
        assert_eq!(profile_text(&account), "\"a@b\", written\n  user = a\n  ha1 is set\n");
        let all = json!({ "profiles": [account], "next": "c@d" });
        let expected = "name  user  source\na@b   a     written\nmore: --from \"c@d\"\n";
        assert_eq!(profiles(&all), expected);
        assert_eq!(segment("+49 a/b"), "%2B49%20a%2Fb");
    }
}
