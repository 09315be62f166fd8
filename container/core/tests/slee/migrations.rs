//! An operator lets a service take over what the one began that it replaced: which orders are
//! taken, what becomes of them, and that each tree moves once, whoever dies. What of a tree moves
//! is in `migrated_trees.rs`.

use crate::pair::Pair;
use crate::script::{self, fail, on, selects, take_trace};
use crate::toy::{HOLDER, OMEGA, PICKER, SERVICES, SIGMA};
use crate::units::{self, upload};
use crate::upgrades::want;
use resilee_core::management::{Changed, MigrationStatus, ServiceState, TableChange};
use resilee_core::{Input, MIGRATED_AT_ONCE_MAX};
use resilee_sbb::{Deliver, InitialEvent, LinkedSbb, Tables, Task};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is wanted of entities.
pub fn order(from: &str, to: Option<&str>) -> TableChange {
    TableChange::Migrate { from: from.to_owned(), to: to.map(str::to_owned) }
}

/// All services, old and new, of nodes that were never started.
pub fn new() -> Pair {
    script::clear();
    let new = [OMEGA, PICKER, HOLDER, SIGMA];
    let services: Vec<LinkedSbb> = SERVICES.into_iter().chain(new).collect();
    Pair::of(&services, Tables::default())
}

/// The same, up; of `alpha` and `beta` only `alpha` begins.
pub fn up() -> Pair {
    let mut pair = new().whole();
    want(&mut pair, &[], &["beta"]);
    pair
}

/// `old` is replaced by `new`, and its entities are ordered to move.
pub fn replace(pair: &mut Pair, old: &str, new: &str) {
    want(pair, &[new], &[old]);
    take_trace();
    assert_eq!(pair.change(0, order(old, Some(new))), Some(Changed::Done));
    pair.pass_ms(100);
}

/// The services of the entities that a node has.
pub fn entities(pair: &Pair, node: usize) -> Vec<String> {
    let cells = pair.nodes[node].core.as_ref().expect("it lives").cells(usize::MAX);
    cells.into_iter().flat_map(|cell| cell.entities).map(|entity| entity.service).collect()
}

/// How far the migration of a service is at a node.
pub fn migration(pair: &Pair, node: usize, service: &str) -> Option<MigrationStatus> {
    let services = pair.status(node).services;
    services.into_iter().find(|it| it.name == service).expect("deployed").migration
}

pub fn state(pair: &Pair, service: &str) -> ServiceState {
    let services = pair.status(0).services;
    services.into_iter().find(|it| it.name == service).expect("deployed").state
}

pub fn has_alarm(pair: &Pair, node: usize, part: &str) -> bool {
    pair.status(node).alarms.iter().any(|alarm| alarm.text.contains(part))
}

fn refused(pair: &mut Pair, change: TableChange) -> String {
    match pair.change(0, change) {
        Some(Changed::Refused(reason)) => reason,
        other => panic!("it is not refused: {other:?}"),
    }
}

fn migrates(deliver: &Deliver) -> bool {
    matches!(deliver.task, Task::Migrate { .. })
}

/// Calls at a node, each with an `alpha`.
fn calls(pair: &mut Pair, node: usize, count: usize) {
    for number in 0..count {
        pair.say(node, &format!("c{node}x{number} start; fire begin 1 begin"));
    }
}

#[test]
fn when_all_of_a_service_has_moved_it_is_inactive_and_the_new_one_serves_what_it_began() {
    let mut pair = up();
    calls(&mut pair, 0, 3);
    calls(&mut pair, 1, 2);
    replace(&mut pair, "alpha", "omega");
    assert_eq!(
        (entities(&pair, 0), entities(&pair, 1)),
        (vec!["omega".into(); 5], vec!["omega".into(); 5])
    );
    assert_eq!(state(&pair, "alpha"), ServiceState::Inactive);
    let status = [0, 1].map(|node| migration(&pair, node, "alpha").expect("ordered"));
    let figures = status.each_ref().map(|it| (it.to.as_str(), it.moved, it.stayed, it.done));
    assert_eq!(figures, [("omega", 3, 0, true), ("omega", 2, 0, true)]);
    take_trace();
    pair.say(0, "c0x0 fire tick 1 on");
    assert_eq!(take_trace(), ["omega1 on"]);
}

