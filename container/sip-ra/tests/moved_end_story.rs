//! An end that was moved to another address, by itself or, to talk on unbilled, by the other one:
//! it is asked, hears of the end and can hang up at each place where it was.

mod harness;

use harness::phone::{
    ALICE, ALICE_CONTACT, BOB, BOB_CONTACT, Dialog, alice_answers, answer, answered_call,
    bob_answers, invite,
};
use harness::{Node, Policy, Turn, parse};
use resilee_sip_api::{EndCause, Ended, Side, SipCommand};

/// Where they play somebody who has moved.
const MALLORY: &str = "203.0.113.66:5060";
const BOB_ON_LTE: &str = "192.0.2.21:5060";

/// Time passes until that is so, an hour at most.
#[track_caller]
fn wait_for(node: &mut Node, is_so: impl Fn(&Turn) -> bool) -> Turn {
    let mut turns = (0..36_000).map(|_| node.wait(100));
    turns.find(is_so).expect("within an hour")
}

/// Bob, or who plays him, sends this from there, and Alice accepts it.
fn as_bob(node: &mut Node, from: &str, request: String) -> Turn {
    let at_alice = node.receive(from, request).only(ALICE);
    node.receive(ALICE, alice_answers(&at_alice, 200))
}

/// Alice, or who plays her, sends this from there, and Bob accepts it.
fn as_alice(node: &mut Node, from: &str, request: String) -> Turn {
    let at_bob = node.receive(from, request).only(BOB);
    node.receive(BOB, bob_answers(&at_bob, 200))
}

/// Alice plays a Bob who has moved, and accepts it herself.
fn alice_moves_bob(node: &mut Node, dialog: &Dialog) {
    let update = dialog.by_bob("UPDATE", 1).replace(BOB_CONTACT, "sip:bob@203.0.113.66:5060");
    as_bob(node, MALLORY, update);
}

#[test]
fn a_callee_who_was_moved_away_by_the_caller_hears_of_her_bye() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    alice_moves_bob(&mut node, &dialog);
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(MALLORY);
    let turn = node.receive(MALLORY, bob_answers(&bye, 200));
    assert_eq!(turn.types(), ["sip.ended"]);
    assert_eq!(parse(&turn.our_bye(BOB)).request_uri(), Some(BOB_CONTACT));
}

#[test]
fn a_callee_in_whose_name_the_caller_hangs_up_hears_of_it() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    alice_moves_bob(&mut node, &dialog);
    let turn = as_bob(&mut node, MALLORY, dialog.by_bob("BYE", 2));
    assert_eq!(turn.types(), ["sip.ended"]);
    let bye = turn.our_bye(BOB);
    assert_eq!(
        (parse(&bye).from_tag().unwrap(), parse(&bye).to_tag().unwrap()),
        ("a".into(), "b".into())
    );
}

/// Bob plays an Alice who has moved, and accepts it himself.
fn bob_moves_alice(node: &mut Node, dialog: &Dialog) {
    let update = dialog.by_alice("UPDATE", 2).replace(ALICE_CONTACT, "sip:alice@203.0.113.66:5060");
    as_alice(node, MALLORY, update);
}

#[test]
fn an_end_that_was_moved_away_by_the_other_one_can_hang_up() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        bob_moves_alice(&mut node, &dialog);
        if dies {
            node.take_over();
        }
        let turn = as_alice(&mut node, ALICE, dialog.by_alice("BYE", 2));
        assert_eq!((turn.types(), turn.lines(ALICE)[0].as_str()), (vec!["sip.ended"], "200"));

        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        alice_moves_bob(&mut node, &dialog);
        if dies {
            node.take_over();
        }
        let turn = as_bob(&mut node, BOB, dialog.by_bob("BYE", 2));
        assert_eq!((turn.types(), turn.lines(BOB)[0].as_str()), (vec!["sip.ended"], "200"));
    }
}

