//! Frames of a peer are untrusted: wrong ones in all ways, between two real cores. The reader
//! does not panic, closes the link with a reason and counts it, and its own cells stay as they
//! are; then the peer dies, and whatever was taken in must not hurt the survivor either.

mod changes;
mod forged;
mod noted;
mod pair;
#[path = "../single_node/toy.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod toy;
mod words;

use forged::{Change, ChildOf, Commit, Course, Entity, Extra, Frame, Head, Part, Update};
use pair::Pair;
use resilee_sbb::{CellId, CohortId, TimerId, decode, encode};
use serde_bytes::ByteBuf;

/// What the core counts.
const REFUSED: &str = "bad frame of a peer";

/// server1 owns `a1`, server2 owns `b1`; a frame with server1's next commit is on its way.
fn scene() -> (Pair, Frame) {
    let mut pair = Pair::new();
    pair.say(0, "a1 begin");
    pair.say(1, "b1 begin");
    pair.say(0, "a1 say timer");
    // What is done is told, so that nothing else is on its way.
    pair.pass_ms(200);
    pair.held = Some(Vec::new());
    pair.say(0, "a1 say hello");
    let held = pair.held.take().expect("frames are held");
    assert_eq!((held.len(), pair.closed.len()), (1, 0));
    let frame = Frame::read(&held[0]);
    assert_eq!((frame.updates.len(), pair.cells(1).len()), (1, 2));
    (pair, frame)
}

/// The cells that server2 owns.
fn own_cells(pair: &Pair) -> Vec<String> {
    let own = |cell: &String| cell.contains("owner: Some(\"server2\")");
    pair.cells(1).into_iter().filter(own).collect()
}

/// Gives server2 the bytes as a frame of server1; then server1 dies and calls go on.
/// True if the link was closed.
fn survives(mut pair: Pair, bytes: Vec<u8>) -> bool {
    let (own, all) = (own_cells(&pair), pair.cells(1));
    assert_eq!(own.len(), 1);
    pair.frame(bytes);
    let now_own = own_cells(&pair);
    assert!(own.iter().all(|cell| now_own.contains(cell)), "its own cells are as they were");
    let closed = !pair.closed.is_empty();
    if closed {
        assert_eq!(pair.cells(1), all, "nothing of a refused frame is kept");
        assert_eq!(pair.dropped(REFUSED), 1);
        assert!(pair.closed.iter().all(|why| !why.is_empty() && why.len() < 300));
    }
    pair.kill_first();
    for call in ["a1", "b1"] {
        pair.say(1, &format!("{call} say hello"));
        pair.say(1, &format!("{call} end"));
    }
    pair.say(1, "c1 begin");
    pair.say(1, "d1 begin");
    // The timers are due by then.
    pair.pass_ms(6_000);
    assert!(pair.sent.iter().any(|text| text == "d1 begun"), "server2 serves new calls");
    closed
}

#[test]
fn the_frame_itself_is_taken() {
    let (mut pair, frame) = scene();
    let before = pair.cells(1);
    pair.frame(frame.bytes());
    assert_ne!(pair.cells(1), before);
    assert!(!survives(scene().0, frame.bytes()));
}

#[test]
fn a_peer_whose_heartbeats_are_missing_loses_its_link() {
    let (mut pair, _) = scene();
    pair.pass_ms(1_000);
    assert_eq!(pair.closed, Vec::<String>::new());
    pair.cut = true;
    pair.pass_ms(400);
    assert_eq!(pair.closed, ["its heartbeats are missing"]);
}

#[test]
fn that_frames_are_bad_is_an_alarm_until_none_came_for_a_minute() {
    let (mut pair, _) = scene();
    // Alone it is woken by its own time, and not by what the other one says.
    pair.kill_first();
    let told = |pair: &Pair| {
        let alarms = pair.core(1).status(pair.now).alarms;
        alarms.iter().filter(|alarm| alarm.text.contains("bad frames of server1")).count()
    };
    for _ in 0..2 {
        pair.frame(b"noise".to_vec());
        pair.pass_ms(59_900);
        assert_eq!(told(&pair), 1);
    }
    pair.pass_ms(200);
    assert_eq!(told(&pair), 0);
}

#[test]
fn a_truncated_frame_closes_the_link() {
    let bytes = scene().1.bytes();
    for length in (0..bytes.len()).step_by(7) {
        assert!(survives(scene().0, bytes[..length].to_vec()), "{length}");
    }
}

