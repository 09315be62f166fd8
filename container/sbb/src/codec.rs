//! The one codec of states, events, records and frames: MessagePack maps with field names, so
//! that a reader of an older or newer version skips fields it does not know.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Room for most of what is written, so that it is not moved again and again while it grows.
const USUAL_BYTES: usize = 128;

/// Maps and lists within one another, of what is read: the container's own records have some ten,
/// and the state of a service may have more. Who reads one calls itself for each, also if nobody
/// knows the field it is in: without optimization 800 fill the stack of a thread, which ends the
/// process.
const DEPTH_MAX: usize = 128;

/// Bytes that could not be written or read as the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    /// Bytes that can be read as the type, but whose values cannot be.
    pub fn invalid(what: impl Into<String>) -> Self {
        CodecError(what.into())
    }
}

/// Writes `value` as a MessagePack map.
///
/// # Errors
/// A type whose `Serialize` fails, or a map whose length is not known in advance.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    encode_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Writes `value` as [`encode`] does, behind what is in `bytes`.
///
/// # Errors
/// As [`encode`]; what is in `bytes` then is of no use.
pub fn encode_into<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> Result<(), CodecError> {
    let written = rmp_serde::encode::write_named(bytes, value);
    written.map_err(|error| CodecError(format!("cannot encode: {error}")))
}

/// Reads what [`encode`] wrote; unknown fields are skipped.
///
/// # Errors
/// Bytes that are cut short, nested too deeply, or of another type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(DEPTH_MAX);
    let read = T::deserialize(&mut reader);
    read.map_err(|error| CodecError(format!("cannot decode: {error}")))
}
