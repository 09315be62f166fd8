//! Who may register: RFC 3261 §10.3 steps 3 and 4, and the nonce count.

use crate::harness::{
    World, account, challenge, challenge_by, contact, credentials, ok, sign, status,
};
use resilee_registrar::{NONCE_MEMORY, NONCES_MAX};
use resilee_sip_api::{Account, Algorithm, REGISTER_NONCE_LIFETIME_S, Register, SipCommand};

const PHONE: &str = "sip:alice@192.0.2.1:5060";
const THIEF: &str = "sip:thief@203.0.113.9:5060";

#[test]
fn a_phone_without_credentials_is_challenged() {
    let mut world = World::new();
    let register = Register { credentials: None, ..world.register(&[contact(PHONE)]) };
    assert_eq!(world.send(&register), challenge(false));
    assert_eq!(world.writes, 0);
}

#[test]
fn credentials_of_another_realm_are_as_good_as_none() {
    let mut world = World::new();
    let mut register = world.register(&[contact(PHONE)]);
    register.credentials.as_mut().unwrap().realm = "example.org".to_owned();
    assert_eq!(world.send(&register), challenge(false));
    assert!(world.traces.is_empty());
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let mut world = World::new();
    for (user, algorithms) in [("alice", &[Algorithm::Sha256, Algorithm::Md5][..]), ("nobody", &[])]
    {
        let mut register = world.register(&[contact(PHONE)]);
        let mut wrong = account(user);
        wrong.ha1 = Algorithm::Md5.hash("guess");
        register.to.user = user.to_owned();
        register.credentials = Some(credentials(&wrong, 1));
        assert_eq!(world.send(&register), challenge_by(false, algorithms), "{user}");
    }
    assert_eq!((world.writes, world.traces.len()), (0, 2));
    assert!(world.traces[0].contains("wrong credentials"), "{}", world.traces[0]);
}

#[test]
fn an_old_nonce_is_told_so_and_nobody_learns_whether_the_secret_was_right() {
    let mut world = World::new();
    let mut register = world.register(&[contact(PHONE)]);
    register.credentials.as_mut().unwrap().nonce_fresh = false;
    assert_eq!(world.send(&register), challenge(true));
    register.credentials.as_mut().unwrap().response = "0".repeat(32);
    assert_eq!(world.send(&register), challenge(true));
    assert_eq!(world.writes, 0);
}

#[test]
fn a_challenge_asks_for_what_the_account_can_be_proven_by() {
    let mut world = World::new();
    let register = Register { credentials: None, ..world.register(&[]) };
    let both = [Algorithm::Sha256, Algorithm::Md5];
    assert_eq!(world.send(&register), challenge_by(false, &both));
    world.put_account(&Account { ha1_sha256: None, ..account("alice") });
    assert_eq!(world.send(&register), challenge_by(false, &[Algorithm::Md5]));
    let mut unknown = register;
    unknown.to.user = "nobody".to_owned();
    assert_eq!(world.send(&unknown), challenge_by(false, &[]), "whatever is offered");
}

/// The attacker's own guesses are wrong as a rule; this one happens to be right.
#[test]
fn while_a_password_is_tried_out_only_phones_that_are_registered_get_in() {
    let mut world = World::new();
    world.registered(&[PHONE]);
    let barred = |world: &mut World, source: &str| {
        let register = world.register(&[contact(PHONE)]);
        let (source, barred_s) = (source.to_owned(), Some(7));
        world.send(&Register { source, barred_s, ..register })
    };
    let retry_after = vec![("Retry-After".to_owned(), "7".to_owned())];
    let refused = SipCommand::Respond { status: 503, reason: String::new(), headers: retry_after };
    assert_eq!(barred(&mut world, "203.0.113.9:5060"), refused);
    let ok = barred(&mut world, "192.0.2.1:40123");
    assert_eq!(status(&ok), 200, "the phone's own address, at another port");
    world.pass(3_600);
    assert_eq!(barred(&mut world, "192.0.2.1:40123"), refused, "it is not registered any more");
    let after = world.register(&[contact(PHONE)]);
    let after = Register { source: "203.0.113.9:5060".to_owned(), ..after };
    assert_eq!(status(&world.send(&after)), 200, "the bar has ended");
}

