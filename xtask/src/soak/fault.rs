//! What can break, how it is broken and mended, and what is promised then.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use clap::ValueEnum;
use nix::sys::signal::Signal;

use super::random::Random;
use crate::own_network::{cut, mend};
use crate::pair::{ADDRESSES, NAMES, Pair};

const BALANCER: usize = 0;

/// How long two servers may take to be a pair again.
const RESYNC_MAX: Duration = Duration::from_secs(30);
/// How often calls change their owner in a storm of hand-overs.
const HAND_OVER_EVERY: Duration = Duration::from_millis(500);
/// The clock of a call's owner may differ by 50 ms; the rest is the machine's, which is busy.
const CLOCK_MS: u64 = 250;
/// When a phone says its BYE again: the first is at 500 ms.
const SECOND_REPEAT_MS: u64 = 1_500;
const FOURTH_REPEAT_MS: u64 = 7_500;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// SIGKILL to server1, which has the calls
    Kill1,
    /// SIGKILL to server2, the backup
    Kill2,
    /// SIGKILL to server1, which starts again while calls run
    Restart1,
    /// SIGKILL to server2, which starts again while calls run
    Restart2,
    /// server1 stands still for some seconds (SIGSTOP)
    Pause1,
    /// server2 stands still for some seconds
    Pause2,
    /// Nothing passes between the servers for some seconds
    CutCluster,
    /// Nothing passes between balancer and server1 for some seconds
    CutSeat1,
    /// Nothing passes between balancer and server2 for some seconds
    CutSeat2,
    /// SIGKILL to the balancer, which starts again
    KillBalancer,
    /// SIGKILL to both servers, which start again
    KillBoth,
    /// All calls change their owner every 500 ms for some seconds; nothing breaks
    HandOvers,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("?", |value| value.get_name()))
    }
}

/// When the fault came, and when the machine was whole again.
pub struct Moments {
    /// The fault.
    pub broken: SystemTime,
    /// The process runs again, the rule is gone: from here on the servers find together.
    pub mended: Option<SystemTime>,
}

/// What is promised about a run; milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the fault to the next view.
    pub takeover_ms: Option<u64>,
    /// Longest set-up.
    pub set_up_ms: Option<u64>,
    /// How far a bill may be from what the caller held.
    pub duration_ms: u64,
}

impl Kind {
    /// What must hold.
    pub fn limits(self) -> Limits {
        match self {
            Kind::Kill1 | Kind::Kill2 | Kind::Restart1 | Kind::Restart2 => Limits {
                takeover_ms: Some(500),
                set_up_ms: Some(1_500),
                duration_ms: 500 + CLOCK_MS,
            },
            Kind::Pause1 | Kind::Pause2 | Kind::CutCluster | Kind::CutSeat1 | Kind::CutSeat2 => {
                Limits {
                    takeover_ms: Some(1_500),
                    set_up_ms: Some(3_600),
                    duration_ms: SECOND_REPEAT_MS + CLOCK_MS,
                }
            }
            Kind::HandOvers => {
                Limits { takeover_ms: None, set_up_ms: Some(1_500), duration_ms: 500 + CLOCK_MS }
            }
            // Nothing gets through while it is down; then the next repeat does.
            Kind::KillBalancer => Limits {
                takeover_ms: None,
                set_up_ms: Some(3_600),
                duration_ms: SECOND_REPEAT_MS + CLOCK_MS,
            },
            // A cold start waits, and the phones' repeats are up to four seconds apart by then.
            Kind::KillBoth => Limits {
                takeover_ms: None,
                set_up_ms: None,
                duration_ms: FOURTH_REPEAT_MS + CLOCK_MS,
            },
        }
    }

    /// True if the next view comes without one of the two servers.
    pub fn changes_view(self) -> bool {
        self.limits().takeover_ms.is_some()
    }

    /// Breaks it, mends it, and waits until the pair is whole again (but for a server that
    /// stays dead).
    pub fn play(self, pair: &mut Pair, random: &mut Random) -> Result<Moments> {
        let broken = SystemTime::now();
        let mended = match self {
            Kind::Kill1 | Kind::Kill2 => {
                pair.kill(self.server())?;
                None
            }
            Kind::Restart1 | Kind::Restart2 => {
                pair.kill(self.server())?;
                wait(random, 200, 3_000);
                Some(start(pair, &[self.server()])?)
            }
            Kind::Pause1 | Kind::Pause2 => {
                pair.signal(self.server(), Signal::SIGSTOP)?;
                wait(random, 1_500, 6_000);
                let mended = SystemTime::now();
                pair.signal(self.server(), Signal::SIGCONT)?;
                Some(mended)
            }
            Kind::CutCluster => Some(part(random, ADDRESSES[1], ADDRESSES[2])?),
            Kind::CutSeat1 => Some(part(random, ADDRESSES[BALANCER], ADDRESSES[1])?),
            Kind::CutSeat2 => Some(part(random, ADDRESSES[BALANCER], ADDRESSES[2])?),
            Kind::KillBalancer => {
                pair.kill(BALANCER)?;
                wait(random, 50, 800);
                Some(start(pair, &[BALANCER])?)
            }
            Kind::KillBoth => {
                pair.kill(1)?;
                pair.kill(2)?;
                wait(random, 50, 800);
                Some(start(pair, &[1, 2])?)
            }
            Kind::HandOvers => {
                hand_over_again_and_again(pair, random);
                None
            }
        };
        if mended.is_some() {
            pair.wait_until_backed(RESYNC_MAX)?;
        }
        Ok(Moments { broken, mended })
    }

    /// The server that it is about.
    fn server(self) -> usize {
        match self {
            Kind::Kill2 | Kind::Restart2 | Kind::Pause2 | Kind::CutSeat2 => 2,
            _ => 1,
        }
    }

    /// Servers that live at the end.
    pub fn survivors(self) -> &'static [usize] {
        match self {
            Kind::Kill1 => &[2],
            Kind::Kill2 => &[1],
            _ => &[1, 2],
        }
    }
}

fn wait(random: &mut Random, low_ms: u64, high_ms: u64) {
    sleep(Duration::from_millis(random.between(low_ms, high_ms)));
}

fn start(pair: &mut Pair, processes: &[usize]) -> Result<SystemTime> {
    let mended = SystemTime::now();
    for process in processes {
        pair.start_process(*process)?;
    }
    Ok(mended)
}

fn hand_over_again_and_again(pair: &Pair, random: &mut Random) {
    let (mut from, mut to) = (1, 2);
    for _ in 0..random.between(6, 14) {
        let next = Instant::now() + HAND_OVER_EVERY;
        // A busy pair may refuse an order, or be slow: its calls must not notice that either.
        if let Err(error) = pair.management(from).hand_over(NAMES[to]) {
            println!("a hand-over was not done: {error:#}");
        }
        sleep(next.saturating_duration_since(Instant::now()));
        (from, to) = (to, from);
    }
}

/// Cuts both ways, and mends.
fn part(random: &mut Random, one: &str, other: &str) -> Result<SystemTime> {
    cut(one, other)?;
    cut(other, one)?;
    wait(random, 2_000, 6_000);
    let mended = SystemTime::now();
    mend(one, other)?;
    mend(other, one)?;
    Ok(mended)
}
