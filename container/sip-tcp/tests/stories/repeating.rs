//! What is said again, and what is not.

use super::stage::{CLIENT, Stage, flow, request, response};
use resilee_sip_tcp::{TcpDrop, TcpInput, TcpLimits};

#[test]
fn a_request_that_no_node_answers_is_said_again() {
    let (mut stage, client) = Stage::connected();
    assert_eq!(stage.says(client, &request("BYE", "z1")), ["node: BYE"]);
    assert_eq!(stage.pass(499), [""; 0]);
    assert_eq!(stage.pass(1), ["node: BYE"]);
    // 1, 2, 4, then every 4 s.
    assert_eq!(stage.pass(7_000), ["node: BYE"; 3]);
    stage.says(client, "\r\n\r\n");
    assert_eq!(stage.pass(24_499), ["node: BYE"; 6]);
    assert_eq!(stage.pass(60_000), [""; 0], "64 T1 are over");
    assert_eq!(stage.clients.remembered(), (0, 0));
}

#[test]
fn an_answer_ends_it_and_a_provisional_one_ends_it_for_an_invite() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("BYE", "z1"));
    assert_eq!(stage.node(&response(100, "BYE", "z1")), ["client 0: 100 BYE"]);
    assert_eq!(stage.pass(500), ["node: BYE"]);
    assert_eq!(stage.node(&response(200, "BYE", "z1")), ["client 0: 200 BYE"]);
    stage.says(client, &request("INVITE", "z2"));
    assert_eq!(stage.node(&response(100, "INVITE", "z2")), ["client 0: 100 INVITE"]);
    assert_eq!(stage.pass(200_000), [""; 0]);
    assert_eq!(stage.node(&response(200, "INVITE", "z2")), ["client 0: 200 INVITE"]);
    assert_eq!(stage.clients.remembered(), (0, 0));
}

#[test]
fn what_a_client_said_last_before_it_closed_is_said_again_all_the_same() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("BYE", "z1"));
    assert_eq!(stage.handle(TcpInput::Closed(client)), [""; 0]);
    assert_eq!(stage.pass(500), ["node: BYE"]);
}

#[test]
fn a_2xx_goes_to_the_client_each_time_and_so_does_its_ack_to_the_node() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("INVITE", "z1"));
    for _ in 0..3 {
        assert_eq!(stage.node(&response(200, "INVITE", "z1")), ["client 0: 200 INVITE"]);
        assert_eq!(stage.says(client, &request("ACK", "z2")), ["node: ACK"]);
    }
}

#[test]
fn a_refusal_goes_to_the_client_once_and_its_ack_to_the_node_each_time() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("INVITE", "z1"));
    let refusal = response(486, "INVITE", "z1");
    assert_eq!(stage.node(&refusal), ["client 0: 486 INVITE"]);
    assert_eq!(stage.node(&refusal), [""; 0], "the client has it and will acknowledge it");
    assert_eq!(stage.says(client, &request("ACK", "z1")), ["node: ACK"]);
    assert_eq!(stage.node(&refusal), ["node: ACK"]);
    assert_eq!(stage.pass(32_000), [""; 0]);
    assert_eq!(stage.clients.remembered(), (0, 0));
}

#[test]
fn a_callees_refusal_is_said_again_until_a_node_acknowledges_it() {
    let (mut stage, client) = Stage::connected();
    stage.node(&request("INVITE", "z1"));
    stage.says(client, &response(180, "INVITE", "z1"));
    assert_eq!(stage.says(client, &response(487, "INVITE", "z1")), ["node: 487 INVITE"]);
    assert_eq!(stage.pass(1_500), ["node: 487 INVITE"; 2]);
    assert_eq!(stage.node(&request("ACK", "z1")), ["client 0: ACK"]);
    assert_eq!(stage.pass(60_000), [""; 0]);

    stage.says(client, "\r\n\r\n");
    stage.node(&request("INVITE", "z2"));
    stage.says(client, &response(486, "INVITE", "z2"));
    assert_eq!(stage.pass(100_000).len(), 10, "timer G of 32 s");
    assert_eq!(stage.clients.remembered(), (0, 0));
}

