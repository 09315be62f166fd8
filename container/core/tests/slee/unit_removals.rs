//! Units that are removed: what goes with them, and what is said of it.

use crate::pair::Pair;
use crate::script::take_trace;
use crate::toy::SERVICES;
use crate::unit_names::{self, BYTES, problem_of, put, sbb};
use crate::units::{ALPHA, BETA, activate, id, part, refused, remove, upload, whole, without_them};
use crate::upgrades::want;
use resilee_core::management::{Changed, TableChange};
use resilee_sbb::{Descriptor, Tables, encode};

fn is_kept(pair: &Pair, node: usize, service: &str) -> bool {
    let tables = pair.nodes[node].core.as_ref().expect("it lives").tables();
    tables.get("slee.services", service).is_some()
}

#[test]
fn what_was_wanted_of_its_service_goes_with_a_unit() {
    let mut pair = without_them().whole();
    let unit = upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    want(&mut pair, &[], &["alpha"]);
    assert!(is_kept(&pair, 0, "alpha") && is_kept(&pair, 1, "alpha"));
    assert_eq!(pair.change(0, remove(&unit)), Some(Changed::Done));
    assert!(!is_kept(&pair, 0, "alpha") && !is_kept(&pair, 1, "alpha"));
}

/// Else the next one of its name would begin beside the calls of the one whose place it took.
#[test]
fn whom_it_replaced_is_kept_of_a_unit_as_long_as_that_one_has_calls() {
    let mut pair = without_them().whole();
    upload(&mut pair, 0, "alpha", ALPHA);
    want(&mut pair, &["alpha"], &[]);
    pair.say(0, "c1 start; fire begin 1 old");
    for goes in [false, true] {
        let unit = upload(&mut pair, 0, "beta", BETA);
        want(&mut pair, &["beta"], &["alpha"]);
        want(&mut pair, &[], &["beta"]);
        if goes {
            pair.say(0, "c1 over");
        }
        assert_eq!(pair.change(0, remove(&unit)), Some(Changed::Done));
        assert_eq!(is_kept(&pair, 0, "beta"), !goes);
        want(&mut pair, &["alpha"], &[]);
    }
    // Taken back, with calls: the one that it replaced serves again.
    pair.say(0, "c2 start; fire begin 1 old");
    let unit = upload(&mut pair, 0, "beta", BETA);
    want(&mut pair, &["beta"], &["alpha"]);
    want(&mut pair, &["alpha"], &["beta"]);
    assert_eq!(pair.change(0, remove(&unit)), Some(Changed::Done));
    assert!(!is_kept(&pair, 0, "beta"));
}

#[test]
fn a_removal_of_a_unit_is_made_and_answered_though_its_owner_dies_at_any_step_of_it() {
    for steps in 0..12 {
        let mut pair = without_them().whole();
        let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
        let unit = upload(&mut pair, 0, "alpha", ALPHA);
        let asked = pair.ask(other, remove(&unit));
        pair.deliver(steps);
        pair.kill(owner);
        pair.until_member_of(other, 1);
        pair.pass_ms(1_000);
        let answers = pair.answers(other, asked..asked + 1);
        assert_eq!(answers, [Some(Changed::Done)], "after {steps} steps");
        assert!(pair.status(other).units.is_empty(), "after {steps} steps");
    }
}

/// Its row tells of them: a node that cannot compile it knows nothing else of it.
#[test]
fn what_a_unit_kept_secret_stays_so_though_who_removes_it_cannot_compile_it_any_more() {
    let mut pair = unit_names::pair(&SERVICES, Tables::default(), sbb::<24>());
    pair.units.insert(b"1".to_vec(), sbb::<25>());
    let vault = id(BYTES);
    let secrets = [("pins".to_owned(), ["pin".to_owned()].into())].into();
    let (service, bytes) = ("vault".to_owned(), BYTES.len() as u64);
    let whole = TableChange::PutUnit { unit: vault.clone(), service, bytes, secrets };
    for change in [part(&vault, 0, BYTES), whole, put("pins", "pin", 1_234)] {
        assert_eq!(pair.change(0, change), Some(Changed::Done));
    }
    pair.units.remove(BYTES);
    for node in [0, 1] {
        pair.kill(node);
    }
    for node in [0, 1] {
        pair.start(node);
    }
    pair.until_whole();
    assert_eq!(pair.change(0, remove(&vault)), Some(Changed::Done));
    let spy = upload(&mut pair, 0, "spy", b"1");
    let problem = problem_of(&pair, 0, &spy).expect("a problem");
    assert!(problem.contains("vault has left profiles with a secret attribute pin"), "{problem}");
}

