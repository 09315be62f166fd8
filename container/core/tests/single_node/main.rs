//! Stories of one node without peers: turns, routing, roll back, the gate, timers, restart.
//!
//! The protocol is a toy (`toy.rs`): what is tested is the container, not SIP. Pairs of nodes are
//! the simulator's.

mod balancers;
mod house;
mod overload;
mod retries;
mod time;
#[allow(dead_code, reason = "pairs use the rest of it")]
mod toy;
mod view_rules;

use house::House;
use resilee_core::{Input, Restored, StoreOp};
use resilee_sbb::{Severity, decode};
use toy::Front;

impl House {
    /// The counter in the state of the only entity of `service`.
    pub fn counts(&mut self, service: &str) -> Option<u32> {
        self.flush();
        let cells = self.core.cells(10);
        let entity = cells.iter().flat_map(|c| &c.entities).find(|e| e.service == service)?;
        let front: Front = decode(&entity.state.bytes).expect("the toy wrote it");
        Some(front.count)
    }
}

#[test]
fn what_is_wrong_around_the_core_is_an_alarm_until_it_is_over() {
    let mut house = House::new();
    let (source, text) = ("cluster".to_owned(), "the certificate ends soon".to_owned());
    let severity = Severity::Major;
    house.feed(Input::AlarmRaised { source: source.clone(), severity, text: text.clone() });
    let alarms = house.core.status(house.now).alarms;
    assert_eq!((alarms[0].source.as_str(), alarms[0].text.as_str()), (&*source, &*text));
    house.feed(Input::AlarmOver { source, text });
    assert!(house.core.status(house.now).alarms.is_empty());
}

#[test]
fn an_adaptor_raises_alarms_under_its_own_name_and_the_same_one_is_counted() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 alarm burglars");
    house.say("c1 alarm burglars");
    let alarms = house.core.status(house.now).alarms;
    assert_eq!(alarms.len(), 1);
    assert_eq!((alarms[0].source.as_str(), alarms[0].text.as_str()), ("toy", "burglars"));
    assert_eq!((alarms[0].severity, alarms[0].count), (Severity::Warning, 2));
}

#[test]
fn what_an_adaptor_refuses_in_a_cell_is_counted_by_reason() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 refuse");
    house.say("c1 refuse");
    let dropped = house.core.status(house.now).dropped;
    assert_eq!(dropped.get("message that the toy refuses"), Some(&2));
}

#[test]
fn nothing_leaves_before_the_store_has_the_commit() {
    let mut house = House::new();
    house.say("c1 begin");
    assert_eq!(house.sent(), Vec::<String>::new());
    house.flush();
    assert_eq!(house.sent(), ["c1 begun"]);
}

#[test]
fn a_message_of_a_view_not_adopted_yet_waits_for_it() {
    let mut house = House::starting();
    house.say_by_view(1, "c1 begin");
    assert!(house.delivered.is_empty());
    house.settle();
    house.flush();
    assert_eq!(house.sent(), ["c1 begun"]);
}

#[test]
fn what_changes_nothing_waits_behind_what_is_not_held_yet() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 ping");
    assert_eq!(house.sent(), Vec::<String>::new());
    house.flush();
    assert_eq!(house.sent(), ["c1 begun", "c1 pong"]);
    house.say("c1 ping");
    assert_eq!(house.sent(), ["c1 pong"]);
}

#[test]
fn the_service_of_higher_priority_gets_an_event_first() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say hello");
    let said = house.delivered.iter().map(|deliver| deliver.service);
    assert_eq!(said.collect::<Vec<_>>(), ["front", "back", "front", "back"]);
}

#[test]
fn a_failing_service_rolls_back_alone_and_raises_an_alarm() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say fail-front");
    house.flush();
    let status = house.core.status(house.now);
    let alarm = status.alarms.first().expect("an alarm");
    assert_eq!((alarm.source.as_str(), alarm.count), ("front", 1));
    assert_eq!(house.counts("front"), Some(1), "the event that failed is not counted");
    assert_eq!(house.counts("back"), Some(2), "the other service had it");
}

#[test]
fn a_handler_that_never_answers_is_rolled_back_at_its_deadline() {
    let mut house = House::new();
    house.answering = false;
    house.say("c1 begin");
    house.pass_seconds(11);
    house.answering = true;
    house.pass_seconds(11);
    house.say("c1 ping");
    house.flush();
    assert!(house.sent().contains(&"c1 pong".to_owned()), "the call goes on");
    let status = house.core.status(house.now);
    assert!(status.alarms.iter().any(|alarm| alarm.text.contains("did not return")));
}

#[test]
fn a_late_answer_is_refused() {
    let mut house = House::new();
    house.answering = false;
    house.say("c1 begin");
    let late = house.delivered.last().expect("a delivery").clone();
    house.pass_seconds(11);
    house.answer(&late);
    let status = house.core.status(house.now);
    assert_eq!(status.dropped.get("late answer of a handler"), Some(&1));
}

