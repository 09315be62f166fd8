//! Requests and where they go.

mod admission;
mod harness;
mod no_relay;
mod routing;

use harness::{Server, invite, request};
use resilee_call_control::CallControl;
use resilee_sbb::Sbb;

#[test]
fn a_request_that_was_answered_is_left_alone() {
    let server = Server::new().answered_by_another_service();
    for reaction in
        [server.send(&invite("alice", "bob")), server.send(&request("OPTIONS", "sip:example.com"))]
    {
        assert!(reaction.command.is_none() && !reaction.refused, "{reaction:?}");
    }
}

#[test]
fn the_service_decides_before_the_others() {
    let descriptor = CallControl::descriptor();
    assert_eq!((descriptor.name, descriptor.priority), ("call-control", 10));
    assert_eq!(descriptor.initial_events, ["sip.invite", "sip.request"]);
    assert!(descriptor.events.is_empty());
}
