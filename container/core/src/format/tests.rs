//! Examples of everything that the core writes, as they were in the first format.

use crate::adaptor_life_cycles::WantedAdaptor;
use crate::adaptors::AdaptorId;
use crate::commit::{
    Activity, Change, Commit, Entity, Head, Mirror, Part, Record, Retry, RowChange, Suspended,
};
use crate::format::FORMAT;
use crate::frame::{AnsweredChange, AskedChange, Extra, Frame, FrameError, Update};
use crate::life_cycles::Wanted;
use crate::management::{AdaptorOrder, Alarm, Changed, TableChange};
use crate::migrations::MigrationRow;
use crate::noted::{AlarmChange, Counted, Noted, UsageReset};
use crate::orphans::{Gap, Orphan};
use crate::resource_adaptor::{Egress, Ingress, Missed, Scope};
use crate::store::{Progress, StoreOp, StoredRecord, Tree};
use crate::ties::{Channel, Opens, Post, Posted, RootName, Tie};
use crate::timer_facility::{ArmedTimer, Course};
use crate::usage::Usage;
use crate::words::{Say, Word};
use resilee_membership::{Flow, RunId, Transport};
use resilee_sbb::{
    ActivityId, AttributeValue, CellId, CohortId, Event, PreserveMissed, Profile, StateBytes,
    TimerId, Timestamp, UsageUpdate, UsageValue, encode,
};
use resilee_test_kit::kept_records::{assert_read, bytes_of, line};
use serde::Serialize;
use serde_bytes::ByteBuf;

const KEPT: &str = include_str!("first.txt");

const CELL: CellId = CellId { cohort: CohortId(0x0102_0304_0506_0708), number: 9 };
const TIME: Timestamp = Timestamp::from_millis(1_700_000_000_123);

fn run() -> RunId {
    RunId { node: "server1".parse().expect("a name"), incarnation: 1_700_000_000_000 }
}

fn flow() -> Flow {
    let address = |text: &str| text.parse().expect("an address");
    let (remote, local) = (address("192.0.2.1:5062"), address("[2001:db8::1]:5060"));
    Flow { remote, local, transport: Transport::Udp }
}

fn bytes(text: &str) -> ByteBuf {
    ByteBuf::from(text)
}

fn event() -> Event {
    let activity = ActivityId { cell: CELL, number: 1 };
    Event { event_type: "sip.ended".to_owned(), activity, payload: b"payload".to_vec() }
}

fn row(row: Option<ByteBuf>) -> RowChange {
    RowChange { table: "registrations".to_owned(), key: "sip:a@b".to_owned(), row }
}

fn commit() -> Commit {
    let change = |part, value| Change { part, value };
    Commit {
        number: 7,
        cell: CELL,
        changes: vec![
            change(Part::Head, Some(bytes("head"))),
            change(Part::Activity(1), None),
            change(Part::Entity(2), Some(bytes("entity"))),
            change(Part::Timer(2, TimerId(3)), Some(bytes("timer"))),
            change(Part::Record, Some(bytes("record"))),
            change(Part::Retry(2), None),
        ],
        over: true,
        rows: vec![row(Some(bytes("row"))), row(None)],
        records: vec![Record { journal: "bills".to_owned(), record: b"bill".to_vec() }],
        egress: vec![Egress::new(flow(), b"BYE".to_vec())],
        noted: None,
    }
}

fn frame() -> Frame {
    let alarm = Alarm {
        source: "store".to_owned(),
        text: "nothing is stored".to_owned(),
        raised_at: TIME,
        count: 2,
        ..Alarm::default()
    };
    Frame {
        format: 1,
        from: run(),
        view: 3,
        stream: 4,
        first: 5,
        updates: vec![bytes("update")],
        ack_stream: 6,
        ack: 7,
        done: 8,
        sent_at: Some(TIME),
        asked: Vec::new(),
        answered: Vec::new(),
        words: Vec::new(),
        extras: vec![
            Extra::Hello,
            Extra::Join { stream: 9, empty: false },
            Extra::JoinFailed { stream: 9 },
            Extra::Alarms(vec![alarm]),
            Extra::Relay(Ingress::new(flow(), b"INVITE".to_vec())),
        ],
    }
}