#[test]
fn entities_move_only_to_a_service_that_says_so_is_active_and_has_replaced_theirs() {
    let mut pair = up();
    let reason = refused(&mut pair, order("alpha", Some("beta")));
    assert!(reason.starts_with("beta does not say that it reads states of alpha"), "{reason}");
    let reason = refused(&mut pair, order("alpha", Some("nobody")));
    assert!(reason.contains("has no service \"nobody\" deployed"), "{reason}");
    let reason = refused(&mut pair, order("nobody", Some("omega")));
    assert!(reason.contains("has no service \"nobody\" deployed"), "{reason}");
    let not_yet = "omega is to be active, and alpha is not";
    assert!(refused(&mut pair, order("alpha", Some("omega"))).starts_with(not_yet));
    want(&mut pair, &["omega"], &[]);
    assert!(refused(&mut pair, order("alpha", Some("omega"))).starts_with(not_yet));
    want(&mut pair, &[], &["alpha", "omega"]);
    assert!(refused(&mut pair, order("alpha", Some("omega"))).starts_with(not_yet));
    assert_eq!(migration(&pair, 0, "alpha"), None);
}

#[test]
fn an_order_is_taken_back_when_the_old_service_is_activated_again_or_the_new_one_deactivated() {
    for (activate, deactivate) in [(&["alpha"][..], &[][..]), (&[], &["omega"])] {
        let mut pair = up();
        calls(&mut pair, 0, 1);
        on("alpha", "stay", |me, _| {
            me.text = "stays".to_owned();
            Ok(())
        });
        on("alpha", "go", |me, _| {
            me.text.clear();
            Ok(())
        });
        pair.say(0, "c0x0 fire tick 1 stay");
        replace(&mut pair, "alpha", "omega");
        want(&mut pair, activate, deactivate);
        assert!([0, 1].iter().all(|node| migration(&pair, *node, "alpha").is_none()));
        assert!(!has_alarm(&pair, 0, "stay with it"), "its alarm has ended");
        pair.say(0, "c0x0 fire tick 1 go");
        pair.pass_ms(35_000);
        assert_eq!(entities(&pair, 0), ["alpha"]);
    }
}

#[test]
fn an_operator_takes_an_order_back_and_what_has_moved_stays_where_it_is() {
    let mut pair = up();
    calls(&mut pair, 0, 1);
    replace(&mut pair, "alpha", "omega");
    for _ in 0..2 {
        assert_eq!(pair.change(1, order("alpha", None)), Some(Changed::Done));
    }
    assert_eq!((migration(&pair, 0, "alpha"), entities(&pair, 0)), (None, vec!["omega".into()]));
}

#[test]
fn an_entity_whose_state_is_not_read_stays_and_is_served_and_counted_with_its_reason() {
    let mut pair = up();
    for text in ["stays", "panics"] {
        on("alpha", text, move |me, _| {
            me.text = text.to_owned();
            Ok(())
        });
    }
    calls(&mut pair, 0, 4);
    for (call, word) in [(0, "stays"), (1, "stays"), (2, "panics")] {
        pair.say(0, &format!("c0x{call} fire tick 1 {word}"));
    }
    replace(&mut pair, "alpha", "omega");
    let mut left = entities(&pair, 1);
    left.sort();
    assert_eq!(left, ["alpha", "alpha", "alpha", "omega"]);
    let status = migration(&pair, 0, "alpha").expect("ordered");
    assert_eq!((status.moved, status.stayed, status.done), (1, 3, false));
    let reasons: Vec<_> = status.reasons.iter().map(|(it, count)| (it.as_str(), *count)).collect();
    let stays = "omega does not read state of version 1: it is not to move yet";
    let panics = "omega does not read state of version 1: panicked: it cannot be read";
    assert_eq!(reasons, [(stays, 2), (panics, 1)]);
    let alarm = format!("entities of alpha stay with it and do not move to omega: {stays}");
    assert!(has_alarm(&pair, 0, &alarm) && !has_alarm(&pair, 1, &alarm));
    let omega = pair.status(0).services.into_iter().find(|it| it.name == "omega");
    assert_eq!(omega.expect("deployed").rolled_back, 0, "no delivery of its own failed");
    assert_eq!(state(&pair, "alpha"), ServiceState::Stopping);
    take_trace();
    pair.say(0, "c0x0 fire tick 1 on");
    assert_eq!(take_trace(), ["alpha1 on"]);
}

