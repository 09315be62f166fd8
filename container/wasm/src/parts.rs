//! What a component may be made of. It is looked at before it is compiled: the compiler follows
//! each instance of each component, of which a file of 500 bytes can name a billion.
//!
//! So instances are counted as the compiler meets them: each instance of a component brings along
//! all that this component makes. Which one that is must be plain from its number; so components
//! are neither imported, exported nor taken from elsewhere.

use crate::component::invalid;
use crate::limits::{
    CANONICALS_MAX, COMPONENT_INSTANCES_MAX, COMPONENTS_MAX, FUNCTION_BYTES_MAX, FUNCTIONS_MAX,
    INTERFACE_BYTES_MAX, LOCALS_MAX, PARTS_MAX, TYPE_BYTES_MAX,
};
use crate::nesting::check_nesting;
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Encoding, Parser, Payload,
};

/// How names of the sections begin that describe the interface of a module.
const INTERFACE: &str = "component-type";

/// What an instance of a component makes.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    core_instances: u32,
    instances: u32,
    canonicals: u32,
}

/// A component or module that is being read.
#[derive(Debug)]
struct Scope {
    is_component: bool,
    made: Made,
    /// What instances of the components within it make, by their numbers.
    components: Vec<Made>,
}

/// What describes the interface of a module is a component of types, in sections whose names begin
/// so. It is looked at before one is made of both.
pub(crate) fn check_interface(module: &[u8]) -> Result<(), String> {
    let mut size = 0;
    // What cannot be read is not read by anybody beyond that.
    for payload in Parser::new(0).parse_all(module).map_while(Result::ok) {
        let Payload::CustomSection(section) = payload else { continue };
        if section.name().starts_with(INTERFACE) {
            size += section.data().len();
            if size > INTERFACE_BYTES_MAX {
                return Err(format!(
                    "its interface is described by {size} bytes or more, {INTERFACE_BYTES_MAX} \
                     allowed: build it with resilee_guest::export!"
                ));
            }
            check_parts(section.data())?;
        }
    }
    Ok(())
}

/// Why it is made of too much.
pub(crate) fn check_parts(component: &[u8]) -> Result<(), String> {
    let (mut modules, mut components, mut functions, mut locals) = (0, 0, 0, 0);
    let mut type_bytes = 0;
    // Each is within the one before it.
    let mut scopes: Vec<Scope> = Vec::new();
    let read = |error: BinaryReaderError| invalid(error.to_string());
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(read)?;
        if names_a_component(&payload).map_err(read)? {
            return Err(
                "it has a component that another one gives it, as no unit of `cargo xtask \
                        unit` has: build it so"
                    .to_owned(),
            );
        }
        match payload {
            Payload::Version { encoding, .. } => {
                let is_component = encoding == Encoding::Component;
                scopes.push(Scope { is_component, made: Made::default(), components: Vec::new() });
            }
            Payload::End(_) => {
                let ended = scopes.pop();
                if let (Some(ended), Some(around)) = (ended, scopes.last_mut())
                    && ended.is_component
                {
                    around.components.push(ended.made);
                }
            }
            Payload::ModuleSection { .. } => add(&mut modules, 1, "modules", PARTS_MAX)?,
            Payload::ComponentSection { .. } => {
                add(&mut components, 1, "components", COMPONENTS_MAX)?;
            }
            Payload::InstanceSection(section) => {
                let Some(scope) = scopes.last_mut() else { continue };
                let core_instances = section.count();
                scope.made.add(Made { core_instances, ..Made::default() })?;
            }
            Payload::ComponentInstanceSection(section) => {
                let Some(scope) = scopes.last_mut() else { continue };
                for instance in section {
                    scope.made.add(Made { instances: 1, ..Made::default() })?;
                    if let ComponentInstance::Instantiate { component_index, .. } =
                        instance.map_err(read)?
                    {
                        // The compiler refuses one that is not there.
                        let number = component_index as usize;
                        let child = scope.components.get(number).copied().unwrap_or_default();
                        scope.made.add(child)?;
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                let Some(scope) = scopes.last_mut() else { continue };
                let canonicals = section.count();
                scope.made.add(Made { canonicals, ..Made::default() })?;
            }
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                let size = u32::try_from(range.len()).unwrap_or(u32::MAX);
                add(&mut type_bytes, size, "bytes of types", TYPE_BYTES_MAX)?;
                check_nesting(&component[range.clone()], range.start)?;
            }
            Payload::CodeSectionEntry(body) => {
                add(&mut functions, 1, "functions", FUNCTIONS_MAX)?;
                for declared in body.get_locals_reader().map_err(read)? {
                    let (count, _) = declared.map_err(read)?;
                    add(&mut locals, count, "locals", LOCALS_MAX)?;
                }
                let (size, max) = (body.range().len(), FUNCTION_BYTES_MAX);
                if size > max {
                    return Err(format!(
                        "it has a function of {size} bytes, {max} allowed: build it with \
                         --release, or divide the largest function"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Made {
    fn add(&mut self, more: Made) -> Result<(), String> {
        let Made { core_instances, instances, canonicals } = more;
        add(&mut self.core_instances, core_instances, "instances of modules", PARTS_MAX)?;
        let what = "instances of components";
        add(&mut self.instances, instances, what, COMPONENT_INSTANCES_MAX)?;
        add(&mut self.canonicals, canonicals, "functions of its interfaces", CANONICALS_MAX)
    }
}

/// True if components get another number by this than that of their place in the file.
fn names_a_component(payload: &Payload<'_>) -> Result<bool, BinaryReaderError> {
    match payload {
        Payload::ComponentImportSection(imports) => any(imports.clone().into_iter(), |import| {
            matches!(import.ty, ComponentTypeRef::Component(_))
        }),
        Payload::ComponentExportSection(exports) => any(exports.clone().into_iter(), |export| {
            export.kind == ComponentExternalKind::Component
        }),
        Payload::ComponentAliasSection(aliases) => any(aliases.clone().into_iter(), |alias| {
            let (exported, outer) =
                (ComponentExternalKind::Component, ComponentOuterAliasKind::Component);
            match alias {
                ComponentAlias::InstanceExport { kind, .. } => kind == exported,
                ComponentAlias::Outer { kind, .. } => kind == outer,
                ComponentAlias::CoreInstanceExport { .. } => false,
            }
        }),
        _ => Ok(false),
    }
}

fn any<T>(
    mut section: impl Iterator<Item = Result<T, BinaryReaderError>>,
    is_such: impl Fn(T) -> bool,
) -> Result<bool, BinaryReaderError> {
    section.try_fold(false, |found, item| Ok(found || is_such(item?)))
}

fn add(sum: &mut u32, more: u32, what: &str, max: u32) -> Result<(), String> {
    *sum = sum.saturating_add(more);
    match *sum > max {
        true => Err(format!("it has {sum} {what} or more, {max} allowed: build it smaller")),
        false => Ok(()),
    }
}
