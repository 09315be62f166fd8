//! Uploaded units at this node: which are compiled, and whose services the workers have.
//!
//! | what                             | what happens                                              |
//! |----------------------------------|-----------------------------------------------------------|
//! | the core wants a unit compiled   | its thread compiles it; the workers get its service, then |
//! |                                  | the core hears of it                                      |
//! | its service has another's name   | an error: whoever had the name first keeps it             |
//! | the core forgets a unit          | the workers lose its service, its compiler what it holds; |
//! |                                  | what is still compiled of it is not deployed              |
//! | somebody asks what is in one     | it is compiled, and kept for a while: it may be deployed; |
//! |                                  | while several are asked about, he is to ask again         |
//! | a run begins                     | what its store holds is compiled before, or kept          |
//! | the first one, and what calls    | the node does not start                                   |
//! | depend on cannot be compiled, or |                                                           |
//! | is not deployed (`run.rs`)       |                                                           |
//!
//! What the core wants is the core's to decide (`units.rs` there).

use crate::cell_worker::CellWorkers;
use crate::slee::{Feed, Slee};
use crate::unit_thread::{self, Compiled, DESCRIBED_MAX, UnitThread, gone};
use actix::fut::WrapFuture;
use actix::{ActorFutureExt, AsyncContext, Context, ResponseFuture};
use resilee_core::management::{Answer, UnitDescription};
use resilee_core::{Input, Restored, units_of};
use resilee_sbb::{Descriptor, LinkedSbb, NotCompiled, UnitCompiler};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Services that are kept although the core does not want them: each takes memory.
const SPARE_MAX: usize = 4;
/// How often a unit of the store is tried that could not be compiled for a reason that may pass.
const RESTORE_TRIES: usize = 3;
/// What the core and operators are told without a compiler.
const NO_COMPILER: &str = "this node cannot compile units";

/// Units of a store that cannot be compiled, by their ids, and why.
pub(crate) type Refused = BTreeMap<String, NotCompiled>;

/// Units at this node.
#[derive(Debug)]
pub(crate) struct Units {
    thread: Option<UnitThread>,
    /// Those that the core wants, with their services; the workers have these.
    deployed: BTreeMap<String, LinkedSbb>,
    /// Those that were asked about, or whose run was over when they were compiled.
    spare: VecDeque<(String, LinkedSbb)>,
    /// Those that the core waits for, each by a ticket of its own.
    awaited: BTreeMap<String, u64>,
    next_ticket: u64,
    /// How many are asked about and not compiled yet.
    described: usize,
    /// The next run is prepared, and may begin with any that are spare: all of them are kept.
    is_restoring: bool,
}

/// Compiles what a store holds, while there is no core.
#[derive(Debug)]
pub(crate) struct Restoring {
    thread: Option<UnitThread>,
    known: BTreeMap<String, LinkedSbb>,
}

impl Restoring {
    /// The services of its units, and those that cannot be compiled: if a run begins without them
    /// its core asks for them again, and raises the alarm.
    pub async fn compile(&self, restored: &Restored) -> (BTreeMap<String, LinkedSbb>, Refused) {
        let (mut services, mut refused) = (BTreeMap::new(), Refused::new());
        for (unit, bytes) in units_of(restored) {
            let mut compiled = self.compile_one(&unit, &bytes).await;
            for _ in 1..RESTORE_TRIES {
                if matches!(compiled, Err(NotCompiled::Passing(_))) {
                    compiled = self.compile_one(&unit, &bytes).await;
                }
            }
            match compiled {
                Ok(service) => drop(services.insert(unit, service)),
                Err(reason) => {
                    tracing::warn!(unit, %reason, "a unit of the store is left out");
                    refused.insert(unit, reason);
                }
            }
        }
        (services, refused)
    }

    async fn compile_one(&self, unit: &str, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        let thread = self.thread.as_ref().ok_or_else(|| NO_COMPILER.to_owned())?;
        let known = self.known.clone();
        let compiled = thread.compile(Some(unit.to_owned()), bytes.to_vec(), known)?;
        received(compiled.await)?.service
    }
}

