//! Workers under panics, hangs and limits.

use super::*;
use crate::config::ACTORS_MAX;
use actix::System;
use resilee_core::Input;
use resilee_sbb::{
    ActivityEnd, ActivityId, CohortId, Context as SbbContext, Deliver, DeliveryId, Descriptor,
    Event, Failure, Sbb,
};
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex};
use tokio::sync::mpsc;
use tokio::time::timeout;

mod attempts;

const DEADLINE: Duration = Duration::from_secs(30);

/// Panics on its second event.
#[derive(Default, Serialize, Deserialize)]
struct Fragile {
    events: u32,
}

impl Sbb for Fragile {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "test",
            version: "1",
            initial_events: &[],
            ..Descriptor::named("fragile")
        }
    }

    fn on_event(&mut self, _: &mut SbbContext<'_>, _: &Event) -> Result<(), Failure> {
        self.events += 1;
        assert!(self.events < 2, "one event is enough");
        Ok(())
    }
}

/// Stands for the actor that owns the core.
struct Sink(mpsc::UnboundedSender<Input>);

impl Actor for Sink {
    type Context = Context<Self>;
}

impl Handler<Feed> for Sink {
    type Result = <Feed as Message>::Result;

    fn handle(&mut self, feed: Feed, _: &mut Self::Context) {
        for input in feed.into_inputs() {
            self.0.send(input).unwrap();
        }
    }
}

fn deliver(id: u64, service: &'static str) -> Box<Deliver> {
    let cell = CellId { cohort: CohortId(1), number: 1 };
    let activity = ActivityId { cell, number: 0 };
    let event = Event::new(activity, &ActivityEnd {}).unwrap();
    Box::new(Deliver { id: DeliveryId(id), ..Deliver::first(service, event) })
}

fn run(deliver: Box<Deliver>, to: &Recipient<Feed>) -> Run {
    let reply = Reply::new(0, Arc::new(Handed::new(*deliver)), to.clone());
    Run { reply, call: Span::none(), running: Arc::default() }
}

fn hand(workers: &mut CellWorkers, deliver: Box<Deliver>, to: &Recipient<Feed>) {
    workers.deliver(0, deliver, to.clone(), Span::none());
}

async fn outcome(inputs: &mut mpsc::UnboundedReceiver<Input>, id: u64) -> Outcome {
    let input = timeout(DEADLINE, inputs.recv()).await.unwrap().unwrap();
    let Input::Outcome { delivery, outcome } = input else { panic!("{input:?}") };
    assert_eq!(delivery, DeliveryId(id));
    outcome
}

fn reason(outcome: Outcome) -> String {
    let Outcome::RolledBack { reason, .. } = outcome else { panic!("{outcome:?}") };
    reason
}

#[test]
fn a_panic_rolls_back_and_the_next_delivery_runs() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let mut workers = CellWorkers::start(2, ACTORS_MAX, &[LinkedSbb::of::<Fragile>()]);
        hand(&mut workers, deliver(1, "fragile"), &sink);
        let first = outcome(&mut inputs, 1).await;
        let second = deliver(2, "fragile");
        let state = first.state_of(second.entity).cloned();
        assert!(state.is_some(), "{first:?}");
        hand(&mut workers, Box::new(second.with_state(state)), &sink);
        let reason = reason(outcome(&mut inputs, 2).await);
        assert_eq!(reason, "panicked: one event is enough");
        hand(&mut workers, deliver(3, "fragile"), &sink);
        assert!(matches!(outcome(&mut inputs, 3).await, Outcome::Delivered { .. }));
        hand(&mut workers, deliver(4, "nobody"), &sink);
        assert!(self::reason(outcome(&mut inputs, 4).await).contains("nobody is not deployed"));
    });
}

#[test]
fn a_service_that_was_undeployed_gets_nothing_and_one_that_was_deployed_does() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let mut workers = CellWorkers::start(2, ACTORS_MAX, &[]);
        for (id, is_there) in [(1, true), (2, false), (3, true)] {
            match is_there {
                true => workers.deploy(LinkedSbb::of::<Fragile>()),
                false => workers.undeploy("fragile"),
            }
            // The same entity each time, whose actor is not idle for long enough to be stopped.
            hand(&mut workers, deliver(id, "fragile"), &sink);
            let served = matches!(outcome(&mut inputs, id).await, Outcome::Delivered { .. });
            assert_eq!((served, workers.has("fragile")), (is_there, is_there), "{id}");
        }
    });
}

