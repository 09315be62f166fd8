//! A service within a unit: deliveries come as bytes, rows are asked for; the outcome is the same.

use resilee_sbb::{
    ActivityId, Attribute, AttributeAlias, AttributeKind, CellId, ChildRelation, CohortId, Context,
    Deliver, Deployment, Descriptor, Effect, Event, Failure, Host, LinkedSbb, OnRollBack, Outcome,
    Permission, Profile, ProfileTable, Sbb, StateBytes, Tables, Timestamp, TraceLevel,
    UnitDescription, UsageParameter, answer,
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};

const PHONES: ProfileTable = ProfileTable {
    name: "phones",
    about: "whose they are",
    attributes: &[Attribute::new("owner", AttributeKind::Text { chars_max: 9 }).indexed()],
    named_by: &[],
    separator: "",
    profiles_max: 100,
};

/// It is its own child.
const CHILDREN: &[ChildRelation] =
    &[ChildRelation { name: "again", sbb: LinkedSbb::of::<Reader>(), priority: 4 }];
const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("reads"), UsageParameter::sample("bytes")];

#[derive(Default, Serialize, Deserialize)]
struct Reader {
    rows: Vec<String>,
    found: Vec<String>,
}

impl Sbb for Reader {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "acme",
            version: "2",
            priority: -3,
            initial_events: &["begin"],
            selects_initial_events: true,
            events: &["go on"],
            on_roll_back: OnRollBack::Retry,
            children: CHILDREN,
            attribute_aliases: &[AttributeAlias { attribute: "a", alias: "b" }],
            usage: USAGE,
            deployment: Deployment {
                needs: &["other"],
                profile_tables: &[&PHONES],
                permissions: &[
                    Permission::Read("t"),
                    Permission::Start { adaptor: "http", to: "a.test" },
                ],
                ..Deployment::ALONE
            },
            ..Descriptor::named("reader")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        self.rows = cx.rows("t").map(|(key, row)| format!("{key} {row:?}")).collect();
        self.found = cx.find_profiles("phones", "owner", "ann")?.map(str::to_owned).collect();
        let own: Option<Profile> = cx.profile("phones", "p3")?;
        cx.trace(TraceLevel::Info, format_args!("{own:?} {:?}", cx.row::<u8>("t", "k1")?));
        cx.create_child("again")?;
        let random = cx.random();
        cx.set_attribute("a", &random)?;
        cx.count("reads", 1);
        match event.payload.is_empty() {
            true => Ok(()),
            false => Err(Failure::new("as it was told")),
        }
    }
}

/// A node that gives little at once.
#[derive(Debug, Default)]
struct Node {
    tables: Tables,
    asked: AtomicUsize,
    kept: AtomicUsize,
}

impl Host for Node {
    fn row(&self, table: &str, key: &str) -> Option<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.tables.get(table, key).map(|row| row.to_vec())
    }

    fn rows(&self, table: &str, from: &str) -> Vec<(String, Vec<u8>)> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let rows = self.tables.rows_from(table, from).take(2);
        rows.map(|(key, row)| (key.to_owned(), row.to_vec())).collect()
    }

    fn has_profile_table(&self, table: &str) -> bool {
        self.tables.has_profile_table(table)
    }

    fn find(&self, table: &str, attribute: &str, value: &str, after: &str) -> Option<Vec<String>> {
        let found = self.tables.find_after(table, attribute, value, after)?;
        Some(found.take(2).map(str::to_owned).collect())
    }

    fn keep(&self, effect: &Effect) {
        assert!(effect.survives_roll_back());
        self.kept.fetch_add(1, Ordering::Relaxed);
    }
}

fn tables() -> Tables {
    let mut tables = Tables::of(&[Reader::descriptor()]);
    // The least key behind the last one of a batch.
    tables.put("t", "k2\0", vec![9]);
    for number in 1..6_u8 {
        tables.put("t", &format!("k{number}"), vec![number]);
        let owner = if number == 2 { "bob" } else { "ann" };
        let attributes = [("owner".to_owned(), owner.into())].into();
        tables.put("phones", &format!("p{number}"), Profile { attributes }.to_row());
    }
    tables
}

fn deliver(payload: Vec<u8>) -> Deliver {
    let cell = CellId { cohort: CohortId(7), number: 1 };
    let activity = ActivityId { cell, number: 1 };
    let event = Event { event_type: "begin".to_owned(), activity, payload };
    let mut deliver = Deliver::first("reader", event);
    deliver.tables = tables();
    deliver.now = Timestamp::from_millis(5);
    deliver.seed = 42;
    deliver.contexts.entry(1).or_default().attributes.insert("b".to_owned(), vec![7; 300]);
    deliver
}

/// What both make of it, and the unit's node.
fn both(deliver: &Deliver) -> (Outcome, Outcome, &'static Node) {
    let node: &Node = Box::leak(Box::new(Node { tables: tables(), ..Node::default() }));
    let services = [LinkedSbb::of::<Reader>()];
    let answer = answer(&services, "reader", &deliver.to_unit(&services[0].descriptor()), node);
    let outcome = Outcome::of_unit(&answer).expect("an outcome");
    (services[0].invoke(deliver), outcome, node)
}

#[test]
fn a_delivery_has_the_same_outcome_within_a_unit() {
    let (linked, unit, node) = both(&deliver(Vec::new()));
    assert!(matches!(linked, Outcome::Delivered { .. }), "{linked:?}");
    assert_eq!(unit, linked);
    // Six rows, two at a time, and that there are no more; two single rows.
    assert_eq!(node.asked.load(Ordering::Relaxed), 6);
}