/// A phone changes its address within its network by itself (RFC 8981).
#[test]
fn while_a_password_is_tried_out_a_phone_gets_in_from_its_ipv6_network() {
    let mut world = World::new();
    let at = |world: &mut World, source: &str, barred_s| {
        let register = world.register(&[contact(PHONE)]);
        status(&world.send(&Register { source: source.to_owned(), barred_s, ..register }))
    };
    assert_eq!(at(&mut world, "[2001:db8::1]:5060", None), 200);
    assert_eq!(at(&mut world, "[2001:db8::a:b:c:d]:40123", Some(7)), 200);
    assert_eq!(at(&mut world, "[2001:db8:0:1::1]:5060", Some(7)), 503, "another network");
}

/// Mallory is registered where she sends from, but not as Alice.
#[test]
fn who_is_known_as_somebody_else_is_barred_as_well() {
    let mut world = World::new();
    world.registered(&[PHONE]);
    let mut register = world.register(&[contact(PHONE)]);
    register.credentials = Some(credentials(&account("bob"), 1));
    register.barred_s = Some(7);
    assert_eq!(status(&world.send(&register)), 503);
}

#[test]
fn nobody_registers_in_another_users_name() {
    let mut world = World::new();
    let mut register = world.register(&[contact(THIEF)]);
    register.credentials = Some(credentials(&account("bob"), 1));
    assert_eq!(status(&world.send(&register)), 403);
    assert_eq!(world.writes, 0);
}