impl Units {
    /// Units of a node that compiles them so, if it can.
    pub fn start(compiler: Option<Arc<dyn UnitCompiler>>) -> io::Result<Self> {
        let thread = compiler.map(UnitThread::start).transpose()?;
        let (deployed, spare, awaited) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        let (next_ticket, described, is_restoring) = (0, 0, false);
        Ok(Units { thread, deployed, spare, awaited, next_ticket, described, is_restoring })
    }

    /// What compiles the units of a store for the next run. The core of the last one gets no
    /// answers any more.
    pub fn restoring(&mut self) -> Restoring {
        self.awaited.clear();
        self.is_restoring = true;
        Restoring { thread: self.thread.clone(), known: self.known() }
    }

    /// A run begins whose core has these.
    pub fn begin_run(&mut self, units: BTreeMap<String, LinkedSbb>, workers: &mut CellWorkers) {
        let gone = self.deployed.keys().filter(|unit| !units.contains_key(*unit));
        for unit in gone.cloned().collect::<Vec<_>>() {
            self.forget(&unit, workers);
        }
        for (unit, service) in units {
            self.spare.retain(|(spare, _)| *spare != unit);
            // If another one has the name, the core refuses this one for the same reason.
            if self.deploy(&unit, service, workers).is_err() {
                unit_thread::forget(service);
            }
        }
        self.is_restoring = false;
        self.make_room();
    }

    fn known(&self) -> BTreeMap<String, LinkedSbb> {
        let spare = self.spare.iter().map(|(unit, service)| (unit, service));
        self.deployed.iter().chain(spare).map(|(unit, sbb)| (unit.clone(), *sbb)).collect()
    }

    fn compile(&mut self, unit: &str, bytes: Vec<u8>) -> Result<Awaited, NotCompiled> {
        let thread = self.thread.as_ref().ok_or_else(|| NO_COMPILER.to_owned())?;
        let compiled = thread.compile(Some(unit.to_owned()), bytes, self.known())?;
        self.next_ticket += 1;
        self.awaited.insert(unit.to_owned(), self.next_ticket);
        Ok(Awaited { ticket: self.next_ticket, compiled })
    }

    /// A unit that the core wanted is compiled, or cannot be; what the core is to be told, if it
    /// still waits.
    fn on_compiled(
        &mut self,
        unit: &str,
        ticket: u64,
        compiled: Result<Compiled, NotCompiled>,
        workers: &mut CellWorkers,
    ) -> Option<Result<LinkedSbb, NotCompiled>> {
        if self.awaited.get(unit) != Some(&ticket) {
            if let Ok(compiled) = compiled {
                self.keep(&compiled);
            }
            return None;
        }
        self.awaited.remove(unit);
        let service = compiled.and_then(|compiled| compiled.service);
        Some(service.and_then(|service| {
            self.spare.retain(|(spare, _)| spare != unit);
            self.deploy(unit, service, workers).inspect_err(|_| unit_thread::forget(service))?;
            Ok(service)
        }))
    }

    fn deploy(
        &mut self,
        unit: &str,
        service: LinkedSbb,
        workers: &mut CellWorkers,
    ) -> Result<(), String> {
        let name = service.descriptor().name;
        if self.deployed.contains_key(unit) {
            return Ok(());
        }
        if workers.has(name) {
            return Err(format!("this node has another service {name}"));
        }
        workers.deploy(service);
        self.deployed.insert(unit.to_owned(), service);
        Ok(())
    }

    /// Nothing of this unit is delivered any more.
    pub fn forget(&mut self, unit: &str, workers: &mut CellWorkers) {
        self.awaited.remove(unit);
        if let Some(service) = self.deployed.remove(unit) {
            workers.undeploy(service.descriptor().name);
            unit_thread::forget(service);
        }
    }

    /// Keeps a service that nobody wants now; the oldest one makes room. One that was known when
    /// its job began is here still, or it is forgotten.
    fn keep(&mut self, compiled: &Compiled) {
        let Compiled { id, service: Ok(service), was_known: false, .. } = compiled else { return };
        if self.deployed.contains_key(id) || self.spare.iter().any(|(spare, _)| spare == id) {
            unit_thread::forget(*service);
            return;
        }
        self.spare.push_back((id.clone(), *service));
        self.make_room();
    }

