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
//! network and knows the dialog, with its Route, can have its messages. Who knows only Call-ID and
//! tags can begin one of his own by them; its Route is signed for other ends, and moves none of
//! these. The tag of the other end is what its sender says, so of one Route no more than
//! [`MOVED_OF_ROUTE_MAX`] ends are remembered: nobody has those of others forgotten by a Route of
//! his own.
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

/// Routes with ends that are known to have moved; of more, the one of which that was heard first is
/// forgotten.
const MOVED_MAX: usize = 16_384;

/// Ends of one Route: both of each dialog that a phone beyond a forking proxy makes of it. Of more,
/// the one that has said so first is forgotten.
const MOVED_OF_ROUTE_MAX: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct MovedEnds(Aging<u64, OfRoute>);

/// Where the ends of one Route are that have moved, each by a hash of its tags; the last one first.
#[derive(Clone, Copy, Debug, Default)]
struct OfRoute([Option<(u64, Client)>; MOVED_OF_ROUTE_MAX]);

impl MovedEnds {
    /// Notes where the sender of a request is; where that goes, by what is known of its receiver.
    pub(crate) fn receiver(
        &mut self,
        element: &Element,
        now: Timestamp,
        incoming: &Incoming<'_>,
        between: &Between,
    ) -> Client {
        let from = incoming.message.from_tag().unwrap_or_default();
        let to = incoming.message.to_tag().unwrap_or_default();
        let end = |own: &str, others: &str| {
            element.secret.hash64("moved end", &[own, others].map(str::as_bytes))
        };
        let (sender, receiver) = (end(&from, &to), end(&to, &from));
        let here = Client::of(&incoming.flow);
        let mut ends = self.0.get(&between.signed).unwrap_or_default();
        if here == between.sender {
            ends.remove(sender);
            if ends.is_empty() {
                self.0.remove(&between.signed);
            } else {
                self.0.keep_age(&between.signed, ends);
            }
        } else if here.transport == Transport::Tcp && between.sender.transport == Transport::Tcp {
            ends.put(sender, here);
            self.0.put(now, between.signed, ends, MOVED_MAX);
        }
        ends.get(receiver).unwrap_or(between.receiver)
    }
}

impl OfRoute {
    fn get(&self, end: u64) -> Option<Client> {
        self.0.iter().flatten().find(|(one, _)| *one == end).map(|(_, client)| *client)
    }

    fn put(&mut self, end: u64, client: Client) {
        self.remove(end);
        let free = self.0.iter().position(Option::is_none).unwrap_or(MOVED_OF_ROUTE_MAX - 1);
        self.0[..=free].rotate_right(1);
        self.0[0] = Some((end, client));
    }

    fn remove(&mut self, end: u64) {
        for place in &mut self.0 {
            place.take_if(|(one, _)| *one == end);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}
