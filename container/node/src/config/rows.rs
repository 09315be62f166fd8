//! Accounts and tariffs: their checks, and their rows in the tables that services read.

use super::file;
use resilee_call_billing::{Money, PREFIX_CHARS_MAX, TARIFFS, Tariff};
use resilee_call_control::{OPEN_CALLS, POLICY};
use resilee_config::{ConfigError, Limits, Source};
use resilee_sbb::{CodecError, Tables, encode};
use resilee_sip_api::{ACCOUNTS, Account};
use serde::Serialize;
use std::collections::BTreeSet;
use toml::Spanned;

/// Hex digits of an MD5 hash.
const MD5_DIGITS: usize = 32;
/// Hex digits of a SHA-256 hash.
const SHA256_DIGITS: usize = 64;
/// Talk time may be charged in steps of so many seconds.
const INCREMENT_S: Limits<u32> = Limits { range: 1..=3600, default: 1 };

/// All accounts, each once.
pub(super) fn accounts(
    source: &Source<'_>,
    entries: &[file::Account],
) -> Result<Vec<Account>, ConfigError> {
    let mut known = BTreeSet::new();
    let account = |entry: &file::Account| {
        let user = source.word("account.user", &entry.user)?;
        let realm = source.word("account.realm", &entry.realm)?;
        if !known.insert(Account::key(&user, &realm)) {
            let what = format!("{user:?} of {realm:?} is there twice: remove one");
            return Err(source.error("account.user", entry.user.span(), what));
        }
        let ha1 = hash(source, "account.ha1", &entry.ha1, MD5_DIGITS)?;
        let ha1_sha256 = entry.ha1_sha256.as_ref();
        let ha1_sha256 = ha1_sha256
            .map(|text| hash(source, "account.ha1_sha256", text, SHA256_DIGITS))
            .transpose()?;
        Ok(Account { user, realm, ha1, ha1_sha256 })
    };
    entries.iter().map(account).collect()
}

/// All tariffs, each prefix once.
pub(super) fn tariffs(
    source: &Source<'_>,
    entries: &[file::Tariff],
) -> Result<Vec<Tariff>, ConfigError> {
    let mut known = BTreeSet::new();
    let tariff = |entry: &file::Tariff| {
        let prefix = entry.prefix.get_ref().clone();
        if prefix.chars().count() > PREFIX_CHARS_MAX {
            let what = format!("at most {PREFIX_CHARS_MAX} characters are expected");
            return Err(source.error("tariff.prefix", entry.prefix.span(), what));
        }
        if !known.insert(prefix.clone()) {
            let what = format!("the prefix {prefix:?} is there twice: remove one");
            return Err(source.error("tariff.prefix", entry.prefix.span(), what));
        }
        Ok(Tariff {
            prefix,
            currency: source.word("tariff.currency", &entry.currency)?,
            connect_fee: price(source, "tariff.connect_fee", &entry.connect_fee)?,
            per_minute: price(source, "tariff.per_minute", &entry.per_minute)?,
            increment_s: source.within(
                "tariff.increment_s",
                Some(&entry.increment_s),
                &INCREMENT_S,
            )?,
        })
    };
    entries.iter().map(tariff).collect()
}

fn hash(
    source: &Source<'_>,
    key: &str,
    text: &Spanned<String>,
    digits: usize,
) -> Result<String, ConfigError> {
    let hex = text.get_ref().bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.get_ref().len() != digits || !hex {
        // The value is not shown: somebody may have written the password itself.
        let what = format!("{digits} hex digits of H(user:realm:password) are expected");
        return Err(source.error(key, text.span(), what));
    }
    Ok(text.get_ref().to_ascii_lowercase())
}

fn price(source: &Source<'_>, key: &str, text: &Spanned<String>) -> Result<Money, ConfigError> {
    let price: Money = source.parse(key, text)?;
    if price < Money::ZERO {
        let what = format!("{:?}: a price is not negative", text.get_ref());
        return Err(source.error(key, text.span(), what));
    }
    Ok(price)
}

/// The tables that services read.
pub(super) fn tables(
    accounts: &[Account],
    tariffs: &[Tariff],
    open_calls: bool,
) -> Result<Tables, CodecError> {
    let mut tables = Tables::default();
    for account in accounts {
        put(&mut tables, ACCOUNTS, &Account::key(&account.user, &account.realm), account)?;
    }
    for tariff in tariffs {
        put(&mut tables, TARIFFS, &tariff.prefix, tariff)?;
    }
    put(&mut tables, POLICY, OPEN_CALLS, &open_calls)?;
    Ok(tables)
}

fn put<T: Serialize>(
    tables: &mut Tables,
    table: &str,
    key: &str,
    row: &T,
) -> Result<(), CodecError> {
    tables.put(table, key, encode(row)?);
    Ok(())
}
