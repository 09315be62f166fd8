//! Floods and bans in virtual time. What a client and a node see of it is in `tests/stories`.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn protection(change: impl FnOnce(&mut ProtectionConfig)) -> Protection {
    let mut config = ProtectionConfig { rate_per_s: 10, burst: 20, ..ProtectionConfig::default() };
    change(&mut config);
    Protection::new([7; 32], config)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Protection {
    /// As a balancer does with a datagram that is no SIP; why it is dropped.
    fn junk(&mut self, now: Timestamp, client: IpAddr) -> DropReason {
        let source = self.source(client);
        let reason = self.admit(now, source, b"junk").err().unwrap_or(DropReason::NotSip);
        self.handle_drop(now, source, reason);
        reason
    }

    /// So many of 100 messages at once pass.
    fn passed(&mut self, now: Timestamp, client: IpAddr) -> usize {
        let source = self.source(client);
        (0..100).filter(|_| self.admit(now, source, b"OPTIONS").is_ok()).count()
    }

    fn is_banned(&mut self, now: Timestamp, client: IpAddr) -> bool {
        let source = self.source(client);
        self.admit(now, source, b"OPTIONS") == Err(DropReason::Banned)
    }

    fn ban(&mut self, now: Timestamp, client: IpAddr) {
        (0..100).for_each(|_| _ = self.junk(now, client));
    }
}

#[test]
fn a_source_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
    let mut protection = protection(|_| {});
    assert_eq!(protection.passed(NOW, ip("192.0.2.1")), 20);
    assert_eq!(protection.passed(NOW, ip("192.0.2.2")), 20, "another one");
    assert_eq!(protection.passed(NOW, ip("2001:db8::1")), 20);
    assert_eq!(protection.passed(NOW, ip("2001:db8::ffff:1:2:3")), 0, "the same");
    assert_eq!(protection.passed(NOW, ip("2001:db8:0:1::1")), 20, "the next network");
}

#[test]
fn static_lists_come_first_and_allow_wins() {
    let mut protection = protection(|config| {
        config.allow = vec!["192.0.2.0/28".parse().unwrap()];
        config.deny = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    });
    assert_eq!(protection.passed(NOW, ip("192.0.2.1")), 100);
    (0..1_000).for_each(|_| assert_eq!(protection.junk(NOW, ip("192.0.2.1")), DropReason::NotSip));
    for client in ["192.0.2.16", "2001:db8:7::1"] {
        assert_eq!(protection.junk(NOW, ip(client)), DropReason::Denied);
    }
    assert_eq!(protection.passed(NOW, ip("198.51.100.1")), 20);
    protection.configure(ProtectionConfig { rate_per_s: 0, ..ProtectionConfig::default() });
    assert_eq!(protection.passed(NOW, ip("192.0.2.16")), 100, "no list, no rate");
}

#[test]
fn a_ban_begins_with_the_last_violation_of_the_window_and_ends_by_itself() {
    let mut protection = protection(|config| config.rate_per_s = 0);
    let client = ip("192.0.2.1");
    (0..99).for_each(|_| _ = protection.junk(NOW, client));
    assert!(!protection.is_banned(NOW, client));
    let next_window = NOW + Duration::from_secs(10);
    (0..99).for_each(|_| _ = protection.junk(next_window, client));
    assert!(!protection.is_banned(next_window, client), "99 in each window");
    protection.junk(next_window, client);
    assert!(protection.is_banned(next_window, client));
    assert!(!protection.is_banned(next_window, ip("192.0.2.2")));
    let end = next_window + Duration::from_secs(300);
    assert!(protection.is_banned(Timestamp::from_micros(end.as_micros() - 1), client));
    assert!(!protection.is_banned(end, client));
    (0..99).for_each(|_| _ = protection.junk(end, client));
    assert!(!protection.is_banned(end, client), "it begins at nothing");
}