#[test]
fn flipped_bits_never_panic() {
    let bytes = scene().1.bytes();
    let mut closed = 0;
    for (at, bit) in (0..bytes.len()).step_by(2).zip((0..8).cycle()) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        closed += u32::from(survives(scene().0, flipped));
    }
    assert!(closed > 50, "most of them: {closed} of {}", bytes.len());
}

#[test]
fn noise_and_huge_lengths_close_the_link() {
    // Arrays, maps, strings and bytes that say they are 4 GiB long, and deep nesting.
    let huge = [0xdd, 0xdf, 0xdb, 0xc6].map(|head| vec![head, 0xff, 0xff, 0xff, 0xff]);
    let noise = (0..200u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes().repeat(5));
    let deep = vec![0x91; 100_000];
    for bytes in huge.into_iter().chain(noise).chain([Vec::new(), deep]) {
        assert!(survives(scene().0, bytes));
    }
}

#[test]
fn wrong_numbers_close_the_link() {
    let frame = scene().1;
    let other = "server2".parse().expect("a name");
    let wrong = [
        ("another node's run", {
            let mut wrong = frame.clone();
            wrong.from.node = other;
            wrong
        }),
        ("a hole", Frame { first: frame.first + 1, ..frame.clone() }),
        ("the end of all sequences", Frame { first: u64::MAX, ..frame.clone() }),
        ("a sequence that is none", Frame { first: 0, ..frame.clone() }),
        ("what was never sent", Frame { ack: u64::MAX, ..frame.clone() }),
        ("too many words", Frame { extras: vec![Extra::Hello; 5_000], ..frame.clone() }),
        (
            "two requests",
            Frame { extras: vec![Extra::Join { stream: 7, empty: false }; 2], ..frame.clone() },
        ),
        ("no update", Frame { updates: vec![ByteBuf::from(b"noise".to_vec())], ..frame.clone() }),
    ];
    for (what, frame) in wrong {
        assert!(survives(scene().0, frame.bytes()), "{what}");
    }
}

#[test]
fn numbers_that_mean_nothing_do_no_harm() {
    let frame = scene().1;
    let harmless = [
        Frame { done: u64::MAX, ..frame.clone() },
        Frame { view: u64::MAX, ..frame.clone() },
        Frame { stream: u64::MAX, ..frame.clone() },
        Frame { ack_stream: u64::MAX, ack: u64::MAX, ..frame.clone() },
        Frame { extras: vec![Extra::Join { stream: u64::MAX, empty: false }], ..frame.clone() },
        frame.with(&Update::SnapshotEnd),
    ];
    for frame in harmless {
        survives(scene().0, frame.bytes());
    }
    let mut earlier = frame.clone();
    earlier.from.incarnation -= 1;
    assert!(!survives(scene().0, earlier.bytes()), "a late frame of a dead run");
    let mut later = frame;
    later.from.incarnation = u64::MAX;
    survives(scene().0, later.bytes());
}

#[test]
fn cells_of_the_reader_are_not_the_writers_to_change() {
    let (pair, frame) = scene();
    let own: CellId = {
        let text = own_cells(&pair).remove(0);
        let id = text.split('"').nth(1).expect("an id").to_owned();
        let (cohort, number) = id.split_once('-').expect("cohort and number");
        let cohort = CohortId(u64::from_str_radix(cohort, 16).expect("hex"));
        CellId { cohort, number: number.parse().expect("a number") }
    };
    let commit = frame.commit();
    let unborn = CellId { number: own.number + 1, ..own };
    let head = Change { part: Part::Head, value: Some(head(&commit, |_| {})) };
    for cell in [own, unborn] {
        let with_head = Commit { cell, changes: vec![head.clone()], ..commit.clone() };
        let over = Commit { cell, changes: Vec::new(), over: true, ..commit.clone() };
        let parts = vec![head.clone()];
        for update in
            [Update::Commit(with_head), Update::Commit(over), Update::Cell { id: cell, parts }]
        {
            assert!(survives(scene().0, frame.with(&update).bytes()), "{update:?}");
            let older = Frame { view: 0, ..frame.with(&update) };
            if cell == unborn {
                assert!(survives(scene().0, older.bytes()), "{update:?}");
            }
        }
    }
}

