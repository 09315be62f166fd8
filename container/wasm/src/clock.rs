//! The thread whose ticks say when to look at how long a unit has run (`deadline.rs`). It sleeps
//! while none runs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use wasmtime::Engine;

/// Time between two ticks.
const TICK: Duration = Duration::from_millis(5);

/// Ticks while a unit runs.
#[derive(Debug)]
pub(crate) struct Clock {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Units that run.
    running: usize,
    is_over: bool,
}

/// A unit runs as long as this is there.
#[derive(Debug)]
pub(crate) struct Running<'c>(&'c Shared);

impl Clock {
    /// Starts the thread.
    pub fn start(engine: &Engine) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let (engine, of_thread) = (engine.weak(), Arc::clone(&shared));
        let thread = thread::Builder::new().name("unit-clock".to_owned()).spawn(move || {
            while of_thread.wait_for_units() {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        });
        let thread = thread.map_err(|error| format!("cannot start the clock of units: {error}"))?;
        Ok(Clock { shared, thread: Some(thread) })
    }

    /// A unit runs from now on.
    pub fn run(&self) -> Running<'_> {
        self.shared.lock().running += 1;
        self.shared.changed.notify_all();
        Running(&self.shared)
    }

    /// After how many ticks so much time is over; never before.
    pub fn ticks(time: Duration) -> u64 {
        let ticks = time.as_micros().div_ceil(TICK.as_micros());
        // The first tick may come at once.
        u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if a unit runs; false once the clock is over.
    fn wait_for_units(&self) -> bool {
        let nothing = |state: &mut State| state.running == 0 && !state.is_over;
        let state = self.changed.wait_while(self.lock(), nothing);
        !state.unwrap_or_else(PoisonError::into_inner).is_over
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        // It has nothing to say, and cannot panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