#[test]
fn an_entity_that_stayed_is_tried_again_and_its_alarm_ends_when_it_moves() {
    let mut pair = up();
    on("alpha", "stay", |me, _| {
        me.text = "stays".to_owned();
        Ok(())
    });
    on("alpha", "go", |me, _| {
        me.text.clear();
        Ok(())
    });
    calls(&mut pair, 0, 1);
    pair.say(0, "c0x0 fire tick 1 stay");
    replace(&mut pair, "alpha", "omega");
    assert_eq!(take_trace(), ["omega reads 1"], "once");
    pair.pass_ms(29_000);
    assert_eq!(take_trace(), [""; 0]);
    pair.say(0, "c0x0 fire tick 1 go");
    assert!(has_alarm(&pair, 0, "stay with it"));
    pair.pass_ms(2_000);
    assert_eq!(
        (entities(&pair, 0), has_alarm(&pair, 0, "stay with it")),
        (vec!["omega".into()], false)
    );
    assert!(migration(&pair, 0, "alpha").expect("ordered").done);
}

#[test]
fn reasons_beyond_a_number_are_counted_together() {
    let mut pair = up();
    calls(&mut pair, 0, 19);
    for number in 0..19 {
        on("alpha", &format!("stay{number}"), move |me, _| {
            me.text = format!("stays {number}");
            Ok(())
        });
        pair.say(0, &format!("c0x{number} fire tick 1 stay{number}"));
    }
    replace(&mut pair, "alpha", "omega");
    let status = migration(&pair, 0, "alpha").expect("ordered");
    assert_eq!((status.stayed, status.reasons.len()), (19, 17));
    assert_eq!(status.reasons.get("other reasons"), Some(&3));
}

/// Where one handler less may hang, one tree less moves at once.
#[test]
fn as_many_trees_move_at_once_as_may_hang_without_harm() {
    for (hung_handlers_max, at_once) in [(1, 1), (3, 2), (16, MIGRATED_AT_ONCE_MAX)] {
        let mut pair = new();
        pair.limits.hung_handlers_max = hung_handlers_max;
        let mut pair = pair.whole();
        want(&mut pair, &[], &["beta"]);
        calls(&mut pair, 0, 6);
        pair.hangs = migrates;
        replace(&mut pair, "alpha", "omega");
        assert_eq!(pair.nodes[0].delivered.iter().filter(|it| migrates(it)).count(), at_once);
        pair.hangs = |_| false;
        pair.leaves = Some("what nobody answers stays");
    }
}

/// So that calls get their turns meanwhile, and a new service that hangs costs few threads.
#[test]
fn few_trees_move_at_once_and_other_calls_go_on() {
    let mut pair = up();
    calls(&mut pair, 0, 10);
    pair.hangs = migrates;
    replace(&mut pair, "alpha", "omega");
    let out: Vec<_> = pair.nodes[0].delivered.iter().filter(|it| migrates(it)).cloned().collect();
    assert_eq!(out.len(), MIGRATED_AT_ONCE_MAX);
    let cells: BTreeSet<_> = out.iter().map(|deliver| deliver.entity.cell).collect();
    assert_eq!(cells.len(), out.len(), "each in its own call");
    pair.say(0, "c0x9 fire tick 1 on");
    assert_eq!(take_trace(), ["alpha1 on"]);
    pair.hangs = |_| false;
    for deliver in out {
        let outcome = OMEGA.invoke(&deliver);
        pair.feed(0, Input::Outcome { delivery: deliver.id, outcome });
    }
    pair.pass_ms(100);
    assert_eq!(entities(&pair, 1), vec!["omega"; 10]);
}

