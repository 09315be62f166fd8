//! Raised alarms: one for each source and text, counted.

use crate::management::Alarm;
use resilee_sbb::Timestamp;
use std::collections::BTreeMap;

/// Different alarms that may be raised at once; further ones are only counted.
const ALARMS_MAX: usize = 256;

/// The alarm facility's table.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    raised: BTreeMap<(String, String), Alarm>,
}

impl Alarms {
    /// Raises an alarm; `Some` if it was not raised before.
    pub fn raise(&mut self, now: Timestamp, source: &str, text: &str) -> Option<Alarm> {
        let key = (source.to_owned(), text.to_owned());
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
        self.raised.remove(&(source.to_owned(), text.to_owned())).is_some()
    }

    /// All raised alarms.
    pub fn raised(&self) -> Vec<Alarm> {
        self.raised.values().cloned().collect()
    }
}
