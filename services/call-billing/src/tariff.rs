//! The tariff row, and the choice of one by the number that was called. What a call costs under
//! it is in `rating`.

use crate::money::Money;
use resilee_sbb::{Attribute, AttributeKind, Context, ProfileTable, Severity};
use serde::{Deserialize, Serialize};

/// Name of the table of tariffs; its key is [`Tariff::prefix`].
pub const TARIFFS: &str = "tariffs";

/// The longest prefix that is looked for, in characters; a longer one never matches. It bounds
/// the look-ups that a user part of any length costs.
pub const PREFIX_CHARS_MAX: usize = 32;

/// What a price may be.
const PRICE: AttributeKind = AttributeKind::Decimal { places: 6, min: 0, max: 1_000_000_000_000 };

/// The profile table of tariffs: [`Tariff`] is a row of it.
pub const TARIFF_PROFILES: ProfileTable = ProfileTable {
    name: TARIFFS,
    about: "what calls cost, by the start of the number called",
    attributes: &[
        Attribute::new("prefix", AttributeKind::Text { chars_max: PREFIX_CHARS_MAX }).required(),
        Attribute::new("currency", AttributeKind::Text { chars_max: 16 }).required().indexed(),
        Attribute::new("connect_fee", PRICE).required(),
        Attribute::new("per_minute", PRICE).required(),
        Attribute::new("increment_s", AttributeKind::Number { min: 1, max: 3_600 }).required(),
    ],
    named_by: &["prefix"],
    separator: "",
    profiles_max: 100_000,
};

/// The row of one tariff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// Start of the user parts it is for; empty for the default tariff.
    pub prefix: String,
    /// Currency of its prices; empty for the zero tariff.
    pub currency: String,
    /// Owed once for each answered call, however short.
    pub connect_fee: Money,
    /// Price of a minute of talk.
    pub per_minute: Money,
    /// Talk time is charged in steps of so many seconds; 0 counts as 1.
    pub increment_s: u32,
}

impl Default for Tariff {
    /// The zero tariff: what calls cost that no row of the table is for.
    fn default() -> Self {
        Tariff {
            prefix: String::new(),
            currency: String::new(),
            connect_fee: Money::ZERO,
            per_minute: Money::ZERO,
            increment_s: 1,
        }
    }
}

impl Tariff {
    /// The tariff with the longest prefix of `user`, the called user part. Without one the call
    /// is billed at zero and an alarm tells the operator. It never fails: a call whose set-up
    /// failed here would not be billed at all.
    pub(crate) fn choose(cx: &mut Context<'_>, user: &str) -> Tariff {
        let ends = user.char_indices().map(|(at, char)| at + char.len_utf8());
        let mut ends: Vec<usize> = ends.take(PREFIX_CHARS_MAX).collect();
        ends.insert(0, 0);
        for prefix in ends.into_iter().rev().map(|end| &user[..end]) {
            match cx.profile::<Tariff>(TARIFFS, prefix) {
                Ok(Some(tariff)) => return tariff,
                Ok(None) => {}
                Err(failure) => {
                    let text = format!("tariff {prefix:?} unread: {failure}");
                    cx.raise_alarm("tariff_unread", prefix, Severity::Major, text);
                }
            }
        }
        let called: String = user.chars().take(PREFIX_CHARS_MAX).collect();
        let text = format!("no tariff for {called:?}: the call is billed at zero");
        cx.raise_alarm("no_tariff", &called, Severity::Major, text);
        Tariff::default()
    }
}
