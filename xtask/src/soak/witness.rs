//! What the machine itself was like during a run: how long a write to the disk took at worst, and
//! how long somebody who wanted to run had to wait. Slower than what is promised, it explains a
//! row; it excuses nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(20);
/// A write of the store is about as large.
const WRITE_BYTES: usize = 16 * 1024;

/// Two threads that look until it is asked.
pub struct Witness {
    over: Arc<AtomicBool>,
    disk_max_ms: Arc<AtomicU64>,
    wait_max_ms: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

/// The worst that was seen; milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// A write with its flush.
    pub disk_max_ms: u64,
    /// Beyond the time that was to be slept.
    pub wait_max_ms: u64,
}

impl Witness {
    /// Starts to look, with a file of its own in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut witness = Witness {
            over: Arc::default(),
            disk_max_ms: Arc::default(),
            wait_max_ms: Arc::default(),
            threads: Vec::new(),
        };
        let mut file = File::create(folder.join("witness"))?;
        witness.look(witness.disk_max_ms.clone(), move || {
            let began = Instant::now();
            // An error is the run's to find: its processes write here too.
            let _ = file.write_all(&[0; WRITE_BYTES]).and_then(|()| file.sync_data());
            let took = began.elapsed();
            thread::sleep(EVERY);
            took
        });
        witness.look(witness.wait_max_ms.clone(), || {
            let began = Instant::now();
            thread::sleep(EVERY);
            began.elapsed().saturating_sub(EVERY)
        });
        Ok(witness)
    }

    fn look(&mut self, worst: Arc<AtomicU64>, mut took: impl FnMut() -> Duration + Send + 'static) {
        let over = self.over.clone();
        self.threads.push(thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let ms = u64::try_from(took().as_millis()).unwrap_or(u64::MAX);
                worst.fetch_max(ms, Ordering::Relaxed);
            }
        }));
    }

    /// Ends it.
    pub fn seen(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A witness that died has seen what it has seen.
            let _ = thread.join();
        }
        Seen {
            disk_max_ms: self.disk_max_ms.load(Ordering::Relaxed),
            wait_max_ms: self.wait_max_ms.load(Ordering::Relaxed),
        }
    }
}
