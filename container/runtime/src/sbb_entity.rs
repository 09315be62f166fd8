//! The actor of one root entity's tree: a place to run its handler, one delivery after the other.
//!
//! State comes with each delivery and goes back with the answer, so an actor can be stopped at
//! any time; who gets which event is the core's.

use crate::slee::Feed;
use actix::{Actor, Context, Handler, Message, Recipient};
use resilee_core::Input;
use resilee_sbb::{Deliver, DeliveryId, LinkedSbb, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::Span;

/// Deliveries that wait for one entity; the core sends the next one after the answer.
const MAILBOX_MAX: usize = 4;

/// Runs the handler of one entity.
#[derive(Debug)]
pub(crate) struct SbbEntityActor {
    /// Its service.
    pub sbb: LinkedSbb,
}

impl Actor for SbbEntityActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MAX);
    }
}

/// A delivery, which may be handed to one thread after another: only the last one runs it.
#[derive(Debug)]
pub(crate) struct Handed {
    /// The delivery.
    pub deliver: Deliver,
    /// The attempt that may run it and answer; with [`BEGUN`] once it does.
    attempt: AtomicU64,
}

/// A flag beside the number of an attempt.
const BEGUN: u64 = 1 << 63;

impl Handed {
    /// A delivery that nobody has begun.
    pub fn new(deliver: Deliver) -> Self {
        Handed { deliver, attempt: AtomicU64::new(0) }
    }

    /// The number of the attempt that counts.
    pub fn attempt(&self) -> u64 {
        self.attempt.load(Ordering::Acquire) & !BEGUN
    }

    /// The attempt up to now neither runs nor answers any more.
    pub fn try_again(&self) {
        self.attempt.store(self.attempt() + 1, Ordering::Release);
    }

    /// The same, if its handler has not begun; false if it has.
    pub fn withdraw(&self) -> bool {
        let attempt = self.attempt();
        self.change(attempt, attempt + 1)
    }

    /// True if this attempt may run the handler now.
    fn begin(&self, attempt: u64) -> bool {
        self.change(attempt, attempt | BEGUN)
    }

    fn change(&self, from: u64, to: u64) -> bool {
        self.attempt.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// One attempt at a delivery on its way to its actor.
#[derive(Debug)]
pub(crate) struct Run {
    /// What is run, and where its answer goes.
    pub reply: Reply,
    /// Span of the call in the log.
    pub call: Span,
    /// Where its thread says what it runs.
    pub running: Arc<Running>,
}

/// What a thread runs, for whoever looks from another one.
#[derive(Debug)]
pub(crate) struct Running {
    /// The delivery; [`IDLE`] between two.
    delivery: AtomicU64,
    /// When it began, in milliseconds since the thread did.
    began_ms: AtomicU64,
    since: Instant,
}

/// No delivery: the core counts them from 1.
const IDLE: u64 = 0;

impl Default for Running {
    fn default() -> Self {
        let (delivery, began_ms) = (AtomicU64::new(IDLE), AtomicU64::new(0));
        Running { delivery, began_ms, since: Instant::now() }
    }
}

impl Running {
    fn begin(&self, delivery: DeliveryId) {
        let began = self.since.elapsed().as_millis();
        self.began_ms.store(u64::try_from(began).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.delivery.store(delivery.0, Ordering::Release);
    }

    fn end(&self) {
        self.delivery.store(IDLE, Ordering::Release);
    }

    /// How long a delivery runs already; `None`: it does not.
    pub fn ran(&self, delivery: DeliveryId) -> Option<Duration> {
        if self.delivery.load(Ordering::Acquire) != delivery.0 {
            return None;
        }
        // If it has ended by now this is of a later one, and too short: it is asked for again.
        let began = Duration::from_millis(self.began_ms.load(Ordering::Relaxed));
        Some(self.since.elapsed().saturating_sub(began))
    }

    /// True between two deliveries.
    pub fn is_idle(&self) -> bool {
        self.delivery.load(Ordering::Acquire) == IDLE
    }
}

impl Message for Run {
    type Result = ();
}

impl Handler<Run> for SbbEntityActor {
    type Result = ();

    fn handle(&mut self, run: Run, _: &mut Self::Context) {
        let Reply { handed, attempt, .. } = &run.reply;
        // Before it is known whether it may: who withdraws it must see that it runs.
        run.running.begin(handed.deliver.id);
        let may_run = handed.begin(*attempt);
        let outcome = may_run.then(|| run.call.in_scope(|| invoke(&self.sbb, &handed.deliver)));
        run.running.end();
        if let Some(outcome) = outcome {
            run.reply.answer(outcome);
        }
    }
}

/// Runs a handler, within the log's span of its delivery.
fn invoke(sbb: &LinkedSbb, deliver: &Deliver) -> Outcome {
    let event = &deliver.event;
    let (service, entity) = (deliver.service, deliver.entity);
    let span = tracing::debug_span!("deliver", service, %entity, event = event.event_type);
    let _entered = span.enter();
    let outcome = sbb.invoke(deliver);
    if let Outcome::RolledBack { reason, .. } | Outcome::Starved { reason, .. } = &outcome {
        tracing::debug!(reason, "rolled back");
    }
    outcome
}

/// Answers a delivery exactly once: if it is dropped unanswered, by a roll back. Of an attempt that
/// counts no more there is no answer.
#[derive(Debug)]
pub(crate) struct Reply {
    run: u64,
    handed: Arc<Handed>,
    attempt: u64,
    to: Option<Recipient<Feed>>,
}

impl Reply {
    /// The answer of this attempt, to the core of `run`.
    pub fn new(run: u64, handed: Arc<Handed>, to: Recipient<Feed>) -> Self {
        let attempt = handed.attempt();
        Reply { run, handed, attempt, to: Some(to) }
    }

    /// What is to be answered.
    pub fn deliver(&self) -> &Deliver {
        &self.handed.deliver
    }

    /// Gives the answer.
    pub fn answer(mut self, outcome: Outcome) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Outcome) {
        if let Some(to) = self.to.take()
            && self.handed.attempt() == self.attempt
        {
            // Not refused by a full mailbox: there is one answer for each delivery.
            let input = Input::Outcome { delivery: self.handed.deliver.id, outcome };
            to.do_send(Feed::inside(self.run, input));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Its handler has not run: that is no failure of its service.
        let reason = "the entity's actor is gone or overloaded".to_owned();
        self.send(Outcome::Starved { reason, effects: Vec::new() });
    }
}
