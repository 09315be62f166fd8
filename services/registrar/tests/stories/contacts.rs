//! What a REGISTER does to the contacts: RFC 3261 §10.3 steps 6 to 8.

use crate::harness::{World, contact, ok, status};
use resilee_registrar::{
    CALL_ID_BYTES_MAX, CONTACT_URI_BYTES_MAX, CONTACTS_MAX, EXPIRES_MAX_S, EXPIRES_MIN_S,
    NONCES_MAX,
};
use resilee_sip_api::{Binding, Register, SipCommand};

const DESK: &str = "sip:alice@192.0.2.1:5060";
const MOBILE: &str = "sip:alice@198.51.100.2:40000";

#[test]
fn a_contact_is_stored_with_where_it_came_from() {
    let mut world = World::new();
    let register = world.register(&[Binding { q_thousandths: 700, ..contact(DESK) }]);
    assert_eq!(world.send(&register), ok(&["<sip:alice@192.0.2.1:5060>;expires=3600;q=0.700"]));
    let row = world.row().expect("registered");
    let stored = &row.contacts[0];
    assert_eq!((stored.uri.as_str(), stored.source.as_str()), (DESK, "192.0.2.1:5060"));
    assert_eq!((stored.call_id.as_str(), stored.cseq), ("phone-1", 1));
    assert_eq!((row.nonces[0].nonce.as_str(), row.nonces[0].count), ("nonce-1", 1));
    assert_eq!(stored.expires_at.since(world.now).as_secs(), 3600);
}

#[test]
fn a_refresh_prolongs_its_contact_and_leaves_the_other() {
    let mut world = World::new();
    world.registered(&[DESK, MOBILE]);
    world.pass(1000);
    let refresh = world.register(&[contact(MOBILE)]);
    let desk = "<sip:alice@192.0.2.1:5060>;expires=2600";
    assert_eq!(world.send(&refresh), ok(&[desk, "<sip:alice@198.51.100.2:40000>;expires=3600"]));
}

#[test]
fn a_query_lists_the_contacts_and_changes_none() {
    let mut world = World::new();
    world.registered(&[DESK]);
    world.pass(600);
    let query = world.register(&[]);
    assert_eq!(world.send(&query), ok(&["<sip:alice@192.0.2.1:5060>;expires=3000"]));
    world.pass(3000);
    let query = world.register(&[]);
    assert_eq!(world.send(&query), ok(&[]));
    assert_eq!(world.uris().len(), 0, "expired");
}

#[test]
fn the_last_contact_goes_and_what_it_used_up_stays() {
    let mut world = World::new();
    world.registered(&[DESK, MOBILE]);
    let remove = world.register(&[Binding { expires_s: Some(0), ..contact(DESK) }]);
    assert_eq!(world.send(&remove), ok(&["<sip:alice@198.51.100.2:40000>;expires=3600"]));
    assert_eq!(world.uris(), [MOBILE]);
    let remove = Register { expires_s: Some(0), ..world.register(&[contact(MOBILE)]) };
    assert_eq!(world.send(&remove), ok(&[]));
    let row = world.row().unwrap();
    assert_eq!((row.contacts.len(), row.nonces[0].count), (0, 3));
}

#[test]
fn expired_contacts_are_dropped_when_the_row_is_rewritten() {
    let mut world = World::new();
    let short = Register { expires_s: Some(60), ..world.register(&[contact(DESK)]) };
    world.send(&short);
    world.pass(60);
    world.registered(&[MOBILE]);
    assert_eq!(world.uris(), [MOBILE]);
}

#[test]
fn a_star_removes_everything_and_only_with_expires_0() {
    let mut world = World::new();
    world.registered(&[DESK, MOBILE]);
    let star = Register { wildcard: true, expires_s: Some(60), ..world.register(&[]) };
    assert_eq!(status(&world.send(&star)), 400);
    let star = Register { wildcard: true, ..world.register(&[]) };
    assert_eq!(status(&world.send(&star)), 400);
    let both = Register { wildcard: true, expires_s: Some(0), ..world.register(&[contact(DESK)]) };
    assert_eq!(status(&world.send(&both)), 400);
    assert_eq!(world.uris().len(), 2);
    let star = Register { wildcard: true, expires_s: Some(0), ..world.register(&[]) };
    assert_eq!(world.send(&star), ok(&[]));
    assert!(world.uris().is_empty());
    assert_eq!(world.send(&star), ok(&[]), "the same again");
}

