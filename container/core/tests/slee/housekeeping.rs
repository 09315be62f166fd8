//! Housekeeping: what was left over is found and removed, in a turn of its cell.

use crate::container::Container;
use crate::script::{ask, note, on, on_call, selects};
use crate::takeover::Story;
use resilee_core::management::{Changed, LeftoverKind, LeftoverRow, Removal, Search, TableChange};
use resilee_sbb::{InitialEvent, TimerId};
use std::time::Duration;

const DONE: Option<Changed> = Some(Changed::Done);
const HOUR: Duration = Duration::from_secs(3_600);

/// `alpha1` with two children, one below the other, of which the lower one has a timer; and a null
/// activity that is bound to a name and has `alpha1`.
fn furnished() -> Container {
    let mut container = Container::begun();
    furnish();
    container.fire("tick", "furnish");
    container.trace();
    container
}

fn furnish() {
    on("alpha", "furnish", |_, cx| {
        let child = cx.create_child("left")?;
        ask(cx, child, "grow")?;
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.bind_name(null, "room/7")
    });
    on_call("left", "grow", |_, cx| {
        let child = cx.create_child("low")?;
        cx.attach(child, cx.activity())?;
        ask(cx, child, "set")
    });
    on_call("low", "set", |_, cx| {
        cx.set_timer(TimerId(7), HOUR);
        Ok(String::new())
    });
}

fn found(container: &Container, search: &Search) -> Vec<LeftoverRow> {
    container.leftovers(search).rows
}

/// What is found, without the cell's id.
fn parts(container: &Container, search: &Search) -> Vec<String> {
    let cell = format!("{}/", container.cell());
    found(container, search).iter().map(|row| row.what.to_string().replace(&cell, "")).collect()
}

fn all(kind: LeftoverKind) -> Search {
    Search::all(kind)
}

#[test]
fn what_is_in_a_cell_is_found_with_what_it_is_attached_to() {
    let container = furnished();
    assert_eq!(parts(&container, &all(LeftoverKind::Activities)), ["a1", "a2"]);
    assert_eq!(parts(&container, &all(LeftoverKind::Entities)), ["e1", "e2", "e3", "e4"]);
    assert_eq!(parts(&container, &all(LeftoverKind::Timers)), ["e4/t7"]);
    assert_eq!(parts(&container, &all(LeftoverKind::Names)), ["a2/room/7"]);
    let rows = found(&container, &all(LeftoverKind::Activities));
    assert_eq!(rows[0].services, ["alpha", "beta"]);
    let cell = container.cell();
    assert_eq!(rows[0].attached, ["e1", "e2", "e4"].map(|entity| format!("{cell}/{entity}")));
    assert_eq!(rows[1].note, "null activity");
    assert_eq!(rows[0].owner.as_ref().map(|node| node.as_str()), Some("server1"));
}

#[test]
fn only_what_is_asked_for_is_found() {
    let mut container = furnished();
    let of = |service: &str| {
        let service = Some(service.to_owned());
        Search { service, ..all(LeftoverKind::Entities) }
    };
    assert_eq!(parts(&container, &of("beta")), ["e2"]);
    let unattached = Search { unattached: true, ..all(LeftoverKind::Activities) };
    assert_eq!(parts(&container, &unattached), [""; 0]);
    container.say("c1 start");
    assert_eq!(parts(&container, &unattached), ["a3"]);
    let null = Search { null: true, ..all(LeftoverKind::Activities) };
    assert_eq!(parts(&container, &null), ["a2"]);
    let far = |minutes: u64| {
        let due_after = Some(Duration::from_secs(minutes * 60));
        Search { due_after, ..all(LeftoverKind::Timers) }
    };
    assert_eq!(parts(&container, &far(30)), ["e4/t7"]);
    assert_eq!(parts(&container, &far(61)), [""; 0]);
    let overdue = Search { overdue: true, ..all(LeftoverKind::Timers) };
    assert_eq!(parts(&container, &overdue), [""; 0]);
    let elsewhere = "0000000000000abc-1".parse().ok();
    assert_eq!(parts(&container, &Search { cell: elsewhere, ..null }), [""; 0]);
}

