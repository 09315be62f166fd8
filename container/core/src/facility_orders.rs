//! What an operator orders about alarms and usage figures: made by the node that is asked, and
//! answered when nobody can lose it any more.
//!
//! | an order                          | at a member             | at who is none               |
//! |-----------------------------------|-------------------------|------------------------------|
//! | to clear an alarm of a service    | a commit, answered when | refused                      |
//! |                                   | that is held            |                              |
//! | to clear one of the container     | done, and answered      | the same                     |
//! | that figures begin at zero        | a commit, answered when | refused                      |
//! |                                   | that is held            |                              |
//!
//! They need no owner (`noted.rs`), so no other node is ever asked to carry one out. They wait for
//! their commits among the changes of shared tables (`table_changes.rs`).

use crate::core::Core;
use crate::io::Output;
use crate::management::{Notice, TableChange};
use crate::noted::Noted;
use resilee_sbb::Timestamp;

impl Core {
    /// Carries an order out; the commit that it depends on. None: the change is no such order.
    pub(crate) fn obey(
        &mut self,
        now: Timestamp,
        change: &TableChange,
    ) -> Option<Result<u64, String>> {
        match change {
            TableChange::ClearAlarm { id } => Some(self.clear_alarm_by_id(*id)),
            TableChange::ResetUsage { service } => Some(self.reset_usage(now, service)),
            _ => None,
        }
    }

    fn clear_alarm_by_id(&mut self, id: u64) -> Result<u64, String> {
        let alarm = self.alarms.clearable(id)?;
        let (is_of_a_service, text) = (alarm.is_of_a_service(), alarm.text.clone());
        if is_of_a_service {
            self.check_member()?;
        }
        self.alarms.clear_by_id(id);
        self.outputs.push_back(Output::Notice(Notice::AlarmCleared(text)));
        if !is_of_a_service {
            return Ok(0);
        }
        self.commit_alarms();
        Ok(self.gate.last_commit())
    }

    fn reset_usage(&mut self, now: Timestamp, name: &str) -> Result<u64, String> {
        self.check_counts(name)?;
        self.check_member()?;
        let resets = self.usage.reset(now, name).into_iter().collect();
        self.commit_noted(Noted { resets, ..Noted::default() });
        Ok(self.gate.last_commit())
    }

    fn check_member(&self) -> Result<(), String> {
        match self.is_member() {
            true => Ok(()),
            false => Err(format!("{} is no member of the view: ask a member", self.config.me.node)),
        }
    }
}

impl TableChange {
    /// True if it is made by whoever is asked.
    pub(crate) fn is_of_facilities(&self) -> bool {
        matches!(self, TableChange::ClearAlarm { .. } | TableChange::ResetUsage { .. })
    }
}