#[test]
fn a_register_that_was_overtaken_changes_nothing() {
    let mut world = World::new();
    let mut late = world.register(&[contact(MOBILE), contact(DESK)]);
    world.registered(&[DESK]);
    late.credentials.as_mut().unwrap().nonce = "nonce-0".to_owned();
    resign(&mut late);
    assert_eq!(status(&world.send(&late)), 500);
    assert_eq!(status(&world.send(&late)), 500, "a retransmission gets the same");
    let star = Register { wildcard: true, expires_s: Some(0), bindings: Vec::new(), ..late };
    assert_eq!(status(&world.send(&star)), 500, "another one, and no star of before");
    assert_eq!(world.uris(), [DESK]);
}

/// A REGISTER of a phone that was started again, and has kept its Call-ID and begun to count anew.
fn rebooted(world: &mut World, bindings: &[Binding]) -> Register {
    let first = world.row().expect("registered").contacts[0].cseq;
    let mut register = Register { cseq: first, ..world.register(bindings) };
    register.credentials.as_mut().expect("credentials").nonce = "nonce-of-now".to_owned();
    resign(&mut register);
    register
}

/// RFC 3261 §10.3 step 7: to the contact that has its CSeq it changes nothing, and it must not hear
/// that it had.
#[test]
fn a_rebooted_phone_that_counts_from_one_again_hears_that_nothing_has_changed() {
    let mut world = World::new();
    world.registered(&[DESK]);
    world.pass(1_000);
    let again = rebooted(&mut world, &[contact(DESK)]);
    assert_eq!(status(&world.send(&again)), 500);
    let off = Register { expires_s: Some(0), ..rebooted(&mut world, &[contact(DESK)]) };
    assert_eq!(status(&world.send(&off)), 500);
    let star = Register { wildcard: true, expires_s: Some(0), ..rebooted(&mut world, &[]) };
    assert_eq!(status(&world.send(&star)), 500);
    let query = rebooted(&mut world, &[]);
    assert_eq!(world.send(&query), ok(&[&format!("<{DESK}>;expires=2600")]));
}

/// Step 7 again: a CSeq is compared with that of its contact, and this one has none.
#[test]
fn a_rebooted_phone_at_another_address_is_registered_there() {
    let mut world = World::new();
    world.registered(&[DESK]);
    let moved = rebooted(&mut world, &[contact(MOBILE)]);
    let both = [DESK, MOBILE].map(|uri| format!("<{uri}>;expires=3600"));
    assert_eq!(world.send(&moved), ok(&[&both[0], &both[1]]));
    let writes = world.writes;
    assert_eq!(world.send(&moved), ok(&[&both[0], &both[1]]), "a retransmission");
    assert_eq!((world.writes, world.uris()), (writes, vec![DESK.into(), MOBILE.into()]));
}

/// Its answer was lost: it must not take a refusal for a success.
#[test]
fn a_refused_register_that_comes_again_is_refused_again() {
    let mut world = World::new();
    let short = Register { expires_s: Some(1), ..world.register(&[contact(DESK)]) };
    let answer = world.send(&short);
    assert_eq!((status(&answer), world.send(&short)), (423, answer));
    world.registered(&[DESK]);
    for number in 1..CONTACTS_MAX {
        world.registered(&[&format!("sip:{number}@192.0.2.1")]);
    }
    let more = world.register(&[contact(MOBILE)]);
    assert_eq!((status(&world.send(&more)), status(&world.send(&more))), (403, 403));
}

