//! Trace facility (JAIN SLEE 1.1 chapter 13).

use crate::house::House;
use crate::pair::Pair;
use resilee_core::management::{Changed, Notice, TableChange, TracerStatus};
use resilee_core::{Input, LINES_PER_SECOND_MAX, SERVICE_LINES_PER_SECOND_MAX, TRACERS_MAX};
use resilee_sbb::{Effect, Outcome, TraceLevel};

fn house() -> House {
    let mut house = House::new();
    house.say("c1 begin");
    house
}

/// Lines written so far: tracer and text.
fn lines(house: &House) -> Vec<(String, String)> {
    let line = |notice: &Notice| match notice {
        Notice::Trace { tracer, text, .. } => Some((tracer.clone(), text.clone())),
        _ => None,
    };
    house.notices.iter().filter_map(line).collect()
}

fn set(house: &mut House, tracer: &str, level: Option<TraceLevel>) {
    assert_eq!(change(house, tracer, level), Some(Changed::Done));
}

fn change(house: &mut House, tracer: &str, level: Option<TraceLevel>) -> Option<Changed> {
    let change = TableChange::TraceLevel { tracer: tracer.to_owned(), level };
    house.feed(Input::Change { token: 1, change });
    house.flush();
    house.changed.pop()
}

fn tracer(house: &House, name: &str) -> TracerStatus {
    let tracers = house.core.status(house.now).tracers.into_iter();
    tracers.into_iter().find(|tracer| tracer.name == name).expect("it is known")
}