#[test]
fn a_record_is_written_once_per_cell() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say record");
    house.say("c1 say record");
    let records =
        |ops: &[StoreOp]| ops.iter().filter(|op| matches!(op, StoreOp::Record { .. })).count();
    assert_eq!(records(&house.written), 1);
}

#[test]
fn only_a_cell_of_the_tables_may_write_rows() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say row");
    assert_eq!(house.core.tables().len("toys"), 0);
    assert_eq!(house.counts("front"), Some(1), "the delivery was rolled back");
    house.say("table begin");
    house.say("table say row");
    assert_eq!(house.core.tables().len("toys"), 1);
}

#[test]
fn an_answer_about_rows_waits_until_the_rows_are_held() {
    let mut house = House::new();
    house.say("table begin");
    house.say("table say row");
    house.say("table end");
    house.say("table ask");
    assert_eq!(house.sent(), Vec::<String>::new());
    house.flush();
    assert_eq!(house.sent(), ["table begun", "table answer"]);
}

#[test]
fn a_timer_fires_once_and_only_for_its_entity() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say timer");
    house.pass_seconds(4);
    assert!(!house.was_delivered("front", "slee.timer"));
    house.pass_seconds(2);
    house.pass_seconds(20);
    let timers = house.delivered.iter().filter(|d| d.event.event_type == "slee.timer");
    assert_eq!(timers.map(|d| d.service).collect::<Vec<_>>(), ["front"]);
}

#[test]
fn the_end_of_an_activity_is_its_last_event_and_leaves_nothing() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say timer");
    house.say("c1 end");
    let last: Vec<_> = house.delivered.iter().rev().take(2).collect();
    assert!(last.iter().all(|d| d.event.event_type == "slee.activity_end"));
    house.flush();
    let status = house.core.status(house.now);
    assert_eq!((status.cells.len(), status.activities, status.gated), (0, 0, 0));
    assert!(house.disk_is_empty(), "{:?}", house.disk);
    house.pass_seconds(20);
    assert!(!house.was_delivered("front", "slee.timer"));
}

#[test]
fn a_message_for_nobody_is_answered_by_the_adaptor() {
    let mut house = House::new();
    house.say("c1 ping");
    assert_eq!(house.sent(), ["c1 unknown"]);
}

#[test]
fn after_a_restart_calls_and_timers_are_there_again() {
    let mut house = House::new();
    house.say("c1 begin");
    house.say("c1 say timer");
    house.flush();
    house.sent();
    house.restart();
    assert_eq!(house.counts("back"), Some(2));
    house.say("c1 ping");
    house.flush();
    assert_eq!(house.sent(), ["c1 adopted after a cold start", "c1 pong"]);
    house.pass_seconds(6);
    assert!(house.was_delivered("front", "slee.timer"));
}

#[test]
fn what_was_not_flushed_when_the_node_died_never_left() {
    let mut house = House::new();
    house.say("c1 begin");
    house.restart();
    house.flush();
    assert_eq!(house.sent(), Vec::<String>::new());
    house.say("c1 begin");
    house.flush();
    assert_eq!(house.sent(), ["c1 begun"], "the client repeats, and is served");
}

#[test]
fn while_the_store_has_failed_memory_is_the_gate_with_an_alarm() {
    let mut house = House::new();
    house.say("c1 begin");
    house.fail_store();
    assert_eq!(house.sent(), ["c1 begun"]);
    house.say("c1 say hello");
    house.say("c1 ping");
    assert_eq!(house.sent(), ["c1 pong"]);
    let status = house.core.status(house.now);
    assert!(status.alarms.iter().any(|alarm| alarm.source == "store"));
}

#[test]
fn while_the_store_has_failed_new_calls_are_refused_and_counted() {
    let mut house = House::new();
    house.fail_store();
    house.say("c1 begin");
    assert_eq!(house.sent(), ["c1 refused for 10 s"]);
    let status = house.core.status(house.now);
    assert_eq!(status.dropped.get("new call while nothing holds it but memory"), Some(&1));
    assert_eq!(status.cells.len(), 0);
}

#[test]
fn what_was_found_in_a_damaged_store_is_an_alarm() {
    let notices = vec!["journal bills: 7 bytes of a torn record were cut off".to_owned()];
    let house = House::starting_with(Restored { notices: notices.clone(), ..Restored::default() });
    let status = house.core.status(house.now);
    let alarms: Vec<_> = status.alarms.iter().map(|alarm| alarm.text.clone()).collect();
    assert_eq!(alarms, notices);
}

#[test]
fn a_node_that_drains_alone_ends_when_its_store_has_everything() {
    let mut house = House::new();
    house.say("c1 begin");
    house.feed(resilee_core::Input::Drain);
    assert!(!house.drained, "the call is not stored yet");
    house.flush();
    assert!(house.drained);
}
