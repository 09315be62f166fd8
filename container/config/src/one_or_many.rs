//! A key that takes one text, or a list of them.

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::fmt;
use toml::Spanned;

/// One text, or many.
#[derive(Clone, Debug)]
pub enum OneOrMany {
    /// `"a"`.
    One(String),
    /// `["a", "b"]`.
    Many(Vec<Spanned<String>>),
}

impl OneOrMany {
    /// Each of them, with its place.
    pub fn texts(all: &Spanned<OneOrMany>) -> Vec<Spanned<String>> {
        match all.get_ref() {
            OneOrMany::One(text) => vec![Spanned::new(all.span(), text.clone())],
            OneOrMany::Many(texts) => texts.clone(),
        }
    }
}

/// By hand: a derived one would lose the places within a list, and say nothing a person can use.
impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany::Many(texts))
            }
        }

        deserializer.deserialize_any(Texts)
    }
}