#[test]
fn frames_and_updates_of_the_first_format_are_read() {
    assert_read(KEPT, "frame", &frame());
    assert_read(KEPT, "update.commit", &Update::Commit(commit()));
    let parts = vec![Change { part: Part::Head, value: Some(bytes("head")) }];
    assert_read(KEPT, "update.cell", &Update::Cell { id: CELL, parts: parts.clone() });
    assert_read(KEPT, "update.stranded", &Update::Stranded { id: CELL, parts });
    assert_read(KEPT, "update.rows", &Update::Rows(vec![row(Some(bytes("row")))]));
    let records = vec![StoredRecord { sequence: 1, cell: CELL, record: b"bill".to_vec() }];
    let journal = "bills".to_owned();
    assert_read(KEPT, "update.records", &Update::Records { journal, records });
    assert_read(KEPT, "update.snapshot-end", &Update::SnapshotEnd);
}

#[test]
fn what_the_first_format_stored_is_read() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let head = Head {
        key: 1,
        scope: Scope::Call,
        born_at: TIME,
        next_activity: 2,
        next_entity: 3,
        recorded: names(&["bills"]),
        quarantined: names(&["call-guard"]),
        adaptor: AdaptorId::FIRST,
        root: None,
        posted: 0,
    };
    assert_read(KEPT, "head", &head);
    let activity = Activity {
        state: b"state".to_vec(),
        attributes: [("tariff".to_owned(), bytes("attribute"))].into(),
        attached: [1, 2].into(),
        ending: true,
        ..Activity::default()
    };
    assert_read(KEPT, "activity", &activity);
    let state = StateBytes { version: 1, bytes: b"state".to_vec() };
    let entity = Entity {
        service: "call-billing".to_owned(),
        state,
        child: None,
        priority: None,
        convergence_name: None,
        masks: Default::default(),
        left: None,
    };
    assert_read(KEPT, "entity", &entity);
    assert_timer_is_read();
    let retry = Retry {
        service: "call-billing".to_owned(),
        events: vec![event()],
        tries: 1,
        due: TIME,
        alarm: "rolled back".to_owned(),
        convergence_name: None,
    };
    assert_read(KEPT, "retry", &retry);
    let progress = Progress {
        time: TIME,
        run: 0,
        commits: vec![(run(), 8)],
        joining: true,
        view: 0,
        since: 0,
    };
    assert_read(KEPT, "progress", &progress);
    assert_read(KEPT, "progress.whole", &Progress { view: 5, run: 6, ..progress });
    let record = StoredRecord { sequence: 1, cell: CELL, record: b"bill".to_vec() };
    assert_read(KEPT, "record", &record);
    let (key, value, journal) = (b"key".to_vec(), b"value".to_vec(), "bills".to_owned());
    let group = vec![
        StoreOp::Put { tree: Tree::Cells, key: key.clone(), value },
        StoreOp::Remove { tree: Tree::Tables, key },
        StoreOp::Clear { tree: Tree::Meta },
        StoreOp::Record { journal, cell: CELL, record: b"bill".to_vec() },
    ];
    assert_read(KEPT, "group", &group);
    let missed = b"BYE".to_vec();
    let further = Vec::new();
    let orphan = Orphan { at: TIME, missed: missed.clone(), further };
    assert_read(KEPT, "orphan", &orphan);
    // Since several are kept of one call.
    let further = vec![Missed { at: TIME, missed }];
    assert_read(KEPT, "orphan.further", &Orphan { further, ..orphan });
    assert_read(KEPT, "gap", &Gap { view: 3, at: TIME, cohorts: [CELL.cohort].into() });
}