#[test]
fn sha_256_is_as_good_as_md5() {
    let mut world = World::new();
    let mut register = world.register(&[contact(PHONE)]);
    let credentials = register.credentials.as_mut().unwrap();
    credentials.algorithm = Algorithm::Sha256;
    sign(credentials, &account("alice"));
    assert_eq!(status(&world.send(&register)), 200);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_writes_nothing() {
    let mut world = World::new();
    let register = world.register(&[contact(PHONE)]);
    let answer = world.send(&register);
    assert_eq!(answer, ok(&["<sip:alice@192.0.2.1:5060>;expires=3600"]));
    assert_eq!(world.send(&register), answer);
    assert_eq!(world.writes, 1);
}

#[test]
fn a_retransmitted_removal_is_accepted_too() {
    let mut world = World::new();
    world.registered(&[PHONE]);
    let removal = Register { expires_s: Some(0), ..world.register(&[contact(PHONE)]) };
    assert_eq!(world.send(&removal), ok(&[]));
    assert_eq!(world.send(&removal), ok(&[]));
    assert_eq!((world.uris().len(), world.writes), (0, 2));
}

/// Digest does not cover the contacts: whoever overhears a REGISTER has its credentials.
#[test]
fn overheard_credentials_do_not_move_a_user_to_another_phone() {
    let mut world = World::new();
    let heard = world.register(&[contact(PHONE)]);
    world.send(&heard);
    let same_cseq = Register { bindings: vec![contact(THIEF)], ..heard.clone() };
    assert_eq!(status(&world.send(&same_cseq)), 200);
    let next_cseq = Register { cseq: heard.cseq + 1, ..same_cseq.clone() };
    assert_eq!(world.send(&next_cseq), challenge(true));
    let other_call = Register { call_id: "thief".to_owned(), ..next_cseq };
    assert_eq!(world.send(&other_call), challenge(true));
    assert_eq!((world.uris(), world.writes), (vec![PHONE.to_owned()], 1));
}

#[test]
fn a_lower_nonce_count_is_a_replay_and_a_higher_one_is_not() {
    let mut world = World::new();
    let mut early = world.register(&[contact(PHONE)]);
    world.registered(&[PHONE]);
    early.call_id = "other".to_owned();
    assert_eq!(world.send(&early), challenge(true));
    world.registered(&[PHONE]);
    assert_eq!(world.writes, 2);
}

#[test]
fn a_client_that_does_not_count_uses_a_nonce_once() {
    let mut world = World::new();
    for nonce in ["nonce-1", "nonce-2"] {
        let mut register = world.register(&[contact(PHONE)]);
        let credentials = register.credentials.as_mut().unwrap();
        credentials.qop = None;
        credentials.nonce = nonce.to_owned();
        sign(credentials, &account("alice"));
        assert_eq!(status(&world.send(&register)), 200);
        let again = Register { cseq: register.cseq + 100, ..register };
        assert_eq!(world.send(&again), challenge(true));
    }
    assert_eq!(world.writes, 2);
}

#[test]
fn a_count_that_is_no_number_spends_its_nonce() {
    let mut world = World::new();
    let mut register = world.register(&[contact(PHONE)]);
    let credentials = register.credentials.as_mut().unwrap();
    credentials.qop.as_mut().unwrap().nc = "first".to_owned();
    sign(credentials, &account("alice"));
    assert_eq!(status(&world.send(&register)), 200);
    register.cseq += 1;
    assert_eq!(world.send(&register), challenge(true));
}

/// The contact is gone, and the nonce of the REGISTER that set it is still fresh.
#[test]
fn a_phone_that_logged_off_is_not_registered_again_by_who_overheard_it() {
    let mut world = World::new();
    let heard = world.register(&[contact(PHONE)]);
    world.send(&heard);
    let off = Register { expires_s: Some(0), ..world.register(&[contact(PHONE)]) };
    assert_eq!(world.send(&off), ok(&[]));
    world.pass(REGISTER_NONCE_LIFETIME_S);
    assert_eq!(world.send(&heard), challenge(true));
    let moved = Register { bindings: vec![contact(THIEF)], cseq: heard.cseq + 9, ..heard };
    assert_eq!(world.send(&moved), challenge(true));
    assert!(world.uris().is_empty());
}

/// Neither a query nor what is refused sets a contact that could remember its nonce.
#[test]
fn a_query_and_a_refused_register_use_their_nonce_count_up_too() {
    let mut world = World::new();
    let query = world.register(&[]);
    let refused = Register { expires_s: Some(1), ..world.register(&[contact(PHONE)]) };
    for (heard, answer) in [(query, 200), (refused, 423)] {
        assert_eq!(status(&world.send(&heard)), answer);
        let same_cseq = Register { bindings: vec![contact(THIEF)], ..heard };
        assert_eq!(status(&world.send(&same_cseq)), answer, "taken for a retransmission");
        let forged = Register { cseq: same_cseq.cseq + 9, ..same_cseq };
        assert_eq!(world.send(&forged), challenge(true), "{answer}");
    }
    assert!(world.uris().is_empty());
}

#[test]
fn used_nonces_are_counted_and_forgotten_when_they_are_too_old() {
    let mut world = World::new();
    let register = |world: &mut World, number: usize| {
        let mut register = world.register(&[contact(PHONE)]);
        let credentials = register.credentials.as_mut().unwrap();
        credentials.nonce = format!("fresh-{number}");
        sign(credentials, &account("alice"));
        status(&world.send(&register))
    };
    for number in 0..NONCES_MAX {
        assert_eq!(register(&mut world, number), 200);
    }
    assert_eq!(register(&mut world, NONCES_MAX), 503);
    assert_eq!(register(&mut world, 0), 200, "a known one counts on");
    world.pass(NONCE_MEMORY.as_secs());
    assert_eq!(register(&mut world, NONCES_MAX), 200);
    assert_eq!(world.row().unwrap().nonces.len(), 1);
}

/// RFC 3261 §10.3 step 1, §21.4.5. A domain is served if an account is of it.
#[test]
fn a_domain_that_no_account_is_of_is_not_served() {
    let mut world = World::new();
    let mut register = world.register(&[contact(PHONE)]);
    register.to.address_of_record = "sip:alice@example.org".to_owned();
    for domain in ["example.org", "example.com", "192.0.2.100", ""] {
        let domain = domain.to_owned();
        let asked = Register { credentials: None, domain: domain.clone(), ..register.clone() };
        assert_eq!(status(&world.send(&asked)), 404, "{domain}");
        assert_eq!(status(&world.send(&Register { domain, ..register.clone() })), 404);
    }
    assert_eq!(world.writes, 0);
    assert!(world.traces[0].contains("of that domain"), "{}", world.traces[0]);
}

/// RFC 3261 §10.3 step 5: the address of record is not one of the domain that is asked.
#[test]
fn another_domain_that_is_served_registers_none_of_this_one() {
    let mut world = World::new();
    world.put_account(&Account::with_password("carol", "example.org", "secret"));
    let register = world.register(&[contact(PHONE)]);
    let domain = "example.org".to_owned();
    assert_eq!(status(&world.send(&Register { domain, ..register.clone() })), 404);
    assert_eq!(status(&world.send(&register)), 200);
}

/// Phones are told an address, or a host name, where this server is: it does not know these.
#[test]
fn a_phone_may_ask_for_its_domain_by_the_servers_address_or_name() {
    let mut world = World::new();
    world.put_account(&Account::with_password("carol", "198.51.100.1", "secret"));
    for domain in ["198.51.100.1", "[2001:db8::1]", "10.0.0.1", "sip.example.net", ""] {
        let register = world.register(&[contact(PHONE)]);
        let asked = Register { domain: domain.to_owned(), ..register };
        assert_eq!(status(&world.send(&asked)), 200, "{domain}");
    }
}
