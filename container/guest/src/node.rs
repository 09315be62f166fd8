//! The node, as the unit sees it: what `resilee-sbb` asks for goes out through the bindings.

use crate::bindings::resilee::sbb::host;
use resilee_sbb::{Effect, Host, LinkedSbb, UnitDescription, encode};
use std::panic::{PanicHookInfo, set_hook};

/// What the unit's services are.
pub fn describe(services: &[LinkedSbb]) -> Vec<u8> {
    set_hook(Box::new(tell_panic));
    UnitDescription::of(services).to_bytes()
}

/// Computes one delivery.
pub fn answer(services: &[LinkedSbb], service: &str, delivery: &[u8]) -> Vec<u8> {
    set_hook(Box::new(tell_panic));
    resilee_sbb::answer(services, service, delivery, &Node)
}

fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    host::panicked(panic.payload_as_str().unwrap_or("no text"), &place);
}

#[derive(Debug)]
struct Node;

impl Host for Node {
    fn row(&self, table: &str, key: &str) -> Option<Vec<u8>> {
        host::row(table, key)
    }

    fn rows(&self, table: &str, from: &str) -> Vec<(String, Vec<u8>)> {
        host::rows(table, from)
    }

    fn has_profile_table(&self, table: &str) -> bool {
        host::has_profile_table(table)
    }

    fn find(&self, table: &str, attribute: &str, value: &str, after: &str) -> Option<Vec<String>> {
        host::find(table, attribute, value, after)
    }

    fn keep(&self, effect: &Effect) {
        host::keep(&encode(effect).expect("plain data can be encoded"));
    }
}
