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
//! [`MOVED_OF_ROUTE_MAX`] ends are remembered; and of all Routes those of the network that has most
//! are forgotten first (`fair_aging.rs`): nobody has others' forgotten by Routes of his own.
//!
//! This is one node's memory, and lost with it: then the end is where the Route says, until its
//! next request. A commit of each refresh would cost more than that is worth.

use crate::client::Client;
use crate::element::Element;
use crate::ends::Between;
use crate::fair_aging::FairAging;
use crate::incoming::Incoming;
use resilee_membership::Transport;
use resilee_sbb::Timestamp;
use resilee_sip_api::SourceNetwork;

/// Routes with ends that are known to have moved; of more, one of the network is forgotten from
/// which most have moved.
const MOVED_MAX: usize = 16_384;

/// Ends of one Route: both of each dialog that a phone beyond a forking proxy makes of it. Of more,
/// the one that has said so first is forgotten.
const MOVED_OF_ROUTE_MAX: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct MovedEnds(FairAging<u64, OfRoute>);

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
            let network = SourceNetwork::of(here.address.ip());
            self.0.put((now, network), between.signed, ends, MOVED_MAX);
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

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_membership::Flow;
    use resilee_sip_proto::Message;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
    const NOTIFIER: &str = "192.0.2.20:5060;transport=tcp";

    fn client(text: &str) -> Client {
        text.parse().expect("a client")
    }

    /// A request within the dialog of this Route, whose ends are those, comes from there; where it
    /// goes.
    fn within(
        moved: &mut MovedEnds,
        now: Timestamp,
        (signed, [sender, receiver]): (u64, [&str; 2]),
        (from, tags): (&str, [&str; 2]),
    ) -> Client {
        let [from_tag, to_tag] = tags;
        let text = format!(
            "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\n\
             From: <sip:a@b>;tag={from_tag}\r\nTo: <sip:c@d>;tag={to_tag}\r\n\
             Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let message = Message::parse(text.as_bytes()).expect("a request");
        let element = Element::for_test([7; 32], &[]);
        let (local, Client { address, transport }) = (client(NOTIFIER).address, client(from));
        let incoming =
            Incoming { message: &message, flow: Flow { remote: address, local, transport } };
        let between = Between { sender: client(sender), receiver: client(receiver), signed };
        moved.receiver(&element, now, &incoming, &between)
    }

    #[test]
    fn nobody_has_others_forgotten_by_many_routes_of_his_own() {
        let mut moved = MovedEnds::default();
        let (alice, mallory) = ("192.0.2.10:1;transport=tcp", "203.0.113.66:1;transport=tcp");
        let [alice_again, mallory_again] = [alice, mallory].map(|it| it.replace(":1;", ":2;"));
        within(&mut moved, NOW, (0, [alice, NOTIFIER]), (&alice_again, ["a", "b"]));
        for route in 1..=16_384 {
            let now = NOW + Duration::from_millis(route);
            within(&mut moved, now, (route, [mallory, NOTIFIER]), (&mallory_again, ["m", "b"]));
        }
        let now = NOW + Duration::from_secs(60);
        let mut reached = |(route, [end, tag]): (u64, [&str; 2])| {
            within(&mut moved, now, (route, [NOTIFIER, end]), (NOTIFIER, ["b", tag]))
        };
        assert_eq!(reached((0, [alice, "a"])), client(&alice_again));
        assert_eq!(reached((16_384, [mallory, "m"])), client(&mallory_again));
        assert_eq!(reached((1, [mallory, "m"])), client(mallory), "it has made room for the last");
    }
}
