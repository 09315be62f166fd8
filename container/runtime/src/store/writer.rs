//! The one thread that writes: it takes what waits, applies it as a group, waits for the disk,
//! and says how far it came.

use super::engine::{Engine, Opened};
use super::trees::WriteError;
use resilee_core::{Restored, StoreBatch, StoredRecord};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Batches and questions that may wait; one more means that the disk has failed for us.
const JOBS_MAX: usize = 65_536;
/// A group of so many writes does not wait for more.
const GROUP_OPS_MIN: usize = 256;
/// A group takes no batch beyond so many writes. It takes what waits: a disk that falls behind
/// gets larger groups, and catches up.
const GROUP_OPS_MAX: usize = 8_192;
/// How long a small group waits for more. Killed at the same moment, two nodes lose so much.
const GROUP_WAIT: Duration = Duration::from_millis(2);

/// What the store tells. `run` is the tag that came with the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// All batches of `run` up to this number are on disk.
    Stored {
        /// Tag of the batches.
        run: u64,
        /// [`StoreBatch::number`].
        number: u64,
    },
    /// The voter's state of that number is on disk.
    VoteSaved {
        /// Tag that came with it.
        run: u64,
        /// Number that came with it.
        number: u64,
    },
    /// It is not.
    VoteNotSaved {
        /// Tag that came with it.
        run: u64,
        /// Number that came with it.
        number: u64,
        /// Why.
        reason: String,
    },
    /// Nothing will be stored any more.
    Failed {
        /// Tag of the first batch of this run that was not stored.
        run: u64,
        /// Why.
        reason: String,
    },
}

enum Job {
    Write { run: u64, batch: StoreBatch },
    Vote { run: u64, number: u64, state: Vec<u8> },
    Read { journal: String, from: u64, limit: usize, answer: oneshot::Sender<Vec<StoredRecord>> },
    Restore { answer: oneshot::Sender<Restored> },
}

/// The store with its thread. Dropping it waits until all that was handed over is on disk.
#[derive(Debug)]
pub struct Store {
    handle: Option<StoreHandle>,
    thread: Option<JoinHandle<()>>,
}

/// Hands jobs to the store; may be cloned and sent to other threads. The store ends with the
/// last of them.
#[derive(Clone, Debug)]
pub struct StoreHandle {
    jobs: SyncSender<Job>,
    /// A batch was refused. A later one must not be stored without it.
    refused: Arc<AtomicBool>,
}

impl Opened {
    /// Starts the thread. `tell` is called on it.
    ///
    /// # Errors
    /// The system has no thread for us.
    pub fn start(self, tell: impl Fn(StoreEvent) + Send + 'static) -> std::io::Result<Store> {
        let (jobs, waiting) = mpsc::sync_channel(JOBS_MAX);
        let (engine, lock) = (self.engine, self.lock);
        let tell = Box::new(tell);
        let writer = Writer { engine, _lock: lock, failed: None, told: None, tell };
        let thread = std::thread::Builder::new().name("store".to_owned());
        let thread = thread.spawn(move || writer.run(&waiting))?;
        let handle = StoreHandle { jobs, refused: Arc::default() };
        Ok(Store { handle: Some(handle), thread: Some(thread) })
    }
}