/// The records of an ordinary call do not grow by it that there are several adaptors.
#[test]
fn what_is_of_the_first_adaptor_does_not_name_it_and_what_is_of_another_does() {
    let written = |adaptor| {
        let activity = Activity { adaptor, ..Activity::default() };
        let (egress, ingress) = (Egress::new(flow(), Vec::new()), Ingress::new(flow(), Vec::new()));
        let (egress, ingress) = (Egress { adaptor, ..egress }, Ingress { adaptor, ..ingress });
        let bytes = [encode(&activity), encode(&egress), encode(&ingress)];
        bytes.map(|bytes| String::from_utf8_lossy(&bytes.expect("plain data")).contains("adaptor"))
    };
    let activity = Activity { adaptor: AdaptorId(1), ..Activity::default() };
    assert_read(KEPT, "activity.of-another-adaptor", &activity);
    assert_eq!(written(AdaptorId::FIRST), [false; 3]);
    assert_eq!(written(AdaptorId(1)), [true; 3]);
}

/// A timer that fires once is its due time; the course of another one stands behind that.
fn assert_timer_is_read() {
    assert_read(KEPT, "timer", &TIME);
    let (preserve_missed, period_us) = (PreserveMissed::All, Some(1_000_000));
    let course =
        Course { period_us, left: Some(7), preserve_missed, late_after_us: 200_000, missed: 3 };
    let once = ArmedTimer { due: TIME, course: None };
    let periodic = ArmedTimer { course: Some(Box::new(course)), ..once.clone() };
    for (name, timer) in [("timer", once), ("timer.periodic", periodic)] {
        let written = timer.to_bytes().expect("plain data");
        let kept = bytes_of(KEPT, name).unwrap_or_else(|| panic!("add {}", line(name, &written)));
        assert_eq!(ArmedTimer::from_bytes(&kept), Ok(timer), "{name}");
    }
}

/// Written since there are profiles: by two fields of the frame more, and in rows.
#[test]
fn changes_of_shared_tables_and_what_is_wanted_of_services_are_read() {
    let attributes = [
        ("user".to_owned(), AttributeValue::from("alice")),
        ("limit".to_owned(), AttributeValue::from(-7)),
        ("barred".to_owned(), AttributeValue::from(true)),
    ];
    let profile = Profile { attributes: attributes.into() };
    let table = "accounts".to_owned();
    let put = TableChange::PutProfile { table, name: "alice@a".to_owned(), profile };
    assert_read(KEPT, "change.put-profile", &put);
    let (activate, deactivate) = (vec!["new".to_owned()], vec!["old".to_owned()]);
    assert_read(KEPT, "change.services", &TableChange::Services { activate, deactivate });
    assert_read(KEPT, "change.slee", &TableChange::Slee { running: false });
    let (from, to) = ("old".to_owned(), "new".to_owned());
    assert_read(KEPT, "change.migrate", &TableChange::Migrate { from, to: Some(to.clone()) });
    assert_read(KEPT, "migration", &MigrationRow { to, since: TIME });
    let (name, properties) = ("http".to_owned(), [("allow".to_owned(), "a".to_owned())].into());
    let order = AdaptorOrder::Configure { properties };
    assert_read(KEPT, "change.adaptor", &TableChange::Adaptor { name, order });
    let properties = [("allow".to_owned(), "a".to_owned())].into();
    let queried_at = Some(TIME);
    let wanted = WantedAdaptor { active: true, since: TIME, removed: true, queried_at, properties };
    assert_read(KEPT, "wanted.adaptor", &wanted);
    assert_read(KEPT, "changed.done", &Changed::Done);
    assert_read(KEPT, "changed.refused", &Changed::Refused("why".to_owned()));
    let asked = vec![AskedChange { token: 1, until: TIME, change: bytes("change"), again: false }];
    let answered = vec![AnsweredChange { token: 2, changed: bytes("changed"), not_yet: false }];
    assert_read(KEPT, "frame.changes", &Frame { asked, answered, ..frame() });
    let instead_of = vec!["old".to_owned()];
    assert_read(KEPT, "wanted", &Wanted { active: true, since: TIME, instead_of });
}

