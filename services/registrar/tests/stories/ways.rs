//! Which phone a contact is of (RFC 5626), and by which proxies it is reached (RFC 3327).

use crate::harness::{World, contact, status};
use resilee_registrar::{INSTANCE_BYTES_MAX, PATH_BYTES_MAX};
use resilee_sip_api::{Binding, Register, SipCommand};

const BEFORE: &str = "sip:alice@192.0.2.1:5060";
const AFTER: &str = "sip:alice@192.0.2.1:40123";
const DESK: &str = "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";
const EDGE: &str = "<sip:edge.example.com;lr>";

fn of(instance: &str, uri: &str) -> Binding {
    Binding { instance: Some(instance.to_owned()), ..contact(uri) }
}

fn by_way(instance: &str, reg_id: u32, uri: &str) -> Binding {
    Binding { reg_id: Some(reg_id), ..of(instance, uri) }
}

/// Registers it under a Call-ID of its own: the phone was started again.
#[track_caller]
fn restarted(world: &mut World, call_id: &str, bindings: &[Binding]) -> SipCommand {
    let register = world.register(bindings);
    let answer = world.send(&Register { call_id: call_id.to_owned(), ..register });
    assert_eq!(status(&answer), 200);
    answer
}

#[test]
fn a_phone_that_comes_back_under_another_address_replaces_its_contact() {
    let mut world = World::new();
    restarted(&mut world, "first", &[of(DESK, BEFORE)]);
    let answer = restarted(&mut world, "second", &[of(DESK, AFTER)]);
    assert_eq!(world.uris(), [AFTER]);
    let SipCommand::Respond { headers, .. } = answer else { panic!() };
    let expected = format!("<{AFTER}>;expires=3600;+sip.instance=\"{DESK}\"");
    assert_eq!(headers, [("Contact".to_owned(), expected)]);
}

#[test]
fn another_phone_and_one_that_does_not_say_which_it_is_replace_nothing() {
    let mut world = World::new();
    restarted(&mut world, "first", &[of(DESK, BEFORE)]);
    restarted(&mut world, "second", &[of("<urn:uuid:other>", AFTER)]);
    restarted(&mut world, "third", &[contact("sip:alice@192.0.2.9")]);
    assert_eq!(world.uris().len(), 3);
}

/// Registers it as a phone over TCP does that does not say which it is.
fn by_tcp(world: &mut World, port: u16, uri: &str) -> u16 {
    let source = format!("192.0.2.1:{port};transport=tcp");
    let register = Register { source, ..world.register(&[contact(uri)]) };
    status(&world.send(&register))
}

/// Its Contact has the port of its connection: each time it connects it is another one.
#[test]
fn a_phone_over_tcp_that_connects_again_replaces_its_contact() {
    let mut world = World::new();
    for port in 40_000..40_020 {
        let uri = format!("sip:alice@192.0.2.1:{port};transport=tcp");
        assert_eq!(by_tcp(&mut world, port, &uri), 200);
        assert_eq!(world.uris(), [uri]);
    }
    assert_eq!(by_tcp(&mut world, 5061, "sip:alice@[2001:db8::1]:5061;transport=tcp"), 200);
    assert_eq!(by_tcp(&mut world, 5062, "sip:alice@[2001:db8::1]:5062;transport=tcp"), 200);
    assert_eq!(by_tcp(&mut world, 5063, "sip:[2001:db8::1]:5063;transport=tcp"), 200);
    assert_eq!(by_tcp(&mut world, 5064, "sip:bob@192.0.2.1:5064;transport=tcp"), 200);
    assert_eq!(
        world.uris()[1..],
        [
            "sip:alice@[2001:db8::1]:5062;transport=tcp",
            "sip:[2001:db8::1]:5063;transport=tcp",
            "sip:bob@192.0.2.1:5064;transport=tcp",
        ]
    );
}

