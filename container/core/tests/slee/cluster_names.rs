//! Names of activity contexts in the whole cluster (chapter 13): asked for, and told by an event.

use crate::container::Container;
use crate::pair::Pair;
use crate::script::{self, fail, note, on, take_trace};
use crate::toy::{Tick, Tock};
use resilee_core::Core;
use resilee_core::management::{Changed, Leftover, LeftoverKind, LeftoverRow, Removal, Search};
use resilee_sbb::{CLUSTER_NAMES, Context, Failure};

/// What SBBs do at `bind`, `free`, `look` and `call`, and that nobody but `alpha` hears of it.
fn script() {
    on("alpha", "bind", |_, cx| cx.bind_cluster_name(cx.activity(), "room"));
    on("alpha", "free", |_, cx| cx.unbind_cluster_name("room"));
    on("alpha", "look", |_, cx| look(cx));
    on("alpha", "call", |_, cx| cx.fire_at_name("room", &Tock { word: "called".to_owned() }));
    on("beta", "begin", |_, cx| {
        cx.detach();
        Ok(())
    });
}

fn look(cx: &mut Context<'_>) -> Result<(), Failure> {
    let bound = cx.look_up_cluster_name("room")?;
    note(match bound {
        Some(activity) if activity.cell == cx.entity().cell => "mine".to_owned(),
        Some(activity) => format!("another's {}", activity.number),
        None => "nobody's".to_owned(),
    });
    Ok(())
}

/// Two calls, with `alpha1` in each.
fn two_calls() -> Container {
    let mut container = Container::new();
    script();
    for call in ["c1", "c2"] {
        container.say(&format!("{call} start; fire begin 1 begin"));
    }
    container.trace();
    container
}

fn said(container: &mut Container, text: &str) -> Vec<String> {
    container.say(text);
    container.settle();
    container.trace()
}

#[test]
fn a_name_is_bound_to_one_activity_and_found_in_all_calls() {
    let mut container = two_calls();
    assert_eq!(said(&mut container, "c1 fire tick 1 bind"), ["alpha1 bind", "alpha1 bound room"]);
    assert_eq!(said(&mut container, "c2 fire tick 1 look"), ["alpha1 look", "another's 1"]);
    assert_eq!(said(&mut container, "c1 fire tick 1 look"), ["alpha1 look", "mine"]);
    said(&mut container, "c2 fire tick 1 bind");
    assert!(container.has_alarm("\"room\" is bound to activity"));
}

#[test]
fn of_two_that_ask_at_once_one_hears_that_the_name_is_taken() {
    let mut container = two_calls();
    // Both ask before anything is decided.
    container.say_unflushed("c1 fire tick 1 bind");
    container.say_unflushed("c2 fire tick 1 bind");
    container.settle();
    let trace = container.trace();
    let expected = ["alpha1 bind", "alpha1 bind", "alpha1 bound room", "alpha1 taken room"];
    let mut sorted = trace.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "{trace:?}");
}

#[test]
fn a_name_is_free_when_it_is_taken_away_or_its_activity_ends() {
    let mut container = two_calls();
    said(&mut container, "c1 fire tick 1 bind");
    said(&mut container, "c1 fire tick 1 free");
    assert_eq!(said(&mut container, "c1 fire tick 1 look"), ["alpha1 look", "nobody's"]);
    assert_eq!(said(&mut container, "c2 fire tick 1 bind"), ["alpha1 bind", "alpha1 bound room"]);
    said(&mut container, "c2 end 1");
    assert_eq!(said(&mut container, "c1 fire tick 1 look"), ["alpha1 look", "nobody's"]);
    assert_eq!(container.alarms(), [""; 0]);
}

#[test]
fn nobody_takes_away_what_another_call_has() {
    let mut container = two_calls();
    said(&mut container, "c1 fire tick 1 bind");
    said(&mut container, "c2 fire tick 1 free");
    assert!(container.has_alarm("\"room\" is bound to activity"));
    assert_eq!(said(&mut container, "c1 fire tick 1 look"), ["alpha1 look", "mine"]);
}