#[test]
fn what_is_too_fast_is_no_violation_and_nobody_is_banned_if_told_so() {
    let mut fast = protection(|_| {});
    let client = ip("192.0.2.1");
    assert_eq!(fast.passed(NOW, client), 20);
    let source = fast.source(client);
    for _ in 0..1_000 {
        assert_eq!(fast.handle_drop(NOW, source, DropReason::TooFast), None);
    }
    assert!(!fast.is_banned(NOW, client));
    let mut lenient = protection(|config| (config.ban_after, config.rate_per_s) = (0, 0));
    lenient.ban(NOW, client);
    assert!(!lenient.is_banned(NOW, client));
}

#[test]
fn a_flood_of_random_sources_takes_no_memory_and_frees_nobody_of_limit_or_ban() {
    let mut protection = protection(|config| config.burst = 200);
    let [banned, limited] = [ip("192.0.2.1"), ip("192.0.2.2")];
    protection.ban(NOW, banned);
    while protection.passed(NOW, limited) > 0 {}
    for number in 0..100_000_u32 {
        protection.junk(NOW, Ipv4Addr::from_bits(0x0a00_0000 + number).into());
        let network = u128::from(number) << 64 | 0x2001 << 112;
        protection.junk(NOW, Ipv6Addr::from_bits(network).into());
    }
    assert!(protection.sources.count() <= SOURCES_MAX);
    assert!(protection.sources.count() > SOURCES_MAX / 10 * 9);
    assert!(protection.is_banned(NOW, banned));
    assert_eq!(protection.passed(NOW, limited), 0);
    assert_eq!(protection.passed(NOW, ip("192.0.2.3")), 100, "and a phone is served");
}

#[test]
fn a_full_table_of_bans_bans_nobody_else_and_has_room_again_when_bans_end() {
    let mut protection = protection(|config| (config.ban_after, config.rate_per_s) = (1, 0));
    let first = ip("192.0.2.1");
    protection.junk(NOW, first);
    for number in 0..4 * BANS_MAX as u32 {
        protection.junk(NOW, Ipv4Addr::from_bits(0x0a00_0000 + number).into());
    }
    assert_eq!(protection.bans.count(), BANS_MAX, "nothing but bans that last");
    assert!(protection.is_banned(NOW, first));
    let late = (0..)
        .map(|number| Ipv4Addr::from_bits(0x0b00_0000 + number).into())
        .find(|client| {
            protection.junk(NOW, *client);
            !protection.is_banned(NOW, *client)
        })
        .expect("somebody finds no place");
    let end = NOW + Duration::from_secs(300);
    protection.junk(end, late);
    assert!(protection.is_banned(end, late));
}

#[test]
fn limits_of_size_and_scanners_hold_for_trusted_ones_too() {
    let mut protection = protection(|config| {
        config.message_bytes_max = 1_024;
        (config.header_bytes_max, config.headers_max) = (512, 4);
    });
    let request = |headers: &str, body: usize| {
        format!("OPTIONS sip:a SIP/2.0\r\n{headers}\r\n{}", "b".repeat(body))
    };
    for client in ["127.0.0.1", "192.0.2.1"] {
        let source = protection.source(ip(client));
        let mut said = |text: String| protection.admit(NOW, source, text.as_bytes());
        assert_eq!(said(request("User-Agent: Linphone (sipcli/1)\r\n", 600)), Ok(()));
        assert_eq!(said(request("", 1_024)), Err(DropReason::TooLong));
        let long = format!("X: {}\r\n", "y".repeat(500));
        assert_eq!(said(request(&long, 0)), Err(DropReason::HeadersTooLong));
        assert_eq!(said(request(&"X: y\r\n".repeat(5), 0)), Err(DropReason::TooManyHeaders));
        for agent in ["friendly-scanner", "SIPVicious/0.3", "SIPcli/v1.8"] {
            let request = request(&format!("User-Agent: {agent}\r\n"), 0);
            assert_eq!(said(request), Err(DropReason::Scanner), "{agent}");
        }
    }
}
