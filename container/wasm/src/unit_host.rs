//! Makes services of units ([`UnitCompiler`]). A unit is compiled once; each delivery runs in a new
//! instance of its code.

use crate::clock::Clock;
use crate::component::{MORE_MEMORY, compiled};
use crate::deadline::Clocks;
use crate::descriptions::{Descriptions, For};
use crate::instance::Shared;
use crate::limits::{
    INSTANCES_MAX, MEMORIES_MAX, PARTS_MAX, STACK_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use crate::node_side::NodeSide;
use crate::slots::Slots;
use crate::stop::Stop;
use crate::uploaded::{Unit, check_permissions};
use resilee_sbb::{LinkedSbb, NotCompiled, Tables, UnitCompiler, UnitLimits, UploadedSbb};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Bytes that a core module or component needs for itself.
const PART_BYTES_MAX: usize = 1 << 20;

/// Runs the units of one node.
#[derive(Debug)]
pub struct UnitHost {
    shared: Arc<Shared>,
}

impl UnitHost {
    /// A host without units.
    ///
    /// # Errors
    /// An operating system that does not let it reserve memory or start a thread.
    pub fn new(limits: UnitLimits) -> Result<Self, String> {
        UnitHost::with_cpu_clock(limits, Clocks::SYSTEM.cpu)
    }

    /// The same by another clock of the calling thread's CPU time: for tests.
    ///
    /// # Errors
    /// As those of [`UnitHost::new`].
    pub fn with_cpu_clock(limits: UnitLimits, cpu: fn() -> Duration) -> Result<Self, String> {
        let engine = Engine::new(&config(&limits));
        let engine = engine.map_err(|error| format!("cannot run units: {error:#}"))?;
        let (clock, slots) = (Clock::start(&engine)?, Slots::new(INSTANCES_MAX));
        let clocks = Clocks { cpu, ..Clocks::SYSTEM };
        let descriptions = Descriptions::default();
        let shared = Arc::new(Shared { engine, clock, slots, limits, clocks, descriptions });
        Ok(UnitHost { shared })
    }

    fn unit(&self, bytes: &[u8], wanted: For) -> Result<&'static Unit, NotCompiled> {
        let code = compiled(&self.shared.engine, bytes)?;
        let side = NodeSide::new(self.shared.limits, None, Tables::default());
        let description = code.describe(&self.shared, side);
        let description = description.map_err(|stopped| {
            let reason = format!("it does not say what it is: {}", stopped.why);
            match stopped.why {
                Stop::Starved(_) => NotCompiled::Passing(reason),
                Stop::Memory(_) => NotCompiled::Lasting(format!("{reason}: {MORE_MEMORY}")),
                _ => NotCompiled::Lasting(reason),
            }
        })?;
        let described = self.shared.descriptions.keep(&description, wanted)?;
        let unit = Unit::leaked(described, &self.shared);
        let descriptor = unit.descriptor();
        check_permissions(&descriptor)?;
        for table in descriptor.deployment.profile_tables {
            table.check_schema()?;
        }
        // What is refused keeps no code.
        unit.give(code);
        Ok(unit)
    }
}

impl UnitCompiler for UnitHost {
    fn compile(&self, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        Ok(LinkedSbb::uploaded(self.unit(bytes, For::Deployment)?))
    }

    fn look_at(&self, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        Ok(LinkedSbb::uploaded(self.unit(bytes, For::ALook)?))
    }
}

fn config(limits: &UnitLimits) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * PARTS_MAX)
        .total_memories(INSTANCES_MAX * MEMORIES_MAX)
        .total_tables(INSTANCES_MAX * TABLES_MAX)
        .max_core_instances_per_component(PARTS_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_component_instance_size(PART_BYTES_MAX)
        .max_core_instance_size(PART_BYTES_MAX)
        .max_memory_size(limits.memory_bytes_max)
        .table_elements(TABLE_ELEMENTS_MAX);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        // The same bits at each node, whichever processor it has.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_max_frames(None)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
