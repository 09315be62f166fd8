//! Units that are removed while something of them is under way: where that is, somebody else may
//! have decided it.

use crate::pair::Pair;
use crate::script::{self, on};
use crate::toy::SERVICES;
use crate::units::{ALPHA, BETA, has, refused, remove, upload, without_them};
use crate::upgrades::want;
use resilee_core::Input;
use resilee_core::management::Changed;
use resilee_sbb::{Deliver, Severity, Tables};

fn is_of(deliver: &Deliver, service: &str) -> bool {
    deliver.service == service
}

/// Two nodes, with an active unit, and its id.
fn with_alpha() -> (Pair, String) {
    let mut pair = without_them().whole();
    let alpha = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    (pair, alpha)
}

/// It hangs in a delivery of a node, and is deactivated meanwhile.
fn hang_and_deactivate(pair: &mut Pair, node: usize, word: &str) {
    pair.hangs = |deliver| is_of(deliver, "alpha");
    pair.say(node, &format!("c1 start; fire begin 1 {word}"));
    want(pair, &[], &["alpha"]);
}

/// The services of the entities that a node has.
fn entities(pair: &Pair, node: usize) -> Vec<String> {
    let cells = pair.nodes[node].core.as_ref().expect("it lives").cells(usize::MAX);
    cells.into_iter().flat_map(|cell| cell.entities).map(|entity| entity.service).collect()
}

/// The handler of the last delivery that nobody answered returns.
fn answer(pair: &mut Pair, node: usize) {
    begin_to_answer(pair, node);
    pair.settle();
}

/// The same, and nothing that comes of it arrives yet.
fn begin_to_answer(pair: &mut Pair, node: usize) {
    let deliver = pair.nodes[node].delivered.last().cloned().expect("a delivery");
    let service = SERVICES.iter().find(|it| it.descriptor().name == deliver.service);
    let outcome = service.expect("a service").invoke(&deliver);
    pair.feed(node, Input::Outcome { delivery: deliver.id, outcome });
}

fn has_alarm(pair: &Pair, node: usize) -> bool {
    let part = "alpha was removed meanwhile";
    pair.status(node).alarms.iter().any(|alarm| alarm.text.contains(part))
}

/// Who owns the tables cannot see the delivery. Then it dies, or who has the call.
#[test]
fn what_a_delivery_did_is_not_kept_if_its_unit_was_removed_meanwhile() {
    for survivor_has_it in [true, false] {
        let (mut pair, alpha) = with_alpha();
        let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
        hang_and_deactivate(&mut pair, other, "out");
        assert_eq!(pair.change(0, remove(&alpha)), Some(Changed::Done));
        upload(&mut pair, 0, "beta", BETA);
        answer(&mut pair, other);
        assert_eq!((entities(&pair, 0), entities(&pair, 1)), (vec![], vec![]));
        assert!(has_alarm(&pair, other));
        want(&mut pair, &["beta"], &[]);
        let (dies, lives) = if survivor_has_it { (owner, other) } else { (other, owner) };
        pair.kill(dies);
        pair.until_member_of(lives, 1);
        pair.say(lives, "c1 fire begin 1 on");
        assert_eq!(entities(&pair, lives), ["beta"]);
    }
}

#[test]
fn a_unit_is_not_removed_while_a_delivery_is_out() {
    let (mut pair, alpha) = with_alpha();
    let owner = pair.tables_owner();
    hang_and_deactivate(&mut pair, owner, "out");
    let reason = refused(&mut pair, remove(&alpha));
    assert!(reason.starts_with("alpha still has entities"), "{reason}");
    answer(&mut pair, owner);
    assert_eq!(entities(&pair, owner), ["alpha"]);
}

/// The turn goes on with another service, and nothing of it is committed yet.
#[test]
fn an_entity_of_a_turn_that_runs_goes_with_its_unit() {
    script::clear();
    let mut pair = Pair::of(&SERVICES[1..], Tables::default());
    pair.units = [(ALPHA.to_vec(), SERVICES[0])].into();
    let mut pair = pair.whole();
    let alpha = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    let other = 1 - pair.tables_owner();
    pair.hangs = |deliver| is_of(deliver, "beta");
    pair.say(other, "c1 start; fire begin 1 out");
    want(&mut pair, &[], &["alpha"]);
    assert_eq!(pair.change(0, remove(&alpha)), Some(Changed::Done));
    answer(&mut pair, other);
    assert_eq!(
        (entities(&pair, 0), entities(&pair, 1)),
        (vec!["beta".into()], vec!["beta".into()])
    );
    pair.kill(other);
    pair.until_member_of(1 - other, 1);
    assert_eq!(entities(&pair, 1 - other), ["beta"]);
}