#[test]
fn a_thread_that_takes_a_workers_place_has_what_was_deployed() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &[LinkedSbb::of::<Lost>()]);
        workers.deploy(LinkedSbb::of::<Fragile>());
        stall(&mut workers, &sink).await;
        assert!(matches!(workers.abandon(0, DeliveryId(1), Duration::ZERO), Fate::Hangs(_)));
        hand(&mut workers, deliver(2, "fragile"), &sink);
        assert!(matches!(outcome(&mut inputs, 2).await, Outcome::Delivered { .. }));
    });
}

#[test]
fn a_dead_actor_or_worker_is_answered_for() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let workers = CellWorkers::start(1, ACTORS_MAX, &[LinkedSbb::of::<Fragile>()]);
        let dead = workers.workers[0].address.clone();
        drop(workers);
        // The thread ends some time after it was told to.
        for id in 1.. {
            let Ok(()) = dead.try_send(run(deliver(id, "fragile"), &sink)) else {
                // Its handler did not run: that is no failure of the service.
                let outcome = outcome(&mut inputs, id).await;
                let Outcome::Starved { reason, .. } = outcome else { panic!("{outcome:?}") };
                assert!(reason.contains("is gone"), "{reason}");
                break;
            };
            outcome(&mut inputs, id).await;
        }
    });
}

#[test]
fn an_entity_beyond_the_limit_of_actors_is_served_as_well_and_idle_actors_are_stopped() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let services = BTreeMap::from([("fragile", LinkedSbb::of::<Fragile>())]);
        let mut worker = CellWorker { services, entities: BTreeMap::new(), actors_max: 1 };
        let cell = CellId { cohort: CohortId(1), number: 1 };
        let entity = |number| EntityId { cell, number };
        let first = worker.actor(entity(0), "fragile").unwrap();
        assert_eq!(worker.actor(entity(0), "fragile").unwrap(), first);
        worker.actor(entity(1), "fragile").unwrap();
        assert_eq!(worker.entities.len(), 1, "the second one is not kept");
        worker.sweep(Instant::now() + IDLE_MAX);
        assert!(worker.entities.is_empty());
        // Nobody keeps the address of this one.
        let alone = SbbEntityActor { sbb: LinkedSbb::of::<Fragile>() }.start();
        let _ = alone.try_send(run(deliver(1, "fragile"), &sink));
        drop(alone);
        assert!(matches!(outcome(&mut inputs, 1).await, Outcome::Delivered { .. }));
    });
}

/// Does not return before [`RELEASED`] is set.
#[derive(Default, Serialize, Deserialize)]
struct Endless;

static RELEASED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

impl Sbb for Endless {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { name: "endless", ..Fragile::descriptor() }
    }

    fn on_event(&mut self, _: &mut SbbContext<'_>, _: &Event) -> Result<(), Failure> {
        let released = RELEASED.0.lock().expect("nobody panics with it");
        drop(RELEASED.1.wait_while(released, |released| !*released));
        Ok(())
    }
}

#[test]
fn a_handler_that_hangs_loses_its_thread_and_what_waited_behind_it_runs() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let services = [LinkedSbb::of::<Fragile>(), LinkedSbb::of::<Endless>()];
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &services);
        hand(&mut workers, deliver(1, "endless"), &sink);
        hand(&mut workers, deliver(2, "fragile"), &sink);
        while workers.workers[0].running.ran(DeliveryId(1)).is_none() {
            tokio::task::yield_now().await;
        }
        hand(&mut workers, deliver(3, "fragile"), &sink);
        let waits = workers.abandon(0, DeliveryId(3), Duration::ZERO);
        assert_eq!(waits, Fate::Early(WAITING_GRACE));
        assert_eq!(workers.abandon(0, DeliveryId(3), Duration::ZERO), Fate::Waited);
        let fate = workers.abandon(0, DeliveryId(1), Duration::ZERO);
        let Fate::Hangs(fate) = fate else { panic!("{fate:?}") };
        assert!(fate.contains("1 of 16 threads"), "{fate}");
        assert_eq!((workers.news_of_hanging(), workers.news_of_hanging()), (Some(1), None));
        assert!(matches!(outcome(&mut inputs, 2).await, Outcome::Delivered { .. }));
        *RELEASED.0.lock().unwrap() = true;
        RELEASED.1.notify_all();
        // The thread's late answer; the core refuses it.
        assert!(matches!(outcome(&mut inputs, 1).await, Outcome::Delivered { .. }));
        while workers.news_of_hanging() != Some(0) {
            tokio::task::yield_now().await;
        }
    });
}

