//! How deeply the types of a component are nested. That is looked at before a parser reads them: it
//! calls itself for each type within a type, of which a file has one in three bytes, and a thread
//! whose stack is full ends the process. So here nothing calls itself.
//!
//! | what is read                    | by                                                       |
//! |---------------------------------|----------------------------------------------------------|
//! | how a type with others begins   | this file                                                |
//! | whatever has no type within it  | the parser that reads all of it later, at the same place |

use crate::component::invalid;
use crate::limits::TYPE_DEPTH_MAX;
use wasmparser::{BinaryReader, BinaryReaderError, ComponentType, ComponentTypeDeclaration};

/// How the type of a component or of an instance begins; the number of its declarations follows.
const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;
/// How the declaration of a type begins.
const TYPE: u8 = 0x01;

/// Why a section of types, which begins there in its file, is not read.
pub(crate) fn check_nesting(section: &[u8], at: usize) -> Result<(), String> {
    let read = |error: BinaryReaderError| invalid(error.to_string());
    let mut reader = BinaryReader::new(section, at);
    // What is still to come of the section, and of each type that is open, the innermost last.
    let mut to_come = vec![reader.read_var_u32().map_err(read)?];
    while let Some(rest) = to_come.last_mut() {
        if *rest == 0 {
            to_come.pop();
            continue;
        }
        *rest -= 1;
        let is_in_a_type = to_come.len() > 1;
        if is_in_a_type && next(&reader).map_err(read)? != TYPE {
            reader.read::<ComponentTypeDeclaration<'_>>().map_err(read)?;
            continue;
        }
        if is_in_a_type {
            reader.read_u8().map_err(read)?;
        }
        if ![COMPONENT, INSTANCE].contains(&next(&reader).map_err(read)?) {
            reader.read::<ComponentType<'_>>().map_err(read)?;
            continue;
        }
        if to_come.len() > TYPE_DEPTH_MAX {
            return Err(format!(
                "its types are nested more than {TYPE_DEPTH_MAX} deep: build it with `cargo xtask \
                 unit`"
            ));
        }
        reader.read_u8().map_err(read)?;
        to_come.push(reader.read_var_u32().map_err(read)?);
    }
    Ok(())
}

fn next(reader: &BinaryReader<'_>) -> Result<u8, BinaryReaderError> {
    reader.clone().read_u8()
}