/// Its commit was on its way to who removed the unit.
#[test]
fn an_entity_that_was_committed_just_before_goes_with_its_unit() {
    for dies in [false, true] {
        let (mut pair, alpha) = with_alpha();
        let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
        hang_and_deactivate(&mut pair, other, "out");
        begin_to_answer(&mut pair, other);
        assert_eq!((entities(&pair, owner), pair.is_busy()), (vec![], true));
        pair.ask(owner, remove(&alpha));
        pair.settle();
        assert_eq!((entities(&pair, 0), entities(&pair, 1)), (vec![], vec![]));
        if dies {
            pair.kill(other);
            pair.until_member_of(owner, 1);
            assert_eq!(entities(&pair, owner), [""; 0]);
        }
    }
}

/// Who removed the unit hears of it then, and has the call before the other one heard of that.
#[test]
fn an_entity_of_a_removed_unit_goes_where_its_call_is_taken_over() {
    let (mut pair, alpha) = with_alpha();
    let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
    on("alpha", "out", |_, cx| {
        let room = cx.create_null_activity()?;
        cx.attach(cx.entity(), room)
    });
    hang_and_deactivate(&mut pair, other, "out");
    begin_to_answer(&mut pair, other);
    pair.ask(owner, remove(&alpha));
    while pair.on_its_way.front().is_some_and(|(node, _)| *node == owner) {
        pair.deliver(1);
    }
    assert_eq!(entities(&pair, owner), ["alpha"]);
    assert!(!has(&pair, owner, "alpha"), "it is removed there");
    pair.kill(other);
    pair.until_member_of(owner, 1);
    assert_eq!(entities(&pair, owner), [""; 0]);
}

/// What is answered as a failure is not tried again for nobody.
#[test]
fn a_delivery_that_fails_after_its_unit_was_removed_is_given_up() {
    let (mut pair, alpha) = with_alpha();
    let other = 1 - pair.tables_owner();
    hang_and_deactivate(&mut pair, other, "fails");
    assert_eq!(pair.change(0, remove(&alpha)), Some(Changed::Done));
    script::on("alpha", "fails", |_, _| script::fail());
    answer(&mut pair, other);
    assert!(has_alarm(&pair, other));
    pair.say(other, "c1 fire keep 1 on");
    assert_eq!(entities(&pair, other), ["keeper"]);
}

/// Names of services that were removed are names of none.
#[test]
fn a_service_without_a_name_is_none() {
    let mut pair = without_them().whole();
    let alpha = upload(&mut pair, 0, "alpha", ALPHA);
    assert_eq!(pair.change(0, remove(&alpha)), Some(Changed::Done));
    let reason = refused(&mut pair, crate::units::activate(""));
    assert!(reason.contains("has no service or unit \"\" deployed: deployed are c"), "{reason}");
    let named = crate::units::part(&alpha, 0, ALPHA);
    assert_eq!(pair.change(0, named), Some(Changed::Done));
    let reason = refused(&mut pair, crate::units::whole(&alpha, "", ALPHA.len() as u64));
    assert_eq!(reason, "its service has no name: give it one");
}

/// Nobody else would clear it: it outlives all calls and each node.
#[test]
fn an_alarm_of_a_service_ends_when_its_unit_is_removed() {
    let mut pair = without_them().whole();
    on("alpha", "fills", |_, cx| {
        cx.raise_alarm("full", "room", Severity::Minor, "the room is full");
        Ok(())
    });
    let alpha = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 fills");
    pair.say(0, "c1 over");
    let is_raised = |pair: &Pair, node: usize| {
        pair.status(node).alarms.iter().any(|alarm| alarm.alarm_type == "full")
    };
    assert!(is_raised(&pair, 0));
    want(&mut pair, &[], &["alpha"]);
    assert_eq!(pair.change(1, remove(&alpha)), Some(Changed::Done));
    pair.pass_ms(1_000);
    assert!(!is_raised(&pair, 0), "at who raised it");
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert!(!is_raised(&pair, 1), "and it does not come back");
}