#[test]
fn an_event_for_a_name_comes_to_the_activity_that_has_it() {
    let mut container = two_calls();
    said(&mut container, "c1 fire tick 1 bind");
    assert_eq!(said(&mut container, "c2 fire tick 1 call"), ["alpha1 call", "alpha1 called"]);
    said(&mut container, "c1 end 1");
    said(&mut container, "c2 fire tick 1 call");
    assert!(container.has_alarm("\"room\" is bound to no activity"));
}

#[test]
fn a_name_holds_a_null_activity() {
    let mut container = two_calls();
    on("alpha", "null", |_, cx| {
        let null = cx.create_null_activity()?;
        cx.bind_cluster_name(null, "room")
    });
    said(&mut container, "c1 fire tick 1 null");
    assert_eq!(said(&mut container, "c2 fire tick 1 look"), ["alpha1 look", "another's 2"]);
    assert_eq!(said(&mut container, "c1 fire tick 1 free"), ["alpha1 free"]);
    assert_eq!(said(&mut container, "c2 fire tick 1 look"), ["alpha1 look", "nobody's"]);
}

/// Who fails has neither bound nor freed a name, nor called anybody by it.
#[test]
fn a_roll_back_undoes_names_of_the_cluster_and_what_was_fired_at_them() {
    let mut container = two_calls();
    on("alpha", "do", |_, cx| {
        cx.unbind_cluster_name("room")?;
        cx.bind_cluster_name(cx.activity(), "hall")?;
        cx.fire_at_name("room", &Tock { word: "never".to_owned() })?;
        fail()
    });
    on("alpha", "look too", |_, cx| {
        note(format!("{:?}", cx.look_up_cluster_name("hall")?));
        Ok(())
    });
    said(&mut container, "c1 fire tick 1 bind");
    let trace = said(&mut container, "c1 fire tick 1 do");
    let failure = "as it was told";
    let told = [
        "alpha1 do".to_owned(),
        format!("alpha1 exception: {failure}"),
        format!("alpha1 rolled back: {failure}"),
    ];
    assert_eq!(trace, told, "and nothing else: no name is bound, nobody is called");
    assert_eq!(said(&mut container, "c2 fire tick 1 look"), ["alpha1 look", "another's 1"]);
    assert_eq!(said(&mut container, "c2 fire tick 1 look too"), ["alpha1 look too", "None"]);
}

fn found(container: &Container, search: &Search) -> Vec<LeftoverRow> {
    container.leftovers(search).rows
}

/// An operator removes what is found of this kind in the cell of the name.
fn remove_from_name(container: &mut Container, kind: LeftoverKind) {
    let rows = found(container, &Search::all(LeftoverKind::Names));
    let search = Search { cell: Some(rows[0].what.cell()), ..Search::all(kind) };
    let what = found(container, &search)[0].what.clone();
    let removal = Removal { what, by: "ann".to_owned(), again: false, orderly: false };
    assert_eq!(container.remove_of(removal), Some(Changed::Done));
    container.settle();
}

#[test]
fn housekeeping_finds_a_name_with_who_is_attached_to_its_activity() {
    let mut container = two_calls();
    said(&mut container, "c1 fire tick 1 bind");
    let rows = found(&container, &Search::all(LeftoverKind::Names));
    assert_eq!(rows.len(), 1);
    assert!(matches!(&rows[0].what, Leftover::Name(_, name) if name == "room"), "{rows:?}");
    assert_eq!(
        (&rows[0].services[..], rows[0].note),
        (&["alpha".to_owned()][..], "in the cluster")
    );
    assert!(rows[0].attached[0].ends_with("/e1"), "{rows:?}");
    let unattached = Search { unattached: true, ..Search::all(LeftoverKind::Names) };
    assert_eq!(found(&container, &unattached).len(), 0);
}

