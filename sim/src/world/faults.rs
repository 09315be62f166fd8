//! What goes wrong besides datagrams: deaths, drains, pauses, cuts, resets.

use super::{Action, World, balancer_socket};
use crate::plan::{Cut, Fault, Process};
use resilee_core::Input;
use resilee_core::management::Command;
use resilee_test_slee::Disk;
use std::net::SocketAddr;
use std::time::Duration;

/// So long nobody serves a call at most, before somebody else does, in milliseconds.
const OUTAGE_MS: u64 = 1_000;
/// The same when nothing breaks and heartbeats must tell, or their echo through the balancer.
const OUTAGE_BY_SILENCE_MS: u64 = 1_600;

/// The same when a balancer that is heard cannot be where phones are: after a second it says so,
/// and keeps saying it.
const OUTAGE_BY_REFUSAL_MS: u64 = 2_300;

/// The same when nobody lives, from the moment at which both nodes are started again.
const OUTAGE_BY_COLD_START_MS: u64 = 5_000;

impl World {
    /// Something goes wrong, now.
    pub fn fail(&mut self, fault: Fault) {
        let moment = self.moment();
        self.trace.add(self.now, "FAULT", &[], || format!("{fault:?} {moment}"));
        match fault {
            Fault::Kill { process, .. } if !self.lives(process) => {}
            Fault::Kill { process, restart_ms } => {
                self.kill(process);
                self.restart(process, restart_ms);
            }
            Fault::KillBoth { first, apart_ms, restart_ms } => {
                self.power_cut = true;
                self.lateness.time_stands |= self.nodes.iter().any(|node| node.clock.is_behind());
                self.lose(first);
                self.schedule(apart_ms * 1000, Action::KillOther(1 - first));
                let latest = restart_ms[0].max(restart_ms[1]);
                self.lateness.trouble(self.now, latest, latest + OUTAGE_BY_COLD_START_MS);
                for (node, delay) in restart_ms.into_iter().enumerate() {
                    self.start_after(Process::Node(node), delay.max(apart_ms + 1));
                }
            }
            Fault::OldStore { first, at_ms } => self.go_on_with_old_store(first, at_ms),
            Fault::LoseStore { node, restart_ms } => {
                self.kill(Process::Node(node));
                self.nodes[node].disk = Disk::default();
                self.restart(Process::Node(node), Some(restart_ms));
            }
            Fault::Drain { node, restart_ms } => {
                self.drain_node(node);
                self.restart(Process::Node(node), restart_ms);
            }
            Fault::Pause { process, for_ms } => self.pause(process, for_ms),
            Fault::Cut { what, for_ms } => self.cut(what, for_ms),
            Fault::Refuse { balancer, for_ms } => self.refuse(balancer, for_ms),
            Fault::HandOverStorm { every_ms, times } => self.hand_over(0, every_ms, times),
            Fault::StoreFails { node } => self.fail_store(node),
            Fault::BillingFails { for_ms } => {
                self.billing_fails_until = self.now + Duration::from_millis(for_ms);
            }
            Fault::Reset => {
                self.lateness.trouble(self.now, 0, OUTAGE_MS);
                self.unlink();
            }
            Fault::SetClocks { by_ms } => self.set_clocks(by_ms),
        }
    }

    /// What there is between question and answer.
    fn moment(&self) -> String {
        let of = |node: usize, life: u64| self.nodes[node].life == life;
        let handlers = self.actions.values().filter(|action| match action {
            Action::Outcome { node, life, .. } => of(*node, *life),
            _ => false,
        });
        let votes = self.actions.values().filter(|action| match action {
            Action::SeatTold { balancer, life, .. } => self.balancers[*balancer].life == *life,
            Action::Input { node, life, input: Input::Stored { number } } => {
                of(*node, *life) && self.voted[*node] == *number
            }
            Action::Input { node, life, input: Input::VoteSaved { .. } } => of(*node, *life),
            _ => false,
        });
        let (handlers, votes) = (handlers.count(), votes.count());
        format!("while {handlers} handlers run, {votes} votes stored and not told")
    }

