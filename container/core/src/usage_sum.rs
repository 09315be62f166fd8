//! Usage figures of the whole cluster: when an operator asks, all members are asked, and what they
//! tell is added up.
//!
//! | a member                          | what becomes of its figures                              |
//! |-----------------------------------|----------------------------------------------------------|
//! | this node                         | they are in the sum                                      |
//! | another one that tells them       | the same                                                 |
//! | has no link, or loses it          | it is named as missing, and the sum is told without them |
//! | has not told them after 1 s       | the same: it is overloaded, or of an older version       |
//! | has more than fits into a message | the same                                                 |
//!
//! Nothing of it is repeated or kept: whoever wants the sum asks again.

use crate::core::Core;
use crate::frame::UsageWord;
use crate::io::Output;
use crate::management::UsageSum;
use crate::usage::ServiceUsage;
use resilee_membership::{NodeName, RunId};
use resilee_sbb::{Timestamp, decode, encode};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long members may take.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// Questions that wait at a node; and words of one frame that are heard.
const WAITING_MAX: usize = 64;
/// Figures of one service that are told, and those in one frame, in bytes.
const USAGE_BYTES_MAX: usize = 1 << 20;

/// Sums that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    waiting: Vec<Waiting>,
    /// What other nodes are to be told.
    words: BTreeMap<NodeName, Vec<UsageWord>>,
}

#[derive(Debug)]
struct Waiting {
    token: u64,
    service: String,
    until: Timestamp,
    sum: ServiceUsage,
    nodes: BTreeSet<NodeName>,
    /// Members that have not told theirs yet.
    asked: BTreeSet<NodeName>,
    missing: BTreeSet<NodeName>,
}

impl Sums {
    /// What is to be told to a node with the next frame.
    pub fn take_words(&mut self, peer: &NodeName) -> Vec<UsageWord> {
        let Some(words) = self.words.get_mut(peer) else { return Vec::new() };
        let mut bytes = 0;
        let fits = words.iter().take_while(|word| {
            bytes += word.tells.as_ref().map_or(0, |tells| tells.len());
            bytes <= USAGE_BYTES_MAX
        });
        // One alone is never larger.
        let fitting = fits.count();
        let taken = words.drain(..fitting).collect();
        if words.is_empty() {
            self.words.remove(peer);
        }
        taken
    }

    /// Nodes that are to be told something.
    pub fn listeners(&self) -> impl Iterator<Item = &NodeName> {
        self.words.keys()
    }

    /// When the next question has waited long enough.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// The link to a node is gone, with what was to be told by it.
    pub fn forget(&mut self, peer: &NodeName) {
        self.words.remove(peer);
        for waiting in &mut self.waiting {
            if waiting.asked.remove(peer) {
                waiting.missing.insert(peer.clone());
            }
        }
    }
}

impl Core {
    /// An operator wants to know what a service counted and measured in the cluster.
    pub(crate) fn on_usage_wanted(&mut self, now: Timestamp, token: u64, service: String) {
        let refused = match self.check_counts(&service) {
            Ok(()) if self.usage.sums.waiting.len() < WAITING_MAX => None,
            Ok(()) => Some("too many ask for usage: try again in a moment".to_owned()),
            Err(reason) => Some(reason),
        };
        let Some(sum) = self.usage.of(&service).filter(|_| refused.is_none()).cloned() else {
            let reason = refused.unwrap_or_default();
            return self.outputs.push_back(Output::UsageSum { token, sum: Err(reason) });
        };
        let (mut asked, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for run in self.view.others(&self.config.me) {
            let link = self.links.get(&run.node);
            let node = run.node.clone();
            if link.is_some_and(|link| link.up && link.run.as_ref() == Some(run)) {
                let word = UsageWord { token, asks: Some(service.clone()), tells: None };
                self.usage.sums.words.entry(node.clone()).or_default().push(word);
                asked.insert(node);
            } else {
                missing.insert(node);
            }
        }
        let nodes = BTreeSet::from([self.config.me.node.clone()]);
        let until = now + TOLD_WITHIN;
        let waiting = Waiting { token, service, until, sum, nodes, asked, missing };
        self.usage.sums.waiting.push(waiting);
    }

    /// What another node asks and tells. Untrusted.
    pub(crate) fn on_usage_words(&mut self, from: &RunId, words: Vec<UsageWord>) {
        for UsageWord { token, asks, tells } in words.into_iter().take(WAITING_MAX) {
            if let Some(service) = asks {
                let own = self.usage.of(&service).map(encode);
                let own = own.and_then(Result::ok).filter(|own| own.len() <= USAGE_BYTES_MAX);
                let tells = Some(own.map(ByteBuf::from).unwrap_or_default());
                let words = self.usage.sums.words.entry(from.node.clone()).or_default();
                if words.len() < WAITING_MAX {
                    words.push(UsageWord { token, asks: None, tells });
                }
            } else if let Some(told) = tells {
                let mut waiting = self.usage.sums.waiting.iter_mut();
                let Some(waiting) = waiting.find(|waiting| waiting.token == token) else {
                    continue;
                };
                if !waiting.asked.remove(&from.node) {
                    continue;
                }
                match decode::<ServiceUsage>(&told) {
                    Ok(told) => {
                        waiting.sum.merge(told);
                        waiting.nodes.insert(from.node.clone());
                    }
                    Err(_) => drop(waiting.missing.insert(from.node.clone())),
                }
            }
        }
    }

    /// Tells the sums that are complete, or have waited long enough.
    pub(crate) fn advance_usage_sums(&mut self, now: Timestamp) {
        let is_done = |waiting: &Waiting| waiting.asked.is_empty() || waiting.until <= now;
        let (done, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.usage.sums.waiting).into_iter().partition(is_done);
        self.usage.sums.waiting = waiting;
        for Waiting { token, service, sum, nodes, asked, missing, .. } in done {
            let (usage, nodes) = (sum.status(), nodes.into_iter().collect());
            let missing = missing.into_iter().chain(asked).collect();
            let sum = Ok(Box::new(UsageSum { service, usage, nodes, missing }));
            self.outputs.push_back(Output::UsageSum { token, sum });
        }
    }
}