#[test]
fn a_phone_over_tcp_replaces_no_contact_of_another_one() {
    let mut world = World::new();
    assert_eq!(by_tcp(&mut world, 40_000, "sip:alice@192.0.2.1:40000;transport=tcp"), 200);
    // Another phone behind the same NAT, and one that has several ports over UDP.
    let second = world.register(&[contact("sip:alice@192.0.2.1:40001;transport=tcp")]);
    let source = "192.0.2.1:40001;transport=tcp".to_owned();
    let second = Register { source, call_id: "second".to_owned(), ..second };
    assert_eq!(status(&world.send(&second)), 200);
    world.registered(&["sip:alice@192.0.2.1:5060"]);
    world.registered(&["sip:alice@192.0.2.1:5070"]);
    assert_eq!(world.uris().len(), 4);
    // Two at once are two, and both are replaced together.
    let mut world = World::new();
    for ports in [(40_000, 40_001), (40_002, 40_003)] {
        let (one, other) = ports;
        let source = format!("192.0.2.1:{one};transport=tcp");
        let uris = [one, other].map(|port| format!("sip:alice@192.0.2.1:{port};transport=tcp"));
        let register = world.register(&[contact(&uris[0]), contact(&uris[1])]);
        assert_eq!(status(&world.send(&Register { source, ..register })), 200);
        assert_eq!(world.uris(), uris);
    }
}

#[test]
fn each_way_to_a_phone_is_a_contact_of_its_own() {
    let mut world = World::new();
    restarted(&mut world, "first", &[by_way(DESK, 1, BEFORE)]);
    restarted(&mut world, "second", &[by_way(DESK, 2, AFTER)]);
    assert_eq!(world.uris(), [BEFORE, AFTER]);
    restarted(&mut world, "third", &[by_way(DESK, 2, "sip:alice@192.0.2.1:40124")]);
    assert_eq!(world.uris(), [BEFORE, "sip:alice@192.0.2.1:40124"]);
    let contacts = world.row().unwrap().contacts;
    assert_eq!(contacts[1].reg_id, Some(2));
}

/// Over TCP a phone may write the same Contact for each of its connections (RFC 5626 §6).
#[test]
fn two_ways_to_a_phone_may_have_one_uri() {
    let mut world = World::new();
    for (call_id, way) in [("first", 1), ("second", 2), ("third", 1)] {
        restarted(&mut world, call_id, &[by_way(DESK, way, BEFORE)]);
    }
    let ways = |world: &World| {
        let contacts = world.row().map(|row| row.contacts).unwrap_or_default();
        contacts.into_iter().map(|contact| (contact.call_id, contact.reg_id)).collect::<Vec<_>>()
    };
    let both = [("third".to_owned(), Some(1)), ("second".to_owned(), Some(2))];
    assert_eq!((ways(&world), world.uris()), (both.to_vec(), vec![BEFORE.into(), BEFORE.into()]));
    let off = Binding { expires_s: Some(0), ..by_way(DESK, 2, BEFORE) };
    restarted(&mut world, "fourth", &[off]);
    assert_eq!(ways(&world), both[..1]);
}

/// Each in a home of its own, behind a NAT.
#[test]
fn two_phones_may_have_one_private_address() {
    let mut world = World::new();
    let private = "sip:alice@192.168.1.10:5060";
    for (call_id, phone) in [("first", "<urn:uuid:1>"), ("second", "<urn:uuid:2>")] {
        restarted(&mut world, call_id, &[of(phone, private)]);
    }
    let phones: Vec<_> = world.row().unwrap().contacts.into_iter().map(|it| it.instance).collect();
    assert_eq!(phones, [Some("<urn:uuid:1>".to_owned()), Some("<urn:uuid:2>".to_owned())]);
}

/// An earlier program of it said nothing of itself.
#[test]
fn a_phone_that_begins_to_say_which_it_is_is_not_two() {
    let mut world = World::new();
    restarted(&mut world, "first", &[contact(BEFORE)]);
    restarted(&mut world, "second", &[of(DESK, BEFORE)]);
    restarted(&mut world, "third", &[by_way(DESK, 1, BEFORE)]);
    assert_eq!(world.uris(), [BEFORE]);
}

