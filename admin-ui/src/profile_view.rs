//! Words and texts of profiles that pages and REST share.

use resilee_core::management::ProfileSource;
use resilee_sbb::AttributeKind;

/// Whose word a profile is, in words.
pub fn source_word(source: ProfileSource) -> &'static str {
    match source {
        ProfileSource::Configured => "configured",
        ProfileSource::Written => "written",
        ProfileSource::WrittenOver => "written over",
    }
}

/// True if its values are texts in JSON, though they are numbers: a price is no binary fraction.
pub fn json_text(kind: AttributeKind) -> bool {
    matches!(kind, AttributeKind::Decimal { .. })
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}
