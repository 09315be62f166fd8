//! Several resource adaptors in one node (chapter 15, `javax.slee.resource`): whose what is, and
//! what each hears. The first one speaks by the balancer (`toy.rs`), the second one by sockets of
//! its own (`post.rs`).

use crate::pair::Pair;
use crate::post::{Letter, flow};
use crate::script::{self, fail, note, on, take_trace};
use resilee_core::management::Command;
use resilee_core::{AdaptorId, Ingress, Input};
use resilee_sbb::{ActivityId, CellId, Context, Failure};

/// Both nodes are up; the first one has `c1` with `alpha1` and `beta2`.
pub fn begun() -> Pair {
    script::clear();
    let mut pair = Pair::up();
    pair.say(0, "c1 start; fire begin 1 begin");
    take_trace();
    pair
}

/// Sends a letter in the cell of an event, and waits for its answer.
pub fn write(cx: &mut Context<'_>, word: &str) -> Result<ActivityId, Failure> {
    let letter = cx.start_activity("post", &word.to_owned())?;
    cx.attach(cx.entity(), letter)?;
    Ok(letter)
}

/// The only cell of a node.
fn cell(pair: &Pair, node: usize) -> CellId {
    let cells = pair.nodes[node].core.as_ref().expect("it lives").cells(10);
    assert_eq!(cells.len(), 1, "{cells:?}");
    cells[0].id.parse().expect("a cell's id")
}

/// An answer to the activity with this number.
pub fn answer(pair: &Pair, node: usize, number: u32, word: &str) -> Letter {
    let activity = ActivityId { cell: cell(pair, node), number };
    Letter::Answer { activity, word: word.to_owned() }
}

pub fn post(pair: &mut Pair, node: usize, letter: &Letter) {
    pair.tell_second(node, letter.bytes());
}

/// The last letter to an activity.
pub fn last(pair: &mut Pair, node: usize, number: u32) {
    let activity = ActivityId { cell: cell(pair, node), number };
    post(pair, node, &Letter::Last { activity });
}

pub fn posted(pair: &mut Pair, node: usize) -> Vec<String> {
    std::mem::take(&mut pair.nodes[node].posted)
}

/// The leak check.
pub fn end(pair: &mut Pair, node: usize) {
    pair.say(node, "c1 over");
    for core in pair.nodes.iter().filter_map(|node| node.core.as_ref()) {
        assert_eq!(core.inconsistencies(), Vec::<String>::new());
        let left = core.cells(10);
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_service_starts_an_activity_of_another_adaptor_in_the_cell_of_a_call() {
    let mut pair = begun();
    on("alpha", "write", |_, cx| write(cx, "hello").map(drop));
    pair.say(0, "c1 fire tick 1 write");
    assert_eq!(posted(&mut pair, 0), ["letter 2 hello"]);
    assert_eq!(take_trace(), ["alpha1 write", "beta2 write"]);
    let letter = answer(&pair, 0, 2, "thanks");
    post(&mut pair, 0, &letter);
    assert_eq!(take_trace(), ["alpha1 thanks"], "beta is not attached to it");
    last(&mut pair, 0, 2);
    assert_eq!(take_trace(), ["alpha1 end 2"]);
    end(&mut pair, 0);
}

#[test]
fn what_a_service_starts_and_what_an_adaptor_starts_in_the_same_transaction_are_two() {
    let mut pair = begun();
    on("alpha", "write", |_, cx| {
        cx.send(&"start".to_owned())?;
        let letter = write(cx, "hello")?;
        note(format!("{}", letter.number));
        Ok(())
    });
    pair.say(0, "c1 fire tick 1 write");
    assert_eq!(take_trace()[1], "2");
    assert_eq!(posted(&mut pair, 0), ["letter 2 hello"]);
    assert_eq!(pair.status(0).activities, 3);
    last(&mut pair, 0, 2);
    assert_eq!(take_trace(), ["alpha1 end 2"]);
    end(&mut pair, 0);
}

#[test]
fn a_command_goes_to_the_adaptor_of_its_activity() {
    let mut pair = begun();
    on("alpha", "write", |_, cx| write(cx, "hello").map(drop));
    on("alpha", "thanks", |_, cx| {
        cx.send(&"more".to_owned())?;
        let call = cx.activities()[0];
        cx.send_on(call, &"said".to_owned())
    });
    pair.say(0, "c1 fire tick 1 write");
    posted(&mut pair, 0);
    let letter = answer(&pair, 0, 2, "thanks");
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), ["more 2 more"]);
    assert_eq!(pair.nodes[0].sent.last().map(String::as_str), Some("c1 said"));
    last(&mut pair, 0, 2);
    end(&mut pair, 0);
}

