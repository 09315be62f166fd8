//! A datagram between balancer and nodes: as it comes, and with the MAC of somebody who has the
//! cluster's key and writes nonsense.

use crate::alone::{Alone, START, address, flow, key};
use resilee_balancer::{
    Algorithm, Balancer, BalancerConfig, BalancerInput, HealthConfig, ProtectionConfig, Server,
};
use resilee_core::Input;
use resilee_membership::{Packet, open, seal};
use std::time::Duration;

/// It opens or not, the same each time; neither node nor balancer dies of it.
///
/// # Panics
/// A rule is broken.
pub fn envelope(bytes: &[u8]) {
    for datagram in [bytes.to_vec(), sealed(bytes)] {
        let opened = open(&key(), &datagram);
        if let Ok(Packet::Sip { bytes, .. }) = &opened {
            assert!(datagram.ends_with(bytes));
        }
        let mut node = Alone::new(true);
        node.feed(Input::Packet { source: address("192.0.2.1:6001"), bytes: datagram.clone() });
        node.pass(Duration::from_millis(500));
        balancer(&datagram);
    }
}

fn balancer(datagram: &[u8]) {
    let server = |name: &str, sip: &str| Server {
        name: name.parse().expect("a name"),
        address: address(sip),
        weight: 1,
    };
    let config = BalancerConfig {
        listen: vec![address("198.51.100.1:5060")],
        servers: vec![server("server1", "192.0.2.11:5080"), server("server2", "192.0.2.12:5080")],
        algorithm: Algorithm::FirstAlive,
        heartbeat_ms: 50,
        missed: 6,
        health: HealthConfig::default(),
        protection: ProtectionConfig::default(),
        pair: None,
    };
    let mut balancer = Balancer::new(START, config, key(), None);
    let flow = flow("192.0.2.10:40000");
    balancer.handle_input(START, BalancerInput::FromClient { flow, bytes: datagram });
    balancer.handle_input(START, BalancerInput::FromNode { server: 0, bytes: datagram });
    while balancer.poll_output().is_some() {}
}

fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut datagram = bytes.to_vec();
    seal(&key(), &mut datagram);
    datagram
}
