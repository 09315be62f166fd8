//! Which key of a property file a byte of it belongs to, for errors of the TOML reader.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The key, with its tables, that `span` is in; none if the file cannot be read as TOML.
pub(crate) fn at(text: &str, span: &Range<usize>) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    find(root.get_ref(), &|spans| spans.iter().any(|it| it.contains(&span.start)))
}

/// The table that has exactly this span: the reader gives it where a key is missing.
pub(crate) fn of_table(text: &str, span: &Range<usize>) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    find(root.get_ref(), &|spans| spans.last() == Some(span))
}

/// The key that a line is about, as far as its text and the last `[table]` before it tell. For
/// files that the TOML reader gives up on.
pub(crate) fn guess(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).map(str::trim).collect();
    let Some((last, before)) = lines.split_last() else { return String::new() };
    if last.starts_with('[') {
        return name(last.trim_start_matches('['));
    }
    let key = name(last);
    match before.iter().rev().find(|line| line.starts_with('[') && line.ends_with(']')) {
        Some(header) if !key.is_empty() => format!("{}.{key}", name(header.trim_matches('['))),
        _ => key,
    }
}

/// What a line begins with, as far as it can be a key.
fn name(text: &str) -> String {
    let is_key = |c: char| c.is_ascii_alphanumeric() || ['_', '-', '.'].contains(&c);
    text.trim_start().chars().take_while(|c| is_key(*c)).collect()
}

/// The deepest key for which `wanted` holds, of the spans of the key and of its value.
fn find(table: &DeTable<'_>, wanted: &dyn Fn(&[Range<usize>]) -> bool) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let deeper = find_in(value, wanted);
        match deeper {
            Some(rest) if rest.is_empty() => Some(key.get_ref().to_string()),
            Some(rest) => Some(format!("{}.{rest}", key.get_ref())),
            None if wanted(&[key.span(), value.span()]) => Some(key.get_ref().to_string()),
            None => None,
        }
    })
}

/// An element of a list has no key of its own: the empty text stands for it.
fn find_in(
    value: &Spanned<DeValue<'_>>,
    wanted: &dyn Fn(&[Range<usize>]) -> bool,
) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => find(table, wanted),
        DeValue::Array(values) => values.iter().find_map(|value| {
            find_in(value, wanted).or_else(|| wanted(&[value.span()]).then(String::new))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n[b]\nc = [1, 2]\n[[d]]\ne = { f = 3 }\n";

    #[test]
    fn the_deepest_key_is_named_with_its_tables() {
        for (there, key) in [("1\n", "a"), ("2]", "b.c"), ("[b]", "b"), ("3", "d.e.f")] {
            let start = TEXT.find(there).unwrap();
            assert_eq!(at(TEXT, &(start..start + 1)).as_deref(), Some(key), "{there}");
        }
    }

    #[test]
    fn what_is_no_toml_is_guessed_from_its_lines() {
        let text = "a = \n[b]\nc = x\nd\n[[e\n";
        for (line, key) in [(1, "a"), (3, "b.c"), (4, "b.d"), (5, "e"), (9, "e")] {
            assert_eq!(guess(text, line), key, "line {line}");
        }
    }
}
