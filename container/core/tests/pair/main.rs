//! Stories of two nodes and a seat: their time, their stores, the records that one of
//! them lacks. Deaths at every step, and what phones see, are the simulator's.

mod orphans;
#[allow(dead_code, reason = "other stories use the rest of it")]
mod pair;
#[path = "../single_node/toy.rs"]
mod toy;
mod votes;

use pair::Pair;
use resilee_core::management::{Command, Notice};
use resilee_core::{HUNG_HANDLERS_MAX, Input};
use resilee_membership::MemberNotice;
use resilee_sbb::{CellId, CohortId};

fn cell(number: u64) -> CellId {
    CellId { cohort: CohortId(77), number }
}

/// Records of the only journal, by text.
fn records(pair: &Pair, node: usize) -> Vec<String> {
    let records = pair.nodes[node].journals.get("toys").into_iter().flatten();
    records.map(|record| String::from_utf8_lossy(&record.record).into_owned()).collect()
}

/// Times of both nodes, the difference in milliseconds.
fn difference_ms(pair: &Pair) -> u64 {
    let (a, b) = (pair.status(0).now, pair.status(1).now);
    a.since(b).max(b.since(a)).as_millis() as u64
}

#[test]
fn a_joiner_takes_the_members_time() {
    for ahead_ms in [400, -400] {
        let mut pair = Pair::new();
        pair.nodes[1].ahead_ms = ahead_ms;
        pair.start(0);
        pair.start(1);
        assert_eq!(pair.status(0).now, pair.local(0), "the first has its own");
        pair.until_whole();
        assert!(difference_ms(&pair) <= 1, "{} ms", difference_ms(&pair));
        pair.pass_ms(200);
        assert_eq!(pair.status(0).peers[0].clock_offset_ms, Some(0));
    }
}

#[test]
fn after_a_cold_start_a_timer_is_due_by_the_time_it_was_set_by() {
    let mut pair = Pair::new();
    pair.nodes[1].ahead_ms = -400;
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    pair.say(0, "c1 begin");
    pair.say(0, "c1 say timer");
    let set_at = pair.status(0).now;
    pair.kill(0);
    pair.pass_ms(500);
    pair.start(0);
    pair.until_whole();
    pair.pass_ms(6_000);
    let timers = pair.nodes.iter().flat_map(|node| &node.delivered);
    let fired: Vec<_> = timers.filter(|d| d.event.event_type == "slee.timer").collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].now.since(set_at).as_millis() / 50, 5_000 / 50);
}

#[test]
fn a_clock_that_goes_wrong_later_is_an_alarm_until_it_is_right_again() {
    let mut pair = Pair::up();
    pair.pass_ms(4_000);
    pair.nodes[0].ahead_ms = 300;
    pair.pass_ms(200);
    let alarms = |pair: &Pair, node: usize| {
        pair.status(node).alarms.into_iter().filter(|alarm| alarm.source == "clock").count()
    };
    assert_eq!((alarms(&pair, 0), alarms(&pair, 1)), (0, 1), "the higher one goes by the lower");
    pair.pass_ms(31_000);
    assert_eq!((alarms(&pair, 0), alarms(&pair, 1)), (0, 0));
    assert!(difference_ms(&pair) <= 1, "{} ms", difference_ms(&pair));
}

#[test]
fn an_alarm_about_the_clock_of_a_node_ends_when_that_is_no_member_any_more() {
    let mut pair = Pair::up();
    pair.pass_ms(4_000);
    pair.nodes[0].ahead_ms = 300;
    pair.pass_ms(200);
    let alarms = |pair: &Pair| {
        pair.status(1).alarms.into_iter().filter(|alarm| alarm.source == "clock").count()
    };
    assert_eq!(alarms(&pair), 1);
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(alarms(&pair), 0);
}

#[test]
fn when_both_died_the_node_with_more_commits_starts_whatever_its_name() {
    let mut pair = Pair::up();
    pair.nodes[0].slow_disk = true;
    pair.say(0, "c1 begin");
    pair.say(1, "c2 begin");
    pair.kill(0);
    pair.nodes[1].core = None;
    pair.nodes[0].slow_disk = false;
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    let started = |node: usize| {
        let cold = |n: &&Notice| matches!(n, Notice::Member(MemberNotice::ColdStart { base: 1.. }));
        pair.nodes[node].notices.iter().filter(cold).count()
    };
    assert_eq!((started(0), started(1)), (0, 1));
    assert_eq!(pair.status(0).cells.values().sum::<u64>(), 2, "both calls are there");
}

