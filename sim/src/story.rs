//! What happens in a run: the cluster starts, phones register, each pair makes a call, something
//! dies in the middle, somebody hangs up, everything comes to rest.

use crate::checks::{Calls, Violation};
use crate::node::DOMAIN;
use crate::plan::{Fault, Kill, Plan, Process};
use crate::trace::Trace;
use crate::world::World;
use resilee_sbb::Timestamp;
use resilee_test_kit::{PhoneCommand, PhoneEvent};
use std::time::Duration;

/// How long the cluster may take to form, and phones to register.
const SET_UP_MS: u64 = 60_000;
/// How long a call may take from its INVITE to its end, besides ringing and talking: repeated
/// messages over two failures and a bad network.
const CALL_MS: u64 = 30_000;
/// How long it takes until nothing is left of a call: the longest timer (64 * T1) and a view.
const REST_MS: u64 = 16_000;

/// A run.
pub struct Story {
    plan: Plan,
    world: World,
    calls: Calls,
    kill: Option<Kill>,
    kill_at_step: Option<u64>,
}

impl Story {
    /// The story of a plan, not begun.
    pub fn new(plan: Plan, verbose: bool) -> Self {
        let world = World::new(&plan, verbose);
        let kill = match plan.fault {
            Fault::None => None,
            Fault::Kill(kill) => Some(kill),
        };
        Story { calls: Calls::new(plan.pairs), plan, world, kill, kill_at_step: None }
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.world.start_after(Process::Balancer, 0);
        self.world.start_after(Process::Node(0), 1);
        self.world.start_after(Process::Node(1), 3);
        self.until(SET_UP_MS, "the cluster forms", |world, _| {
            let member = |index: usize| {
                let core = world.nodes[index].core.as_ref();
                core.is_some_and(|core| core.view().members.len() == 2)
            };
            member(0) && member(1)
        })?;
        for phone in 0..self.world.phones.len() {
            self.world.command_after(phone, 10, PhoneCommand::Register);
        }
        self.until(SET_UP_MS, "all phones are registered", |world, _| {
            world.phones.iter().all(|phone| phone.is_registered())
        })?;
        self.kill_at_step = self.kill.map(|kill| self.world.steps + kill.at_step);
        for pair in 0..self.plan.pairs {
            let to = format!("sip:user{}@{DOMAIN}", pair * 2 + 1);
            self.world.command_after(pair * 2, 20 + pair as u64 * 7, PhoneCommand::Call { to });
        }
        let limit = CALL_MS + self.plan.ring_ms + self.plan.talk_ms;
        self.until(limit, "every call is over", |_, calls| calls.all_over())?;
        self.kill_if_due(u64::MAX);
        self.rest()
    }

    /// Waits until all is quiet, then looks at what is left.
    fn rest(&mut self) -> Result<(), Violation> {
        let end = self.world.now + Duration::from_millis(REST_MS);
        self.until(REST_MS * 2, "all comes to rest", |world, _| world.now >= end)?;
        self.calls.check_bills(&self.world)?;
        self.calls.check_nothing_left(&self.world)
    }

    fn until(
        &mut self,
        limit_ms: u64,
        what: &'static str,
        done: impl Fn(&World, &Calls) -> bool,
    ) -> Result<(), Violation> {
        let limit: Timestamp = self.world.now + Duration::from_millis(limit_ms);
        while !done(&self.world, &self.calls) {
            if self.world.now > limit || !self.world.step() {
                return Err(Violation::new("stuck before", what));
            }
            self.react()?;
            self.kill_if_due(self.world.steps);
            self.calls.check_step(&self.world)?;
        }
        Ok(())
    }

    fn kill_if_due(&mut self, steps: u64) {
        let Some(kill) = self.kill.filter(|_| self.kill_at_step.is_some_and(|at| steps >= at))
        else {
            return;
        };
        self.kill = None;
        self.world.kill(kill.process);
        if let Some(delay) = kill.restart_ms {
            self.world.start_after(kill.process, delay);
        }
    }

    fn react(&mut self) -> Result<(), Violation> {
        for (phone, event) in std::mem::take(&mut self.world.events) {
            self.calls.note(&self.world, phone, &event)?;
            let both = self.calls.is_up(phone / 2);
            if matches!(event, PhoneEvent::Answered { .. }) && both {
                let who = if self.plan.caller_hangs_up { phone & !1 } else { phone | 1 };
                self.world.command_after(who, self.plan.talk_ms, PhoneCommand::HangUp);
            }
        }
        Ok(())
    }

    /// Steps taken, and the trace.
    pub fn into_trace(self) -> (u64, Trace) {
        (self.world.steps, self.world.trace)
    }
}
