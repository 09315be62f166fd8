//! Numbers of activities, entities and posts, of which a cell has two thousand million: with none
//! left it stays what it is, readable by all.

use crate::house::House;
use crate::script::{self, on, selects};
use crate::toy::Tock;
use resilee_core::Tree;
use resilee_sbb::InitialEvent;

/// The least with which nothing is left, as its codec writes it: a small number has one byte.
const LAST: [u8; 5] = [0xce, 0x7f, 0xff, 0xff, 0xfd];

fn say(house: &mut House, text: &str) {
    house.say(text);
    (0..20).for_each(|_| house.flush());
}

/// The cell whose head has this text in it has used up numbers of this field, and its node starts
/// again.
fn use_up(house: &mut House, text: &str, field: &str) {
    let find = |bytes: &[u8], part: &str| {
        bytes.windows(part.len()).position(|window| window == part.as_bytes())
    };
    let mut heads = 0;
    for ((tree, key), head) in &mut house.disk {
        if *tree == Tree::Cells && key[16] == 0 && find(head, text).is_some() {
            let at = find(head, field).expect("a head") + field.len();
            head.splice(at..=at, LAST);
            heads += 1;
        }
    }
    assert_eq!(heads, 1);
    house.restart();
}

fn alarms(house: &House) -> Vec<String> {
    let alarms = house.core.status(house.now).alarms.into_iter();
    alarms.map(|alarm| alarm.text).collect()
}

fn entities(house: &House, service: &str) -> Option<u64> {
    let services = house.core.status(house.now).services;
    services.iter().find(|it| it.name == service).map(|it| it.entities)
}

/// 100 a second for 249 days.
#[test]
fn a_root_entity_of_very_many_calls_is_there_after_a_restart() {
    script::clear();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    let mut house = House::new();
    say(&mut house, "c1 start; fire choose 1 one");
    use_up(&mut house, "chooser", "next_activity");
    for call in 2..=4 {
        say(&mut house, &format!("c{call} start; fire choose 1 one"));
    }
    assert_eq!(entities(&house, "chooser"), Some(1), "as it should be");
    house.restart();
    assert_eq!(entities(&house, "chooser"), Some(1), "{:?}", alarms(&house));
}

#[test]
fn a_call_that_has_had_very_many_entities_is_there_after_a_restart() {
    script::clear();
    let mut house = House::new();
    on("alpha", "create", |_, cx| cx.create_child("left").map(drop));
    say(&mut house, "c1 start; fire begin 1 begin");
    use_up(&mut house, "born_at", "next_entity");
    for _ in 0..4 {
        say(&mut house, "c1 fire tick 1 create");
    }
    let before = entities(&house, "alpha");
    assert_eq!(before, Some(1), "of it no child came to be");
    house.restart();
    assert_eq!(entities(&house, "alpha"), before, "{:?}", alarms(&house));
}

#[test]
fn a_call_whose_clients_have_begun_very_many_activities_is_there_after_a_restart() {
    script::clear();
    let mut house = House::new();
    say(&mut house, "c1 start; fire begin 1 begin");
    use_up(&mut house, "born_at", "next_activity");
    house.sent();
    for _ in 0..4 {
        say(&mut house, "c1 start; fire tick 1 on");
    }
    assert_eq!(house.sent(), ["c1 refused"; 4], "whoever asks is told");
    let status = house.core.status(house.now);
    assert_eq!((entities(&house, "alpha"), status.activities), (Some(1), 1), "as before");
    let dropped = "activity of an adaptor in a call that has no numbers left";
    assert_eq!(status.dropped.get(dropped), Some(&4), "{:?}", status.dropped);
    assert_eq!(alarms(&house).iter().filter(|it| it.contains("no numbers left")).count(), 1);
    house.restart();
    assert_eq!(entities(&house, "alpha"), Some(1), "{:?}", alarms(&house));
    say(&mut house, "c1 fire tick 1 on");
    assert_eq!(script::take_trace().last().map(String::as_str), Some("beta2 on"), "it goes on");
}

/// A thousand a second for twelve days.
#[test]
fn a_name_that_has_passed_very_many_events_is_there_after_a_restart() {
    script::clear();
    on("alpha", "bind", |_, cx| cx.bind_cluster_name(cx.activity(), "room"));
    on("alpha", "call", |_, cx| cx.fire_at_name("room", &Tock { word: "called".to_owned() }));
    let mut house = House::new();
    say(&mut house, "c1 start; fire begin 1 begin");
    say(&mut house, "c2 start; fire begin 1 begin");
    say(&mut house, "c1 fire tick 1 bind");
    use_up(&mut house, "room", "posted");
    for _ in 0..4 {
        say(&mut house, "c2 fire tick 1 call");
    }
    house.restart();
    assert_eq!(entities(&house, "alpha"), Some(2), "{:?}", alarms(&house));
    let bound = house.core.tables().get(resilee_sbb::CLUSTER_NAMES, "room").is_some();
    assert!(bound && alarms(&house).iter().all(|it| !it.contains("read")), "{:?}", alarms(&house));
}

#[test]
fn a_call_that_has_told_a_root_entity_of_very_many_events_is_there_after_a_restart() {
    script::clear();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    let mut house = House::new();
    say(&mut house, "c1 start; fire choose 1 one");
    use_up(&mut house, "Call", "posted");
    for _ in 0..4 {
        say(&mut house, "c1 fire tick 1 more");
    }
    let before = alarms(&house);
    house.restart();
    assert_eq!(house.core.cells(10).len(), 2, "{:?}", alarms(&house));
    assert!(before.iter().any(|it| it.contains("no more numbers")), "{before:?}");
    say(&mut house, "c1 over");
    (0..10).for_each(|_| house.pass_seconds(1));
    assert_eq!(house.core.cells(10).len(), 0, "its end was told");
}
