//! SBBs that are linked into the node, those of uploaded units, and how a delivery's answer is
//! computed.
//!
//! | the delivery's task | handlers that run, in one transaction                             |
//! |---------------------|-------------------------------------------------------------------|
//! | event               | `on_event`; if it fails, `exception_thrown`                       |
//! | select              | `initial_event`                                                   |
//! | rolled back         | `rolled_back`                                                     |
//! | migrate             | `migrate`, of each entity of the tree whose state is of another   |
//! |                     | version                                                           |
//! | (a call meanwhile)  | `on_call` of the callee                                           |
//!
//! A panic of a handler is a failure of it, whoever calls [`LinkedSbb::invoke`].

use crate::call::{Answer, Call};
use crate::codec;
use crate::context::Context;
use crate::delivery::{Deliver, Outcome, StateBytes, Task};
use crate::descriptor::Descriptor;
use crate::effect::{EFFECTS_MAX, Effect};
use crate::event::Event;
use crate::limits::DeliveryLimits;
use crate::sbb::{Failure, Sbb};
use crate::transaction::Transaction;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An SBB that is linked into the node, or a service of an uploaded unit, which is linked by its
/// bytes: a service, if it is a root SBB.
#[derive(Clone, Copy, Debug)]
pub struct LinkedSbb(Code);

#[derive(Clone, Copy, Debug)]
enum Code {
    Linked { descriptor: fn() -> Descriptor, handle: Handle, select: Select, migrate: Migrate },
    Uploaded(&'static dyn UploadedSbb),
}

/// A service whose code was uploaded: whoever runs it computes whole deliveries, with all that the
/// tree's children do. It lives as long as the node's process, since descriptors do.
pub trait UploadedSbb: fmt::Debug + Send + Sync {
    /// What it is.
    fn descriptor(&self) -> Descriptor;

    /// The answer to a delivery to an entity of this service.
    fn invoke(&self, deliver: &Deliver) -> Outcome;

