//! Units whose services need others (`Deployment::needs`): in which order they come, and go. And
//! units that cannot be deployed though they are needed.

use crate::pair::Pair;
use crate::script::{self, take_trace};
use crate::toy::{SERVICES, TILL, WALLET};
use crate::units::{ALPHA, activate, has, refused, remove, unit, upload, without_them};
use crate::upgrades::want;
use resilee_core::management::{Changed, TableChange};
use resilee_sbb::Tables;

/// The units come in the order of their ids: the one that needs the other is the first.
const NEEDS: &[u8] = b"a till";
const NEEDED: &[u8] = b"a component with a wallet in it";
const WAITS: &str =
    "till waits for wallet, which is not deployed here: upload that, or remove the unit";

fn pair() -> Pair {
    script::clear();
    let mut pair = Pair::of(&SERVICES[2..], Tables::default());
    pair.units = [(NEEDS.to_vec(), TILL), (NEEDED.to_vec(), WALLET)].into();
    pair
}

/// Two nodes that have both, of which the till is active.
fn with_both() -> (Pair, String) {
    let mut pair = pair().whole();
    upload(&mut pair, 0, "wallet", NEEDED);
    let till = upload(&mut pair, 0, "till", NEEDS);
    want(&mut pair, &["till", "wallet"], &[]);
    pair.pass_ms(100);
    (pair, till)
}

/// Both start again, and one unit cannot be compiled any more; the one that is up.
fn start_again_without(pair: &mut Pair, unit: &[u8]) -> usize {
    pair.kill(0);
    pair.kill(1);
    pair.units.remove(unit);
    pair.start(0);
    pair.start(1);
    pair.pass_ms(8_000);
    usize::from(!pair.status(0).member)
}

fn unit_alarms(pair: &Pair, node: usize) -> Vec<String> {
    let alarms = pair.status(node).alarms.into_iter();
    alarms.filter(|alarm| alarm.source == "unit").map(|alarm| alarm.text).collect()
}

/// Both are deployed at a node, and the first one serves.
#[track_caller]
fn serves(pair: &mut Pair, node: usize, call: &str) {
    assert!(has(pair, node, "wallet") && has(pair, node, "till"));
    take_trace();
    pair.say(node, &format!("{call} start; fire begin 1 served"));
    assert_eq!(take_trace(), ["till1 served"]);
}

#[test]
fn a_unit_waits_for_what_it_needs() {
    let mut pair = pair().whole();
    let till = upload(&mut pair, 0, "till", NEEDS);
    for node in [0, 1] {
        assert!(!has(&pair, node, "till"));
        assert_eq!(unit(&pair, node, &till).problem.as_deref(), Some(WAITS));
        assert_eq!(unit_alarms(&pair, node), [WAITS]);
    }
    refused(&mut pair, activate("till"));
    upload(&mut pair, 1, "wallet", NEEDED);
    for node in [0, 1] {
        assert_eq!(unit(&pair, node, &till).problem, None);
        assert_eq!(unit_alarms(&pair, node), [""; 0]);
    }
    want(&mut pair, &["till", "wallet"], &[]);
    serves(&mut pair, 0, "c1");
}

#[test]
fn a_unit_that_waits_may_be_removed() {
    let mut pair = pair().whole();
    let till = upload(&mut pair, 0, "till", NEEDS);
    assert_eq!(pair.change(1, remove(&till)), Some(Changed::Done));
    for node in [0, 1] {
        assert_eq!((unit_alarms(&pair, node), pair.status(node).units), (vec![], vec![]));
    }
    upload(&mut pair, 0, "wallet", NEEDED);
    assert!(!has(&pair, 0, "till"));
}

/// Both die, and each alone.
#[test]
fn nodes_start_with_units_that_need_others() {
    for dead in [&[0, 1][..], &[0], &[1]] {
        let (mut pair, _) = with_both();
        dead.iter().for_each(|node| pair.kill(*node));
        pair.pass_ms(1_000);
        dead.iter().for_each(|node| pair.start(*node));
        pair.until_whole();
        assert_eq!((unit_alarms(&pair, 0), unit_alarms(&pair, 1)), (vec![], vec![]));
        serves(&mut pair, 0, "c1");
        serves(&mut pair, 1, "c2");
    }
}

#[test]
fn a_joiner_compiles_them_in_any_order() {
    let mut pair = pair().whole();
    pair.kill(1);
    pair.until_member(0);
    pair.pass_ms(1_000);
    upload(&mut pair, 0, "wallet", NEEDED);
    upload(&mut pair, 0, "till", NEEDS);
    want(&mut pair, &["till", "wallet"], &[]);
    pair.start(1);
    pair.until_whole();
    pair.kill(0);
    pair.pass_ms(1_000);
    serves(&mut pair, 1, "c1");
}

#[test]
fn a_unit_that_another_one_needs_is_not_removed_before_that() {
    let mut pair = pair().whole();
    let wallet = upload(&mut pair, 0, "wallet", NEEDED);
    let till = upload(&mut pair, 0, "till", NEEDS);
    let reason = refused(&mut pair, remove(&wallet));
    assert_eq!(reason, "till needs wallet: remove till before");
    assert_eq!(pair.change(0, remove(&till)), Some(Changed::Done));
    assert_eq!(pair.change(0, remove(&wallet)), Some(Changed::Done));
    assert!(!has(&pair, 0, "wallet") && !has(&pair, 1, "wallet"));
}