/// The contact of the set-up counts as well, from which it may send.
#[test]
fn an_end_that_was_moved_away_can_hang_up_from_the_address_that_its_contact_named() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let ok = answer(&at_bob, 200, "b", "sip:bob@203.0.113.7:5062");
    let dialog = Dialog::of(&node.receive(BOB, ok).only(ALICE));
    let update = dialog.by_bob("UPDATE", 1).replace("203.0.113.7:5062", "203.0.113.66");
    as_bob(&mut node, MALLORY, update);
    node.receive("203.0.113.7:5062", dialog.by_bob("BYE", 2)).only(ALICE);
}

#[test]
fn a_callee_who_was_moved_away_hears_that_the_server_ends_the_call() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    alice_moves_bob(&mut node, &dialog);
    node.take_over();
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    let branches = [ALICE, BOB, MALLORY].map(|end| {
        let bye = turn.our_bye(end);
        parse(&bye).top_via().branch().expect("a branch").to_owned()
    });
    assert_ne!(branches[1], branches[2]);
    let hears_nobody = |turn: &Turn, end: &str| assert!(turn.to(end).is_empty(), "{end}");
    // Each has its own answer.
    let answered = node.receive(BOB, bob_answers(&turn.our_bye(BOB), 200));
    hears_nobody(&answered, BOB);
    let later = node.wait(1_000);
    hears_nobody(&later, BOB);
    assert_eq!(later.lines(MALLORY)[0], "BYE");
}

/// Alice says from there that there is no such call, to have it billed up to the UPDATE.
#[test]
fn a_callee_who_was_moved_away_is_asked_where_he_was() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    alice_moves_bob(&mut node, &dialog);
    for is_second in [false, true] {
        let asked = wait_for(&mut node, |turn| !turn.to(BOB).is_empty());
        node.receive(MALLORY, bob_answers(&asked.only(MALLORY), 481));
        node.receive(ALICE, alice_answers(&asked.only(ALICE), 200));
        assert_eq!(node.count("sip.ended"), 0);
        let turn = node.receive(BOB, bob_answers(&asked.only(BOB), 200));
        if is_second {
            assert_eq!(turn.event::<Ended>().at, node.now);
            turn.our_bye(ALICE);
            turn.our_bye(BOB);
        }
    }
    node.wait(60_000);
    assert_eq!(node.living_activities(), 0);
}

/// A phone that has changed its network is where it is now, and no earlier place is forgotten.
#[test]
fn a_callee_who_had_moved_himself_before_he_was_moved_away_hears_of_the_end() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    as_bob(&mut node, BOB_ON_LTE, dialog.by_bob("UPDATE", 1));
    let update = dialog.by_bob("UPDATE", 2).replace(BOB_CONTACT, "sip:bob@203.0.113.66:5060");
    as_bob(&mut node, MALLORY, update);
    node.take_over();
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(MALLORY);
    let turn = node.receive(MALLORY, bob_answers(&bye, 200));
    turn.our_bye(BOB_ON_LTE);
    turn.our_bye(BOB);
}

/// A phone that came back there with another Contact listens at that one.
#[test]
fn an_end_that_was_at_a_place_twice_is_told_there_at_the_contact_that_it_had_last() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let restarted = "sip:bob@192.0.2.20:5060;line=2";
    as_bob(&mut node, BOB_ON_LTE, dialog.by_bob("UPDATE", 1));
    as_bob(&mut node, BOB, dialog.by_bob("UPDATE", 2).replace(BOB_CONTACT, restarted));
    as_bob(&mut node, BOB_ON_LTE, dialog.by_bob("UPDATE", 3));
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(BOB_ON_LTE);
    let turn = node.receive(BOB_ON_LTE, bob_answers(&bye, 200));
    assert_eq!(parse(&turn.our_bye(BOB)).request_uri(), Some(restarted));
}

#[test]
fn an_end_cannot_be_moved_until_its_own_place_is_forgotten() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let moved = |node: &mut Node, cseq, from: &str| {
        let turn = node.receive(from, dialog.by_bob("UPDATE", cseq));
        if turn.lines(from) == ["403"] {
            return false;
        }
        node.receive(ALICE, alice_answers(&turn.only(ALICE), 200));
        node.wait(40_000);
        true
    };
    for number in 1..=8 {
        assert!(moved(&mut node, number, &format!("203.0.113.{number}:5060")), "{number}");
    }
    assert!(!moved(&mut node, 9, "203.0.113.9:5060"));
    // A NAT that gives it another port each time does not end its call.
    for number in 10..30 {
        assert!(moved(&mut node, number, &format!("203.0.113.8:{number}")), "{number}");
    }
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only("203.0.113.8:29");
    let turn = node.receive("203.0.113.8:29", bob_answers(&bye, 200));
    turn.our_bye(BOB);
}

