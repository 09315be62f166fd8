//! The table `[protection]` of `balancer.toml`.

use crate::protection::{Prefix, ProtectionConfig};
use resilee_config::{ConfigError, Limits, OneOrMany, Source};
use resilee_membership::SIP_BYTES_MAX;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;

/// Most prefixes of each list.
const PREFIXES_MAX: usize = 4_096;

/// Most names of scanners, each of which is compared with each User-Agent.
const SCANNERS_MAX: usize = 64;

/// Characters of such a name; one of them would drop many a phone.
const SCANNER_BYTES: RangeInclusive<usize> = 3..=64;

/// Messages of one source, in a second or at once.
const MESSAGES_MAX: u32 = 100_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    rate_per_s: Option<Spanned<u32>>,
    burst: Option<Spanned<u32>>,
    allow: Option<Spanned<OneOrMany>>,
    deny: Option<Spanned<OneOrMany>>,
    ban_after: Option<Spanned<u32>>,
    ban_window_s: Option<Spanned<u64>>,
    ban_s: Option<Spanned<u64>>,
    message_bytes_max: Option<Spanned<u64>>,
    header_bytes_max: Option<Spanned<u64>>,
    headers_max: Option<Spanned<u64>>,
    scanners: Option<Spanned<OneOrMany>>,
}

pub(super) fn read(source: &Source<'_>, file: &Table) -> Result<ProtectionConfig, ConfigError> {
    let usual = ProtectionConfig::default();
    let number = |key: &str, value: &Option<Spanned<u32>>, range, default| {
        let key = format!("protection.{key}");
        source.within(&key, value.as_ref(), &Limits { range, default })
    };
    let seconds = |key: &str, value: &Option<Spanned<u64>>, usual: Duration| {
        let limits = Limits { range: 1..=86_400, default: usual.as_secs() };
        let seconds = source.within(&format!("protection.{key}"), value.as_ref(), &limits)?;
        Ok(Duration::from_secs(seconds))
    };
    let size = |key: &str, value: &Option<Spanned<u64>>, range: RangeInclusive<usize>, usual| {
        let range = *range.start() as u64..=*range.end() as u64;
        let limits = Limits { range, default: usual as u64 };
        let size = source.within(&format!("protection.{key}"), value.as_ref(), &limits)?;
        Ok(usize::try_from(size).unwrap_or(usize::MAX))
    };
    Ok(ProtectionConfig {
        rate_per_s: number("rate_per_s", &file.rate_per_s, 0..=MESSAGES_MAX, usual.rate_per_s)?,
        burst: number("burst", &file.burst, 1..=MESSAGES_MAX, usual.burst)?,
        allow: prefixes(source, "protection.allow", file.allow.as_ref(), usual.allow)?,
        deny: prefixes(source, "protection.deny", file.deny.as_ref(), usual.deny)?,
        ban_after: number("ban_after", &file.ban_after, 0..=1_000_000, usual.ban_after)?,
        ban_window: seconds("ban_window_s", &file.ban_window_s, usual.ban_window)?,
        ban_for: seconds("ban_s", &file.ban_s, usual.ban_for)?,
        message_bytes_max: size(
            "message_bytes_max",
            &file.message_bytes_max,
            1_024..=SIP_BYTES_MAX,
            usual.message_bytes_max,
        )?,
        header_bytes_max: size(
            "header_bytes_max",
            &file.header_bytes_max,
            512..=SIP_BYTES_MAX,
            usual.header_bytes_max,
        )?,
        headers_max: size("headers_max", &file.headers_max, 16..=4_096, usual.headers_max)?,
        scanners: scanners(source, file.scanners.as_ref(), usual.scanners)?,
    })
}

fn prefixes(
    source: &Source<'_>,
    key: &str,
    list: Option<&Spanned<OneOrMany>>,
    usual: Vec<Prefix>,
) -> Result<Vec<Prefix>, ConfigError> {
    let Some(list) = list else { return Ok(usual) };
    let texts = OneOrMany::texts(list);
    if texts.len() > PREFIXES_MAX {
        let what = format!("{} prefixes: at most {PREFIXES_MAX} are expected", texts.len());
        return Err(source.error(key, list.span(), what));
    }
    let parse = |text: &Spanned<String>| {
        text.get_ref().parse().map_err(|error| {
            source.error(key, text.span(), format!("{:?}: {error}", text.get_ref()))
        })
    };
    texts.iter().map(parse).collect()
}

