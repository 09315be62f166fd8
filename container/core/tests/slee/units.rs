//! Services that are uploaded while nodes run (chapter 14, `DeploymentMBean`).

use crate::pair::Pair;
use crate::script::{self, on, take_trace};
use crate::toy::{SERVICES, TIRED, WARY};
use crate::upgrades::want;
use resilee_core::management::{Changed, ServiceState, TableChange, UnitStatus};
use resilee_core::{UNIT_BYTES_MAX, UNIT_PART_BYTES};
use resilee_sbb::Tables;

pub const ALPHA: &[u8] = b"a component with alpha in it";
pub const BETA: &[u8] = b"a component with beta in it";

/// The id of a unit: not its hash, since only the shell knows of hashes.
pub fn id(bytes: &[u8]) -> String {
    format!("{:0>64x}", bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>())
}

/// Two nodes, of which none has `alpha` and `beta`: they are in units.
pub fn without_them() -> Pair {
    script::clear();
    let mut pair = Pair::of(&SERVICES[2..], Tables::default());
    pair.units = [(ALPHA.to_vec(), SERVICES[0]), (BETA.to_vec(), SERVICES[1])].into();
    pair
}

pub fn part(unit: &str, part: u32, bytes: &[u8]) -> TableChange {
    TableChange::PutUnitPart { unit: unit.to_owned(), part, bytes: bytes.to_vec() }
}

pub fn whole(unit: &str, service: &str, bytes: u64) -> TableChange {
    TableChange::PutUnit {
        unit: unit.to_owned(),
        service: service.to_owned(),
        bytes,
        secrets: Default::default(),
    }
}

pub fn upload(pair: &mut Pair, node: usize, service: &str, bytes: &[u8]) -> String {
    let unit = id(bytes);
    for (number, bytes) in (0..).zip(bytes.chunks(7)) {
        assert_eq!(pair.change(node, part(&unit, number, bytes)), Some(Changed::Done));
    }
    let put = whole(&unit, service, bytes.len() as u64);
    assert_eq!(pair.change(node, put), Some(Changed::Done));
    unit
}