impl Store {
    /// A way to hand over jobs.
    pub fn handle(&self) -> &StoreHandle {
        self.handle.as_ref().expect("only the destructor takes it")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.handle = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

impl StoreHandle {
    /// Hands over a batch.
    ///
    /// # Errors
    /// Why it will never be stored.
    pub fn write(&self, run: u64, batch: StoreBatch) -> Result<(), String> {
        if self.refused.load(Ordering::Relaxed) {
            return Err("the disk was too slow: a batch was not stored".to_owned());
        }
        self.jobs.try_send(Job::Write { run, batch }).map_err(|error| {
            self.refused.store(true, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => format!("the disk is too slow: {JOBS_MAX} batches wait"),
                TrySendError::Disconnected(_) => "the store's thread has ended".to_owned(),
            }
        })
    }

    /// Saves the voter's state in its own file alone: the store has failed.
    ///
    /// # Errors
    /// Why it cannot be handed over.
    pub fn save_vote(&self, run: u64, number: u64, state: Vec<u8>) -> Result<(), String> {
        let refused = self.jobs.try_send(Job::Vote { run, number, state });
        refused.map_err(|_| "the store's thread does not answer".to_owned())
    }

    /// Reads records of a journal; nothing comes if the store is overloaded or has ended.
    pub fn read(
        &self,
        journal: String,
        from: u64,
        limit: usize,
    ) -> oneshot::Receiver<Vec<StoredRecord>> {
        let (answer, receiver) = oneshot::channel();
        // A refused job drops `answer`, which the receiver sees.
        let _ = self.jobs.try_send(Job::Read { journal, from, limit, answer });
        receiver
    }

    /// What the store holds after all that was handed over before.
    pub fn restore(&self) -> oneshot::Receiver<Restored> {
        let (answer, receiver) = oneshot::channel();
        // As above.
        let _ = self.jobs.try_send(Job::Restore { answer });
        receiver
    }
}

struct Writer {
    engine: Engine,
    /// Keeps other processes out.
    _lock: File,
    /// Why nothing can be stored any more.
    failed: Option<String>,
    /// The run that was told so.
    told: Option<u64>,
    tell: Box<dyn Fn(StoreEvent) + Send>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Write { run, batch } => next = self.write_group(run, batch, jobs),
                    Job::Vote { run, number, state } => self.save_vote(run, number, &state),
                    other => self.answer(other),
                }
            }
        }
    }

    /// Writes `first` with what follows; gives back the job that ended the group, if one did.
    fn write_group(&mut self, run: u64, first: StoreBatch, jobs: &Receiver<Job>) -> Option<Job> {
        let mut ops = first.ops.len();
        if ops < GROUP_OPS_MIN && self.failed.is_none() {
            // Asleep, not waiting for jobs: each of them would wake the thread.
            std::thread::sleep(GROUP_WAIT);
        }
        let mut group = vec![first];
        let mut next = None;
        while ops < GROUP_OPS_MAX && self.failed.is_none() {
            match jobs.try_recv() {
                Ok(Job::Write { run: other, batch }) if other == run => {
                    ops += batch.ops.len();
                    group.push(batch);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        self.write(run, group);
        next
    }

    fn write(&mut self, run: u64, group: Vec<StoreBatch>) {
        let Some(number) = group.last().map(|batch| batch.number) else { return };
        if self.failed.is_none() {
            let engine = &mut self.engine;
            // sled panics on some errors of the disk.
            match catch_unwind(AssertUnwindSafe(|| engine.write(group))) {
                Ok(Ok(())) => return (self.tell)(StoreEvent::Stored { run, number }),
                Ok(Err(error)) => self.failed = Some(error.to_string()),
                Err(_) => self.failed = Some(WriteError::Panicked.to_string()),
            }
        }
        if self.told != Some(run) {
            self.told = Some(run);
            let reason = self.failed.clone().unwrap_or_default();
            (self.tell)(StoreEvent::Failed { run, reason });
        }
    }

    fn save_vote(&mut self, run: u64, number: u64, state: &[u8]) {
        (self.tell)(match self.engine.save_vote(state) {
            Ok(()) => StoreEvent::VoteSaved { run, number },
            Err(error) => StoreEvent::VoteNotSaved { run, number, reason: error.to_string() },
        });
    }

    fn answer(&mut self, job: Job) {
        let engine = &mut self.engine;
        let answered = catch_unwind(AssertUnwindSafe(|| match job {
            // Whoever asked may have given up meanwhile: an answer nobody takes is dropped.
            Job::Read { journal, from, limit, answer } => {
                match engine.read(&journal, from, limit) {
                    Ok(records) => drop(answer.send(records)),
                    Err(error) => tracing::error!(journal, %error, "cannot read records"),
                }
            }
            Job::Restore { answer } => match engine.restore() {
                Ok(restored) => drop(answer.send(restored)),
                Err(error) => tracing::error!(%error, "cannot read the store"),
            },
            Job::Write { .. } | Job::Vote { .. } => {}
        }));
        if answered.is_err() {
            tracing::error!("the store panicked while it was read");
        }
    }
}