#[test]
fn a_name_that_an_operator_removes_is_free_and_so_is_one_whose_mirror_he_removes() {
    for kind in [LeftoverKind::Names, LeftoverKind::Activities] {
        let mut container = two_calls();
        said(&mut container, "c1 fire tick 1 bind");
        remove_from_name(&mut container, kind);
        assert_eq!(said(&mut container, "c1 fire tick 1 look"), ["alpha1 look", "nobody's"]);
        container.restart();
        container.settle();
        container.trace();
        let bound = ["alpha1 bind", "alpha1 bound room"];
        assert_eq!(said(&mut container, "c2 fire tick 1 bind"), bound, "{kind:?}");
    }
}

/// One row, if and only if one name cell has a mirror.
fn is_sound(core: &Core) {
    assert_eq!(core.inconsistencies(), Vec::<String>::new());
    assert_eq!(core.loose_ties(), Vec::<String>::new());
    let cells = core.cells(10);
    let mirrors = cells.iter().filter(|cell| cell.entities.is_empty()).count();
    assert_eq!(core.tables().rows(CLUSTER_NAMES).count(), mirrors, "{cells:?}");
}

#[test]
fn a_name_is_told_once_whoever_dies_meanwhile() {
    for (caller, dies) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut steps = 0;
        loop {
            script::clear();
            script();
            let mut pair = Pair::up();
            pair.say(caller, "c1 start; fire begin 1 begin");
            take_trace();
            pair.begin_to_say(caller, "c1 fire tick 1 bind");
            pair.deliver(steps);
            let busy = pair.is_busy();
            pair.kill(dies);
            let survivor = 1 - dies;
            pair.until_member_of(survivor, 1);
            pair.pass_ms(600);
            is_sound(pair.nodes[survivor].core.as_ref().expect("it lives"));
            take_trace();
            pair.say(survivor, "c1 fire tick 1 look");
            let found = take_trace();
            assert!(["mine", "nobody's"].contains(&found[1].as_str()), "{found:?}");
            // What the dead node had not committed is asked again.
            if found[1] == "nobody's" {
                pair.say(survivor, "c1 fire tick 1 bind");
                pair.pass_ms(100);
                assert_eq!(take_trace(), ["alpha1 bind", "alpha1 bound room"]);
            }
            pair.say(survivor, "c2 start; fire begin 1 begin; fire tick 1 call");
            pair.pass_ms(100);
            let called = take_trace().iter().filter(|line| *line == "alpha1 called").count();
            assert_eq!(called, 1, "steps {steps}, {caller} {dies}");
            for call in ["c1", "c2"] {
                pair.say(survivor, &format!("{call} over"));
            }
            pair.pass_ms(600);
            let core = pair.nodes[survivor].core.as_ref().expect("it lives");
            is_sound(core);
            assert_eq!((core.cells(10).len(), core.timers_set()), (0, 0));
            if !busy {
                break;
            }
            steps += 2;
        }
        assert!(steps > 5, "the story has more steps");
    }
}

/// `docs/event-router.md`: if nobody has the name by then it is dropped, and counted.
#[test]
fn an_event_for_a_name_that_somebody_has_is_not_counted_as_for_a_name_that_nobody_has() {
    let mut container = Container::with_activity();
    container.say("c1 fire begin 1 begin");
    on("alpha", "bind", |_, cx| cx.bind_cluster_name(cx.activity(), "room"));
    on("alpha", "tell", |_, cx| {
        let word = "x".repeat(15_000);
        (0..40).try_for_each(|_| cx.fire_at_name("room", &Tick { word: word.clone() }))
    });
    container.fire("tick", "bind");
    container.settle();
    for call in 2..=4 {
        container.say(&format!("c{call} start; fire begin 1 begin"));
    }
    container.trace();
    (2..=4).for_each(|call| container.say_unflushed(&format!("c{call} fire tick 1 tell")));
    container.pass_seconds(10);
    container.settle();
    let told = container.trace().iter().filter(|line| line.starts_with("alpha1 xxx")).count();
    let counted = container.dropped("event for a name that nobody has");
    assert_eq!((told, counted), (120, 0), "{:?}", container.alarms());
}
