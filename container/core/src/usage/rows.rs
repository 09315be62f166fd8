//! Figures as rows, in which they are stored and given to a joiner.
//!
//! | a row's key                          | is about                                          |
//! |--------------------------------------|---------------------------------------------------|
//! | service                              | when its figures were zero                        |
//! | service, node                        | what was refused there                            |
//! | service, node, set, parameter        | one figure                                        |
//!
//! The parts have a NUL between them. No name of a service or node has one; that of a set may be
//! any, so it is escaped there.

use super::{
    Figures, NotKept, PARAMETER_BYTES_MAX, PARAMETERS_MAX, ServiceUsage, Set, TOO_MANY_SETS,
    UNREADABLE, Usage,
};
use crate::commit::RowChange;
use resilee_membership::NodeName;
use resilee_sbb::{decode, encode};
use serde_bytes::ByteBuf;
use std::borrow::Cow;

/// Table of these rows.
pub(crate) const TABLE: &str = "slee.usage";
/// Between the parts of a row's key.
const SEPARATOR: char = '\0';
/// In the name of a set, before the digit that says what stands there.
const ESCAPE: char = '\u{1}';

pub(super) fn key<const N: usize>(parts: [&str; N]) -> String {
    parts.join(&String::from(SEPARATOR))
}

/// The key of a figure's row.
pub(super) fn key_of(service: &str, node: &str, set: &str, parameter: &str) -> String {
    key([service, node, &escaped(set), parameter])
}

fn escaped(set: &str) -> Cow<'_, str> {
    match set.contains([SEPARATOR, ESCAPE]) {
        true => set.replace(ESCAPE, "\u{1}1").replace(SEPARATOR, "\u{1}0").into(),
        false => set.into(),
    }
}

fn unescaped(set: &str) -> Cow<'_, str> {
    match set.contains(ESCAPE) {
        true => set.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}").into(),
        false => set.into(),
    }
}

impl Usage {
    /// True if the store is to be told something.
    pub fn has_unstored(&self) -> bool {
        !self.unstored.is_empty()
    }

    /// Rows that the store is to be told.
    pub fn take_unstored(&mut self) -> Vec<RowChange> {
        let keys = std::mem::take(&mut self.unstored);
        keys.into_iter().map(|key| self.row(key)).collect()
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = RowChange> {
        let keys = self.services.iter().flat_map(|(service, own)| {
            let began = (!own.is_as_at_start()).then(|| key([service]));
            own.keys(service).into_iter().chain(began)
        });
        keys.map(|key| self.row(key))
    }

    fn row(&self, key: String) -> RowChange {
        let row = self.value(&key).map(ByteBuf::from);
        RowChange { table: TABLE.to_owned(), key, row }
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let parts: Vec<_> = key.splitn(4, SEPARATOR).collect();
        let own = self.services.get(*parts.first()?)?;
        let encoded = match parts[..] {
            [_] if own.is_as_at_start() => return None,
            [_] => encode(&own.began),
            [_, node] => encode(&own.figures(node)?.refused),
            [_, node, set, parameter] => {
                encode(own.figures(node)?.sets.get(&*unescaped(set))?.get(parameter)?)
            }
            _ => return None,
        };
        Some(encoded.expect("plain data can be encoded"))
    }

    /// Takes one of [`Usage::rows`]. Untrusted.
    ///
    /// # Errors
    /// It is left out.
    pub fn read_row(&mut self, key: &str, row: Option<&[u8]>) -> Result<(), NotKept> {
        let Some(row) = row else { return Ok(()) };
        let parts: Vec<_> = key.splitn(4, SEPARATOR).collect();
        let service = parts.first().copied().unwrap_or_default();
        match parts[1..] {
            [] => {
                let began: super::Began = decode(row).map_err(|_| UNREADABLE)?;
                // However many there were: it is what this node, or who takes it in, stored.
                self.of_another(service, 0)?.began = began;
            }
            [node, ref place @ ..] => {
                let node = node.parse::<NodeName>().map_err(|_| UNREADABLE)?;
                let own = self.of_another(service, 0)?;
                own.check_room(&node)?;
                let figures = own.nodes.entry(node).or_default();
                match *place {
                    [] => figures.refused = decode(row).map_err(|_| UNREADABLE)?,
                    [set, parameter] => figures.read(&unescaped(set), parameter, row)?,
                    _ => return Err(UNREADABLE),
                }
            }
        }
        Ok(())
    }
}

impl ServiceUsage {
    fn figures(&self, node: &str) -> Option<&Figures> {
        self.nodes.iter().find(|(name, _)| name.as_str() == node).map(|(_, figures)| figures)
    }

    /// Keys of the rows of all nodes.
    pub(super) fn keys(&self, service: &str) -> Vec<String> {
        let of_node = |(node, figures): (&NodeName, &Figures)| {
            let node = node.as_str();
            let refused = (figures.refused > 0).then(|| key([service, node]));
            let of_set = |(set, figures): (&String, &Set)| {
                let keys = figures.keys().map(|parameter| key_of(service, node, set, parameter));
                keys.collect::<Vec<_>>()
            };
            figures.sets.iter().flat_map(of_set).chain(refused).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of_node).collect()
    }
}

impl Figures {
    fn read(&mut self, set: &str, parameter: &str, row: &[u8]) -> Result<(), NotKept> {
        let figure = decode(row).map_err(|_| UNREADABLE)?;
        let set = self.set(set).ok_or(TOO_MANY_SETS)?;
        let has_room = set.len() < PARAMETERS_MAX || set.contains_key(parameter);
        if !has_room || parameter.len() > PARAMETER_BYTES_MAX {
            return Err(TOO_MANY_SETS);
        }
        set.insert(parameter.to_owned(), figure);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{RESETS_AHEAD_MAX, UsageReset};
    use resilee_sbb::Timestamp;

    /// A year of one each minute.
    #[test]
    fn figures_that_began_again_more_often_than_others_may_say_at_once_are_read_back() {
        let resets = 8 * RESETS_AHEAD_MAX;
        let mut usage = Usage::default();
        for number in (1..=8).map(|times| times * RESETS_AHEAD_MAX) {
            let at = Timestamp::from_millis(1);
            let reset = UsageReset { service: "worker".to_owned(), number, at };
            usage.apply_reset(&reset).expect("it is as much ahead as it may be");
        }
        let rows: Vec<_> = usage.rows().collect();
        let mut read = Usage::default();
        for RowChange { key, row, .. } in rows {
            read.read_row(&key, row.as_deref().map(Vec::as_slice)).expect("it was stored");
        }
        assert_eq!(read.resets("worker"), Some(resets));
    }
}
