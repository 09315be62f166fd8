//! What of a file is looked at before anything of it runs: that it is a unit for this node.
//!
//! | the file is                                     | what becomes of it                       |
//! |-------------------------------------------------|------------------------------------------|
//! | too large, empty, no WebAssembly                | refused                                  |
//! | compiled code                                   | refused: it could do what it likes       |
//! | a module, as cargo builds it, with its interface| made into a component                    |
//! | ... made of too many parts, or too large ones,  | refused                                  |
//! | or of types that are nested too deeply          |                                          |
//! | ... whose functions are too much work           | refused                                  |
//! | a component, which imports what a node has      | compiled                                 |
//! | ... which imports something else                | refused, with the name of that           |
//! | ... without the functions of a unit             | refused, with their names                |

use crate::instance::Code;
use crate::limits::UNIT_BYTES_MAX;
use crate::node_side::{HOST, NodeSide};
use crate::parts::{check_interface, check_parts};
use crate::work::check_work;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};
use wit_component::ComponentEncoder;

/// The interface that units export.
pub(crate) const UNIT: &str = "resilee:sbb/unit@0.1.0";
/// Both interfaces' package, without the version.
const PACKAGE: &str = "resilee:sbb/";
/// How WebAssembly begins, and then what kind of it: a module or a component.
const MAGIC: &[u8] = b"\0asm";
const MODULE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// What an operator may do about a unit that needs more memory.
pub(crate) const MORE_MEMORY: &str =
    "build it smaller, or raise [limits] unit_memory_bytes_max at all nodes";
/// Bytes of what a parser says.
const DETAIL_BYTES_MAX: usize = 300;

/// The code of a unit.
pub(crate) fn compiled(engine: &Engine, bytes: &[u8]) -> Result<Code, String> {
    // Nothing that somebody uploads may end the node, whatever a parser makes of it.
    catch_unwind(AssertUnwindSafe(|| {
        check_file(bytes)?;
        let component = match bytes[4..8] == *MODULE {
            true => &wrapped(bytes)?[..],
            false => bytes,
        };
        check_parts(component)?;
        check_work(component)?;
        let component = Component::new(engine, component);
        let component = component.map_err(|error| invalid(format!("{error:#}")))?;
        linked(engine, &component)
    }))
    .unwrap_or_else(|_| Err("the file cannot be compiled: build the unit again".to_owned()))
}

fn check_file(bytes: &[u8]) -> Result<(), String> {
    let (size, max) = (bytes.len(), UNIT_BYTES_MAX);
    if size > max {
        return Err(format!("a unit of {size} bytes, {max} allowed: build it with --release"));
    }
    if Engine::detect_precompiled(bytes).is_some() || bytes.starts_with(b"\x7fELF") {
        return Err("it is compiled code, which a node never takes: upload the .wasm".to_owned());
    }
    if !bytes.starts_with(MAGIC) {
        return Err("it is not WebAssembly: build it with `cargo xtask unit`".to_owned());
    }
    match bytes.get(4..8) {
        Some(kind) if kind == MODULE || kind == COMPONENT => Ok(()),
        Some(_) => Err("it is of a version of WebAssembly that this node does not know".to_owned()),
        None => Err("the file is cut short: upload it again".to_owned()),
    }
}

/// The component of a module that names its interface.
fn wrapped(module: &[u8]) -> Result<Vec<u8>, String> {
    check_interface(module)?;
    let encoder = ComponentEncoder::default().module(module);
    let component = encoder.and_then(|encoder| encoder.validate(false).encode());
    component.map_err(|error| {
        let text = format!("{error:#}");
        match is_cut_short(&text) {
            true => "the file is cut short: upload it again".to_owned(),
            false => format!(
                "it is a module, and no unit: give the crate resilee_guest::export! and build it \
                 with `cargo xtask unit` ({})",
                detail(text)
            ),
        }
    })
}

/// What is wrong with a file, of which a parser or the compiler says this.
pub(crate) fn invalid(text: String) -> String {
    if is_cut_short(&text) {
        return "the file is cut short: upload it again".to_owned();
    }
    // What the engine reserves room for, and what it compiles, it counts in words of its own.
    let is_too_much = ["exceeds the limit", "pooling allocator"].iter().any(|it| text.contains(it));
    let is_memory = is_too_much && text.contains("memory index");
    match is_too_much {
        true if is_memory => {
            format!("it needs more than a node gives a unit ({}): {MORE_MEMORY}", detail(text))
        }
        true => format!("it needs more than a node gives a unit ({})", detail(text)),
        false => format!("it is no valid WebAssembly: build the unit again ({})", detail(text)),
    }
}

fn is_cut_short(text: &str) -> bool {
    ["unexpected end", "unexpected EOF", "is out of bounds (bound"]
        .iter()
        .any(|it| text.contains(it))
}

fn detail(text: String) -> String {
    resilee_sbb::cut(text.replace('\n', " "), DETAIL_BYTES_MAX)
}

fn linked(engine: &Engine, component: &Component) -> Result<Code, String> {
    let of_type = component.component_type();
    for (import, _) in of_type.imports(engine) {
        check_version(import, HOST)?;
        if !import.starts_with(PACKAGE) {
            return Err(format!(
                "it imports {import:?}, which no node has: build it for wasm32-unknown-unknown, \
                 without crates that need an operating system"
            ));
        }
    }
    for (export, _) in of_type.exports(engine) {
        check_version(export, UNIT)?;
    }
    let mut linker = Linker::new(engine);
    let linked = NodeSide::link(&mut linker).and_then(|()| linker.instantiate_pre(component));
    let pre = linked.map_err(|error| {
        let text = detail(format!("{error:#}"));
        format!("it asks for what this node does not have: update the nodes first ({text})")
    })?;
    let export = |name: &str| {
        let unit = component.get_export_index(None, UNIT);
        let function = unit.and_then(|unit| component.get_export_index(Some(&unit), name));
        function.ok_or_else(|| {
            format!("it does not export {name} of {UNIT}: build it with resilee_guest::export!")
        })
    };
    Ok(Code { pre, describe: export("describe")?, deliver: export("deliver")? })
}

/// Another version of the same interface is another interface; one that differs behind the second
/// point only is the same.
fn check_version(name: &str, own: &str) -> Result<(), String> {
    let parts = |name: &'_ str| -> Option<(String, String)> {
        let (interface, version) = name.split_once('@')?;
        let line = version.rsplit_once('.')?.0;
        Some((interface.to_owned(), line.to_owned()))
    };
    let (Some((interface, line)), Some((own_interface, own_line))) = (parts(name), parts(own))
    else {
        return Ok(());
    };
    match interface == own_interface && line != own_line {
        true => Err(format!(
            "it was built for {name}, this node has {own}: build it with the resilee-guest of this \
             version"
        )),
        false => Ok(()),
    }
}
