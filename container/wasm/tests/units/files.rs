//! Files that are uploaded: what is no unit for this node is refused, with what to do.

use crate::guest::{Guest, Honest, host};
use resilee_sbb::{LinkedSbb, Permission, UnitCompiler, UnitDescription, encode};
use resilee_wasm::{FUNCTION_BYTES_MAX, UNIT_BYTES_MAX};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

fn refused(bytes: &[u8]) -> String {
    host().compile(bytes).expect_err("it must be refused").to_string()
}

fn refused_description(change: impl Fn(&mut UnitDescription)) -> String {
    let mut description = UnitDescription::of(&[LinkedSbb::of::<Honest>()]);
    change(&mut description);
    Guest { description: description.to_bytes(), ..Guest::default() }.refused()
}

#[test]
fn a_unit_says_what_it_is() {
    let service = host().compile(&Guest::default().bytes()).expect("a unit");
    let descriptor = service.descriptor();
    assert_eq!((descriptor.name, descriptor.vendor), ("guest", "test"));
    assert_eq!(descriptor.deployment.permissions.len(), 1);
}

#[test]
fn what_is_no_webassembly_is_refused() {
    let error = refused(b"#!/bin/sh\necho hello\n");
    assert_eq!(error, "it is not WebAssembly: build it with `cargo xtask unit`");
    assert_eq!(refused(b""), error);
}

#[test]
fn compiled_code_is_refused() {
    let engine = wasmtime::Engine::default();
    let compiled = engine.precompile_component(&Guest::default().bytes()).expect("compiles");
    let error = "it is compiled code, which a node never takes: upload the .wasm";
    assert_eq!(refused(&compiled), error);
    assert_eq!(refused(b"\x7fELF\x02\x01\x01"), error);
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let whole = Guest::default().bytes();
    for end in [5, whole.len() / 2, whole.len() - 1] {
        assert_eq!(refused(&whole[..end]), "the file is cut short: upload it again", "{end}");
    }
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let error = refused(&vec![0; UNIT_BYTES_MAX + 1]);
    let text = "a unit of 16777217 bytes, 16777216 allowed: build it with --release";
    assert_eq!(error, text);
}

/// Components within components, each of which makes so many instances of the next one.
fn nested(levels: usize, instances: usize) -> Vec<u8> {
    let mut inner = "(component $c)".to_owned();
    for _ in 1..levels {
        inner =
            format!("(component $c {inner} {})", "(instance (instantiate $c))".repeat(instances));
    }
    wat::parse_str(inner).expect("a component")
}

#[test]
fn instances_that_make_instances_are_refused_before_they_are_compiled() {
    let bytes = nested(12, 10);
    assert!(bytes.len() < 1_000, "{}", bytes.len());
    let text = "it has 66 instances of components or more, 64 allowed: build it smaller";
    assert_eq!(refused(&bytes), text);
    // 2, 6, 14, 30, 62, 126.
    let error = refused(&nested(6, 2));
    assert!(error.starts_with("it does not export describe"), "62 are no more than 64: {error}");
    let error = refused(&nested(7, 2));
    assert_eq!(error, "it has 126 instances of components or more, 64 allowed: build it smaller");
}

/// A number as WebAssembly writes it.
fn number(mut rest: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &number(content.len())[..], content].concat()
}

/// A component of one type, within which is another one, and so on.
fn types_in_types(kind: u8, levels: usize) -> Vec<u8> {
    let types = [&[1], &[kind, 1, 1].repeat(levels)[..], &[kind, 0]].concat();
    [b"\0asm\x0d\0\x01\0", &section(7, &types)[..]].concat()
}

/// A module whose interface is described by this.
fn described_by(component: &[u8]) -> Vec<u8> {
    let name = b"component-type:sbb";
    let content = [&number(name.len())[..], name, component].concat();
    [b"\0asm\x01\0\0\0", &section(0, &content)[..]].concat()
}

fn within(component: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", &section(4, component)[..]].concat()
}

/// A parser calls itself for each, and ends the process when its stack is full.
#[test]
fn types_that_are_nested_too_deeply_are_refused_before_they_are_read() {
    let (component, instance) = (0x41, 0x42);
    let text = "its types are nested more than 16 deep: build it with `cargo xtask unit`";
    for kind in [component, instance] {
        for levels in [1_000, 300_000] {
            let bytes = types_in_types(kind, levels);
            assert_eq!(refused(&bytes), text, "{kind} {levels}");
            assert_eq!(refused(&within(&within(&bytes))), text, "{kind} {levels}");
        }
        let error = refused(&types_in_types(kind, 1_000_000));
        assert!(error.starts_with("it has 3000003 bytes of types or more, "), "{kind}: {error}");
    }
    let error = refused(&types_in_types(instance, 15));
    assert!(error.starts_with("it does not export describe"), "16 are no more than 16: {error}");
    assert_eq!(refused(&types_in_types(instance, 16)), text);
}

