//! Whoever tries out passwords is slowed down: by where it sends from, and by the account it is
//! after. A try is a request with a fresh nonce and a wrong response: the nonce is good only for
//! the network that it was sent to, so nobody can have somebody else's network barred.
//!
//! | of                       | free tries            | then each further one bars for          |
//! |--------------------------|-----------------------|-----------------------------------------|
//! | a network, any account   | [`SOURCE_TRIES_FREE`] | [`SOURCE_BAR`], twice as long each time |
//! | all networks of an IPv6  | [`HOME_TRIES_FREE`],  | the same                                |
//! | /56, any account         | the free tries of     |                                         |
//! |                          | each network          |                                         |
//! | an account, any network  | [`ACCOUNT_TRIES_FREE`]| [`ACCOUNT_BAR`], likewise               |
//! | an account, where it is known | [`KNOWN_TRIES_MAX`] | it is not known there any more       |
//!
//! An account is *known* where it was proven within [`KNOWN_FOR`]: from there it is served
//! whatever others do, behind the same NAT or elsewhere. A request of a barred network is dropped
//! before a cell is born for it. A barred account is told to the service, which knows more
//! (registrations survive nodes; what is here does not). Tries while barred are not looked at and
//! do not count, so after the bar the right password is accepted. Those that a service looks at all
//! the same, since the account is registered from there, count as any other. What is older than
//! [`FORGET_AFTER`] is forgotten.
//!
//! A try counts when a service has decided about it. So a burst has as many as may wait for that,
//! which is `deliveries_max` of the core; but once the free tries are used up, one is under way at
//! a time, and what comes meanwhile is told to the service as if its account was barred
//! (`claims.rs`). Before that nobody is kept waiting: many phones behind one NAT, or all calls of
//! one trunk, may come at once, and just after a takeover none of them is known.
//!
//! This is one node's memory, and lost with it. All REGISTERs of the cluster are its tables'
//! owner's; INVITEs are spread by Call-ID, so of these each node counts its own share. After a
//! takeover the counts begin anew.
//!
//! Not here: whether a response is right, which services know.

use crate::aging::Aging;
use resilee_sbb::Timestamp;
use resilee_sip_api::SourceNetwork;
use std::time::Duration;

/// Wrong passwords of one network until it is barred: a few phones behind a NAT may be mistyped.
pub(crate) const SOURCE_TRIES_FREE: u32 = 10;
/// Wrong passwords of the networks of one IPv6 /56 until all are barred: one customer may have 256
/// of them. Of each network only its free tries count, so that a phone with an old password, which
/// tries for ever, bars its own network and not its home: it takes those of four, and one more of
/// a fifth. Limit: who has 256 of them has one try more of each one that is barred itself, each
/// [`SOURCE_BAR`].
pub(crate) const HOME_TRIES_FREE: u32 = 4 * SOURCE_TRIES_FREE;
/// Wrong passwords for one account, of all networks where it is not known, until it is barred.
pub(crate) const ACCOUNT_TRIES_FREE: u32 = 20;
/// Wrong passwords for an account where it is known.
pub(crate) const KNOWN_TRIES_MAX: u32 = 5;
/// The first and the longest bar of a network.
pub(crate) const SOURCE_BAR: (Duration, Duration) =
    (Duration::from_secs(4), Duration::from_secs(900));
/// The first and the longest bar of an account: short, as its user may be anywhere.
pub(crate) const ACCOUNT_BAR: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(60));
/// After so long without a further try, they count from zero.
pub(crate) const FORGET_AFTER: Duration = Duration::from_secs(3_600);
/// How long an account is known where it was proven.
pub(crate) const KNOWN_FOR: Duration = Duration::from_secs(86_400);
/// Networks, and accounts, that are counted at a time; of more, the one whose last try is the
/// oldest is forgotten.
pub(crate) const COUNTED_MAX: usize = 65_536;
/// Accounts that are known somewhere; of more, the one proven first is forgotten.
pub(crate) const KNOWN_MAX: usize = 131_072;
/// Alarms that name who is barred; further ones say only that there are more.
const ALARMS_MAX: u32 = 16;

/// Which account is meant: a hash, as strangers make up names of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountHash(pub(crate) u64);