fn scanners(
    source: &Source<'_>,
    list: Option<&Spanned<OneOrMany>>,
    usual: Vec<String>,
) -> Result<Vec<String>, ConfigError> {
    const KEY: &str = "protection.scanners";
    let Some(list) = list else { return Ok(usual) };
    let texts = OneOrMany::texts(list);
    if texts.len() > SCANNERS_MAX {
        let what = format!("{} names: at most {SCANNERS_MAX} are expected", texts.len());
        return Err(source.error(KEY, list.span(), what));
    }
    for text in &texts {
        if !SCANNER_BYTES.contains(&text.get_ref().len()) {
            let (from, to) = (SCANNER_BYTES.start(), SCANNER_BYTES.end());
            let what = format!("{:?}: {from} to {to} characters are expected", text.get_ref());
            return Err(source.error(KEY, text.span(), what));
        }
    }
    Ok(texts.into_iter().map(Spanned::into_inner).collect())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::protection::ProtectionConfig;
    use resilee_config::ConfigError;
    use resilee_sip_proto::SCANNERS_DEFAULT;
    use std::path::Path;
    use std::time::Duration;

    fn parse(table: &str) -> Result<ProtectionConfig, ConfigError> {
        let text = format!(
            "listen = \"127.0.0.1:5060\"\nkey_file = \"key\"\n[[server]]\nname = \"one\"\n\
             address = \"127.0.0.1:5081\"\n[protection]\n{table}\n"
        );
        Ok(Config::parse(Path::new("balancer.toml"), &text, |_| unreachable!("no names"))?
            .balancer
            .protection)
    }

    #[test]
    fn without_keys_phones_trunks_and_this_machine_are_served() {
        let usual = parse("").unwrap();
        assert_eq!((usual.rate_per_s, usual.burst), (1_000, 2_000));
        assert_eq!((usual.allow.len(), usual.deny.len()), (2, 0));
        assert_eq!((usual.ban_after, usual.ban_for), (100, Duration::from_secs(300)));
        assert_eq!(usual.scanners, SCANNERS_DEFAULT);
    }

    #[test]
    fn each_key_is_read() {
        let config = parse(
            "rate_per_s = 0\nburst = 7\nallow = []\ndeny = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
             ban_after = 5\nban_window_s = 6\nban_s = 8\nmessage_bytes_max = 4096\n\
             header_bytes_max = 2048\nheaders_max = 64\nscanners = \"nmap\"",
        )
        .unwrap();
        assert_eq!((config.rate_per_s, config.burst, config.allow.len()), (0, 7, 0));
        let denied: Vec<String> = config.deny.iter().map(ToString::to_string).collect();
        assert_eq!(denied, ["192.0.2.0/24", "2001:db8::/32"]);
        let times = (config.ban_window, config.ban_for);
        assert_eq!(times, (Duration::from_secs(6), Duration::from_secs(8)));
        let sizes = (config.message_bytes_max, config.header_bytes_max, config.headers_max);
        assert_eq!(sizes, (4_096, 2_048, 64));
        assert_eq!((config.ban_after, config.scanners), (5, vec!["nmap".to_owned()]));
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_key_and_what_is_expected() {
        for (table, key, what) in [
            ("rate_per_s = 100001", "rate_per_s", "from 0 to 100000"),
            ("burst = 0", "burst", "from 1 to 100000"),
            ("allow = \"localhost\"", "allow", "\"localhost\": an IP address or a prefix"),
            ("deny = [\"10.0.0.0/8\", \"10.1.1.1/8\"]", "deny", "10.0.0.0/8 would be one"),
            ("ban_after = 1000001", "ban_after", "from 0 to 1000000"),
            ("ban_window_s = 0", "ban_window_s", "from 1 to 86400"),
            ("ban_s = 0", "ban_s", "from 1 to 86400"),
            ("message_bytes_max = 100", "message_bytes_max", "from 1024 to"),
            ("header_bytes_max = 100", "header_bytes_max", "from 512 to"),
            ("headers_max = 3", "headers_max", "from 16 to 4096"),
            ("scanners = [\"sipcli\", \"s\"]", "scanners", "\"s\": 3 to 64 characters"),
        ] {
            let error = parse(table).unwrap_err().to_string();
            let place = format!("balancer.toml:7: protection.{key}: ");
            assert!(error.contains(&place) && error.contains(what), "{error}");
        }
        let many = |text: &str, count: usize| vec![text; count].join(", ");
        let error = parse(&format!("deny = [{}]", many("\"192.0.2.1\"", 4_097))).unwrap_err();
        assert!(error.to_string().contains("4097 prefixes: at most 4096"), "{error}");
        let error = parse(&format!("scanners = [{}]", many("\"nmap\"", 65))).unwrap_err();
        assert!(error.to_string().contains("65 names: at most 64"), "{error}");
        assert!(parse("rate = 7").unwrap_err().to_string().contains("unknown field `rate`"));
    }
}