#[test]
fn a_cancel_is_a_transaction_of_its_own() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("INVITE", "z1"));
    stage.node(&response(180, "INVITE", "z1"));
    assert_eq!(stage.says(client, &request("CANCEL", "z1")), ["node: CANCEL"]);
    assert_eq!(stage.pass(500), ["node: CANCEL"]);
    stage.node(&response(200, "CANCEL", "z1"));
    assert_eq!(stage.node(&response(487, "INVITE", "z1")), ["client 0: 487 INVITE"]);
    assert_eq!(stage.pass(5_000), [""; 0]);
}

#[test]
fn what_a_node_says_again_the_client_hears_once() {
    let (mut stage, client) = Stage::connected();
    assert_eq!(stage.node(&request("BYE", "z1")), ["client 0: BYE"]);
    assert_eq!(stage.node(&request("BYE", "z1")), [""; 0]);
    assert_eq!(stage.says(client, &response(200, "BYE", "z1")), ["node: 200 BYE"]);
    assert_eq!(stage.node(&request("BYE", "z1")), ["node: 200 BYE"], "it got lost on the way");
    stage.pass(32_000);
    assert_eq!(stage.clients.remembered(), (0, 0));
}

#[test]
fn a_survivor_that_sends_the_invite_again_hears_how_far_the_callee_is() {
    let (mut stage, client) = Stage::connected();
    stage.node(&request("INVITE", "z1"));
    stage.says(client, &response(180, "INVITE", "z1"));
    assert_eq!(stage.node(&request("INVITE", "z1")), ["node: 180 INVITE"]);
    stage.says(client, &response(200, "INVITE", "z1"));
    assert_eq!(stage.node(&request("INVITE", "z1")), ["node: 200 INVITE"]);
    // The callee itself repeats that one until the ACK comes.
    assert_eq!(stage.says(client, &response(200, "INVITE", "z1")), ["node: 200 INVITE"]);
    assert_eq!(stage.node(&request("ACK", "z2")), ["client 0: ACK"]);
    assert_eq!(stage.node(&request("ACK", "z2")), [""; 0]);
}

#[test]
fn a_request_that_was_lost_with_its_connection_is_written_to_the_next_one() {
    let (mut stage, client) = Stage::connected();
    stage.node(&request("INVITE", "z1"));
    stage.handle(TcpInput::Closed(client));
    assert_eq!(stage.node(&request("INVITE", "z1")), ["open 1: 192.0.2.1:5070"]);
    assert_eq!(stage.node(&request("INVITE", "z1")), [""; 0], "it waits already");
    let next = resilee_sip_tcp::ConnectionId(1);
    assert_eq!(stage.handle(TcpInput::Opened(next)), ["client 1: INVITE"]);
    assert_eq!(stage.says(next, &response(180, "INVITE", "z1")), ["node: 180 INVITE"]);
    assert_eq!(stage.node(&request("INVITE", "z1")), ["node: 180 INVITE"]);
}

#[test]
fn without_room_a_message_goes_on_but_is_not_said_again() {
    let mut stage = Stage::new(TcpLimits::default());
    let client = stage.accept(CLIENT).unwrap();
    for number in 0..2_048 {
        let told = stage.says(client, &request("OPTIONS", &format!("z{number}")));
        assert_eq!(told, ["node: OPTIONS"]);
    }
    assert_eq!(stage.says(client, &request("BYE", "one")), ["NotKept", "node: BYE"]);
    assert_eq!(stage.clients.remembered().0, 2_048);
    // Others have room.
    let other = stage.accept("192.0.2.2:1").unwrap();
    assert_eq!(stage.says(other, &request("BYE", "one")), ["node: BYE"]);
}

