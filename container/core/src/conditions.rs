//! Conditions that last, as alarms: raised when they begin, cleared when they end.
//!
//! | condition                                  | source     | begins            | ends           |
//! |--------------------------------------------|------------|-------------------|----------------|
//! | the balancer is not heard                  | `balancer` | its loss          | it is heard    |
//! | a balancer that stands by is not heard     | `balancer` | its loss          | it is heard    |
//! | a balancer is not ready                    | `balancer` | 5 s of it         | it is, or lost |
//! | a link is down that was up                 | `cluster`  | link down         | link up        |
//! | frames of a peer are refused               | `cluster`  | the first         | none for 60 s  |
//! | a view was forced                          | `cluster`  | that view         | with this run  |
//! | there is no backup                         | `cluster`  | `takeover.rs`     | a pair again   |
//! | ends of calls wait for a store             | `cluster`  | `orphans.rs`      | none waits     |
//! | this run is no member                      | `cluster`  | after a second    | it is one      |
//! | nothing is stored                          | `store`    | the store failed  | with this run  |
//! | a node came back without its store         | `store`    | it joins so       | it joins with  |
//! | a service rolled back, an adaptor refused  | its name   | where it happens  | see there      |
//!
//! What the alarm table does with them is in `alarms.rs`.

use crate::alarms::sources::{BALANCER, CLUSTER, STORE};
use crate::core::{Core, Drain};
use crate::frame::FrameError;
use crate::io::Output;
use resilee_membership::{MemberNotice, NodeName, PeerLoss, RunId};
use resilee_sbb::{Severity, Timestamp};
use std::time::Duration;

/// While the seat is not heard.
const NOT_HEARD: &str =
    "the balancer is not heard: no calls come in, and no other node can take over";
/// While a balancer is not heard that does not hold it.
fn no_standby(name: &NodeName) -> String {
    format!("{name}, which stands by, is not heard: nobody takes over when the other balancer dies")
}
/// While a node has come back that had nothing.
fn empty_store(node: &NodeName) -> String {
    format!(
        "{node} came back with an empty store: its data_dir is lost, or another one. Calls and \
         bills come from here"
    )
}
/// While a link is down that was up.
fn link_down(peer: &NodeName) -> String {
    format!("the link to {peer} is down: it gets no changes")
}
/// How it begins that a view was forced.
const FORCED: &str = "view ";
/// While a balancer of two says that it cannot serve clients.
fn not_ready(name: &NodeName, holds_seat: bool) -> (Severity, String) {
    let (severity, what) = match holds_seat {
        true => (
            Severity::Critical,
            "which should serve, is not ready, and the other one has not taken over",
        ),
        false => (
            Severity::Major,
            "which stands by, is not ready: nobody takes over when the other balancer dies",
        ),
    };
    (severity, format!("{name}, {what}; its log says why"))
}
/// While this run waits to be a member.
const OUTSIDE: &str = "no member of the view: this node serves no calls";
/// Who starts beside a member is one before that, if there is not much to get.
const OUTSIDE_MAX: Duration = Duration::from_secs(1);

/// Whoever says what is refused dials again at once, and says it again.
const REFUSED_LASTS: Duration = Duration::from_secs(60);

/// The alarm about frames of a peer.
#[derive(Debug)]
pub(crate) struct RefusedFrames {
    /// When the last was refused, in local time.
    at: Timestamp,
    alarm: String,
}

impl Core {
    /// True if an alarm is about one of these conditions, as far as this node knows. What is heard
    /// the membership remembers.
    pub(crate) fn is_condition(&self, source: &str, text: &str) -> bool {
        let of_link = |(peer, link): (&NodeName, &crate::link::Link)| {
            text == link_down(peer) && !link.up || text == empty_store(peer)
        };
        match source {
            BALANCER => {
                let is_about = |name: &NodeName| {
                    let is_unready = |holds_seat| text == not_ready(name, holds_seat).1;
                    text == no_standby(name) || [true, false].into_iter().any(is_unready)
                };
                text == NOT_HEARD || self.config.balancers.iter().any(is_about)
            }
            CLUSTER | STORE if self.links.iter().any(of_link) => true,
            CLUSTER => {
                let refused = self.refused_frames.values().any(|it| it.alarm == text);
                let forced = self.orphans.forced && text.starts_with(FORCED);
                refused || forced || self.told_outside && text == OUTSIDE
            }
            STORE => self.writes.failed,
            _ => false,
        }
    }

