//! What goes wrong besides datagrams: deaths, drains, pauses, cuts.

use super::{Action, World};
use crate::plan::Process;
use resilee_core::Input;
use resilee_core::management::Command;
use std::time::Duration;

/// So long nobody serves a call at most, before somebody else does.
const OUTAGE_MS: u64 = 1_000;

impl World {
    /// `kill -9`, now.
    pub fn kill(&mut self, process: Process) {
        self.trace.add(self.now, "KILL", &[], || format!("{process:?}"));
        self.lateness.trouble(self.now, 0, OUTAGE_MS);
        match process {
            Process::Balancer => {
                self.balancer = None;
                self.balancer_life += 1;
            }
            Process::Node(node) => {
                self.nodes[node].kill();
                if let Some(run) = &self.nodes[node].run {
                    self.watch.dies(run);
                }
                let other = 1 - node;
                if std::mem::take(&mut self.linked) {
                    // Sooner than a new link to the next run can be there.
                    let delay = self.random.between(100, 1_000);
                    let life = self.nodes[other].life;
                    self.schedule(delay, Action::LinkDown { node: other, life });
                }
            }
        }
    }

    /// SIGTERM, now.
    pub fn drain_node(&mut self, node: usize) {
        self.trace.add(self.now, "DRAIN", &[], || format!("{node}"));
        self.lateness.trouble(self.now, 0, OUTAGE_MS);
        self.feed(node, Input::Drain);
    }

    /// SIGSTOP now, SIGCONT later: what comes meanwhile waits in its sockets.
    pub fn pause(&mut self, node: usize, for_ms: u64) {
        if self.nodes[node].core.is_none() {
            return;
        }
        self.lateness.trouble(self.now, for_ms, OUTAGE_MS);
        self.trace.add(self.now, "PAUSE", &[], || format!("{node}"));
        self.nodes[node].paused = Some(Vec::new());
        let life = self.nodes[node].life;
        self.schedule(for_ms * 1000, Action::Wake { node, life });
    }

    pub(super) fn wake(&mut self, node: usize, life: u64) {
        if self.nodes[node].life != life {
            return;
        }
        self.trace.add(self.now, "WAKE", &[], || format!("{node}"));
        for input in self.nodes[node].paused.take().unwrap_or_default() {
            self.feed_life(node, life, input);
        }
    }

    /// All that a node owns goes to the other one, and back after a while.
    pub fn hand_over(&mut self, node: usize, every_ms: u64, times: u64) {
        let to = self.nodes[1 - node].name.clone();
        self.trace.add(self.now, "HAND OVER", &[], || format!("{node}"));
        self.feed(node, Input::Command(Command::HandOver { cohort: None, to }));
        if times > 1 {
            let next = Action::HandOver { node: 1 - node, every_ms, times: times - 1 };
            self.schedule(every_ms * 1000, next);
        }
    }

    /// The disk of a node is full, or broken, from now on until the node starts again.
    pub fn fail_store(&mut self, node: usize) {
        self.trace.add(self.now, "STORE FAILS", &[], || format!("{node}"));
        self.nodes[node].disk.failed = true;
        self.nodes[node].disk.lose_unflushed();
        self.watch_store_failing(node);
        self.feed(node, Input::StoreFailed { reason: "no space left on device".to_owned() });
    }

    /// Every delivery to call billing rolls back for a while, on both nodes.
    pub fn fail_billing(&mut self, for_ms: u64) {
        self.trace.add(self.now, "BILLING FAILS", &[], String::new);
        self.billing_fails_until = self.now + Duration::from_millis(for_ms);
    }

    /// Cuts all between the nodes now, heals it later: the link repeats what it held back.
    pub fn cut(&mut self, for_ms: u64) {
        self.lateness.trouble(self.now, for_ms, OUTAGE_MS);
        self.trace.add(self.now, "CUT", &[], String::new);
        let [a, b] = [self.nodes[0].cluster, self.nodes[1].cluster];
        self.network.cut(a, b);
        self.network.cut(b, a);
        self.held_back = Some(Vec::new());
        self.schedule(for_ms * 1000, Action::Heal);
    }

    pub(super) fn heal(&mut self) {
        self.trace.add(self.now, "HEAL", &[], String::new);
        let [a, b] = [self.nodes[0].cluster, self.nodes[1].cluster];
        self.network.heal(a, b);
        self.network.heal(b, a);
        for frame in self.held_back.take().unwrap_or_default() {
            self.act(frame);
        }
    }
}
