//! Where an admitted request goes.

use crate::harness::{NOW, Server, contact, invite, party, request, target};
use resilee_call_control::TARGETS_MAX;
use resilee_sbb::encode;
use resilee_sip_api::{
    ACCOUNTS, Account, Contact, Invite, OtherRequest, Party, REGISTRATIONS, Registrations,
    SipCommand, Target,
};

#[test]
fn a_call_goes_to_where_the_callee_registered_from() {
    let targets = Server::new().send(&invite("alice", "bob")).targets();
    assert_eq!(targets, [target(1)]);
    assert_eq!(targets[0].uri, "sip:phone1@10.0.0.1");
    assert_eq!(targets[0].destination, "192.0.2.1:5060");
}

#[test]
fn all_live_phones_ring_and_the_preferred_come_first() {
    let mut server = Server::new();
    let phones = [contact(1, 600, 300), contact(2, 0, 1000), contact(3, 1, 900)];
    server.register("bob", &phones);
    assert_eq!(server.send(&invite("alice", "bob")).targets(), [target(3), target(1)]);
}

#[test]
fn of_too_many_phones_the_preferred_ring() {
    let mut server = Server::new();
    let phones: Vec<_> = (1..=9).map(|n| contact(n, 600, u16::from(n) * 100)).collect();
    server.register("bob", &phones);
    let targets = server.send(&invite("alice", "bob")).targets();
    assert_eq!(targets.len(), TARGETS_MAX);
    assert_eq!(targets, [target(9), target(8), target(7), target(6)]);
}

#[test]
fn a_callee_that_is_not_registered_is_unavailable_and_an_unknown_one_not_found() {
    let mut server = Server::new();
    assert_eq!(server.send(&invite("bob", "alice")).status(), 480);
    server.register("bob", &[contact(1, 0, 1000)]);
    assert_eq!(server.send(&invite("alice", "bob")).status(), 480, "expired");
    assert_eq!(server.send(&invite("alice", "carol")).status(), 404);
    let nobody = Invite { callee: Default::default(), ..invite("alice", "bob") };
    assert_eq!(server.send(&nobody).status(), 404);
}

#[test]
fn a_request_of_any_method_goes_the_way_of_a_call() {
    let server = Server::new();
    for method in ["MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH", "DANCE"] {
        let reaction = server.send(&request(method, "sip:bob@EXAMPLE.com:5060;transport=udp"));
        assert_eq!(reaction.targets(), [target(1)], "{method}");
    }
    assert_eq!(server.send(&request("MESSAGE", "sip:alice@example.com")).status(), 480);
    assert_eq!(server.send(&request("MESSAGE", "sip:carol@example.com")).status(), 404);
}

/// RFC 3261 §19.1.4: an escape is what it stands for.
#[test]
fn a_request_of_any_method_finds_a_callee_whose_name_is_written_with_escapes() {
    let mut message = request("MESSAGE", "sip:%62ob@example.com");
    message.callee = party("bob");
    assert_eq!(Server::new().send(&message).targets(), [target(1)]);
}

/// What it answers with, and the methods of its Allow.
fn allowed(request: &OtherRequest) -> (u16, Vec<String>) {
    let reaction = Server::new().send(request);
    let status = reaction.status();
    let Some(SipCommand::Respond { headers, .. }) = reaction.command else { unreachable!() };
    assert_eq!((headers.len(), headers[0].0.as_str()), (1, "Allow"));
    (status, headers[0].1.split(", ").map(str::to_owned).collect())
}