#[test]
fn types_of_a_module_s_interface_that_are_nested_too_deeply_are_refused_before_they_are_read() {
    for kind in [0x41, 0x42] {
        let error = refused(&described_by(&types_in_types(kind, 1_000)));
        let text = "its types are nested more than 16 deep: build it with `cargo xtask unit`";
        assert_eq!(error, text, "{kind}");
        let error = refused(&described_by(&types_in_types(kind, 1_000_000)));
        assert!(error.starts_with("its interface is described by 3000"), "{kind}: {error}");
    }
}

/// A parser makes more than a hundred bytes of two.
#[test]
fn a_component_of_too_many_types_is_refused() {
    let types = [&number(1_100_000)[..], &[0x7f; 1_100_000]].concat();
    let bytes = [b"\0asm\x0d\0\x01\0", &section(7, &types)[..]].concat();
    let error = refused(&bytes);
    assert_eq!(error, "it has 1100003 bytes of types or more, 1048576 allowed: build it smaller");
}

/// Interfaces of so many packages, each of which names a type of the one before it.
fn chain(packages: usize) -> Vec<u8> {
    let mut world = String::new();
    for number in 0..packages {
        let known = match number.checked_sub(1) {
            None => "(type (record (field \"x\" u8)))".to_owned(),
            Some(before) => {
                let _ = write!(world, "(alias export {before} \"t\" (type))");
                format!("(alias outer 1 {} (type))", 2 * before + 1)
            }
        };
        let instance = format!("(type (instance {known} (export \"t\" (type (eq 0)))))");
        let _ =
            write!(world, "{instance} (import \"a:p{number}/i\" (instance (type {})))", 2 * number);
    }
    let world = format!("(type (component {world}))");
    let world = format!("(type (component {world} (export \"a:b/w\" (component (type 0)))))");
    let encoding = r#"(@custom "wit-component-encoding" "\04\00")"#;
    let text = format!("(component {encoding} {world} (export \"w\" (type 0)))");
    wat::parse_str(text).expect("a component")
}

#[test]
fn interfaces_that_name_types_of_one_another_are_followed_as_far_as_there_is_room() {
    let error = refused(&described_by(&chain(400)));
    assert!(error.starts_with("it does not export describe"), "{error}");
    let error = refused(&described_by(&chain(500)));
    let text = "its interface is described by 18192 bytes or more, 16384 allowed: build it with \
                resilee_guest::export!";
    assert_eq!(error, text);
}

#[test]
fn modules_of_a_component_count_as_often_as_it_is_instantiated() {
    let of_instances = |instances: usize| {
        let instances = "(instance (instantiate $c))".repeat(instances);
        let module = "(core module $m) (core instance (instantiate $m))";
        let text = format!("(component (component $c {module}) {instances})");
        refused(&wat::parse_str(text).expect("a component"))
    };
    let error = of_instances(60);
    assert!(error.starts_with("it does not export describe"), "{error}");
    let many = "(core instance (instantiate $m))".repeat(32);
    let text = format!(
        "(component (component $c (core module $m) {many}) (instance (instantiate $c))
           (instance (instantiate $c)) (instance (instantiate $c)))"
    );
    let error = refused(&wat::parse_str(text).expect("a component"));
    assert_eq!(error, "it has 96 instances of modules or more, 64 allowed: build it smaller");
}

