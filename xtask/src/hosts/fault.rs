//! What breaks, and what is seen of it.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use clap::ValueEnum;

use super::cluster::Cluster;
use super::network::Network;

/// How long a cable is pulled.
const PULLED: Duration = Duration::from_secs(8);
/// How long it is looked at who has the address, after all is as it was.
const WATCHED: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A takeover of a pair that adds its address itself takes less.
const TAKEOVER_MAX_MS: u128 = 1_000;
/// The servers among themselves.
const SERVER_TAKEOVER_MAX_MS: u128 = 500;
/// keepalived asks once a second whether the seat has moved, and may have to wait for its peer.
const KEEPALIVED_MAX_MS: u128 = 3_000;
/// An address that keepalived has taken away is missed for five seconds before the seat moves.
const MISSED_MAX_MS: u128 = 7_500;

/// What breaks. The first balancer serves, the first server has the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The balancer that serves dies.
    KillBalancer,
    /// The cables of its host are pulled, and put back.
    CutBalancer,
    /// Only that on the phones' side: servers hear it all the time.
    CutPhones,
    /// The server that has the calls dies.
    KillServer,
    /// The cable of its host is pulled, and put back.
    CutServer,
    /// As cut-balancer, and keepalived moves the address.
    Keepalived,
    /// keepalived moves the address, and is ended on the host of the balancer that serves.
    KeepalivedEnds,
    /// keepalived moves the address, and the balancer that serves dies.
    KeepalivedKill,
}

/// What was seen.
pub struct Played {
    /// From the fault until somebody else had taken over, in milliseconds.
    pub takeover_ms: Option<u128>,
    /// So long after it the address was at two hosts that could both be reached: one of them is
    /// about to leave it.
    pub leaving_ms: u128,
    /// The same after all was put back: it may be at one only.
    pub twice_ms: u128,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

impl Fault {
    /// keepalived moves the address.
    pub fn has_keepalived(self) -> bool {
        matches!(self, Fault::Keepalived | Fault::KeepalivedEnds | Fault::KeepalivedKill)
    }

    /// Somebody else has taken over by then, in milliseconds.
    pub fn takeover_max_ms(self) -> u128 {
        match self {
            Fault::KillBalancer | Fault::CutBalancer | Fault::CutPhones => TAKEOVER_MAX_MS,
            Fault::KillServer | Fault::CutServer => SERVER_TAKEOVER_MAX_MS,
            Fault::Keepalived | Fault::KeepalivedKill => KEEPALIVED_MAX_MS,
            Fault::KeepalivedEnds => MISSED_MAX_MS,
        }
    }

    /// A bill may be so far from what the caller held, in milliseconds: he repeats his BYE when
    /// 0.5, 1.5, 3.5 and 7.5 s are over, and the first one that is heard counts.
    pub fn off_max_ms(self) -> u64 {
        match self {
            Fault::CutPhones | Fault::KeepalivedKill => 4_000,
            Fault::KeepalivedEnds => 8_000,
            _ => 2_000,
        }
    }

    /// Plays it.
    pub fn play(self, network: &Network, cluster: &mut Cluster) -> Result<Played> {
        match self {
            Fault::KillBalancer | Fault::KeepalivedKill => {
                let at = cluster.kill("balancer1")?;
                let leaving = watch(network, PULLED, true)?;
                cluster.start_process("balancer1")?;
                let twice = watch(network, WATCHED, true)?;
                Ok(played(cluster.took_address("balancer2", at), leaving, twice))
            }
            Fault::CutBalancer | Fault::CutPhones | Fault::Keepalived => {
                let at = SystemTime::now();
                let set = |plugged| match self {
                    Fault::CutPhones => network.set_phones("balancer1", plugged),
                    _ => network.set_all("balancer1", plugged),
                };
                set(false)?;
                let leaving = watch(network, PULLED, false)?;
                set(true)?;
                let twice = watch(network, WATCHED, true)?;
                Ok(played(cluster.took_address("balancer2", at), leaving, twice))
            }
            Fault::KeepalivedEnds => {
                let at = cluster.end_keepalived("balancer1")?;
                let leaving = watch(network, PULLED, true)?;
                cluster.start_keepalived("balancer1")?;
                let twice = watch(network, WATCHED, true)?;
                Ok(played(cluster.took_address("balancer2", at), leaving, twice))
            }
            Fault::KillServer => {
                let at = cluster.kill("server1")?;
                let twice = watch(network, PULLED, true)?;
                Ok(played(cluster.went_on_alone("server2", at), 0, twice))
            }
            Fault::CutServer => {
                let at = SystemTime::now();
                network.set_all("server1", false)?;
                let while_pulled = watch(network, PULLED, true)?;
                network.set_all("server1", true)?;
                let twice = while_pulled + watch(network, WATCHED, true)?;
                Ok(played(cluster.went_on_alone("server2", at), 0, twice))
            }
        }
    }
}

fn played(takeover: Option<Duration>, leaving_ms: u128, twice_ms: u128) -> Played {
    Played { takeover_ms: takeover.map(|time| time.as_millis()), leaving_ms, twice_ms }
}

/// Looks for so long who has the phones' address; how long both had it, in milliseconds.
fn watch(network: &Network, time: Duration, both_reached: bool) -> Result<u128> {
    let (began, mut twice) = (Instant::now(), Duration::ZERO);
    let mut looked = began;
    while began.elapsed() < time {
        let both = network.has_entry("balancer1")? && network.has_entry("balancer2")?;
        let now = Instant::now();
        if both && both_reached {
            twice += now - looked;
        }
        looked = now;
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(twice.as_millis())
}