#[test]
fn a_failure_is_the_same_and_its_lines_are_kept_at_once() {
    let (linked, unit, node) = both(&deliver(vec![1]));
    assert!(matches!(&linked, Outcome::RolledBack { effects, .. } if effects.len() == 1));
    assert_eq!(unit, linked);
    assert_eq!(node.kept.load(Ordering::Relaxed), 1);
}

#[test]
fn a_delivery_with_a_tree_reads_back() {
    let state = StateBytes { version: 9, bytes: vec![1, 2, 3] };
    let deliver = deliver(Vec::new()).with_state(Some(state));
    let (linked, unit, _) = both(&deliver);
    assert!(matches!(linked, Outcome::RolledBack { .. }), "another version: {linked:?}");
    assert_eq!(unit, linked);
}

#[test]
fn a_description_is_the_descriptor() {
    let description = UnitDescription::of(&[LinkedSbb::of::<Reader>()]);
    assert_eq!(description.sbbs.len(), 1, "a child of its own kind is described once");
    let read = UnitDescription::read(&description.to_bytes()).expect("a description");
    assert_eq!(read, description);
    let sbbs = read.leaked(|name| {
        assert_eq!(name, "reader");
        LinkedSbb::of::<Reader>()
    });
    let (read, own) = (format!("{:?}", sbbs[0]), format!("{:?}", Reader::descriptor()));
    assert_eq!(read, own);
}

#[test]
fn what_is_not_known_is_skipped() {
    #[derive(Serialize)]
    struct Newer {
        services: Vec<String>,
        sbbs: Vec<NewerSbb>,
        colour: u8,
    }
    #[derive(Serialize)]
    struct NewerSbb {
        name: String,
        colour: u8,
    }
    let sbbs = vec![NewerSbb { name: "new".to_owned(), colour: 1 }];
    let newer = Newer { services: vec!["new".to_owned()], sbbs, colour: 2 };
    let bytes = resilee_sbb::encode(&newer).expect("plain");
    let read = UnitDescription::read(&bytes).expect("a description");
    let sbb = read.leaked(|_| LinkedSbb::of::<Reader>())[0];
    assert_eq!((sbb.name, sbb.priority, sbb.version), ("new", 0, ""));
    // Before there was a permission for that, each unit might.
    assert_eq!(sbb.deployment.permissions, [Permission::Suspend]);
}

/// An SBB that says too much of itself.
#[derive(Default, Serialize, Deserialize)]
struct Wordy<const N: usize>;

fn long(size: usize) -> &'static str {
    "x".repeat(size).leak()
}

fn table(about: usize, name: usize, attribute: usize) -> Deployment {
    let kind = AttributeKind::Number { min: 1, max: 9 };
    let table = ProfileTable {
        name: long(name),
        about: long(about),
        attributes: vec![Attribute::new(long(attribute), kind)].leak(),
        named_by: &[],
        separator: "",
        profiles_max: 1,
    };
    Deployment { profile_tables: vec![&*Box::leak(Box::new(table))].leak(), ..Deployment::ALONE }
}

fn permitted(permissions: Vec<Permission>) -> Deployment {
    Deployment { permissions: permissions.leak(), ..Deployment::ALONE }
}

fn taking(services: Vec<&'static str>) -> Deployment {
    Deployment { migrates_from: services.leak(), ..Deployment::ALONE }
}

impl<const N: usize> Sbb for Wordy<N> {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let alias =
            |alias| -> &[AttributeAlias] { vec![AttributeAlias { attribute: "a", alias }].leak() };
        let attribute_aliases = if N == 8 { alias("other/a") } else { &[] };
        let deployment = match N {
            0 => permitted(vec![Permission::Read(long(128)); 64]),
            1 => permitted(vec![Permission::Read("a"); 65]),
            2 => permitted(vec![Permission::Write(long(129))]),
            3 => permitted(vec![Permission::Start { adaptor: "http", to: long(129) }]),
            4 => table(1_024, 128, 128),
            5 => table(1_025, 1, 1),
            6 => table(1, 129, 1),
            7 => table(1, 1, 129),
            9 => taking(vec!["a"; 16]),
            10 => taking(vec!["a"; 17]),
            11 => taking(vec![""]),
            _ => Deployment::ALONE,
        };
        Descriptor { deployment, attribute_aliases, ..Descriptor::named("wordy") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

fn read<const N: usize>() -> Result<UnitDescription, String> {
    UnitDescription::read(&UnitDescription::of(&[LinkedSbb::of::<Wordy<N>>()]).to_bytes())
}

#[test]
fn texts_and_permissions_of_a_description_have_bounds() {
    assert!(read::<0>().is_ok() && read::<4>().is_ok() && read::<9>().is_ok());
    let refused = |read: Result<UnitDescription, String>| read.expect_err("refused");
    assert_eq!(refused(read::<1>()), "wordy has 65 permissions, 64 allowed");
    for reason in [read::<2>(), read::<3>(), read::<6>(), read::<7>()].map(refused) {
        assert!(reason.starts_with("wordy has a name of 129 bytes, 128 allowed"), "{reason}");
    }
    let text = "wordy takes entities of 17 services, of which each has a name, 16 allowed";
    assert_eq!(refused(read::<10>()), text);
    assert_eq!(refused(read::<11>()), text.replace("17", "1"));
    assert_eq!(refused(read::<5>()), "1025 bytes tell what x is about, 1024 allowed");
}

/// It could name one that another SBB keeps for itself.
#[test]
fn an_alias_is_no_attribute_of_one_sbb() {
    let text = "wordy has an alias \"other/a\": call it without a slash";
    assert_eq!(read::<8>().expect_err("refused"), text);
}