#[test]
fn a_rejoiner_offers_the_records_that_the_others_lack() {
    let mut pair = Pair::new();
    for number in 1..=600 {
        let record = format!("old {number}").into_bytes();
        pair.nodes[0].append("toys", cell(number), record.clone());
        pair.nodes[1].append("toys", cell(number), record);
    }
    for number in 1_001..=1_300 {
        pair.nodes[1].append("toys", cell(number), format!("own {number}").into_bytes());
    }
    pair.nodes[0].append("toys", cell(1_300), b"the view's".to_vec());
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    pair.pass_ms(100);
    assert_eq!(records(&pair, 0).len(), 900);
    assert!(records(&pair, 0).contains(&"own 1299".to_owned()));
    assert!(records(&pair, 0).contains(&"the view's".to_owned()));
    let offered = |notice: &&Notice| matches!(notice, Notice::RecordsOffered(_));
    let offered: Vec<_> = pair.nodes[1].notices.iter().filter(offered).collect();
    assert_eq!(offered, [&Notice::RecordsOffered(299)], "no other was sent");
}

#[test]
fn a_record_of_a_cell_that_another_node_owns_is_taken_and_the_link_stays() {
    let mut pair = Pair::new();
    pair.start(0);
    let owned = CellId { cohort: pair.status(0).run.cohort(), number: 0 };
    pair.nodes[1].append("toys", owned, b"only here".to_vec());
    pair.start(1);
    pair.until_whole();
    pair.pass_ms(100);
    assert_eq!(records(&pair, 0), ["only here"]);
    assert!(pair.is_whole());
    let links = |node: usize| pair.status(node).alarms.into_iter().map(|alarm| alarm.text);
    let closed: Vec<_> = (0..2).flat_map(links).filter(|text| text.contains("link")).collect();
    assert_eq!(closed, Vec::<String>::new());
}

#[test]
fn what_a_new_member_commits_waits_for_a_node_that_has_not_stored_the_view_yet() {
    let mut pair = Pair::new();
    pair.start(0);
    pair.until_member(0);
    pair.nodes[0].slow_disk = true;
    pair.start(1);
    while pair.seat_members() < 2 {
        pair.flush(0);
        pair.pass_ms(1);
    }
    pair.until_member(1);
    assert_eq!(pair.status(0).view.members.len(), 1, "its disk has not got that far");
    pair.say(1, "c1 begin");
    assert_eq!(pair.nodes[1].sent, Vec::<String>::new(), "the other has not applied it");
    pair.nodes[0].slow_disk = false;
    pair.flush(0);
    pair.settle();
    pair.say(1, "c2 begin");
    assert_eq!(pair.nodes[1].sent.len(), 2, "{:?}", pair.nodes[1].sent);
    assert!(pair.is_whole());
    assert_eq!(pair.status(0).dropped.get("bad frame of a peer"), None);
}

#[test]
fn a_link_that_is_down_for_a_moment_leaves_no_proposal_behind() {
    let mut pair = Pair::up();
    let peer = |node: usize| ["server2", "server1"][node].parse().unwrap();
    for node in [0, 1] {
        pair.nodes[node].slow_disk = true;
        pair.feed(node, Input::LinkDown { peer: peer(node) });
    }
    let hand_over = Command::HandOver { cohort: None, to: peer(0) };
    let check = |pair: &Pair| pair.nodes[0].core.as_ref().unwrap().check_command(&hand_over);
    assert!(check(&pair).is_err());
    for node in [0, 1] {
        pair.feed(node, Input::LinkUp { peer: peer(node) });
    }
    pair.settle();
    for node in [0, 1] {
        pair.nodes[node].slow_disk = false;
        pair.flush(node);
    }
    pair.pass_ms(200);
    assert_eq!(check(&pair), Ok(()));
    assert!(pair.is_whole());
}

