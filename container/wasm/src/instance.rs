//! One instance of a unit: it is asked one thing, and then it is gone.

use crate::clock::Clock;
use crate::deadline::{Clocks, Deadline};
use crate::descriptions::Descriptions;
use crate::limits::{COPIED_BYTES_MAX, DESCRIBE_TIME_MAX, DESCRIBE_WALL_MAX};
use crate::node_side::NodeSide;
use crate::slots::Slots;
use crate::stop::Stop;
use resilee_sbb::{Effect, UnitLimits};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lower};
use wasmtime::{Engine, Store, UpdateDeadline};

/// What all units of a node share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub engine: Engine,
    pub clock: Clock,
    pub slots: Slots,
    pub limits: UnitLimits,
    /// By which it is told how long they run.
    pub clocks: Clocks,
    pub descriptions: Descriptions,
}

/// The compiled code of a unit, with what it imports.
pub(crate) struct Code {
    pub pre: InstancePre<NodeSide>,
    pub describe: ComponentExportIndex,
    pub deliver: ComponentExportIndex,
}

/// A unit that was stopped: why, and what stays of what it did.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub why: Stop,
    pub kept: Vec<Effect>,
}

impl Code {
    /// Asks a new instance for its description.
    pub fn describe(&self, shared: &Shared, side: NodeSide) -> Result<Vec<u8>, Stopped> {
        let deadline = Deadline::begin(DESCRIBE_TIME_MAX, DESCRIBE_WALL_MAX, shared.clocks);
        self.call(shared, side, deadline, &self.describe, ())
    }

    /// Has a new instance compute a delivery.
    pub fn deliver(
        &self,
        shared: &Shared,
        side: NodeSide,
        service: &str,
        delivery: &[u8],
    ) -> Result<Vec<u8>, Stopped> {
        let limits = &shared.limits;
        let deadline = Deadline::begin(limits.time_max, limits.wall_max, shared.clocks);
        self.call(shared, side, deadline, &self.deliver, (service, delivery))
    }

    fn call<P: ComponentNamedList + Lower>(
        &self,
        shared: &Shared,
        side: NodeSide,
        deadline: Deadline,
        function: &ComponentExportIndex,
        parameters: P,
    ) -> Result<Vec<u8>, Stopped> {
        let _slot = shared.slots.take();
        let mut store = Store::new(&shared.engine, side);
        store.limiter(|side| side);
        store.set_hostcall_fuel(COPIED_BYTES_MAX);
        store.set_epoch_deadline(deadline.first_ticks());
        store.epoch_deadline_callback(move |mut store| match deadline.on_ticks_over() {
            Ok(ticks) => Ok(UpdateDeadline::Continue(ticks)),
            Err(why) => Err(store.data_mut().stopped(why)),
        });
        let _running = shared.clock.run();
        let called = self.pre.instantiate(&mut store).and_then(|instance| {
            let function = instance.get_typed_func::<P, (Vec<u8>,)>(&mut store, function)?;
            function.call(&mut store, parameters)
        });
        called.map(|(answer,)| answer).map_err(|error| {
            let side = store.into_data();
            let why = side.stop.unwrap_or_else(|| Stop::of(&error, COPIED_BYTES_MAX));
            Stopped { why, kept: side.kept }
        })
    }
}
