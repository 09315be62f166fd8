//! One instance of a unit: it is asked one thing, and then it is gone.

use crate::clock::Clock;
use crate::limits::{COPIED_BYTES_MAX, DESCRIBE_TIME_MAX};
use crate::node_side::NodeSide;
use crate::slots::Slots;
use crate::stop::Stop;
use resilee_sbb::{Effect, UnitLimits};
use std::time::Duration;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lower};
use wasmtime::{Engine, Store};

/// What all units of a node share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub engine: Engine,
    pub clock: Clock,
    pub slots: Slots,
    pub limits: UnitLimits,
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
        self.call(shared, side, DESCRIBE_TIME_MAX, &self.describe, ())
    }

    /// Has a new instance compute a delivery.
    pub fn deliver(
        &self,
        shared: &Shared,
        side: NodeSide,
        service: &str,
        delivery: &[u8],
    ) -> Result<Vec<u8>, Stopped> {
        let time_max = shared.limits.time_max;
        self.call(shared, side, time_max, &self.deliver, (service, delivery))
    }

    fn call<P: ComponentNamedList + Lower>(
        &self,
        shared: &Shared,
        side: NodeSide,
        time_max: Duration,
        function: &ComponentExportIndex,
        parameters: P,
    ) -> Result<Vec<u8>, Stopped> {
        let _slot = shared.slots.take();
        let mut store = Store::new(&shared.engine, side);
        store.limiter(|side| side);
        store.set_hostcall_fuel(COPIED_BYTES_MAX);
        store.set_epoch_deadline(Clock::ticks(time_max));
        let _running = shared.clock.run();
        let called = self.pre.instantiate(&mut store).and_then(|instance| {
            let function = instance.get_typed_func::<P, (Vec<u8>,)>(&mut store, function)?;
            function.call(&mut store, parameters)
        });
        called.map(|(answer,)| answer).map_err(|error| {
            let side = store.into_data();
            let why = side.stop.unwrap_or_else(|| Stop::of(&error, time_max, COPIED_BYTES_MAX));
            Stopped { why, kept: side.kept }
        })
    }
}
