//! What is read, and what is refused.

use crate::pair::Pair;
use crate::phone_book::{answer, failure, owners, pair, put, remove, reset, shown};
use resilee_core::management::{Changed, ProfileSource};

/// Why a change was refused.
fn refused(pair: &mut Pair, change: resilee_core::management::TableChange) -> String {
    match pair.change(0, change) {
        Some(Changed::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// The configuration is what a table begins with.
#[test]
fn a_configured_profile_is_read_until_it_is_written() {
    let mut pair = pair();
    let hall = |owner: &str, source| vec![("hall".to_owned(), owner.to_owned(), source)];
    assert_eq!(shown(&pair, 1), hall("ann", ProfileSource::Configured));
    assert_eq!(answer(&mut pair, "name=hall"), "ann");
    assert_eq!(pair.change(0, put("hall", &[("owner", "bob".into())])), Some(Changed::Done));
    for node in [0, 1] {
        assert_eq!(shown(&pair, node), hall("bob", ProfileSource::WrittenOver));
    }
    assert_eq!(pair.change(0, reset("hall")), Some(Changed::Done));
    for node in [0, 1] {
        assert_eq!(shown(&pair, node), hall("ann", ProfileSource::Configured));
    }
}

#[test]
fn a_configured_profile_that_was_removed_stays_away_also_after_restarts() {
    let mut pair = pair();
    assert_eq!(pair.change(0, remove("hall")), Some(Changed::Done));
    for node in [0, 1] {
        pair.kill(node);
        pair.pass_ms(500);
        pair.start(node);
        pair.until_whole();
        assert_eq!(owners(&pair, node), Vec::<String>::new());
    }
    assert_eq!(pair.change(0, reset("hall")), Some(Changed::Done));
    assert_eq!(
        (owners(&pair, 0), owners(&pair, 1)),
        (vec!["hall=ann".into()], vec!["hall=ann".into()])
    );
}

#[test]
fn what_was_written_wins_over_the_configuration_also_after_restarts() {
    let mut pair = pair();
    pair.change(0, put("hall", &[("owner", "bob".into())]));
    pair.change(0, put("attic", &[("owner", "eve".into())]));
    for node in [0, 1] {
        pair.kill(node);
        pair.pass_ms(500);
        pair.start(node);
        pair.until_whole();
        assert_eq!(owners(&pair, node), ["attic=eve", "hall=bob"]);
    }
}

/// Profiles are found by an indexed attribute.
#[test]
fn a_service_finds_profiles_by_an_indexed_attribute_as_they_are_now() {
    let mut pair = pair();
    pair.change(0, put("attic", &[("owner", "ann".into())]));
    assert_eq!(answer(&mut pair, "owner=ann"), "attic,hall");
    pair.change(1, put("hall", &[("owner", "bob".into())]));
    pair.change(1, remove("attic"));
    assert_eq!(answer(&mut pair, "owner=bob"), "hall");
}

#[test]
fn a_search_without_an_index_says_what_to_declare() {
    let mut pair = pair();
    let text = failure(&mut pair, "pin=ab12");
    let expected = "pin of phones has no index: declare the attribute as indexed";
    assert!(text.ends_with(expected), "{text}");
}

/// What the schema does not allow is refused, and nothing is changed.
#[test]
fn a_profile_that_breaks_the_schema_is_refused_with_table_profile_and_attribute() {
    let mut pair = pair();
    let wrong = refused(&mut pair, put("attic", &[("owner", "eve".into()), ("number", 0.into())]));
    let text = "profile \"attic\" of phones, attribute number: \"0\" is not a whole number from 1 \
                to 999";
    assert_eq!(wrong, text);
    let lacking = refused(&mut pair, put("attic", &[]));
    assert!(lacking.contains("attribute owner: it is required"), "{lacking}");
    assert_eq!(owners(&pair, 0), ["hall=ann"]);
}

#[test]
fn a_table_that_no_service_names_is_not_written() {
    let mut pair = pair();
    let change = resilee_core::management::TableChange::RemoveProfile {
        table: "slee.services".to_owned(),
        name: "front".to_owned(),
    };
    let text = "there is no profile table \"slee.services\": known are phones";
    assert_eq!(refused(&mut pair, change), text);
}

/// Two profiles do not have the same value of a unique attribute.
#[test]
fn a_value_that_must_be_unique_is_taken_once() {
    let mut pair = pair();
    let phone = |owner: &str| [("owner", owner.into()), ("number", 7.into())];
    assert_eq!(pair.change(0, put("a", &phone("ann"))), Some(Changed::Done));
    let taken = refused(&mut pair, put("b", &phone("bob")));
    assert!(taken.contains("attribute number: profile \"a\" has this value"), "{taken}");
    assert_eq!(pair.change(0, put("a", &[("owner", "ann".into())])), Some(Changed::Done));
    assert_eq!(pair.change(0, put("b", &phone("bob"))), Some(Changed::Done), "it is free again");
}

#[test]
fn a_full_table_takes_no_further_profile() {
    let mut pair = pair();
    for name in ["a", "b", "c"] {
        assert_eq!(pair.change(0, put(name, &[("owner", "ann".into())])), Some(Changed::Done));
    }
    let full = refused(&mut pair, put("d", &[("owner", "ann".into())]));
    assert!(full.contains("the table is full (4 profiles): remove one first"), "{full}");
    assert_eq!(pair.change(0, remove("a")), Some(Changed::Done));
    assert_eq!(pair.change(0, put("d", &[("owner", "ann".into())])), Some(Changed::Done));
}

#[test]
fn a_secret_that_is_not_given_stays() {
    let mut pair = pair();
    let pin = |pair: &Pair| {
        let core = pair.nodes[0].core.as_ref().expect("it lives");
        let hall = core.profiles("phones", "hall", 1).expect("declared").remove(0);
        hall.profile.attributes.get("pin").map(ToString::to_string)
    };
    pair.change(0, put("hall", &[("owner", "ann".into()), ("pin", "ab12".into())]));
    pair.change(0, put("hall", &[("owner", "bob".into())]));
    assert_eq!(pin(&pair), Some("ab12".to_owned()));
}

/// A service in a cell of the tables' cohort writes by the same schema.
#[test]
fn a_service_that_writes_what_is_no_profile_is_rolled_back() {
    let mut pair = pair();
    let owner = pair.tables_owner();
    pair.say(owner, "table begin");
    pair.say(owner, "table say put=attic");
    let alarms = pair.status(owner).alarms;
    let told = |alarm: &resilee_core::management::Alarm| alarm.text.contains("\"attic\" of phones");
    assert!(alarms.iter().any(told), "{alarms:?}");
    assert_eq!(owners(&pair, owner), ["hall=ann"]);
}
