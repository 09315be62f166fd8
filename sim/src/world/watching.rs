//! Shows the checkers what the processes do.

use super::World;
use crate::checks::Violation;
use crate::{family, village, waker, witness};
use resilee_core::StoreBatch;
use resilee_core::management::Notice;
use resilee_membership::{Packet, open};
use resilee_sbb::{Deliver, Outcome};

/// Kind of a sealed SIP message: the byte behind the four that mark an envelope.
const KIND_SIP: u8 = 1;

impl World {
    /// The first broken rule stays.
    fn note(&mut self, outcome: Result<(), Violation>) {
        if let Err(violation) = outcome {
            self.trace.add(self.now, "BROKEN", &[], || violation.to_string());
            self.violation.get_or_insert(violation);
        }
    }

    pub(super) fn watch_start(&mut self, node: usize) {
        if let Some(run) = &self.nodes[node].run {
            self.watch.starts(run);
        }
        let node_of = &self.nodes[node];
        let begins =
            node_of.core.as_ref().map(|core| core.cluster_time(node_of.clock.at(self.now)));
        let stored = node_of.disk.progress().time;
        if begins.is_some_and(|begins| begins < stored) {
            let detail = format!("{} at {begins:?}, stored {stored}", node_of.name);
            self.note(Err(Violation::new("a run begins no earlier than what is stored", detail)));
        }
        self.look(node);
    }

    /// What happened inside a node since it was asked last.
    pub(super) fn look(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let (Some(run), Some(core)) = (&node.run, node.core.as_mut()) else { return };
        let observed = core.observed();
        self.router.observes(run, &observed);
        self.orders.observes(run, &observed);
        let outcome = self.watch.observes(run, observed, (core.view(), core.proposing()));
        self.note(outcome);
    }

    /// A node hands an event to a handler.
    pub(super) fn watch_delivery(&mut self, node: usize, deliver: &Deliver, outcome: &Outcome) {
        let Some(run) = self.nodes[node].run.clone() else { return };
        self.orders.delivers(&run, deliver, outcome);
        let outcome = self.router.delivers(&run, deliver, outcome);
        self.note(outcome);
    }

    pub(super) fn watch_leaving(&mut self, node: usize, bytes: &[u8]) {
        let Some(run) = self.nodes[node].run.clone() else { return };
        if let Some((view, remote, message)) = self.sip_inside(bytes) {
            let outcome = self.watch.leaves(&run, view, (remote, &message));
            self.note(outcome);
        }
    }

    /// The view, receiver and text of a sealed SIP message.
    fn sip_inside(&self, bytes: &[u8]) -> Option<(u64, std::net::SocketAddr, Vec<u8>)> {
        // Most datagrams are heartbeats: their kind is read before their MAC is checked.
        let sip = bytes.get(4) == Some(&KIND_SIP);
        match sip.then(|| open(&self.cluster.key, bytes))? {
            Ok(Packet::Sip { view, flow, bytes }) => Some((view, flow.remote, bytes.to_vec())),
            _ => None,
        }
    }

    /// A datagram comes to a node; if it is for another member, it must go on to that one.
    pub(super) fn watch_arriving(&mut self, node: usize, bytes: &[u8]) {
        let node = &self.nodes[node];
        let (Some(run), Some(core)) = (&node.run, &node.core) else { return };
        let message = self.sip_inside(bytes).filter(|(view, ..)| *view <= core.view().number);
        let message = message.map(|(.., message)| message);
        self.to_relay = message.filter(|message| self.watch.is_elsewhere(run, message));
    }

    /// A frame leaves a node: it may carry what was to be relayed.
    pub(super) fn watch_frame(&mut self, bytes: &[u8]) {
        let carries = |message: &mut Vec<u8>| bytes.windows(message.len()).any(|w| w == message);
        self.to_relay.take_if(carries);
    }

    /// A node has dealt with an input.
    pub(super) fn watch_done(&mut self, node: usize) {
        if self.to_relay.take().is_some() {
            let name = self.nodes[node].name.to_string();
            self.note(Err(Violation::new("a message at another member is relayed", name)));
        }
    }