/// Bob gets paid for each minute: he challenges her BYE, and answers for her from then on.
#[test]
fn who_was_challenged_for_a_bye_has_hung_up_whatever_is_said_where_she_was_moved_to() {
    for dies in [false, true] {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        bob_moves_alice(&mut node, &dialog);
        let hung_up_at = node.now;
        alice_hangs_up_and_bob_challenges(&mut node, &dialog, 3);
        node.wait(1_000);
        let info = node.receive(BOB, dialog.by_bob("INFO", 1)).only(MALLORY);
        node.receive(MALLORY, alice_answers(&info, 200));
        if dies {
            node.take_over();
        }
        assert!(node.wait(30_999).sent.is_empty());
        let turn = node.wait(1);
        let ended: Ended = turn.event();
        assert_eq!((ended.at, ended.by, ended.cause), (hung_up_at, Side::Caller, EndCause::Bye));
        for end in [ALICE, BOB, MALLORY] {
            turn.our_bye(end);
        }
        node.wait(60_000);
        assert_eq!((node.living_activities(), node.count("sip.ended")), (0, 1));
    }
}

/// He sends BYEs in her name as well, from there, of which some are always under way.
#[test]
fn no_bye_of_the_callee_in_the_name_of_the_caller_keeps_hers_from_ending_the_call() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    bob_moves_alice(&mut node, &dialog);
    let by_bob = |node: &mut Node, cseq| node.receive(MALLORY, dialog.by_alice("BYE", cseq));
    let first_at = node.now;
    let mut pending = by_bob(&mut node, 10).only(BOB);
    node.wait(1_000);
    alice_hangs_up_and_bob_challenges(&mut node, &dialog, 3);
    for cseq in 11..14 {
        node.wait(10_000);
        let next = by_bob(&mut node, cseq).only(BOB);
        node.receive(BOB, bob_answers(&std::mem::replace(&mut pending, next), 401));
    }
    let ended: Ended = node.wait(10_000).event();
    assert_eq!((ended.at, ended.by), (first_at, Side::Caller));
}

/// As many as he likes have been challenged before.
#[test]
fn byes_that_were_challenged_before_do_not_take_the_place_of_hers() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    bob_moves_alice(&mut node, &dialog);
    for number in 3..9 {
        let from = format!("203.0.113.66:{}", 6_000 + number);
        let bye = node.receive(&from, dialog.by_alice("BYE", number)).only(BOB);
        node.receive(BOB, bob_answers(&bye, 401));
    }
    node.wait(1_000);
    let hung_up_at = node.now;
    alice_hangs_up_and_bob_challenges(&mut node, &dialog, 9);
    let turn = node.wait(31_000);
    assert!(turn.event::<Ended>().at <= hung_up_at);
    for end in [ALICE, BOB, MALLORY] {
        turn.our_bye(end);
    }
}

/// He says it again for her, half a minute later.
#[test]
fn a_bye_that_the_other_end_says_again_ends_the_call_when_hers_came() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    bob_moves_alice(&mut node, &dialog);
    let hung_up_at = node.now;
    alice_hangs_up_and_bob_challenges(&mut node, &dialog, 3);
    node.wait(31_900);
    let turn = as_alice(&mut node, MALLORY, dialog.by_alice("BYE", 4));
    let ended: Ended = turn.event();
    assert_eq!((ended.at, ended.by), (hung_up_at, Side::Caller));
    turn.our_bye(ALICE);
}

/// Alice hangs up as a Bob who has moved, and challenges that as late as she can.
#[test]
fn who_challenges_her_own_bye_in_the_name_of_the_other_end_talks_on_for_32_s_at_most() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    alice_moves_bob(&mut node, &dialog);
    let hung_up_at = node.now;
    let bye = node.receive(MALLORY, dialog.by_bob("BYE", 2)).only(ALICE);
    node.wait(31_900);
    node.receive(ALICE, alice_answers(&bye, 401));
    let turn = node.wait(100);
    assert_eq!(turn.event::<Ended>().at, hung_up_at);
    turn.our_bye(BOB);
}