/// Written since events go between cells: by two parts of a cell, fields of the head and of an
/// activity, and one of the frame.
#[test]
fn ties_between_cells_and_their_words_are_read() {
    let root = RootName { service: "counter".to_owned(), name: "n3:all".to_owned() };
    let channel = Channel { cell: CELL, tie: 4 };
    let tie =
        Tie { activity: 1, root: root.clone(), far: None, heard: 2, done: true, binds: false };
    assert_read(KEPT, "tie", &tie);
    assert_read(KEPT, "tie.far", &Tie { far: Some(channel), ..tie.clone() });
    let event_type = "sip.invite".to_owned();
    let opens = Some(Opens { activity: 1, null: false });
    let event = Post::Event { event_type: event_type.clone(), payload: bytes("payload") };
    let posted = Posted { tie: 4, post: event.clone(), opens, initial: true };
    assert_read(KEPT, "posted", &posted);
    let posts = vec![
        Post::End,
        Post::Command { payload: bytes("command") },
        Post::Fire { event_type, payload: bytes("payload") },
        Post::EndActivity,
    ];
    assert_read(KEPT, "posts", &posts);
    let (event_type, payload) = ("slee.x".to_owned(), bytes("payload"));
    let names = vec![Post::Bind, Post::Pass { event_type, payload }];
    assert_read(KEPT, "posts.names", &names);
    assert_read(KEPT, "tie.binds", &Tie { binds: true, ..tie.clone() });
    let post = Say::Post { sequence: 6, after: 5, post: event, opens, initial: true };
    let word = Word { channel, root: root.clone(), to_root: true, say: post };
    assert_read(KEPT, "word.post", &word);
    let heard = |hung| {
        let say = Say::Heard { sequence: 6, over: true, hung };
        Word { say, to_root: false, ..word.clone() }
    };
    assert_read(KEPT, "word.heard", &heard(false));
    assert_read(KEPT, "word.hung", &heard(true));
    let hung_roots = ["counter".to_owned()].into();
    assert_read(KEPT, "activity.hung-roots", &Activity { hung_roots, ..Activity::default() });
    assert_read(KEPT, "frame.words", &Frame { words: vec![bytes("word")], ..frame() });
    let of = ActivityId { cell: CELL, number: 1 };
    let mirror = Some(Box::new(Mirror { of, null: true }));
    assert_read(KEPT, "activity.mirror", &Activity { mirror, ..Activity::default() });
    let head = Head {
        key: 1,
        scope: Scope::Tables,
        born_at: TIME,
        next_activity: 2,
        next_entity: 3,
        recorded: Default::default(),
        quarantined: Default::default(),
        adaptor: AdaptorId::FIRST,
        root: Some(Box::new(root)),
        posted: 6,
    };
    assert_read(KEPT, "head.root", &head);
    let change = |part| Change { part, value: None };
    let changes = vec![change(Part::Tie(4)), change(Part::Posted(6))];
    let commit = Commit { changes, ..Commit::empty(7, CELL) };
    assert_read(KEPT, "update.ties", &Update::Commit(commit));
}

/// What a selector had named for a suspended event is kept since an earlier version lost it.
#[test]
fn suspended_events_are_read() {
    let suspended = Suspended {
        event: event(),
        delivered: [1].into(),
        selected: ["call-guard".to_owned()].into(),
        served: Default::default(),
        failed: true,
        until: TIME,
        queue: vec![event()],
        founding: Default::default(),
        ends: true,
        named: Default::default(),
        by: String::new(),
        or_by: String::new(),
    };
    let activity = |suspended: &Suspended| Activity {
        suspended: Some(Box::new(suspended.clone())),
        ..Activity::default()
    };
    assert_read(KEPT, "activity.suspended", &activity(&suspended));
    let root = RootName { service: "counter".to_owned(), name: "n3:all".to_owned() };
    let named = Suspended { named: [root.clone()].into(), ..suspended.clone() };
    assert_read(KEPT, "activity.suspended.named", &activity(&named));
    let served = Suspended { served: [root].into(), ..suspended };
    assert_read(KEPT, "activity.suspended.served", &activity(&served));
}

