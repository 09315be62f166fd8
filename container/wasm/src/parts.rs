//! What a component may be made of. It is looked at before it is compiled: the compiler follows
//! each instance of each component, of which a file of 500 bytes can name a billion.

use crate::component::invalid;
use crate::limits::{COMPONENT_INSTANCES_MAX, COMPONENTS_MAX, FUNCTION_BYTES_MAX, PARTS_MAX};
use wasmparser::{Parser, Payload};

/// Why it is made of too much.
pub(crate) fn check_parts(component: &[u8]) -> Result<(), String> {
    let (mut modules, mut components, mut core_instances, mut instances) = (0, 0, 0, 0);
    // Components and modules around what is read.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| invalid(error.to_string()))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // What gives an interface its types is one, and has neither.
            Payload::ModuleSection { .. }
            | Payload::ComponentSection { .. }
            | Payload::InstanceSection(_)
            | Payload::ComponentInstanceSection(_)
                if depth > 1 =>
            {
                return Err("it has a component within it that is made of others, as no unit of \
                            `cargo xtask unit` has: build it so"
                    .to_owned());
            }
            Payload::ModuleSection { .. } => add(&mut modules, 1, "modules", PARTS_MAX)?,
            Payload::ComponentSection { .. } => {
                add(&mut components, 1, "components", COMPONENTS_MAX)?;
            }
            Payload::InstanceSection(section) => {
                add(&mut core_instances, section.count(), "instances of modules", PARTS_MAX)?;
            }
            Payload::ComponentInstanceSection(section) => {
                let what = "instances of components";
                add(&mut instances, section.count(), what, COMPONENT_INSTANCES_MAX)?;
            }
            Payload::CodeSectionEntry(body) => {
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

fn add(sum: &mut u32, more: u32, what: &str, max: u32) -> Result<(), String> {
    *sum = sum.saturating_add(more);
    match *sum > max {
        true => Err(format!("it has {sum} {what} or more, {max} allowed: build it smaller")),
        false => Ok(()),
    }
}