#[test]
fn a_new_service_whose_code_does_not_return_takes_nothing_more_and_the_old_one_serves_on() {
    let mut pair = up();
    calls(&mut pair, 0, 10);
    pair.hangs = migrates;
    replace(&mut pair, "alpha", "omega");
    pair.pass_ms(15_000);
    assert_eq!(pair.nodes[0].hanging, MIGRATED_AT_ONCE_MAX);
    assert!(has_alarm(&pair, 0, "omega does not return from states of alpha"));
    assert_eq!((migration(&pair, 0, "alpha"), migration(&pair, 1, "alpha")), (None, None));
    pair.pass_ms(35_000);
    assert_eq!(
        (pair.nodes[0].hanging, entities(&pair, 1)),
        (MIGRATED_AT_ONCE_MAX, vec!["alpha".into(); 10])
    );
    take_trace();
    pair.say(0, "c0x0 fire tick 1 on");
    assert_eq!(take_trace(), ["alpha1 on"], "nothing is quarantined");
}

/// Of two trees of one call the second one would be next.
#[test]
fn what_hung_once_is_not_tried_with_the_next_tree_of_its_call() {
    let mut pair = up();
    for call in 0..MIGRATED_AT_ONCE_MAX {
        for activity in [1, 2] {
            pair.say(0, &format!("c{call} start; fire begin {activity} x"));
        }
    }
    pair.hangs = migrates;
    replace(&mut pair, "alpha", "omega");
    pair.pass_ms(50_000);
    assert_eq!(pair.nodes[0].hanging, MIGRATED_AT_ONCE_MAX);
    assert_eq!(entities(&pair, 1), vec!["alpha"; 2 * MIGRATED_AT_ONCE_MAX]);
}

/// Too much else waits at its node just then.
#[test]
fn that_an_order_is_taken_back_is_asked_again_until_it_is() {
    let mut pair = up();
    let node = 1 - pair.tables_owner();
    calls(&mut pair, node, 1);
    pair.hangs = migrates;
    replace(&mut pair, "alpha", "omega");
    pair.until_handler_hangs(node);
    let others = pair.ask_all(node, vec![order("chooser", None); 256]);
    pair.pass_ms(1_000);
    assert_eq!(pair.answers(node, others), vec![Some(Changed::Done); 256]);
    assert!(migration(&pair, node, "alpha").is_some(), "it is ordered still");
    pair.pass_ms(30_000);
    assert!([0, 1].iter().all(|node| migration(&pair, *node, "alpha").is_none()));
    assert_eq!((pair.nodes[node].hanging, entities(&pair, node)), (1, vec!["alpha".into()]));
}

/// What is well with the old one is not given to it meanwhile.
#[test]
fn nothing_moves_to_a_service_that_fails_again_and_again() {
    let mut pair = up();
    for service in ["chooser", "picker"] {
        selects(service, |_, _| Ok(InitialEvent::by().cell()));
    }
    pair.say(0, "c1 start; fire choose 1 one");
    want(&mut pair, &["picker"], &["chooser"]);
    on("picker", "bad", |_, _| fail());
    (2..5).for_each(|call| pair.say(0, &format!("c{call} start; fire choose 1 bad")));
    assert_eq!(pair.change(0, order("chooser", Some("picker"))), Some(Changed::Done));
    let of_first = |pair: &Pair| entities(pair, 0).first().cloned();
    pair.pass_ms(20_000);
    assert_eq!(of_first(&pair).as_deref(), Some("chooser"));
    pair.pass_ms(80_000);
    assert_eq!(of_first(&pair).as_deref(), Some("picker"), "it has not failed for a minute");
}

