//! Where the ends of dialogs without state are by now. Their Route says where they were when the
//! dialog began (`ends.rs`), and a phone over TCP that has connected again is not there: its old
//! connection is gone, and behind a NAT it takes none.
//!
//! | a request within such a dialog, over TCP         | its sender is reached                 |
//! |--------------------------------------------------|---------------------------------------|
//! | from another port of its network than in the     | there, by what follows                |
//! | Route, which names a TCP client                  |                                       |
//! | from where the Route says that it is             | there again                           |
//!
//! So a subscriber hears no NOTIFY from when its connection was lost until it prolongs the
//! subscription, or asks anything else within it. As in a call (`leg.rs`), whoever is in the same
//! network and knows the dialog can have its messages.
//!
//! This is one node's memory, and lost with it: then the end is where the Route says, until its
//! next request. A commit of each refresh would cost more than that is worth.

use crate::aging::Aging;
use crate::client::Client;
use crate::element::Element;
use crate::ends::Between;
use crate::incoming::Incoming;
use resilee_membership::Transport;
use resilee_sbb::Timestamp;

/// Ends that are known to have moved; of more, the one that has said so first is forgotten.
const MOVED_MAX: usize = 16_384;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct MovedEnds(Aging<u64, Client>);

impl MovedEnds {
    /// Notes where the sender of a request is; where that goes, by what is known of its receiver.
    pub(crate) fn receiver(
        &mut self,
        element: &Element,
        now: Timestamp,
        incoming: &Incoming<'_>,
        between: &Between,
    ) -> Client {
        let call_id = incoming.message.call_id();
        let from = incoming.message.from_tag().unwrap_or_default();
        let to = incoming.message.to_tag().unwrap_or_default();
        let end = |own: &str, others: &str| {
            let parts = [call_id, own, others].map(str::as_bytes);
            element.secret.hash64("moved end", &parts)
        };
        let (sender, receiver) = (end(&from, &to), end(&to, &from));
        let here = Client::of(&incoming.flow);
        if here == between.sender {
            self.0.remove(&sender);
        } else if here.transport == Transport::Tcp && between.sender.transport == Transport::Tcp {
            self.0.put(now, sender, here, MOVED_MAX);
        }
        self.0.get(&receiver).unwrap_or(between.receiver)
    }
}
