//! Phones that register, and some that should not.

mod authentication;
mod contacts;
mod harness;
mod ways;

use resilee_registrar::Registrar;
use resilee_sbb::Sbb;

#[test]
fn the_service_starts_on_a_register_and_on_nothing_else() {
    let descriptor = Registrar::descriptor();
    assert_eq!((descriptor.name, descriptor.priority), ("registrar", 0));
    assert_eq!(descriptor.initial_events, ["sip.register"]);
    assert!(descriptor.events.is_empty());
}
