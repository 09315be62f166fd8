//! Units that are uploaded to a node while it runs, with a compiler that knows a few names.

use crate::node::{Client, DEADLINE, Said, free_address, start, start_with, status};
use actix::System;
use resilee_core::UNIT_PART_BYTES;
use resilee_core::management::{Answer, Changed, Query, Status, TableChange};
use resilee_runtime::{Asker, Runtime, unit_id};
use resilee_sbb::{
    Context, Deliver, Deployment, Descriptor, Event, EventPayload, Failure, LinkedSbb, NotCompiled,
    Outcome, Sbb, UnitCompiler, UploadedSbb,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

pub const ALPHA: &[u8] = b"linked:alpha";

/// Counts what it hears.
#[derive(Default, Serialize, Deserialize)]
struct Alpha;

impl Sbb for Alpha {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "test",
            version: "1",
            priority: 7,
            initial_events: &[Said::TYPE],
            ..Descriptor::named("alpha")
        }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

/// Another service that says that it is alpha.
#[derive(Default, Serialize, Deserialize)]
struct Impostor;

impl Sbb for Impostor {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Alpha::descriptor()
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Err(Failure::new("nobody should get here"))
    }
}

/// What replaces alpha. It reads what that has heard, in which there is nothing.
#[derive(Default, Serialize, Deserialize)]
struct Omega;

impl Sbb for Omega {
    const STATE_VERSION: u32 = 2;

