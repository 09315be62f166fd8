//! Profile tables (JAIN SLEE 1.1 chapter 10): typed rows that operators change at run time, and
//! that services look up by name or by an indexed attribute.
//!
//! A profile is a row of a shared table, so it is replicated, stored and read like any other; its
//! encoding is that of a struct with the same fields, so a service reads it as one. Who may write
//! it is not here, nor where it is kept (`tables.rs`).

use crate::codec::{CodecError, decode, encode};
use crate::limits::ATTRIBUTE_BYTES_MAX;
use crate::profile_value::{AttributeKind, AttributeValue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Profile tables of one node; further ones keep it from starting.
pub const PROFILE_TABLES_MAX: usize = 64;
/// The most that [`ProfileTable::profiles_max`] may be.
pub const PROFILES_MAX: usize = 1_000_000;
/// Attributes of one table.
pub const PROFILE_ATTRIBUTES_MAX: usize = 64;
/// Bytes of a profile's name.
pub const PROFILE_NAME_BYTES_MAX: usize = 512;

/// What a profile table is: its name, and the schema of its profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTable {
    /// Name of the table, unique in the cluster.
    pub name: &'static str,
    /// What it is for, in a few words for an operator.
    pub about: &'static str,
    /// The attributes, in the order in which they are shown.
    pub attributes: &'static [Attribute],
    /// Attributes whose texts are the profile's name, joined by `separator`; none: the name is
    /// free.
    pub named_by: &'static [&'static str],
    /// What stands between them in the name.
    pub separator: &'static str,
    /// Profiles that it takes.
    pub profiles_max: usize,
}

/// One attribute of a profile table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: AttributeKind,
    /// True if no profile goes without it.
    pub required: bool,
    /// Whether profiles are found by it.
    pub index: Index,
    /// True if its values are never shown.
    pub secret: bool,
}

/// Whether profiles are found by an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Index {
    /// They are not.
    None,
    /// They are, without a walk through the table.
    Indexed,
    /// They are, and no two profiles have the same value.
    Unique,
}

impl Attribute {
    /// An optional attribute without an index.
    pub const fn new(name: &'static str, kind: AttributeKind) -> Self {
        Attribute { name, kind, required: false, index: Index::None, secret: false }
    }

    /// No profile goes without it.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Profiles are found by it.
    #[must_use]
    pub const fn indexed(mut self) -> Self {
        self.index = Index::Indexed;
        self
    }

    /// Profiles are found by it, and no two have the same value.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.index = Index::Unique;
        self
    }

    /// Its values are never shown.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// The attributes of one profile by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile {
    /// The attributes that it has.
    pub attributes: BTreeMap<String, AttributeValue>,
}

/// What is wrong with a profile, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("profile {profile:?} of {table}{}: {what}", at(.attribute))]
pub struct ProfileError {
    /// The table.
    pub table: String,
    /// The profile.
    pub profile: String,
    /// The attribute, if it is about one.
    pub attribute: Option<String>,
    /// What is wrong, and what is expected. It never has the value of a secret attribute.
    pub what: String,
}

fn at(attribute: &Option<String>) -> String {
    attribute.as_ref().map(|name| format!(", attribute {name}")).unwrap_or_default()
}

impl Profile {
    /// Reads the row of a profile. A field that is `None` is an attribute that it does not have.
    ///
    /// # Errors
    /// A row that is no map of texts, numbers and flags.
    pub fn from_row(row: &[u8]) -> Result<Self, CodecError> {
        let fields: BTreeMap<String, Option<AttributeValue>> = decode(row)?;
        let attributes = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Ok(Profile { attributes: attributes.collect() })
    }

    /// The row of it.
    ///
    /// # Panics
    /// Never: a map of plain values can be encoded.
    pub fn to_row(&self) -> Vec<u8> {
        encode(self).expect("plain data can be encoded")
    }
}