#[test]
fn an_age_is_that_of_the_cell_and_idle_is_what_has_not_changed() {
    let mut container = Container::begun();
    container.pass_seconds(100);
    container.fire("tick", "count");
    container.trace();
    let older = |seconds| {
        let older_than = Some(Duration::from_secs(seconds));
        Search { older_than, ..all(LeftoverKind::Entities) }
    };
    assert_eq!(parts(&container, &older(100)), ["e1", "e2"]);
    assert_eq!(parts(&container, &older(101)), [""; 0]);
    let idle = |seconds| {
        let idle_for = Some(Duration::from_secs(seconds));
        Search { idle_for, ..all(LeftoverKind::Entities) }
    };
    assert_eq!(parts(&container, &idle(1)), [""; 0]);
    container.pass_seconds(10);
    assert_eq!(parts(&container, &idle(10)), ["e1", "e2"]);
}

#[test]
fn a_long_list_is_read_page_by_page() {
    let mut container = Container::with_activity();
    ["c2 start; start", "c3 start", "c4 start"].iter().for_each(|text| container.say(text));
    let first = Search { limit: 2, ..all(LeftoverKind::Activities) };
    let page = container.leftovers(&first);
    assert_eq!(page.rows.len(), 3, "those of one cell stay together");
    let rest = container.leftovers(&Search { from: page.next, ..first });
    assert_eq!((rest.rows.len(), rest.next), (2, None));
    assert!(rest.rows[0].what.cell() > page.rows[2].what.cell());
}

#[test]
fn a_removed_activity_ends_and_its_end_is_the_last_event_on_it() {
    let mut container = Container::begun();
    assert_eq!(container.remove("a1"), DONE);
    assert_eq!(container.trace(), ["alpha1 end 1", "beta2 end 1"]);
    assert_eq!(container.activities(), 0);
    assert_eq!(container.removals().len(), 1);
    assert!(container.removals()[0].ends_with("/a1 by ann"), "{:?}", container.removals());
    container.say("c1 fire tick 1 hello");
    assert!(container.sent().contains(&"c1 unknown".to_owned()), "the adaptor has forgotten it");
}

#[test]
fn a_suspended_event_goes_on_before_its_activity_is_removed() {
    let mut container = crate::suspension::suspended();
    assert_eq!(container.remove("a1"), DONE);
    assert_eq!(container.trace(), ["beta2 wait", "alpha1 end 1", "beta2 end 1"]);
}

#[test]
fn a_removed_entity_goes_with_those_below_it_and_their_timers() {
    let mut container = furnished();
    assert_eq!(container.remove("e3"), DONE);
    assert_eq!(parts(&container, &all(LeftoverKind::Entities)), ["e1", "e2"]);
    assert_eq!(parts(&container, &all(LeftoverKind::Timers)), [""; 0]);
    assert_eq!(container.tick("hello"), ["alpha1 hello", "beta2 hello"], "the others go on");
}

#[test]
fn with_a_removed_root_its_tree_is_gone_and_what_it_alone_held() {
    let mut container = furnished();
    assert_eq!(container.remove("e1"), DONE);
    assert_eq!(parts(&container, &all(LeftoverKind::Entities)), ["e2"]);
    assert_eq!(parts(&container, &all(LeftoverKind::Activities)), ["a1", "a2"]);
    assert_eq!(container.remove("a2/room/7"), DONE);
    assert_eq!(parts(&container, &all(LeftoverKind::Activities)), ["a1"], "nothing held it");
    assert_eq!(container.tick("hello"), ["beta2 hello"]);
}

#[test]
fn a_tree_is_reclaimed_whose_only_attached_entity_is_removed() {
    let mut container = Container::begun();
    on("alpha", "give", |_, cx| {
        let child = cx.create_child("left")?;
        cx.attach(child, cx.activity())?;
        cx.detach();
        Ok(())
    });
    container.fire("tick", "give");
    assert_eq!(container.remove("e3"), DONE);
    assert_eq!(container.entities("alpha"), [0; 0]);
    assert_eq!(container.entities("beta"), [2]);
}

