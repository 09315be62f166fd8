//! What a node's core wants done, and how the world does it: handlers take a while, disks flush
//! later, frames and datagrams travel.
//!
//! What the balancer and the phones want is not here (`mod.rs`).

use super::{Action, TELL_US, World};
use crate::node::run;
use crate::plan::Process;
use resilee_core::{Input, Output};
use resilee_sbb::{Deliver, Outcome};
use resilee_test_kit::Packet;

impl World {
    pub(super) fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].core.as_mut().and_then(|c| c.poll_output()) {
            self.carry_out(node, output);
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        let life = self.nodes[node].life;
        match output {
            Output::Deliver(deliver) => {
                self.deliveries[node] += 1;
                let delay = self.random.between(1, 500);
                let (delivery, outcome) = (deliver.id, self.invoke(&deliver));
                if self.hangs(node, &deliver, &outcome) {
                    let reason = "it does not return".to_owned();
                    let nothing = Outcome::RolledBack { reason, effects: Vec::new() };
                    return self.watch_delivery(node, &deliver, &nothing);
                }
                self.watch_delivery(node, &deliver, &outcome);
                self.schedule(delay, Action::Outcome { node, life, delivery, outcome });
            }
            Output::Packet { destination, bytes } => {
                let own = &self.nodes[node];
                let to_node = self.nodes.iter().any(|node| node.cluster == destination);
                let source = if to_node { own.cluster } else { own.sip };
                self.watch_leaving(node, &bytes);
                self.network.handle_send(self.now, Packet { source, destination, bytes });
            }
            // There is one adaptor, whose clients come by the balancer.
            Output::Datagram { .. } | Output::Message(_) => {}
            Output::Abandon { delivery, .. } => self.abandon(node, delivery),
            Output::Frame { bytes, .. } => {
                self.watch_frame(&bytes);
                self.send_frame(1 - node, bytes);
            }
            Output::CloseLink { reason, .. } => {
                self.trace.add(self.now, "CLOSE", &[], || format!("{node}: {reason}"));
                self.unlink();
            }
            Output::Store(batch) => {
                let number = batch.number;
                self.watch_batch(node, &batch);
                self.nodes[node].disk.write(batch);
                let delay = self.random.between(100, self.flush_us_max);
                self.schedule(delay, Action::Flushed { node, life, number });
            }
            Output::SaveVote { number, state } => {
                let delay = self.random.between(100, self.flush_us_max);
                self.schedule(delay, Action::VoteSaved { node, life, number, state });
            }
            Output::LoadRecords { token, .. } if self.nodes[node].disk.failed => {
                let input = Input::RecordsFailed { token, reason: "it is broken".to_owned() };
                self.schedule(200, Action::Input { node, life, input });
            }
            Output::LoadRecords { token, journal, from, limit } => {
                let records = self.nodes[node].disk.records(&journal, from, limit);
                let input = Input::Records { token, records };
                self.schedule(200, Action::Input { node, life, input });
            }
            // Nobody uploads units here.
            Output::Compile { .. } | Output::ForgetUnit { .. } => {}
            Output::Changed { token, changed } => {
                self.trace.add(self.now, "CHANGED", &[], || format!("{node}: {changed:?}"));
                self.orders.answered(token, &changed);
            }
            Output::Notice(notice) => {
                let name = self.nodes[node].name.clone();
                self.trace.add(self.now, "NOTICE", &[], || format!("{name}: {notice:?}"));
                self.watch_notice(&notice);
            }
            Output::Rejoin => {
                self.kill(Process::Node(node));
                self.schedule(2_000, Action::Start(Process::Node(node)));
            }
            Output::Drained => self.kill(Process::Node(node)),
        }
    }

    pub(super) fn save_vote(&mut self, node: usize, life: u64, number: u64, state: Vec<u8>) {
        if self.nodes[node].life == life {
            self.nodes[node].disk.save_vote(state);
            self.votes += 1;
            // It may die in between.
            let input = Input::VoteSaved { number };
            self.schedule(TELL_US, Action::Input { node, life, input });
        }
    }

    fn invoke(&self, deliver: &Deliver) -> Outcome {
        match deliver.service == "call-billing" && self.now < self.billing_fails_until {
            true => {
                let reason = "as the plan wants it".to_owned();
                Outcome::RolledBack { reason, effects: Vec::new() }
            }
            false => run(deliver),
        }
    }
}