    /// Forgets the oldest ones that are spare, but none that is about to be deployed.
    fn make_room(&mut self) {
        while self.spare.len() > SPARE_MAX && !self.is_restoring {
            let oldest = self.spare.iter().position(|(unit, _)| !self.awaited.contains_key(unit));
            let Some((_, oldest)) = oldest.and_then(|at| self.spare.remove(at)) else { return };
            unit_thread::forget(oldest);
        }
    }

    fn describe(&mut self, bytes: Vec<u8>) -> Result<oneshot::Receiver<Compiled>, Answer> {
        let Some(thread) = &self.thread else { return Err(Answer::Refused(NO_COMPILER.into())) };
        if self.described >= DESCRIBED_MAX {
            let text = format!(
                "this node looks at {DESCRIBED_MAX} other units now: ask again in some seconds"
            );
            return Err(Answer::Unavailable(text));
        }
        let compiled = thread.compile(None, bytes, self.known());
        let compiled = compiled.map_err(|reason| Answer::Unavailable(reason.to_string()))?;
        self.described += 1;
        Ok(compiled)
    }

    fn on_described(
        &mut self,
        compiled: Result<Compiled, oneshot::error::RecvError>,
        in_the_way: impl Fn(&Descriptor) -> Option<String>,
    ) -> Answer {
        self.described -= 1;
        let Ok(compiled) = compiled else { return Answer::Unavailable(gone().to_string()) };
        self.keep(&compiled);
        let Compiled { id, bytes, service, .. } = compiled;
        Answer::Unit(match service {
            Ok(service) => {
                let service = service.descriptor();
                let in_the_way = in_the_way(&service);
                let unit = UnitDescription::new(id, bytes, &service);
                Ok(Box::new(UnitDescription { in_the_way, ..unit }))
            }
            Err(NotCompiled::Lasting(reason)) => Err(reason),
            Err(NotCompiled::Passing(reason)) => {
                return Answer::Unavailable(format!("{reason}: ask again in some seconds"));
            }
        })
    }
}

/// A unit that the core waits for.
struct Awaited {
    ticket: u64,
    compiled: oneshot::Receiver<Compiled>,
}

fn received(
    compiled: Result<Compiled, oneshot::error::RecvError>,
) -> Result<Compiled, NotCompiled> {
    compiled.map_err(|_| gone())
}

impl Slee {
    /// The core wants a unit compiled.
    pub(crate) fn compile_unit(
        &mut self,
        unit: String,
        bytes: Vec<u8>,
        context: &mut Context<Self>,
    ) {
        match self.units.compile(&unit, bytes) {
            Err(reason) => {
                let input = Input::Compiled { unit, service: Err(reason) };
                context.notify(Feed::inside(self.run, input));
            }
            Ok(Awaited { ticket, compiled }) => {
                let compiled = compiled.into_actor(self);
                context.spawn(compiled.map(move |compiled, slee, context| {
                    let compiled = received(compiled);
                    let told = slee.units.on_compiled(&unit, ticket, compiled, &mut slee.workers);
                    if let Some(service) = told {
                        slee.feed(Input::Compiled { unit, service }, context);
                    }
                }));
            }
        }
    }

    /// Somebody asks what is in a unit.
    pub(crate) fn describe_unit(
        &mut self,
        bytes: Vec<u8>,
        context: &mut Context<Self>,
    ) -> ResponseFuture<Answer> {
        let compiled = match self.units.describe(bytes) {
            Ok(compiled) => compiled,
            Err(answer) => return Box::pin(async { answer }),
        };
        let (answer, answered) = oneshot::channel();
        context.spawn(compiled.into_actor(self).map(|compiled, slee, _| {
            let in_the_way =
                |service: &Descriptor| slee.fresh.as_ref()?.core.in_the_way_of_upload(service);
            // Whoever asked may have given up.
            let _ = answer.send(slee.units.on_described(compiled, in_the_way));
        }));
        Box::pin(async {
            answered.await.unwrap_or_else(|_| Answer::Unavailable("the node ends".to_owned()))
        })
    }
}

#[cfg(test)]
mod tests;
