//! What a node notices about itself and the others, and says once when it changes.
//!
//! Not here: what a loss leads to (`proposal.rs`).

use super::{Member, MemberNotice, MemberOutput};
use crate::control::VoterId;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// Most unknown balancers that are noticed; each has the cluster's key.
const UNKNOWN_MAX: usize = 8;

impl Member {
    /// Inputs come at least once per heartbeat interval: a longer gap is a time in which this
    /// node itself did not run, and could hear nobody.
    pub(super) fn notice_own_pause(&mut self, now: Timestamp) {
        let pause = now.since(self.now);
        if pause > Duration::from_millis(2 * self.config.heartbeat_ms) {
            self.peers.values_mut().for_each(|peer| peer.handle_own_pause(pause));
            self.seats.handle_own_pause(pause);
            self.cold.handle_own_pause(pause);
        }
    }

    pub(super) fn notice_seat(&mut self, now: Timestamp) {
        let alive = self.hears_seat(now);
        let judged = alive || self.has_lost_seat(now);
        if self.config.seat && judged && self.seat_noticed_alive != Some(alive) {
            self.seat_noticed_alive = Some(alive);
            // The others may hear it a moment later than we do: their time counts from ours.
            self.peers.values_mut().for_each(|peer| peer.handle_seat_back(now));
            self.notice(if alive { MemberNotice::SeatBack } else { MemberNotice::SeatLost });
        }
    }

    pub(super) fn notice_balancers(&mut self, now: Timestamp) {
        let news = self.seats.notice_standbys(now).into_iter().map(|(name, lost)| match lost {
            true => MemberNotice::StandbyLost { name },
            false => MemberNotice::StandbyBack { name },
        });
        self.outputs.extend(news.map(MemberOutput::Notice));
        let news = self.seats.notice_unready(now);
        self.outputs.extend(news.into_iter().map(MemberOutput::Notice));
    }

    pub(super) fn notice_peers(&mut self, now: Timestamp) {
        let we_hear_seat = self.hears_seat(now);
        for (node, peer) in &mut self.peers {
            let member = self.view.member(node);
            let loss = member.and_then(|run| peer.loss(now, run, we_hear_seat));
            let notice = match (member, loss, &peer.noticed_loss) {
                (Some(run), Some(why), noticed) if noticed.as_ref() != Some(run) => {
                    peer.noticed_loss = Some(run.clone());
                    let silent_for = peer.detector.heard_at().map(|at| now.since(at));
                    MemberNotice::PeerLost { run: run.clone(), why, silent_for }
                }
                (_, None, Some(lost)) if peer.detector.is_alive(now) && peer.has_news_of(lost) => {
                    peer.noticed_loss = None;
                    let Some(run) = peer.run.clone() else { continue };
                    MemberNotice::PeerBack { run }
                }
                _ => continue,
            };
            self.outputs.push_back(MemberOutput::Notice(notice));
        }
    }

    /// Nobody listens to a balancer that is not named here; it would never know why.
    pub(super) fn notice_unknown(&mut self, from: VoterId) {
        let noticed = &mut self.noticed_unknown;
        if self.config.seat && noticed.len() < UNKNOWN_MAX && noticed.insert(from.clone()) {
            let known = self.config.balancers.iter().map(ToString::to_string).collect();
            self.notice(MemberNotice::UnknownBalancer { from, known });
        }
    }

    pub(super) fn notice_conflict(&mut self, number: u64) {
        if self.noticed_conflict < number {
            self.noticed_conflict = number;
            self.notice(MemberNotice::Conflict { number });
        }
    }
}
