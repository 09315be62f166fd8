//! What stops a unit in a delivery: the delivery rolls back, and the next one works.

use crate::guest::{Guest, deliver, delivered, host, line};
use resilee_sbb::{
    Attribute, AttributeKind, Context, Deployment, Descriptor, Effect, EntityState, Event, Failure,
    LinkedSbb, Outcome, ProfileTable, Sbb, StateBytes, UnitCompiler, UnitDescription, UnitLimits,
};
use serde::{Deserialize, Serialize};

/// It declares a table as another one has declared it, and one of its own.
#[derive(Default, Serialize, Deserialize)]
struct Curious;

const fn table(name: &'static str, attributes: &'static [Attribute]) -> ProfileTable {
    ProfileTable { name, about: "", attributes, named_by: &[], separator: "", profiles_max: 9 }
}

const KEY: Attribute = Attribute::new("key", AttributeKind::Hex { digits: 4 });
const THEIRS: ProfileTable = table("theirs", &[KEY.secret()]);
const OURS: ProfileTable = table("ours", &[KEY]);

impl Sbb for Curious {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let deployment = Deployment { profile_tables: &[&THEIRS, &OURS], ..Deployment::ALONE };
        Descriptor { vendor: "test", deployment, ..Descriptor::named("guest") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

#[test]
fn a_unit_that_does_not_end_is_stopped() {
    assert_eq!(Guest::that("(loop $l (br $l))").reason(), "it ran longer than 2s");
}

#[test]
fn a_delivery_has_50_ms_unless_a_node_is_told_otherwise() {
    let host = resilee_wasm::UnitHost::new(UnitLimits::default()).expect("a host");
    let service = host.compile(&Guest::that("(loop $l (br $l))").bytes()).expect("a unit");
    let reason = "it ran longer than 50ms".to_owned();
    assert_eq!(service.invoke(&deliver()), Outcome::RolledBack { reason, effects: Vec::new() });
}

/// The least and the most that a node may be told, and what is no whole number of pages.
#[test]
fn a_node_may_be_told_how_much_memory_a_unit_has() {
    for (bytes, told) in [(2 << 20, 2), (256 << 20, 256), (3_000_001, 2)] {
        let limits = UnitLimits {
            memory_bytes_max: bytes,
            ..UnitLimits::default().with_time_max(std::time::Duration::from_secs(2))
        };
        let host = resilee_wasm::UnitHost::new(limits).expect("a host");
        let guest = Guest::that("(loop $l (drop (memory.grow (i32.const 1))) (br $l))");
        let service = host.compile(&guest.bytes()).expect("a unit");
        let reason = format!("it asked for more than {told} MiB of memory");
        assert_eq!(service.invoke(&deliver()), Outcome::RolledBack { reason, effects: Vec::new() });
    }
}

#[test]
fn a_unit_that_takes_all_memory_is_stopped() {
    let guest = Guest::that("(loop $l (drop (memory.grow (i32.const 16))) (br $l))");
    assert_eq!(guest.reason(), "it asked for more than 32 MiB of memory");
}

#[test]
fn a_unit_that_begins_with_too_much_memory_is_refused() {
    let error = Guest { pages: 600, ..Guest::default() }.refused();
    assert!(error.starts_with("it needs more than a node gives a unit ("), "{error}");
    let to_do = "build it smaller, or raise [limits] unit_memory_bytes_max at all nodes";
    assert!(error.ends_with(to_do), "{error}");
    let describe = "(loop $l (drop (memory.grow (i32.const 16))) (br $l))";
    let error = Guest { describe, ..Guest::default() }.refused();
    let text = "it does not say what it is: it asked for more than 32 MiB of memory: build it";
    assert!(error.starts_with(text) && error.ends_with(to_do), "{error}");
}

#[test]
fn a_unit_that_calls_itself_for_ever_is_stopped() {
    let reason = Guest::that("(drop (call $deeper (i32.const 0)))").reason();
    assert_eq!(reason, "it called itself too deeply: its stack is full");
}

#[test]
fn a_unit_that_reaches_beyond_its_memory_is_stopped() {
    let reason = Guest::that("(drop (i32.load (i32.const -8)))").reason();
    let text = "it reached beyond its memory, as it does if it calls itself too deeply";
    assert_eq!(reason, text);
}

#[test]
fn a_unit_that_traps_is_stopped() {
    let reason = Guest::that("unreachable").reason();
    let text = "it ended without an answer: wasm trap: wasm `unreachable` instruction executed";
    assert_eq!(reason, text);
}

#[test]
fn a_unit_that_floods_the_trace_is_stopped_and_its_lines_stay() {
    let mut guest = Guest::default();
    guest.keeps(&line("hello"), 257);
    let Outcome::RolledBack { reason, effects } = guest.outcome() else { panic!("no roll back") };
    assert_eq!(reason, "it wrote more than 256 lines and alarms");
    assert_eq!(effects, vec![line("hello"); 256]);
}

#[test]
fn lines_before_a_trap_stay() {
    let mut guest = Guest::that("unreachable");
    guest.keeps(&line("hello"), 1);
    let Outcome::RolledBack { effects, .. } = guest.outcome() else { panic!("no roll back") };
    assert_eq!(effects, [line("hello")]);
}

#[test]
fn what_does_not_stay_is_not_kept() {
    let mut guest = Guest::default();
    guest.keeps(&Effect::StartActivity { activity: 2 }, 1);
    assert_eq!(guest.reason(), "it wrote a line or alarm that is none");
    guest.keeps(&line(&"x".repeat(5_000)), 1);
    assert_eq!(guest.reason(), "it wrote a line or alarm that is none");
}

#[test]
fn a_unit_reads_no_table_without_a_permission() {
    let reason = Guest::that("(drop (call $ask (i32.const 0) (i32.const 0)))").reason();
    let text = "it reads \"\": add Permission::Read of it to its descriptor's permissions";
    assert_eq!(reason, text);
}

#[test]
fn a_declared_table_with_secrets_is_not_read_without_a_permission() {
    // It says no more than that it was let, since its answer is the name of the table.
    let reason = |table: &str| {
        let ask = "(drop (call $ask (i32.load (i32.const 16)) (i32.load (i32.const 20))))";
        let mut guest = Guest::that(ask);
        guest.description = UnitDescription::of(&[LinkedSbb::of::<Curious>()]).to_bytes();
        guest.answer = table.as_bytes().to_vec();
        guest.reason()
    };
    assert!(reason("ours").starts_with("its answer is not readable"), "{}", reason("ours"));
    let text = "it reads \"theirs\": add Permission::Read of it to its descriptor's permissions";
    assert_eq!(reason("theirs"), text);
}

#[test]
fn a_unit_that_asks_its_node_for_ever_is_stopped() {
    // The name of a table that everybody may read, where its answer is.
    let mut guest = Guest::that(
        "(loop $l
           (drop (call $ask (i32.load (i32.const 16)) (i32.load (i32.const 20))))
           (br $l))",
    );
    guest.answer = resilee_sbb::CLUSTER_NAMES.as_bytes().to_vec();
    assert_eq!(guest.reason(), "it asked its node for rows more than 256 times");
}

#[test]
fn an_answer_that_is_too_large_is_not_taken() {
    let guest = Guest { answer: vec![0; 5 << 20], ..Guest::default() };
    assert_eq!(guest.reason(), "it gave its node more than 4 MiB at once");
}

#[test]
fn a_state_that_is_too_large_is_not_kept() {
    let state = StateBytes { version: 1, bytes: vec![0; 70_000] };
    let entities = vec![EntityState { number: 1, born: None, state }];
    let answer = Outcome::Delivered { entities, removed: Vec::new(), effects: Vec::new() };
    let text = "its answer is not one that a service can give: state of 70000 bytes, 65536 allowed";
    assert_eq!(Guest::answering(&answer).reason(), text);
}

#[test]
fn units_run_side_by_side() {
    let host = host();
    let service = host.compile(&Guest::default().bytes()).expect("a unit");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(service.invoke(&deliver()), delivered(Vec::new()));
                }
            });
        }
    });
}
