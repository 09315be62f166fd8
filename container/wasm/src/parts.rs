//! What a component may be made of. It is looked at before it is compiled: the compiler follows
//! each instance of each component, of which a file of 500 bytes can name a billion.
//!
//! So instances are counted as the compiler meets them: each instance of a component brings along
//! all that this component makes, and each of a module takes what this module needs. Which one that
//! is must be plain from its number; so components and modules are neither imported, exported nor
//! taken from elsewhere.

use crate::component::invalid;
use crate::limits::{
    CANONICALS_MAX, COMPONENT_INSTANCES_MAX, COMPONENTS_MAX, DATA_SEGMENTS_MAX, FUNCTION_BYTES_MAX,
    FUNCTIONS_MAX, INTERFACE_BYTES_MAX, LOCALS_MAX, PARTS_MAX, PLACES_MAX, STARTUP_MAX,
    TYPE_BYTES_MAX,
};
use crate::nesting::check_nesting;
use crate::startup::Counted;
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Encoding, Instance, Parser, Payload,
};

/// How names of the sections begin that describe the interface of a module.
const INTERFACE: &str = "component-type";

/// What an instance of a component makes; of one of a module only the places are something.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    core_instances: u32,
    instances: u32,
    canonicals: u32,
    places: u32,
}

/// A component or module that is being read.
#[derive(Debug)]
struct Scope {
    is_component: bool,
    made: Made,
    /// What instances of the components within it make, by their numbers.
    components: Vec<Made>,
    /// Those of the modules.
    modules: Vec<Made>,
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
    let (mut type_bytes, mut steps, mut data_segments) = (0, 0, 0);
    // Each is within the one before it.
    let mut scopes: Vec<Scope> = Vec::new();
    let read = |error: BinaryReaderError| invalid(error.to_string());
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(read)?;
        if let Some(what) = renumbered(&payload).map_err(read)? {
            return Err(format!(
                "it has a {what} that another component gives it, as no unit of `cargo xtask unit` \
                 has: build it so"
            ));
        }
        let counted = Counted::of(&payload).map_err(read)?;
        let what = "elements and instructions that set globals";
        add(&mut steps, counted.steps, what, STARTUP_MAX)?;
        add(&mut data_segments, counted.data_segments, "data segments", DATA_SEGMENTS_MAX)?;
        match payload {
            Payload::Version { encoding, .. } => {
                let is_component = encoding == Encoding::Component;
                let (made, components, modules) = (Made::default(), Vec::new(), Vec::new());
                scopes.push(Scope { is_component, made, components, modules });
            }
            Payload::End(_) => {
                let ended = scopes.pop();
                if let (Some(ended), Some(around)) = (ended, scopes.last_mut()) {
                    match ended.is_component {
                        true => around.components.push(ended.made),
                        false => around.modules.push(ended.made),
                    }
                }
            }
            Payload::ModuleSection { .. } => add(&mut modules, 1, "modules", PARTS_MAX)?,
            Payload::ComponentSection { .. } => {
                add(&mut components, 1, "components", COMPONENTS_MAX)?;
            }
            Payload::InstanceSection(section) => {
                let Some(scope) = scopes.last_mut() else { continue };
                for instance in section {
                    scope.made.add(Made { core_instances: 1, ..Made::default() })?;
                    if let Instance::Instantiate { module_index, .. } = instance.map_err(read)? {
                        // The compiler refuses one that is not there.
                        let number = module_index as usize;
                        scope.made.add(scope.modules.get(number).copied().unwrap_or_default())?;
                    }
                }
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
            _ => {
                let Some(scope) = scopes.last_mut() else { continue };
                scope.made.add(Made { places: counted.places, ..Made::default() })?;
            }
        }
    }
    Ok(())
}

impl Made {
    fn add(&mut self, more: Made) -> Result<(), String> {
        let Made { core_instances, instances, canonicals, places } = more;
        add(&mut self.core_instances, core_instances, "instances of modules", PARTS_MAX)?;
        let what = "instances of components";
        add(&mut self.instances, instances, what, COMPONENT_INSTANCES_MAX)?;
        add(&mut self.canonicals, canonicals, "functions of its interfaces", CANONICALS_MAX)?;
        let what = "functions, globals, data segments and elements in instances of its modules";
        add(&mut self.places, places, what, PLACES_MAX)
    }
}

/// What gets another number by this than that of its place in the file, if anything does.
fn renumbered(payload: &Payload<'_>) -> Result<Option<&'static str>, BinaryReaderError> {
    type Kind = ComponentExternalKind;
    let named = |kind| match kind {
        Kind::Component => Some("component"),
        Kind::Module => Some("module"),
        _ => None,
    };
    match payload {
        Payload::ComponentImportSection(imports) => {
            first(imports.clone(), |import| match import.ty {
                ComponentTypeRef::Component(_) => named(Kind::Component),
                ComponentTypeRef::Module(_) => named(Kind::Module),
                _ => None,
            })
        }
        Payload::ComponentExportSection(exports) => {
            first(exports.clone(), |export| named(export.kind))
        }
        Payload::ComponentAliasSection(aliases) => first(aliases.clone(), |alias| match alias {
            ComponentAlias::InstanceExport { kind, .. } => named(kind),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, .. } => {
                named(Kind::Component)
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => {
                named(Kind::Module)
            }
            ComponentAlias::Outer { .. } | ComponentAlias::CoreInstanceExport { .. } => None,
        }),
        _ => Ok(None),
    }
}

fn first<T>(
    section: impl IntoIterator<Item = Result<T, BinaryReaderError>>,
    found: impl Fn(T) -> Option<&'static str>,
) -> Result<Option<&'static str>, BinaryReaderError> {
    for item in section {
        if let Some(what) = found(item?) {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

fn add(sum: &mut u32, more: u32, what: &str, max: u32) -> Result<(), String> {
    *sum = sum.saturating_add(more);
    match *sum > max {
        true => Err(format!("it has {sum} {what} or more, {max} allowed: build it smaller")),
        false => Ok(()),
    }
}