/// Counts wrong passwords.
#[derive(Debug, Default)]
pub(crate) struct PasswordGuard {
    sources: Aging<SourceNetwork, Tries>,
    /// The same of each IPv6 /56.
    homes: Aging<u64, Tries>,
    accounts: Aging<AccountHash, Tries>,
    /// Wrong passwords of accounts where they are known.
    known: Aging<(SourceNetwork, AccountHash), Tries>,
    /// Alarms that named somebody.
    alarms: u32,
}

/// Wrong passwords of somebody.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    count: u32,
    last: Timestamp,
    barred_until: Timestamp,
}

/// Whose free tries are used up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedUp {
    source: Option<SourceNetwork>,
    home: Option<u64>,
    account: Option<AccountHash>,
}

impl UsedUp {
    /// Nobody's.
    pub(crate) fn is_empty(&self) -> bool {
        self.source.is_none() && self.home.is_none() && self.account.is_none()
    }

    /// Whether a try is of one of these.
    pub(crate) fn has(&self, source: SourceNetwork, account: AccountHash) -> bool {
        self.source == Some(source)
            || (self.home.is_some() && self.home == source.home())
            || self.account == Some(account)
    }
}

impl PasswordGuard {
    /// A password was wrong. The text of an alarm, if somebody is barred for the first time.
    pub(crate) fn on_wrong(
        &mut self,
        now: Timestamp,
        source: SourceNetwork,
        (account, name): (AccountHash, &str),
    ) -> Option<String> {
        if self.knows(now, source, account)
            && let Some(mut tries) = self.known.get(&(source, account))
        {
            tries.count_one(now);
            if tries.count < KNOWN_TRIES_MAX {
                self.known.keep_age(&(source, account), tries);
                return None;
            }
            self.known.remove(&(source, account));
        }
        let of_source = count(&mut self.sources, now, source, SOURCE_TRIES_FREE, SOURCE_BAR);
        let is_free = self.sources.get(&source).is_some_and(|it| it.count <= SOURCE_TRIES_FREE);
        let of_home = source.home().filter(|_| is_free).is_some_and(|home| {
            count(&mut self.homes, now, home, HOME_TRIES_FREE, SOURCE_BAR) //
        });
        let of_account = count(&mut self.accounts, now, account, ACCOUNT_TRIES_FREE, ACCOUNT_BAR);
        let who = match (of_source, of_home, of_account) {
            (_, true, _) => {
                format!("the /56 of {source} tries out passwords, and is barred")
            }
            (true, ..) => format!("{source} tries out passwords, and is barred"),
            (.., true) => format!("the password of {name:?} is tried out from many places"),
            (false, false, false) => return None,
        };
        self.alarms = self.alarms.saturating_add(1);
        let is_told = self.alarms <= ALARMS_MAX;
        Some(if is_told { who } else { "others try out passwords, too".to_owned() })
    }

    /// A password was right.
    pub(crate) fn on_proven(
        &mut self,
        now: Timestamp,
        source: SourceNetwork,
        account: AccountHash,
    ) {
        let known = self.known.get(&(source, account)).unwrap_or_default();
        let tries = if known.is_forgotten(now) { Tries::default() } else { known };
        self.known.put(now, (source, account), tries, KNOWN_MAX);
    }

    /// True if nothing is to be taken from there that begins something, whoever it says it is.
    pub(crate) fn bars_source(&self, now: Timestamp, source: SourceNetwork) -> bool {
        let of_home = source.home().and_then(|home| self.homes.get(&home));
        let tries = self.sources.get(&source).into_iter().chain(of_home);
        tries.map(|tries| tries.barred_until).any(|until| until > now)
    }

    /// How long the account is still barred where it is not known.
    pub(crate) fn bars_account(
        &self,
        now: Timestamp,
        source: SourceNetwork,
        account: AccountHash,
    ) -> Option<Duration> {
        let until = self.accounts.get(&account)?.barred_until;
        let is_barred = until > now && !self.knows(now, source, account);
        is_barred.then(|| until.since(now))
    }