fn alice_hangs_up_and_bob_challenges(node: &mut Node, dialog: &Dialog, cseq: u32) {
    let bye = node.receive(ALICE, dialog.by_alice("BYE", cseq)).only(BOB);
    node.receive(BOB, bob_answers(&bye, 401));
}

/// Somebody else may be behind a port that a phone once had, and answer anything.
#[test]
fn an_answer_from_an_earlier_place_proves_nothing_but_that_nobody_is_backdated() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    let rebound = "192.0.2.10:41000";
    as_alice(&mut node, rebound, dialog.by_alice("UPDATE", 2));
    let asked = wait_for(&mut node, |turn| !turn.to(BOB).is_empty());
    node.receive(BOB, bob_answers(&asked.only(BOB), 200));
    node.receive(ALICE, alice_answers(&asked.only(ALICE), 200));
    let turn = wait_for(&mut node, |turn| !turn.types().is_empty());
    assert_eq!(turn.event::<Ended>().at, node.now);
    turn.our_bye(ALICE);
    turn.our_bye(BOB);
    node.wait(60_000);
    assert_eq!(node.living_activities(), 0);
}

/// A NAT gives it a port at each refresh, and then the phone leaves the house.
#[test]
fn a_phone_whose_ports_change_can_still_move_to_another_network() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    for number in 2..40 {
        let port = format!("192.0.2.10:{}", 40_000 + number);
        as_alice(&mut node, &port, dialog.by_alice("UPDATE", number));
        node.wait(40_000);
    }
    let lte = "198.18.0.1:40000";
    as_alice(&mut node, lte, dialog.by_alice("INVITE", 40));
    let turn = as_alice(&mut node, lte, dialog.by_alice("BYE", 41));
    assert_eq!(turn.types(), ["sip.ended"]);
}

/// A NAT gives him a port at each refresh, and Alice then moves him away.
#[test]
fn a_callee_who_had_six_ports_before_he_was_moved_away_hears_of_the_end() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let ports: Vec<_> = (2..=6).map(|number| format!("192.0.2.20:{number}0000")).collect();
    for (cseq, port) in (1..).zip(&ports) {
        as_bob(&mut node, port, dialog.by_bob("UPDATE", cseq));
        node.wait(40_000);
    }
    let update = dialog.by_bob("UPDATE", 6).replace(BOB_CONTACT, "sip:bob@203.0.113.66:5060");
    as_bob(&mut node, MALLORY, update);
    node.take_over();
    let bye = node.receive(ALICE, dialog.by_alice("BYE", 2)).only(MALLORY);
    let turn = node.receive(MALLORY, bob_answers(&bye, 200));
    for port in [BOB, &ports[0], &ports[3], &ports[4]] {
        turn.our_bye(port);
    }
    assert!(turn.to(&ports[1]).is_empty() && turn.to(&ports[2]).is_empty(), "these give way");
}

#[test]
fn of_each_address_the_first_ports_are_kept_and_those_that_were_left_last() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    let ports: Vec<_> = (1..=6).map(|number| format!("192.0.2.20:{number}0000")).collect();
    for (cseq, port) in (1..).zip(&ports) {
        as_bob(&mut node, port, dialog.by_bob("UPDATE", cseq));
    }
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    assert!(turn.sent.is_empty(), "it waits for the ACK");
    let turn = node.receive(ALICE, dialog.by_alice("ACK", 1));
    for end in [ALICE, BOB, &ports[0], &ports[3], &ports[4], &ports[5]] {
        turn.our_bye(end);
    }
    assert!(turn.to(&ports[1]).is_empty() && turn.to(&ports[2]).is_empty());
}

