//! Words between cells that nobody should have said.

use crate::forged::{Channel, Opens, Post, RootName, Say, Word};
use crate::{scene, survives};
use resilee_sbb::{CellId, CohortId, encode};
use serde_bytes::ByteBuf;

/// What the core counts.
const OTHER_VIEW: &str = "word between cells by another view";
const UNREADABLE: &str = "word of another cell that cannot be read";

fn posts() -> Vec<Say> {
    let bytes = || ByteBuf::from(b"noise".to_vec());
    let posts = [
        Post::Event { event_type: "test.said".to_owned(), payload: bytes() },
        Post::Command { payload: bytes() },
        Post::End,
        Post::EndActivity,
    ];
    let mut says: Vec<_> = [(0, 0), (1, 0), (u32::MAX, 0), (u32::MAX, u32::MAX)]
        .into_iter()
        .flat_map(|(sequence, after)| {
            posts.clone().map(|post| Say::Post { sequence, after, post, opens: None })
        })
        .collect();
    let post = posts[0].clone();
    let opens = Some(Opens { activity: u32::MAX });
    says.push(Say::Post { sequence: u32::MAX, after: 0, post, opens });
    let heard = [(0, true), (u32::MAX, false), (u32::MAX, true)];
    says.extend(heard.map(|(sequence, over)| Say::Heard { sequence, over }));
    says
}

#[test]
fn words_about_ties_that_are_not_there_change_no_cell() {
    let (pair, frame) = scene();
    let view = pair.core(1).view().clone();
    let cohorts = view.cohorts.keys().copied().chain([CohortId(77)]);
    let root = |service: &str| RootName { service: service.to_owned(), name: "n".to_owned() };
    let roots = [
        root("counter"),
        root("nobody's"),
        RootName { name: "x".repeat(9_000), ..root("counter") },
    ];
    let mut words = Vec::new();
    for cohort in cohorts {
        let channel = Channel { cell: CellId { cohort, number: 1 }, tie: 1 };
        for (root, to_root) in roots.iter().flat_map(|root| [(root, true), (root, false)]) {
            words.extend(posts().into_iter().map(|say| {
                let word = Word { channel, root: root.clone(), to_root, say };
                encode(&word).expect("plain data")
            }));
        }
    }
    assert!(!survives(pair, frame.saying(&words).bytes()), "the link stays");
}

#[test]
fn a_word_of_who_does_not_own_its_cell_is_dropped() {
    let (mut pair, frame) = scene();
    let own = pair.core(1).view().cohorts.keys().last().copied().expect("the younger run's");
    let channel = Channel { cell: CellId { cohort: own, number: 1 }, tie: 1 };
    let root = RootName { service: "counter".to_owned(), name: "n".to_owned() };
    let say = Say::Heard { sequence: 1, over: true };
    let word = Word { channel, root, to_root: true, say };
    pair.frame(frame.saying(&[encode(&word).expect("plain data")]).bytes());
    assert_eq!((pair.dropped(OTHER_VIEW), pair.closed.len()), (1, 0));
}

#[test]
fn a_word_that_cannot_be_read_spoils_no_frame() {
    let (mut pair, frame) = scene();
    let before = pair.cells(1);
    let with_update =
        crate::forged::Frame { words: vec![ByteBuf::from(b"noise".to_vec())], ..frame };
    pair.frame(with_update.bytes());
    assert_ne!(pair.cells(1), before, "its update is taken");
    assert_eq!((pair.dropped(UNREADABLE), pair.closed.len()), (1, 0));
}