    /// Whose free tries are used up, of those that a try is of: of these there is one under way at
    /// a time.
    pub(crate) fn used_up(
        &self,
        now: Timestamp,
        source: SourceNetwork,
        account: AccountHash,
    ) -> UsedUp {
        let is_home = |home: &u64| is_used_up(&self.homes, now, home, HOME_TRIES_FREE);
        UsedUp {
            source: is_used_up(&self.sources, now, &source, SOURCE_TRIES_FREE).then_some(source),
            home: source.home().filter(is_home),
            account: is_used_up(&self.accounts, now, &account, ACCOUNT_TRIES_FREE)
                .then_some(account),
        }
    }

    /// Whether the account was proven from there.
    pub(crate) fn knows(
        &self,
        now: Timestamp,
        source: SourceNetwork,
        account: AccountHash,
    ) -> bool {
        let proven_at = self.known.age(&(source, account));
        proven_at.is_some_and(|at| now.since(at) <= KNOWN_FOR)
    }
}

/// Whether a further wrong password bars.
fn is_used_up<K: Copy + Ord>(all: &Aging<K, Tries>, now: Timestamp, key: &K, free: u32) -> bool {
    all.get(key).is_some_and(|tries| tries.count >= free && !tries.is_forgotten(now))
}

/// One more; true if that bars for the first time.
fn count<K: Copy + Ord>(
    all: &mut Aging<K, Tries>,
    now: Timestamp,
    key: K,
    free: u32,
    (first, longest): (Duration, Duration),
) -> bool {
    let mut tries = all.get(&key).unwrap_or_default();
    tries.count_one(now);
    if let Some(doubled) = tries.count.checked_sub(free + 1) {
        let bar = first.saturating_mul(1 << doubled.min(16)).min(longest);
        tries.barred_until = now + bar;
    }
    all.put(now, key, tries, COUNTED_MAX);
    tries.count == free + 1
}

impl Tries {
    fn is_forgotten(&self, now: Timestamp) -> bool {
        now.since(self.last) > FORGET_AFTER
    }

