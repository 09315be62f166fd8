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

/// One delivery on its way to its actor.
#[derive(Debug)]
pub(crate) struct Run {
    /// The delivery.
    pub deliver: Arc<Deliver>,
    /// Where its answer goes.
    pub reply: Reply,
    /// Span of the call in the log.
    pub call: Span,
    /// Where its thread says what it runs.
    pub running: Running,
}

/// The delivery that a thread runs; [`IDLE`] between two.
pub(crate) type Running = Arc<AtomicU64>;
/// No delivery: the core counts them from 1.
pub(crate) const IDLE: u64 = 0;

impl Message for Run {
    type Result = ();
}

impl Handler<Run> for SbbEntityActor {
    type Result = ();

    fn handle(&mut self, run: Run, _: &mut Self::Context) {
        run.running.store(run.deliver.id.0, Ordering::Release);
        let outcome = run.call.in_scope(|| invoke(&self.sbb, &run.deliver));
        run.running.store(IDLE, Ordering::Release);
        run.reply.answer(outcome);
    }
}

/// Runs a handler, within the log's span of its delivery.
fn invoke(sbb: &LinkedSbb, deliver: &Deliver) -> Outcome {
    let event = &deliver.event;
    let (service, entity) = (deliver.service, deliver.entity);
    let span = tracing::debug_span!("deliver", service, %entity, event = event.event_type);
    let _entered = span.enter();
    let outcome = sbb.invoke(deliver);
    if let Outcome::RolledBack { reason, .. } = &outcome {
        tracing::debug!(reason, "rolled back");
    }
    outcome
}

/// Answers a delivery exactly once: if it is dropped unanswered, by a roll back.
#[derive(Debug)]
pub(crate) struct Reply {
    run: u64,
    delivery: DeliveryId,
    to: Option<Recipient<Feed>>,
}

impl Reply {
    /// The answer to `delivery` of the core of `run`.
    pub fn new(run: u64, delivery: DeliveryId, to: Recipient<Feed>) -> Self {
        Reply { run, delivery, to: Some(to) }
    }

    /// Gives the answer.
    pub fn answer(mut self, outcome: Outcome) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Outcome) {
        if let Some(to) = self.to.take() {
            // Not refused by a full mailbox: there is one answer for each delivery.
            let input = Input::Outcome { delivery: self.delivery, outcome };
            to.do_send(Feed::inside(self.run, input));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let reason = "the entity's actor is gone or overloaded".to_owned();
        self.send(Outcome::RolledBack { reason, effects: Vec::new() });
    }
}
