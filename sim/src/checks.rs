//! The rules a run must keep. Each is a promise, or follows from one.

mod lateness;
mod old_store;
mod orders;
mod output_commit;
mod replicas;
mod router;
mod run;
mod views;
mod wake_ups;

pub use lateness::Lateness;
pub use orders::{Orders, check_orders};
pub use output_commit::OutputCommit;
pub use replicas::check_replicas;
pub use router::Router;
pub use wake_ups::WakeUps;

use crate::plan::{Ending, Plan};
use crate::world::World;
use resilee_call_billing::{BILLS, Bill};
use resilee_core::Core;
use resilee_sbb::{Timestamp, decode};
use resilee_sip_api::EndCause;
use resilee_test_kit::PhoneEvent;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How much the times of two members may differ.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_millis(50);

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, in a few words.
    pub rule: &'static str,
    /// Who and what broke it.
    pub detail: String,
}

impl Violation {
    /// The rule is broken; `detail` says by whom.
    pub fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        Violation { rule, detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)
    }
}

/// What the phones themselves say about their calls.
#[derive(Clone, Debug, Default)]
struct Call {
    call_id: String,
    /// A BYE of one of its phones was answered with a 2xx.
    hung_up: bool,
    rang: bool,
    /// When its INVITE was sent again.
    repeats: Vec<Timestamp>,
    /// Its caller gave up for want of luck, and its callee may learn of that late.
    unlucky: bool,
    up: [Option<Timestamp>; 2],
    over: [Option<Timestamp>; 2],
}

/// All calls of a run.
#[derive(Debug)]
pub struct Calls {
    calls: Vec<Call>,
    /// Those that a service makes, in a run of them.
    pub wake_ups: Option<WakeUps>,
}

impl Calls {
    /// No call yet.
    pub fn new(plan: &Plan) -> Self {
        let wake_ups = plan.wakes().map(|waking| WakeUps::new(waking, plan.pairs));
        Calls { calls: vec![Call::default(); plan.pairs], wake_ups }
    }

    /// True if both phones of the pair have answered, or have had it answered.
    pub fn is_up(&self, pair: usize) -> bool {
        self.calls[pair].up.iter().all(Option::is_some)
    }

    /// How many failed by bad luck alone.
    pub fn unlucky(&self) -> u64 {
        self.calls.iter().filter(|call| call.unlucky).count() as u64
    }

    /// True the first time that the pair's call rings.
    pub fn rings_first(&mut self, pair: usize) -> bool {
        !std::mem::replace(&mut self.calls[pair].rang, true)
    }

    /// True if all calls were made and are over.
    pub fn all_over(&self, world: &World) -> bool {
        let over = |call: &Call| call.over.iter().all(Option::is_some);
        self.calls.iter().all(|call| over(call) || world.watch.is_lost(&call.call_id))
    }

    /// Takes in what a phone said.
    ///
    /// # Errors
    /// A call that failed.
    pub fn note(
        &mut self,
        world: &World,
        phone: usize,
        event: &PhoneEvent,
        ending: Ending,
    ) -> Result<(), Violation> {
        let (call, side) = (&mut self.calls[phone / 2], phone % 2);
        if let Some(status) = world.phones[phone].call() {
            call.call_id.clone_from(&status.call_id);
        }
        match event {
            PhoneEvent::Answered { .. } => call.up[side] = Some(world.now),
            PhoneEvent::HungUp { by_remote } => {
                call.hung_up |= !by_remote;
                let status = world.phones[phone].call().and_then(|call| call.ended_at);
                call.over[side] = Some(status.unwrap_or(world.now));
            }
            PhoneEvent::CallFailed(487) if ending == Ending::Cancel => {
                call.over[side] = Some(world.now);
            }
            // Nobody but a memory would hold the call: it is refused (design §8).
            PhoneEvent::CallFailed(503) if world.nodes.iter().any(|node| node.disk.failed) => {
                call.over = [Some(world.now); 2];
            }
            PhoneEvent::CallFailed(_) | PhoneEvent::HangUpFailed(_)
                if world.watch.is_lost(&call.call_id) => {}
            PhoneEvent::Retransmitted { what } if what == "INVITE" => call.repeats.push(world.now),
            PhoneEvent::CallFailed(408) if world.lost_by_chance(&call.call_id, &call.repeats) => {
                call.unlucky = true;
                call.over = [Some(world.now); 2];
            }
            PhoneEvent::CallFailed(_) | PhoneEvent::HangUpFailed(_) if call.unlucky => {}
            // Nobody lived for too long: the phone gave up.
            PhoneEvent::CallFailed(408) if world.power_cut => call.over = [Some(world.now); 2],
            PhoneEvent::HangUpFailed(408) if world.power_cut => call.over[side] = Some(world.now),
            // A node that asked for the call in vain ended it meanwhile, at the other end.
            PhoneEvent::HangUpFailed(481 | 500) if world.power_cut => {
                call.over[side] = Some(world.now);
            }
            PhoneEvent::CallFailed(status) | PhoneEvent::HangUpFailed(status) => {
                let detail = format!("phone {phone}: {status}");
                return Err(Violation::new("no call fails", detail));
            }
            _ => {}
        }
        Ok(())
    }

