//! An amount of money in millionths of its currency's unit. No float is involved anywhere; the
//! currency itself is not here but in the tariff.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Micro-units in one unit of a currency.
const MICROS_PER_UNIT: i64 = 1_000_000;
/// Decimals that a micro-unit needs.
const DECIMALS_MAX: usize = 6;
/// Decimals that are always shown.
const DECIMALS_MIN: usize = 4;

/// An amount in micro-units: `Money::from_micros(185_000)` is 0.1850.
///
/// In text formats (JSON, TOML) it is decimal text such as `"0.1850"`, since a number there may
/// become a float in the reader. In the container's own codec it is the integer of micro-units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);
    /// The largest amount; where saturating sums stop.
    pub const MAX: Money = Money(i64::MAX);

    /// The amount of `micros` micro-units.
    pub const fn from_micros(micros: i64) -> Self {
        Money(micros)
    }

    /// The amount in micro-units.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The sum, or `None` if it is out of range.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }

    /// The sum, or the nearest amount in range.
    pub fn saturating_add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Money {
    /// Exact: four decimals, and a fifth and sixth only if they are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let per_unit = MICROS_PER_UNIT.unsigned_abs();
        let (units, micros) = (self.0.unsigned_abs() / per_unit, self.0.unsigned_abs() % per_unit);
        let mut text = format!("{sign}{units}.{micros:06}");
        while text.ends_with('0') && !text[..text.len() - DECIMALS_MIN].ends_with('.') {
            text.pop();
        }
        f.pad(&text)
    }
}

/// A text that is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMoneyError {
    /// Other characters than a sign, digits and one point between digits.
    #[error("{0:?} is not an amount: digits with a decimal point are expected, as in \"0.12\"")]
    NotDecimal(String),
    /// A fraction of a micro-unit; rounding it silently would change a price.
    #[error("{0:?} has more than {DECIMALS_MAX} decimals")]
    TooPrecise(String),
    /// More than 64 bits of micro-units.
    #[error("{0:?} is too large for an amount")]
    OutOfRange(String),
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quoted = || text.chars().take(64).collect::<String>();
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (units, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(units) || !digits(decimals) {
            return Err(ParseMoneyError::NotDecimal(quoted()));
        }
        if decimals.len() > DECIMALS_MAX {
            return Err(ParseMoneyError::TooPrecise(quoted()));
        }
        let sign = if unsigned.len() < text.len() { "-" } else { "" };
        // Read as one integer of micro-units, so that the smallest i64 needs no special case.
        let micros = format!("{sign}{units}{decimals:0<DECIMALS_MAX$}");
        micros.parse().map(Money).map_err(|_| ParseMoneyError::OutOfRange(quoted()))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Money)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_shows_four_decimals_and_hides_none_that_counts() {
        let shown = [
            (0, "0.0000"),
            (185_000, "0.1850"),
            (120_000_000, "120.0000"),
            (1, "0.000001"),
            (1_230, "0.00123"),
            (-500_000, "-0.5000"),
            (i64::MAX, "9223372036854.775807"),
            (i64::MIN, "-9223372036854.775808"),
        ];
        for (micros, text) in shown {
            assert_eq!(Money::from_micros(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(Money::from_micros(micros)));
        }
        assert_eq!(format!("{:>8}", Money::from_micros(185_000)), "  0.1850");
    }

    #[test]
    fn an_operator_may_write_fewer_decimals() {
        for (text, micros) in [("0.12", 120_000), ("3", 3_000_000), ("00.006", 6_000)] {
            assert_eq!(text.parse(), Ok(Money::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_amount_is_named_in_the_error() {
        for text in ["", "-", ".", ".5", "5.", "0,12", "1e3", "+1", "--1", "1.2.3", " 1", "٣"] {
            let error = text.parse::<Money>().expect_err("must not parse");
            assert_eq!(error, ParseMoneyError::NotDecimal(text.to_owned()));
        }
        let error = "0.0000001".parse::<Money>().expect_err("a tenth of a micro-unit");
        assert_eq!(error.to_string(), "\"0.0000001\" has more than 6 decimals");
        for text in ["9223372036854.775808", "99999999999999999999999999999999999999999999"] {
            let error = text.parse::<Money>().expect_err("too large");
            assert_eq!(error, ParseMoneyError::OutOfRange(text.to_owned()));
        }
    }

    #[test]
    fn sums_never_wrap() {
        let one = Money::from_micros(1);
        assert_eq!(Money::MAX.checked_add(one), None);
        assert_eq!(Money::MAX.saturating_add(one), Money::MAX);
        assert_eq!(one.checked_add(one), Some(Money::from_micros(2)));
    }

    #[test]
    fn an_amount_is_text_in_json_and_an_integer_in_the_codec() {
        let amount = Money::from_micros(185_000);
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"0.1850\"");
        assert_eq!(serde_json::from_str::<Money>("\"0.185\"").unwrap(), amount);
        assert!(serde_json::from_str::<Money>("0.185").is_err(), "a float is refused");
        let bytes = resilee_sbb::encode(&amount).unwrap();
        assert_eq!(resilee_sbb::decode::<i64>(&bytes), Ok(185_000));
        assert_eq!(resilee_sbb::decode::<Money>(&bytes), Ok(amount));
    }
}
