//! What the balancer does, as stories in virtual time.

mod data_plane;
mod fitness;
mod new_calls;
mod pair;
mod protection;
mod reports;
mod stage;
mod unavailable;

use resilee_balancer::{Algorithm, BalancerInput, BalancerNotice, DropReason};
use resilee_membership::{ControlBody, Key, SeatNotice, Verdict, View, seal_control};
use resilee_sip_proto::branch::{BranchIdentity, BranchKey};
use resilee_sip_tcp::{Drops, TcpDrop};
use stage::{Sent, Stage, address, request, response, run};

const IDENTITY: BranchIdentity<'_> = BranchIdentity {
    received_branch: "z9hG4bKx",
    received_sent_by: "192.0.2.1:5060",
    call_id: "c",
    cseq_number: 1,
    target: 0,
    attempt: 0,
};

/// A Route of a call that was born in the first run of a server.
fn route(server: usize) -> String {
    let token = BranchKey::new([1; 32]).route_token(run(server, 1).cohort().0, "c");
    format!("<sip:198.51.100.1:5060;lr;c={token}>")
}

#[test]
fn a_keepalive_is_answered_and_goes_nowhere() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    let answer = Sent::ToClient(address("192.0.2.1:5060"), "\r\n".into());
    assert_eq!(stage.client("\r\n\r\n"), [answer]);
    assert_eq!(stage.client("\r\n"), []);
}

#[test]
fn requests_are_dropped_and_counted_while_there_is_no_member() {
    let mut stage = Stage::empty(Algorithm::FirstAlive);
    assert_eq!(stage.client(&request("INVITE", "c", None)), []);
    assert_eq!(stage.balancer.drops().count(DropReason::NoMember), 1);
    assert!(matches!(stage.notices[..], [BalancerNotice::Dropped { count: 1, .. }]));
}

/// The one place where an operator looks is a node's pages.
#[test]
fn nodes_hear_what_was_dropped_with_the_next_heartbeat() {
    let told = |stage: &mut Stage| {
        stage.now = stage.balancer.poll_timeout();
        let sent = stage.handle(BalancerInput::Timeout);
        let seat = sent.into_iter().find_map(|sent| match sent {
            Sent::Control { body: ControlBody::Heartbeat { seat, .. }, .. } => seat,
            _ => None,
        });
        Vec::from_iter(seat.expect("a heartbeat").dropped)
    };
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    assert_eq!(told(&mut stage), []);
    for _ in 0..3 {
        stage.client("GET / HTTP/1.1\r\n\r\n");
    }
    let mut of_tcp = Drops::default();
    of_tcp.add(TcpDrop::Idle);
    stage.balancer.note_tcp_drops(&of_tcp);
    let no_sip = (DropReason::NotSip.to_string(), 3);
    assert_eq!(told(&mut stage), [(TcpDrop::Idle.to_string(), 1), no_sip.clone()]);
    of_tcp.add(TcpDrop::Idle);
    stage.balancer.note_tcp_drops(&of_tcp);
    assert_eq!(told(&mut stage), [(TcpDrop::Idle.to_string(), 2), no_sip]);
}

#[test]
fn what_is_no_sip_is_dropped_and_counted() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    assert_eq!(stage.client("GET / HTTP/1.1\r\n\r\n"), []);
    assert_eq!(stage.client(&"x".repeat(65_500)), []);
    assert_eq!(stage.balancer.drops().count(DropReason::NotSip), 1);
    assert_eq!(stage.balancer.drops().count(DropReason::TooLong), 1);
}

#[test]
fn new_calls_go_to_the_first_server_and_to_the_second_when_the_first_is_silent() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    assert_eq!(stage.server_of(&request("INVITE", "c1", None)), Some(0));
    stage.run_without(200, Some(0));
    assert_eq!(stage.server_of(&request("INVITE", "c2", None)), Some(1));
}

