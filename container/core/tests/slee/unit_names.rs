//! Names that an uploaded service, its child SBBs and its profile tables may not take: those that
//! somebody else goes by.

use crate::pair::Pair;
use crate::script;
use crate::toy::{SERVICES, WALLET};
use crate::units::{has, remove, unit, upload};
use crate::upgrades::want;
use resilee_core::ALARM_SOURCES;
use resilee_core::management::{Changed, TableChange};
use resilee_sbb::{
    Attribute, AttributeKind, AttributeValue, ChildRelation, Context, Deployment, Descriptor,
    Event, Failure, InitialEvent, LinkedSbb, Permission, Profile, ProfileTable, Sbb, Tables,
    UsageParameter, encode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const BYTES: &[u8] = b"a component";
const OTHER: &[u8] = b"another component";

/// SBBs that do nothing, and are called as they should not be.
const SBBS: [Descriptor; 29] = [
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
    Descriptor { children: &[child::<10>()], ..Descriptor::named("pocket") },
    Descriptor::named("wallet"),
    Descriptor {
        deployment: Deployment { profile_tables: &[&HEAVY_COINS], ..Deployment::ALONE },
        ..Descriptor::named("scales")
    },
    Descriptor {
        deployment: Deployment { permissions: &[Permission::Write("coins")], ..Deployment::ALONE },
        ..Descriptor::named("second-mint")
    },
    Descriptor::named("meter.fast"),
    Descriptor {
        deployment: Deployment {
            profile_tables: &[&HEAVY_COINS],
            needs: &["meter"],
            ..Deployment::ALONE
        },
        ..Descriptor::named("purse")
    },
    Descriptor::named(ALARM_SOURCES[0]),
    Descriptor::named(ALARM_SOURCES[1]),
    Descriptor::named(ALARM_SOURCES[2]),
    Descriptor::named(ALARM_SOURCES[3]),
    Descriptor::named(ALARM_SOURCES[4]),
    Descriptor::named(ALARM_SOURCES[5]),
    Descriptor::named(ALARM_SOURCES[6]),
    Descriptor::named(ALARM_SOURCES[7]),
    Descriptor::named(ALARM_SOURCES[8]),
    with_tables("vault", &[&PINS]),
    with_tables("spy", &[&SHOWN_PINS]),
    with_tables("blind", &[&NO_PINS]),
    with_tables("safe", &[&PINS_AND_PUKS]),
    with_tables("spy-2", &[&PINS_AND_SHOWN_PUKS]),
];

/// What `wallet` declares, once it was thought over.
const HEAVY_COINS: ProfileTable = ProfileTable {
    name: "coins",
    about: "what there is, and its weight",
    attributes: &[
        Attribute::new("value", AttributeKind::Number { min: 1, max: 999 }),
        Attribute::new("grams", AttributeKind::Number { min: 1, max: 99 }).required(),
    ],
    named_by: &[],
    separator: "",
    profiles_max: 4,
};

/// What nobody is to see, and who would.
const PINS: ProfileTable = pins(&[OWNER, PIN.secret()]);
const SHOWN_PINS: ProfileTable = pins(&[OWNER, PIN]);
const NO_PINS: ProfileTable = pins(&[OWNER]);
const PINS_AND_PUKS: ProfileTable = pins(&[OWNER, PIN.secret(), PUK.secret()]);
const PINS_AND_SHOWN_PUKS: ProfileTable = pins(&[OWNER, PIN.secret(), PUK]);
const OWNER: Attribute = Attribute::new("owner", AttributeKind::Number { min: 0, max: 99 });
const PIN: Attribute = Attribute::new("pin", AttributeKind::Number { min: 0, max: 9_999 });
const PUK: Attribute = Attribute::new("puk", AttributeKind::Number { min: 0, max: 9_999 });

const fn pins(attributes: &'static [Attribute]) -> ProfileTable {
    ProfileTable {
        name: "pins",
        about: "",
        attributes,
        named_by: &[],
        separator: "",
        profiles_max: 4,
    }
}

const fn with_tables(
    name: &'static str,
    profile_tables: &'static [&'static ProfileTable],
) -> Descriptor {
    let deployment = Deployment { profile_tables, ..Deployment::ALONE };
    Descriptor { deployment, ..Descriptor::named(name) }
}

