//! How each kind of fault is made and mended.
//!
//! Firewall rules are in `own_network`, a disk that can be full in `small_disk`, what happens to
//! a store in `store_damage`.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::kind::Kind;
use super::random::Random;
use super::small_disk::SmallDisk;
use super::store_damage;
use crate::own_network::{cut, mend};
use crate::pair::{ADDRESSES, NAMES, Order, Pair};

const BALANCER: usize = 0;

/// How long two servers may take to be a pair again.
const RESYNC_MAX: Duration = Duration::from_secs(30);
/// How long a server that is told to end may take to hand its calls over.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How often calls change their owner in a storm of hand-overs.
const HAND_OVER_EVERY: Duration = Duration::from_millis(500);
/// How long a hand-over may be refused, and when it is ordered again.
const REFUSED_MAX: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// When the fault came, and when the machine was whole again.
pub struct Moments {
    /// The fault.
    pub broken: SystemTime,
    /// The process runs again, the rule is gone: from here on the servers find together.
    pub mended: Option<SystemTime>,
}

/// What a fault is done to.
pub struct Stage<'a> {
    /// The processes.
    pub pair: &'a mut Pair,
    /// Moments and places.
    pub random: &'a mut Random,
    /// The disk of one server, if it can be full.
    pub disk: Option<&'a SmallDisk>,
}

impl Stage<'_> {
    /// Breaks it, mends it, and waits until the pair is whole again (but for a server that
    /// stays dead).
    pub fn play(&mut self, kind: Kind) -> Result<Moments> {
        let broken = SystemTime::now();
        let mended = self.break_and_mend(kind)?;
        if mended.is_some() {
            self.pair.wait_until_backed(RESYNC_MAX)?;
        }
        Ok(Moments { broken, mended })
    }

    fn break_and_mend(&mut self, kind: Kind) -> Result<Option<SystemTime>> {
        let server = kind.server();
        let (balancer, one, two) = (ADDRESSES[BALANCER], ADDRESSES[1], ADDRESSES[2]);
        let mended = match kind {
            Kind::Kill1 | Kind::Kill2 => {
                self.pair.kill(server)?;
                return Ok(None);
            }
            Kind::HandOvers => {
                self.hand_over_again_and_again()?;
                return Ok(None);
            }
            Kind::Restart1 | Kind::Restart2 => self.restart(&[server], 200, 3_000, |_| Ok(()))?,
            Kind::LoseStore1 => self.restart(&[server], 200, 3_000, |stage| {
                store_damage::remove_store(&stage.pair.data_dir(server))
            })?,
            Kind::LoseData1 => self.restart(&[server], 200, 3_000, |stage| {
                store_damage::remove_all(&stage.pair.data_dir(server))
            })?,
            Kind::SpoilStore1 => self.restart(&[server], 200, 3_000, |stage| {
                store_damage::overwrite(&stage.pair.data_dir(server))
            })?,
            // Less than 300 ms is noticed by nobody, and is no fault.
            Kind::KillBalancer => self.restart(&[BALANCER], 500, 1_200, |_| Ok(()))?,
            Kind::KillBoth => self.restart(&[1, 2], 50, 800, |_| Ok(()))?,
            Kind::Pause1 | Kind::Pause2 => self.pause(server, 1_500, 6_000)?,
            Kind::PauseBalancer => self.pause(BALANCER, 500, 2_500)?,
            Kind::CutCluster => self.part(&[(one, two), (two, one)])?,
            Kind::CutCluster1To2 => self.part(&[(one, two)])?,
            Kind::CutCluster2To1 => self.part(&[(two, one)])?,
            Kind::CutSeat1 => self.part(&[(balancer, one), (one, balancer)])?,
            Kind::CutSeat1In => self.part(&[(balancer, one)])?,
            Kind::CutSeat1Out => self.part(&[(one, balancer)])?,
            Kind::CutSeat2 => self.part(&[(balancer, two), (two, balancer)])?,
            Kind::FullDisk1 | Kind::FullDisk2 => self.fill_disk(server)?,
        };
        Ok(Some(mended))
    }

    /// SIGKILL, `between` while they are dead, and a new start.
    fn restart(
        &mut self,
        processes: &[usize],
        low_ms: u64,
        high_ms: u64,
        between: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<SystemTime> {
        for process in processes {
            self.pair.kill(*process)?;
        }
        between(self)?;
        self.wait(low_ms, high_ms);
        let mended = SystemTime::now();
        for process in processes {
            self.pair.start_process(*process)?;
        }
        Ok(mended)
    }

    fn pause(&mut self, process: usize, low_ms: u64, high_ms: u64) -> Result<SystemTime> {
        self.pair.signal(process, Signal::SIGSTOP)?;
        self.wait(low_ms, high_ms);
        let mended = SystemTime::now();
        self.pair.signal(process, Signal::SIGCONT)?;
        Ok(mended)
    }

    /// Cuts each way that is named, and mends.
    fn part(&mut self, ways: &[(&str, &str)]) -> Result<SystemTime> {
        for (from, to) in ways {
            cut(from, to)?;
        }
        self.wait(2_000, 6_000);
        let mended = SystemTime::now();
        for (from, to) in ways {
            mend(from, to)?;
        }
        Ok(mended)
    }

    /// A store that failed is used again after a restart: so the operator makes room and orders
    /// one.
    fn fill_disk(&mut self, server: usize) -> Result<SystemTime> {
        let disk = self.disk.context("the server has no disk of its own")?;
        disk.fill()?;
        self.wait(2_000, 6_000);
        disk.make_room()?;
        self.pair.end(server, DRAIN_MAX)?;
        let mended = SystemTime::now();
        self.pair.start_process(server)?;
        Ok(mended)
    }

    fn hand_over_again_and_again(&mut self) -> Result<()> {
        let (mut from, mut to) = (1, 2);
        let mut slowest = Duration::ZERO;
        for _ in 0..self.random.between(6, 14) {
            let began = Instant::now();
            self.hand_over(from, to)?;
            slowest = slowest.max(began.elapsed());
            sleep(HAND_OVER_EVERY.saturating_sub(began.elapsed()));
            (from, to) = (to, from);
        }
        println!("the slowest hand-over took {} ms", slowest.as_millis());
        Ok(())
    }

    /// Asked again while it is refused: the server that got the calls a moment ago may not have
    /// stored yet that they are its own.
    fn hand_over(&self, from: usize, to: usize) -> Result<()> {
        let management = self.pair.management(from);
        let deadline = Instant::now() + REFUSED_MAX;
        loop {
            match management.hand_over(NAMES[to])? {
                Order::Done => return Ok(()),
                Order::Refused(why) if Instant::now() > deadline => {
                    bail!("{} refuses to hand over: {why}", NAMES[from])
                }
                Order::Refused(_) => sleep(ASK_AGAIN),
            }
        }
    }

    fn wait(&mut self, low_ms: u64, high_ms: u64) {
        sleep(Duration::from_millis(self.random.between(low_ms, high_ms)));
    }
}