#[test]
fn each_activity_is_adopted_by_its_own_adaptor_and_its_events_go_on() {
    let mut pair = begun();
    on("alpha", "write", |_, cx| write(cx, "hello").map(drop));
    pair.say(0, "c1 fire tick 1 write");
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(posted(&mut pair, 1), ["again 2 hello", "letter 2 hello"], "at least once");
    assert!(pair.nodes[1].sent.contains(&"c1 adopted".to_owned()));
    take_trace();
    let letter = answer(&pair, 1, 2, "thanks");
    post(&mut pair, 1, &letter);
    pair.say(1, "c1 fire tick 1 tick");
    assert_eq!(take_trace(), ["alpha1 thanks", "alpha1 tick", "beta2 tick"]);
    last(&mut pair, 1, 2);
    end(&mut pair, 1);
}

#[test]
fn nothing_leaves_by_another_adaptor_before_the_backup_has_the_commit() {
    let mut pair = begun();
    on("alpha", "write", |_, cx| write(cx, "hello").map(drop));
    pair.cut(1);
    pair.say(0, "c1 fire tick 1 write");
    assert_eq!(take_trace(), ["alpha1 write", "beta2 write"]);
    assert_eq!(posted(&mut pair, 0), [""; 0], "the backup does not have it");
}

#[test]
fn a_message_at_the_wrong_node_is_relayed_for_its_adaptor() {
    let mut pair = begun();
    on("alpha", "write", |_, cx| write(cx, "hello").map(drop));
    pair.say(0, "c1 fire tick 1 write");
    take_trace();
    let letter = answer(&pair, 0, 2, "thanks");
    post(&mut pair, 1, &letter);
    assert_eq!(take_trace(), ["alpha1 thanks"]);
    assert!(pair.nodes[0].delivered.iter().any(|it| it.event.activity.number == 2));
    last(&mut pair, 0, 2);
    end(&mut pair, 0);
}

#[test]
fn equal_keys_of_two_adaptors_are_two_cells() {
    let mut pair = begun();
    // What the toy makes of `c1`.
    let key = b"c1".iter().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(*byte));
    post(&mut pair, 0, &Letter::First { key, word: "begin".to_owned() });
    assert_eq!(take_trace(), ["alpha1 begin", "beta2 begin"], "a new root entity each");
    let cells = pair.nodes[1].core.as_ref().expect("it lives").cells(10);
    assert_eq!(cells.len(), 2);
    assert!(cells.iter().all(|cell| cell.activities.len() == 1));
}

#[test]
fn a_message_for_a_cell_that_is_over_is_answered_by_its_adaptor() {
    let mut pair = begun();
    let letter = answer(&pair, 0, 2, "thanks");
    end(&mut pair, 0);
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), ["returned to sender"]);
}

#[test]
fn an_activity_that_cannot_be_started_ends_at_once() {
    for (adaptor, word) in [("post", ""), ("pigeons", "hello")] {
        let mut pair = begun();
        on("alpha", "write", move |_, cx| {
            let letter = cx.start_activity(adaptor, &word.to_owned())?;
            cx.attach(cx.entity(), letter)
        });
        pair.say(0, "c1 fire tick 1 write");
        assert_eq!(take_trace(), ["alpha1 write", "beta2 write", "alpha1 end 2"]);
        assert_eq!(posted(&mut pair, 0), [""; 0]);
        let alarms = pair.status(0).alarms;
        assert!(alarms.iter().any(|alarm| alarm.text.contains(adaptor)), "{alarms:?}");
        end(&mut pair, 0);
    }
}

#[test]
fn a_cell_has_a_limit_of_activities() {
    let mut pair = begun();
    on("alpha", "write", |_, cx| {
        let started = (0..100).take_while(|_| cx.start_activity("post", &"w".to_owned()).is_ok());
        note(format!("{}", started.count()));
        Ok(())
    });
    pair.say(0, "c1 fire tick 1 write");
    assert_eq!(take_trace()[1], "63", "the call itself is one");
    end(&mut pair, 0);
}

#[test]
fn an_adaptor_that_asks_hears_that_an_event_was_processed_and_whether_anybody_got_it() {
    script::clear();
    let mut pair = Pair::up();
    post(&mut pair, 0, &Letter::First { key: 1, word: "begin".to_owned() });
    assert_eq!(posted(&mut pair, 0), ["test.begin of 1 received"]);
    let letter = answer(&pair, 0, 1, "tick");
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), [""; 0], "it did not ask about ticks");
    on("alpha", "fails", |_, _| fail());
    post(&mut pair, 0, &Letter::First { key: 2, word: "fails".to_owned() });
    assert_eq!(posted(&mut pair, 0), ["failed 1"], "one or the other");
}

