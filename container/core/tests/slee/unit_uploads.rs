//! How much may be uploaded, at once and in all.

use crate::pair::Pair;
use crate::units::{ALPHA, BETA, id, part, refused, upload, without_them};
use resilee_core::management::{Changed, TableChange};
use resilee_core::{UNIT_BYTES_MAX, UNIT_PART_BYTES, UNITS_BYTES_MAX};

const MIB: usize = 1 << 20;

#[track_caller]
fn all_done(pair: &mut Pair, node: usize, changes: Vec<TableChange>) {
    let asked = pair.ask_all(node, changes);
    pair.settle();
    let answers = pair.answers(node, asked);
    assert!(answers.iter().all(|answer| *answer == Some(Changed::Done)), "{answers:?}");
}

/// All parts at once, from a node that does not own the tables.
#[test]
fn many_parts_that_are_asked_for_at_once_go_in_frames_that_can_be_sent() {
    let mut pair = without_them().whole();
    let other = 1 - pair.tables_owner();
    let parts = (0..200).map(|number| part(&id(ALPHA), number, &[1; UNIT_PART_BYTES]));
    all_done(&mut pair, other, parts.collect());
    assert!(pair.nodes[other].largest_frame < MIB, "{}", pair.nodes[other].largest_frame);
}

/// The link breaks, or who owns the tables dies, while they are on their way.
#[test]
fn many_parts_that_are_asked_for_at_once_are_there_whoever_dies() {
    let mut pair = without_them().whole();
    let (owner, other) = (pair.tables_owner(), 1 - pair.tables_owner());
    let parts = (0..100).map(|number| part(&id(ALPHA), number, &[1; UNIT_PART_BYTES]));
    let asked = pair.ask_all(other, parts.collect());
    pair.deliver(40);
    pair.kill(owner);
    pair.until_member_of(other, 1);
    pair.pass_ms(1_000);
    assert!(pair.answers(other, asked).iter().all(|it| *it == Some(Changed::Done)));
}

#[test]
fn there_is_one_unfinished_upload_at_a_time() {
    let mut pair = without_them().whole();
    for other in ["a", "b", "c"] {
        let reason = refused(&mut pair, part(&other.repeat(64), 1, b"more"));
        assert!(reason.starts_with("the first part of the unit is not here"), "{reason}");
    }
    for bytes in [ALPHA, BETA] {
        for number in [0, 1] {
            assert_eq!(pair.change(0, part(&id(bytes), number, b"half")), Some(Changed::Done));
        }
    }
    let reason = refused(&mut pair, part(&id(ALPHA), 2, b"half"));
    assert!(reason.starts_with("the first part of the unit is not here"), "{reason}");
    let tables = pair.nodes[1].core.as_ref().expect("it lives").tables();
    assert_eq!(tables.len("slee.unit-parts"), 2);
}

#[test]
fn parts_of_an_unfinished_upload_count_against_the_bytes_of_all_units() {
    let mut pair = without_them().whole();
    let units = UNITS_BYTES_MAX as usize / UNIT_BYTES_MAX;
    for number in 1..=units {
        let unit = format!("{number:0>64x}");
        let size = if number == units { UNIT_BYTES_MAX - UNIT_PART_BYTES } else { UNIT_BYTES_MAX };
        let parts = (0..).zip(0..size / UNIT_PART_BYTES);
        let parts = parts.map(|(part_number, _)| part(&unit, part_number, &[1; UNIT_PART_BYTES]));
        all_done(&mut pair, 0, parts.collect());
        let whole = crate::units::whole(&unit, &format!("s{number}"), size as u64);
        assert_eq!(pair.change(0, whole), Some(Changed::Done));
    }
    let unit = id(ALPHA);
    for number in [0, 0] {
        let last = part(&unit, number, &[1; UNIT_PART_BYTES]);
        assert_eq!(pair.change(0, last), Some(Changed::Done));
    }
    let reason = refused(&mut pair, part(&unit, 1, b"x"));
    assert!(reason.starts_with("with it units would have more than 67108864 bytes"), "{reason}");
    let reason = refused(&mut pair, part(&id(BETA), 0, &[1; UNIT_PART_BYTES + 1]));
    assert!(reason.starts_with("a part of 65537 bytes"), "{reason}");
}

/// The first time it was cut into others.
#[test]
fn an_upload_that_is_repeated_is_whole() {
    let mut pair = without_them().whole();
    for number in 0..9 {
        pair.change(0, part(&id(ALPHA), number, b"other parts"));
    }
    upload(&mut pair, 0, "alpha", ALPHA);
}
