//! Changes of shared tables that no node should have asked for.

use crate::forged::{AskedChange, Frame};
use crate::scene;
use resilee_core::management::TableChange;
use resilee_sbb::{Timestamp, encode};
use serde_bytes::ByteBuf;

/// What the core counts.
const TOO_MANY: &str = "change of a shared table behind too many others";
/// So many may wait.
const WAITING_MAX: u64 = 256;

fn asking(frame: &Frame, tokens: std::ops::Range<u64>) -> Vec<u8> {
    let change = encode(&TableChange::Slee { running: true }).expect("plain data");
    let asked = tokens.map(|token| AskedChange {
        token,
        until: Timestamp::from_millis(u64::MAX),
        change: ByteBuf::from(change.clone()),
    });
    Frame { updates: Vec::new(), asked: asked.collect(), ..frame.clone() }.bytes()
}

#[test]
fn changes_wait_at_who_does_not_own_the_tables_no_longer_than_any_node_would() {
    let (mut pair, frame) = scene();
    pair.frame(asking(&frame, 0..WAITING_MAX));
    pair.frame(asking(&frame, WAITING_MAX..WAITING_MAX + 1));
    assert_eq!((pair.dropped(TOO_MANY), pair.closed.len()), (1, 0));
    pair.pass_ms(4_000);
    pair.frame(asking(&frame, WAITING_MAX..WAITING_MAX + 1));
    assert_eq!((pair.dropped(TOO_MANY), pair.closed.len()), (1, 0));
}
