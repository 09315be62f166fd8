//! What a run leaves to the next one.

use super::*;
use resilee_sbb::{
    Context as SbbContext, Deliver, Descriptor, Event, Failure, NotCompiled, Outcome, Sbb,
    UploadedSbb,
};
use serde::{Deserialize, Serialize};
use std::sync::{Barrier, Mutex};

#[derive(Default, Serialize, Deserialize)]
struct Alpha;

impl Sbb for Alpha {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor::named("alpha")
    }

    fn on_event(&mut self, _: &mut SbbContext<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Linker {
    forgotten: Arc<Mutex<Vec<String>>>,
    /// Its machine has too much to do.
    is_busy: bool,
    /// It looks at nothing more.
    has_seen_enough: bool,
    /// Met when it begins to compile, and before it has.
    meets: Option<[Barrier; 2]>,
}

impl Linker {
    fn alpha(&self) -> LinkedSbb {
        let (service, forgotten) = (LinkedSbb::of::<Alpha>(), self.forgotten.clone());
        LinkedSbb::uploaded(Box::leak(Box::new(Told { service, forgotten })))
    }
}

/// A service that tells when it is forgotten.
#[derive(Debug)]
struct Told {
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
        self.forgotten.lock().unwrap().push(self.descriptor().name.to_owned());
    }
}

impl UnitCompiler for Linker {
    fn compile(&self, _: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        for barrier in self.meets.iter().flatten() {
            barrier.wait();
        }
        match self.is_busy {
            true => Err(NotCompiled::Passing("it took too long".to_owned())),
            false => Ok(self.alpha()),
        }
    }

    fn look_at(&self, bytes: &[u8]) -> Result<LinkedSbb, NotCompiled> {
        match self.has_seen_enough {
            true => Err(NotCompiled::Lasting("it has seen enough".to_owned())),
            false => self.compile(bytes),
        }
    }
}

fn bytes(number: usize) -> Vec<u8> {
    format!("unit {number}").into_bytes()
}

#[test]
fn the_next_run_keeps_what_its_core_has_and_forgets_the_rest() {
    actix::System::new().block_on(async {
        let linker = Arc::new(Linker::default());
        let mut units = Units::start(Some(linker.clone())).unwrap();
        let mut workers = CellWorkers::start(1, 1, &[]);
        let one = BTreeMap::from([("one".to_owned(), linker.alpha())]);
        units.begin_run(one.clone(), &mut workers);
        assert!(workers.has("alpha"));
        assert_eq!(units.restoring().known.len(), 1);
        units.begin_run(one, &mut workers);
        assert!(workers.has("alpha") && linker.forgotten.lock().unwrap().is_empty());
        units.begin_run(BTreeMap::new(), &mut workers);
        assert!(!workers.has("alpha"));
        assert_eq!(*linker.forgotten.lock().unwrap(), ["alpha"]);
    });
}

#[test]
fn who_asks_about_a_unit_in_a_bad_moment_is_to_ask_again() {
    actix::System::new().block_on(async {
        let linker = Linker { is_busy: true, ..Linker::default() };
        let mut units = Units::start(Some(Arc::new(linker))).unwrap();
        let compiled = units.describe(bytes(1)).expect("it is asked").await;
        let Answer::Unavailable(text) = units.on_described(compiled, |_| None) else {
            panic!("an answer")
        };
        assert_eq!(text, "it took too long: ask again in some seconds");
    });
}

#[test]
fn who_only_asks_may_be_refused_what_the_core_gets() {
    actix::System::new().block_on(async {
        let linker = Linker { has_seen_enough: true, ..Linker::default() };
        let mut units = Units::start(Some(Arc::new(linker))).unwrap();
        let asked = units.describe(bytes(1)).expect("it is asked").await;
        let Answer::Unit(Err(reason)) = units.on_described(asked, |_| None) else {
            panic!("it is refused")
        };
        assert_eq!(reason, "it has seen enough");
        let unit = crate::unit_thread::unit_id(&bytes(1));
        let Awaited { compiled, .. } = units.compile(&unit, bytes(1)).unwrap();
        assert!(received(compiled.await).unwrap().service.is_ok());
    });
}

#[test]
fn what_was_compiled_for_a_core_that_is_gone_is_not_deployed() {
    actix::System::new().block_on(async {
        let mut units = Units::start(Some(Arc::new(Linker::default()))).unwrap();
        let mut workers = CellWorkers::start(1, 1, &[]);
        let unit = crate::unit_thread::unit_id(&bytes(1));
        let Awaited { ticket, compiled } = units.compile(&unit, bytes(1)).unwrap();
        let compiled = received(compiled.await);
        let (restored, _) = units.restoring().compile(&Restored::default()).await;
        units.begin_run(restored, &mut workers);
        assert!(units.on_compiled(&unit, ticket, compiled, &mut workers).is_none());
        assert!(!workers.has("alpha"));
        assert!(units.restoring().known.contains_key(&unit), "it need not be compiled again");
    });
}