/// What services count and raise: in commits, and in rows of snapshots and stores.
#[test]
fn what_services_count_and_raise_is_read() {
    let alarm = || Alarm {
        id: 5,
        source: "gateway-watch".to_owned(),
        alarm_type: "gateway_down".to_owned(),
        instance: "gw1".to_owned(),
        text: "it refuses calls".to_owned(),
        raised_at: TIME,
        count: 2,
        ..Alarm::default()
    };
    let update = |value| UsageUpdate {
        set: "gold".to_owned(),
        parameter: "talk_s".to_owned(),
        value, //
    };
    let counted = Counted {
        service: "call-billing".to_owned(),
        resets: 1,
        since: Some(TIME),
        linked: false,
        updates: vec![update(UsageValue::Count(-1)), update(UsageValue::Sample(7))],
    };
    let raised = AlarmChange { of: None, id: 5, alarm: Some(alarm()), count: u64::MAX };
    let cleared = AlarmChange { of: Some(run()), id: 6, alarm: None, count: 3 };
    let reset = UsageReset { service: "call-billing".to_owned(), number: 2, at: TIME };
    let noted = Noted {
        usage: vec![counted],
        resets: vec![reset],
        alarms: vec![raised, cleared], //
    };
    let commit = Commit { noted: Some(Box::new(noted)), ..Commit::empty(7, CELL) };
    assert_read(KEPT, "update.noted", &Update::Commit(commit));
    assert_read(KEPT, "row.alarm", &(run(), alarm()));
    let mut usage = Usage::default();
    let node = run().node;
    let mut row = |value| {
        let applied = usage.apply(
            TIME,
            &node,
            &Counted {
                service: "s".to_owned(),
                resets: 0,
                since: Some(TIME),
                linked: false,
                updates: vec![UsageUpdate { parameter: format!("{value:?}"), ..update(value) }],
            },
        );
        assert_eq!(applied, Ok(()));
    };
    row(UsageValue::Count(3));
    row(UsageValue::Sample(77));
    let rows: Vec<_> = usage.rows().collect();
    for (number, row) in rows.iter().enumerate() {
        assert_read(KEPT, &format!("row.usage.{number}"), row);
    }
    let mut read = Usage::default();
    for row in &rows {
        assert_eq!(read.read_row(&row.key, row.row.as_deref().map(Vec::as_slice)), Ok(()));
    }
    assert_eq!(read.rows().collect::<Vec<_>>(), rows);
}

#[test]
fn a_commit_that_notes_nothing_has_no_byte_of_it_and_one_that_counts_has_few() {
    let plain = encode(&commit()).expect("plain data");
    assert!(!plain.windows(5).any(|bytes| bytes == b"noted"));
    let update = |parameter: &str, value| UsageUpdate {
        set: String::new(),
        parameter: parameter.to_owned(),
        value, //
    };
    let counted = Counted {
        service: "call-billing".to_owned(),
        resets: 0,
        since: None,
        linked: false,
        updates: vec![
            update("bills", UsageValue::Count(1)),
            update("talk_s", UsageValue::Sample(180)),
        ],
    };
    let noted = Some(Box::new(Noted { usage: vec![counted], ..Noted::default() }));
    let bill = encode(&Commit { noted, ..commit() }).expect("plain data");
    let more = bill.len() - plain.len();
    assert!(more <= 140, "a bill is counted in {more} bytes");
}

#[test]
fn a_frame_of_another_format_is_told_from_a_bad_one_even_if_nothing_else_can_be_read() {
    #[derive(Serialize)]
    struct Later {
        format: u32,
        all_else: &'static str,
    }
    let other = Frame { format: FORMAT + 1, ..frame() };
    let later = Later { format: FORMAT + 1, all_else: "is different" };
    for bytes in [encode(&other), encode(&later)] {
        let refused = Frame::read(&bytes.expect("plain data")).expect_err("refused");
        assert_eq!(refused, FrameError::Format(FORMAT + 1));
    }
    let bad = Later { format: FORMAT, all_else: "is different" };
    let refused = Frame::read(&encode(&bad).expect("plain data")).expect_err("refused");
    assert!(matches!(refused, FrameError::Bad(_)), "{refused}");
}
