//! Money with its currency, sums by currency, and the names of the parties to it: what pages and
//! REST show of them. How a call is priced is the billing service's.

use resilee_call_billing::Money;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// An amount and its currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Decimal text in JSON.
    pub amount: Money,
    /// As in the tariff; empty for a call without one.
    pub currency: String,
}

impl Amount {
    /// The amount with its thousands set apart, for large sums.
    pub fn grouped(&self) -> String {
        grouped(&self.amount.to_string())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.currency.as_str() {
            "" => write!(f, "{}", self.amount),
            currency => write!(f, "{} {currency}", self.amount),
        }
    }
}

/// What a set of bills adds up to, by currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<String, Total>);

/// What the bills of one currency add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Number of bills.
    pub bills: u64,
    /// Talk time of them.
    pub seconds: u64,
    /// Sum of their totals; saturates.
    pub money: Money,
}

impl Totals {
    /// Counts one bill in.
    pub fn add(&mut self, currency: &str, money: Money, seconds: u64) {
        if !self.0.contains_key(currency) {
            self.0.insert(currency.to_owned(), Total::default());
        }
        if let Some(total) = self.0.get_mut(currency) {
            total.bills += 1;
            total.seconds = total.seconds.saturating_add(seconds);
            total.money = total.money.saturating_add(money);
        }
    }

    /// The amounts, the currency with the most bills first.
    pub fn amounts(&self) -> Vec<Amount> {
        let mut totals: Vec<_> = self.0.iter().collect();
        totals.sort_by_key(|(_, total)| std::cmp::Reverse(total.bills));
        let amount = |(currency, total): (&String, &Total)| Amount {
            amount: total.money,
            currency: currency.clone(),
        };
        totals.into_iter().map(amount).collect()
    }

    /// Number of bills of all currencies.
    pub fn bills(&self) -> u64 {
        self.0.values().map(|total| total.bills).sum()
    }

    /// Talk time of all bills.
    pub fn seconds(&self) -> u64 {
        self.0.values().fold(0, |sum, total| sum.saturating_add(total.seconds))
    }
}

impl Serialize for Totals {
    /// A list, so that readers need not know the currencies.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            currency: &'a str,
            amount: Money,
            bills: u64,
            seconds: u64,
        }
        serializer.collect_seq(self.0.iter().map(|(currency, total)| Row {
            currency,
            amount: total.money,
            bills: total.bills,
            seconds: total.seconds,
        }))
    }
}

/// `1234567.8900` as `1,234,567.8900`.
pub fn grouped(number: &str) -> String {
    let digits = number.trim_start_matches('-');
    let sign = &number[..number.len() - digits.len()];
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = String::from(sign);
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// An address of record, parted so that the eye finds the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As it stands in the bill.
    pub full: String,
    /// User part, or all of it where there is no host.
    pub user: String,
    /// `@host`, or nothing.
    pub host: String,
}

impl Address {
    /// Parts `sip:user@host`.
    pub fn new(full: &str) -> Self {
        let bare = ["sip:", "sips:", "tel:"].iter().find_map(|scheme| full.strip_prefix(scheme));
        let bare = bare.unwrap_or(full);
        let (user, host) = bare.split_at(bare.find('@').filter(|at| *at > 0).unwrap_or(bare.len()));
        let user = if user.is_empty() { "unknown" } else { user };
        Address { full: full.to_owned(), user: user.to_owned(), host: host.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_kept_apart_by_currency() {
        let mut totals = Totals::default();
        totals.add("USD", Money::from_micros(5_000_000), 30);
        totals.add("EUR", Money::from_micros(185_000), 60);
        totals.add("EUR", Money::from_micros(15_000), 5);
        let amounts: Vec<String> = totals.amounts().iter().map(Amount::to_string).collect();
        assert_eq!(amounts, ["0.2000 EUR", "5.0000 USD"]);
        assert_eq!((totals.bills(), totals.seconds()), (3, 95));
        let json = serde_json::to_string(&totals).unwrap();
        assert!(json.starts_with(r#"[{"currency":"EUR","amount":"0.2000","bills":2,"#), "{json}");
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = ["0.1850", "123.4", "1234.5000", "-1234567.8", "999", "100000"].map(grouped);
        assert_eq!(shown, ["0.1850", "123.4", "1,234.5000", "-1,234,567.8", "999", "100,000"]);
    }

    #[test]
    fn an_address_is_parted_at_its_host() {
        let parts = |text| {
            let address = Address::new(text);
            (address.user, address.host)
        };
        let owned = |user: &str, host: &str| (user.to_owned(), host.to_owned());
        assert_eq!(parts("sip:alice@example.org"), owned("alice", "@example.org"));
        assert_eq!(parts("tel:+4930123"), owned("+4930123", ""));
        assert_eq!(parts("sip:example.org"), owned("example.org", ""));
        assert_eq!(parts(""), owned("unknown", ""));
    }
}