fn deactivate(service: &str) -> TableChange {
    TableChange::Services { activate: Vec::new(), deactivate: vec![service.to_owned()] }
}

/// What is in it cannot be compiled any more when both nodes start again.
#[test]
fn a_failed_unit_of_an_active_service_can_be_deactivated_removed_and_uploaded_anew() {
    let mut pair = without_them().whole();
    let old = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.pass_ms(100);
    let up = start_again_without(&mut pair, ALPHA);
    let problem = unit(&pair, up, &old).problem.expect("a problem");
    assert!(problem.starts_with("alpha is not deployed here: it is no WebAssembly"), "{problem}");
    assert!(matches!(pair.change(up, remove(&old)), Some(Changed::Refused(_))));
    assert_eq!(pair.change(up, deactivate("alpha")), Some(Changed::Done));
    pair.until_whole();
    assert_eq!(pair.change(up, remove(&old)), Some(Changed::Done));
    pair.units.insert(b"another alpha".to_vec(), SERVICES[0]);
    upload(&mut pair, 1 - up, "alpha", b"another alpha");
    want(&mut pair, &["alpha"], &[]);
    for node in [0, 1] {
        assert_eq!(unit_alarms(&pair, node), [""; 0]);
        take_trace();
        pair.say(node, &format!("c{node} start; fire begin 1 served"));
        assert_eq!(take_trace(), ["alpha1 served"]);
    }
}

/// What needs it waits here, and may be deployed at another node.
#[test]
fn what_an_active_service_needs_is_not_deactivated_where_that_waits() {
    let (mut pair, till) = with_both();
    let up = start_again_without(&mut pair, NEEDED);
    assert_eq!(unit(&pair, up, &till).problem.as_deref(), Some(WAITS));
    let expected = "till is active and needs wallet: deactivate till as well";
    let refused = Changed::Refused(expected.to_owned());
    assert_eq!(pair.change(up, deactivate("wallet")), Some(refused));
    assert_eq!(pair.change(up, deactivate("till")), Some(Changed::Done));
    assert_eq!(pair.change(up, deactivate("wallet")), Some(Changed::Done));
    pair.until_whole();
}

/// What comes when its service is not deployed is no try.
#[test]
fn an_event_that_is_tried_again_waits_for_the_service_that_waits() {
    let (mut pair, _) = with_both();
    script::on("till", "first", |_, _| script::fail());
    pair.say(0, "c1 start; fire begin 1 first");
    pair.pass_ms(100);
    script::on("till", "first", |_, _| Ok(()));
    let up = start_again_without(&mut pair, NEEDED);
    take_trace();
    pair.pass_ms(600_000);
    assert_eq!(take_trace(), [""; 0]);
    for service in ["till", "wallet"] {
        assert_eq!(pair.change(up, deactivate(service)), Some(Changed::Done));
    }
    let old = crate::units::id(NEEDED);
    assert_eq!(pair.change(up, remove(&old)), Some(Changed::Done));
    pair.units.insert(b"another wallet".to_vec(), WALLET);
    upload(&mut pair, up, "wallet", b"another wallet");
    pair.until_whole();
    pair.pass_ms(61_000);
    assert_eq!(take_trace(), ["till1 first"]);
}

#[test]
fn a_profile_table_goes_with_the_unit_that_declares_it_and_its_rows_stay() {
    let mut pair = pair().whole();
    let tables = |pair: &Pair, node: usize| {
        let core = pair.nodes[node].core.as_ref().expect("it lives");
        core.profile_tables().iter().map(|it| (it.table.name, it.profiles)).collect::<Vec<_>>()
    };
    let wallet = upload(&mut pair, 0, "wallet", NEEDED);
    let mut profile = resilee_sbb::Profile::default();
    profile.attributes.insert("worth".to_owned(), resilee_sbb::AttributeValue::Number(5));
    let put =
        TableChange::PutProfile { table: "coins".to_owned(), name: "five".to_owned(), profile };
    assert_eq!(pair.change(0, put), Some(Changed::Done));
    assert_eq!(pair.change(0, remove(&wallet)), Some(Changed::Done));
    assert_eq!((tables(&pair, 0), tables(&pair, 1)), (vec![], vec![]));
    upload(&mut pair, 0, "wallet", NEEDED);
    assert_eq!((tables(&pair, 0), tables(&pair, 1)), (vec![("coins", 1)], vec![("coins", 1)]));
}

/// Without it a node that is alone would own its calls, and not serve them.
#[test]
fn calls_depend_on_a_unit_while_its_service_is_active_or_has_entities() {
    let mut pair = without_them().whole();
    let alpha = upload(&mut pair, 0, "alpha", ALPHA);
    let needed = |pair: &Pair, unit: &str| {
        let core = |node: usize| pair.nodes[node].core.as_ref().expect("it lives");
        let services = [0, 1].map(|node| core(node).service_in_need_of(unit));
        assert_eq!(services[0], services[1]);
        services[0].clone()
    };
    assert_eq!(needed(&pair, &alpha), None);
    want(&mut pair, &["alpha"], &[]);
    assert_eq!(needed(&pair, &alpha).as_deref(), Some("alpha"));
    assert_eq!(needed(&pair, "another"), None);
    pair.say(0, "c1 start; fire begin 1 hello");
    want(&mut pair, &[], &["alpha"]);
    assert_eq!(needed(&pair, &alpha).as_deref(), Some("alpha"), "of the call");
    pair.say(0, "c1 over");
    assert_eq!(needed(&pair, &alpha), None);
}
