//! Which URLs services may call: of hosts that an operator has named, and no others.
//!
//! | a URL                                        | is         |
//! |----------------------------------------------|------------|
//! | of another scheme than http and https        | refused    |
//! | with a user, a blank or a control character  | refused    |
//! | whose host and port are allowed              | called     |
//! | of any other host                            | not called |
//!
//! An allowed host without a port stands for the usual one of either scheme. A host is compared as
//! text: names are not looked up here, so that an address must be allowed as an address.

use resilee_http_api::URL_BYTES_MAX;
use std::collections::BTreeSet;

/// Hosts that may be called: `host`, or `host:port`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(BTreeSet<String>);

/// Hosts that may be named.
const HOSTS_MAX: usize = 64;

impl AllowedHosts {
    /// Reads a list.
    ///
    /// # Errors
    /// Something that is no host; too many of them.
    pub fn parse<'h>(hosts: impl IntoIterator<Item = &'h str>) -> Result<Self, String> {
        let mut allowed = BTreeSet::new();
        for host in hosts {
            let url = Url::parse(&format!("http://{host}/"));
            let is_host = url.is_ok_and(|url| url.authority.eq_ignore_ascii_case(host));
            if !is_host {
                let host: String = host.chars().take(64).collect();
                return Err(format!("{host:?} is no host: write host or host:port"));
            }
            allowed.insert(host.to_ascii_lowercase());
        }
        if allowed.len() > HOSTS_MAX {
            return Err(format!("{HOSTS_MAX} hosts may be allowed, and no more"));
        }
        Ok(AllowedHosts(allowed))
    }

    /// True if the URL may be called.
    pub fn allow(&self, url: &Url) -> bool {
        let usual = url.port == url.usual_port;
        self.0.contains(&format!("{}:{}", url.host, url.port))
            || usual && self.0.contains(&url.host)
    }
}

/// What is looked at of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// In lower case; an IPv6 address in its brackets.
    pub host: String,
    /// Given, or the usual one.
    pub port: u16,
    usual_port: u16,
    authority: String,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Url, &'static str> {
        if text.len() > URL_BYTES_MAX {
            return Err("the URL is too long");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '#']) {
            return Err("the URL has a character that must be percent-encoded");
        }
        let (rest, usual_port) = match text.split_once("://") {
            Some(("http", rest)) => (rest, 80),
            Some(("https", rest)) => (rest, 443),
            _ => return Err("the URL begins with neither http:// nor https://"),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let authority = &rest[..end];
        if authority.contains('@') {
            return Err("the URL has a user: put credentials into a header");
        }
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority[at..].contains(']') => {
                let port = authority[at + 1..].parse::<u16>().ok().filter(|port| *port > 0);
                (&authority[..at], port.ok_or("the URL's port is no number from 1 to 65535")?)
            }
            _ => (authority, usual_port),
        };
        if !is_host(host) {
            return Err("the URL's host is neither a name nor an address");
        }
        let (host, authority) = (host.to_ascii_lowercase(), authority.to_owned());
        Ok(Url { host, port, usual_port, authority })
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.len() <= 253 && host.bytes().all(is_usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(hosts: &[&str], url: &str) -> bool {
        let hosts = AllowedHosts::parse(hosts.iter().copied()).expect("hosts");
        hosts.allow(&Url::parse(url).expect("a URL"))
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert!(!allows(&[], "http://example.com/"));
    }

    #[test]
    fn a_host_without_a_port_is_allowed_at_the_usual_ports_only() {
        let hosts = ["Example.com"];
        assert!(allows(&hosts, "http://example.com/x") && allows(&hosts, "https://EXAMPLE.com"));
        assert!(allows(&hosts, "https://example.com:443/"));
        assert!(!allows(&hosts, "http://example.com:8080/"));
        assert!(!allows(&hosts, "http://example.com.evil.test/"));
        assert!(!allows(&hosts, "http://sub.example.com/"));
    }

    #[test]
    fn a_host_with_a_port_is_allowed_at_that_port() {
        assert!(allows(&["127.0.0.1:8080"], "http://127.0.0.1:8080/x?y=z"));
        assert!(!allows(&["127.0.0.1:8080"], "http://127.0.0.1/"));
        assert!(allows(&["[::1]:81"], "http://[::1]:81/"));
    }

    #[test]
    fn urls_that_hide_their_host_are_refused() {
        let refused = [
            "ftp://example.com/",
            "http://example.com@evil.test/",
            "http://exa mple.com/",
            "http://example.com\\@evil.test/",
            "http:///x",
            "http://example.com:0/",
            "http://example.com:99999/",
            "http://[::1/",
            "http://example.com/#x",
            "//example.com/",
            "http://ex\u{e4}mple.com/",
        ];
        for url in refused {
            assert!(Url::parse(url).is_err(), "{url}");
        }
        assert!(Url::parse(&format!("http://a/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }

    #[test]
    fn what_is_no_host_cannot_be_allowed() {
        for host in ["", "*", "http://a", "a/b", "a:b", "u@a"] {
            assert!(AllowedHosts::parse([host]).is_err(), "{host}");
        }
    }
}