    fn descriptor() -> Descriptor {
        let deployment = Deployment { migrates_from: &["alpha"], ..Deployment::ALONE };
        Descriptor { initial_events: &[Said::TYPE], deployment, ..Descriptor::named("omega") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

/// Needs omega.
#[derive(Default, Serialize, Deserialize)]
struct Needy;

impl Sbb for Needy {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let deployment = Deployment { needs: &["omega"], ..Deployment::ALONE };
        Descriptor { initial_events: &[Said::TYPE], deployment, ..Descriptor::named("needy") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

/// Those that a node may have without a unit.
pub const LINKED_ALPHA: LinkedSbb = LinkedSbb::of::<Alpha>();
pub const LINKED_OMEGA: LinkedSbb = LinkedSbb::of::<Omega>();

/// Compiles `linked:` and the name of one of those above; anything else is wrong.
#[derive(Debug, Default)]
pub struct Linker {
    pub compiled: Mutex<Vec<String>>,
    /// Why it does not compile what comes next, one thing for each try.
    pub refuses: Mutex<Vec<NotCompiled>>,
    pub forgotten: Arc<Mutex<Vec<String>>>,
}

/// A service that tells when it is forgotten.
#[derive(Debug)]
struct Told {
    text: String,
    service: LinkedSbb,
    forgotten: Arc<Mutex<Vec<String>>>,
}

impl UploadedSbb for Told {
    fn descriptor(&self) -> Descriptor {
        self.service.descriptor()
    }

    fn invoke(&self, deliver: &Deliver) -> Outcome {
        self.service.invoke(deliver)
    }

    fn forget(&self) {
        self.forgotten.lock().unwrap().push(self.text.clone());
    }
}

impl UnitCompiler for Linker {
    fn compile(&self, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.compiled.lock().unwrap().push(text.clone());
        if let Some(reason) = self.refuses.lock().unwrap().pop() {
            return Err(reason);
        }
        // What follows only makes it longer.
        match text.split(' ').next().unwrap_or_default() {
            "linked:alpha" => Ok(self.told(text.clone(), LinkedSbb::of::<Alpha>())),
            "linked:omega" => Ok(self.told(text.clone(), LinkedSbb::of::<Omega>())),
            "linked:needy" => Ok(self.told(text.clone(), LinkedSbb::of::<Needy>())),
            "linked:impostor" => Ok(self.told(text.clone(), LinkedSbb::of::<Impostor>())),
            "panic" => panic!("what a component"),
            _ => Err(NotCompiled::Lasting("it is no WebAssembly component".to_owned())),
        }
    }
}

impl Linker {
    fn compiled(&self) -> Vec<String> {
        self.compiled.lock().unwrap().clone()
    }

    fn told(&self, text: String, service: LinkedSbb) -> LinkedSbb {
        let forgotten = self.forgotten.clone();
        LinkedSbb::uploaded(Box::leak(Box::new(Told { text, service, forgotten })))
    }

    fn forgotten(&self) -> Vec<String> {
        self.forgotten.lock().unwrap().clone()
    }
}

pub async fn live(dir: &Path, address: SocketAddr, linker: &Arc<Linker>) -> (Runtime, Asker) {
    let runtime = start_with(dir, address, Vec::new(), Some(linker.clone())).await.unwrap();
    let asker = runtime.asker();
    status(&asker, |status| status.member).await;
    (runtime, asker)
}

async fn change(asker: &Asker, change: TableChange) -> Changed {
    match asker.ask(Query::Change(change)).await {
        Answer::Changed(changed) => changed,
        other => panic!("{other:?}"),
    }
}

/// Uploads it as the unit `id`, as one with this service.
async fn upload_as(asker: &Asker, id: &str, service: &str, bytes: &[u8]) {
    for (part, bytes) in (0..).zip(bytes.chunks(UNIT_PART_BYTES)) {
        let (unit, bytes) = (id.to_owned(), bytes.to_vec());
        let put = TableChange::PutUnitPart { unit, part, bytes };
        assert_eq!(change(asker, put).await, Changed::Done);
    }
    let (unit, service) = (id.to_owned(), service.to_owned());
    let put = TableChange::PutUnit {
        unit,
        service,
        bytes: bytes.len() as u64,
        secrets: Default::default(),
    };
    assert_eq!(change(asker, put).await, Changed::Done);
}

pub async fn upload(asker: &Asker, service: &str, bytes: &[u8]) -> String {
    let id = unit_id(bytes);
    upload_as(asker, &id, service, bytes).await;
    id
}

pub async fn want(asker: &Asker, activate: &[&str], deactivate: &[&str]) {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let services =
        TableChange::Services { activate: names(activate), deactivate: names(deactivate) };
    assert_eq!(change(asker, services).await, Changed::Done);
}

pub fn is_compiled(status: &Status, id: &str) -> bool {
    status.units.iter().any(|unit| unit.id == id && unit.nodes == ["alone"])
}

fn delivered(status: &Status, service: &str) -> Option<u64> {
    let service = status.services.iter().find(|it| it.name == service);
    service.map(|service| service.delivered)
}

pub async fn problem(asker: &Asker, id: &str) -> String {
    let of = |status: &Status| {
        let unit = status.units.iter().find(|unit| unit.id == id);
        unit.and_then(|unit| unit.problem.clone())
    };
    of(&status(asker, |status| of(status).is_some()).await).expect("it has one")
}

#[test]
fn the_id_of_a_unit_is_the_hash_of_its_bytes() {
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(unit_id(b""), empty);
}

#[test]
fn a_unit_is_compiled_serves_once_active_and_is_forgotten_when_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (address, linker) = (free_address(), Arc::new(Linker::default()));
        let (_runtime, asker) = live(dir.path(), address, &linker).await;
        let long = [ALPHA, b" ", &[b'x'; 2 * UNIT_PART_BYTES]].concat();
        let id = upload(&asker, "alpha", &long).await;
        status(&asker, |status| is_compiled(status, &id)).await;
        let client = Client::new(address).await;
        assert_eq!(client.ask("c1 before").await, "c1 before");
        want(&asker, &["alpha"], &[]).await;
        for word in ["hello", "again"] {
            let text = format!("c2 {word}");
            assert_eq!(client.ask(&text).await, text);
        }
        let after = status(&asker, |_| true).await;
        assert_eq!(delivered(&after, "alpha"), Some(2));
        let remove = TableChange::RemoveUnit { unit: id.clone() };
        let refused = change(&asker, remove.clone()).await;
        assert!(matches!(refused, Changed::Refused(reason) if reason.contains("is active")));
        assert!(linker.forgotten().is_empty());
    });
}

/// Each tree's actor is the old service's until then.
#[test]
fn what_a_unit_began_moves_to_the_next_one_while_its_calls_go_on() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (address, linker) = (free_address(), Arc::new(Linker::default()));
        let (_runtime, asker) = live(dir.path(), address, &linker).await;
        let alpha = upload(&asker, "alpha", ALPHA).await;
        let omega = upload(&asker, "omega", b"linked:omega").await;
        status(&asker, |it| is_compiled(it, &alpha) && is_compiled(it, &omega)).await;
        want(&asker, &["alpha"], &[]).await;
        let client = Client::new(address).await;
        for call in 0..20 {
            let text = format!("c{call} hello");
            assert_eq!(client.ask(&text).await, text);
        }
        want(&asker, &["omega"], &["alpha"]).await;
        let migrate =
            TableChange::Migrate { from: "alpha".to_owned(), to: Some("omega".to_owned()) };
        assert_eq!(change(&asker, migrate).await, Changed::Done);
        let entities = |status: &Status, service: &str| {
            let service = status.services.iter().find(|it| it.name == service);
            service.map(|service| service.entities_in_cluster)
        };
        let moved = status(&asker, |status| entities(status, "alpha") == Some(0)).await;
        assert_eq!(entities(&moved, "omega"), Some(20));
        for call in 0..20 {
            let text = format!("c{call} again");
            assert_eq!(client.ask(&text).await, text);
        }
        let after = status(&asker, |_| true).await;
        assert_eq!((delivered(&after, "alpha"), delivered(&after, "omega")), (Some(20), Some(20)));
        assert_eq!(change(&asker, TableChange::RemoveUnit { unit: alpha }).await, Changed::Done);
        status(&asker, |status| status.units.len() == 1).await;
        assert_eq!(linker.forgotten(), ["linked:alpha"]);
    });
}

