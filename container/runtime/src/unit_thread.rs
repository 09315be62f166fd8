//! The thread on which units are compiled, one after the other: that may take seconds, for which
//! neither the core nor a worker waits. Whose services they become is not decided here.

use resilee_core::UNITS_MAX;
use resilee_sbb::{LinkedSbb, NotCompiled, UnitCompiler};
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// Units that somebody asks about and that are not compiled yet; a further one is an error. It is
/// not seen that who asked gave up, so all of them are compiled before the next.
pub(crate) const DESCRIBED_MAX: usize = 4;
/// Units that wait for the thread; a further one is an error. All of a cluster have room beside
/// those that somebody asks about.
const WAITING_MAX: usize = UNITS_MAX + DESCRIBED_MAX;

/// The id of a unit: the hash of its bytes (BLAKE3), in hexadecimal digits.
pub fn unit_id(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The thread; it ends with the last handle. Handles may be cloned.
#[derive(Clone, Debug)]
pub(crate) struct UnitThread {
    jobs: SyncSender<Job>,
}

/// What came of a unit.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// What its bytes hash to.
    pub id: String,
    /// How many they are.
    pub bytes: u64,
    /// Its service, or what is wrong with it.
    pub service: Result<LinkedSbb, NotCompiled>,
    /// The service was known when it was asked for: it may be forgotten since.
    pub was_known: bool,
}

#[derive(Debug)]
struct Job {
    /// What its bytes must hash to; none if somebody only asks what is in it.
    expected: Option<String>,
    bytes: Vec<u8>,
    known: BTreeMap<String, LinkedSbb>,
    done: oneshot::Sender<Compiled>,
}

impl UnitThread {
    /// Starts the thread.
    pub fn start(compiler: Arc<dyn UnitCompiler>) -> io::Result<Self> {
        let (jobs, wanted) = sync_channel(WAITING_MAX);
        let run = move || compile_all(&*compiler, &wanted);
        std::thread::Builder::new().name("units".to_owned()).spawn(run)?;
        Ok(UnitThread { jobs })
    }

    /// Compiles a unit, unless it is among those that are `known`. With `expected`, one whose bytes
    /// do not hash to that is refused; without, it is only looked at.
    ///
    /// # Errors
    /// Too many wait.
    pub fn compile(
        &self,
        expected: Option<String>,
        bytes: Vec<u8>,
        known: BTreeMap<String, LinkedSbb>,
    ) -> Result<oneshot::Receiver<Compiled>, NotCompiled> {
        let (done, compiled) = oneshot::channel();
        match self.jobs.try_send(Job { expected, bytes, known, done }) {
            Ok(()) => Ok(compiled),
            Err(TrySendError::Full(_)) => {
                let reason = format!("{WAITING_MAX} units wait to be compiled already");
                Err(NotCompiled::Passing(reason))
            }
            Err(TrySendError::Disconnected(_)) => Err(gone()),
        }
    }
}

/// What a service holds may go.
pub(crate) fn forget(service: LinkedSbb) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| service.forget())) {
        let (service, text) = (service.descriptor().name, panic_text(&*panic));
        tracing::error!(service, "an uploaded service panicked while it was forgotten: {text}");
    }
}

/// Why nothing is compiled any more.
pub(crate) fn gone() -> NotCompiled {
    let reason = "the thread that compiles units is gone: start this node again";
    NotCompiled::Lasting(reason.to_owned())
}

fn compile_all(compiler: &dyn UnitCompiler, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        if job.done.is_closed() {
            // Whoever asked has ended, and a unit may take long.
            continue;
        }
        let (id, bytes) = (unit_id(&job.bytes), job.bytes.len() as u64);
        let known = job.known.get(&id);
        let service = match (&job.expected, known) {
            (Some(expected), _) if *expected != id => {
                let reason = "its bytes are not those that its id stands for";
                Err(NotCompiled::Lasting(reason.to_owned()))
            }
            (_, Some(known)) => Ok(*known),
            (Some(_), None) => caught(|| compiler.compile(&job.bytes)),
            (None, None) => caught(|| compiler.look_at(&job.bytes)),
        };
        let was_known = known.is_some();
        // Whoever asked may have ended. Then nobody else knows of the service.
        if let Err(compiled) = job.done.send(Compiled { id, bytes, service, was_known })
            && let Compiled { service: Ok(service), was_known: false, .. } = compiled
        {
            forget(service);
        }
    }
}

fn caught(
    compile: impl FnOnce() -> Result<LinkedSbb, NotCompiled>,
) -> Result<LinkedSbb, NotCompiled> {
    catch_unwind(AssertUnwindSafe(compile)).unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        Err(NotCompiled::Lasting(format!("the compiler panicked: {text}")))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