/// Alice is behind the same NAT as Bob, who has had some ports; she moves him up to two times.
#[test]
fn a_callee_who_was_moved_away_within_his_own_address_hears_of_the_end() {
    for (own_ports, moves) in (1..=6).flat_map(|own_ports| [(own_ports, 1), (own_ports, 2)]) {
        let mut node = Node::for_bob();
        let dialog = answered_call(&mut node);
        node.receive(ALICE, dialog.by_alice("ACK", 1));
        let mut last = BOB.to_owned();
        for cseq in 1..own_ports {
            last = format!("192.0.2.20:{}0000", cseq + 1);
            as_bob(&mut node, &last, dialog.by_bob("UPDATE", cseq));
            node.wait(40_000);
        }
        for number in 0..moves {
            let port = format!("192.0.2.20:6100{number}");
            as_bob(&mut node, &port, dialog.by_bob("UPDATE", 9 + number));
        }
        node.take_over();
        let from = format!("192.0.2.20:6100{}", moves - 1);
        let turn = as_bob(&mut node, &from, dialog.by_bob("BYE", 12));
        assert_eq!(turn.types(), ["sip.ended"]);
        turn.our_bye(BOB);
        assert_eq!(turn.to(&last).len(), 1, "Bob at his port {own_ports}, moved {moves} times");
    }
}

/// Over TCP any request moves him, and a BYE in his name needs no move before.
#[test]
fn a_callee_in_whose_name_a_bye_comes_by_another_connection_hears_of_it() {
    for connections in 1..=6 {
        let tcp = |number: u32| format!("192.0.2.20:{number}0000;transport=tcp");
        let first = "192.0.2.20:10000;transport=tcp";
        let mut node = Node::new(Policy::ProxyTo(vec![(BOB_CONTACT, first)]));
        let at_bob = node.receive(ALICE, invite()).only(first);
        let dialog = Dialog::of(&node.receive(first, bob_answers(&at_bob, 200)).only(ALICE));
        node.receive(ALICE, dialog.by_alice("ACK", 1));
        for number in 2..=connections {
            as_bob(&mut node, &tcp(number), dialog.by_bob("INFO", number));
            node.wait(40_000);
        }
        let from = "192.0.2.20:61000;transport=tcp";
        let turn = as_bob(&mut node, from, dialog.by_bob("BYE", 10));
        assert_eq!(turn.types(), ["sip.ended"]);
        assert_eq!(turn.to(&tcp(connections)).len(), 1, "after {connections} connections");
    }
}