#[test]
fn a_unit_that_is_removed_can_be_followed_by_another_one_of_the_same_name() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (address, linker) = (free_address(), Arc::new(Linker::default()));
        let (_runtime, asker) = live(dir.path(), address, &linker).await;
        let first = upload(&asker, "alpha", b"linked:impostor").await;
        status(&asker, |status| is_compiled(status, &first)).await;
        assert_eq!(change(&asker, TableChange::RemoveUnit { unit: first }).await, Changed::Done);
        status(&asker, |status| status.units.is_empty()).await;
        assert_eq!(linker.forgotten(), ["linked:impostor"]);
        let second = upload(&asker, "alpha", ALPHA).await;
        status(&asker, |status| is_compiled(status, &second)).await;
        want(&asker, &["alpha"], &[]).await;
        let client = Client::new(address).await;
        assert_eq!(client.ask("c1 hello").await, "c1 hello");
        let after = status(&asker, |_| true).await;
        assert_eq!(delivered(&after, "alpha"), Some(1), "of the second one");
    });
}

#[test]
fn a_node_starts_with_the_units_of_its_store_compiled() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let live_once = |before: bool| {
        let linker = Arc::new(Linker::default());
        System::new().block_on(async {
            let compiler = Some(linker.clone() as Arc<dyn UnitCompiler>);
            let mut runtime = start_with(dir.path(), address, Vec::new(), compiler).await.unwrap();
            assert_eq!(linker.compiled().len(), if before { 0 } else { 2 }, "before it is a node");
            let asker = runtime.asker();
            status(&asker, |status| status.member).await;
            if before {
                let id = upload(&asker, "alpha", ALPHA).await;
                status(&asker, |status| is_compiled(status, &id)).await;
                want(&asker, &["alpha"], &[]).await;
                let wrong = upload(&asker, "wrong", b"no component").await;
                assert!(problem(&asker, &wrong).await.contains("no WebAssembly component"));
            }
            let client = Client::new(address).await;
            assert_eq!(client.ask("c1 hello").await, "c1 hello");
            let status = status(&asker, |_| true).await;
            assert_eq!(delivered(&status, "alpha"), Some(1));
            assert!(is_compiled(&status, &unit_id(ALPHA)));
            if !before {
                // The core asks for it again, which makes the alarm.
                problem(&asker, &unit_id(b"no component")).await;
            }
            runtime.drain();
            timeout(DEADLINE, runtime.drained()).await.expect("hands over").unwrap();
        });
        linker.compiled().iter().filter(|text| text.as_bytes() == ALPHA).count()
    };
    assert_eq!(live_once(true), 1);
    assert_eq!(live_once(false), 1, "and not again");
}

#[test]
fn bytes_that_are_not_those_of_the_id_are_not_compiled() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (address, linker) = (free_address(), Arc::new(Linker::default()));
        let (_runtime, asker) = live(dir.path(), address, &linker).await;
        // It was looked at before, so that its service is known.
        let described = asker.ask(Query::DescribeUnit { bytes: ALPHA.to_vec() }).await;
        assert!(matches!(described, Answer::Unit(Ok(_))), "{described:?}");
        upload_as(&asker, &unit_id(ALPHA), "alpha", b"linked:impostor").await;
        let problem = problem(&asker, &unit_id(ALPHA)).await;
        assert!(problem.contains("its bytes are not those that its id stands for"), "{problem}");
        assert_eq!(linker.compiled(), ["linked:alpha"]);
    });
}