    /// Nothing is delivered to it any more: what it holds may go.
    fn forget(&self);
}

type Handle = fn(&mut Context<'_>, &StateBytes, Run<'_>) -> Result<(StateBytes, Done), Failure>;
type Select = fn(&mut Context<'_>, &Event) -> Result<Option<String>, Failure>;
type Migrate = fn(&StateBytes, &DeliveryLimits) -> Result<StateBytes, Failure>;

/// Which handler runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run<'r> {
    Event(&'r Event),
    RolledBack(&'r Event, &'r str),
    Call(&'r Call),
}

/// What a handler gives back besides its state.
#[derive(Debug)]
pub(crate) enum Done {
    Handled,
    Answered(Answer),
}

impl LinkedSbb {
    /// The SBB `S`.
    pub const fn of<S: Sbb>() -> Self {
        LinkedSbb(Code::Linked {
            descriptor: S::descriptor,
            handle: handle::<S>,
            select: select::<S>,
            migrate: migrate::<S>,
        })
    }

    /// The service of an uploaded unit.
    pub const fn uploaded(service: &'static dyn UploadedSbb) -> Self {
        LinkedSbb(Code::Uploaded(service))
    }

    /// What it is: [`Sbb::descriptor`].
    pub fn descriptor(&self) -> Descriptor {
        match self.0 {
            Code::Linked { descriptor, .. } => descriptor(),
            Code::Uploaded(service) => service.descriptor(),
        }
    }

    /// Nothing is delivered to it any more: what was uploaded may go.
    pub fn forget(&self) {
        if let Code::Uploaded(service) = self.0 {
            service.forget();
        }
    }

    /// Computes the answer to a delivery to an entity of this service.
    pub fn invoke(&self, deliver: &Deliver) -> Outcome {
        if let Code::Uploaded(service) = self.0 {
            return service.invoke(deliver);
        }
        let mut transaction = Transaction::new(deliver);
        let result = self.run(deliver, &mut transaction);
        let result = result.and_then(|done| transaction.check().map(|()| done));
        let effects = transaction.take_effects();
        match result {
            Ok(Ran::Selected(convergence_name)) => {
                Outcome::Selected { convergence_name, effects: surviving(effects) }
            }
            Ok(Ran::Handled) => {
                let (entities, removed) = transaction.into_changes();
                Outcome::Delivered { entities, removed, effects }
            }
            Err(failure) => {
                Outcome::RolledBack { reason: failure.to_string(), effects: surviving(effects) }
            }
        }
    }

    fn run(&self, deliver: &Deliver, tx: &mut Transaction) -> Result<Ran, Failure> {
        let number = deliver.entity.number;
        if let Task::Migrate { .. } = deliver.task {
            self.migrate_tree(deliver, tx)?;
            return Ok(Ran::Handled);
        }
        let sbb = tx.sbb(deliver, *self, number)?;
        let mut cx = Context::new(deliver, tx, *self, number);
        let task = match &deliver.task {
            Task::Select => return Ok(Ran::Selected(sbb.select(&mut cx, &deliver.event)?)),
            Task::Event => Run::Event(&deliver.event),
            Task::RolledBack { reason } => Run::RolledBack(&deliver.event, reason),
            Task::Migrate { .. } => return Ok(Ran::Handled),
        };
        cx.run(sbb, task)?;
        Ok(Ran::Handled)
    }

    /// Reads the states of a tree that another service has.
    fn migrate_tree(&self, deliver: &Deliver, tx: &mut Transaction) -> Result<(), Failure> {
        for (number, entity) in &deliver.tree {
            let sbb = tx.sbb(deliver, *self, *number)?;
            let Code::Linked { migrate, .. } = sbb.0 else { return Err(sbb.is_whole()) };
            let state = migrate(&entity.state, &deliver.limits).map_err(|failure| {
                let (name, version) = (sbb.descriptor().name, entity.state.version);
                Failure::new(format!("{name} does not read state of version {version}: {failure}"))
            })?;
            tx.write(*number, state);
        }
        Ok(())
    }

    /// Runs a handler of an entity with this state.
    pub(crate) fn handle(
        &self,
        cx: &mut Context<'_>,
        state: &StateBytes,
        run: Run<'_>,
    ) -> Result<(StateBytes, Done), Failure> {
        match self.0 {
            Code::Linked { handle, .. } => handle(cx, state, run),
            Code::Uploaded(_) => Err(self.is_whole()),
        }
    }

    fn select(&self, cx: &mut Context<'_>, event: &Event) -> Result<Option<String>, Failure> {
        match self.0 {
            Code::Linked { select, .. } => select(cx, event),
            Code::Uploaded(_) => Err(self.is_whole()),
        }
    }

    /// Why an uploaded service cannot be the child of a linked one.
    fn is_whole(&self) -> Failure {
        let name = self.descriptor().name;
        Failure::new(format!("{name} was uploaded: it is a service, and no child of another one"))
    }
}

/// What ran.
enum Ran {
    Handled,
    Selected(Option<String>),
}

/// Runs the handler of `S` for one delivery to a root entity of its service.
pub fn invoke<S: Sbb>(deliver: &Deliver) -> Outcome {
    LinkedSbb::of::<S>().invoke(deliver)
}

fn handle<S: Sbb>(
    cx: &mut Context<'_>,
    state: &StateBytes,
    run: Run<'_>,
) -> Result<(StateBytes, Done), Failure> {
    let mut sbb = restore::<S>(state)?;
    let result = guarded(|| match run {
        Run::Event(event) => sbb.on_event(cx, event).map(|()| Done::Handled),
        Run::RolledBack(event, reason) => {
            sbb.rolled_back(cx, event, reason).map(|()| Done::Handled)
        }
        Run::Call(call) => sbb.on_call(cx, call).map(Done::Answered),
    });
    if let (Err(failure), Run::Event(event)) = (&result, run) {
        // Whatever it does is dropped; if it fails too, the first failure counts.
        let _ = guarded(|| {
            sbb.exception_thrown(cx, event, failure);
            Ok(())
        });
    }
    let done = result?;
    Ok((written(&sbb, state, &cx.limits())?, done))
}

/// The state of an SBB; it may grow up to the limit.
fn written<S: Sbb>(
    sbb: &S,
    before: &StateBytes,
    limits: &DeliveryLimits,
) -> Result<StateBytes, Failure> {
    let bytes = codec::encode(sbb)?;
    let (size, max) = (bytes.len(), limits.state_bytes_max);
    if size > max.max(before.bytes.len()) {
        return Err(Failure::new(format!("state of {size} bytes, {max} allowed")));
    }
    Ok(StateBytes { version: S::STATE_VERSION, bytes })
}

/// State of an entity that becomes one of `S`; of a new entity there is none.
fn migrate<S: Sbb>(state: &StateBytes, limits: &DeliveryLimits) -> Result<StateBytes, Failure> {
    match state.bytes.is_empty() {
        true => Ok(state.clone()),
        false => written(&restore::<S>(state)?, state, limits),
    }
}

/// The SBB with its state; a new entity has none.
fn restore<S: Sbb>(state: &StateBytes) -> Result<S, Failure> {
    match state {
        state if state.bytes.is_empty() => Ok(S::default()),
        state if state.version == S::STATE_VERSION => Ok(codec::decode(&state.bytes)?),
        state => guarded(|| S::migrate(state.version, &state.bytes)),
    }
}

fn select<S: Sbb>(cx: &mut Context<'_>, event: &Event) -> Result<Option<String>, Failure> {
    let selected = guarded(|| S::initial_event(cx, event))?;
    Ok(selected.convergence_name(event))
}

/// Runs a service's code; its panic is a failure. Nothing of a panicked handler is used again but
/// by `exception_thrown`: its state is decoded anew each time.
fn guarded<R>(run: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(Failure::new(format!("panicked: {}", panic_text(&*panic)))))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

fn surviving(mut effects: Vec<Effect>) -> Vec<Effect> {
    effects.retain(Effect::survives_roll_back);
    effects.truncate(EFFECTS_MAX);
    effects
}
