//! Units written by hand, which do what no honest one does.

use resilee_sbb::{
    ActivityId, CellId, CohortId, Context, Deliver, Deployment, Descriptor, Effect, EntityState,
    Event, Failure, LinkedSbb, Outcome, Permission, Sbb, StateBytes, TraceLevel, UnitCompiler,
    UnitDescription, UnitLimits, encode,
};
use resilee_wasm::UnitHost;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::Duration;

/// Where its data begins, behind the places of results.
const DATA: usize = 1024;

/// A unit of a component in WebAssembly's text format.
pub struct Guest {
    pub description: Vec<u8>,
    pub answer: Vec<u8>,
    /// Instructions before it describes itself.
    pub describe: &'static str,
    /// Instructions before it answers.
    pub deliver: String,
    /// Pages of memory that it begins with, besides what its data needs.
    pub pages: usize,
    /// Version of the interface.
    pub version: &'static str,
    /// What it imports besides.
    pub import: &'static str,
    /// Modules and instances that it has besides.
    pub modules: String,
    /// What the module of its code has besides.
    pub parts: String,
}

/// What it says that it is.
#[derive(Default, Serialize, Deserialize)]
pub struct Honest;

impl Sbb for Honest {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let permissions = &[Permission::Start { adaptor: "http", to: "a.test" }];
        let deployment = Deployment { permissions, ..Deployment::ALONE };
        Descriptor { vendor: "test", deployment, ..Descriptor::named("guest") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

/// One that is patient, since tests run on machines that have too much to do.
pub fn host() -> UnitHost {
    let time_max = Duration::from_secs(2);
    UnitHost::new(UnitLimits::default().with_time_max(time_max)).expect("a host")
}

/// The first event of an entity.
pub fn deliver() -> Deliver {
    let cell = CellId { cohort: CohortId(7), number: 1 };
    let activity = ActivityId { cell, number: 1 };
    let event = Event { event_type: "test".to_owned(), activity, payload: Vec::new() };
    Deliver::first("guest", event)
}

/// A line that a unit writes.
pub fn line(text: &str) -> Effect {
    let (tracer, text) = ("guest".to_owned(), text.to_owned());
    Effect::Trace { tracer, level: TraceLevel::Info, text }
}

/// What an honest unit answers, with these effects.
pub fn delivered(effects: Vec<Effect>) -> Outcome {
    let state = StateBytes { version: 1, bytes: encode(&Honest).expect("plain") };
    let entities = vec![EntityState { number: 1, born: None, state }];
    Outcome::Delivered { entities, removed: Vec::new(), effects }
}

impl Default for Guest {
    /// An honest one.
    fn default() -> Self {
        Guest {
            description: UnitDescription::of(&[LinkedSbb::of::<Honest>()]).to_bytes(),
            answer: encode(&delivered(Vec::new())).expect("plain"),
            describe: "",
            deliver: String::new(),
            pages: 0,
            version: "0.1.0",
            import: "",
            modules: String::new(),
            parts: String::new(),
        }
    }
}

impl Guest {
    /// One that does this before it answers.
    pub fn that(deliver: &str) -> Self {
        Guest { deliver: deliver.to_owned(), ..Guest::default() }
    }

    /// It has this effect kept so often before: that is where its answer is.
    pub fn keeps(&mut self, effect: &Effect, times: usize) {
        self.answer = encode(effect).expect("plain");
        let call = "(call $keep (i32.load (i32.const 16)) (i32.load (i32.const 20)))";
        self.deliver = format!("{}{}", call.repeat(times), self.deliver);
    }

    /// One that answers this.
    pub fn answering(outcome: &Outcome) -> Self {
        Guest { answer: encode(outcome).expect("plain"), ..Guest::default() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        wat::parse_str(self.text()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Compiles it; what is wrong with it.
    pub fn refused(&self) -> String {
        host().compile(&self.bytes()).expect_err("it must be refused").to_string()
    }

    /// The outcome of one delivery; and the next one finds nothing of it.
    pub fn outcome(&self) -> Outcome {
        let host = host();
        let bad = host.compile(&self.bytes()).expect("a unit");
        let outcome = bad.invoke(&deliver());
        let good = host.compile(&Guest::default().bytes()).expect("a unit");
        assert_eq!(good.invoke(&deliver()), delivered(Vec::new()), "the next delivery");
        outcome
    }

    /// Why one delivery rolled back.
    pub fn reason(&self) -> String {
        match self.outcome() {
            Outcome::RolledBack { reason, .. } => reason,
            other => panic!("it must roll back: {other:?}"),
        }
    }

    fn text(&self) -> String {
        let Guest { description, answer, describe, deliver, version, import, .. } = self;
        let Guest { modules, parts, .. } = self;
        let behind = DATA + description.len();
        let end = behind + answer.len();
        let pages = end.div_ceil(65_536) + 1 + self.pages;
        let place = |at: usize, len: usize| {
            let bytes = [(at as u32).to_le_bytes(), (len as u32).to_le_bytes()].concat();
            escaped(&bytes)
        };
        let (first, second) = (place(DATA, description.len()), place(behind, answer.len()));
        let (description, answer) = (escaped(description), escaped(answer));
        let free = end.next_multiple_of(16);
        format!(
            r#"(component
  (import "resilee:sbb/host@{version}" (instance $host
    (export "keep" (func (param "effect" (list u8))))
    (export "has-profile-table" (func (param "table" string) (result bool)))))
  {import}
  {modules}
  (core module $libc
    (memory (export "memory") {pages})
    (global $free (mut i32) (i32.const {free}))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $free))
      (global.set $free
        (i32.and
          (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 15))
          (i32.const -16)))
      (local.get $at))
    (data (i32.const 0) "{first}")
    (data (i32.const 16) "{second}")
    (data (i32.const {DATA}) "{description}{answer}"))
  (core instance $libc (instantiate $libc))
  (core func $keep (canon lower (func $host "keep") (memory $libc "memory")))
  (core func $ask (canon lower (func $host "has-profile-table") (memory $libc "memory")))
  (core module $unit
    (import "libc" "memory" (memory 0))
    (import "host" "keep" (func $keep (param i32 i32)))
    (import "host" "ask" (func $ask (param i32 i32) (result i32)))
    {parts}
    (func $deeper (param i32) (result i32)
      (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "describe") (result i32) {describe} (i32.const 0))
    (func (export "deliver") (param i32 i32 i32 i32) (result i32) {deliver} (i32.const 16)))
  (core instance $unit (instantiate $unit
    (with "libc" (instance $libc))
    (with "host" (instance (export "keep" (func $keep)) (export "ask" (func $ask))))))
  (func $describe (result (list u8))
    (canon lift (core func $unit "describe") (memory $libc "memory")))
  (func $deliver (param "service" string) (param "delivery" (list u8)) (result (list u8))
    (canon lift (core func $unit "deliver") (memory $libc "memory")
      (realloc (func $libc "realloc"))))
  (instance $exported
    (export "describe" (func $describe)) (export "deliver" (func $deliver)))
  (export "resilee:sbb/unit@{version}" (instance $exported)))"#
        )
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}
