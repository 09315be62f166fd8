//! Deployable units (JAIN SLEE 1.1 chapter 14), dependencies, and what keeps a service from being
//! deactivated or removed.

use crate::house_of_services::{ALL, change, make, pair, refused, service, state};
use crate::pair::Pair;
use resilee_core::management::ServiceState::{Active, Inactive};
use resilee_sbb::Tables;

#[test]
fn a_service_that_another_one_needs_is_not_deactivated() {
    let mut pair = pair();
    let reason = refused(&mut pair, change(&[], &["base"]));
    assert_eq!(reason, "till is active and needs base: deactivate till as well");
    assert_eq!(state(&pair, "base"), Active);
    assert_eq!(service(&pair, 0, "base").needed_by, ["till"]);
}

#[test]
fn a_service_is_not_activated_without_what_it_needs() {
    let mut pair = pair();
    make(&mut pair, 0, change(&[], &["till", "base"]));
    assert_eq!(service(&pair, 0, "base").needed_by, Vec::<String>::new());
    let reason = refused(&mut pair, change(&["till"], &[]));
    assert_eq!(reason, "till needs base: activate base as well");
    make(&mut pair, 0, change(&["till", "base"], &[]));
    assert_eq!((state(&pair, "till"), state(&pair, "base")), (Active, Active));
}

/// A deployable unit stands for all its services.
#[test]
fn a_unit_is_deactivated_and_activated_as_a_whole() {
    let mut pair = pair();
    make(&mut pair, 0, change(&[], &["shop"]));
    assert_eq!((state(&pair, "till"), state(&pair, "base")), (Inactive, Inactive));
    make(&mut pair, 0, change(&["shop"], &[]));
    assert_eq!((state(&pair, "till"), state(&pair, "base")), (Active, Active));
}

#[test]
fn what_is_not_deployed_or_contradicts_itself_is_refused() {
    let mut pair = pair();
    let unknown = refused(&mut pair, change(&["conter"], &[]));
    let expected = "has no service or unit \"conter\" deployed: deployed are counter, counter-2";
    assert!(unknown.contains(expected), "{unknown}");
    let both = refused(&mut pair, change(&["counter"], &["counting"]));
    assert_eq!(both, "counter is to be activated and deactivated: name it once");
    let none = refused(&mut pair, change(&[], &[]));
    assert_eq!(none, "no service is named: name one to activate or to deactivate");
}

/// The alarms of a node about life cycles.
fn alarms(pair: &Pair, node: usize) -> Vec<String> {
    let alarms = pair.status(node).alarms.into_iter();
    alarms.filter(|alarm| alarm.source == "life-cycle").map(|alarm| alarm.text).collect()
}

/// A node is started without a service that still has entities.
#[test]
fn a_node_without_a_service_that_has_entities_says_so_until_they_are_gone() {
    let mut pair = pair();
    pair.say(0, "c1 begin");
    pair.kill(1);
    pair.pass_ms(500);
    pair.deploy(&ALL[1..]);
    pair.start(1);
    pair.until_whole();
    let text = "there are entities of counter, which is not deployed here: they get no events; \
                deploy it until they are gone";
    assert_eq!(alarms(&pair, 1), [text]);
    pair.say(0, "c1 end");
    pair.kill(0);
    pair.pass_ms(1_000);
    assert_eq!(alarms(&pair, 1), Vec::<String>::new());
}

#[test]
fn a_node_without_a_service_that_is_activated_says_so() {
    let mut pair = Pair::of(&ALL[..1], Tables::default());
    pair.start(0);
    pair.pass_ms(100);
    pair.deploy(&ALL);
    pair.start(1);
    pair.until_whole();
    pair.kill(0);
    pair.pass_ms(1_000);
    make(&mut pair, 1, change(&["counter-2"], &[]));
    pair.deploy(&ALL[..1]);
    pair.start(0);
    pair.until_whole();
    let text = "counter-2 is active in the cluster and not deployed here: deploy it, or deactivate \
                it at a node that has it";
    assert_eq!(alarms(&pair, 0), [text]);
}