#[test]
fn new_calls_take_turns_and_each_call_stays_where_it_began() {
    let mut stage = Stage::pair(Algorithm::RoundRobin);
    for (call, server) in [("c1", 0), ("c2", 1), ("c3", 0), ("c4", 1)] {
        assert_eq!(stage.server_of(&request("INVITE", call, None)), Some(server), "{call}");
    }
    for (call, server) in [("c4", 1), ("c1", 0)] {
        assert_eq!(stage.server_of(&request("CANCEL", call, None)), Some(server), "{call}");
    }
}

#[test]
fn the_call_id_decides_alone_with_that_algorithm() {
    let calls: Vec<String> =
        (0..20).map(|call| request("INVITE", &format!("c{call}"), None)).collect();
    let mut stages = [Stage::pair(Algorithm::CallId), Stage::pair(Algorithm::CallId)];
    let [first, second] = stages.each_mut().map(|stage| {
        calls.iter().map(|call| stage.server_of(call).unwrap()).collect::<Vec<usize>>()
    });
    assert_eq!(first, second);
    assert!(first.contains(&0) && first.contains(&1));
}

#[test]
fn a_request_in_a_dialog_goes_to_the_owner_of_its_cohort() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    assert_eq!(stage.server_of(&request("BYE", "c", Some(&route(1)))), Some(1));
    assert_eq!(stage.server_of(&request("BYE", "c", Some(&route(0)))), Some(0));
    stage.take_over();
    assert_eq!(stage.server_of(&request("BYE", "c", Some(&route(0)))), Some(1));
}

#[test]
fn a_response_goes_to_the_owner_of_its_branch_and_a_stray_one_nowhere() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    let branch = BranchKey::new([1; 32]).branch(run(1, 1).cohort().0, &IDENTITY, b"");
    assert_eq!(stage.server_of(&response(&branch)), Some(1));
    assert_eq!(stage.server_of(&response("z9hG4bKstranger")), None);
    assert_eq!(stage.balancer.drops().count(DropReason::StrayResponse), 1);
}

#[test]
fn registrations_go_to_the_owner_of_the_shared_tables() {
    let mut stage = Stage::pair(Algorithm::RoundRobin);
    for call in ["r1", "r2", "r3"] {
        assert_eq!(stage.server_of(&request("REGISTER", call, None)), Some(0));
    }
    stage.take_over();
    assert_eq!(stage.server_of(&request("REGISTER", "r4", None)), Some(1));
}

#[test]
fn the_heir_gets_what_the_dead_node_may_not_have_read() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    let [invite, bye] = [request("INVITE", "c1", None), request("BYE", "c", Some(&route(0)))];
    stage.client(&invite);
    stage.client(&bye);
    let resent: Vec<Sent> = stage.take_over();
    let texts: Vec<&String> = resent
        .iter()
        .filter_map(|sent| match sent {
            Sent::Sip { server: 1, view: 2, text } => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(texts, [&invite, &bye]);
    assert_eq!(stage.server_of(&invite), Some(1), "and so does the client's own repeat");
}

#[test]
fn what_a_living_node_has_read_is_not_sent_again() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.client(&request("INVITE", "c1", None));
    stage.run(400);
    let resent = stage.take_over();
    assert!(!resent.iter().any(|sent| matches!(sent, Sent::Sip { .. })), "{resent:?}");
}

#[test]
fn a_silent_node_is_lost_with_the_time_since_it_was_heard() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.run_without(400, Some(0));
    let lost = stage.notices.iter().find_map(|notice| match notice {
        BalancerNotice::Seat(SeatNotice::NodeLost { node, silent_for, .. }) => {
            Some((node.to_string(), silent_for.unwrap().as_millis()))
        }
        _ => None,
    });
    assert_eq!(lost, Some(("one".into(), 200)));
}

#[test]
fn a_refusing_address_gets_no_new_calls_until_it_is_heard_again() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.handle(BalancerInput::Refused { server: 0 });
    stage.handle(BalancerInput::Refused { server: 0 });
    let refusals = |notice: &&BalancerNotice| matches!(notice, BalancerNotice::Refused { .. });
    assert_eq!(stage.notices.iter().filter(refusals).count(), 1);
    assert_eq!(stage.server_of(&request("INVITE", "c1", None)), Some(1));
    stage.run(50);
    assert_eq!(stage.server_of(&request("INVITE", "c2", None)), Some(0));
}