const fn child<const N: usize>() -> ChildRelation {
    ChildRelation { name: "child", sbb: sbb::<N>(), priority: 0 }
}

pub const fn sbb<const N: usize>() -> LinkedSbb {
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

pub fn pair(services: &[LinkedSbb], tables: Tables, uploaded: LinkedSbb) -> Pair {
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

/// Its alarms would be the container's.
#[test]
fn a_unit_does_not_call_itself_as_what_the_containers_alarms_come_from() {
    let all = [
        sbb::<15>(),
        sbb::<16>(),
        sbb::<17>(),
        sbb::<18>(),
        sbb::<19>(),
        sbb::<20>(),
        sbb::<21>(),
        sbb::<22>(),
        sbb::<23>(),
    ];
    assert_eq!(all.map(|it| it.descriptor().name), ALARM_SOURCES);
    for uploaded in all {
        let problem = problem(&SERVICES, Tables::default(), uploaded);
        assert!(problem.contains("is a name of the container"), "{problem}");
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

pub fn problem_of(pair: &Pair, node: usize, id: &str) -> Option<String> {
    unit(pair, node, id).problem
}

/// The last one waits for two, and is tried at both nodes, of which one has come back.
#[test]
fn a_unit_that_is_refused_is_deployed_once_nothing_is_in_its_way_any_more() {
    for comes_back in [None, Some(0), Some(1)] {
        let mut pair = pair(&SERVICES, Tables::default(), WALLET);
        pair.units.extend([(b"1".to_vec(), sbb::<6>()), (b"2".to_vec(), sbb::<12>())]);
        let mints = [upload(&mut pair, 0, "mint", b"1"), upload(&mut pair, 0, "second-mint", b"2")];
        let wallet = upload(&mut pair, 0, "wallet", BYTES);
        for (mint, name) in mints.iter().zip(["mint", "second-mint"]) {
            for node in [0, 1] {
                let problem = problem_of(&pair, node, &wallet).expect("a problem");
                assert!(problem.contains(&format!("coins, which {name} writes")), "{problem}");
                let mut alarms = pair.status(node).alarms;
                alarms.retain(|alarm| alarm.source == "unit");
                assert_eq!(alarms.len(), 1);
                assert_eq!(alarms[0].text, problem);
            }
            if let Some(node) = comes_back {
                pair.kill(node);
                pair.until_member(1 - node);
                pair.start(node);
                pair.until_whole();
            }
            assert_eq!(pair.change(0, remove(mint)), Some(Changed::Done));
        }
        for node in [0, 1] {
            assert!(has(&pair, node, "wallet"));
            assert_eq!(problem_of(&pair, node, &wallet), None);
            assert!(pair.status(node).alarms.iter().all(|alarm| alarm.source != "unit"));
        }
    }
}

#[test]
fn a_unit_is_deployed_once_the_rows_under_its_table_s_name_are_gone() {
    let mut tables = Tables::default();
    tables.put("coins", "one", encode(&[1, 2]).expect("plain data"));
    let mut pair = pair(&SERVICES, tables, WALLET);
    let wallet = upload(&mut pair, 0, "wallet", BYTES);
    assert!(problem_of(&pair, 0, &wallet).is_some());
    script::selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    script::on("chooser", "gone", |_, cx| {
        cx.remove_row("coins", "one");
        Ok(())
    });
    pair.say(0, "c1 start; fire choose 1 gone");
    assert!(has(&pair, 0, "wallet") && has(&pair, 1, "wallet"));
}

/// The one that is active was uploaded after the other one, which something that is gone was in the
/// way of.
fn two_that_take_one_name() -> Pair {
    let mut pair = pair(&SERVICES, Tables::default(), WALLET);
    pair.units.extend([(b"1".to_vec(), sbb::<6>()), (b"2".to_vec(), sbb::<9>())]);
    let mint = upload(&mut pair, 0, "mint", b"1");
    pair.pass_ms(10);
    upload(&mut pair, 0, "wallet", BYTES);
    pair.pass_ms(10);
    upload(&mut pair, 0, "pocket", b"2");
    want(&mut pair, &["pocket"], &[]);
    assert_eq!(pair.change(0, remove(&mint)), Some(Changed::Done));
    pair
}

#[test]
fn of_two_units_that_take_one_name_a_node_that_comes_back_has_the_one_that_calls_depend_on() {
    let mut pair = two_that_take_one_name();
    for node in [1, 0] {
        let problem = problem_of(&pair, node, &crate::units::id(BYTES)).expect("a problem");
        assert!(problem.contains("pocket has a child SBB wallet"), "{problem}");
        pair.kill(node);
        pair.until_member(1 - node);
        pair.start(node);
        pair.until_whole();
        assert!(has(&pair, node, "pocket") && !has(&pair, node, "wallet"));
    }
}

fn put_coin(attribute: &str, number: i64) -> TableChange {
    put("coins", attribute, number)
}

pub fn put(table: &str, attribute: &str, number: i64) -> TableChange {
    let mut profile = Profile::default();
    profile.attributes.insert(attribute.to_owned(), AttributeValue::Number(number));
    TableChange::PutProfile { table: table.to_owned(), name: "five".to_owned(), profile }
}

/// None of its rows fits the next schema.
#[test]
fn a_profile_table_that_a_unit_has_left_is_that_of_the_next_one_whatever_its_schema() {
    let mut pair = pair(&SERVICES, Tables::default(), WALLET);
    pair.units.insert(OTHER.to_vec(), sbb::<11>());
    let wallet = upload(&mut pair, 0, "wallet", BYTES);
    assert_eq!(pair.change(0, put_coin("worth", 5)), Some(Changed::Done));
    assert_eq!(pair.change(0, remove(&wallet)), Some(Changed::Done));
    pair.kill(0);
    pair.until_member(1);
    pair.start(0);
    pair.until_whole();
    upload(&mut pair, 0, "scales", OTHER);
    assert!(has(&pair, 0, "scales") && has(&pair, 1, "scales"));
    assert!(matches!(pair.change(0, put_coin("value", 5)), Some(Changed::Refused(_))));
    assert_eq!(pair.change(0, put_coin("grams", 5)), Some(Changed::Done));
}

/// What the other one may do without a permission: read what it declares, if nothing of it is
/// secret.
#[test]
fn a_unit_does_not_declare_what_a_removed_one_has_left_as_secret_for_anybody_to_read() {
    let mut pair = pair(&SERVICES, Tables::default(), sbb::<24>());
    let units = [sbb::<25>(), sbb::<26>(), sbb::<27>(), sbb::<28>()];
    pair.units.extend([b"1", b"2", b"3", b"4"].map(|it| it.to_vec()).into_iter().zip(units));
    let vault = upload(&mut pair, 0, "vault", BYTES);
    assert_eq!(pair.change(0, put("pins", "pin", 1_234)), Some(Changed::Done));
    assert_eq!(pair.change(0, remove(&vault)), Some(Changed::Done));
    pair.kill(0);
    pair.until_member(1);
    pair.start(0);
    pair.until_whole();
    let spies = [upload(&mut pair, 0, "spy", b"1"), upload(&mut pair, 0, "blind", b"2")];
    let (spy, blind) = (&spies[0], &spies[1]);
    for node in [0, 1] {
        let problem = |unit| problem_of(&pair, node, unit).expect("a problem");
        let text = "it declares the profile table pins, of which vault has left profiles with a \
                    secret attribute pin, and does not declare that as secret: do so, or upload \
                    vault again and remove the profiles";
        assert!(problem(spy).contains(text), "{}", problem(spy));
        assert!(problem(blind).contains(text), "{}", problem(blind));
    }
    // What more is secret then, is so from then on.
    let safe = upload(&mut pair, 0, "safe", b"3");
    assert!(has(&pair, 0, "safe") && has(&pair, 1, "safe"));
    assert_eq!(pair.change(0, put("pins", "puk", 5_678)), Some(Changed::Done));
    assert_eq!(pair.change(0, remove(&safe)), Some(Changed::Done));
    let spy = upload(&mut pair, 0, "spy-2", b"4");
    let problem = problem_of(&pair, 1, &spy).expect("a problem");
    assert!(problem.contains("safe has left profiles with a secret attribute puk"), "{problem}");
}

#[test]
fn what_was_secret_is_anybody_s_once_no_profile_is_left() {
    let mut pair = pair(&SERVICES, Tables::default(), sbb::<24>());
    pair.units.insert(b"1".to_vec(), sbb::<25>());
    let vault = upload(&mut pair, 0, "vault", BYTES);
    assert_eq!(pair.change(0, put("pins", "pin", 1_234)), Some(Changed::Done));
    assert_eq!(pair.change(0, remove(&vault)), Some(Changed::Done));
    let vault = upload(&mut pair, 0, "vault", BYTES);
    let (table, name) = ("pins".to_owned(), "five".to_owned());
    let gone = pair.change(0, TableChange::RemoveProfile { table, name });
    assert_eq!(gone, Some(Changed::Done));
    assert_eq!(pair.change(0, remove(&vault)), Some(Changed::Done));
    upload(&mut pair, 0, "spy", b"1");
    assert!(has(&pair, 0, "spy") && has(&pair, 1, "spy"));
}

/// Who owns the tables cannot compile what the first unit needs.
#[test]
fn a_profile_table_is_left_also_where_its_unit_was_not_deployed() {
    let mut pair = pair(&SERVICES, Tables::default(), sbb::<7>());
    pair.units.extend([(b"1".to_vec(), sbb::<14>()), (OTHER.to_vec(), WALLET)]);
    upload(&mut pair, 0, "meter", BYTES);
    let purse = upload(&mut pair, 0, "purse", b"1");
    assert_eq!(pair.change(0, put_coin("grams", 5)), Some(Changed::Done));
    pair.pass_ms(100);
    let lacking = pair.tables_owner();
    pair.kill(lacking);
    pair.until_member(1 - lacking);
    let meter = pair.units.remove(BYTES).expect("it is there");
    pair.start(lacking);
    pair.until_whole();
    pair.units.insert(BYTES.to_vec(), meter);
    pair.kill(1 - lacking);
    pair.until_member_of(lacking, 1);
    pair.start(1 - lacking);
    pair.until_whole();
    assert_eq!(pair.tables_owner(), lacking);
    assert!(has(&pair, 1 - lacking, "purse") && !has(&pair, lacking, "purse"));
    assert_eq!(pair.change(0, remove(&purse)), Some(Changed::Done));
    upload(&mut pair, 0, "wallet", OTHER);
    assert!(has(&pair, 0, "wallet") && has(&pair, 1, "wallet"));
}

/// It compiles them one after the other, and the one that calls depend on is not the first.
#[test]
fn a_joiner_has_the_one_of_two_units_that_calls_depend_on() {
    let mut pair = two_that_take_one_name();
    pair.kill(1);
    pair.until_member(0);
    pair.nodes[1].lose_files();
    pair.start(1);
    pair.until_whole();
    assert!(has(&pair, 1, "pocket") && !has(&pair, 1, "wallet"));
}

/// Its machine had too much to do at the first try, and the other one was compiled at once.
#[test]
fn a_joiner_has_the_one_that_calls_depend_on_also_if_it_has_to_try_again() {
    let mut pair = two_that_take_one_name();
    pair.kill(1);
    pair.until_member(0);
    pair.nodes[1].lose_files();
    pair.busy_once = Some(b"2".to_vec());
    pair.start(1);
    while !pair.is_whole() {
        pair.pass_ms(1);
        for unit in pair.status(1).units {
            assert_ne!(unit.problem.as_deref(), Some(""), "{}", unit.service);
            assert!(!unit.is_passing || unit.problem.is_some(), "{}", unit.service);
        }
    }
    assert_eq!(pair.busy_once, None);
    assert!(has(&pair, 1, "pocket") && !has(&pair, 1, "wallet"));
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

#[test]
fn tracers_of_a_service_stay_when_one_goes_whose_name_its_own_begins_with() {
    let mut pair = pair(&SERVICES, Tables::default(), sbb::<7>());
    pair.units.insert(OTHER.to_vec(), sbb::<13>());
    let meter = upload(&mut pair, 0, "meter", BYTES);
    upload(&mut pair, 0, "meter.fast", OTHER);
    assert_eq!(pair.change(0, remove(&meter)), Some(Changed::Done));
    for node in [0, 1] {
        let mut tracers = pair.status(node).tracers;
        tracers.retain(|tracer| tracer.name.starts_with("meter"));
        let names: Vec<_> = tracers.iter().map(|tracer| &*tracer.name).collect();
        assert_eq!(names, ["meter.fast"]);
    }
}