impl ProfileTable {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Attributes that profiles are found by.
    pub fn indexed(&self) -> impl Iterator<Item = &'static Attribute> + use<> {
        self.attributes.iter().filter(|attribute| attribute.index != Index::None)
    }

    /// Adds the attributes that are in the name anyway, if they are not given.
    pub fn complete(&self, name: &str, profile: &mut Profile) {
        let parts: Vec<_> = match self.named_by.len() {
            0 => return,
            1 => vec![name],
            count => name.splitn(count, self.separator).collect(),
        };
        for (attribute, part) in self.named_by.iter().zip(parts) {
            let kind = self.attribute(attribute).map(|attribute| attribute.kind);
            let value = kind.and_then(|kind| kind.read(part).ok());
            if let Some(value) = value.filter(|_| !profile.attributes.contains_key(*attribute)) {
                profile.attributes.insert((*attribute).to_owned(), value);
            }
        }
    }

    /// Checks a profile by the schema alone; whether the table takes it is `Tables::check_profile`.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check(&self, name: &str, profile: &Profile) -> Result<(), ProfileError> {
        if name.len() > PROFILE_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            let what = format!(
                "a name has at most {PROFILE_NAME_BYTES_MAX} bytes and no control characters"
            );
            return Err(self.error(&shown, None, what));
        }
        for (attribute, value) in &profile.attributes {
            let Some(known) = self.attribute(attribute) else {
                let all: Vec<_> = self.attributes.iter().map(|known| known.name).collect();
                let what = format!("there is no such attribute: known are {}", all.join(", "));
                return Err(self.error(name, Some(attribute), what));
            };
            known.kind.check(value).map_err(|expected| {
                let what = match known.secret {
                    true => format!("{expected} are expected"),
                    false => format!("{:?} is not {expected}", value.to_string()),
                };
                self.error(name, Some(attribute), what)
            })?;
        }
        let lacks = |it: &&Attribute| it.required && !profile.attributes.contains_key(it.name);
        if let Some(lacking) = self.attributes.iter().find(lacks) {
            let what = format!("it is required: give {}", lacking.kind.expected());
            return Err(self.error(name, Some(lacking.name), what));
        }
        self.check_name(name, profile)?;
        let size = profile.to_row().len();
        match size > ATTRIBUTE_BYTES_MAX {
            true => {
                let what = format!("{size} bytes, {ATTRIBUTE_BYTES_MAX} allowed: shorten it");
                Err(self.error(name, None, what))
            }
            false => Ok(()),
        }
    }

    fn check_name(&self, name: &str, profile: &Profile) -> Result<(), ProfileError> {
        let text = |attribute: &&str| {
            let kind = self.attribute(attribute)?.kind;
            Some(kind.write(profile.attributes.get(*attribute)?))
        };
        let parts: Vec<_> = self.named_by.iter().filter_map(text).collect();
        let expected = parts.join(self.separator);
        if self.named_by.is_empty() || expected == name {
            return Ok(());
        }
        let what = format!(
            "its name is made of {}: by its attributes it is {expected:?}",
            self.named_by.join(self.separator)
        );
        Err(self.error(name, None, what))
    }

    /// An error about a profile of this table.
    pub fn error(
        &self,
        name: &str,
        attribute: Option<&str>,
        what: impl Into<String>,
    ) -> ProfileError {
        ProfileError {
            table: self.name.to_owned(),
            profile: name.to_owned(),
            attribute: attribute.map(str::to_owned),
            what: what.into(),
        }
    }

    /// Checks the schema itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_schema(&self) -> Result<(), String> {
        let word = |text: &str| {
            let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            !text.is_empty() && text.bytes().all(is_part)
        };
        let table = self.name;
        if !word(table) {
            return Err(format!("profile table {table:?}: letters, digits, _ and - are expected"));
        }
        let names: Vec<_> = self.attributes.iter().map(|attribute| attribute.name).collect();
        if names.is_empty() || names.len() > PROFILE_ATTRIBUTES_MAX {
            return Err(format!("profile table {table}: 1 to {PROFILE_ATTRIBUTES_MAX} attributes"));
        }
        if let Some(bad) = names.iter().find(|name| !word(name)) {
            return Err(format!("profile table {table}: {bad:?} is no name of an attribute"));
        }
        let twice = |name: &&&str| names.iter().filter(|other| other == name).count() > 1;
        if let Some(twice) = names.iter().find(twice) {
            return Err(format!("profile table {table}: attribute {twice} is there twice"));
        }
        let optional = |name: &&&str| !self.attribute(name).is_some_and(|known| known.required);
        if let Some(bad) = self.named_by.iter().find(optional) {
            return Err(format!("profile table {table}: it is named by {bad}, not required"));
        }
        match self.profiles_max {
            1..=PROFILES_MAX => Ok(()),
            _ => Err(format!("profile table {table}: 1 to {PROFILES_MAX} profiles")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: ProfileTable = ProfileTable {
        name: "prices",
        about: "what things cost",
        attributes: &[
            Attribute::new("kind", AttributeKind::Text { chars_max: 8 }).required(),
            Attribute::new("size", AttributeKind::Number { min: 1, max: 9 }).required(),
            Attribute::new("price", AttributeKind::Decimal { places: 2, min: 0, max: 99_999 }),
            Attribute::new("key", AttributeKind::Hex { digits: 4 }).secret(),
        ],
        named_by: &["kind", "size"],
        separator: "/",
        profiles_max: 10,
    };

    fn profile(pairs: &[(&str, AttributeValue)]) -> Profile {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Profile { attributes: pairs.collect() }
    }

    fn error(name: &str, pairs: &[(&str, AttributeValue)]) -> String {
        let mut profile = profile(pairs);
        PRICES.complete(name, &mut profile);
        PRICES.check(name, &profile).expect_err("it is wrong").to_string()
    }

    #[test]
    fn what_is_in_the_name_need_not_be_given() {
        let mut given = profile(&[]);
        PRICES.complete("screw/3", &mut given);
        assert_eq!(given, profile(&[("kind", "screw".into()), ("size", 3.into())]));
        assert_eq!(PRICES.check("screw/3", &given), Ok(()));
    }

    #[test]
    fn an_error_names_table_profile_attribute_and_what_to_do() {
        let other = error("screw/3", &[("size", 4.into())]);
        let expected = "profile \"screw/3\" of prices: its name is made of kind/size: by its \
                        attributes it is \"screw/4\"";
        assert_eq!(other, expected);
        let lacking = error("screw", &[]);
        let expected = "profile \"screw\" of prices, attribute size: it is required: give a whole \
                        number from 1 to 9";
        assert_eq!(lacking, expected);
        let unknown = error("screw/3", &[("colour", "red".into())]);
        assert!(unknown.contains("attribute colour: there is no such attribute: known are kind"));
        let wrong = error("screw/3", &[("price", "x".into())]);
        let expected = "attribute price: \"x\" is not a number from 0.00 to 999.99 with at most 2 \
                        decimals";
        assert!(wrong.contains(expected), "{wrong}");
    }

    #[test]
    fn the_value_of_a_secret_is_in_no_error() {
        let wrong = error("screw/3", &[("key", "secret".into())]);
        let expected = "profile \"screw/3\" of prices, attribute key: 4 hex digits are expected";
        assert_eq!(wrong, expected);
    }

    #[test]
    fn a_profile_is_the_row_of_a_struct_with_its_attributes() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Price {
            kind: String,
            size: u8,
            price: Option<i64>,
        }
        let price = Price { kind: "screw".to_owned(), size: 3, price: None };
        let read = Profile::from_row(&encode(&price).expect("plain")).expect("a profile");
        assert_eq!(read, profile(&[("kind", "screw".into()), ("size", 3.into())]));
        assert_eq!(decode::<Price>(&read.to_row()), Ok(price));
    }

    #[test]
    fn a_schema_that_contradicts_itself_is_refused() {
        assert_eq!(PRICES.check_schema(), Ok(()));
        let named = ProfileTable { named_by: &["price"], ..PRICES };
        assert!(named.check_schema().is_err_and(|error| error.contains("named by price")));
        let twice = [PRICES.attributes[0]; 2].to_vec().leak();
        let twice = ProfileTable { attributes: twice, ..PRICES };
        assert!(twice.check_schema().is_err_and(|error| error.contains("kind is there twice")));
        let none = ProfileTable { profiles_max: 0, ..PRICES };
        assert!(none.check_schema().is_err_and(|error| error.contains("1 to 1000000 profiles")));
    }
}