#[test]
fn an_entity_is_removed_whose_events_wait_to_be_tried_again() {
    let mut container = Container::with_activity();
    on("keeper", "begin", |_, _| crate::script::fail());
    container.fire("keep", "begin");
    let rows = found(&container, &all(LeftoverKind::Entities));
    assert_eq!(rows.iter().map(|row| row.note).collect::<Vec<_>>(), ["events wait for it"]);
    assert_eq!(container.remove("e1"), DONE);
    container.trace();
    container.pass_seconds(60);
    assert_eq!(container.trace(), [""; 0]);
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn a_removed_timer_does_not_fire_and_a_removed_name_is_not_found() {
    let mut container = furnished();
    assert_eq!(container.remove("e4/t7"), DONE);
    assert_eq!(container.remove("a2/room/7"), DONE);
    container.pass_seconds(2 * HOUR.as_secs());
    assert_eq!(container.trace(), [""; 0]);
    on("alpha", "look", |_, cx| {
        note(format!("{:?}", cx.look_up_name("room/7")));
        Ok(())
    });
    assert_eq!(container.tick("look")[1], "None");
}

#[test]
fn what_is_not_there_cannot_be_removed_and_the_answer_says_so() {
    let mut container = furnished();
    for part in ["a9", "e9", "e4/t1", "e9/t7", "a1/room/7"] {
        let Some(Changed::Refused(reason)) = container.remove(part) else { panic!("{part}") };
        assert!(reason.contains(part) && reason.contains("there is no"), "{reason}");
    }
    let what = "0000000000000abc-1/a1".parse().expect("an id");
    let by = "ann".to_owned();
    let changed = container.remove_of(Removal { what, by, again: false, orderly: false });
    assert!(matches!(changed, Some(Changed::Refused(_))), "{changed:?}");
    assert_eq!(container.removals(), [""; 0]);
    assert_eq!(container.trace(), [""; 0]);
}

#[test]
fn a_removal_waits_for_the_turn_that_runs() {
    let mut container = Container::begun();
    container.answers(false);
    container.fire("tick", "hang");
    assert_eq!(container.remove("e2"), None);
    container.pass_seconds(3);
    let Some(Changed::Unknown(reason)) = container.changed() else { panic!("no answer") };
    assert!(reason.contains("a handler may hang"), "{reason}");
    container.answers(true);
    container.pass_seconds(20);
    assert_eq!(container.entities("beta"), [0; 0], "it is made all the same");
}

#[test]
fn a_removal_that_is_answered_outlives_the_node() {
    let mut container = furnished();
    assert_eq!(container.remove("e3"), DONE);
    container.restart();
    assert_eq!(parts(&container, &all(LeftoverKind::Entities)), ["e1", "e2"]);
    assert_eq!(parts(&container, &all(LeftoverKind::Timers)), [""; 0]);
}

/// Asks a node of the pair to remove a part of `c1`; the token.
fn ask_to_remove(story: &mut Story, node: usize, part: &str) -> u64 {
    let core = story.pair.nodes[node].core.as_ref().expect("it lives");
    let what = format!("{}/{part}", core.cells(1)[0].id).parse().expect("an id");
    let by = "ann".to_owned();
    story.pair.ask(node, TableChange::Remove(Removal { what, by, again: false, orderly: false }))
}

fn answer(story: &Story, node: usize, token: u64) -> Option<Changed> {
    story.pair.nodes[node].changed.get(&token).cloned()
}

fn entities(story: &Story, node: usize) -> usize {
    let core = story.pair.nodes[node].core.as_ref().expect("it lives");
    core.cells(1)[0].entities.len()
}

#[test]
fn a_removal_is_made_by_the_owner_wherever_it_is_asked_for() {
    for asked in [0, 1] {
        let mut story = Story::begun();
        let token = ask_to_remove(&mut story, asked, "e2");
        story.pass_ms(100);
        assert_eq!(answer(&story, asked, token), DONE);
        assert_eq!((entities(&story, 0), entities(&story, 1)), (1, 1));
        let token = ask_to_remove(&mut story, asked, "e2");
        story.pass_ms(100);
        assert!(matches!(answer(&story, asked, token), Some(Changed::Refused(_))));
    }
}

#[test]
fn a_removal_is_answered_only_when_the_backup_has_it() {
    let mut story = Story::begun();
    let token = ask_to_remove(&mut story, 0, "e2");
    assert_eq!(answer(&story, 0, token), None, "made, and not held yet");
    story.pair.settle();
    assert_eq!(answer(&story, 0, token), DONE);
}

#[test]
fn a_removal_is_made_and_answered_though_its_owner_dies_at_any_step_of_it() {
    let mut ends = std::collections::BTreeSet::new();
    for steps in 0..12 {
        let mut story = Story::begun();
        let token = ask_to_remove(&mut story, 1, "a1");
        story.pair.deliver(steps);
        story.owner_dies();
        let trace = story.pass_ms(1_000);
        assert_eq!(answer(&story, 1, token), DONE, "after {steps} steps");
        let core = story.pair.nodes[1].core.as_ref().expect("it lives");
        assert_eq!((core.cells(10).len(), core.timers_set()), (0, 0), "after {steps} steps");
        ends.insert(trace.iter().filter(|line| line.as_str() == "alpha1 end 1").count());
    }
    // What the dead node delivered and nobody else has is delivered again.
    assert_eq!(ends, [1, 2].into());
}

#[test]
fn a_removal_survives_with_what_was_removed() {
    let mut story = Story::begun();
    furnish();
    story.tick("furnish");
    let token = ask_to_remove(&mut story, 0, "e3");
    story.pair.settle();
    assert_eq!(answer(&story, 0, token), DONE);
    story.owner_dies();
    assert_eq!(entities(&story, 1), 2);
    assert_eq!(story.pass_ms(1_000), [""; 0]);
    assert_eq!(story.tick("hello"), ["alpha1 hello", "beta2 hello"]);
}

#[test]
fn a_removal_that_waits_for_a_hand_over_is_made_by_the_heir() {
    use resilee_core::Input;
    use resilee_core::management::Command;
    let mut story = Story::begun();
    let to = "server2".parse().expect("a name");
    story.pair.feed(0, Input::Command(Command::HandOver { cohort: None, to }));
    let token = ask_to_remove(&mut story, 0, "e2");
    story.pass_ms(500);
    story.owner = 1;
    assert_eq!(answer(&story, 0, token), DONE);
    assert_eq!((entities(&story, 0), entities(&story, 1)), (1, 1));
}

#[test]
fn a_mirror_that_is_removed_ends_at_its_root_and_its_activity_goes_on() {
    let mut container = Container::new();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    container.say("c1 start; fire choose 1 one");
    container.settle();
    let rows = found(&container, &all(LeftoverKind::Activities));
    let mirrors: Vec<_> = rows.iter().filter(|row| row.note.starts_with("mirror")).collect();
    let [mirror] = mirrors[..] else { panic!("{rows:?}") };
    let (what, by) = (mirror.what.clone(), "ann".to_owned());
    assert_eq!(container.remove_of(Removal { what, by, again: false, orderly: false }), DONE);
    container.settle();
    assert_eq!(found(&container, &all(LeftoverKind::Entities)), [], "the root had nothing else");
    container.say("c1 fire choose 1 two");
    container.settle();
    let trace: Vec<_> = container.trace().into_iter().filter(|it| !it.contains("asked")).collect();
    assert_eq!(trace, ["chooser1 one", "chooser1 end 1", "chooser1 two"]);
}

#[test]
fn an_event_of_an_activity_that_is_removed_is_not_suspended_again() {
    let mut container = crate::suspension::suspended();
    on("beta", "wait", |_, cx| cx.suspend_event(Duration::from_secs(10)));
    container.fire("tock", "behind");
    assert_eq!(container.remove("a1"), DONE);
    let all = ["beta2 wait", "alpha1 behind", "beta2 behind", "alpha1 end 1", "beta2 end 1"];
    assert_eq!(container.trace(), all);
}
