//! The services of the example call-guard, linked and as units: the same source gives the same
//! outcomes. They are linked into this test by their files, since their crate has a whole node.

#[path = "../../../examples/call-guard/src/counter.rs"]
mod counter;
#[path = "../../../examples/call-guard/src/guard.rs"]
mod guard;
#[path = "../../../examples/call-guard/src/rules.rs"]
mod rules;

use counter::CallCounter;
use guard::CallGuard;
use resilee_sbb::{
    ActivityEnd, ActivityId, CellId, CohortId, ContextView, Deliver, EntityId, Event, EventPayload,
    LinkedSbb, Outcome, StateBytes, Tables, Task, TimerFired, TimerId, Timestamp, UnitCompiler,
    UnitLimits, encode,
};
use resilee_sip_api::{ACCOUNTS, Account, Algorithm, Credentials, Invite, Party};
use resilee_wasm::UnitHost;
use rules::{RULES, Rule};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// As in the crate's root.
const UNIT: &str = "call-guard";
const CALLER: &str = "sip:alice@example.test";
const CELL: CellId = CellId { cohort: CohortId(7), number: 1 };
const CALL: ActivityId = ActivityId { cell: CELL, number: 1 };

#[derive(Serialize, Deserialize)]
struct CallWanted {
    caller: String,
    calls_per_minute: u32,
}

impl EventPayload for CallWanted {
    const TYPE: &'static str = "call_guard.call_wanted";
}

#[derive(Serialize, Deserialize)]
struct Counted {
    allowed: bool,
}

impl EventPayload for Counted {
    const TYPE: &'static str = "call_guard.counted";
}

/// Guard and counter as units, built once. The host is patient, since tests run on machines that
/// have too much to do.
fn units() -> &'static (UnitHost, [LinkedSbb; 2]) {
    static UNITS: OnceLock<(UnitHost, [LinkedSbb; 2])> = OnceLock::new();
    UNITS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
        let guard = build(root, &[], "call-guard");
        let counter = build(root, &["--features", "counter"], "call-counter");
        let time_max = Duration::from_secs(5);
        let host = UnitHost::new(UnitLimits::default().with_time_max(time_max)).expect("a host");
        let services = [guard, counter].map(|bytes| host.compile(&bytes).expect("a unit"));
        (host, services)
    })
}

fn guard_unit() -> LinkedSbb {
    units().1[0]
}

fn counter_unit() -> LinkedSbb {
    units().1[1]
}

fn build(root: &Path, features: &[&str], name: &str) -> Vec<u8> {
    let into = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.wasm"));
    let mut build = Command::new(std::env::var_os("CARGO").expect("cargo runs tests"));
    build.current_dir(root).args(["run", "-q", "-p", "xtask", "--", "unit", "call-guard", "--out"]);
    let built = build.arg(&into).args(features).output().expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(into).expect("what was built")
}

fn event<E: EventPayload>(activity: u32, payload: &E) -> Event {
    Event::new(ActivityId { cell: CELL, number: activity }, payload).expect("plain")
}

fn invite(credentials: Option<Credentials>) -> Event {
    let caller = Party {
        user: "alice".to_owned(),
        address_of_record: CALLER.to_owned(),
        ..Party::default()
    };
    event(
        1,
        &Invite {
            call_id: "1".to_owned(),
            request_uri: "sip:bob@example.test".to_owned(),
            callee: Party::default(),
            caller,
            set_up_at: Timestamp::from_millis(5),
            source: "127.0.0.1:5060".to_owned(),
            credentials,
            barred_s: None,
        },
    )
}

fn credentials(response: Option<&str>) -> Credentials {
    let account = account();
    let mut credentials = Credentials {
        username: account.user.clone(),
        realm: account.realm.clone(),
        nonce: "n".to_owned(),
        uri: "sip:bob@example.test".to_owned(),
        response: String::new(),
        algorithm: Algorithm::Md5,
        qop: None,
        method: "INVITE".to_owned(),
        nonce_fresh: true,
    };
    let right = credentials.expected(&account.ha1);
    credentials.response = response.map_or(right, str::to_owned);
    credentials
}

fn account() -> Account {
    Account::with_password("alice", "example.test", "secret")
}

fn tables(rule: Option<Rule>) -> Tables {
    let mut tables = Tables::of(&[LinkedSbb::of::<CallGuard>().descriptor()]);
    let account = account();
    let key = Account::key(&account.user, &account.realm);
    tables.put(ACCOUNTS, &key, encode(&account).expect("plain"));
    if let Some(rule) = rule {
        tables.put(RULES.name, CALLER, encode(&rule).expect("plain"));
    }
    tables
}

/// Gives the delivery to both, and what the linked one makes of it.
#[track_caller]
fn same(linked: LinkedSbb, unit: LinkedSbb, deliver: &Deliver) -> Outcome {
    let (expected, outcome) = (linked.invoke(deliver), unit.invoke(deliver));
    assert_eq!(outcome, expected);
    outcome
}

