//! The cluster link: frames in order while both nodes live, dialled again when it broke.

use super::{Action, World};
use resilee_core::Input;
use std::time::Duration;

/// Time from node to node, in microseconds.
const LINK_DELAY_US: (u64, u64) = (50, 2_000);

impl World {
    pub(super) fn current_lives(&self) -> (u64, u64) {
        (self.nodes[0].life, self.nodes[1].life)
    }

    /// Both nodes live and have no link: one of them dials.
    pub(super) fn dial(&mut self) {
        if self.nodes.iter().all(|node| node.core.is_some()) && !self.linked {
            let delay = self.random.between(500, 50_000);
            let lives = self.current_lives();
            self.schedule(delay, Action::Dial { lives });
        }
    }

    pub(super) fn link(&mut self, lives: (u64, u64)) {
        if self.current_lives() != lives || self.linked {
            return;
        }
        if self.held_back.iter().any(Option::is_some) {
            return self.schedule(100_000, Action::Dial { lives });
        }
        self.linked = true;
        self.connection += 1;
        self.last_frame = [self.now; 2];
        for node in 0..2 {
            let peer = self.nodes[1 - node].name.clone();
            self.feed(node, Input::LinkUp { peer });
        }
    }

    pub(super) fn unlink(&mut self) {
        if !std::mem::take(&mut self.linked) {
            return;
        }
        for node in 0..2 {
            let life = self.nodes[node].life;
            self.schedule(100, Action::LinkDown { node, life });
        }
        let (delay, lives) = (self.random.between(5_000, 100_000), self.current_lives());
        self.schedule(delay, Action::Dial { lives });
    }

    pub(super) fn send_frame(&mut self, to: usize, bytes: Vec<u8>) {
        if !self.linked {
            return;
        }
        let (low, high) = LINK_DELAY_US;
        let arrival = self.now + Duration::from_micros(self.random.between(low, high));
        let arrival = arrival.max(self.last_frame[to]);
        self.last_frame[to] = arrival;
        let delay = u64::try_from(arrival.since(self.now).as_micros()).unwrap_or(u64::MAX);
        self.schedule(delay, Action::Frame { to, connection: self.connection, bytes });
    }
}