#[test]
fn a_component_that_is_given_by_another_one_is_refused() {
    // What it makes is not plain from where it stands.
    for text in [
        "(component (import \"c\" (component)))",
        "(component (component $c) (export \"c\" (component $c)))",
        "(component (component $c) (component (alias outer 1 $c (component))))",
        "(component (component $c (component $d) (export \"d\" (component $d)))
           (instance $i (instantiate $c)) (alias export $i \"d\" (component)))",
    ] {
        let error = refused(&wat::parse_str(text).expect("a component"));
        let expected = "it has a component that another component gives it, as no unit of `cargo \
                        xtask unit` has: build it so";
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn a_component_of_too_many_parts_is_refused() {
    let text = "it has 65 instances of components or more, 64 allowed: build it smaller";
    assert_eq!(refused(&nested(2, 65)), text);
    let many = |part: &str, count: usize| {
        let text = format!("(component {})", part.repeat(count));
        refused(&wat::parse_str(text).expect("a component"))
    };
    let error = many("(component)", 33);
    assert_eq!(error, "it has 33 components or more, 32 allowed: build it smaller");
    let error = many("(core module)", 65);
    assert_eq!(error, "it has 65 modules or more, 64 allowed: build it smaller");
    let error = many("(core instance)", 65);
    assert_eq!(error, "it has 65 instances of modules or more, 64 allowed: build it smaller");
}

/// Few bytes of each are much work for a compiler.
#[test]
fn functions_and_locals_and_what_is_passed_by_an_interface_are_counted() {
    let module = |functions: &str, count: usize| {
        refused(&wat::parse_str(format!("(module {})", functions.repeat(count))).expect("a module"))
    };
    let error = module("(func)", 32_769);
    assert_eq!(error, "it has 32769 functions or more, 32768 allowed: build it smaller");
    let locals = format!("(func (local {}))", "i32 ".repeat(40_000));
    let error = module(&locals, 27);
    assert_eq!(error, "it has 1080000 locals or more, 1048576 allowed: build it smaller");
    let passed = "(core func (canon lower (func $f)))".repeat(1_025);
    let text = format!("(component (import \"f\" (func $f)) {passed})");
    let error = refused(&wat::parse_str(text).expect("a component"));
    let expected =
        "it has 1025 functions of its interfaces or more, 1024 allowed: build it smaller";
    assert_eq!(error, expected);
}

#[test]
fn a_function_that_is_too_large_is_refused() {
    let module = format!("(module (func {}))", "nop ".repeat(FUNCTION_BYTES_MAX));
    let error = refused(&wat::parse_str(&module).expect("a module"));
    let size = FUNCTION_BYTES_MAX + 2;
    let text = format!(
        "it has a function of {size} bytes, 262144 allowed: build it with --release, or divide \
         the largest function"
    );
    assert_eq!(error, text);
}

#[test]
fn another_version_of_webassembly_is_refused() {
    let error = refused(b"\0asm\x02\0\0\0");
    assert_eq!(error, "it is of a version of WebAssembly that this node does not know");
}

#[test]
fn a_module_without_an_interface_is_refused() {
    let module = |text: &str| refused(&wat::parse_str(text).expect("a module"));
    let error = module("(module (func (export \"run\")))");
    let text = "it does not export describe of resilee:sbb/unit@0.1.0: build it with \
                resilee_guest::export!";
    assert_eq!(error, text);
    let error = module("(module (import \"env\" \"now\" (func)))");
    assert!(error.starts_with("it is a module, and no unit: give the crate"), "{error}");
    assert!(error.contains("now"), "{error}");
}

#[test]
fn a_component_that_is_no_unit_is_refused() {
    let component = wat::parse_str("(component)").expect("a component");
    let error = refused(&component);
    let text = "it does not export describe of resilee:sbb/unit@0.1.0: build it with \
                resilee_guest::export!";
    assert_eq!(error, text);
}

#[test]
fn another_version_of_the_interface_is_refused() {
    let error = Guest { version: "0.2.0", ..Guest::default() }.refused();
    let text = "it was built for resilee:sbb/host@0.2.0, this node has resilee:sbb/host@0.1.0: \
                build it with the resilee-guest of this version";
    assert_eq!(error, text);
}

#[test]
fn a_later_version_of_the_same_line_is_taken() {
    let later = Guest { version: "0.1.7", ..Guest::default() };
    host().compile(&later.bytes()).expect("a unit");
}

#[test]
fn an_import_that_no_node_has_is_refused() {
    let import = "(import \"wasi:cli/exit@0.2.0\" (instance (export \"exit\" (func))))";
    let error = Guest { import, ..Guest::default() }.refused();
    let text = "it imports \"wasi:cli/exit@0.2.0\", which no node has: build it for \
                wasm32-unknown-unknown, without crates that need an operating system";
    assert_eq!(error, text);
}

#[test]
fn a_function_that_this_node_does_not_have_yet_is_refused() {
    let import = "(import \"resilee:sbb/later@0.1.0\" (instance (export \"new\" (func))))";
    let error = Guest { import, ..Guest::default() }.refused();
    let start = "it asks for what this node does not have: update the nodes first";
    assert!(error.starts_with(start), "{error}");
    assert!(error.contains("resilee:sbb/later"), "{error}");
}

#[test]
fn a_description_that_is_none_is_refused() {
    let description = encode(&"hello").expect("plain");
    let error = Guest { description, ..Guest::default() }.refused();
    assert!(error.starts_with("its description is not readable: "), "{error}");
    let description = vec![0; 70_000];
    let error = Guest { description, ..Guest::default() }.refused();
    assert_eq!(error, "its description has 70000 bytes, 65536 allowed");
}

#[test]
fn a_description_that_contradicts_itself_is_refused() {
    let error = refused_description(|it| it.services.push("other".to_owned()));
    assert_eq!(error, "it names an SBB \"other\", and does not describe it");
    let error = refused_description(|it| it.services.push("guest".to_owned()));
    assert_eq!(error, "it has 2 services, and a unit has one: build one of each");
    let error = refused_description(|it| it.services.clear());
    assert_eq!(error, "it has no service: give resilee_guest::export! one");
    let error = refused_description(|it| it.sbbs.push(it.sbbs[0].clone()));
    assert_eq!(error, "it describes the SBB \"guest\" twice");
    let error = refused_description(|it| it.sbbs[0].name = "a b".to_owned());
    assert!(error.starts_with("it names an SBB \"guest\""), "{error}");
    let error = refused_description(|it| {
        let to_one = Permission::Start { adaptor: "sip", to: "bob" };
        it.sbbs[0].permissions.push((&to_one).into());
    });
    assert!(error.starts_with("a permission: what sip starts goes wherever"), "{error}");
    let error = refused_description(|it| it.sbbs[0].vendor = "x".repeat(129));
    assert!(error.starts_with("guest has a name of 129 bytes, 128 allowed: \"xxx"), "{error}");
}

/// A terminal would write what follows from right to left, or over what it has shown before.
#[test]
fn a_description_with_characters_that_nobody_sees_is_refused() {
    for unseen in ['\u{202e}', '\u{1b}', '\n', '\u{200b}', '\u{2028}', '\u{feff}', '\u{e0041}'] {
        let text = format!("a{unseen}b");
        let error = refused_description(|it| it.sbbs[0].vendor.clone_from(&text));
        assert_eq!(error, format!("guest has a text with a character that nobody sees: {text:?}"));
        assert_eq!(refused_description(|it| it.sbbs[0].version.clone_from(&text)), error);
        let permission = Permission::Command(text.clone().leak());
        assert_eq!(
            refused_description(|it| it.sbbs[0].permissions[0] = (&permission).into()),
            error
        );
        assert_eq!(refused_field("events", [text]), error);
    }
}

/// Why a description is refused of which this field is so.
fn refused_field(field: &'static str, value: impl Serialize) -> String {
    #[derive(Serialize)]
    struct Sbb<T: Serialize> {
        name: &'static str,
        #[serde(flatten)]
        field: BTreeMap<&'static str, T>,
    }
    #[derive(Serialize)]
    struct Unit<T: Serialize> {
        services: [&'static str; 1],
        sbbs: [Sbb<T>; 1],
    }
    let sbbs = [Sbb { name: "guest", field: BTreeMap::from([(field, value)]) }];
    let description = encode(&Unit { services: ["guest"], sbbs }).expect("plain");
    Guest { description, ..Guest::default() }.refused()
}

/// A node walks through all of them at each event.
#[test]
fn a_description_that_names_too_much_is_refused() {
    let names = |count: usize| (0..count).map(|it| it.to_string());
    for field in ["initial_events", "events"] {
        let error = refused_field(field, names(257).collect::<Vec<_>>());
        assert_eq!(error, "guest has 257 event types, 256 allowed", "{field}");
    }
    let pairs = |count| names(count).map(|name| (name, "Counter")).collect::<Vec<_>>();
    let error = refused_field("attribute_aliases", pairs(257));
    assert_eq!(error, "guest has 257 attribute aliases, 256 allowed");
    let error = refused_field("usage", pairs(1_025));
    assert_eq!(error, "guest has 1025 usage parameters, 1024 allowed");
    let child = |name| BTreeMap::from([("name", name), ("sbb", "guest".to_owned())]);
    let error = refused_field("children", names(65).map(child).collect::<Vec<_>>());
    assert_eq!(error, "guest has 65 child relations, 64 allowed");
    let error = refused_field("needs", names(65).collect::<Vec<_>>());
    assert_eq!(error, "guest has 65 services that it needs, 64 allowed");
    #[derive(Serialize)]
    struct Table {
        name: String,
        attributes: [u8; 0],
        profiles_max: u8,
    }
    let table = |name| Table { name, attributes: [], profiles_max: 1 };
    let error = refused_field("profile_tables", names(65).map(table).collect::<Vec<_>>());
    assert_eq!(error, "guest has 65 profile tables, 64 allowed");
}

#[test]
fn a_unit_that_never_says_what_it_is_is_refused() {
    let error = Guest { describe: "(loop $l (br $l))", ..Guest::default() }.refused();
    assert_eq!(error, "it does not say what it is: it ran longer than 1s");
}

#[test]
fn what_is_forgotten_runs_no_more() {
    let host = host();
    let service = host.compile(&Guest::default().bytes()).expect("a unit");
    let other = host.compile(&Guest::default().bytes()).expect("the same again");
    service.forget();
    let outcome = service.invoke(&crate::guest::deliver());
    let reason = "guest was removed".to_owned();
    assert_eq!(outcome, resilee_sbb::Outcome::RolledBack { reason, effects: Vec::new() });
    let outcome = other.invoke(&crate::guest::deliver());
    assert!(matches!(outcome, resilee_sbb::Outcome::Delivered { .. }), "{outcome:?}");
}