    fn lives(&self, process: Process) -> bool {
        match process {
            Process::Balancer(balancer) => self.balancers[balancer].balancer.is_some(),
            Process::Node(node) => self.nodes[node].core.is_some(),
        }
    }

    fn restart(&mut self, process: Process, after_ms: Option<u64>) {
        if let Some(delay) = after_ms {
            self.lateness.trouble(self.now, delay, OUTAGE_MS);
            self.start_after(process, delay);
        }
    }

    /// `kill -9`, now.
    pub fn kill(&mut self, process: Process) {
        self.lateness.trouble(self.now, 0, OUTAGE_MS);
        match process {
            Process::Balancer(balancer) => {
                let host = &mut self.balancers[balancer];
                (host.balancer, host.paused, host.takes_address) = (None, None, false);
                host.life += 1;
                // Its sockets are gone; whether its host still has the address makes no difference.
                if host.name.is_some() && self.at == Some(balancer) {
                    self.at = None;
                }
            }
            Process::Node(node) => {
                self.watch_dying(node);
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

    /// A node dies, and the other one with it.
    pub(super) fn lose(&mut self, node: usize) {
        if let Some(run) = self.nodes[node].run.as_ref().filter(|_| self.nodes[node].core.is_some())
        {
            self.watch.loses(run);
        }
        self.kill(Process::Node(node));
    }

    /// SIGTERM, now.
    fn drain_node(&mut self, node: usize) {
        self.lateness.trouble(self.now, 0, OUTAGE_MS);
        self.feed(node, Input::Drain);
    }

    /// SIGSTOP now, SIGCONT later: what comes meanwhile waits in its sockets.
    fn pause(&mut self, process: Process, for_ms: u64) {
        if !self.lives(process) {
            return;
        }
        // Without a second node nobody serves meanwhile, nor does anything without the balancer.
        let waits = matches!(process, Process::Balancer(_)) || !self.is_pair();
        let outage_ms = OUTAGE_BY_SILENCE_MS + if waits { for_ms } else { 0 };
        self.lateness.trouble(self.now, for_ms, outage_ms);
        let life = match process {
            Process::Balancer(balancer) => {
                self.balancers[balancer].paused.get_or_insert_default();
                self.balancers[balancer].life
            }
            Process::Node(node) => {
                self.nodes[node].paused.get_or_insert_default();
                self.nodes[node].life
            }
        };
        self.schedule(for_ms * 1000, Action::Wake { process, life });
    }

    pub(super) fn wake(&mut self, process: Process, life: u64) {
        match process {
            Process::Balancer(balancer) if self.balancers[balancer].life == life => {
                self.trace.add(self.now, "WAKE", &[], || format!("{process:?}"));
                for action in self.balancers[balancer].paused.take().unwrap_or_default() {
                    self.act(action);
                }
            }
            Process::Node(node) if self.nodes[node].life == life => {
                self.trace.add(self.now, "WAKE", &[], || format!("{process:?}"));
                for input in self.nodes[node].paused.take().unwrap_or_default() {
                    self.feed_life(node, life, input);
                }
            }
            _ => {}
        }
    }

    /// The wall clocks are set; the nodes read them before and afterwards, as once a second.
    fn set_clocks(&mut self, by_ms: [i64; 2]) {
        for (node, by_ms) in by_ms.into_iter().enumerate() {
            self.feed(node, Input::WallClock(self.nodes[node].clock.wall(self.now)));
            self.nodes[node].clock.set(by_ms);
            self.feed(node, Input::WallClock(self.nodes[node].clock.wall(self.now)));
        }
    }

    /// All that a node owns goes to the other one, and back after a while.
    pub(super) fn hand_over(&mut self, node: usize, every_ms: u64, times: u64) {
        let to = self.nodes[1 - node].name.clone();
        self.trace.add(self.now, "HAND OVER", &[], || format!("{node}"));
        self.feed(node, Input::Command(Command::HandOver { cohort: None, to }));
        if times > 1 {
            let next = Action::HandOver { node: 1 - node, every_ms, times: times - 1 };
            self.schedule(every_ms * 1000, next);
        }
    }

    /// The disk of a node is full, or broken, from now on until the node starts again.
    fn fail_store(&mut self, node: usize) {
        self.nodes[node].disk.failed = true;
        self.nodes[node].disk.lose_unflushed();
        self.watch_store_failing(node);
        self.feed(node, Input::StoreFailed { reason: "no space left on device".to_owned() });
    }

    /// Cuts something now, heals it later: a link repeats what it held back.
    fn cut(&mut self, what: Cut, for_ms: u64) {
        self.lateness.trouble(self.now, for_ms, OUTAGE_BY_SILENCE_MS);
        for (from, to) in self.datagrams_of(what) {
            self.network.cut(from, to);
        }
        self.plug(what, false);
        for to in frames_of(what) {
            self.held_back[*to].get_or_insert_default();
        }
        self.schedule(for_ms * 1000, Action::Heal(what));
    }

    /// A host has no cable on the phones' side for a while.
    fn refuse(&mut self, balancer: usize, for_ms: u64) {
        // If the other one cannot serve either, nobody does meanwhile.
        let other = &self.balancers[1 - balancer];
        let waits = other.refused || other.unplugged || other.balancer.is_none();
        let outage_ms = OUTAGE_BY_REFUSAL_MS + if waits { for_ms } else { 0 };
        self.lateness.trouble(self.now, for_ms, outage_ms);
        self.refuse_address(balancer, true);
        self.schedule(for_ms * 1000, Action::AllowAddress { balancer });
    }

    /// A host's cable is pulled, or back.
    fn plug(&mut self, what: Cut, plugged: bool) {
        if let Cut::Cable { balancer } = what {
            self.balancers[balancer].unplugged = !plugged;
        }
    }

    pub(super) fn heal(&mut self, what: Cut) {
        self.trace.add(self.now, "HEAL", &[], || format!("{what:?}"));
        for (from, to) in self.datagrams_of(what) {
            self.network.heal(from, to);
        }
        self.plug(what, true);
        for to in frames_of(what) {
            for frame in self.held_back[*to].take().unwrap_or_default() {
                self.act(frame);
            }
        }
    }

    /// Directions of datagrams that a cut stops.
    fn datagrams_of(&self, what: Cut) -> Vec<(SocketAddr, SocketAddr)> {
        let [a, b] = [self.nodes[0].cluster, self.nodes[1].cluster];
        let outer = |node: usize| (balancer_socket(0, node), self.nodes[node].sip);
        match what {
            Cut::Nodes => vec![(a, b), (b, a)],
            Cut::NodesOneWay { to: 0 } => vec![(b, a)],
            Cut::NodesOneWay { .. } => vec![(a, b)],
            Cut::Frames { .. } | Cut::Cable { .. } => Vec::new(),
            Cut::Balancer { node } => {
                let (balancer, sip) = outer(node);
                vec![(balancer, sip), (sip, balancer)]
            }
            Cut::FromBalancer { node } => vec![outer(node)],
            Cut::ToBalancer { node } => {
                let (balancer, sip) = outer(node);
                vec![(sip, balancer)]
            }
        }
    }
}

/// Receivers whose frames a cut holds back.
fn frames_of(what: Cut) -> &'static [usize] {
    match what {
        Cut::Nodes => &[0, 1],
        Cut::NodesOneWay { to: 0 } | Cut::Frames { to: 0 } => &[0],
        Cut::NodesOneWay { .. } | Cut::Frames { .. } => &[1],
        Cut::Cable { .. }
        | Cut::Balancer { .. }
        | Cut::FromBalancer { .. }
        | Cut::ToBalancer { .. } => &[],
    }
}