#[test]
fn what_is_read_after_the_order_was_taken_back_is_not_kept() {
    let mut pair = up();
    calls(&mut pair, 0, 1);
    pair.hangs = migrates;
    replace(&mut pair, "alpha", "omega");
    want(&mut pair, &["alpha"], &["omega"]);
    let deliver = pair.nodes[0].delivered.last().cloned().expect("it is out");
    let outcome = OMEGA.invoke(&deliver);
    pair.feed(0, Input::Outcome { delivery: deliver.id, outcome });
    pair.settle();
    assert_eq!(entities(&pair, 0), ["alpha"]);
    take_trace();
    pair.say(0, "c0x0 fire tick 1 on");
    assert_eq!(take_trace(), ["alpha1 on"]);
}

/// As for what a unit answers: whoever computed it is not believed.
#[test]
fn an_answer_that_is_another_tree_or_asks_for_something_moves_nothing() {
    use resilee_sbb::{Effect, Outcome};
    type Lie = fn(&mut Outcome);
    fn parts(
        outcome: &mut Outcome,
    ) -> (&mut Vec<resilee_sbb::EntityState>, &mut Vec<u32>, &mut Vec<Effect>) {
        match outcome {
            Outcome::Delivered { entities, removed, effects } => (entities, removed, effects),
            other => panic!("it was not read: {other:?}"),
        }
    }
    let lies: [Lie; 4] = [
        |it| parts(it).0.clear(),
        |it| parts(it).0[0].number = 7,
        |it| parts(it).1.push(1),
        |it| parts(it).2.push(Effect::EndActivity { activity: 1 }),
    ];
    for lie in lies {
        let mut pair = up();
        calls(&mut pair, 0, 1);
        pair.hangs = migrates;
        replace(&mut pair, "alpha", "omega");
        let deliver = pair.nodes[0].delivered.last().cloned().expect("it is out");
        let mut outcome = OMEGA.invoke(&deliver);
        lie(&mut outcome);
        pair.feed(0, Input::Outcome { delivery: deliver.id, outcome });
        pair.pass_ms(100);
        let reasons = migration(&pair, 0, "alpha").expect("ordered").reasons;
        assert_eq!(reasons.keys().collect::<Vec<_>>(), ["its answer is another tree"]);
        assert_eq!(entities(&pair, 0), ["alpha"]);
        want(&mut pair, &["alpha"], &["omega"]);
    }
}

/// `dies` does after so many steps of a migration of calls at `home`; the order is given at the
/// first node. True if it was through by then.
fn dies_after(steps: usize, count: usize, home: usize, dies: usize) -> bool {
    let mut pair = up();
    on("omega", "look", |me, _| {
        script::note(format!("count {}", me.count));
        Ok(())
    });
    calls(&mut pair, home, count);
    want(&mut pair, &["omega"], &["alpha"]);
    pair.ask(0, order("alpha", Some("omega")));
    let survivor = 1 - dies;
    let mut left = steps;
    while left > 0 && entities(&pair, survivor).contains(&"alpha".to_owned()) {
        match pair.is_busy() {
            true => pair.deliver(1),
            false => {
                pair.now = pair.now + Duration::from_millis(1);
                (0..2).for_each(|node| pair.feed(node, Input::Timeout));
            }
        }
        left -= 1;
    }
    let is_through = left > 0;
    pair.kill(dies);
    pair.until_member_of(survivor, 1);
    if migration(&pair, survivor, "alpha").is_none() {
        // The order itself was lost with the node: it was not answered either.
        assert_eq!(entities(&pair, survivor), vec!["alpha"; count], "after {steps} steps");
        assert_eq!(pair.change(survivor, order("alpha", Some("omega"))), Some(Changed::Done));
    }
    pair.pass_ms(200);
    assert_eq!(entities(&pair, survivor), vec!["omega"; count], "after {steps} steps");
    take_trace();
    for number in 0..count {
        pair.say(survivor, &format!("c{home}x{number} fire tick 1 look"));
    }
    let once = ["omega1 look", "count 102"].repeat(count);
    assert_eq!(take_trace(), once, "after {steps} steps");
    is_through
}

