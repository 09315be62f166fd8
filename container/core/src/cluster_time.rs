//! What the core does with its clocks: reads those of the members from their heartbeats, keeps to
//! the lowest member's, stores how far it is, and says when something is wrong.
//!
//! The rules themselves are not here (`cluster_clock.rs`, `wall_clock.rs`).

use crate::alarms::sources;
use crate::cluster_clock::{Approach, DIFFERENCE_MAX_MS};
use crate::core::Core;
use crate::wall_clock::WallClockNews;
use resilee_membership::{Control, ControlBody, RunId, View, VoterId};
use resilee_sbb::{Severity, Timestamp};

impl Core {
    /// A heartbeat of a member says what time it is there.
    pub(crate) fn read_clock(&mut self, control: &Control) {
        let Control { from: VoterId::Run(from), body, .. } = control else { return };
        let ControlBody::Heartbeat { sequence, sent_at, ready: true, .. } = body else { return };
        if !self.links.contains_key(&from.node) {
            return;
        }
        self.clock.handle_heartbeat(from, *sequence, *sent_at);
        self.follow_clock();
        self.judge_clock(&from.clone());
    }

    /// Keeps to the lowest member's time; steps to it while nothing of this run acts.
    pub(crate) fn follow_clock(&mut self) {
        let approach = match self.view.contains(&self.config.me) {
            true => Approach::Slew,
            false => Approach::Step,
        };
        self.clock.follow(&self.member.view().members, &self.config.me, approach);
    }

    /// True if an alarm is about a clock that is wrong.
    pub(crate) fn is_of_a_clock(&self, text: &str) -> bool {
        let others = self.view.others(&self.config.me);
        let mut off = others.filter(|run| {
            self.clock.difference_ms(run).is_some_and(|it| it.abs() > DIFFERENCE_MAX_MS)
        });
        self.wall_clock_alarm.as_deref() == Some(text) || off.any(|run| text == off_text(run))
    }

    /// Two members whose times differ by more than is promised are an alarm.
    fn judge_clock(&mut self, run: &RunId) {
        let text = off_text(run);
        let difference = self.clock.difference_ms(run).unwrap_or_default();
        let members = self.is_member() && self.view.contains(run);
        match members && difference.abs() > DIFFERENCE_MAX_MS {
            true => {
                self.raise_condition(self.clock.now(), Severity::Warning, sources::CLOCK, &text)
            }
            false => self.clear_alarm(sources::CLOCK, &text),
        }
    }

    /// After a view: who is no member any more says nothing that would end the alarm about it.
    pub(crate) fn forget_clocks(&mut self, old: &View) {
        for run in &old.members {
            if !self.view.contains(run) {
                self.clear_alarm(sources::CLOCK, &off_text(run));
            }
        }
    }

    /// The shell read the wall clock.
    pub(crate) fn on_wall_clock(&mut self, now: Timestamp, wall: Timestamp) {
        let Some(news) = self.wall_clock.handle_reading(self.clock.local(), wall) else { return };
        if let Some(text) = self.wall_clock_alarm.take() {
            self.clear_alarm(sources::CLOCK, &text);
        }
        if let WallClockNews::Jumped(millis) = news {
            let text = format!("the wall clock jumped by {millis:+} ms; cluster time did not");
            self.raise_condition(now, Severity::Warning, sources::CLOCK, &text);
            self.wall_clock_alarm = Some(text);
            #[cfg(feature = "planted-faults")]
            if self.planted.is(resilee_membership::PlantedFault::FollowWallClock) {
                self.clock.jump(millis);
            }
        }
    }
}

fn off_text(run: &RunId) -> String {
    format!("the clock of {} is off by more than {DIFFERENCE_MAX_MS} ms", run.node)
}