#[test]
fn a_line_has_the_name_of_its_services_tracer_or_of_one_below() {
    let mut house = house();
    house.say("c1 say trace:info:hello");
    house.say("c1 say trace:rating:warning:odd");
    let expected = [("worker", "hello"), ("worker.rating", "odd")];
    assert_eq!(lines(&house), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn a_child_writes_below_its_service_by_the_name_of_its_sbb() {
    let mut house = house();
    house.say("c1 say child:trace:info:hello");
    house.say("c1 say child:trace:rating:info:hello");
    let tracers: Vec<_> = lines(&house).into_iter().map(|(tracer, _)| tracer).collect();
    assert_eq!(tracers, ["worker.helper", "worker.helper.rating"]);
    set(&mut house, "worker.helper", Some(TraceLevel::Off));
    house.say("c1 say child:trace:rating:severe:quiet");
    assert_eq!(lines(&house).len(), 2);
}

#[test]
fn a_line_below_the_level_of_its_tracer_is_not_made() {
    let mut house = house();
    house.say("c1 say trace:fine:quiet");
    assert!(lines(&house).is_empty(), "info is the root's level");
    set(&mut house, "worker", Some(TraceLevel::Fine));
    house.say("c1 say trace:fine:heard");
    house.say("c1 say trace:finer:quiet");
    assert_eq!(lines(&house).len(), 1);
    set(&mut house, "worker", Some(TraceLevel::Off));
    house.say("c1 say trace:severe:quiet");
    assert_eq!(lines(&house).len(), 1);
}

/// A linked service does not make it; what a unit makes is its own matter.
#[test]
fn a_line_that_is_made_although_its_tracer_is_off_is_not_written() {
    let mut house = house();
    set(&mut house, "worker", Some(TraceLevel::Off));
    house.answering = false;
    house.say("c1 say nothing");
    let delivery = house.delivered.last().expect("it is handed out").id;
    let line = |tracer: &str| Effect::Trace {
        tracer: tracer.to_owned(),
        level: TraceLevel::Severe,
        text: "loud".to_owned(),
    };
    let effects = vec![line("worker"), line("worker.rating"), line("other")];
    let outcome = Outcome::RolledBack { reason: "as it was told".to_owned(), effects };
    house.feed(Input::Outcome { delivery, outcome });
    assert!(lines(&house).is_empty(), "{:?}", lines(&house));
}

#[test]
fn a_service_does_not_write_more_lines_by_having_more_tracers() {
    let mut house = house();
    let most = SERVICE_LINES_PER_SECOND_MAX as usize;
    for number in 0..most + 50 {
        house.say(&format!("c1 say trace:t{}:info:hello", number % 200));
    }
    assert_eq!(lines(&house).len(), most);
    house.pass_seconds(1);
    house.say("c1 say trace:info:heard");
    assert_eq!(lines(&house).last().map(|(_, text)| text.as_str()), Some("heard"));
}

#[test]
fn a_tracer_without_a_level_goes_by_the_one_above() {
    let mut house = house();
    set(&mut house, "worker", Some(TraceLevel::Finest));
    house.say("c1 say trace:rating:finest:heard");
    set(&mut house, "worker.rating", Some(TraceLevel::Severe));
    house.say("c1 say trace:rating:finest:quiet");
    house.say("c1 say trace:other:finest:heard");
    set(&mut house, "worker.rating", None);
    house.say("c1 say trace:rating:finest:heard");
    assert!(lines(&house).iter().all(|(_, text)| text == "heard"), "{:?}", lines(&house));
    assert_eq!(lines(&house).len(), 3);
    set(&mut house, "root", Some(TraceLevel::Severe));
    assert_eq!(tracer(&house, "other").effective, TraceLevel::Severe);
    assert_eq!(tracer(&house, "worker.rating").effective, TraceLevel::Finest);
}

#[test]
fn a_handler_knows_whether_a_line_is_wanted() {
    let mut house = house();
    house.say("c1 say dear:rating");
    set(&mut house, "worker.rating", Some(TraceLevel::Fine));
    house.say("c1 say dear:rating");
    let texts: Vec<_> = lines(&house).into_iter().map(|(_, text)| text).collect();
    let line = |wanted| format!("dear line of rating wanted: {wanted}");
    assert_eq!(texts, [line(false), line(true)]);
}

#[test]
fn a_line_stays_if_its_delivery_rolls_back() {
    let mut house = house();
    house.say("c1 say trace:info:hello!");
    assert_eq!(lines(&house).len(), 1);
}

#[test]
fn lines_beyond_those_of_a_second_are_counted_and_told_in_the_next() {
    let mut house = house();
    house.say("c1 say lines:90");
    house.say("c1 say lines:90");
    let most = LINES_PER_SECOND_MAX as usize;
    assert_eq!(lines(&house).len(), most);
    let worker = tracer(&house, "worker");
    assert_eq!((worker.lines, worker.left_out), (100, 80));
    house.pass_seconds(1);
    house.say("c1 say lines:1");
    let texts: Vec<_> = lines(&house).into_iter().skip(most).map(|(_, text)| text).collect();
    assert_eq!(texts, ["80 lines were left out: too many in a second", "0"]);
}

#[test]
fn one_tracer_that_writes_too_much_does_not_silence_another() {
    let mut house = house();
    house.say("c1 say lines:150");
    house.say("c1 say trace:rating:info:heard");
    assert_eq!(lines(&house).last().map(|(_, text)| text.as_str()), Some("heard"));
}

#[test]
fn a_name_of_no_tracer_is_refused() {
    let mut house = house();
    for name in ["", "nobody", "nobody.rating", "worker.", "worker..rating"] {
        let changed = change(&mut house, name, Some(TraceLevel::Fine));
        let Some(Changed::Refused(refused)) = changed else { panic!("{name:?}: {changed:?}") };
        assert!(refused.contains(&format!("{name:?}")), "{refused}");
    }
}

#[test]
fn lines_of_tracers_beyond_the_limit_are_written_by_their_service() {
    let mut house = house();
    for number in 0..TRACERS_MAX + 10 {
        house.say(&format!("c1 say trace:t{number}:info:hello"));
        house.pass_seconds(1);
    }
    assert_eq!(lines(&house).last().map(|(tracer, _)| tracer.as_str()), Some("worker"));
    let tracers = house.core.status(house.now).tracers.len();
    assert_eq!(tracers, TRACERS_MAX + 1, "and the root");
}

/// The level of a tracer at each node of a pair that lives.
fn levels(pair: &Pair, name: &str) -> Vec<Option<TraceLevel>> {
    let of = |node: usize| pair.nodes[node].core.as_ref().map(|_| pair.status(node));
    let statuses = [0, 1].into_iter().filter_map(of);
    let tracer = |status: resilee_core::management::Status| {
        status.tracers.into_iter().find(|it| it.name == name).and_then(|it| it.given)
    };
    statuses.map(tracer).collect()
}

#[test]
fn a_level_is_the_clusters_and_is_there_again_after_a_death_and_a_restart_of_both() {
    for asked in [0, 1] {
        let mut pair = Pair::up();
        let fine = Some(TraceLevel::Fine);
        let set =
            |tracer: &str, level| TableChange::TraceLevel { tracer: tracer.to_owned(), level };
        assert_eq!(pair.change(asked, set("worker.rating", fine)), Some(Changed::Done));
        assert_eq!(pair.change(asked, set("root", fine)), Some(Changed::Done));
        assert_eq!(levels(&pair, "worker.rating"), [fine, fine]);
        pair.kill(0);
        pair.until_member_of(1, 1);
        assert_eq!(levels(&pair, "root"), [fine]);
        pair.start(0);
        pair.until_whole();
        assert_eq!(levels(&pair, "worker.rating"), [fine, fine]);
        [0, 1].into_iter().for_each(|node| pair.kill(node));
        [0, 1].into_iter().for_each(|node| pair.start(node));
        pair.until_whole();
        assert_eq!(levels(&pair, "worker.rating"), [fine, fine]);
        assert_eq!(pair.change(asked, set("worker.rating", None)), Some(Changed::Done));
        assert_eq!(levels(&pair, "worker.rating"), [None, None]);
        assert_eq!(levels(&pair, "root"), [fine, fine]);
    }
}
