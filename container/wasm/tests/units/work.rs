//! Files of a few KB that would be much work for the compiler: they are refused before it sees
//! them.

use crate::guest::host;
use resilee_sbb::UnitCompiler;
use std::fmt::Write;

fn refused(module: &str) -> String {
    let bytes = wat::parse_str(module).expect("a module");
    host().compile(&bytes).expect_err("it must be refused").to_string()
}

/// What is no unit, and is compiled before that is seen.
fn is_compiled(module: &str) {
    let error = refused(module);
    assert!(error.starts_with("it does not export describe"), "{error}");
}

/// A module of so many functions with so many locals that do this.
fn module(functions: usize, locals: usize, body: &str) -> String {
    let function = format!("(func (local {}) {body})", "i32 ".repeat(locals));
    format!("(module (global $g (mut i32) (i32.const 0)) {})", function.repeat(functions))
}

/// Code for each number, in order.
fn each(numbers: usize, code: impl Fn(usize) -> String) -> String {
    (0..numbers).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{}", code(number));
        text
    })
}

/// Every local becomes another value of its own.
fn change(locals: usize) -> String {
    each(locals, |it| format!("local.get {it} i32.const 1 i32.add local.set {it}"))
}

/// Within so many loops; each goes back if it is told to.
fn loops(depth: usize, inner: &str, back: &str) -> String {
    format!("{} {inner} {}", "loop ".repeat(depth), format!("{back} end ").repeat(depth))
}

const BACK: &str = "global.get $g br_if 0";

/// So many branches out of one block, before each of which another local is changed.
fn branches(locals: usize, count: usize) -> String {
    let out =
        each(count, |it| format!("global.get $g local.set {} global.get $g br_if 0", it % locals));
    format!("block {} {out} end {}", change(locals), change(locals))
}

/// A loop around a choice of so many cases, each of which changes a local and goes back, or falls
/// through.
fn interpreter(locals: usize, cases: usize, goes_back: bool) -> String {
    let targets = each(cases, |it| it.to_string());
    let case = each(cases, |it| {
        let back = if goes_back { format!("br {}", cases - 1 - it) } else { String::new() };
        format!("end global.get $g local.set {} {back}", it % locals)
    });
    let choice = format!("{} global.get $g br_table {targets}", "block ".repeat(cases));
    format!("loop {} {choice} {case} {BACK} end {}", change(locals), change(locals))
}

const AGAIN: &str = "build it with --release, or smaller";

#[test]
fn loops_within_loops_are_refused() {
    let gets = each(1_000, |it| format!("local.get {it} drop"));
    let text =
        format!("its function 0 has 33 loops within one another or more, 32 allowed: {AGAIN}");
    for (depth, back) in [(500, ""), (33, ""), (33, BACK)] {
        assert_eq!(refused(&module(1, 900, &loops(depth, &gets[..0], back))), text, "{depth}");
    }
    assert_eq!(refused(&module(1, 1_000, &loops(500, &gets, ""))), text);
    is_compiled(&module(1, 100, &loops(32, &change(100), BACK)));
}

#[test]
fn blocks_within_blocks_are_refused() {
    let blocks = |depth| format!("{} {}", "block ".repeat(depth), "end ".repeat(depth));
    let text =
        format!("its function 0 has 1025 blocks within one another or more, 1024 allowed: {AGAIN}");
    assert_eq!(refused(&module(1, 0, &blocks(1_024))), text, "with that of the function");
    is_compiled(&module(1, 0, &blocks(1_023)));
}

#[test]
fn a_function_with_too_many_values_at_once_is_refused() {
    let text = format!("its function 0 has 1001 values at once or more, 1000 allowed: {AGAIN}");
    assert_eq!(refused(&module(1, 1_001, "")), text);
    let stack = format!("{} {}", "global.get $g ".repeat(2_000), "drop ".repeat(2_000));
    assert_eq!(refused(&module(1, 0, &stack)), text);
    is_compiled(&module(1, 1_000, ""));
}

#[test]
fn a_function_with_too_many_values_at_its_branches_is_refused() {
    let table = |targets| {
        let targets = "0 ".repeat(targets);
        module(1, 900, &format!("block global.get $g br_table {targets} end"))
    };
    let error = refused(&table(2_000));
    assert!(error.starts_with("its function 0 has 18"), "{error}");
    let end = format!("values at its branches or more, 1048576 allowed: {AGAIN}");
    assert!(error.ends_with(&end), "{error}");
    is_compiled(&table(200));
}

/// Of each of these the compiler would have work for seconds up to minutes.
#[test]
fn functions_that_are_much_work_are_refused() {
    let too_much = |functions, locals, body: &str| {
        let error = refused(&module(functions, locals, body));
        let (start, end) =
            ("its functions are ", ": build it with --release, or divide that function");
        assert!(error.starts_with(start) && error.ends_with(end), "{error}");
        error
    };
    let error = too_much(1, 100, &branches(100, 1_000));
    assert!(error.contains("steps of work for the compiler or more, 100000000 allowed"), "{error}");
    assert!(error.contains(" are of function 0: "), "{error}");
    too_much(1, 900, &interpreter(900, 250, false));
    too_much(1, 250, &interpreter(250, 500, true));
    too_much(1, 900, &loops(32, &change(900), BACK));
    too_much(16, 900, &change(900).repeat(8));
    // No single one of them.
    let error = too_much(30, 40, &branches(40, 300));
    assert!(!error.contains(" of which 1"), "{error}");
    is_compiled(&module(1, 40, &branches(40, 300)));
}

#[test]
fn functions_of_too_many_types_are_refused() {
    let types = |count: usize| {
        let of_number = |number: usize| {
            let kinds = (0..11).map(|bit| if number >> bit & 1 == 1 { "i32 " } else { "i64 " });
            format!("(type (func (param {})))", kinds.collect::<String>())
        };
        format!("(module {})", each(count, of_number))
    };
    let text = format!("it has 2049 types of functions or more, 2048 allowed: {AGAIN}");
    assert_eq!(refused(&types(2_049)), text);
    is_compiled(&types(2_048));
    let of = |parameters, results| {
        let (parameters, results) = ("i32 ".repeat(parameters), "i32 ".repeat(results));
        format!("(module (type (func (param {parameters}) (result {results}))))")
    };
    let text = "it has a type of functions with";
    let error = refused(&of(101, 0));
    assert_eq!(error, format!("{text} 101 parameters or more, 100 allowed: {AGAIN}"));
    assert_eq!(refused(&of(0, 17)), format!("{text} 17 results or more, 16 allowed: {AGAIN}"));
    is_compiled(&of(100, 16));
}