#[track_caller]
pub fn refused(pair: &mut Pair, change: TableChange) -> String {
    match pair.change(0, change) {
        Some(Changed::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

pub fn activate(service: &str) -> TableChange {
    TableChange::Services { activate: vec![service.to_owned()], deactivate: Vec::new() }
}

pub fn remove(unit: &str) -> TableChange {
    TableChange::RemoveUnit { unit: unit.to_owned() }
}

pub fn unit(pair: &Pair, node: usize, id: &str) -> UnitStatus {
    let units = pair.status(node).units;
    units.into_iter().find(|unit| unit.id == id).expect("a unit")
}

pub fn has(pair: &Pair, node: usize, service: &str) -> bool {
    pair.status(node).services.iter().any(|it| it.name == service)
}

/// The first node dies; the second has the unit `alpha`, and what the call `c1` had begun in it.
pub fn the_survivor_serves_its_call(pair: &mut Pair) {
    pair.kill(0);
    pair.until_member_of(1, 1);
    take_trace();
    pair.say(1, "c1 fire tick 1 after");
    assert_eq!(take_trace(), ["alpha1 after"]);
}

#[test]
fn a_unit_is_deployed_at_both_nodes_and_serves_once_it_is_active() {
    let mut pair = without_them().whole();
    pair.say(0, "c1 start; fire begin 1 before");
    let unit_id = upload(&mut pair, 1, "alpha", ALPHA);
    for node in [0, 1] {
        let state = pair.status(node).services.into_iter().find(|it| it.name == "alpha");
        assert_eq!(state.expect("deployed").state, ServiceState::Inactive);
        assert_eq!(unit(&pair, node, &unit_id).nodes, ["server1", "server2"]);
    }
    pair.say(0, "c2 start; fire begin 1 uploaded");
    assert_eq!(take_trace(), [""; 0]);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c3 start; fire begin 1 served");
    assert_eq!(take_trace(), ["alpha1 served"]);
    pair.say(0, "c1 over");
    pair.say(0, "c2 over");
    pair.say(0, "c3 over");
}

/// What is delivered meanwhile names services by their places.
#[test]
fn calls_in_progress_keep_their_services_when_a_unit_comes_or_goes() {
    let mut pair = without_them().whole();
    pair.say(0, "c1 start; fire keep 1 begin");
    let unit_id = upload(&mut pair, 0, "alpha", ALPHA);
    assert_eq!(pair.change(0, remove(&unit_id)), Some(Changed::Done));
    upload(&mut pair, 0, "beta", BETA);
    take_trace();
    pair.say(0, "c1 fire tick 1 on");
    assert_eq!(take_trace(), ["keeper1 on"]);
    pair.say(0, "c1 over");
}

#[test]
fn a_service_is_active_only_once_each_member_has_compiled_it() {
    let mut pair = without_them().whole();
    pair.slow_compilers = [false, true];
    upload(&mut pair, 0, "alpha", ALPHA);
    let text = "server2 has not compiled alpha yet: try again in a moment, or look at its alarms";
    for node in [0, 1] {
        let answer = pair.change(node, activate("alpha"));
        assert_eq!(answer, Some(Changed::NotYet(text.to_owned())), "asked at {node}");
    }
    pair.slow_compilers = [false; 2];
    pair.compile();
    pair.settle();
    want(&mut pair, &["alpha"], &[]);
}

#[test]
fn a_survivor_goes_on_with_the_entities_of_a_unit() {
    let mut pair = without_them().whole();
    upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 before");
    pair.kill(0);
    pair.until_member(1);
    pair.pass_ms(1_000);
    take_trace();
    pair.say(1, "c1 fire tick 1 after");
    assert_eq!(take_trace(), ["alpha1 after"]);
    on("alpha", "after", |state, _| {
        assert_eq!(state.count, 3);
        Ok(())
    });
    pair.say(1, "c1 fire tick 1 after");
    pair.say(1, "c1 over");
}

#[test]
fn a_node_that_was_away_is_no_member_before_it_has_compiled_what_calls_depend_on() {
    let mut pair = without_them().whole();
    pair.kill(1);
    pair.until_member(0);
    pair.pass_ms(1_000);
    let unit_id = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 alone");
    pair.slow_compilers = [false, true];
    pair.start(1);
    pair.pass_ms(5_000);
    assert!(!pair.status(1).member);
    pair.slow_compilers = [false; 2];
    pair.compile();
    pair.until_whole();
    assert_eq!(unit(&pair, 1, &unit_id).problem, None);
    pair.kill(0);
    pair.pass_ms(1_000);
    take_trace();
    pair.say(1, "c1 fire tick 1 after");
    assert_eq!(take_trace(), ["alpha1 after"]);
    pair.say(1, "c1 over");
}

/// One that nobody needs keeps nobody away.
#[test]
fn a_unit_that_serves_nothing_does_not_keep_a_node_from_joining() {
    let mut pair = without_them().whole();
    pair.kill(1);
    pair.until_member(0);
    pair.pass_ms(1_000);
    upload(&mut pair, 0, "alpha", ALPHA);
    pair.slow_compilers = [false, true];
    pair.start(1);
    pair.until_whole();
}

#[test]
fn nodes_start_with_the_units_that_they_had() {
    let mut pair = without_them().whole();
    upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 before");
    pair.pass_ms(100);
    pair.kill(0);
    pair.kill(1);
    // They were compiled before the start: nobody waits.
    pair.slow_compilers = [true; 2];
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    assert!(has(&pair, 0, "alpha") && has(&pair, 1, "alpha"));
    take_trace();
    let owner = pair.tables_owner();
    pair.say(owner, "c1 fire tick 1 after");
    assert_eq!(take_trace(), ["alpha1 after"]);
    pair.say(owner, "c1 over");
}

#[test]
fn an_upgrade_leaves_calls_in_progress_to_the_version_that_began_them() {
    let mut pair = without_them().whole();
    let old = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 old");
    upload(&mut pair, 0, "beta", BETA);
    want(&mut pair, &["beta"], &["alpha"]);
    pair.say(0, "c2 start; fire begin 1 new");
    pair.say(0, "c1 fire begin 1 more");
    assert_eq!(take_trace(), ["alpha1 old", "beta1 new", "alpha1 more"]);
    let reason = refused(&mut pair, remove(&old));
    let expected = "alpha still has entities: wait until its calls are over, or have them migrated \
                    to a service that has taken its place";
    assert_eq!(reason, expected);
    pair.say(0, "c1 over");
    assert_eq!(pair.change(1, remove(&old)), Some(Changed::Done));
    assert!(!has(&pair, 0, "alpha") && !has(&pair, 1, "alpha"));
    pair.say(0, "c2 over");
}

#[test]
fn a_unit_that_was_removed_can_be_uploaded_again() {
    let mut pair = without_them().whole();
    for _ in 0..3 {
        let unit_id = upload(&mut pair, 0, "alpha", ALPHA);
        assert!(has(&pair, 0, "alpha") && has(&pair, 1, "alpha"));
        assert_eq!(pair.change(0, remove(&unit_id)), Some(Changed::Done));
        assert!(!has(&pair, 0, "alpha") && !has(&pair, 1, "alpha"));
    }
    assert_eq!(pair.status(0).services.len(), SERVICES.len() - 2);
    let tables = pair.nodes[1].core.as_ref().expect("it lives").tables();
    assert_eq!((tables.len("slee.units"), tables.len("slee.unit-parts")), (0, 0));
}

#[test]
fn what_cannot_be_compiled_is_an_alarm_until_it_is_removed() {
    let mut pair = without_them().whole();
    let unit_id = upload(&mut pair, 0, "gamma", b"no component");
    let text = "gamma is not deployed here: it is no WebAssembly; remove the unit, or run the same \
                version of Resilee at all nodes";
    for node in [0, 1] {
        let alarms = pair.status(node).alarms;
        assert!(alarms.iter().any(|alarm| alarm.source == "unit" && alarm.text == text));
        assert_eq!(unit(&pair, node, &unit_id).problem.as_deref(), Some(text));
    }
    let reason = refused(&mut pair, activate("gamma"));
    assert!(reason.starts_with("server1 has no service or unit \"gamma\" deployed"), "{reason}");
    assert_eq!(pair.change(0, remove(&unit_id)), Some(Changed::Done));
    for node in [0, 1] {
        assert!(pair.status(node).alarms.iter().all(|alarm| alarm.source != "unit"));
    }
}

#[test]
fn a_unit_is_what_its_uploader_says_and_nothing_that_is_there_already() {
    let mut pair = without_them().whole();
    let lying = upload(&mut pair, 0, "gamma", ALPHA);
    let problem = unit(&pair, 1, &lying).problem.expect("a problem");
    assert!(problem.contains("it says that it is alpha"), "{problem}");
    assert_eq!(pair.change(0, remove(&lying)), Some(Changed::Done));
    let unit_id = id(BETA);
    assert_eq!(pair.change(0, part(&unit_id, 0, BETA)), Some(Changed::Done));
    let reason = refused(&mut pair, whole(&unit_id, "keeper", BETA.len() as u64));
    let expected = "a service keeper is deployed: give yours another name, or remove that one";
    assert_eq!(reason, expected);
}

#[test]
fn an_upload_that_is_wrong_is_refused_with_the_reason() {
    let mut pair = without_them().whole();
    let unit_id = id(ALPHA);
    for wrong in ["", "abc", &"x".repeat(64), &"A".repeat(64)] {
        let reason = refused(&mut pair, part(wrong, 0, b"x"));
        assert!(reason.contains("is no id of a unit"), "{reason}");
    }
    let large = vec![0; UNIT_PART_BYTES + 1];
    for bytes in [&[][..], &large] {
        let reason = refused(&mut pair, part(&unit_id, 0, bytes));
        assert!(reason.contains("it has 1 to 65536"), "{reason}");
    }
    let beyond = u32::try_from(UNIT_BYTES_MAX / UNIT_PART_BYTES).expect("a small number");
    for number in [beyond, u32::MAX] {
        let reason = refused(&mut pair, part(&unit_id, number, b"x"));
        assert_eq!(reason, "a unit has 16777216 bytes at most");
    }
    pair.change(0, part(&unit_id, 0, b"one"));
    let reason = refused(&mut pair, whole(&unit_id, "alpha", 4));
    assert!(reason.contains("not all parts of alpha are here"), "{reason}");
    let reason = refused(&mut pair, remove(&unit_id));
    assert!(reason.contains("there is no unit"), "{reason}");
}

#[test]
fn what_an_upload_left_unfinished_is_dropped_by_the_next_one() {
    let mut pair = without_them().whole();
    for number in 0..3 {
        pair.change(0, part(&id(BETA), number, b"half of it"));
    }
    upload(&mut pair, 0, "alpha", ALPHA);
    let tables = pair.nodes[1].core.as_ref().expect("it lives").tables();
    assert!(tables.rows("slee.unit-parts").all(|(key, _)| key.starts_with(&id(ALPHA))));
}

/// The owner of the tables dies between two parts.
#[test]
fn an_upload_goes_on_at_a_survivor() {
    let mut pair = without_them().whole();
    let owner = pair.tables_owner();
    let unit_id = id(ALPHA);
    let (one, two) = ALPHA.split_at(9);
    assert_eq!(pair.change(owner, part(&unit_id, 0, one)), Some(Changed::Done));
    pair.kill(owner);
    pair.pass_ms(1_000);
    let other = 1 - owner;
    assert_eq!(pair.change(other, part(&unit_id, 1, two)), Some(Changed::Done));
    let put = whole(&unit_id, "alpha", ALPHA.len() as u64);
    assert_eq!(pair.change(other, put), Some(Changed::Done));
    assert_eq!(pair.change(other, activate("alpha")), Some(Changed::Done));
}

/// In which order they came, and how they are numbered at a node, does not matter.
#[test]
fn services_of_one_priority_get_an_event_by_their_names() {
    let mut pair = without_them();
    pair.units = [(ALPHA.to_vec(), WARY), (BETA.to_vec(), TIRED)].into();
    let mut pair = pair.whole();
    upload(&mut pair, 0, "wary", ALPHA);
    upload(&mut pair, 0, "tired", BETA);
    want(&mut pair, &["wary", "tired"], &[]);
    take_trace();
    pair.say(0, "c1 start; fire begin 1 new");
    assert_eq!(take_trace(), ["tired1 new", "wary2 new"]);
    pair.say(0, "c1 fire begin 1 more");
    assert_eq!(take_trace(), ["tired1 more", "wary2 more"]);
    pair.say(0, "c1 over");
}