/// Bob keeps UPDATEs in her name waiting, and then accepts all at once. Of each address she has
/// as many ports as she likes, and her NAT has given her another one before he moves her away.
#[test]
fn moves_that_waited_for_their_answer_lead_to_no_more_addresses_than_others() {
    let mut node = Node::for_bob();
    let dialog = answered_call(&mut node);
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    let place = |number: u32, port: u32| format!("203.0.113.{}:{port}", 100 + number);
    let moves: Vec<_> = (0..30)
        .map(|number| node.receive(&place(number, 5060), dialog.by_alice("UPDATE", 10 + number)))
        .map(|turn| turn.only(BOB))
        .collect();
    for update in &moves {
        node.receive(BOB, bob_answers(update, 200));
    }
    node.wait(40_000);
    for number in 0..30 {
        for port in 5061..5065 {
            let update = dialog.by_alice("UPDATE", 50 + number * 4 + port - 5061);
            let turn = node.receive(&place(number, port), update);
            turn.to(BOB).iter().for_each(|at_bob| {
                node.receive(BOB, bob_answers(at_bob, 200));
            });
        }
        node.wait(40_000);
    }
    let rebound = "192.0.2.10:41000";
    as_alice(&mut node, rebound, dialog.by_alice("UPDATE", 200));
    as_alice(&mut node, &place(0, 5060), dialog.by_alice("UPDATE", 201));
    node.take_over();
    node.receive(ALICE, dialog.by_alice("ACK", 1));
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    turn.our_bye(ALICE);
    turn.our_bye(rebound);
    let is_told = |number: &u32| (5060..5065).any(|at| !turn.to(&place(*number, at)).is_empty());
    assert_eq!((0..30).filter(is_told).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
}

/// Bob answers as somebody of many tags, and moves her away from where she had moved herself.
#[test]
fn dialogs_do_not_keep_an_end_from_hearing_of_the_end_where_it_was_just_before() {
    for tags in [1, 2, 8, 11, 16] {
        let mut node = Node::for_bob();
        let dialogs = answered_calls(&mut node, tags);
        let lte = "198.18.0.1:40000";
        as_alice(&mut node, lte, dialogs[0].by_alice("UPDATE", 2));
        as_alice(&mut node, MALLORY, dialogs[0].by_alice("UPDATE", 3));
        let turn = node.command(&SipCommand::HangUp).expect("it is up");
        for place in [ALICE, lte, MALLORY] {
            assert_eq!(turn.to(place).len(), tags as usize, "{place}");
        }
    }
}

/// He has moved himself in each dialog, to leave no room.
#[test]
fn an_end_that_was_moved_twice_hears_of_the_end_in_a_call_of_up_to_six_answers() {
    for tags in 1..=6 {
        let mut node = Node::for_bob();
        let dialogs = answered_calls(&mut node, tags);
        let lte = "198.18.0.1:40000";
        for (cseq, place) in (2..).zip([lte, "203.0.113.67:5060", MALLORY]) {
            as_alice(&mut node, place, dialogs[0].by_alice("UPDATE", cseq));
        }
        for dialog in &dialogs {
            for number in 1..=4 {
                let from = format!("198.18.1.{number}:5060");
                let update = node.receive(&from, dialog.by_bob("UPDATE", number)).only(MALLORY);
                node.receive(MALLORY, answer(&update, 200, "", ALICE_CONTACT));
            }
        }
        let turn = node.command(&SipCommand::HangUp).expect("it is up");
        assert_eq!(turn.to(lte).len(), tags as usize, "of {tags}");
    }
}

/// So many dialogs that there is room for no other place.
#[test]
fn an_end_hears_of_the_end_where_it_was_first_and_just_before_and_of_others_if_there_is_room() {
    let [lte, wifi, office] = [1, 2, 3].map(|network| format!("198.18.0.{network}:40000"));
    let [lte, wifi, office] = [&*lte, &*wifi, &*office];
    for (moves, hears_last, has_no_room) in [
        ([wifi, office, lte], lte, office),
        ([wifi, lte, ALICE], lte, wifi),
        ([lte, wifi, lte], lte, wifi),
    ] {
        let mut node = Node::for_bob();
        let dialogs = answered_calls(&mut node, 16);
        for (cseq, place) in (2..).zip(moves.into_iter().chain([MALLORY])) {
            as_alice(&mut node, place, dialogs[0].by_alice("UPDATE", cseq));
        }
        let turn = node.command(&SipCommand::HangUp).expect("it is up");
        for (place, byes) in [(ALICE, 16), (MALLORY, 16), (hears_last, 16), (has_no_room, 0)] {
            assert_eq!(turn.to(place).len(), byes, "{place}, {moves:?}");
        }
    }
}

/// Bob answers so often; Alice acknowledges each answer.
fn answered_calls(node: &mut Node, tags: u32) -> Vec<Dialog> {
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let answered = (0..tags).map(|number| {
        let ok = answer(&at_bob, 200, &format!("b{number}"), BOB_CONTACT);
        let dialog = Dialog::of(&node.receive(BOB, ok).only(ALICE));
        node.receive(ALICE, dialog.by_alice("ACK", 1));
        dialog
    });
    answered.collect()
}

/// Questions to all, and answers that are still kept. He had moved himself before.
#[test]
fn questions_do_not_keep_an_end_that_was_moved_away_from_hearing_of_the_end() {
    let mut node = Node::for_bob();
    let dialogs = answered_calls(&mut node, 16);
    as_bob(&mut node, BOB_ON_LTE, dialogs[0].by_bob("UPDATE", 1));
    let update = dialogs[0].by_bob("UPDATE", 2).replace(BOB_CONTACT, "sip:bob@203.0.113.66:5060");
    as_bob(&mut node, MALLORY, update);
    as_alice(&mut node, "192.0.2.10:41000", dialogs[1].by_alice("UPDATE", 2));
    as_alice(&mut node, "192.0.2.10:42000", dialogs[1].by_alice("UPDATE", 3));
    let asked = wait_for(&mut node, |turn| !turn.to(BOB).is_empty());
    for question in asked.to(BOB) {
        node.receive(BOB, answer(&question, 200, "", BOB_CONTACT));
    }
    let bye = node.receive(ALICE, dialogs[0].by_alice("BYE", 4)).only(MALLORY);
    let turn = node.receive(MALLORY, answer(&bye, 200, "", BOB_CONTACT));
    turn.our_bye(BOB);
    turn.our_bye(BOB_ON_LTE);
}

/// Alice has moved about as much as she could; each place is one of hers in all dialogs.
#[test]
fn places_of_one_end_do_not_keep_another_one_that_was_moved_away_from_hearing_of_the_end() {
    let mut node = Node::for_bob();
    let dialogs = answered_calls(&mut node, 3);
    let update = dialogs[2].by_bob("UPDATE", 1).replace(BOB_CONTACT, "sip:bob@203.0.113.66:5060");
    as_bob(&mut node, MALLORY, update);
    for number in 2..23 {
        let place = format!("203.0.113.{}:{}", (number - 2) / 3, 5_000 + number);
        as_alice(&mut node, &place, dialogs[0].by_alice("UPDATE", number));
        node.wait(40_000);
    }
    let turn = node.command(&SipCommand::HangUp).expect("it is up");
    let byes = turn.to(BOB);
    let tags: Vec<_> = byes.iter().map(|bye| parse(bye).to_tag().expect("a tag")).collect();
    assert_eq!(tags, ["b0", "b1", "b2"]);
}

/// Nobody answers what goes to the places of two dialogs that have ended just before.
#[test]
fn byes_that_wait_do_not_keep_an_end_that_was_moved_away_from_hearing_of_the_end() {
    let mut node = Node::for_bob();
    let dialogs = answered_calls(&mut node, 3);
    let place = |number: u32| format!("203.0.113.{}:{}", (number - 2) / 3, 5_000 + number);
    for number in 2..23 {
        as_bob(&mut node, &place(number), dialogs[0].by_bob("UPDATE", number));
        as_alice(&mut node, &place(number), dialogs[1].by_alice("UPDATE", number));
        as_alice(&mut node, ALICE, dialogs[1].by_alice("UPDATE", 100 + number));
        node.wait(40_000);
    }
    alice_moves_bob(&mut node, &dialogs[2]);
    for (dialog, callee) in dialogs.iter().zip([&place(22), BOB, MALLORY]) {
        let bye = node.receive(ALICE, dialog.by_alice("BYE", 200)).only(callee);
        let turn = node.receive(callee, bob_answers(&bye, 200));
        if callee == MALLORY {
            assert!(turn.to(&place(2)).is_empty(), "there are too many");
            turn.our_bye(BOB);
        }
    }
}

/// Whoever sends may have any address as its own, of which others hear nothing else.
#[test]
fn places_that_a_sender_has_named_get_few_datagrams() {
    let mut node = Node::for_bob();
    let at_bob = node.receive(ALICE, invite()).only(BOB);
    let dialogs: Vec<_> = (0..16)
        .map(|number| {
            let ok = answer(&at_bob, 200, &format!("b{number}"), BOB_CONTACT);
            Dialog::of(&node.receive(BOB, ok).only(ALICE))
        })
        .collect();
    let victim = |number: u32| format!("203.0.113.{}:{}", number / 4, 5_000 + number);
    for number in 4..30 {
        let from = victim(number);
        let turn = node.receive(&from, dialogs[0].by_alice("UPDATE", number));
        if let Some(update) = turn.to(BOB).first() {
            node.receive(BOB, bob_answers(update, 200));
        }
        node.wait(1_000);
    }
    let bye = node.receive(&victim(7), dialogs[0].by_alice("BYE", 50));
    if let Some(bye) = bye.to(BOB).first() {
        node.receive(BOB, bob_answers(bye, 401));
    }
    let mut sent = 0;
    for _ in 0..340 {
        let turn = node.wait(100);
        sent += (4..30).map(|number| turn.to(&victim(number)).len()).sum::<usize>();
    }
    assert!(sent <= 48 * 3 + 16 * 11, "{sent} datagrams");
}
