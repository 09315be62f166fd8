//! Workers: threads that run the deliveries of cells, each cell on one of them.
//!
//! A worker starts the actor of an entity at its first delivery and stops it when it has been
//! idle. A handler that never returns stalls its worker only, until the core gives its delivery
//! up: then another thread takes the worker's place, and the thread that hangs is left to itself.

use crate::sbb_entity::{Handed, Reply, Run, Running, SbbEntityActor};
use crate::slee::Feed;
use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Message, Recipient};
use resilee_core::Fate;
use resilee_sbb::{CellId, Deliver, DeliveryId, EntityId, LinkedSbb, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Span;

/// An actor without deliveries for so long is stopped: most of a call nothing happens, and an
/// actor takes 2 KB where a new one takes a microsecond.
const IDLE_MAX: Duration = Duration::from_secs(3);
/// How often idle actors are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// How much longer a delivery is waited for that was not begun, once on each thread: what keeps the
/// thread may be about to be found to hang.
const WAITING_GRACE: Duration = Duration::from_secs(2);
/// Threads that may hang in a handler; with so many, a further one keeps its worker for ever.
const STUCK_MAX: usize = 16;

/// All workers of a node.
#[derive(Debug)]
pub(crate) struct CellWorkers {
    services: BTreeMap<&'static str, LinkedSbb>,
    workers: Vec<Worker>,
    /// Actors of one worker.
    actors_max: usize,
    /// Deliveries without an answer.
    unanswered: BTreeMap<(u64, DeliveryId), Unanswered>,
    /// What threads were doing when they were abandoned; those that still do it hang.
    abandoned: Vec<Arc<Running>>,
    /// What hangs on a worker that was not replaced.
    kept: Vec<(Arc<Running>, DeliveryId)>,
    /// Threads that hang, as the core of this run knows.
    told: usize,
}

#[derive(Debug)]
struct Worker {
    arbiter: Arbiter,
    address: Addr<CellWorker>,
    running: Arc<Running>,
}

/// A delivery that may have to be handed to another worker.
#[derive(Debug)]
struct Unanswered {
    worker: usize,
    /// It was overdue once, and still waited for its thread.
    waited: bool,
    handed: Arc<Handed>,
    reply: (u64, Recipient<Feed>),
    call: Span,
}

impl CellWorkers {
    /// Starts `count` threads, at least one, which keep `actors_max` actors together.
    pub fn start(count: usize, actors_max: usize, services: &[LinkedSbb]) -> Self {
        let services: BTreeMap<_, _> =
            services.iter().map(|sbb| (sbb.descriptor().name, *sbb)).collect();
        let count = count.max(1);
        let actors_max = actors_max.div_ceil(count);
        let workers = (0..count).map(|_| Worker::start(&services, actors_max)).collect();
        let (unanswered, abandoned, kept) = (BTreeMap::new(), Vec::new(), Vec::new());
        CellWorkers { services, workers, actors_max, unanswered, abandoned, kept, told: 0 }
    }

    /// True if a service of this name is linked or deployed.
    pub fn has(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// What is delivered from now on finds this service. Each worker has a map of its own, which
    /// only a message changes: deliveries, which are many, share no lock because of uploads, which
    /// are few.
    pub fn deploy(&mut self, service: LinkedSbb) {
        self.services.insert(service.descriptor().name, service);
        self.tell(Deployed(service));
    }

    /// What is delivered from now on does not find this service.
    pub fn undeploy(&mut self, service: &'static str) {
        self.services.remove(service);
        self.tell(Undeployed(service));
    }

    /// Not refused by a full mailbox: a worker that missed one would miss the service.
    fn tell<M: Message<Result = ()> + Copy + Send + 'static>(&self, message: M)
    where
        CellWorker: Handler<M>,
    {
        self.workers.iter().for_each(|worker| worker.address.do_send(message));
    }

    /// Runs a delivery of the core of `run`; the answer goes to `to`.
    pub fn deliver(&mut self, run: u64, deliver: Box<Deliver>, to: Recipient<Feed>, call: Span) {
        let worker = self.worker(deliver.entity.cell);
        let key = (run, deliver.id);
        let handed = Arc::new(Handed::new(*deliver));
        let unanswered = Unanswered { worker, waited: false, handed, reply: (run, to), call };
        self.workers[worker].send(&unanswered);
        self.unanswered.insert(key, unanswered);
    }

    /// The core has the answer of a delivery.
    pub fn answered(&mut self, run: u64, delivery: DeliveryId) {
        self.unanswered.remove(&(run, delivery));
    }

    /// The core waits no longer for a delivery. If its handler is what keeps its worker, and has
    /// done so for longer than it may run, another thread takes the worker's place, with all that
    /// waited behind it.
    pub fn abandon(&mut self, run: u64, delivery: DeliveryId, may_run: Duration) -> Fate {
        let key = (run, delivery);
        let Some(unanswered) = self.unanswered.get_mut(&key) else { return Fate::Waited };
        let index = unanswered.worker;
        match self.workers[index].running.ran(delivery) {
            Some(ran) if ran < may_run => return Fate::Early(may_run - ran),
            Some(_) => {}
            None if !std::mem::replace(&mut unanswered.waited, true) => {
                return Fate::Early(WAITING_GRACE);
            }
            // It has begun in this moment.
            None if !unanswered.handed.withdraw() => return Fate::Early(may_run),
            None => {
                self.unanswered.remove(&key);
                return Fate::Waited;
            }
        }
        self.unanswered.remove(&key);
        if !self.replace(index) {
            self.kept.push((self.workers[index].running.clone(), delivery));
            return Fate::Hangs(format!(
                "{STUCK_MAX} threads hang already, so its worker is not replaced: start this \
                 node again"
            ));
        }
        for waiting in self.unanswered.values_mut().filter(|waiting| waiting.worker == index) {
            waiting.waited = false;
            // The other thread may come back to it.
            waiting.handed.try_again();
            self.workers[index].send(waiting);
        }
        let hanging = self.abandoned.len();
        Fate::Hangs(format!("its worker was replaced, {hanging} of {STUCK_MAX} threads may hang"))
    }

    /// How many threads hang in handlers now, if the core of this run is to be told.
    pub fn news_of_hanging(&mut self) -> Option<usize> {
        self.abandoned.retain(|running| !running.is_idle());
        self.kept.retain(|(running, delivery)| running.ran(*delivery).is_some());
        let hanging = self.abandoned.len() + self.kept.len();
        (std::mem::replace(&mut self.told, hanging) != hanging).then_some(hanging)
    }

    /// Another run of the node begins: its core waits for nothing of this one, and would not know
    /// of a handler that hangs. So a thread that is still at work is left to itself, and what has
    /// not begun is not run.
    pub fn forget(&mut self) {
        for waiting in std::mem::take(&mut self.unanswered).into_values() {
            // One that has begun is found at work below.
            let _ = waiting.handed.withdraw();
        }
        self.told = 0;
        for index in 0..self.workers.len() {
            if !self.workers[index].running.is_idle() {
                // With too many the worker stays: it may come back.
                let _ = self.replace(index);
            }
        }
    }

    /// Another thread takes a worker's place; false if too many may hang already.
    fn replace(&mut self, index: usize) -> bool {
        self.abandoned.retain(|running| !running.is_idle());
        if self.abandoned.len() >= STUCK_MAX {
            return false;
        }
        let fresh = Worker::start(&self.services, self.actors_max);
        let old = std::mem::replace(&mut self.workers[index], fresh);
        old.arbiter.stop();
        self.abandoned.push(old.running);
        true
    }

    fn worker(&self, cell: CellId) -> usize {
        // Cells of one cohort are numbered: they go round.
        let turn = (cell.cohort.0 ^ cell.number) % self.workers.len() as u64;
        usize::try_from(turn).expect("less than the number of workers")
    }
}

impl Worker {
    fn start(services: &BTreeMap<&'static str, LinkedSbb>, actors_max: usize) -> Self {
        let (arbiter, services) = (Arbiter::new(), services.clone());
        let worker = CellWorker { services, entities: BTreeMap::new(), actors_max };
        let address = CellWorker::start_in_arbiter(&arbiter.handle(), move |_| worker);
        Worker { arbiter, address, running: Arc::default() }
    }

    fn send(&self, unanswered: &Unanswered) {
        let Unanswered { handed, reply: (run, to), call, .. } = unanswered;
        let reply = Reply::new(*run, handed.clone(), to.clone());
        let (call, running) = (call.clone(), self.running.clone());
        // Not refused by a full mailbox: a cell has one delivery at a time, so there are no more of
        // them than `calls_max` lets cells be. If the worker is gone, its reply answers for it.
        self.address.do_send(Run { reply, call, running });
    }
}

impl Drop for CellWorkers {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.arbiter.stop();
        }
    }
}