#[test]
fn a_panic_of_the_compiler_is_the_problem_of_its_unit_alone() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (address, linker) = (free_address(), Arc::new(Linker::default()));
        let (_runtime, asker) = live(dir.path(), address, &linker).await;
        let wrong = upload(&asker, "wrong", b"panic").await;
        let problem = problem(&asker, &wrong).await;
        assert!(problem.contains("the compiler panicked: what a component"), "{problem}");
        let described = asker.ask(Query::DescribeUnit { bytes: b"panic".to_vec() }).await;
        let Answer::Unit(Err(reason)) = described else { panic!("{described:?}") };
        assert_eq!(reason, "the compiler panicked: what a component");
        let id = upload(&asker, "alpha", ALPHA).await;
        status(&asker, |status| is_compiled(status, &id)).await;
    });
}

#[test]
fn a_service_that_is_there_keeps_its_name_whatever_a_unit_says() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (address, linker) = (free_address(), Arc::new(Linker::default()));
        let (_runtime, asker) = live(dir.path(), address, &linker).await;
        let id = upload(&asker, "alpha", ALPHA).await;
        status(&asker, |status| is_compiled(status, &id)).await;
        want(&asker, &["alpha"], &[]).await;
        // Somebody only looks at another one of that name, and at more than are kept.
        for number in 0..8 {
            let bytes = format!("linked:impostor {number}").into_bytes();
            let described = asker.ask(Query::DescribeUnit { bytes }).await;
            assert!(matches!(described, Answer::Unit(Ok(_))), "{described:?}");
        }
        let lying = upload(&asker, "gamma", b"linked:impostor").await;
        let problem = problem(&asker, &lying).await;
        assert!(problem.contains("this node has another service alpha"), "{problem}");
        let client = Client::new(address).await;
        assert_eq!(client.ask("c1 hello").await, "c1 hello");
        let after = status(&asker, |_| true).await;
        assert_eq!(delivered(&after, "alpha"), Some(1));
        assert_eq!(change(&asker, TableChange::RemoveUnit { unit: lying }).await, Changed::Done);
        assert_eq!(client.ask("c2 hello").await, "c2 hello");
        let after = status(&asker, |_| true).await;
        assert_eq!(delivered(&after, "alpha"), Some(2));
        let forgotten = linker.forgotten();
        assert!(!forgotten.is_empty() && !forgotten.contains(&"linked:alpha".to_owned()));
    });
}

#[test]
fn what_is_in_a_unit_is_told_without_deploying_it_and_compiled_once() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let (address, linker) = (free_address(), Arc::new(Linker::default()));
        let (_runtime, asker) = live(dir.path(), address, &linker).await;
        let described = asker.ask(Query::DescribeUnit { bytes: ALPHA.to_vec() }).await;
        let Answer::Unit(Ok(unit)) = described else { panic!("{described:?}") };
        assert_eq!((unit.id, unit.bytes), (unit_id(ALPHA), 12));
        assert_eq!((&*unit.service, &*unit.version, unit.priority), ("alpha", "1", 7));
        assert_eq!((unit.initial_events, unit.in_the_way), (vec![Said::TYPE.to_owned()], None));
        let described = asker.ask(Query::DescribeUnit { bytes: b"linked:needy".to_vec() }).await;
        let Answer::Unit(Ok(needy)) = described else { panic!("{described:?}") };
        let lacks = needy.in_the_way.expect("it needs another one");
        assert!(lacks.contains("which is not deployed here"), "{lacks}");
        let before = status(&asker, |_| true).await;
        assert!(before.units.is_empty() && delivered(&before, "alpha").is_none());
        let id = upload(&asker, "alpha", ALPHA).await;
        status(&asker, |status| is_compiled(status, &id)).await;
        assert_eq!(linker.compiled(), ["linked:alpha", "linked:needy"]);
        let described = asker.ask(Query::DescribeUnit { bytes: b"nothing".to_vec() }).await;
        let Answer::Unit(Err(reason)) = described else { panic!("{described:?}") };
        assert_eq!(reason, "it is no WebAssembly component");
    });
}

#[test]
fn a_node_without_a_compiler_says_so() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let runtime = start(dir.path(), free_address(), Vec::new()).await.unwrap();
        let asker = runtime.asker();
        status(&asker, |status| status.member).await;
        let described = asker.ask(Query::DescribeUnit { bytes: ALPHA.to_vec() }).await;
        let Answer::Refused(reason) = described else { panic!("{described:?}") };
        assert_eq!(reason, "this node cannot compile units");
        let id = upload(&asker, "alpha", ALPHA).await;
        assert!(problem(&asker, &id).await.contains("this node cannot compile units"));
    });
}