#[test]
fn of_what_was_only_looked_at_a_few_are_kept() {
    actix::System::new().block_on(async {
        let linker = Arc::new(Linker::default());
        let mut units = Units::start(Some(linker.clone())).unwrap();
        for number in 0..=SPARE_MAX {
            let compiled = units.describe(bytes(number)).expect("it is compiled").await;
            assert!(matches!(units.on_described(compiled, |_| None), Answer::Unit(Ok(_))));
        }
        assert_eq!(units.spare.len(), SPARE_MAX);
        assert_eq!(*linker.forgotten.lock().unwrap(), ["alpha"], "the first one alone");
    });
}

#[test]
fn what_is_forgotten_while_somebody_asks_about_it_is_not_kept() {
    actix::System::new().block_on(async {
        let linker = Arc::new(Linker::default());
        let mut units = Units::start(Some(linker.clone())).unwrap();
        let mut workers = CellWorkers::start(1, 1, &[]);
        let unit = crate::unit_thread::unit_id(&bytes(1));
        units.begin_run(BTreeMap::from([(unit.clone(), linker.alpha())]), &mut workers);
        let asked = units.describe(bytes(1)).expect("it is asked");
        units.forget(&unit, &mut workers);
        assert!(matches!(units.on_described(asked.await, |_| None), Answer::Unit(Ok(_))));
        assert!(units.known().is_empty(), "it runs no more, and is not deployed again");
    });
}

#[test]
fn what_the_core_waits_for_does_not_make_room() {
    actix::System::new().block_on(async {
        let mut units = Units::start(Some(Arc::new(Linker::default()))).unwrap();
        let mut workers = CellWorkers::start(1, 1, &[]);
        let unit = crate::unit_thread::unit_id(&bytes(0));
        let first = units.describe(bytes(0)).expect("it is compiled").await;
        units.on_described(first, |_| None);
        let Awaited { ticket, compiled } = units.compile(&unit, bytes(0)).unwrap();
        for number in 1..=SPARE_MAX {
            let compiled = units.describe(bytes(number)).expect("it is compiled").await;
            units.on_described(compiled, |_| None);
        }
        assert!(units.known().contains_key(&unit));
        let compiled = received(compiled.await);
        assert!(units.on_compiled(&unit, ticket, compiled, &mut workers).unwrap().is_ok());
        assert!(workers.has("alpha"));
    });
}

#[test]
fn what_nobody_takes_any_more_when_it_is_compiled_is_forgotten() {
    actix::System::new().block_on(async {
        let meets = [Barrier::new(2), Barrier::new(2)];
        let linker = Arc::new(Linker { meets: Some(meets), ..Linker::default() });
        let [begins, ends] = linker.meets.as_ref().expect("they are there");
        let mut units = Units::start(Some(linker.clone())).unwrap();
        let asked = units.describe(bytes(1)).expect("it is asked");
        begins.wait();
        drop(asked);
        ends.wait();
        let next = units.describe(bytes(2)).expect("it is asked");
        begins.wait();
        assert_eq!(*linker.forgotten.lock().unwrap(), ["alpha"]);
        ends.wait();
        assert!(matches!(units.on_described(next.await, |_| None), Answer::Unit(Ok(_))));
    });
}

#[test]
fn while_several_are_asked_about_a_further_one_is_refused_and_the_core_s_are_compiled() {
    actix::System::new().block_on(async {
        let mut units = Units::start(Some(Arc::new(Linker::default()))).unwrap();
        let asked: Vec<_> = (0..DESCRIBED_MAX).map(|it| units.describe(bytes(it))).collect();
        let further = units.describe(bytes(DESCRIBED_MAX));
        let Err(Answer::Unavailable(text)) = further else { panic!("{further:?}") };
        assert_eq!(text, "this node looks at 4 other units now: ask again in some seconds");
        let unit = crate::unit_thread::unit_id(&bytes(9));
        assert!(units.compile(&unit, bytes(9)).is_ok());
        for asked in asked {
            let compiled = asked.expect("it is asked").await;
            assert!(matches!(units.on_described(compiled, |_| None), Answer::Unit(Ok(_))));
        }
        assert!(units.describe(bytes(DESCRIBED_MAX)).is_ok());
    });
}