#[test]
fn a_node_of_an_older_view_is_refused_and_told_the_view() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    assert_eq!(stage.node_sip(0, 1, "hello").len(), 1, "it goes to the client");
    stage.take_over();
    let sent = stage.node_sip(0, 1, "hello");
    let [Sent::Control { server: 0, body: ControlBody::TellView { view, .. } }] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(view.number, 2);
    assert_eq!(stage.balancer.drops().count(DropReason::OldView), 1);
}

#[test]
fn a_node_that_is_no_member_reaches_no_client() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.take_over();
    assert_eq!(stage.node_sip(0, 2, "hello"), []);
    assert_eq!(stage.balancer.drops().count(DropReason::NotMember), 1);
}

#[test]
fn another_clusters_datagrams_and_another_nodes_name_are_dropped() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    assert_eq!(stage.control(1, run(0, 1), ControlBody::AskView), []);
    assert_eq!(stage.balancer.drops().count(DropReason::WrongSender), 1);
    stage.key = Key::from_file_bytes(&[b'x'; 32]).unwrap();
    assert_eq!(stage.node_sip(0, 1, "hello"), []);
    assert_eq!(stage.balancer.drops().count(DropReason::WrongKey), 1);
    let of_before = [&b"RSLE\x01"[..], &[0; 100]].concat();
    for (bytes, count) in [(&b"noise"[..], 1), (&of_before, 2)] {
        assert_eq!(stage.handle(BalancerInput::FromNode { server: 0, bytes }), []);
        assert_eq!(stage.balancer.drops().count(DropReason::NoEnvelope), count);
    }
}

#[test]
fn the_seat_votes_only_when_its_vote_is_stored() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    // Both nodes have told it what they know.
    stage.run(400);
    stage.slow_store = true;
    let two = run(1, 1);
    let view = stage.view.next(vec![two.clone()], &two);
    let propose = ControlBody::Propose { base: 1, view: view.clone() };
    assert_eq!(stage.control(1, two.clone(), propose.clone()), []);
    assert_eq!(stage.control(1, two.clone(), propose), [], "nor to the repeated question");
    let sent = stage.store();
    let granted = |sent: &&Sent| {
        let Sent::Control { server: 1, body: ControlBody::Vote { verdict, .. } } = sent else {
            return false;
        };
        *verdict == Verdict::Granted
    };
    assert_eq!(sent.iter().filter(granted).count(), 2);
    assert_eq!(stage.balancer.view(), &view);
}

#[test]
fn a_balancer_that_restarts_knows_its_view() {
    let mut stage = Stage::empty(Algorithm::FirstAlive);
    stage.slow_store = true;
    let one = run(0, 1);
    stage.tell(View::default().next(vec![one.clone()], &one));
    stage.restart();
    assert_eq!(stage.balancer.view(), &stage.view);
    assert_eq!(stage.server_of(&request("INVITE", "c1", None)), Some(0));
}

#[test]
fn a_draining_node_gets_no_new_calls_but_keeps_its_own() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.client(&request("INVITE", "c1", None));
    stage.draining = Some(0);
    stage.run(50);
    assert_eq!(stage.server_of(&request("INVITE", "c2", None)), Some(1));
    assert_eq!(stage.server_of(&request("CANCEL", "c1", None)), Some(0));
}

#[test]
fn a_datagram_of_the_seats_own_voice_is_not_believed() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    let control = resilee_membership::Control {
        view: 9,
        from: resilee_membership::VoterId::Seat,
        body: ControlBody::AskView,
    };
    let bytes = seal_control(&stage.key, &control);
    assert_eq!(stage.handle(BalancerInput::FromNode { server: 0, bytes: &bytes }), []);
    assert_eq!(stage.balancer.drops().count(DropReason::WrongSender), 1);
}