/// A phone that never answers is told no more than that.
#[test]
fn what_one_client_was_told_leaves_room_for_others() {
    let (mut stage, _) = Stage::connected();
    for number in 0..16_384 {
        stage.node(&request("INVITE", &format!("z{number}")));
    }
    let not_kept = |stage: &Stage| stage.clients.drops().count(TcpDrop::NotKept);
    assert_eq!((stage.clients.remembered().1, not_kept(&stage)), (8_192, 8_192));
    let first = request("INVITE", "z0");
    assert_eq!(stage.node(&first), [""; 0], "it is kept");
    assert_eq!(stage.node(&request("INVITE", "z16383")), ["client 0: INVITE"], "it is not");
    let other = "192.0.2.2:1";
    stage.accept(other).unwrap();
    for _ in 0..2 {
        stage.handle(TcpInput::Send { flow: flow(other), bytes: first.as_bytes() });
        assert_eq!(stage.clients.remembered().1, 8_193);
    }
    stage.pass(300_000);
    assert_eq!(stage.clients.remembered().1, 0);
    stage.accept(CLIENT).unwrap();
    assert_eq!(stage.node(&request("INVITE", "later")).len(), 1);
    assert_eq!(stage.clients.remembered().1, 1, "there is room again");
}

/// A message as large as one may be.
fn large(text: &str) -> String {
    let body = "x".repeat(50_000);
    text.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: 50000\r\n\r\n{body}"))
}

/// How many of these are kept; then somebody else's is, too.
fn assert_kept(stage: &mut Stage, kept: u64, say: impl Fn(&mut Stage, String)) {
    (0..1_000).for_each(|number| say(stage, format!("z{number}")));
    let not_kept = |stage: &Stage| stage.clients.drops().count(TcpDrop::NotKept);
    assert_eq!(not_kept(stage), 1_000 - kept);
    let other = stage.accept("192.0.2.2:1").unwrap();
    stage.says(other, &large(&request("MESSAGE", "other")));
    assert_eq!(not_kept(stage), 1_000 - kept, "somebody else's is kept");
}

#[test]
fn nobody_has_all_the_room_by_large_messages() {
    let (mut stage, client) = Stage::connected();
    assert_kept(&mut stage, 83, |stage, branch| {
        stage.says(client, &large(&request("MESSAGE", &branch)));
    });
    stage.pass(60_000);
    stage.says(client, &large(&request("MESSAGE", "later")));
    assert_eq!(stage.clients.drops().count(TcpDrop::NotKept), 917, "there is room again");
}

#[test]
fn nor_by_acknowledgements() {
    let (mut stage, client) = Stage::connected();
    assert_kept(&mut stage, 83, |stage, branch| {
        stage.says(client, &request("INVITE", &branch));
        stage.node(&response(407, "INVITE", &branch));
        stage.says(client, &large(&request("ACK", &branch)));
    });
}

#[test]
fn nor_by_answers() {
    let (mut stage, client) = Stage::connected();
    assert_kept(&mut stage, 83, |stage, branch| {
        stage.node(&request("OPTIONS", &branch));
        stage.says(client, &large(&response(200, "OPTIONS", &branch)));
    });
}

#[test]
fn what_is_malformed_goes_on_as_it_came() {
    let (mut stage, client) = Stage::connected();
    let told = stage.says(client, "BYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(told, ["node: BYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"]);
    assert_eq!(stage.pass(5_000), [""; 0]);
}

#[test]
fn a_client_of_rfc_2543_may_use_one_branch_again() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("INVITE", "z1"));
    stage.node(&response(407, "INVITE", "z1"));
    stage.says(client, &request("ACK", "z1"));
    let second = |text: String| text.replace("CSeq: 1", "CSeq: 2");
    assert_eq!(stage.says(client, &second(request("INVITE", "z1"))), ["node: INVITE"]);
    assert_eq!(stage.node(&second(response(200, "INVITE", "z1"))), ["client 0: 200 INVITE"]);
}

#[test]
fn a_refusal_that_cannot_be_written_is_not_taken_for_heard() {
    let (mut stage, client) = Stage::connected();
    stage.says(client, &request("INVITE", "z1"));
    stage.handle(TcpInput::Closed(client));
    let limited = response(486, "INVITE", "z1");
    assert_eq!(stage.node(&limited), ["open 1: 192.0.2.1:5070"]);
}