    fn count_one(&mut self, now: Timestamp) {
        if self.is_forgotten(now) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
    const ALICE: (AccountHash, &str) = (AccountHash(1), "alice@example.test");

    fn network(number: u32) -> SourceNetwork {
        SourceNetwork::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    /// Tries from one network; the alarms.
    fn tries(guard: &mut PasswordGuard, now: Timestamp, from: u32, count: u32) -> Vec<String> {
        (0..count).filter_map(|_| guard.on_wrong(now, network(from), ALICE)).collect()
    }

    #[test]
    fn a_network_is_barred_after_its_free_tries_and_longer_each_time() {
        let mut guard = PasswordGuard::default();
        assert!(tries(&mut guard, NOW, 9, SOURCE_TRIES_FREE).is_empty());
        assert!(!guard.bars_source(NOW, network(9)));
        let alarms = tries(&mut guard, NOW, 9, 1);
        assert_eq!(alarms, ["0.0.0.9 tries out passwords, and is barred"]);
        let (first, longest) = SOURCE_BAR;
        for bar in [first, first * 2, first * 4] {
            let last = Duration::from_micros(1);
            assert!(guard.bars_source(NOW + bar - last, network(9)), "{bar:?}");
            assert!(!guard.bars_source(NOW + bar, network(9)), "{bar:?}");
            assert!(tries(&mut guard, NOW, 9, 1).is_empty(), "one alarm");
        }
        tries(&mut guard, NOW, 9, 100);
        assert!(!guard.bars_source(NOW + longest, network(9)));
        assert!(!guard.bars_source(NOW, network(8)), "nobody else is");
    }

    #[test]
    fn a_home_with_many_ipv6_networks_is_barred_as_one() {
        let of = |number: u32| {
            let address = format!("2001:db8:0:{number:x}::1");
            SourceNetwork::of(address.parse().expect("an address"))
        };
        let mut guard = PasswordGuard::default();
        let mut alarms = Vec::new();
        for number in 0..=HOME_TRIES_FREE {
            let account = (AccountHash(number.into()), "x");
            assert!(!guard.bars_source(NOW, of(number)), "{number}");
            alarms.extend(guard.on_wrong(NOW, of(number), account));
        }
        assert_eq!(alarms, ["the /56 of 2001:db8:0:28::/64 tries out passwords, and is barred"]);
        assert!(guard.bars_source(NOW, of(0xff)), "one that has not tried");
        assert!(!guard.bars_source(NOW, of(0x100)), "of another /56");
        assert!(!guard.bars_source(NOW + SOURCE_BAR.0, of(0xff)));
    }

    /// It is one of many networks of one customer, whose other phones are as they should be.
    #[test]
    fn a_phone_with_an_old_password_bars_its_own_network_and_not_its_home() {
        let of = |text: &str| SourceNetwork::of(text.parse().expect("an address"));
        let (phone, other) = (of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        let mut guard = PasswordGuard::default();
        let mut now = NOW;
        let mut alarms = Vec::new();
        for _ in 0..10 * HOME_TRIES_FREE {
            now = now + Duration::from_secs(60);
            alarms.extend(guard.on_wrong(now, phone, ALICE));
            assert!(!guard.bars_source(now, other));
        }
        assert!(guard.bars_source(now, phone));
        assert!(alarms.iter().all(|alarm| !alarm.contains("/56")), "{alarms:?}");
    }

    #[test]
    fn it_takes_the_free_tries_of_four_networks_to_bar_their_home() {
        let of = |number: u32| {
            let address = format!("2001:db8:0:{number:x}::1");
            SourceNetwork::of(address.parse().expect("an address"))
        };
        let mut guard = PasswordGuard::default();
        for number in 0..4 {
            for _ in 0..=SOURCE_TRIES_FREE {
                assert!(!guard.bars_source(NOW, of(9)), "{number}");
                guard.on_wrong(NOW, of(number), ALICE);
            }
        }
        guard.on_wrong(NOW, of(4), ALICE);
        assert!(guard.bars_source(NOW, of(9)));
    }

    #[test]
    fn an_account_that_is_tried_out_from_many_places_is_barred_but_where_it_is_known() {
        let mut guard = PasswordGuard::default();
        guard.on_proven(NOW, network(1), ALICE.0);
        let from = 100..100 + ACCOUNT_TRIES_FREE;
        assert!(from.flat_map(|from| tries(&mut guard, NOW, from, 1)).next().is_none());
        assert_eq!(guard.bars_account(NOW, network(7), ALICE.0), None);
        assert_eq!(tries(&mut guard, NOW, 99, 1).len(), 1);
        assert_eq!(guard.bars_account(NOW, network(7), ALICE.0), Some(ACCOUNT_BAR.0));
        assert_eq!(guard.bars_account(NOW, network(1), ALICE.0), None, "her own");
        assert_eq!(guard.bars_account(NOW, network(7), AccountHash(2)), None);
        assert_eq!(guard.bars_account(NOW + ACCOUNT_BAR.0, network(7), ALICE.0), None);
    }

    #[test]
    fn a_neighbour_behind_the_same_nat_has_few_tries_at_a_known_account() {
        let mut guard = PasswordGuard::default();
        guard.on_proven(NOW, network(1), ALICE.0);
        tries(&mut guard, NOW, 1, KNOWN_TRIES_MAX - 1);
        assert!(guard.knows(NOW, network(1), ALICE.0));
        guard.on_proven(NOW, network(1), ALICE.0);
        tries(&mut guard, NOW, 1, 1);
        assert!(!guard.knows(NOW, network(1), ALICE.0), "a right one between them changes nothing");
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut guard = PasswordGuard::default();
        tries(&mut guard, NOW, 9, SOURCE_TRIES_FREE);
        let later = NOW + FORGET_AFTER + Duration::from_secs(1);
        tries(&mut guard, later, 9, 1);
        assert!(!guard.bars_source(later, network(9)));
        guard.on_proven(NOW, network(1), ALICE.0);
        assert!(guard.knows(NOW + KNOWN_FOR, network(1), ALICE.0));
        let later = NOW + KNOWN_FOR + Duration::from_secs(1);
        assert!(!guard.knows(later, network(1), ALICE.0));
    }

    #[test]
    fn alarms_name_no_more_than_some() {
        let mut guard = PasswordGuard::default();
        let mut texts = BTreeSet::new();
        for from in 1..=ALARMS_MAX + 10 {
            for _ in 0..=SOURCE_TRIES_FREE {
                let account = AccountHash(u64::from(from));
                texts.extend(guard.on_wrong(NOW, network(from), (account, "x")));
            }
        }
        assert_eq!(texts.len(), ALARMS_MAX as usize + 1);
    }
}
