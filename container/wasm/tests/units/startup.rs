//! What modules do when they start is compiled as one function of each, and what an instance of one
//! takes of its node's heap nobody else counts: too much of either is refused before that.

use crate::guest::{Guest, delivered, host};
use resilee_sbb::UnitCompiler;
use resilee_wasm::{DATA_SEGMENTS_MAX, PARTS_MAX, PLACES_MAX, STARTUP_MAX};

fn refused(text: &str) -> String {
    let bytes = wat::parse_str(text).expect("a module or component");
    host().compile(&bytes).expect_err("it must be refused").to_string()
}

fn too_many_steps(count: u32) -> String {
    format!(
        "it has {count} elements and instructions that set globals or more, {STARTUP_MAX} allowed: \
         build it smaller"
    )
}

fn too_many_places(count: u32) -> String {
    format!(
        "it has {count} functions, globals, data segments and elements in instances of its modules \
         or more, {PLACES_MAX} allowed: build it smaller"
    )
}

/// What is no unit, and is compiled before that is seen.
fn is_compiled(text: &str) {
    let error = refused(text);
    assert!(error.starts_with("it does not export describe"), "{error}");
}

fn times(part: &str, count: u32) -> String {
    part.repeat(count as usize)
}

/// A module with so many of these, and what they need.
fn module(part: &str, count: u32) -> String {
    format!("(module (memory 1) (table 1 funcref) (func $f) {})", times(part, count))
}

/// A module with a segment of so many elements.
fn elements(kind: &str, count: u32) -> String {
    module(&format!("(elem {kind} func {})", times("$f ", count)), 1)
}

/// A segment is one itself, and an expression has an end.
#[test]
fn elements_are_counted_before_they_are_compiled() {
    let max = STARTUP_MAX;
    assert_eq!(refused(&elements("", 2_000_000)), too_many_steps(2_000_001));
    assert_eq!(refused(&elements("", max)), too_many_steps(max + 1));
    assert_eq!(refused(&elements("declare", max)), too_many_steps(max + 1));
    assert_eq!(refused(&elements("(i32.const 0)", max)), too_many_steps(max + 3));
    let expressions = format!("(elem funcref {})", times("(ref.func $f) ", max / 2));
    assert_eq!(refused(&module(&expressions, 1)), too_many_steps(max + 1));
    is_compiled(&elements("", max - 1));
    // In all modules together.
    let half = elements("", max / 2).replace("(module", "(core module");
    assert_eq!(refused(&format!("(component {half} {half})")), too_many_steps(max + 2));
}

#[test]
fn instructions_that_set_globals_and_tables_are_counted_before_they_are_compiled() {
    let max = STARTUP_MAX;
    let global = "(global funcref (ref.func $f))";
    assert_eq!(refused(&module(global, max / 2 + 1)), too_many_steps(max + 2));
    let table = times("(table 1 funcref (ref.func $f))", 50);
    let globals = times(global, max / 2);
    assert_eq!(refused(&module(&(globals + &table), 1)), too_many_steps(max + 100));
    let sum = times("i32.const 1 i32.add ", max / 2);
    let error = refused(&module(&format!("(global i32 i32.const 1 {sum})"), 1));
    assert_eq!(error, too_many_steps(max + 2));
    let error = refused(&module(&format!("(data (offset i32.const 1 {sum}) \"\")"), 2));
    assert_eq!(error, too_many_steps(2 * max));
    is_compiled(&module(&format!("(data (offset i32.const 1 {sum}) \"\")"), 1));
}

#[test]
fn data_segments_are_counted_before_they_are_compiled() {
    let max = DATA_SEGMENTS_MAX;
    let text =
        |count| format!("it has {count} data segments or more, {max} allowed: build it smaller");
    for kind in ["", "(i32.const 0)"] {
        let data = format!("(data {kind} \"\")");
        assert_eq!(refused(&module(&data, max + 1)), text(max + 1));
        is_compiled(&module(&data, max));
    }
}

/// A component of a module with so many elements that wait for somebody to take them.
fn instances(elements: u32, count: u32) -> String {
    let elements = times("$f ", elements);
    let module = format!("(core module $m (func $f) (elem func {elements}))");
    format!("(component {module} {})", times("(core instance (instantiate $m))", count))
}

/// Each of them has its elements on the node's heap.
#[test]
fn what_instances_take_of_their_node_is_counted_before_they_are_compiled() {
    // With the function, and the segment itself.
    let of_each = PLACES_MAX / PARTS_MAX;
    is_compiled(&instances(of_each - 2, PARTS_MAX));
    assert_eq!(refused(&instances(of_each - 1, PARTS_MAX)), too_many_places(PLACES_MAX + 64));
    let of_each = STARTUP_MAX - 1;
    assert_eq!(refused(&instances(of_each, 5)), too_many_places((of_each + 2) * 4));
    let within = |count| {
        let inner = instances(of_each / 2, 2).replacen("(component", "(component $c", 1);
        format!("(component {inner} {})", times("(instance (instantiate $c))", count))
    };
    assert_eq!(refused(&within(5)), too_many_places((of_each / 2 + 2) * 8));
    is_compiled(&within(3));
    let imports = times("(import \"a\" \"b\" (func))", 2_000);
    let others = times("(global i32 (i32.const 0)) (data \"\")", 500);
    let module = format!("(core module $m {imports} {others})");
    let given = "(import \"f\" (func $i)) (core func $f (canon lower (func $i)))
                 (core instance $a (export \"b\" (func $f)))";
    let each = times("(core instance (instantiate $m (with \"a\" (instance $a))))", 22);
    let text = format!("(component {given} {module} {each})");
    assert_eq!(refused(&text), too_many_places(3_000 * 22));
}

/// What an instance of it takes is not plain from where it stands.
#[test]
fn a_module_that_is_given_by_another_component_is_refused() {
    for text in [
        "(component (import \"m\" (core module)))",
        "(component (core module $m) (export \"m\" (core module $m)))",
        "(component (core module $m) (component (alias outer 1 $m (core module))))",
    ] {
        let expected = "it has a module that another component gives it, as no unit of `cargo \
                        xtask unit` has: build it so";
        assert_eq!(refused(text), expected, "{text}");
    }
}

/// A real one has some hundreds.
#[test]
fn a_unit_with_elements_that_wait_works() {
    let elements = times("$waits ", 1_000);
    let parts = format!("(func $waits) (elem func {elements})");
    let guest = Guest { parts, ..Guest::default() };
    assert_eq!(guest.outcome(), delivered(Vec::new()));
}
