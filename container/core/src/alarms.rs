//! Raised alarms: one for each source and text, counted; and those of the other nodes.

use crate::management::Alarm;
use resilee_membership::NodeName;
use resilee_sbb::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Different alarms that may be raised at once; further ones are only counted.
const ALARMS_MAX: usize = 256;
/// Other nodes are told of changes this often.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// The alarm facility's table.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    raised: BTreeMap<(String, String), Alarm>,
    of_peers: BTreeMap<NodeName, Vec<Alarm>>,
    /// The other nodes know an older table; when they were told last.
    untold: bool,
    told_at: Timestamp,
}

impl Alarms {
    /// Raises an alarm; `Some` if it was not raised before.
    pub fn raise(&mut self, now: Timestamp, source: &str, text: &str) -> Option<Alarm> {
        let key = (source.to_owned(), text.to_owned());
        self.untold = true;
        if let Some(alarm) = self.raised.get_mut(&key) {
            alarm.count += 1;
            return None;
        }
        if self.raised.len() >= ALARMS_MAX {
            return None;
        }
        let (source, text) = key.clone();
        let alarm = Alarm { source, text, raised_at: now, count: 1 };
        self.raised.insert(key, alarm.clone());
        Some(alarm)
    }

    /// Clears an alarm; true if it was raised.
    pub fn clear(&mut self, source: &str, text: &str) -> bool {
        let cleared = self.raised.remove(&(source.to_owned(), text.to_owned())).is_some();
        self.untold |= cleared;
        cleared
    }

    /// A node must be told all that is raised here.
    pub fn tell_again(&mut self) {
        self.untold = true;
    }

    /// All that is raised here, if the other nodes are to be told now.
    pub fn take_news(&mut self, now: Timestamp) -> Option<Vec<Alarm>> {
        let due = self.untold && now.since(self.told_at) >= TELL_EVERY;
        due.then(|| {
            (self.untold, self.told_at) = (false, now);
            self.raised()
        })
    }

    /// What another node says is raised there; nothing once it is out of reach.
    pub fn set_peer(&mut self, node: &NodeName, mut alarms: Vec<Alarm>) {
        alarms.truncate(ALARMS_MAX);
        match alarms.is_empty() {
            true => drop(self.of_peers.remove(node)),
            false => drop(self.of_peers.insert(node.clone(), alarms)),
        }
    }

    /// All alarms of other nodes.
    pub fn of_peers(&self) -> BTreeMap<String, Vec<Alarm>> {
        self.of_peers.iter().map(|(node, alarms)| (node.to_string(), alarms.clone())).collect()
    }

    /// All raised alarms.
    pub fn raised(&self) -> Vec<Alarm> {
        self.raised.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_nodes_are_told_of_each_change_but_not_of_each_count() {
        let at = Timestamp::from_millis;
        let mut alarms = Alarms::default();
        assert_eq!(alarms.take_news(at(1_000)), None);
        alarms.raise(at(1_000), "store", "full");
        assert_eq!(alarms.take_news(at(1_000)).map(|told| told.len()), Some(1));
        alarms.raise(at(1_100), "store", "full");
        assert_eq!(alarms.take_news(at(1_100)), None, "not so soon again");
        assert_eq!(alarms.take_news(at(1_500)).map(|told| told[0].count), Some(2));
        alarms.clear("store", "full");
        assert_eq!(alarms.take_news(at(3_000)), Some(Vec::new()));
        assert_eq!(alarms.take_news(at(9_000)), None);
    }
}
