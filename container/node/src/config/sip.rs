//! `[sip]`, but for addresses: how clients prove who they are, and who is not listened to.

use super::file;
use resilee_config::{ConfigError, Source};
use resilee_sip_api::{Account, Algorithm};
use resilee_sip_proto::SCANNERS_DEFAULT;
use toml::Spanned;

/// Entries of `scanners`; each is looked for in each request.
const SCANNERS_MAX: usize = 64;
/// Characters of an entry: a shorter one would be part of too many names.
const SCANNER_CHARS: std::ops::RangeInclusive<usize> = 3..=64;

/// Who proves what, and who is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipConfig {
    /// Algorithms that a challenge offers, the preferred one first.
    pub digest_algorithms: Vec<Algorithm>,
    /// Parts of a User-Agent whose requests are dropped.
    pub scanners: Vec<String>,
}

/// What the file says, checked.
///
/// # Errors
/// An algorithm that is not there, or twice; none; one that an account of the file cannot be
/// proven by, alone; parts of names that are too many, too short or too long.
pub(super) fn read(
    source: &Source<'_>,
    file: &file::Sip,
    accounts: &[Account],
) -> Result<SipConfig, ConfigError> {
    Ok(SipConfig {
        digest_algorithms: algorithms(source, file, accounts)?,
        scanners: scanners(source, file)?,
    })
}

/// MD5 alone by default: whoever has SHA-256 secrets of all accounts, and phones that pass over a
/// challenge they don't know, asks for more.
fn algorithms(
    source: &Source<'_>,
    file: &file::Sip,
    accounts: &[Account],
) -> Result<Vec<Algorithm>, ConfigError> {
    const KEY: &str = "sip.digest_algorithms";
    let Some(list) = &file.digest_algorithms else { return Ok(vec![Algorithm::Md5]) };
    let mut algorithms = Vec::new();
    for name in list.get_ref() {
        let algorithm = match name.get_ref().as_str() {
            "MD5" => Algorithm::Md5,
            "SHA-256" => Algorithm::Sha256,
            other => {
                let what = format!("{other:?}: \"SHA-256\" or \"MD5\" is expected");
                return Err(source.error(KEY, name.span(), what));
            }
        };
        if algorithms.contains(&algorithm) {
            let what = format!("{:?} is there twice: remove one", name.get_ref());
            return Err(source.error(KEY, name.span(), what));
        }
        algorithms.push(algorithm);
    }
    if algorithms.is_empty() {
        let what = "nobody could prove who he is: at least one is expected, like [\"MD5\"]";
        return Err(source.error(KEY, list.span(), what));
    }
    let is_lost = |account: &&Account| {
        !account.algorithms().iter().any(|algorithm| algorithms.contains(algorithm))
    };
    if let Some(account) = accounts.iter().find(is_lost) {
        let Account { user, realm, .. } = account;
        let what = format!(
            "{user:?} of {realm:?} has no ha1_sha256, and could not prove who he is: add it, or \
             \"MD5\""
        );
        return Err(source.error(KEY, list.span(), what));
    }
    Ok(algorithms)
}

fn scanners(source: &Source<'_>, file: &file::Sip) -> Result<Vec<String>, ConfigError> {
    const KEY: &str = "sip.scanners";
    let Some(list) = &file.scanners else {
        return Ok(SCANNERS_DEFAULT.map(str::to_owned).to_vec());
    };
    let parts: &Vec<Spanned<String>> = list.get_ref();
    if parts.len() > SCANNERS_MAX {
        let what = format!("{}: at most {SCANNERS_MAX} are expected", parts.len());
        return Err(source.error(KEY, list.span(), what));
    }
    let part = |part: &Spanned<String>| {
        let chars = part.get_ref().chars().count();
        if SCANNER_CHARS.contains(&chars) {
            return Ok(part.get_ref().clone());
        }
        let (from, to) = (SCANNER_CHARS.start(), SCANNER_CHARS.end());
        let what =
            format!("{:?}: {from} to {to} characters of a User-Agent are expected", part.get_ref());
        Err(source.error(KEY, part.span(), what))
    };
    parts.iter().map(part).collect()
}