/// Does not return either, from its first event.
#[derive(Default, Serialize, Deserialize)]
struct Lost;

impl Sbb for Lost {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { name: "lost", ..Fragile::descriptor() }
    }

    fn on_event(&mut self, _: &mut SbbContext<'_>, _: &Event) -> Result<(), Failure> {
        loop {
            std::thread::park();
        }
    }
}

/// As many calls may have a timer at one moment.
#[test]
fn whatever_waits_behind_a_worker_is_delivered_however_many_they_are() {
    const WAITING: u64 = 50_000;
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let services = [LinkedSbb::of::<Fragile>(), LinkedSbb::of::<Lost>()];
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &services);
        stall(&mut workers, &sink).await;
        for id in 2..=WAITING {
            hand(&mut workers, deliver(id, "fragile"), &sink);
        }
        assert!(inputs.try_recv().is_err(), "none is refused");
        assert!(matches!(workers.abandon(0, DeliveryId(1), Duration::ZERO), Fate::Hangs(_)));
        for id in 2..=WAITING {
            assert!(matches!(outcome(&mut inputs, id).await, Outcome::Delivered { .. }), "{id}");
        }
    });
}

/// Delivery 1 keeps the only worker, for ever.
async fn stall(workers: &mut CellWorkers, sink: &Recipient<Feed>) {
    hand(workers, deliver(1, "lost"), sink);
    while workers.workers[0].running.ran(DeliveryId(1)).is_none() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_next_run_of_the_node_does_not_wait_behind_a_handler_that_hung_in_the_one_before() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let services = [LinkedSbb::of::<Fragile>(), LinkedSbb::of::<Lost>()];
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &services);
        stall(&mut workers, &sink).await;
        workers.forget();
        workers.deliver(1, deliver(1, "fragile"), sink.clone(), Span::none());
        assert!(matches!(outcome(&mut inputs, 1).await, Outcome::Delivered { .. }));
    });
}

/// Takes its time, as often as it is told to.
#[derive(Default, Serialize, Deserialize)]
struct Slow;

static LET: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());

impl Sbb for Slow {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { name: "slow", ..Fragile::descriptor() }
    }

    fn on_event(&mut self, _: &mut SbbContext<'_>, _: &Event) -> Result<(), Failure> {
        let allowed = LET.0.lock().expect("nobody panics with it");
        let mut allowed = LET.1.wait_while(allowed, |allowed| *allowed == 0).expect("as above");
        *allowed -= 1;
        Ok(())
    }
}

/// The core gives a delivery up 10 s after it was handed out. This one waited for its worker all
/// that time, as on an overloaded node, and has begun just now.
#[test]
fn a_handler_that_has_only_just_begun_does_not_hang() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &[LinkedSbb::of::<Slow>()]);
        hand(&mut workers, deliver(1, "slow"), &sink);
        hand(&mut workers, deliver(2, "slow"), &sink);
        *LET.0.lock().unwrap() += 1;
        LET.1.notify_all();
        assert!(matches!(outcome(&mut inputs, 1).await, Outcome::Delivered { .. }));
        while workers.workers[0].running.ran(DeliveryId(2)).is_none() {
            tokio::task::yield_now().await;
        }
        let fate = workers.abandon(0, DeliveryId(2), DEADLINE);
        *LET.0.lock().unwrap() += 1;
        LET.1.notify_all();
        assert!(matches!(fate, Fate::Early(left) if left <= DEADLINE), "{fate:?}");
        assert!(matches!(outcome(&mut inputs, 2).await, Outcome::Delivered { .. }));
    });
}

#[test]
fn what_was_handed_to_another_thread_is_waited_for_a_while_longer_once() {
    System::new().block_on(async {
        let (sender, _inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &[LinkedSbb::of::<Lost>()]);
        (1..=3).for_each(|id| hand(&mut workers, deliver(id, "lost"), &sink));
        while workers.workers[0].running.ran(DeliveryId(1)).is_none() {
            tokio::task::yield_now().await;
        }
        assert!(matches!(workers.abandon(0, DeliveryId(1), Duration::ZERO), Fate::Hangs(_)));
        // The second one runs on the fresh thread, the third one waits behind it.
        assert_eq!(workers.abandon(0, DeliveryId(3), Duration::ZERO), Fate::Early(WAITING_GRACE));
        assert_eq!(workers.abandon(0, DeliveryId(3), Duration::ZERO), Fate::Waited);
    });
}