/// One thread's entities.
#[derive(Debug)]
struct CellWorker {
    services: BTreeMap<&'static str, LinkedSbb>,
    entities: BTreeMap<EntityId, Entity>,
    /// Beyond it an entity gets an actor for a single delivery.
    actors_max: usize,
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
        context.run_interval(SWEEP, |worker, _| worker.sweep(Instant::now()));
    }
}

impl Handler<Run> for CellWorker {
    type Result = ();

    fn handle(&mut self, run: Run, _: &mut Self::Context) {
        let deliver = run.reply.deliver();
        let service = deliver.service;
        let Some(actor) = self.actor(deliver.root(), service) else {
            let reason = format!("the service {service} is not deployed");
            return run.reply.answer(Outcome::RolledBack { reason, effects: Vec::new() });
        };
        // As in `CellWorkers::deliver`.
        let _ = actor.try_send(run);
    }
}

/// A service was deployed while the node runs.
#[derive(Clone, Copy, Debug)]
struct Deployed(LinkedSbb);

impl Message for Deployed {
    type Result = ();
}

impl Handler<Deployed> for CellWorker {
    type Result = ();

    fn handle(&mut self, Deployed(service): Deployed, _: &mut Self::Context) {
        self.services.insert(service.descriptor().name, service);
    }
}

/// A service is not there any more.
#[derive(Clone, Copy, Debug)]
struct Undeployed(&'static str);

impl Message for Undeployed {
    type Result = ();
}

impl Handler<Undeployed> for CellWorker {
    type Result = ();

    fn handle(&mut self, Undeployed(service): Undeployed, _: &mut Self::Context) {
        self.services.remove(service);
        // Another one may have the same name soon, and its entities the same numbers.
        self.entities.retain(|_, entity| entity.service != service);
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
        if self.entities.len() < self.actors_max {
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
mod tests;
