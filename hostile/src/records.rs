//! What comes from another node: the state of an activity, and a frame of the cluster link.

use crate::alone::{Alone, START, adaptor, flow};
use resilee_core::management::Command;
use resilee_core::{Adoption, Endpoint, Ingress, Input, ResourceAdaptor};
use resilee_sbb::{ActivityId, CellId, CohortId};
use std::time::Duration;

/// Timeouts of an adopted activity.
const TIMEOUTS_MAX: usize = 500;

/// Longest text of an alarm that a node can have raised.
const ALARM_BYTES_MAX: usize = 2_048;

/// It is refused, or gone on with; a frame closes the link with a reason or is taken.
///
/// # Panics
/// A rule is broken.
pub fn records(bytes: &[u8]) {
    for adoption in [Adoption::Takeover, Adoption::ColdStart, Adoption::Stranded] {
        adopt(bytes, adoption);
    }
    let mut node = Alone::new(true);
    node.feed(Input::Command(Command::Force));
    node.pass(Duration::from_millis(500));
    let peer: resilee_membership::NodeName = "server2".parse().expect("a name");
    node.feed(Input::LinkUp { peer: peer.clone() });
    node.feed(Input::Frame { peer, bytes: bytes.to_vec() });
    node.pass(Duration::from_secs(2));
    let told = node.status().peer_alarms.into_values().flatten();
    for alarm in told {
        let is_bounded = alarm.text.len() <= ALARM_BYTES_MAX && alarm.count > 0;
        assert!(is_bounded, "an alarm that no node can have raised: {alarm:?}");
    }
}

fn adopt(state: &[u8], adoption: Adoption) {
    let mut adaptor = adaptor(CohortId(7));
    let cell = CellId { cohort: CohortId(7), number: 1 };
    let activity = ActivityId { cell, number: 1 };
    let mut now = START;
    let mut endpoint = Endpoint::new(now, "server1", cell, 2);
    if adaptor.adopt(&mut endpoint, activity, state, adoption).is_err() {
        return;
    }
    for sent in endpoint.sent() {
        // What it sent comes back to it.
        let mut endpoint = Endpoint::new(now, "server1", cell, 2);
        let ingress = Ingress::new(flow("192.0.2.10:40000"), sent.bytes.clone());
        adaptor.receive(&mut endpoint, &ingress);
    }
    for _ in 0..TIMEOUTS_MAX {
        let Some(at) = adaptor.next_timeout(activity) else { break };
        // A forged moment may be any.
        if at > START + Duration::from_secs(1_000_000) {
            break;
        }
        now = now.max(at);
        let mut endpoint = Endpoint::new(now, "server1", cell, 2);
        adaptor.timeout(&mut endpoint, activity);
    }
    let again = adaptor.marshal(activity);
    let mut endpoint = Endpoint::new(now, "server2", cell, 2);
    let adopted = crate::alone::adaptor(CohortId(8)).adopt(
        &mut endpoint,
        activity,
        &again,
        Adoption::Takeover,
    );
    assert_eq!(adopted, Ok(()), "what was adopted can be handed on");
}