/// RFC 3261 §11.2: a proxy tells what it can itself, and so all that it passes on.
#[test]
fn options_to_the_server_itself_tell_what_it_allows_without_a_password() {
    let mut options = request("OPTIONS", "sip:example.com");
    options.credentials = None;
    let (status, methods) = allowed(&options);
    assert_eq!(status, 200);
    let of_calls = ["INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO"];
    let of_others = ["OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER"];
    let missing = of_calls.into_iter().chain(of_others);
    let missing: Vec<_> = missing.filter(|it| methods.iter().all(|told| told != it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// RFC 3261 §21.4.6: with what is allowed there, which is not the method that was refused.
#[test]
fn a_request_to_the_server_itself_is_refused_with_what_it_takes() {
    for method in ["MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH"] {
        let refused = allowed(&request(method, "sip:example.com"));
        assert_eq!(refused, (405, vec!["OPTIONS".to_owned(), "REGISTER".to_owned()]), "{method}");
    }
}

#[test]
fn a_scheme_that_is_not_sip_is_unsupported() {
    // The last two are of RFC 4475: unkscm, novelsc.
    let unknown = "nobodyKnowsThisScheme:totallyopaquecontent";
    for uri in ["tel:+4930", unknown, "soap.beep://192.0.2.103:3002"] {
        assert_eq!(Server::new().send(&request("MESSAGE", uri)).status(), 416, "{uri}");
    }
    let invite = Invite { request_uri: "tel:+4930".to_owned(), ..invite("alice", "bob") };
    assert_eq!(Server::new().send(&invite).status(), 416);
}

#[test]
fn a_call_goes_by_the_path_that_the_phone_registered_by_and_to_who_sent_the_register() {
    let mut server = Server::new();
    let path = vec!["<sip:edge.example.net;lr>".to_owned()];
    server.register("bob", &[Contact { path: path.clone(), ..contact(1, 600, 1000) }]);
    let targets = server.send(&invite("alice", "bob")).targets();
    assert_eq!(targets, [Target { routes: path, ..target(1) }]);
}

/// Bob's phones, by their own names: those of the Refer-To of a transfer (RFC 5589).
fn bob_at(host: &str, number: u8) -> Contact {
    Contact { uri: format!("sip:bob@{host}"), ..contact(number, 600, 1000) }
}

fn call_to_phone(uri: &str) -> Invite {
    let user = uri.strip_prefix("sip:").and_then(|uri| uri.split('@').next()).expect("a user");
    let callee = Party { address_of_record: format!("sip:{user}@phone"), ..party(user) };
    Invite { request_uri: uri.to_owned(), callee, ..invite("alice", "x") }
}

#[test]
fn a_call_to_a_phone_that_is_registered_goes_to_that_one() {
    let mut server = Server::new();
    let phones = [bob_at("10.0.0.1:5062;ob", 1), bob_at("10.0.0.2", 2), bob_at("[2001:db8::1]", 3)];
    server.register("bob", &phones);
    for (uri, number) in [
        ("sip:bob@10.0.0.1:5062;ob", 1),
        ("sip:bob@10.0.0.1:5062", 1),
        ("sip:bob@10.0.0.2?Replaces=a%3Bto-tag%3Db", 2),
        ("sip:bob@10.0.0.2:5060;transport=udp", 2),
        ("sip:bob@[2001:DB8::1]", 3),
    ] {
        let found = server.send(&call_to_phone(uri)).targets();
        let phone = &phones[number - 1];
        assert_eq!((&found[0].uri, &found[0].destination), (&phone.uri, &phone.source), "{uri}");
        assert_eq!(found.len(), 1, "{uri}");
    }
    let refer = server.send(&request("REFER", "sip:bob@10.0.0.2")).targets();
    assert_eq!(refer[0].uri, "sip:bob@10.0.0.2");
}

#[test]
fn a_call_to_a_phone_that_is_not_registered_goes_nowhere() {
    let mut server = Server::new();
    let expired = Contact { expires_at: NOW, ..bob_at("10.0.0.3", 3) };
    server.register("bob", &[bob_at("10.0.0.1:5062", 1), expired]);
    for uri in [
        "sip:bob@10.0.0.1",
        "sip:bob@10.0.0.2",
        "sip:bob@10.0.0.3",
        "sip:alice@10.0.0.1:5062",
        "sip:carol@10.0.0.1:5062",
        "sip:phone1@10.0.0.1:5062",
    ] {
        assert_eq!(server.send(&call_to_phone(uri)).status(), 404, "{uri}");
    }
    // Who is not let in learns nothing of what is registered.
    let stranger = Invite { credentials: None, ..call_to_phone("sip:bob@10.0.0.1:5062") };
    assert!(!server.send(&stranger).challenge());
}

/// An account of this user name in another domain, whose phones say that they are there.
fn register_elsewhere(server: &mut Server, user: &str, domain: &str, contacts: &[Contact]) {
    let account = Account::with_password(user, domain, "secret");
    server.tables.put(ACCOUNTS, &Account::key(user, domain), encode(&account).expect("a row"));
    let row = Registrations { contacts: contacts.to_vec(), ..Registrations::default() };
    let key = format!("sip:{user}@{domain}");
    server.tables.put(REGISTRATIONS, &key, encode(&row).expect("a row"));
}

/// Private addresses and short names are the same at many customers.
#[test]
fn a_call_to_a_phone_goes_to_one_of_the_callers_own_domain() {
    for elsewhere in ["aaa.example", "zzz.example"] {
        let mut server = Server::new();
        register_elsewhere(&mut server, "bob", elsewhere, &[bob_at("10.0.0.1:5062", 9)]);
        server.register("bob", &[bob_at("10.0.0.1:5062;ob", 1)]);
        let found = server.send(&call_to_phone("sip:bob@10.0.0.1:5062")).targets();
        assert_eq!((found.len(), found[0].destination.as_str()), (1, "192.0.2.1:5060"));
        server.register("bob", &[bob_at("10.0.0.2", 2)]);
        let answer = server.send(&call_to_phone("sip:bob@10.0.0.1:5062"));
        assert_eq!(answer.status(), 404, "his phone is not there, and the other one is not his");
    }
}

/// Whom somebody of another customer is transferred to.
#[test]
fn a_call_to_a_phone_of_another_domain_goes_there_if_only_one_can_be_meant() {
    let mut server = Server::new();
    let carol = |number| [Contact { uri: "sip:carol@10.0.0.3".to_owned(), ..bob_at("x", number) }];
    register_elsewhere(&mut server, "carol", "one.example", &carol(3));
    register_elsewhere(&mut server, "carol", "elsewhere.example", &[bob_at("10.0.0.3", 4)]);
    let found = server.send(&call_to_phone("sip:carol@10.0.0.3")).targets();
    assert_eq!((found.len(), found[0].destination.as_str()), (1, "192.0.2.3:5060"));
    register_elsewhere(&mut server, "carol", "two.example", &carol(5));
    assert_eq!(server.send(&call_to_phone("sip:carol@10.0.0.3")).status(), 404);
}

/// One of those that are not looked at may be meant as well.
#[test]
fn a_call_to_a_phone_of_one_of_too_many_domains_goes_nowhere() {
    let mut server = Server::new();
    let carol = Contact { uri: "sip:carol@10.0.0.3".to_owned(), ..bob_at("x", 3) };
    register_elsewhere(&mut server, "carol", "0.example", &[carol]);
    for number in 1..=15 {
        register_elsewhere(&mut server, "carol", &format!("{number}.example"), &[]);
    }
    assert_eq!(server.send(&call_to_phone("sip:carol@10.0.0.3")).targets().len(), 1);
    register_elsewhere(&mut server, "carol", "16.example", &[]);
    assert_eq!(server.send(&call_to_phone("sip:carol@10.0.0.3")).status(), 404);
}

/// Two phones of an account, each behind a NAT of its own: the one that has the dialog takes it.
#[test]
fn phones_of_an_account_that_say_the_same_of_themselves_are_all_called() {
    let mut server = Server::new();
    let twins: Vec<_> = (1..=5).map(|number| bob_at("10.0.0.1:5062", number)).collect();
    let other = bob_at("10.0.0.1:5062;ob", 9);
    server.register("bob", &[&twins[..2], &[other]].concat());
    let destinations = |server: &Server, uri: &str| -> Vec<String> {
        let targets = server.send(&call_to_phone(uri)).targets();
        targets.into_iter().map(|target| target.destination).collect()
    };
    let uri = "sip:bob@10.0.0.1:5062";
    assert_eq!(destinations(&server, uri), ["192.0.2.1:5060", "192.0.2.2:5060"]);
    assert_eq!(destinations(&server, &format!("{uri};ob")), ["192.0.2.9:5060"]);
    assert_eq!(destinations(&server, &format!("{uri};x")).len(), 3, "none says just that");
    server.register("bob", &twins);
    assert_eq!(destinations(&server, uri).len(), TARGETS_MAX);
}

#[test]
fn a_phone_with_two_ways_rings_by_the_one_it_prolonged_last() {
    let mut server = Server::new();
    let way = |number: u8, expires_s: u64, reg_id: u32| Contact {
        instance: Some("<urn:uuid:1>".to_owned()),
        reg_id: Some(reg_id),
        ..contact(number, expires_s, 1000)
    };
    server.register("bob", &[way(1, 600, 1), way(2, 700, 2), contact(3, 100, 500)]);
    assert_eq!(server.send(&invite("alice", "bob")).targets(), [target(2), target(3)]);
}
