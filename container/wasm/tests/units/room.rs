//! What a unit is given room for: memories, tables, and a place among those that run at once.

use crate::guest::{Guest, deliver, delivered};
use resilee_sbb::{Outcome, UnitCompiler, UnitLimits};
use resilee_wasm::{INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX, UnitHost};
use std::time::Duration;

/// Modules with a memory of so many pages each, beside the memory of the unit's code.
fn memories(count: u32, pages: u32) -> String {
    let of = |number| {
        format!(
            "(core module $m{number} (memory {pages})) (core instance (instantiate $m{number}))"
        )
    };
    (0..count).map(of).collect()
}

/// Modules with a table of so many elements each.
fn tables(count: u32, elements: usize) -> String {
    let of = |number| {
        let module = format!("(core module $t{number} (table {elements} funcref))");
        format!("{module} (core instance (instantiate $t{number}))")
    };
    (0..count).map(of).collect()
}

/// A table of the module of the unit's code.
fn table(elements: usize) -> String {
    format!("(table {elements} funcref)")
}

#[test]
fn a_unit_has_three_memories_and_no_fourth_one() {
    let guest = |others| Guest { modules: memories(others, 1), ..Guest::default() };
    assert_eq!(guest(MEMORIES_MAX - 1).outcome(), delivered(Vec::new()));
    let error = guest(MEMORIES_MAX).refused();
    assert!(error.starts_with("it needs more than a node gives a unit ("), "{error}");
    assert!(error.contains("memories") && error.contains('4'), "{error}");
}

/// Each of them has less than 32 MiB.
#[test]
fn the_memories_of_a_unit_have_32_mib_together() {
    let at_once = Guest { modules: memories(2, 300), ..Guest::default() };
    let text = "it does not say what it is: it asked for more than 32 MiB of memory: build it \
                smaller, or raise [limits] unit_memory_bytes_max at all nodes";
    assert_eq!(at_once.refused(), text);
    let grows = "(drop (memory.grow (i32.const 32)))";
    assert_eq!(Guest::that(grows).outcome(), delivered(Vec::new()));
    let later = Guest { modules: memories(2, 240), ..Guest::that(grows) };
    assert_eq!(later.reason(), "it asked for more than 32 MiB of memory");
}

#[test]
fn a_unit_has_four_tables_one_in_each_module() {
    let guest = |count| Guest { modules: tables(count, 1), ..Guest::default() };
    assert_eq!(guest(TABLES_MAX).outcome(), delivered(Vec::new()));
    let error = guest(TABLES_MAX + 1).refused();
    assert!(error.starts_with("it needs more than a node gives a unit ("), "{error}");
    assert!(error.contains("tables") && error.contains('5'), "{error}");
    let error = Guest { parts: table(1).repeat(2), ..Guest::default() }.refused();
    assert!(error.starts_with("it needs more than a node gives a unit ("), "{error}");
    assert!(error.contains("tables") && error.contains('2'), "{error}");
}

#[test]
fn a_table_of_a_unit_has_20000_elements() {
    let guest = |elements| Guest { parts: table(elements), ..Guest::default() };
    assert_eq!(guest(TABLE_ELEMENTS_MAX).outcome(), delivered(Vec::new()));
    let error = guest(TABLE_ELEMENTS_MAX + 1).refused();
    assert!(error.starts_with("it needs more than a node gives a unit ("), "{error}");
    let growing = |by: usize| {
        let grow = format!("(drop (table.grow 0 (ref.null func) (i32.const {by})))");
        Guest { parts: table(1), ..Guest::that(&grow) }
    };
    assert_eq!(growing(TABLE_ELEMENTS_MAX - 1).outcome(), delivered(Vec::new()));
    let reason = growing(TABLE_ELEMENTS_MAX).reason();
    assert_eq!(reason, "it asked for more than 20000 elements of a table");
}

/// All of them have all memories and tables that there may be, and none fails for want of room.
#[test]
fn a_delivery_waits_while_as_many_run_as_may() {
    let limits = UnitLimits {
        // All of them together take 16 s of a processor, of which others may have most.
        wall_max: Duration::from_secs(600),
        ..UnitLimits::default().with_time_max(Duration::from_millis(250))
    };
    let host = UnitHost::new(limits).expect("a host");
    let greedy = Guest {
        modules: memories(MEMORIES_MAX - 1, 1) + &tables(TABLES_MAX, TABLE_ELEMENTS_MAX),
        ..Guest::that("(loop $l (br $l))")
    };
    let service = host.compile(&greedy.bytes()).expect("a unit");
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..=INSTANCES_MAX).map(|_| scope.spawn(|| service.invoke(&deliver()))).collect();
        all.into_iter().map(|one| one.join().expect("it answers")).collect()
    });
    let stopped =
        Outcome::RolledBack { reason: "it ran longer than 250ms".to_owned(), effects: vec![] };
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(*outcome, stopped, "delivery {number}");
    }
    let honest = host.compile(&Guest::default().bytes()).expect("a unit");
    assert_eq!(honest.invoke(&deliver()), delivered(Vec::new()), "all places are free again");
}
