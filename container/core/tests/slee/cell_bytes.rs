//! How large a cell may grow.

use crate::container::Container;
use crate::script::{ask, on, on_call, selects};
use resilee_core::Limits;
use resilee_sbb::InitialEvent;

const BYTES_MAX: usize = 65_536;

#[test]
fn a_tree_that_is_removed_makes_room_once() {
    let limits = Limits { cell_bytes_max: BYTES_MAX, ..Limits::default() };
    let mut container = Container::with_limits(limits);
    container.say("c1 start; fire begin 1 begin");
    on_call("low", "grow", |me, _| {
        me.text = "x".repeat(20_000);
        Ok(String::new())
    });
    on_call("left", "grow", |_, cx| {
        let low = cx.create_child("low")?;
        ask(cx, low, "grow")
    });
    on("beta", "grow", |me, _| {
        me.text = "x".repeat(20_000);
        Ok(())
    });
    on("alpha", "grow", |me, cx| {
        let left = cx.create_child("left")?;
        me.child = Some(left);
        ask(cx, left, "grow").map(drop)
    });
    on("alpha", "swap", |me, cx| {
        me.text = "x".repeat(50_000);
        cx.remove_child(me.child.take().expect("it was created"))
    });
    container.fire("tick", "grow");
    container.fire("tick", "swap");
    assert!(container.has_alarm("limits.cell_bytes_max"), "{:?}", container.alarms());
}

/// Calls, each with an activity that is tied to the root entity of a name.
fn tied(limits: Limits, name: &str) -> Container {
    let mut container = Container::with_limits(limits);
    let name = name.to_owned();
    selects("chooser", move |_, _| Ok(InitialEvent::by().custom_name(&name)));
    for call in 1..=12 {
        container.say(&format!("c{call} start; fire choose 1 one"));
        container.settle();
    }
    container
}

fn heard(container: &mut Container) -> usize {
    container.trace().iter().filter(|line| *line == "chooser1 one").count()
}

#[test]
fn a_root_entity_has_so_many_activities_of_other_cells_at_most() {
    let mut container = tied(Limits { mirrors_per_cell_max: 5, ..Limits::default() }, "all");
    assert_eq!(heard(&mut container), 5);
    let told = "all\" has 5 activities of other cells: a further one is not tied to it";
    assert!(container.has_alarm(told), "{:?}", container.alarms());
    container.say("c1 end 1");
    container.settle();
    container.trace();
    container.say("c13 start; fire choose 1 one");
    container.settle();
    assert_eq!(heard(&mut container), 1, "there is room again");
}

#[test]
fn a_root_entity_has_activities_of_other_cells_as_long_as_its_cell_has_room() {
    let limits = Limits { cell_bytes_max: 10_000, ..Limits::default() };
    let mut container = tied(limits, &"n".repeat(1_000));
    assert_eq!(heard(&mut container), 7);
    assert!(container.has_alarm("has 10000 bytes and activities of other cells (limits.cell_by"));
}