/// An encoded head for the cell of `commit`.
fn head(commit: &Commit, change: impl FnOnce(&mut Head)) -> ByteBuf {
    let known = commit.changes.iter().find(|change| change.part == Part::Head);
    let known = known.and_then(|change| change.value.as_ref());
    let mut head = match known {
        Some(value) => decode(value).expect("the core wrote it"),
        None => Head {
            key: 1,
            scope: "Call".to_owned(),
            born_at: resilee_sbb::Timestamp::from_millis(1),
            next_activity: 2,
            next_entity: 3,
        },
    };
    change(&mut head);
    ByteBuf::from(encode(&head).expect("plain data"))
}

/// The entity, if it were a child of this one.
fn child_of(entity: Option<&ByteBuf>, parent: u32) -> Option<ByteBuf> {
    let mut entity: Entity = decode(entity?).expect("the core wrote it");
    entity.child = Some(ChildOf { parent, relation: "helpers".to_owned() });
    Some(ByteBuf::from(encode(&entity).expect("plain data")))
}

/// A timer that is due, and then each so many microseconds.
fn periodic(period_us: u64) -> Option<ByteBuf> {
    let mut bytes = encode(&1_u64).expect("plain data");
    bytes.extend(encode(&Course { period_us: Some(period_us) }).expect("plain data"));
    Some(ByteBuf::from(bytes))
}

#[test]
fn parts_out_of_range_are_refused_or_harmless() {
    let frame = scene().1;
    let commit = frame.commit();
    let value = Some(ByteBuf::from(b"noise".to_vec()));
    let head = |change: fn(&mut Head)| Some(head(&commit, change));
    let entity = commit.changes.iter().find(|change| matches!(change.part, Part::Entity(_)));
    let entity = entity.expect("the event changed an entity").value.clone();
    let timer = Some(ByteBuf::from(encode(&u64::MAX).expect("plain data")));
    let number = commit.changes.iter().find_map(|change| match change.part {
        Part::Entity(number) => Some(number),
        _ => None,
    });
    let number = number.expect("the event changed an entity");
    let refused = [
        Change { part: Part::Entity(number), value: child_of(entity.as_ref(), number) },
        Change { part: Part::Entity(number), value: child_of(entity.as_ref(), number + 1) },
        Change { part: Part::Timer(number, TimerId(1)), value: periodic(0) },
        Change { part: Part::Timer(number, TimerId(1)), value: periodic(99_999) },
        Change { part: Part::Head, value: value.clone() },
        Change { part: Part::Activity(1), value: value.clone() },
        Change { part: Part::Entity(1), value },
        Change { part: Part::Timer(1, TimerId(1)), value: Some(ByteBuf::from(vec![0xc1])) },
        Change { part: Part::Head, value: head(|head| head.next_activity = u32::MAX) },
        Change { part: Part::Head, value: head(|head| head.next_entity = u32::MAX) },
        Change { part: Part::Activity(u32::MAX), value: entity.clone() },
        Change { part: Part::Entity(u32::MAX), value: entity.clone() },
    ];
    for change in refused {
        // Behind a good change: nothing of the commit may be kept.
        let mut changes = commit.changes.clone();
        changes.push(change);
        let update = Update::Commit(Commit { changes, ..commit.clone() });
        assert!(survives(scene().0, frame.with(&update).bytes()), "{update:?}");
    }
    let harmless = [
        Change { part: Part::Head, value: None },
        Change { part: Part::Head, value: head(|head| head.key = 99) },
        Change {
            part: Part::Head,
            value: head(|head| (head.next_activity, head.next_entity) = (0, 0)),
        },
        Change { part: Part::Activity(1), value: None },
        Change { part: Part::Entity(1), value: None },
        Change { part: Part::Entity(77), value: entity },
        Change { part: Part::Timer(77, TimerId(u32::MAX)), value: timer },
        Change { part: Part::Record, value: None },
    ];
    for change in harmless {
        let update = Update::Commit(Commit { changes: vec![change], ..commit.clone() });
        survives(scene().0, frame.with(&update).bytes());
        let Update::Commit(commit) = update else { continue };
        let piece = Update::Cell { id: commit.cell, parts: commit.changes };
        survives(scene().0, frame.with(&piece).bytes());
    }
    let numbered = Commit { number: u64::MAX, ..commit.clone() };
    survives(scene().0, frame.with(&Update::Commit(numbered)).bytes());
    let tables = CellId { cohort: CohortId::TABLES, number: u64::MAX };
    let of_tables = Commit { cell: tables, ..commit };
    survives(scene().0, frame.with(&Update::Commit(of_tables)).bytes());
}