/// Each tree is read once more where that was not held yet, and never twice from what was read.
#[test]
fn each_tree_moves_once_whenever_its_owner_dies() {
    let through = (0..).find(|steps| dies_after(*steps, 6, 0, 0)).expect("some day");
    assert!(through > 20, "it has died at {through} steps only");
    (0..).find(|steps| dies_after(*steps, 2, 1, 1)).expect("some day");
}

#[test]
fn each_tree_moves_once_whenever_the_node_dies_that_gave_the_order() {
    (0..).find(|steps| dies_after(*steps, 2, 1, 0)).expect("some day");
}

#[test]
fn a_migration_goes_on_after_both_nodes_were_started_again() {
    let mut pair = up();
    calls(&mut pair, 0, 6);
    pair.hangs = migrates;
    replace(&mut pair, "alpha", "omega");
    pair.hangs = |_| false;
    pair.kill(0);
    pair.kill(1);
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    pair.pass_ms(200);
    assert_eq!(entities(&pair, 0), vec!["omega"; 6]);
    assert_eq!(state(&pair, "alpha"), ServiceState::Inactive);
}

#[test]
fn a_tree_moves_at_the_node_that_gets_its_call_by_a_hand_over() {
    let mut pair = up();
    calls(&mut pair, 1, 6);
    pair.hangs = migrates;
    replace(&mut pair, "alpha", "omega");
    pair.hangs = |_| false;
    pair.feed(1, Input::Drain);
    pair.pass_ms(20_000);
    assert!(pair.nodes[1].drained);
    pair.kill(1);
    pair.pass_ms(1_000);
    assert_eq!(entities(&pair, 0), vec!["omega"; 6]);
}

/// Its first event waits to be tried again when all cells are looked at.
#[test]
fn an_entity_that_comes_late_moves_too() {
    let mut pair = up();
    on("keeper", "begin", |_, _| script::fail());
    pair.say(0, "c1 start; fire keep 1 begin");
    replace(&mut pair, "keeper", "holder");
    assert_eq!(state(&pair, "keeper"), ServiceState::Stopping);
    assert!(!migration(&pair, 0, "keeper").expect("ordered").done);
    on("keeper", "begin", |_, _| Ok(()));
    pair.pass_ms(33_000);
    assert_eq!(
        (entities(&pair, 0), state(&pair, "keeper")),
        (vec!["holder".into()], ServiceState::Inactive)
    );
}

/// Uploaded services are no different.
#[test]
fn what_a_unit_began_moves_to_another_unit_and_the_first_one_can_be_removed() {
    script::clear();
    let mut pair = Pair::of(&SERVICES[1..], Tables::default());
    pair.units = [(units::ALPHA.to_vec(), SERVICES[0]), (units::BETA.to_vec(), OMEGA)].into();
    let mut pair = pair.whole();
    want(&mut pair, &[], &["beta"]);
    let alpha = upload(&mut pair, 0, "alpha", units::ALPHA);
    want(&mut pair, &["alpha"], &[]);
    calls(&mut pair, 1, 3);
    upload(&mut pair, 0, "omega", units::BETA);
    replace(&mut pair, "alpha", "omega");
    assert_eq!(entities(&pair, 0), vec!["omega"; 3]);
    assert_eq!(pair.change(0, units::remove(&alpha)), Some(Changed::Done));
    let tables = pair.nodes[1].core.as_ref().expect("it lives").tables();
    assert_eq!(tables.rows("slee.migrations").count(), 0, "nor is there an order any more");
}
