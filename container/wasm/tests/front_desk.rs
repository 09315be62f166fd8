//! A unit of a root SBB and a child SBB in Rust (`rust/front-desk`), on two servers: its child's
//! state outlives the server that has it, a panic changes nothing and is told, and the numbers that
//! it draws are those of the delivery.

use front_desk::{FrontDesk, GuestCame, KeyRack, PANIC, TROUBLE};
use resilee_sbb::{
    ActivityId, CellId, CohortId, Deliver, EntityId, Event, EventPayload, LinkedSbb, Outcome,
    UnitCompiler, UnitLimits, decode,
};
use resilee_test_slee::{EventType, Slee, TestActivity};
use resilee_wasm::UnitHost;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The unit, built and compiled once. The host is patient, since tests run on machines that have
/// too much to do.
fn unit() -> LinkedSbb {
    static UNIT: OnceLock<(UnitHost, LinkedSbb)> = OnceLock::new();
    let (_, unit) = UNIT.get_or_init(|| {
        let time_max = Duration::from_secs(5);
        let host = UnitHost::new(UnitLimits::default().with_time_max(time_max)).expect("a host");
        let service = host.compile(&build()).expect("a unit");
        (host, service)
    });
    *unit
}

fn build() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
    let into = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("front-desk.wasm");
    let mut build = Command::new(std::env::var_os("CARGO").expect("cargo runs tests"));
    build.current_dir(root).args(["run", "-q", "-p", "xtask", "--", "unit", "front-desk", "--out"]);
    let built = build.arg(&into).output().expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(into).expect("what was built")
}

/// Two servers with the unit, and a hotel.
struct Hotel {
    slee: Slee,
    activity: TestActivity,
}

impl Hotel {
    fn open() -> Hotel {
        let mut slee = Slee::pair(&[unit()], &[EventType::of::<GuestCame>()]);
        let activity = slee.begin();
        Hotel { slee, activity }
    }

    fn guest_comes(&mut self, name: &str) {
        self.slee.fire(self.activity, &GuestCame { name: name.to_owned() });
    }

    /// The root entity is number 1, its child number 2.
    fn desk(&self) -> FrontDesk {
        self.slee.state(1).expect("there is a desk")
    }

    fn keys(&self) -> Vec<u64> {
        self.slee.state::<KeyRack>(2).expect("there is a rack").keys
    }
}

#[test]
fn a_childs_state_goes_on_when_the_server_that_has_it_is_killed() {
    let mut hotel = Hotel::open();
    hotel.guest_comes("ann");
    hotel.guest_comes("bob");
    let before = hotel.keys();
    assert_eq!(before.len(), 2);
    hotel.slee.kill_the_owner();
    assert_eq!(hotel.keys(), before, "the heir has what was handed out");
    hotel.guest_comes("carol");
    assert_eq!(hotel.desk(), FrontDesk { guests: 3, handed_out: 3 });
    assert_eq!(hotel.keys()[..2], before);
    assert_eq!(hotel.keys().len(), 3);
    assert_eq!(hotel.slee.cells(2)[0].entities.len(), 2, "it is the same child");
    hotel.slee.end(hotel.activity);
    assert!(hotel.slee.is_empty());
}

#[test]
fn a_panic_changes_nothing_and_is_in_the_trace() {
    let mut hotel = Hotel::open();
    hotel.guest_comes("ann");
    let (desk, keys) = (hotel.desk(), hotel.keys());
    assert_eq!(hotel.slee.traces(), [""; 0]);
    hotel.guest_comes(TROUBLE);
    assert_eq!((hotel.desk(), hotel.keys()), (desk, keys), "neither root nor child has changed");
    assert!(hotel.slee.agrees());
    let lines = hotel.slee.traces();
    let told = |line: &String| line.starts_with("panicked at ") && line.ends_with(PANIC);
    let place = |line: &String| line.contains("front-desk/src/lib.rs:");
    assert_eq!(lines.iter().filter(|line| told(line) && place(line)).count(), 1, "{lines:?}");
    hotel.guest_comes("bob");
    assert_eq!(hotel.desk(), FrontDesk { guests: 2, handed_out: 2 });
}

#[test]
fn a_panic_is_an_alarm_and_the_third_one_another() {
    let mut hotel = Hotel::open();
    let first = format!("{} rolled back: panicked: {PANIC}", GuestCame::TYPE);
    hotel.guest_comes("ann");
    hotel.guest_comes(TROUBLE);
    assert_eq!(hotel.slee.alarms(), [first]);
    hotel.guest_comes(TROUBLE);
    assert_eq!(hotel.slee.alarms(), [""; 0], "that one is raised already");
    hotel.guest_comes(TROUBLE);
    let often = "front-desk failed 3 times within 60 s: look at its other alarms";
    assert_eq!(hotel.slee.alarms(), [often]);
    hotel.guest_comes("bob");
    assert_eq!(hotel.desk(), FrontDesk { guests: 2, handed_out: 2 }, "it serves all the same");
}

/// What comes of the first guest's delivery with this seed, and the key that he gets.
fn drawn(service: LinkedSbb, seed: u64) -> (Outcome, u64) {
    let cell = CellId { cohort: CohortId(7), number: 1 };
    let came = GuestCame { name: "ann".to_owned() };
    let event = Event::new(ActivityId { cell, number: 1 }, &came).expect("plain");
    let mut deliver = Deliver::first("front-desk", event);
    deliver.seed = seed;
    let outcome = service.invoke(&deliver);
    let rack = outcome.state_of(EntityId { cell, number: 2 }).expect("there is a rack");
    let rack: KeyRack = decode(&rack.bytes).expect("a rack's state");
    (outcome, rack.keys[0])
}

#[test]
fn numbers_are_drawn_of_the_deliverys_seed_again_and_again_and_as_of_a_linked_service() {
    let first = drawn(unit(), 41);
    assert_eq!(drawn(unit(), 41), first);
    assert_eq!(drawn(LinkedSbb::of::<FrontDesk>(), 41), first);
    assert_ne!(drawn(unit(), 42).1, first.1);
}

#[test]
fn each_delivery_draws_other_numbers() {
    let mut hotel = Hotel::open();
    ["ann", "bob", "carol"].iter().for_each(|name| hotel.guest_comes(name));
    let mut keys = hotel.keys();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3, "{keys:?}");
}