    /// After every step: no two runs may act for the same view, and members agree on the time.
    ///
    /// # Errors
    /// Two members of different views of the same number, or with different times.
    pub fn check_step(&self, world: &World) -> Result<(), Violation> {
        check_clocks(world)?;
        let views: Vec<_> =
            world.nodes.iter().filter_map(|node| Some(node.core.as_ref()?.view())).collect();
        match views[..] {
            [a, b] if a.number == b.number && a != b => {
                Err(Violation::new("one view per number", a.number.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// At the end: exactly one bill per answered call, on every living member.
    ///
    /// # Errors
    /// A bill that is missing, doubled or wrong.
    pub fn check_bills(&self, world: &World) -> Result<(), Violation> {
        let mut first: BTreeMap<String, Bill> = BTreeMap::new();
        let mut members = 0;
        for node in &world.nodes {
            let living =
                node.core.as_ref().is_some_and(|core| core.status(node.clock.at(world.now)).member);
            if !living {
                continue;
            }
            members += 1;
            if node.disk.failed {
                continue;
            }
            let bills: Vec<Bill> = node
                .disk
                .journal(BILLS)
                .into_iter()
                .map(|(_, record)| decode(record).expect("billing wrote it"))
                .collect();
            // Of one whose caller gave up unluckily the callee alone says how long it was.
            let judged = |call: &&Call| !call.unlucky && !world.watch.is_lost(&call.call_id);
            for call in self.calls.iter().filter(judged) {
                let of_call: Vec<_> =
                    bills.iter().filter(|bill| bill.call_id == call.call_id).collect();
                let call_id = call.call_id.clone();
                let who = || format!("{call_id} on {}", node.name);
                match of_call[..] {
                    [] if call.up[0].is_none() => {}
                    // Flushed before that disk broke, and not read since: it stands there.
                    [] if on_broken_disk(world, &call_id) => {}
                    [] => return Err(Violation::new("each answered call has a bill", who())),
                    [bill] => {
                        call.check_duration(bill, &world.lateness)?;
                        call.check_cause(bill, world)?;
                        let known = first.entry(call_id.clone()).or_insert_with(|| bill.clone());
                        if known != bill {
                            return Err(Violation::new("all nodes have the same bill", who()));
                        }
                    }
                    _ => {
                        return Err(Violation::new("no call is billed twice", who()));
                    }
                }
            }
            // Its caller may have given up, while nobody lived or unluckily, and the callee answers
            // all the same.
            let answered = |call: &Call| match world.power_cut || call.unlucky {
                true => call.up.iter().any(Option::is_some),
                false => call.up[0].is_some(),
            };
            let known = |bill: &&Bill| {
                world.watch.is_lost(&bill.call_id)
                    || self.calls.iter().any(|c| c.call_id == bill.call_id && answered(c))
            };
            if let Some(bill) = bills.iter().find(|bill| !known(bill)) {
                return Err(Violation::new("only answered calls are billed", bill.call_id.clone()));
            }
        }
        match members {
            0 => Err(Violation::new("a node that lives is a member", "none is")),
            _ => Ok(()),
        }
    }

    /// At the end: calls that are over leave nothing behind.
    ///
    /// # Errors
    /// What is left.
    pub fn check_nothing_left(&self, world: &World) -> Result<(), Violation> {
        for node in &world.nodes {
            let Some(core) = node.core.as_ref() else { continue };
            let status = core.status(node.clock.at(world.now));
            let stored = if node.disk.failed { 0 } else { node.disk.cells() as u64 };
            let cells = status.cells.values().sum::<u64>() + stored;
            let kept = !world.watch.is_any_lost();
            if status.orphans > 0 && kept {
                let detail = format!("{}: {}", node.name, status.orphans);
                return Err(Violation::new("no request waits whose call is back", detail));
            }
            let loose = core.loose_ties();
            if let Some(loose) = loose.first().filter(|_| kept) {
                let detail = format!("{}: {loose}", node.name);
                return Err(Violation::new("a tie has two ends when all is quiet", detail));
            }
            if (cells > 0 && kept) || status.gated > 0 {
                let detail = format!("{}: {cells} cells, {} gated", node.name, status.gated);
                return Err(Violation::new("nothing is left of calls that are over", detail));
            }
            if let Some(found) = core.kept_of_none().first() {
                let detail = format!("{}: {found}", node.name);
                return Err(Violation::new("nothing is kept of what is not there", detail));
            }
            let remains = if kept && status.member { core.remains() } else { Vec::new() };
            if let Some(found) = remains.first() {
                let detail = format!("{}: {found}", node.name);
                return Err(Violation::new("nothing remains when all is over", detail));
            }
        }
        let kept = |phone: &usize| !world.watch.is_lost(&self.calls[phone / 2].call_id);
        let mut busy = (0..world.phones.len()).filter(|phone| !world.phones[*phone].is_idle());
        match busy.find(kept) {
            Some(phone) => Err(Violation::new("phones come to rest", format!("phone {phone}"))),
            None => Ok(()),
        }
    }
}

/// True if a disk that gives nothing any more has the bill of that call.
fn on_broken_disk(world: &World, call_id: &str) -> bool {
    let broken = world.nodes.iter().filter(|node| node.disk.failed);
    let mut bills = broken.flat_map(|node| node.disk.journal(BILLS));
    bills.any(|(_, record)| decode::<Bill>(record).is_ok_and(|bill| bill.call_id == call_id))
}

/// What a node holds is about what is there: no entity without a parent or a service, no tree that
/// is attached to nothing, no attachment, mask, name or timer of what is gone, no timer forgotten.
///
/// Only of nodes that were told something since the last look: the others hold what they held.
///
/// # Errors
/// What is about something that is not there.
pub fn check_consistency(world: &mut World) -> Result<(), Violation> {
    for node in &mut world.nodes {
        if !node.is_changed() {
            continue;
        }
        let found = node.core.as_ref().map(Core::inconsistencies).unwrap_or_default();
        if let Some(found) = found.first() {
            let detail = format!("{}: {found}", node.name);
            return Err(Violation::new("all is about what is there", detail));
        }
    }
    Ok(())
}

/// Members of one view have the same cluster time, whatever their machines' clocks show.
fn check_clocks(world: &World) -> Result<(), Violation> {
    let time = |index: usize| {
        let node = &world.nodes[index];
        Some(node.core.as_ref()?.cluster_time(node.clock.at(world.now)))
    };
    let (Some(a), Some(b)) = (time(0), time(1)) else { return Ok(()) };
    let difference = a.since(b).max(b.since(a));
    if difference > CLOCKS_DIFFER_MAX && world.is_pair() {
        return Err(Violation::new("members agree on the time", format!("{a} and {b}")));
    }
    Ok(())
}

impl Call {
    fn check_duration(&self, bill: &Bill, lateness: &Lateness) -> Result<(), Violation> {
        // Who never had it answered, because it gave up before, does not say how long it was.
        let had = self.up.iter().zip(self.over).filter(|(up, _)| up.is_some());
        let over = had.filter_map(|(_, over)| over).min();
        let (Some(up), Some(over)) = (self.up.into_iter().flatten().min(), over) else {
            return Ok(());
        };
        let talked = over.since(up);
        let billed = bill.ended_at.since(bill.answered_at);
        let difference = match bill.end_cause {
            EndCause::Bye | EndCause::MaxDuration if !lateness.time_stands => {
                talked.abs_diff(billed)
            }
            // Nobody lived when it ended: it is billed for as long as it was known to live.
            _ => billed.saturating_sub(talked),
        };
        let allowed = lateness.at(up) + lateness.at(over);
        if difference > allowed {
            let call_id = &self.call_id;
            let detail = format!("{call_id}: {talked:?}, billed {billed:?}, allowed {allowed:?}");
            return Err(Violation::new("the bill has the phones' talk time", detail));
        }
        Ok(())
    }
}
