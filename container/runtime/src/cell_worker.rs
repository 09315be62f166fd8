//! Workers: threads that run the deliveries of cells, each cell on one of them.
//!
//! A worker starts the actor of an entity at its first delivery and stops it when it has been
//! idle. A handler that never returns stalls its worker only.

use crate::sbb_entity::{Run, SbbEntityActor};
use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler};
use resilee_sbb::{CellId, EntityId, LinkedSbb, Outcome};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Deliveries that wait for one worker; more are rolled back.
const MAILBOX_MAX: usize = 16_384;
/// Actors of one worker; beyond it an entity gets one for a single delivery.
const ACTORS_MAX: usize = 50_000;
/// An actor without deliveries for so long is stopped.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How often idle actors are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// All workers of a node.
#[derive(Debug)]
pub(crate) struct CellWorkers {
    workers: Vec<(Arbiter, Addr<CellWorker>)>,
}

impl CellWorkers {
    /// Starts `count` threads, at least one.
    pub fn start(count: usize, services: &[LinkedSbb]) -> Self {
        let services: BTreeMap<_, _> =
            services.iter().map(|sbb| ((sbb.descriptor)().name, *sbb)).collect();
        let start = |_| {
            let arbiter = Arbiter::new();
            let worker = CellWorker { services: services.clone(), entities: BTreeMap::new() };
            let worker = CellWorker::start_in_arbiter(&arbiter.handle(), move |_| worker);
            (arbiter, worker)
        };
        CellWorkers { workers: (0..count.max(1)).map(start).collect() }
    }

    /// Runs a delivery; the answer goes to its `reply`.
    pub fn deliver(&self, run: Run) {
        let worker = self.worker(run.deliver.entity.cell);
        // A delivery that is refused is dropped, and its reply answers for it.
        let _ = worker.try_send(run);
    }

    fn worker(&self, cell: CellId) -> &Addr<CellWorker> {
        // Cells of one cohort are numbered: they go round.
        let turn = (cell.cohort.0 ^ cell.number) % self.workers.len() as u64;
        let index = usize::try_from(turn).expect("less than the number of workers");
        &self.workers[index].1
    }
}

impl Drop for CellWorkers {
    fn drop(&mut self) {
        for (arbiter, _) in &self.workers {
            arbiter.stop();
        }
    }
}

/// One thread's entities.
#[derive(Debug)]
struct CellWorker {
    services: BTreeMap<&'static str, LinkedSbb>,
    entities: BTreeMap<EntityId, Entity>,
}

#[derive(Debug)]
struct Entity {
    /// An entity number may be used again by another service, after a roll back for instance.
    service: &'static str,
    actor: Addr<SbbEntityActor>,
    used_at: Instant,
}

impl Actor for CellWorker {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MAX);
        context.run_interval(SWEEP, |worker, _| worker.sweep(Instant::now()));
    }
}

impl Handler<Run> for CellWorker {
    type Result = ();

    fn handle(&mut self, run: Run, _: &mut Self::Context) {
        let service = run.deliver.service;
        let Some(actor) = self.actor(run.deliver.entity, service) else {
            let reason = format!("the service {service} is not deployed");
            return run.reply.answer(Outcome::RolledBack { reason, effects: Vec::new() });
        };
        // As in `CellWorkers::deliver`.
        let _ = actor.try_send(run);
    }
}

impl CellWorker {
    fn actor(&mut self, id: EntityId, service: &'static str) -> Option<Addr<SbbEntityActor>> {
        let used_at = Instant::now();
        let known = self.entities.get_mut(&id);
        if let Some(entity) = known.filter(|e| e.service == service && e.actor.connected()) {
            entity.used_at = used_at;
            return Some(entity.actor.clone());
        }
        let sbb = *self.services.get(service)?;
        let actor = SbbEntityActor { sbb }.start();
        if self.entities.len() < ACTORS_MAX {
            self.entities.insert(id, Entity { service, actor: actor.clone(), used_at });
        }
        Some(actor)
    }

    /// An actor ends when nobody has its address.
    fn sweep(&mut self, now: Instant) {
        self.entities.retain(|_, entity| now.duration_since(entity.used_at) < IDLE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbb_entity::Reply;
    use crate::slee::Feed;
    use actix::{Message, Recipient, System};
    use resilee_core::Input;
    use resilee_sbb::{
        ActivityEnd, ActivityId, CohortId, Context as SbbContext, Deliver, DeliveryId, Descriptor,
        Event, Failure, Sbb, Tables, Timestamp,
    };
    use serde::{Deserialize, Serialize};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

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
                name: "fragile",
                vendor: "test",
                version: "1",
                priority: 0,
                initial_events: &[],
                events: &[],
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
        Box::new(Deliver {
            id: DeliveryId(id),
            entity: EntityId { cell, number: 0 },
            service,
            event: Event::new(activity, &ActivityEnd {}).unwrap(),
            state: None,
            attributes: BTreeMap::new(),
            tables: Tables::default(),
            now: Timestamp::ZERO,
            seed: 1,
        })
    }

    fn run(deliver: Box<Deliver>, to: &Recipient<Feed>) -> Run {
        let reply = Reply::new(0, deliver.id, to.clone());
        Run { deliver, reply, call: tracing::Span::none() }
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
            let workers = CellWorkers::start(2, &[LinkedSbb::of::<Fragile>()]);
            workers.deliver(run(deliver(1, "fragile"), &sink));
            let Outcome::Delivered { state, .. } = outcome(&mut inputs, 1).await else {
                panic!("delivered");
            };
            let mut second = deliver(2, "fragile");
            second.state = Some(state);
            workers.deliver(run(second, &sink));
            let reason = reason(outcome(&mut inputs, 2).await);
            assert_eq!(reason, "panicked: one event is enough");
            workers.deliver(run(deliver(3, "fragile"), &sink));
            assert!(matches!(outcome(&mut inputs, 3).await, Outcome::Delivered { .. }));
            workers.deliver(run(deliver(4, "nobody"), &sink));
            assert!(self::reason(outcome(&mut inputs, 4).await).contains("nobody is not deployed"));
        });
    }

    #[test]
    fn a_dead_actor_or_worker_is_answered_for() {
        System::new().block_on(async {
            let (sender, mut inputs) = mpsc::unbounded_channel();
            let sink = Sink(sender).start().recipient();
            let workers = CellWorkers::start(1, &[LinkedSbb::of::<Fragile>()]);
            let dead = workers.worker(deliver(1, "fragile").entity.cell).clone();
            drop(workers);
            // The thread ends some time after it was told to.
            for id in 1.. {
                let Ok(()) = dead.try_send(run(deliver(id, "fragile"), &sink)) else {
                    assert!(reason(outcome(&mut inputs, id).await).contains("is gone"));
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
            let mut worker = CellWorker { services, entities: BTreeMap::new() };
            let cell = CellId { cohort: CohortId(1), number: 1 };
            let entity = |number| EntityId { cell, number };
            let first = worker.actor(entity(0), "fragile").unwrap();
            assert_eq!(worker.actor(entity(0), "fragile").unwrap(), first);
            worker.sweep(Instant::now() + IDLE_MAX);
            assert!(worker.entities.is_empty());
            // Nobody keeps the address of this one.
            let alone = SbbEntityActor { sbb: LinkedSbb::of::<Fragile>() }.start();
            let _ = alone.try_send(run(deliver(1, "fragile"), &sink));
            drop(alone);
            assert!(matches!(outcome(&mut inputs, 1).await, Outcome::Delivered { .. }));
        });
    }
}
