//! What happens in a run: the cluster starts, phones register, each pair makes a call, something
//! dies in the middle, somebody hangs up, everything comes to rest.

mod flow;
mod waking;

use crate::checks::{Calls, Violation, check_consistency, check_orders, check_replicas};
use crate::node::DOMAIN;
use crate::plan::{Ending, Fault, Plan, Process, When};
use crate::trace::Trace;
use crate::world::World;
use resilee_sbb::Timestamp;
use resilee_test_kit::{PhoneCommand, PhoneEvent};
use std::collections::VecDeque;
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
/// And what orders came to.
const ORDERS_EVERY: u64 = 16;

/// A run.
pub struct Story {
    plan: Plan,
    world: World,
    calls: Calls,
    /// What is still to go wrong, the next first.
    faults: VecDeque<(When, Fault)>,
    /// The step, delivery or vote from which the next fault counts.
    since: Option<u64>,
    /// The step at which the first call was made.
    call_at_step: Option<u64>,
    /// Steps from the first call's begin to the last one's end.
    steps_of_calls: u64,
}

impl Story {
    /// The story of a plan, not begun.
    pub fn new(plan: Plan, verbose: bool) -> Self {
        let world = World::new(&plan, verbose);
        let faults = plan.faults.iter().copied().collect();
        Story {
            calls: Calls::new(&plan),
            plan,
            world,
            faults,
            since: None,
            call_at_step: None,
            steps_of_calls: 0,
        }
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run(&mut self) -> Result<(), Violation> {
        for balancer in 0..self.world.balancer_count() {
            self.world.start_after(Process::Balancer(balancer), 0);
        }
        self.world.start_after(Process::Node(0), 1);
        self.world.start_after(Process::Node(1), 3);
        self.until(SET_UP_MS, "the cluster forms", |world, _| world.is_pair())?;
        for phone in 0..self.world.phones.len() {
            self.world.command_after(phone, 10, PhoneCommand::Register);
        }
        self.until(SET_UP_MS, "all phones are registered", |world, _| {
            world.phones.iter().all(|phone| phone.is_registered())
        })?;
        if let Some(flow) = self.plan.flow {
            return self.play_flow(flow);
        }
        if let Some(waking) = self.plan.wakes() {
            return self.play_waking(waking);
        }
        self.call_at_step = Some(self.world.steps);
        for pair in 0..self.plan.pairs {
            let to = format!("sip:user{}@{DOMAIN}", pair * 2 + 1);
            self.world.command_after(pair * 2, 20 + pair as u64 * 7, PhoneCommand::Call { to });
        }
        for order in self.plan.orders() {
            self.world.order_after(*order);
        }
        let limit = CALL_MS + self.plan.ring_ms + self.plan.talk_ms;
        self.until(limit, "every call is over", |world, calls| calls.all_over(world))?;
        // What was planned for a step that the calls did not reach happens now.
        if let Some((When::Step(steps), _)) = self.faults.front_mut() {
            *steps = 0;
        }
        self.fail_if_due();
        self.steps_of_calls = self.world.steps - self.call_at_step.unwrap_or_default();
        self.rest()
    }

    /// Waits until all is quiet, then looks at what is left.
    fn rest(&mut self) -> Result<(), Violation> {
        if self.world.old_store.is_some() {
            self.until(SET_UP_MS, "the other store is back", |world, _| world.is_pair())?;
        }
        self.comes_to_rest()?;
        self.calls.check_bills(&self.world)?;
        self.calls.check_nothing_left(&self.world)
    }

    fn comes_to_rest(&mut self) -> Result<(), Violation> {
        let end = self.world.now + Duration::from_millis(REST_MS);
        self.until(REST_MS * 2, "all comes to rest", |world, _| world.now >= end)?;
        self.world.check_rest()?;
        check_orders(&self.world)?;
        check_replicas(&self.world)
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
            self.fail_if_due();
            if self.world.old_store_is_all_there_is() {
                self.calls.give_up_what_is_not_up(&mut self.world);
            }
            if let Some(violation) = self.world.violation.take() {
                return Err(violation);
            }
            self.calls.check_step(&self.world)?;
            check_consistency(&mut self.world)?;
            if self.world.steps.is_multiple_of(ORDERS_EVERY) {
                check_orders(&self.world)?;
            }
            if self.world.steps.is_multiple_of(REPLICAS_EVERY) {
                check_replicas(&self.world)?;
            }
        }
        Ok(())
    }

    /// Lets the next fault happen when its time has come. Each waits for the one before.
    fn fail_if_due(&mut self) {
        let Some((when, fault)) = self.faults.front().copied() else { return };
        let steps = self.world.steps;
        let (ready, count, wanted) = match when {
            When::Step(wanted) => (true, steps, wanted),
            When::Joining(wanted) => (self.world.is_joining(), steps, wanted),
            When::Pair(wanted) => (self.world.is_pair(), steps, wanted),
            When::Delivering { node, number } => (true, self.world.deliveries[node], number + 1),
            When::Voting(number) => (true, self.world.votes, number + 1),
        };
        if self.since.is_none() && ready && self.call_at_step.is_some() {
            self.since = Some(count);
        }
        if self.since.is_some_and(|since| count >= since.saturating_add(wanted)) {
            self.world.fail(fault);
            self.faults.pop_front();
            self.since = None;
        }
    }

    fn react(&mut self) -> Result<(), Violation> {
        // The phones of a flow only register; then its parties take their places.
        if self.plan.flow.is_some() {
            self.world.events.clear();
        }
        if let Some(waking) = self.plan.wakes() {
            return self.react_to_waking(waking);
        }
        for (phone, event) in std::mem::take(&mut self.world.events) {
            self.calls.note(&self.world, phone, &event, self.plan.ending)?;
            let (caller, callee) = (phone & !1, phone | 1);
            let cancels = self.plan.ending == Ending::Cancel;
            match event {
                PhoneEvent::Answered { .. } if self.plan.ending == Ending::Service => {}
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

    /// Calls that failed by bad luck alone.
    pub fn unlucky_calls(&self) -> u64 {
        self.calls.unlucky()
    }

    /// Steps taken, and the trace.
    pub fn into_trace(self) -> (u64, Trace) {
        (self.world.steps, self.world.trace)
    }
}