/// An earlier build has kept who left a table, and nothing else: any of it may be secret. What is
/// deployed by now stays so, or its node would not start any more.
#[test]
fn profiles_that_a_unit_left_under_an_earlier_build_are_not_shown_to_the_next_who_comes() {
    let mut tables = Tables::default();
    let vault = encode(&"vault").expect("plain data can be encoded");
    tables.put("slee.left-profile-tables", "pins", vault);
    let mut pair = unit_names::pair(&SERVICES, tables, sbb::<24>());
    pair.units.insert(b"1".to_vec(), sbb::<25>());
    let (vault, spy) = (sbb::<24>().descriptor(), sbb::<25>().descriptor());
    let in_the_way = |pair: &Pair, service: &Descriptor| {
        pair.nodes[0].core.as_ref().expect("it lives").in_the_way_of_upload(service)
    };
    assert_eq!(in_the_way(&pair, &spy), None, "nothing was left");
    let unit = upload(&mut pair, 0, "spy", b"1");
    assert_eq!(pair.change(0, put("pins", "pin", 1_234)), Some(Changed::Done));
    pair.kill(0);
    pair.until_member(1);
    pair.start(0);
    pair.until_whole();
    assert_eq!(problem_of(&pair, 0, &unit), None, "it is deployed again");
    assert_eq!(pair.change(0, remove(&unit)), Some(Changed::Done));
    let reason = in_the_way(&pair, &spy).expect("the pins may be secret");
    let expected = "it declares the profile table pins, in which vault has left profiles while an \
                    earlier build ran, which did not keep what of them is secret: upload vault \
                    once more and remove it, then that is known";
    assert_eq!(reason, expected);
    // Who left them has them again, and then it is known.
    assert_eq!(in_the_way(&pair, &vault), None);
    let vault = upload(&mut pair, 0, "vault", BYTES);
    assert_eq!(pair.change(0, remove(&vault)), Some(Changed::Done));
    let reason = in_the_way(&pair, &spy).expect("the pin is secret");
    assert!(reason.contains("vault has left profiles with a secret attribute pin"), "{reason}");
}

/// It was linked into both nodes, and is not any more.
#[test]
fn a_unit_does_not_begin_to_serve_since_a_linked_service_of_its_name_was_active() {
    let mut pair = Pair::of(&SERVICES, Tables::default()).whole();
    want(&mut pair, &["alpha"], &[]);
    pair.kill(0);
    pair.kill(1);
    pair.deploy(&SERVICES[2..]);
    pair.units = [(ALPHA.to_vec(), SERVICES[0])].into();
    pair.start(0);
    pair.start(1);
    pair.until_whole();
    let unit = id(ALPHA);
    assert_eq!(pair.change(0, part(&unit, 0, ALPHA)), Some(Changed::Done));
    let reason = refused(&mut pair, whole(&unit, "alpha", ALPHA.len() as u64));
    assert!(reason.contains("is still wanted active: deactivate alpha"), "{reason}");
    want(&mut pair, &[], &["alpha"]);
    upload(&mut pair, 0, "alpha", ALPHA);
    pair.say(0, "c1 start; fire begin 1 served");
    assert_eq!(take_trace(), [""; 0]);
}

/// The node that joins knows the unit from its store, and hears that it is gone. The other one has
/// another build by now, with a service of that name linked into it.
#[test]
fn calls_of_a_linked_service_are_not_lost_where_a_unit_of_its_name_was_removed() {
    let mut pair = without_them().whole();
    let unit = upload(&mut pair, 0, "alpha", ALPHA);
    pair.kill(0);
    pair.until_member_of(1, 1);
    assert_eq!(pair.change(1, remove(&unit)), Some(Changed::Done));
    pair.kill(1);
    pair.deploy(&SERVICES);
    pair.start(1);
    pair.until_member_of(1, 1);
    assert_eq!(pair.change(1, activate("alpha")), Some(Changed::Done));
    pair.say(1, "c1 start; fire begin 1 begin");
    pair.deploy(&SERVICES[2..]);
    pair.start(0);
    pair.until_whole();
    pair.kill(1);
    pair.until_member_of(0, 1);
    pair.pass_ms(1_000);
    pair.deploy(&SERVICES);
    pair.start(1);
    pair.until_whole();
    pair.kill(0);
    pair.until_member_of(1, 1);
    take_trace();
    pair.say(1, "c1 fire tick 1 after");
    assert_eq!(take_trace(), ["alpha1 after", "beta2 after"]);
}