#[test]
fn two_contacts_that_a_phone_registers_at_once_are_two() {
    let mut world = World::new();
    restarted(&mut world, "first", &[of(DESK, BEFORE), of(DESK, AFTER)]);
    assert_eq!(world.uris(), [BEFORE, AFTER]);
}

#[test]
fn an_overtaken_register_does_not_bring_the_old_address_of_a_phone_back() {
    let mut world = World::new();
    let late = world.register(&[of(DESK, BEFORE)]);
    let newer = world.register(&[of(DESK, AFTER)]);
    assert_eq!(status(&world.send(&newer)), 200);
    let mut late = Register { cseq: late.cseq, ..late };
    late.credentials.as_mut().unwrap().nonce = "nonce-0".to_owned();
    crate::harness::sign(late.credentials.as_mut().unwrap(), &crate::harness::account("alice"));
    assert_eq!(status(&world.send(&late)), 500);
    assert_eq!(world.uris(), [AFTER]);
}

/// It was started again, and has kept its Call-ID and not its CSeq: where it is now it would ring
/// beside where it was, and later be called where it is no more.
#[test]
fn a_phone_that_says_which_it_is_and_has_lost_count_is_refused_also_when_it_asks_again() {
    let mut world = World::new();
    let first = world.register(&[of(DESK, BEFORE)]);
    assert_eq!(status(&world.send(&first)), 200);
    let mut again = Register { cseq: first.cseq, ..world.register(&[of(DESK, AFTER)]) };
    again.credentials.as_mut().unwrap().nonce = "nonce-2".to_owned();
    crate::harness::sign(again.credentials.as_mut().unwrap(), &crate::harness::account("alice"));
    for _ in 0..2 {
        assert_eq!(status(&world.send(&again)), 500);
        assert_eq!(world.uris(), [BEFORE]);
    }
    let counted_on = world.register(&[of(DESK, AFTER)]);
    assert_eq!(status(&world.send(&counted_on)), 200);
    assert_eq!(world.uris(), [AFTER]);
}

#[test]
fn an_instance_that_would_break_our_own_header_is_passed_over() {
    let mut world = World::new();
    let long = "i".repeat(INSTANCE_BYTES_MAX + 1);
    for instance in ["", "a\";expires=0;x=\"", "a b", "\u{e9}", &long] {
        restarted(&mut world, instance, &[by_way(instance, 1, BEFORE)]);
        let stored = world.row().unwrap().contacts.remove(0);
        assert_eq!((stored.instance, stored.reg_id), (None, None), "{instance}");
    }
}

#[test]
fn a_contact_keeps_the_path_that_it_came_by_and_the_answer_repeats_it() {
    let mut world = World::new();
    let path = vec![EDGE.to_owned(), "<sip:10.0.0.1:5070;lr>".to_owned()];
    let register = Register { path: path.clone(), ..world.register(&[contact(BEFORE)]) };
    let SipCommand::Respond { status: 200, headers, .. } = world.send(&register) else { panic!() };
    let paths = headers.iter().filter(|(name, _)| name == "Path").map(|(_, value)| value);
    assert!(paths.eq(&path), "{headers:?}");
    assert_eq!(world.row().unwrap().contacts[0].path, path);
    world.registered(&[BEFORE]);
    assert!(world.row().unwrap().contacts[0].path.is_empty(), "it came directly this time");
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let mut world = World::new();
    let path = vec![format!("<sip:{};lr>", "h".repeat(PATH_BYTES_MAX))];
    let register = Register { path, ..world.register(&[contact(BEFORE)]) };
    assert_eq!(status(&world.send(&register)), 400);
    assert!(world.uris().is_empty());
}

/// Room for a row is limited (the container refuses a larger one, and the phone would get 500).
#[test]
fn contacts_whose_paths_fill_the_row_are_refused() {
    let mut world = World::new();
    let path = vec![format!("<sip:{};lr>", "h".repeat(PATH_BYTES_MAX - 11))];
    let mut register = |number: u32| {
        let register = world.register(&[contact(&format!("sip:{number}@h"))]);
        status(&world.send(&Register { path: path.clone(), ..register }))
    };
    let statuses: Vec<_> = (0..8).map(&mut register).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 403]);
}