#[test]
fn a_restarted_phone_may_count_from_one_in_a_new_call_id() {
    let mut world = World::new();
    world.registered(&[DESK]);
    world.registered(&[DESK]);
    let mut restarted = world.register(&[contact(DESK)]);
    (restarted.call_id, restarted.cseq) = ("phone-1-restarted".to_owned(), 1);
    assert_eq!(status(&world.send(&restarted)), 200);
    assert_eq!(world.row().unwrap().contacts[0].call_id, "phone-1-restarted");
}

#[test]
fn a_time_that_is_too_short_is_refused_and_one_that_is_too_long_shortened() {
    let mut world = World::new();
    let short = Binding { expires_s: Some(EXPIRES_MIN_S - 1), ..contact(DESK) };
    let short = world.register(&[contact(MOBILE), short]);
    let min_expires = vec![("Min-Expires".to_owned(), "60".to_owned())];
    let refused = SipCommand::Respond { status: 423, reason: String::new(), headers: min_expires };
    assert_eq!(world.send(&short), refused);
    assert!(world.uris().is_empty(), "all contacts or none");
    let long = Register { expires_s: Some(u32::MAX), ..world.register(&[contact(DESK)]) };
    assert_eq!(world.send(&long), ok(&[&format!("<{DESK}>;expires={EXPIRES_MAX_S}")]));
}

#[test]
fn the_time_of_a_contact_goes_before_that_of_the_request() {
    let mut world = World::new();
    let desk = Binding { expires_s: Some(120), ..contact(DESK) };
    let register = Register { expires_s: Some(600), ..world.register(&[desk, contact(MOBILE)]) };
    let contacts = [format!("<{DESK}>;expires=120"), format!("<{MOBILE}>;expires=600")];
    assert_eq!(world.send(&register), ok(&[&contacts[0], &contacts[1]]));
}

#[test]
fn one_contact_too_many_is_refused_and_a_full_row_fits() {
    let mut world = World::new();
    let call_id = "i".repeat(CALL_ID_BYTES_MAX);
    for number in 0..CONTACTS_MAX {
        let uri = format!("sip:{number}@{}", "h".repeat(CONTACT_URI_BYTES_MAX - 6));
        let register = world.register(&[contact(&uri)]);
        let register = Register { call_id: call_id.clone(), ..register };
        assert_eq!(status(&world.send(&register)), 200);
    }
    let full = world.uris();
    let register = world.register(&[contact(DESK)]);
    assert_eq!(status(&world.send(&register)), 403);
    let swap = [Binding { expires_s: Some(0), ..contact(&full[0]) }, contact(DESK)];
    let swap = world.register(&swap);
    assert_eq!(status(&world.send(&swap)), 200);
    assert_eq!(world.uris().len(), CONTACTS_MAX);
    for number in 1..NONCES_MAX {
        let mut query = world.register(&[]);
        query.credentials.as_mut().unwrap().nonce = format!("{number:064}");
        resign(&mut query);
        assert_eq!(status(&world.send(&query)), 200);
    }
    assert_eq!(world.row().unwrap().nonces.len(), NONCES_MAX);
}

#[test]
fn a_contact_that_would_break_our_own_header_is_refused() {
    let mut world = World::new();
    let long = format!("sip:{}@h", "u".repeat(CONTACT_URI_BYTES_MAX));
    for uri in ["", "sip:a@h>;x=<", "sip:a b@h", "sip:a@h\r\nVia: x", &long] {
        let register = world.register(&[contact(uri)]);
        assert_eq!(status(&world.send(&register)), 400, "{uri:?}");
    }
    let call_id = "i".repeat(CALL_ID_BYTES_MAX + 1);
    let register = Register { call_id, ..world.register(&[contact(DESK)]) };
    assert_eq!(status(&world.send(&register)), 400);
    assert!(world.uris().is_empty());
}

#[test]
fn the_same_contact_twice_in_one_register_is_one_contact() {
    let mut world = World::new();
    world.registered(&[DESK, DESK]);
    assert_eq!(world.uris(), [DESK]);
}

/// Credentials for what the test changed.
fn resign(register: &mut Register) {
    let credentials = register.credentials.as_mut().expect("credentials");
    crate::harness::sign(credentials, &crate::harness::account("alice"));
}
