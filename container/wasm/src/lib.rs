//! Runs deployable units: services whose code was uploaded as WebAssembly, while the nodes run.
//!
//! | file            | what is in it                                                    |
//! |-----------------|------------------------------------------------------------------|
//! | `unit_host.rs`  | [`UnitHost`]: makes services of units, and forgets them          |
//! | `component.rs`  | what of a file is looked at before anything of it runs           |
//! | `parts.rs`      | what a component may be made of                                  |
//! | `nesting.rs`    | how deeply its types may be nested                               |
//! | `startup.rs`    | what its modules do when they start, and what instances take     |
//! | `work.rs`       | how much work its functions may be for the compiler              |
//! | `uploaded.rs`   | a unit's service: its deliveries and their answers               |
//! | `descriptions.rs`| what units have said that they are                              |
//! | `instance.rs`   | one instance: it lives for one delivery                          |
//! | `node_side.rs`  | what a unit may ask for in a delivery, and how often             |
//! | `stop.rs`       | why a unit was stopped                                           |
//! | `deadline.rs`   | how long one may run                                             |
//! | `clock.rs`      | the thread whose ticks say when to look at that                  |
//! | `slots.rs`      | how many units run at once                                       |
//! | `limits.rs`     | limits of units; those that a node may be told: [`resilee_sbb`]  |
//!
//! A unit computes whole deliveries by the same code as a linked service ([`resilee_sbb::answer`]),
//! each in an instance of its own that nothing is left of. There is no WASI: it reaches no file,
//! socket, clock or random number. What it answers is looked at as if a stranger had written it
//! ([`resilee_sbb::checked`]). Compiled code is never taken from outside.

mod clock;
mod component;
mod deadline;
mod descriptions;
mod instance;
mod limits;
mod nesting;
mod node_side;
mod parts;
mod slots;
mod startup;
mod stop;
mod unit_host;
mod uploaded;
mod work;

pub use limits::{
    BLOCK_DEPTH_MAX, BRANCH_VALUES_MAX, CANONICALS_MAX, COMPONENT_INSTANCES_MAX, COMPONENTS_MAX,
    COPIED_BYTES_MAX, DATA_SEGMENTS_MAX, DESCRIBE_TIME_MAX, DESCRIBE_WALL_MAX,
    DESCRIPTIONS_BYTES_MAX, FUNCTION_BYTES_MAX, FUNCTIONS_MAX, INSTANCES_MAX, INTERFACE_BYTES_MAX,
    LOCALS_MAX, LOOP_DEPTH_MAX, MEMORIES_MAX, PARAMETERS_MAX, PARTS_MAX, PLACES_MAX, RESULTS_MAX,
    SIGNATURES_MAX, STACK_BYTES_MAX, STARTUP_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX, TYPE_BYTES_MAX,
    TYPE_DEPTH_MAX, UNIT_BYTES_MAX, VALUES_MAX, WORK_MAX,
};
pub use unit_host::UnitHost;
