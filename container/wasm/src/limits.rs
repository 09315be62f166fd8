//! What a unit may use in one delivery, beside what a node may be told
//! ([`UnitLimits`](resilee_sbb::UnitLimits)).

use std::time::Duration;

/// Bytes of a unit.
pub const UNIT_BYTES_MAX: usize = 16 << 20;
/// Bytes of all descriptions that a node keeps, before it looks at no further unit that nobody has
/// deployed: in memory they may become thirty times as many.
pub const DESCRIPTIONS_BYTES_MAX: usize = 8 << 20;
/// How long a unit may take to say what it is, when it is compiled: CPU time of its thread, as that
/// of a delivery.
pub const DESCRIBE_TIME_MAX: Duration = Duration::from_secs(1);
/// By the wall's clock it may take so long, on a node that has too much to do.
pub const DESCRIBE_WALL_MAX: Duration = Duration::from_secs(100);
/// Bytes that a unit may give its node in one call, or as its answer.
pub const COPIED_BYTES_MAX: usize = 4 << 20;
/// Bytes of the stack of a unit's code.
pub const STACK_BYTES_MAX: usize = 512 << 10;
/// Tables of functions of an instance: each module of a compiler has one.
pub const TABLES_MAX: u32 = 4;
/// Elements of one of them.
pub const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Core modules of a unit, and instances of them: a module of Rust becomes three.
pub const PARTS_MAX: u32 = 64;
/// Components within the component of a unit: each exported interface has one, for its types. A
/// unit of JavaScript has 24, most of them for the types of the placeholders of WASI.
pub const COMPONENTS_MAX: u32 = 32;
/// Instances of those, and of interfaces.
pub const COMPONENT_INSTANCES_MAX: u32 = 64;
/// Memories of an instance, which have no more bytes together than one may have. The placeholders
/// of WASI in a unit of JavaScript have two empty ones.
pub const MEMORIES_MAX: u32 = 3;
/// Bytes of the code of one function: a compiler takes more than twice as long for twice as much.
pub const FUNCTION_BYTES_MAX: usize = 256 << 10;
/// Functions of all modules of a unit: QuickJS has some thousands.
pub const FUNCTIONS_MAX: u32 = 32_768;
/// Locals of all functions of a unit. A file of megabytes could declare a billion, each of which
/// the compiler looks at.
pub const LOCALS_MAX: u32 = 1 << 20;
/// Types of functions of all modules: a unit of JavaScript has 210. For each the compiler makes
/// code.
pub const SIGNATURES_MAX: u64 = 2_048;
/// Parameters of one: functions of real units have 13 at most.
pub const PARAMETERS_MAX: u64 = 100;
/// Results of one: functions of real units have one.
pub const RESULTS_MAX: u64 = 16;
/// Blocks within blocks of a function: the interpreter of JavaScript has 255, one for each kind of
/// instruction.
pub const BLOCK_DEPTH_MAX: u64 = 1_024;
/// Loops within loops of a function: real units have six.
pub const LOOP_DEPTH_MAX: u64 = 32;
/// Locals, parameters and values on the stack of a function at one instruction: real units have 160
/// at most. A compiler takes four times as long for twice as many.
pub const VALUES_MAX: u64 = 1_000;
/// The same, of all branches of a function together: real ones have 175,000. The compiler takes up
/// to 600 bytes for each.
pub const BRANCH_VALUES_MAX: u64 = 1 << 20;
/// Steps of work for the compiler (`work.rs`). The examples have some 40 million at most; what is
/// built to take long takes some ten seconds.
pub const WORK_MAX: u64 = 100_000_000;
/// Elements of tables, and instructions that set globals, of all modules of a unit: one of
/// JavaScript has 900. The compiler makes code of most of them, all in one function of each module.
pub const STARTUP_MAX: u32 = 16_384;
/// Data segments of all modules. One of JavaScript has 10,000: what writes the state of its
/// interpreter makes no more.
pub const DATA_SEGMENTS_MAX: u32 = 10_240;
/// Functions, globals, data segments, and elements that do not go into a table at once, of all
/// instances of modules: each takes up to 32 bytes of the heap as long as a delivery runs, besides
/// the unit's memory. One of JavaScript has 13,000.
pub const PLACES_MAX: u32 = 65_536;
/// Functions that are passed between a unit and its node, or between its parts: for each the
/// compiler makes code of its own.
pub const CANONICALS_MAX: u32 = 1_024;
/// Types within types of a component; of an interface in WIT three are made. Who reads one calls
/// itself: 9.2 KiB of stack for each without optimization, so 148 KiB, of which a thread has 2 MiB.
pub const TYPE_DEPTH_MAX: usize = 16;
/// Bytes of all types of a component: in memory they become fifty times as many. A unit of
/// JavaScript has 1.4 MB, and nearly all of them are the code of the interpreter.
pub const TYPE_BYTES_MAX: u32 = 1 << 20;
/// Bytes that describe the interface of a module: that of `resilee-guest` has some 500. Who makes a
/// component of it calls itself for each package that names a type of another one, of which so many
/// bytes have 450: 1,000 fit into the stack of a thread, without optimization.
pub const INTERFACE_BYTES_MAX: usize = 16 << 10;
/// Instances that run at once; a further delivery waits.
pub const INSTANCES_MAX: u32 = 64;