    pub(super) fn watch_batch(&mut self, node: usize, batch: &StoreBatch) {
        let Some(run) = &self.nodes[node].run else { return };
        let outcome = self.watch.writes(run, batch);
        self.note(outcome);
    }

    pub(super) fn watch_flush(&mut self, node: usize, number: u64) {
        if let Some(run) = &self.nodes[node].run {
            self.watch.flushed(run, number);
        }
    }

    pub(super) fn watch_store_failing(&mut self, node: usize) {
        if let Some(run) = &self.nodes[node].run {
            self.watch.store_failed(run);
        }
    }

    pub(super) fn watch_notice(&mut self, notice: &Notice) {
        if matches!(notice, Notice::Dropped(_)) {
            self.to_relay = None;
        }
        // What the older of two stores has of the village may be older than what a call has that
        // comes back.
        let village = if self.old_store.is_none() { village::NAME } else { witness::NAME };
        if let Notice::Trace { cell, tracer, text, .. } = notice
            && [witness::NAME, family::NAME, village, waker::NAME]
                .iter()
                .any(|name| tracer.starts_with(name))
        {
            let detail = format!("{cell}: {text}");
            self.note(Err(Violation::new("events and timers come once", detail)));
        }
    }

    /// A balancer had a datagram of a node, and did or did not forward it.
    pub(super) fn watch_balancer(
        &mut self,
        balancer: usize,
        (node, bytes): (usize, &[u8]),
        forwarded: bool,
    ) {
        let Some(balancer) = &self.balancers[balancer].balancer else { return };
        let view = balancer.view().clone();
        if let Err(violation) = self.watch.views.adopted(&view) {
            return self.note(Err(violation));
        }
        if !forwarded {
            return;
        }
        let Some((by, ..)) = self.sip_inside(bytes) else { return };
        let name = &self.nodes[node].name;
        let member = self.watch.views.get(by).is_some_and(|view| view.member(name).is_some());
        if by < view.number || !member {
            let detail = format!("{name} by view {by}, the balancer has {}", view.number);
            self.note(Err(Violation::new("nothing from an old view is accepted", detail)));
        }
    }

    /// Never do two balancers serve, whatever they believe.
    pub(super) fn watch_lease(&mut self) {
        let hosts = self.balancers.iter().filter_map(|host| Some((host, host.balancer.as_ref()?)));
        let serving = hosts.filter(|(_, balancer)| balancer.may_forward(self.now));
        let names: Vec<_> = serving.filter_map(|(host, _)| host.name.clone()).collect();
        if names.len() > 1 {
            let detail = format!("{names:?}");
            self.note(Err(Violation::new("one balancer at a time serves", detail)));
        }
    }

    /// At the end: nothing is owed, all who live are members of one view.
    ///
    /// # Errors
    /// What is owed, and by whom; who is no member.
    pub fn check_rest(&self) -> Result<(), Violation> {
        let living: Vec<_> = self.nodes.iter().filter(|node| node.core.is_some()).collect();
        for node in &living {
            let (Some(run), Some(core)) = (&node.run, &node.core) else { continue };
            let members = core.view().members.len();
            if !core.view().contains(run) || members != living.len() {
                let detail = format!("{run}: {members} members, {} live", living.len());
                return Err(Violation::new("who lives is a member", detail));
            }
            let status = core.status(self.now);
            let kept = status.peers.iter().map(|peer| peer.unacknowledged).sum::<u64>();
            if kept > 0 {
                let detail = format!("{run}: {kept} updates");
                return Err(Violation::new("nothing is kept for who does not want it", detail));
            }
            self.watch.check_rest(run)?;
        }
        Ok(())
    }

    /// True if nothing is on the way between the nodes, and nothing keeps it from being.
    pub fn is_quiet_between_nodes(&self) -> bool {
        let frame = |action: &super::Action| matches!(action, super::Action::Frame { .. });
        let paused = self.nodes.iter().any(|node| node.paused.is_some());
        let held_back = self.held_back.iter().any(Option::is_some);
        self.linked && !paused && !held_back && !self.actions.values().any(frame)
    }
}