#[test]
fn a_guard_decides_the_same() {
    let (linked, unit) = (LinkedSbb::of::<CallGuard>(), guard_unit());
    let limit = Rule { blocked: false, calls_per_minute: Some(2) };
    let blocked = Rule { blocked: true, calls_per_minute: None };
    let invites = [
        (None, None),
        (None, Some(blocked)),
        (None, Some(limit)),
        (Some(credentials(None)), Some(limit)),
        (Some(credentials(Some("wrong"))), Some(limit)),
        (Some(credentials(None)), Some(Rule { blocked: true, ..limit })),
    ];
    let mut asked = Vec::new();
    for (credentials, rule) in invites {
        let mut deliver = Deliver::first("call-guard", invite(credentials));
        deliver.tables = tables(rule);
        let outcome = same(linked, unit, &deliver);
        assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
        asked.extend(outcome.state_of(deliver.entity).cloned());
    }
    for (place, allowed) in [(3, true), (3, false), (0, true)] {
        let mut deliver = Deliver::first("call-guard", event(2, &Counted { allowed }));
        deliver = deliver.with_state(Some(asked[place].clone()));
        let call = ContextView { is_suspended: true, ..deliver.contexts[&2].clone() };
        deliver.contexts.insert(1, call);
        deliver.contexts.entry(2).or_default().is_null = true;
        same(linked, unit, &deliver);
    }
}

#[test]
fn a_guard_fails_the_same() {
    let (linked, unit) = (LinkedSbb::of::<CallGuard>(), guard_unit());
    let unreadable = Event { payload: vec![1], ..invite(None) };
    let unknown = Event { event_type: "test".to_owned(), activity: CALL, payload: Vec::new() };
    for event in
        [unreadable, unknown, event(1, &ActivityEnd {}), event(1, &Counted { allowed: true })]
    {
        let mut deliver = Deliver::first("call-guard", event);
        same(linked, unit, &deliver);
        deliver.task = Task::RolledBack { reason: "why not".to_owned() };
        same(linked, unit, &deliver);
        deliver.task = Task::Select;
        same(linked, unit, &deliver);
    }
    // Nobody has declared its profile table.
    let outcome = same(linked, unit, &Deliver::first("call-guard", invite(None)));
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
}

#[test]
fn a_counter_counts_the_same() {
    let (linked, unit) = (LinkedSbb::of::<CallCounter>(), counter_unit());
    let wanted = || event(1, &CallWanted { caller: CALLER.to_owned(), calls_per_minute: 2 });
    let mut deliver = Deliver::first("call-counter", wanted());
    deliver.task = Task::Select;
    let selected = same(linked, unit, &deliver);
    assert!(matches!(&selected, Outcome::Selected { convergence_name: Some(_), .. }));
    let mut state = None;
    for second in 0..4 {
        let mut deliver = Deliver::first("call-counter", wanted()).with_state(state);
        deliver.now = Timestamp::from_millis(1_000 * second);
        let outcome = same(linked, unit, &deliver);
        state = outcome.state_of(deliver.entity).cloned();
    }
    for second in [30, 61, 120] {
        let fired = TimerFired {
            timer: TimerId(1),
            scheduled_at: Timestamp::ZERO,
            fired_at: Timestamp::ZERO,
            remaining: Some(0),
            missed: 0,
        };
        let mut deliver = Deliver::first("call-counter", event(2, &fired)).with_state(state);
        deliver.contexts.entry(2).or_default().is_null = true;
        deliver.now = Timestamp::from_millis(1_000 * second);
        let outcome = same(linked, unit, &deliver);
        state = outcome.state_of(deliver.entity).cloned();
    }
}

/// A tree of another service, which wrote states of this version or of another one.
#[test]
fn states_of_another_service_are_read_the_same() {
    let (linked, unit) = (LinkedSbb::of::<CallCounter>(), counter_unit());
    let wanted = event(1, &CallWanted { caller: CALLER.to_owned(), calls_per_minute: 2 });
    let first = same(linked, unit, &Deliver::first("call-counter", wanted.clone()));
    let state = first.state_of(EntityId { cell: CELL, number: 1 }).cloned().expect("a state");
    let migration = |state: StateBytes, version: u32| {
        let state = StateBytes { version, ..state };
        let mut deliver = Deliver::first("call-counter", wanted.clone()).with_state(Some(state));
        deliver.task = Task::Migrate { from: "older-counter".to_owned() };
        same(linked, unit, &deliver)
    };
    for version in [0, 1] {
        let outcome = migration(state.clone(), version);
        let Outcome::Delivered { entities, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(entities.len(), 1);
        assert_eq!(entities[0].state, state, "it is of the same layout");
    }
    let outcome = migration(StateBytes { version: 1, bytes: vec![1] }, 0);
    let Outcome::RolledBack { reason, .. } = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("call-counter does not read state of version 0: "), "{reason}");
}

#[test]
fn descriptors_are_the_same_but_for_the_unit() {
    let unit = guard_unit().descriptor();
    let linked = LinkedSbb::of::<CallGuard>().descriptor();
    assert_eq!(unit.unit(), "call-guard");
    assert_eq!(
        (unit.priority, unit.initial_events, unit.events, unit.attribute_aliases),
        (linked.priority, linked.initial_events, linked.events, linked.attribute_aliases)
    );
    let (unit, linked) = (unit.deployment, linked.deployment);
    assert_eq!(unit.permissions, linked.permissions);
    assert_eq!(unit.profile_tables, linked.profile_tables);
    assert_eq!(unit.needs, linked.needs);
}