#[test]
fn an_adaptor_that_asks_hears_of_an_activity_that_nobody_is_attached_to_and_may_end_it() {
    script::clear();
    for name in ["alpha", "beta"] {
        on(name, "leave", |_, cx| {
            cx.detach();
            Ok(())
        });
    }
    let mut pair = Pair::up();
    post(&mut pair, 0, &Letter::First { key: 1, word: "begin".to_owned() });
    posted(&mut pair, 0);
    let letter = answer(&pair, 0, 1, "leave");
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), ["unreferenced 1"], "once");
    let cells = pair.nodes.iter().map(|node| node.core.as_ref().expect("it lives").cells(9).len());
    assert_eq!(cells.collect::<Vec<_>>(), [0, 0], "it ended it");
}

#[test]
fn a_bound_name_keeps_an_activity_referenced() {
    script::clear();
    on("alpha", "leave", |_, cx| {
        cx.bind_name(cx.activity(), "kept")?;
        cx.detach();
        Ok(())
    });
    on("beta", "leave", |_, cx| {
        cx.detach();
        Ok(())
    });
    let mut pair = Pair::up();
    post(&mut pair, 0, &Letter::First { key: 1, word: "begin".to_owned() });
    posted(&mut pair, 0);
    let letter = answer(&pair, 0, 1, "leave");
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), [""; 0]);
}

#[test]
fn a_client_of_a_nodes_own_sockets_is_told_that_the_node_takes_nothing_now() {
    script::clear();
    let mut pair = Pair::new();
    pair.start(0);
    let letter = Letter::First { key: 1, word: "begin".to_owned() };
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), ["refused"], "no member yet");
    pair.say(0, "c1 start");
    assert!(pair.nodes[0].sent.is_empty(), "the balancer sends that to another one");
    pair.start(1);
    pair.until_whole();
    pair.feed(0, Input::Drain);
    post(&mut pair, 0, &letter);
    assert_eq!(posted(&mut pair, 0), ["refused"], "it hands over");
    assert_eq!(take_trace(), [""; 0]);
    post(&mut pair, 1, &letter);
    assert_eq!(take_trace(), ["alpha1 begin", "beta2 begin"]);
}

/// The call came back from an old store; a service still holds its cell.
#[test]
fn letters_to_what_is_left_of_an_old_stores_call_are_taken_by_its_cell() {
    script::clear();
    let mut pair = Pair::up();
    on("beta", "hold", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.detach();
        Ok(())
    });
    pair.say(1, "c1 start; fire begin 1 begin; fire tick 1 hold");
    let activity = pair.nodes[1].delivered[0].event.activity;
    pair.kill(0);
    pair.pass_ms(600);
    pair.kill(1);
    pair.pass_ms(500);
    pair.start(0);
    pair.feed(0, Input::Command(Command::Force));
    pair.until_just_a_member(0);
    pair.settle();
    // They wait for the turn in which the call ends.
    pair.begin_to_say(0, "c1 end 1");
    for word in ["one", "two"] {
        let bytes = Letter::Answer { activity, word: word.to_owned() }.bytes();
        let ingress = Ingress { adaptor: AdaptorId(1), ..Ingress::new(flow(), bytes) };
        pair.feed(0, Input::Message(ingress));
    }
    pair.settle();
    assert_eq!(pair.nodes[0].posted, [""; 0], "and nobody is told that there is no such cell");
    assert_eq!(pair.status(0).cells.values().sum::<u64>(), 1);
    pair.leaves = Some("a null activity, which its service never ends");
}

/// It answers where it was asked, and the node that has the calls now has no socket of that one.
#[test]
fn what_would_begin_something_is_refused_where_all_calls_were_handed_over() {
    let mut pair = begun();
    let to = "server2".parse().expect("a name");
    pair.feed(0, Input::Command(Command::HandOver { cohort: None, to }));
    pair.pass_ms(500);
    posted(&mut pair, 0);
    post(&mut pair, 0, &Letter::First { key: 7, word: "hello".to_owned() });
    assert_eq!(posted(&mut pair, 0), ["refused"]);
    assert_eq!(take_trace(), [""; 0], "nobody does its work");
    post(&mut pair, 1, &Letter::First { key: 8, word: "hello".to_owned() });
    assert!(!posted(&mut pair, 1).contains(&"refused".to_owned()));
    pair.say(1, "c1 over");
}
