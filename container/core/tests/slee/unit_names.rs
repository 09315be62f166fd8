//! Names that an uploaded service, its child SBBs and its profile tables may not take: those that
//! somebody else goes by.

use crate::pair::Pair;
use crate::script;
use crate::toy::{SERVICES, WALLET};
use crate::units::{has, remove, unit, upload};
use resilee_core::management::Changed;
use resilee_sbb::{
    ChildRelation, Context, Deployment, Descriptor, Event, Failure, LinkedSbb, Permission, Sbb,
    Tables, UsageParameter, encode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BYTES: &[u8] = b"a component";
const OTHER: &[u8] = b"another component";

/// SBBs that do nothing, and are called as they should not be.
const SBBS: [Descriptor; 9] = [
    Descriptor::named("slee.audit"),
    Descriptor::named("life-cycle"),
    Descriptor::named("toy"),
    Descriptor { children: &[child::<4>()], ..Descriptor::named("thief") },
    Descriptor::named("keeper"),
    Descriptor::named("left"),
    Descriptor {
        deployment: Deployment { permissions: &[Permission::Write("coins")], ..Deployment::ALONE },
        ..Descriptor::named("mint")
    },
    Descriptor { usage: &[UsageParameter::counter("seen")], ..Descriptor::named("meter") },
    Descriptor { usage: &[UsageParameter::counter("heard")], ..Descriptor::named("meter") },
];

const fn child<const N: usize>() -> ChildRelation {
    ChildRelation { name: "child", sbb: sbb::<N>(), priority: 0 }
}

const fn sbb<const N: usize>() -> LinkedSbb {
    LinkedSbb::of::<Idle<N>>()
}

#[derive(Default, Serialize, Deserialize)]
struct Idle<const N: usize>;

impl<const N: usize> Sbb for Idle<N> {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        SBBS[N]
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

fn pair(services: &[LinkedSbb], tables: Tables, uploaded: LinkedSbb) -> Pair {
    script::clear();
    let mut pair = Pair::of(services, tables);
    pair.units = [(BYTES.to_vec(), uploaded)].into();
    pair.whole()
}

/// Why it is deployed at neither node.
#[track_caller]
fn problem(services: &[LinkedSbb], tables: Tables, uploaded: LinkedSbb) -> String {
    let mut pair = pair(services, tables, uploaded);
    let name = uploaded.descriptor().name;
    let id = upload(&mut pair, 0, name, BYTES);
    assert!(!has(&pair, 0, name) && !has(&pair, 1, name));
    let problem = unit(&pair, 0, &id).problem.expect("a problem");
    assert_eq!(unit(&pair, 1, &id).problem.as_ref(), Some(&problem));
    let text = problem.strip_prefix(&format!("{name} is not deployed here: ")).expect("a reason");
    text.split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn a_unit_does_not_call_itself_as_the_container_or_an_adaptor() {
    for uploaded in [sbb::<0>(), sbb::<1>(), sbb::<2>()] {
        let name = uploaded.descriptor().name;
        let expected = format!(
            "its SBB {name} is a name of the container or of a resource adaptor: call it otherwise"
        );
        assert_eq!(problem(&SERVICES, Tables::default(), uploaded), expected);
    }
}

/// It could write attributes that are that one's own.
#[test]
fn a_unit_has_no_sbb_of_the_name_of_another_service_s() {
    let expected =
        "its child SBB keeper has the name of a service that is deployed: call it otherwise";
    assert_eq!(problem(&SERVICES, Tables::default(), sbb::<3>()), expected);
    let expected = "alpha has a child SBB left: call the service otherwise";
    assert_eq!(problem(&SERVICES, Tables::default(), sbb::<5>()), expected);
}

/// From then on that service could write nothing any more.
#[test]
fn a_unit_makes_no_profile_table_of_rows_that_a_service_writes() {
    let services = [SERVICES[3], sbb::<6>()];
    let expected = "it declares the profile table coins, which mint writes as rows of its own: \
                    call the table otherwise";
    assert_eq!(problem(&services, Tables::default(), WALLET), expected);
}

/// Whichever has the lower id: a node that starts again would lack the other one for good.
#[test]
fn of_two_units_that_are_after_one_table_a_node_that_comes_back_has_the_first_one_too() {
    for [first, later] in [[b"zz", b"aa"], [b"aa", b"zz"]] {
        let mut pair = pair(&SERVICES, Tables::default(), sbb::<7>());
        pair.units = [(first.to_vec(), WALLET), (later.to_vec(), sbb::<6>())].into();
        let name = WALLET.descriptor().name;
        upload(&mut pair, 0, name, first);
        pair.pass_ms(10);
        upload(&mut pair, 0, "mint", later);
        for node in [1, 0] {
            pair.kill(node);
            pair.until_member(1 - node);
            pair.start(node);
            pair.until_whole();
            assert!(has(&pair, node, name) && has(&pair, node, "mint"));
        }
    }
}

#[test]
fn a_unit_makes_no_profile_table_of_rows_that_are_no_profiles() {
    let expected = "it declares the profile table coins, under whose name there are rows that are \
                    no profiles of it: call the table otherwise";
    for row in [encode(&"no map"), encode(&BTreeMap::from([("weight", 1)])), encode(&[1, 2])] {
        let mut tables = Tables::default();
        tables.put("coins", "one", row.expect("plain data"));
        assert_eq!(problem(&SERVICES, tables, WALLET), expected);
    }
}

#[test]
fn a_service_of_a_name_that_was_there_counts_what_it_declares_itself() {
    let mut pair = pair(&SERVICES, Tables::default(), sbb::<7>());
    pair.units.insert(OTHER.to_vec(), sbb::<8>());
    let declared = |pair: &Pair, node: usize| {
        let meter = pair.status(node).services.into_iter().find(|it| it.name == "meter");
        let usage = meter.and_then(|it| it.usage).expect("usage parameters");
        usage.sets[0].counters.keys().cloned().collect::<Vec<_>>()
    };
    let first = upload(&mut pair, 0, "meter", BYTES);
    assert_eq!(
        (declared(&pair, 0), declared(&pair, 1)),
        (vec!["seen".into()], vec!["seen".into()])
    );
    assert_eq!(pair.change(0, remove(&first)), Some(Changed::Done));
    for node in [0, 1] {
        assert!(pair.status(node).tracers.iter().all(|tracer| tracer.name != "meter"));
    }
    upload(&mut pair, 0, "meter", OTHER);
    assert_eq!(declared(&pair, 0), ["heard"]);
    assert_eq!(declared(&pair, 1), ["heard"]);
}
