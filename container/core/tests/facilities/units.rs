//! What is kept of services that come and go with deployable units.

use crate::gone_alarms::of_worker;
use crate::pair::Pair;
use crate::toy::SERVICES;
use crate::usage::{own_words, reset, words_of_cluster};
use resilee_core::UNIT_PART_BYTES;
use resilee_core::management::{Changed, TableChange};
use resilee_sbb::Tables;

const UNIT: &str = "0000000000000000000000000000000000000000000000000000000000000077";
const BYTES: &[u8] = b"a component with the worker in it";
const NEXT: &str = "0000000000000000000000000000000000000000000000000000000000000078";
const NEXT_BYTES: &[u8] = b"a component with the worker, put right";

/// Two nodes without the worker, which is in a unit; of them the second one compiles nothing.
fn one_compiles() -> Pair {
    let mut pair = Pair::of(&SERVICES[1..], Tables::default()).whole();
    pair.units = [BYTES, NEXT_BYTES].map(|bytes| (bytes.to_vec(), SERVICES[0])).into();
    pair.slow_compilers = [false, true];
    upload(&mut pair);
    pair
}

fn upload(pair: &mut Pair) {
    upload_unit(pair, UNIT, BYTES);
}

fn upload_unit(pair: &mut Pair, unit: &str, bytes: &[u8]) {
    let unit = unit.to_owned();
    let part = TableChange::PutUnitPart { unit: unit.clone(), part: 0, bytes: bytes.to_vec() };
    let service = "worker".to_owned();
    let whole = TableChange::PutUnit {
        unit,
        service,
        bytes: bytes.len() as u64,
        secrets: Default::default(),
    };
    for change in [part, whole] {
        assert_eq!(pair.change(0, change), Some(Changed::Done));
    }
}

fn activate(pair: &mut Pair) {
    order(pair, vec!["worker".to_owned()], Vec::new());
}

fn deactivate(pair: &mut Pair) {
    order(pair, Vec::new(), vec!["worker".to_owned()]);
}

fn order(pair: &mut Pair, activate: Vec<String>, deactivate: Vec<String>) {
    let change = TableChange::Services { activate, deactivate };
    assert_eq!(pair.change(0, change), Some(Changed::Done));
}

fn remove(pair: &mut Pair, node: usize) {
    let change = TableChange::RemoveUnit { unit: UNIT.to_owned() };
    assert_eq!(pair.change(node, change), Some(Changed::Done));
}

fn compile(pair: &mut Pair) {
    pair.slow_compilers = [false; 2];
    pair.compile();
    pair.settle();
}

/// The first node alone has the unit's service, which was told this.
fn told_alone(what: &str) -> Pair {
    let mut pair = one_compiles();
    pair.kill(1);
    // What it has stored it would compile before it starts.
    pair.nodes[1].lose_files();
    pair.until_member_of(0, 1);
    activate(&mut pair);
    pair.say(0, "c1 begin");
    pair.say(0, &format!("c1 say {what}"));
    pair.say(0, "c1 end");
    pair.pass_ms(1_000);
    deactivate(&mut pair);
    pair
}

#[test]
fn figures_of_a_removed_unit_are_gone_also_where_it_is_still_compiled() {
    let mut pair = told_alone("count:2");
    // It is no member before it has compiled what is active; of what is not it may have nothing.
    pair.slow_compilers = [false, true];
    pair.start(1);
    pair.until_whole();
    assert!(!pair.status(1).services.iter().any(|it| it.name == "worker"), "it compiles");
    remove(&mut pair, 0);
    upload(&mut pair);
    compile(&mut pair);
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [0, 0]);
    activate(&mut pair);
    pair.say(0, "c2 begin");
    pair.say(0, "c2 say count:5");
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [5, 5]);
}

#[test]
fn what_a_removed_units_service_still_counted_is_not_among_what_is_counted_after_its_next_upload() {
    let mut pair = one_compiles();
    compile(&mut pair);
    let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
    pair.say(other, "c1 begin");
    activate(&mut pair);
    // It counts before it hears that its service is inactive, and the owner hears of that only when
    // it has removed the unit.
    pair.begin_to_say(other, "c1 say count:2");
    pair.deliver(1);
    let (activate_none, deactivate) = (Vec::new(), vec!["worker".to_owned()]);
    pair.ask(owner, TableChange::Services { activate: activate_none, deactivate });
    pair.deliver(1);
    assert_eq!(own_words(&pair, other), 2);
    let removed = pair.ask(owner, TableChange::RemoveUnit { unit: UNIT.to_owned() });
    pair.settle();
    assert_eq!(pair.answers(owner, removed..removed + 1), [Some(Changed::Done)]);
    upload(&mut pair);
    activate(&mut pair);
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [0, 0]);
}

#[test]
fn a_reset_is_known_also_where_the_service_is_deployed_only_later() {
    let mut pair = one_compiles();
    reset(&mut pair, 0);
    compile(&mut pair);
    activate(&mut pair);
    pair.say(1, "c1 begin");
    pair.say(1, "c1 say count:3");
    assert_eq!(own_words(&pair, 1), 3);
    assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [3, 3]);
}

