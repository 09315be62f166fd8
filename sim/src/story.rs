//! What happens in a run: the cluster starts, phones register, each pair makes a call, something
//! dies in the middle, somebody hangs up, everything comes to rest.

use crate::checks::{Calls, Violation, check_replicas};
use crate::node::DOMAIN;
use crate::plan::{Ending, Fault, Kill, Plan, Process};
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

/// Replicas are compared after so many steps: it costs more than a step.
const REPLICAS_EVERY: u64 = 32;

/// A run.
pub struct Story {
    plan: Plan,
    world: World,
    calls: Calls,
    /// What is still to go wrong.
    fault: Fault,
    /// The second death that is still to come.
    second: Option<Second>,
    /// The step at which the first call was made.
    call_at_step: Option<u64>,
    /// Steps from the first call's begin to the last one's end.
    steps_of_calls: u64,
}

/// A death that waits for the other node's return.
struct Second {
    node: usize,
    after: u64,
    at_step: Option<u64>,
    restart_ms: Option<u64>,
}

impl Story {
    /// The story of a plan, not begun.
    pub fn new(plan: Plan, verbose: bool) -> Self {
        let world = World::new(&plan, verbose);
        let fault = plan.fault;
        Story {
            calls: Calls::new(plan.pairs),
            plan,
            world,
            fault,
            second: None,
            call_at_step: None,
            steps_of_calls: 0,
        }
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.world.start_after(Process::Balancer, 0);
        self.world.start_after(Process::Node(0), 1);
        self.world.start_after(Process::Node(1), 3);
        self.until(SET_UP_MS, "the cluster forms", |world, _| world.is_pair())?;
        for phone in 0..self.world.phones.len() {
            self.world.command_after(phone, 10, PhoneCommand::Register);
        }
        self.until(SET_UP_MS, "all phones are registered", |world, _| {
            world.phones.iter().all(|phone| phone.is_registered())
        })?;
        self.call_at_step = Some(self.world.steps);
        for pair in 0..self.plan.pairs {
            let to = format!("sip:user{}@{DOMAIN}", pair * 2 + 1);
            self.world.command_after(pair * 2, 20 + pair as u64 * 7, PhoneCommand::Call { to });
        }
        let limit = CALL_MS + self.plan.ring_ms + self.plan.talk_ms;
        self.until(limit, "every call is over", |_, calls| calls.all_over())?;
        self.fail_if_due(u64::MAX);
        self.steps_of_calls = self.world.steps - self.call_at_step.unwrap_or_default();
        self.rest()
    }

    /// Waits until all is quiet, then looks at what is left.
    fn rest(&mut self) -> Result<(), Violation> {
        let end = self.world.now + Duration::from_millis(REST_MS);
        self.until(REST_MS * 2, "all comes to rest", |world, _| world.now >= end)?;
        self.world.check_rest()?;
        check_replicas(&self.world)?;
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
            self.fail_if_due(self.world.steps);
            self.second_death_if_due();
            if let Some(violation) = self.world.violation.take() {
                return Err(violation);
            }
            self.calls.check_step(&self.world)?;
            if self.world.steps.is_multiple_of(REPLICAS_EVERY) {
                check_replicas(&self.world)?;
            }
        }
        Ok(())
    }

    fn fail_if_due(&mut self, steps: u64) {
        let Some(at_step) = self.fault.at_step() else { return };
        if self.call_at_step.is_none_or(|call| steps < call.saturating_add(at_step)) {
            return;
        }
        match std::mem::replace(&mut self.fault, Fault::None) {
            Fault::None => {}
            Fault::Kill(kill) => {
                self.world.kill(kill.process);
                self.restart(kill);
            }
            Fault::Drain(kill) => {
                if let Process::Node(node) = kill.process {
                    self.world.drain_node(node);
                }
                self.restart(kill);
            }
            Fault::KillInTurn { node, restart_ms, second_after, .. } => {
                self.world.kill(Process::Node(node));
                self.world.start_after(Process::Node(node), restart_ms);
                self.second = Some(Second {
                    node: 1 - node,
                    after: second_after,
                    at_step: None,
                    restart_ms: None,
                });
            }
            Fault::Pause { node, for_ms, .. } => self.world.pause(node, for_ms),
            Fault::Cut { for_ms, .. } => self.world.cut(for_ms),
            Fault::StoreFails { node, other, .. } => {
                self.world.fail_store(node);
                if let Some((after, restart_ms)) = other {
                    let at_step = Some(self.world.steps + after);
                    self.second = Some(Second {
                        node: 1 - node,
                        after,
                        at_step,
                        restart_ms: Some(restart_ms),
                    });
                }
            }
            Fault::BillingFails { for_ms, kill, .. } => {
                self.world.fail_billing(for_ms);
                self.second = kill.map(|(node, after)| {
                    let at_step = Some(self.world.steps + after);
                    Second { node, after, at_step, restart_ms: None }
                });
            }
            Fault::HandOverStorm { every_ms, times, kill, .. } => {
                self.world.hand_over(0, every_ms, times);
                self.second = kill.map(|(node, after)| {
                    let at_step = Some(self.world.steps + after);
                    Second { node, after, at_step, restart_ms: None }
                });
            }
        }
    }

    /// The second death of [`Fault::KillInTurn`], some steps after the first node is back; the
    /// death in a storm.
    fn second_death_if_due(&mut self) {
        let Some(second) = self.second.as_mut() else { return };
        if second.at_step.is_none() && self.world.is_pair() {
            second.at_step = Some(self.world.steps + second.after);
        }
        if second.at_step.is_some_and(|at| self.world.steps >= at) {
            let process = Process::Node(second.node);
            self.world.kill(process);
            if let Some(delay) = second.restart_ms {
                self.world.start_after(process, delay);
            }
            self.second = None;
        }
    }

    fn restart(&mut self, kill: Kill) {
        if let Some(delay) = kill.restart_ms {
            self.world.start_after(kill.process, delay);
        }
    }

    fn react(&mut self) -> Result<(), Violation> {
        for (phone, event) in std::mem::take(&mut self.world.events) {
            self.calls.note(&self.world, phone, &event, self.plan.ending)?;
            let (caller, callee) = (phone & !1, phone | 1);
            let cancels = self.plan.ending == Ending::Cancel;
            match event {
                PhoneEvent::Answered { .. } if self.calls.is_up(phone / 2) => {
                    let who = if self.plan.ending == Ending::Callee { callee } else { caller };
                    self.world.command_after(who, self.plan.talk_ms, PhoneCommand::HangUp);
                }
                PhoneEvent::Ringing if cancels && self.calls.rings_first(phone / 2) => {
                    let delay = self.plan.ring_ms / 2;
                    self.world.command_after(caller, delay, PhoneCommand::Cancel);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Steps from the first call's begin to the last one's end.
    pub fn steps_of_calls(&self) -> u64 {
        self.steps_of_calls
    }

    /// Steps taken, and the trace.
    pub fn into_trace(self) -> (u64, Trace) {
        (self.world.steps, self.world.trace)
    }
}