#[test]
fn a_node_that_waits_to_be_a_member_says_that_it_serves_nothing() {
    let mut pair = Pair::new();
    pair.start(0);
    let says = |pair: &Pair| {
        let alarms = pair.status(0).alarms;
        alarms.iter().any(|alarm| alarm.text.contains("serves no calls"))
    };
    pair.pass_ms(900);
    assert!(!says(&pair));
    pair.pass_ms(200);
    assert!(says(&pair));
    pair.until_member(0);
    assert!(!says(&pair));
}

/// Node 1 dies and comes back.
fn replace(pair: &mut Pair) {
    pair.kill(1);
    pair.pass_ms(600);
    pair.start(1);
    pair.until_whole();
}

#[test]
fn a_cohort_leaves_the_view_when_its_last_call_is_over() {
    let mut pair = Pair::up();
    pair.say(1, "c1 begin");
    let cohort = pair.status(1).run.cohort();
    (0..5).for_each(|_| replace(&mut pair));
    let rows = |pair: &Pair| pair.status(0).view.cohorts.len();
    assert_eq!(pair.status(0).view.owner(cohort), Some(&pair.status(0).run));
    assert!(rows(&pair) <= 5, "the call's, the tables', the members', the last dead run's");
    pair.say(0, "c1 end");
    pair.pass_ms(100);
    assert!(pair.status(0).view.owner(cohort).is_some(), "not before the next view");
    replace(&mut pair);
    assert_eq!(pair.status(0).view.owner(cohort), None);
    pair.nodes[0].sent.clear();
    pair.say(0, "c1 ping");
    assert_eq!(pair.nodes[0].sent, ["c1 unknown"]);
}

#[test]
fn a_node_that_comes_back_without_its_files_is_an_alarm_at_the_other_one() {
    let empty = |pair: &Pair| {
        let alarms = pair.status(0).alarms;
        alarms.iter().any(|alarm| alarm.text.contains("came back with an empty store"))
    };
    let mut pair = Pair::up();
    assert!(!empty(&pair), "nobody starts for the second time");
    pair.kill(1);
    pair.until_member(0);
    pair.nodes[1].lose_files();
    pair.start(1);
    pair.until_whole();
    assert!(empty(&pair));
    pair.kill(1);
    pair.until_member(0);
    pair.start(1);
    pair.until_whole();
    assert!(!empty(&pair));
}

#[test]
fn a_node_that_was_killed_while_it_joined_has_not_lost_its_files() {
    let mut pair = Pair::up();
    pair.kill(1);
    pair.until_member_of(0, 1);
    // Without its vote nobody becomes a member.
    pair.nodes[0].slow_disk = true;
    pair.start(1);
    pair.pass_ms(300);
    assert!(!pair.is_whole());
    pair.kill(1);
    pair.nodes[0].slow_disk = false;
    pair.flush(0);
    pair.start(1);
    pair.until_whole();
    let alarms = pair.status(0).alarms;
    assert!(!alarms.iter().any(|alarm| alarm.text.contains("empty store")), "{alarms:?}");
}

#[test]
fn a_node_on_which_many_handlers_hang_hands_its_calls_over() {
    let mut pair = Pair::up();
    let hang = |pair: &mut Pair, call: usize| {
        pair.say(0, &format!("c{call} begin"));
        pair.hangs = |deliver| deliver.service == "front";
        pair.say(0, &format!("c{call} say hello"));
        pair.pass_ms(10_100);
        pair.hangs = |_| false;
    };
    (1..HUNG_HANDLERS_MAX).for_each(|call| hang(&mut pair, call));
    assert!(pair.status(0).member && pair.seat_members() == 2, "one fewer is borne");
    hang(&mut pair, HUNG_HANDLERS_MAX);
    pair.pass_ms(1_000);
    assert!(!pair.status(0).member && pair.status(1).member);
    let alarms = pair.status(0).alarms;
    assert!(
        alarms.iter().any(|alarm| alarm.text.contains("has handed its calls over")),
        "{alarms:?}"
    );
    pair.nodes[1].sent.clear();
    pair.say(1, "c1 ping");
    assert_eq!(pair.nodes[1].sent, ["c1 pong"]);
}
