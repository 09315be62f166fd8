//! Values of profile attributes, and what each kind of attribute takes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeKind {
    /// Text without control characters.
    Text {
        /// Characters at most.
        chars_max: usize,
    },
    /// Lower-case hex digits.
    Hex {
        /// Exactly so many.
        digits: usize,
    },
    /// A whole number.
    Number {
        /// The least one.
        min: i64,
        /// The greatest one.
        max: i64,
    },
    /// A decimal number, kept as a whole number of its last place.
    Decimal {
        /// Decimals that it has.
        places: u8,
        /// The least one, in units of the last place.
        min: i64,
        /// The greatest one, in units of the last place.
        max: i64,
    },
    /// True or false.
    Flag,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// Of a flag.
    Flag(bool),
    /// Of a number or decimal.
    Number(i64),
    /// Of a text or hex.
    Text(String),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        AttributeValue::Text(text.to_owned())
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        AttributeValue::Number(number)
    }
}

impl From<bool> for AttributeValue {
    fn from(flag: bool) -> Self {
        AttributeValue::Flag(flag)
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributeValue::Flag(flag) => flag.fmt(f),
            AttributeValue::Number(number) => number.fmt(f),
            AttributeValue::Text(text) => text.fmt(f),
        }
    }
}

impl AttributeKind {
    /// Says whether `value` is one of these.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn check(self, value: &AttributeValue) -> Result<(), String> {
        let fits = match (self, value) {
            (AttributeKind::Text { chars_max }, AttributeValue::Text(text)) => {
                text.chars().count() <= chars_max && !text.chars().any(char::is_control)
            }
            (AttributeKind::Hex { digits }, AttributeValue::Text(text)) => {
                let is_digit = |b: u8| b.is_ascii_hexdigit() && !b.is_ascii_uppercase();
                text.len() == digits && text.bytes().all(is_digit)
            }
            (
                AttributeKind::Number { min, max } | AttributeKind::Decimal { min, max, .. },
                AttributeValue::Number(number),
            ) => (min..=max).contains(number),
            (AttributeKind::Flag, AttributeValue::Flag(_)) => true,
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.expected()) }
    }

    /// What an operator is to write.
    pub fn expected(self) -> String {
        match self {
            AttributeKind::Text { chars_max } => format!("text of at most {chars_max} characters"),
            AttributeKind::Hex { digits } => format!("{digits} hex digits"),
            AttributeKind::Number { min, max } => format!("a whole number from {min} to {max}"),
            AttributeKind::Decimal { places, min, max } => {
                let (min, max) = (decimal(min, places), decimal(max, places));
                format!("a number from {min} to {max} with at most {places} decimals")
            }
            AttributeKind::Flag => "true or false".to_owned(),
        }
    }

    /// The value that an operator wrote as `text`.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn read(self, text: &str) -> Result<AttributeValue, String> {
        let value = match self {
            AttributeKind::Text { .. } => Some(text.into()),
            AttributeKind::Hex { .. } => Some(text.to_ascii_lowercase().as_str().into()),
            AttributeKind::Number { .. } => text.parse::<i64>().ok().map(Into::into),
            AttributeKind::Decimal { places, .. } => read_decimal(text, places).map(Into::into),
            AttributeKind::Flag => text.parse::<bool>().ok().map(Into::into),
        };
        let value = value.ok_or_else(|| self.expected())?;
        self.check(&value)?;
        Ok(value)
    }

    /// A value as an operator reads and writes it.
    pub fn write(self, value: &AttributeValue) -> String {
        match (self, value) {
            (AttributeKind::Decimal { places, .. }, AttributeValue::Number(number)) => {
                decimal(*number, places)
            }
            _ => value.to_string(),
        }
    }
}

/// At least two decimals, as prices have; further zeros at the end say nothing.
fn decimal(number: i64, places: u8) -> String {
    let unit = 10_u64.pow(u32::from(places));
    let (sign, whole) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    let digits = format!("{:0width$}", whole % unit, width = usize::from(places));
    let kept = digits.trim_end_matches('0').len().max(usize::from(places.min(2)));
    match &digits[..kept.min(digits.len())] {
        "" => format!("{sign}{whole}"),
        decimals => format!("{sign}{}.{decimals}", whole / unit),
    }
}

fn read_decimal(text: &str, places: u8) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, decimals) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let width = usize::from(places);
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > width {
        return None;
    }
    let number: i64 = format!("{whole}{decimals:0<width$}").parse().ok()?;
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_and_written_as_a_price() {
        let kind = AttributeKind::Decimal { places: 6, min: -1_000_000, max: i64::MAX };
        for (text, number, written) in [
            ("0.12", 120_000, "0.12"),
            ("1", 1_000_000, "1.00"),
            ("0.000001", 1, "0.000001"),
            ("-0.5", -500_000, "-0.50"),
        ] {
            assert_eq!(kind.read(text), Ok(AttributeValue::Number(number)), "{text}");
            assert_eq!(kind.write(&number.into()), written);
        }
        for text in ["", ".5", "1,5", "0.0000001", "1e3", "--1", "-2", "99999999999999999999"] {
            assert!(kind.read(text).is_err(), "{text}");
        }
        let whole = AttributeKind::Decimal { places: 0, min: 0, max: 9 };
        assert_eq!(whole.write(&7.into()), "7");
    }

    #[test]
    fn each_kind_says_what_it_expects() {
        for (kind, wrong, expected) in [
            (AttributeKind::Text { chars_max: 3 }, "äöüß", "text of at most 3 characters"),
            (AttributeKind::Text { chars_max: 3 }, "a\nb", "text of at most 3 characters"),
            (AttributeKind::Hex { digits: 4 }, "12g4", "4 hex digits"),
            (AttributeKind::Number { min: 1, max: 5 }, "6", "a whole number from 1 to 5"),
            (AttributeKind::Flag, "yes", "true or false"),
        ] {
            assert_eq!(kind.read(wrong), Err(expected.to_owned()));
        }
        assert_eq!(AttributeKind::Hex { digits: 4 }.read("AB12"), Ok("ab12".into()));
        assert_eq!(AttributeKind::Flag.read("true"), Ok(true.into()));
    }

    #[test]
    fn values_read_back_from_the_codec() {
        for value in [AttributeValue::from("a"), 7.into(), (-7).into(), true.into()] {
            let bytes = crate::encode(&value).expect("plain");
            assert_eq!(crate::decode::<AttributeValue>(&bytes), Ok(value));
        }
    }
}