    /// One alarm for each peer, of what was wrong last: the log has the reasons.
    pub(crate) fn note_refused_frame(
        &mut self,
        now: Timestamp,
        peer: &NodeName,
        error: &FrameError,
    ) {
        let alarm = match error {
            FrameError::Bad(_) => format!("bad frames of {peer}: its link is closed"),
            FrameError::Format(_) => {
                format!("{peer}: {error}: run the same version of Resilee on both")
            }
        };
        self.raise_condition(now, Severity::Major, CLUSTER, &alarm);
        let refused = RefusedFrames { at: self.clock.local(), alarm: alarm.clone() };
        let before = self.refused_frames.insert(peer.clone(), refused);
        if let Some(before) = before.filter(|before| before.alarm != alarm) {
            self.clear_alarm(CLUSTER, &before.alarm);
        }
    }

    /// A node of which this run has known an earlier run wants to join, perhaps without a store:
    /// whoever starts with an empty folder cannot tell that it is not for the first time.
    pub(crate) fn note_empty_store(&mut self, now: Timestamp, joiner: &RunId, empty: bool) {
        let node = &joiner.node;
        let text = empty_store(node);
        match empty && self.came_back.contains(node) {
            true => self.raise_condition(now, Severity::Major, STORE, &text),
            false => self.clear_alarm(STORE, &text),
        }
    }

    /// The link works again, or the peer has left.
    pub(crate) fn forget_refused_frames(&mut self) {
        let now = self.clock.local();
        let over =
            |_: &NodeName, refused: &mut RefusedFrames| now.since(refused.at) >= REFUSED_LASTS;
        for (_, refused) in self.refused_frames.extract_if(.., over).collect::<Vec<_>>() {
            self.clear_alarm(CLUSTER, &refused.alarm);
        }
    }

    /// What the membership noticed, if it lasts.
    pub(crate) fn note_condition(&mut self, now: Timestamp, notice: &MemberNotice) {
        if let MemberNotice::PeerLost { .. } | MemberNotice::PeerBack { .. } = notice {
            self.note_hangs(now);
        }
        match notice {
            MemberNotice::SeatLost => {
                self.raise_condition(now, Severity::Critical, BALANCER, NOT_HEARD);
            }
            MemberNotice::SeatBack => self.clear_alarm(BALANCER, NOT_HEARD),
            MemberNotice::StandbyLost { name } => {
                self.raise_condition(now, Severity::Major, BALANCER, &no_standby(name));
            }
            MemberNotice::StandbyBack { name } => self.clear_alarm(BALANCER, &no_standby(name)),
            MemberNotice::BalancerUnready { name, holds_seat } => {
                let (severity, text) = not_ready(name, *holds_seat);
                self.raise_condition(now, severity, BALANCER, &text);
            }
            MemberNotice::BalancerReady { name, holds_seat } => {
                self.clear_alarm(BALANCER, &not_ready(name, *holds_seat).1);
            }
            MemberNotice::Forced { number } => {
                self.orphans.forced = true;
                let text = format!(
                    "{FORCED}{number} was forced: no other vote stands behind it, so another node \
                     may serve and bill the same calls; start this node again when all is well"
                );
                self.raise_condition(now, Severity::Critical, CLUSTER, &text);
            }
            // TCP alone notices a silent partition only when something stays unacknowledged.
            MemberNotice::PeerLost { run, why: PeerLoss::Silent | PeerLoss::Deaf, .. }
                if self.links.get(&run.node).is_some_and(|link| link.up) =>
            {
                let reason = "its heartbeats are missing".to_owned();
                self.outputs.push_back(Output::CloseLink { peer: run.node.clone(), reason });
            }
            _ => {}
        }
    }

    /// A node that waits, for a member to join or for votes, looks well from outside.
    pub(crate) fn note_outside(&mut self, now: Timestamp) {
        let outside = !self.view.contains(&self.config.me);
        let waits = self.clock.local().since(self.adopted_at) >= OUTSIDE_MAX;
        if !outside {
            self.told_outside = false;
            self.clear_alarm(CLUSTER, OUTSIDE);
        } else if waits && self.draining == Drain::No && !self.told_outside {
            self.told_outside = true;
            self.raise_condition(now, Severity::Critical, CLUSTER, OUTSIDE);
        }
    }

    /// The transport has a connection to a peer, or has lost it.
    pub(crate) fn note_link(&mut self, now: Timestamp, peer: &NodeName, up: bool) {
        let text = link_down(peer);
        match up {
            true => self.clear_alarm(CLUSTER, &text),
            false => {
                self.on_alarms_told(peer, Vec::new());
                self.raise_condition(now, Severity::Major, CLUSTER, &text);
            }
        }
        self.alarms.tell_again();
    }
}
