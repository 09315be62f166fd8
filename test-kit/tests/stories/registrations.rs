//! Registering, staying registered, and being refused.

use crate::wire::{Alice, Wire};
use resilee_test_kit::PhoneCommand;
use resilee_test_kit::PhoneEvent::{Registered, RegistrationFailed, Unregistered};
use std::time::Duration;

#[test]
fn a_phone_registers_with_its_password() {
    let mut wire = Wire::perfect();
    wire.register();
    assert_eq!(wire.told(Alice), [Registered]);
    assert_eq!(wire.relay.bindings.len(), 2);
}

#[test]
fn a_refresh_counts_the_nonce_and_is_not_challenged() {
    let mut wire = Wire::perfect();
    wire.command(Alice, PhoneCommand::Register);
    wire.run_for(Duration::from_secs(100));
    let counts: Vec<u32> = wire.relay.nonce_counts.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [1, 2, 3], "at once, after 48 s, after 96 s");
    assert_eq!(wire.told(Alice), [Registered, Registered, Registered]);
}

#[test]
fn a_nonce_that_is_too_old_is_replaced() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.relay.demands.nonce = "n2".into();
    wire.run_for(Duration::from_secs(50));
    assert_eq!(wire.told(Alice), [Registered, Registered]);
    assert!(wire.relay.nonce_counts.ends_with(&[("n2".into(), 1), ("n2".into(), 1)]));
}

#[test]
fn md5_does_where_nothing_else_is_offered() {
    let mut wire = Wire::perfect();
    wire.relay.demands.algorithms = vec!["MD5"];
    wire.register();
    assert_eq!(wire.told(Alice), [Registered]);
}

#[test]
fn a_wrong_password_is_told_and_not_tried_for_ever() {
    let mut wire = Wire::perfect();
    let mut config = crate::wire::phone_config("alice", 1);
    config.password = Some("guess".into());
    wire.alice = resilee_test_kit::Phone::new(config, wire.now);
    wire.command(Alice, PhoneCommand::Register);
    wire.run_for(Duration::from_secs(100));
    assert_eq!(wire.told(Alice), [RegistrationFailed(401)]);
    assert!(!wire.alice.is_registered());
}

#[test]
fn unregistering_removes_the_binding() {
    let mut wire = Wire::perfect();
    wire.register();
    wire.command(Alice, PhoneCommand::Unregister);
    wire.run_for(Duration::from_secs(100));
    assert_eq!(wire.told(Alice), [Registered, Unregistered]);
    assert_eq!(wire.relay.bindings.len(), 1);
}

#[test]
fn a_registrar_that_is_away_is_asked_again_until_it_is_back() {
    let mut wire = Wire::perfect();
    wire.lose("REGISTER", 12);
    wire.command(Alice, PhoneCommand::Register);
    wire.run_until(|wire| wire.alice.is_registered());
    assert_eq!(wire.told(Alice), [RegistrationFailed(408), Registered]);
    assert_eq!(wire.alice.counters().retransmitted["REGISTER"], 11);
}