/// Of the unit that it had only the name of the service is left.
#[test]
fn a_node_that_comes_back_leaves_what_is_kept_of_a_unit_that_was_put_right_meanwhile() {
    for compiles in [true, false] {
        let mut pair = one_compiles();
        if compiles {
            compile(&mut pair);
        }
        pair.kill(1);
        pair.until_member_of(0, 1);
        remove(&mut pair, 0);
        upload_unit(&mut pair, NEXT, NEXT_BYTES);
        activate(&mut pair);
        pair.say(0, "c1 begin");
        pair.say(0, "c1 say count:2");
        pair.say(0, "c1 say raise:full:disk");
        pair.pass_ms(1_000);
        pair.slow_compilers = [false; 2];
        pair.start(1);
        pair.until_whole();
        pair.pass_ms(1_000);
        assert_eq!([0, 1].map(|node| words_of_cluster(&pair, node)), [2, 2]);
        assert_eq!((of_worker(&pair, 0), of_worker(&pair, 1)), ((1, 0), (0, 1)));
        pair.say(0, "c1 say count:3");
        pair.kill(0);
        pair.until_member_of(1, 1);
        assert_eq!(words_of_cluster(&pair, 1), 5);
        assert_eq!(of_worker(&pair, 1), (1, 0));
    }
}

/// The survivor still compiles it, and has its alarm all the same.
#[test]
fn an_alarm_goes_with_its_unit_also_where_that_was_never_deployed() {
    let mut pair = told_alone("raise:full:disk");
    pair.slow_compilers = [false, true];
    pair.start(1);
    pair.until_whole();
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(of_worker(&pair, 1), (1, 0));
    remove(&mut pair, 1);
    assert_eq!(of_worker(&pair, 1), (0, 0));
    // Whoever has not compiled it cannot tell it from one that the other node has linked into it.
    pair.keeps = &["an order of worker"];
}

#[test]
fn a_removed_units_service_that_is_linked_into_one_node_after_the_other_counts_at_both() {
    let mut pair = told_alone("count:2");
    pair.start(1);
    pair.until_whole();
    compile(&mut pair);
    remove(&mut pair, 0);
    pair.kill(1);
    pair.until_member_of(0, 1);
    pair.deploy(&SERVICES);
    pair.start(1);
    pair.until_whole();
    pair.say(1, "c2 begin");
    pair.say(1, "c2 say count:5");
    assert_eq!(words_of_cluster(&pair, 1), 5);
    // What the older one has of it is all there is for the next.
    pair.kill(1);
    pair.nodes[1].lose_files();
    pair.until_member_of(0, 1);
    pair.start(1);
    pair.until_whole();
    assert_eq!(words_of_cluster(&pair, 1), 5);
}

/// Rows that do not fit into a joiner's window: the end of its snapshot waits until it has them.
fn begin_to_upload_much(pair: &mut Pair) {
    for part in 0..20 {
        let (unit, bytes) = (NEXT.to_owned(), vec![0; UNIT_PART_BYTES]);
        let change = TableChange::PutUnitPart { unit, part, bytes };
        assert_eq!(pair.change(0, change), Some(Changed::Done));
    }
}

/// Whatever of its snapshot has arrived by then.
#[test]
fn figures_of_a_unit_that_is_removed_while_a_node_joins_are_gone_there_as_well() {
    for arrived in 0.. {
        let mut pair = told_alone("count:2");
        begin_to_upload_much(&mut pair);
        pair.slow_compilers = [false; 2];
        pair.start(1);
        for _ in 0..arrived {
            while pair.on_its_way.is_empty() {
                pair.tick();
            }
            pair.deliver(1);
        }
        let is_late = pair.is_whole();
        let removed = pair.ask(0, TableChange::RemoveUnit { unit: UNIT.to_owned() });
        pair.until_whole();
        pair.settle();
        assert_eq!(pair.answers(0, removed..removed + 1), [Some(Changed::Done)]);
        assert_reloaded_at_zero(&mut pair);
        if is_late {
            return;
        }
    }
}

/// The other node hears of both at once: for it the unit never was away.
#[test]
fn figures_of_a_unit_that_is_removed_and_uploaded_again_at_once_are_gone_at_all_nodes() {
    let mut pair = told_alone("count:2");
    pair.slow_compilers = [false; 2];
    pair.start(1);
    pair.until_whole();
    compile(&mut pair);
    let owner = pair.tables_owner();
    let unit = || UNIT.to_owned();
    let part = TableChange::PutUnitPart { unit: unit(), part: 0, bytes: BYTES.to_vec() };
    let (service, bytes) = ("worker".to_owned(), BYTES.len() as u64);
    let whole = TableChange::PutUnit { unit: unit(), service, bytes, secrets: Default::default() };
    let asked = pair.ask_all(owner, vec![TableChange::RemoveUnit { unit: unit() }, part, whole]);
    pair.settle();
    assert_eq!(pair.answers(owner, asked), [const { Some(Changed::Done) }; 3]);
    assert_reloaded_at_zero(&mut pair);
}

/// Once the unit is there again, its service begins at zero, whichever node is asked or lives on.
fn assert_reloaded_at_zero(pair: &mut Pair) {
    upload(pair);
    compile(pair);
    activate(pair);
    assert_eq!([0, 1].map(|node| words_of_cluster(pair, node)), [0, 0]);
    pair.say(0, "c2 begin");
    pair.say(0, "c2 say count:5");
    assert_eq!([0, 1].map(|node| words_of_cluster(pair, node)), [5, 5]);
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(words_of_cluster(pair, 1), 5);
}
