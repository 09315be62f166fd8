//! Stories of what a node takes from the balancer, and where it sends to.

use crate::house::House;
use crate::toy::adaptors;
use resilee_core::{Core, CoreConfig, Input, Output, Restored};
use resilee_membership::{
    Balancers, Control, ControlBody, Key, Packet, RunId, VoterId, open, seal_control, seal_sip,
};
use resilee_sbb::{Tables, Timestamp};
use std::net::SocketAddr;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn key() -> Key {
    Key::from_file_bytes(&[b'k'; 32]).expect("32 bytes are enough")
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A node of its own behind a balancer.
struct Node(Core, Timestamp);

impl Node {
    fn new() -> Self {
        let config = CoreConfig {
            me: RunId { node: "server1".parse().expect("a name"), incarnation: 1 },
            key: key(),
            peers: Vec::new(),
            behind_balancer: true,
            balancers: Balancers::default(),
            heartbeat_ms: 50,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: resilee_membership::Unclean::Refuse,
            limits: resilee_core::Limits::default(),
        };
        let toy = adaptors();
        let mut node =
            Node(Core::new(NOW, config, &[], toy, Tables::default(), Restored::default()), NOW);
        node.carry_out();
        node
    }

    fn feed(&mut self, source: SocketAddr, bytes: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        self.0.handle_input(self.1, Input::Packet { source, bytes: bytes.to_vec() });
        self.carry_out()
    }

    /// Flushes at once; what is sent to the balancer.
    fn carry_out(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(output) = self.0.poll_output() {
            match output {
                Output::Packet { destination, bytes } => sent.push((destination, bytes)),
                Output::Store(batch) => {
                    self.0.handle_input(self.1, Input::Stored { number: batch.number });
                }
                _ => {}
            }
        }
        sent
    }

    /// Adopts a view like the one before.
    fn adopt_next_view(&mut self) {
        let me = self.0.view().members[0].clone();
        let view = self.0.view().next(vec![me.clone()], &me);
        let number = view.number;
        let body =
            ControlBody::TellView { view, member: false, last_commit: 0, store_empty: false };
        let told = Control { view: number, from: VoterId::Seat, body };
        self.feed(address(6001), &seal_control(&key(), &told));
        assert_eq!(self.0.view().number, number);
    }

    /// A client's message by the balancer, which goes by this view.
    fn ping(&mut self, view: u64) -> Vec<(SocketAddr, Vec<u8>)> {
        let (remote, local) = (address(5070), address(5060));
        let transport = resilee_membership::Transport::Udp;
        let flow = resilee_membership::Flow { remote, local, transport };
        let bytes = seal_sip(&key(), view, &flow, b"c1 ping");
        self.feed(address(6001), &bytes)
    }
}

/// A heartbeat of the balancer.
fn heartbeat(sequence: u64) -> Vec<u8> {
    let body = ControlBody::Heartbeat {
        sequence,
        echo: 0,
        hears_seat: true,
        sent_at: NOW,
        draining: false,
        ready: true,
        rests: false,
        seat: None,
        confirms: false,
    };
    seal_control(&key(), &Control { view: 1, from: VoterId::Seat, body })
}

#[test]
fn messages_leave_to_where_the_balancer_was_heard_last_and_not_to_who_repeats_it() {
    let mut node = Node::new();
    node.feed(address(6001), &heartbeat(7));
    assert_eq!(node.ping(1)[0].0, address(6001));
    node.feed(address(6666), &heartbeat(7));
    let told = ControlBody::TellView {
        view: Default::default(),
        member: false,
        last_commit: 0,
        store_empty: true,
    };
    let told = Control { view: 1, from: VoterId::Seat, body: told };
    node.feed(address(6666), &seal_control(&key(), &told));
    assert_eq!(node.ping(1)[0].0, address(6001), "a recorded datagram draws nothing");
    node.feed(address(6002), &heartbeat(8));
    assert_eq!(node.ping(1)[0].0, address(6002), "the balancer has another address now");
}

/// How often the balancer was told that view, and how many messages for clients it got.
fn told_and_said(number: u64, sent: &[(SocketAddr, Vec<u8>)]) -> (usize, usize) {
    let packets = || sent.iter().filter_map(|(_, bytes)| open(&key(), bytes).ok());
    let told = packets().filter(|packet| match packet {
        Packet::Control(Control { body: ControlBody::TellView { view, .. }, .. }) => {
            view.number == number
        }
        _ => false,
    });
    let said = packets().filter(|packet| matches!(packet, Packet::Sip { .. }));
    (told.count(), said.count())
}

#[test]
fn a_message_by_an_older_view_is_refused_and_the_balancer_told_the_view() {
    let mut node = Node::new();
    node.feed(address(6001), &heartbeat(7));
    node.adopt_next_view();
    assert_eq!(told_and_said(2, &node.ping(1)), (1, 1), "the balancer may be a moment behind");
    node.1 = node.1 + Duration::from_millis(200);
    assert_eq!(told_and_said(2, &node.ping(1)), (1, 0));
    assert_eq!(told_and_said(2, &node.ping(1)), (0, 0), "it is not told each time");
    assert_eq!(node.0.status(NOW).dropped.get("message by an older view"), Some(&2));
}

#[test]
fn a_message_by_a_view_without_this_run_is_for_an_earlier_one() {
    let mut node = Node::new();
    node.feed(address(6001), &heartbeat(7));
    assert_eq!(told_and_said(1, &node.ping(0)), (1, 0), "its heir gets it as well");
}

#[test]
fn a_message_by_the_view_itself_is_taken() {
    let mut house = House::new();
    house.say_by_view(1, "c1 begin");
    house.flush();
    assert_eq!(house.sent(), ["c1 begun"]);
}
