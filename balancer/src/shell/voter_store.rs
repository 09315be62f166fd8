//! Stores the seat's voter state, whenever the machine asks for it.
//!
//! Between two votes nothing is written for weeks, and a disk that is full by then would be found
//! by the vote that is needed. So one of a pair writes what it has written last once more, each
//! [`PROVE_EACH`]. The two never write at a time: an older state would be over a newer one.

use super::state_file::StateFile;
use super::worker::{Shared, handle};
use crate::boundary::BalancerInput;
use resilee_membership::VoterState;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// How often it is tried whether a state can be stored.
const PROVE_EACH: Duration = Duration::from_secs(5);

/// A state that could not be stored is tried again after this time.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// A disk that takes longer is taken for one that stores nothing, until it has.
const STORE_MAX: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct VoterStore {
    file: StateFile,
    /// What is in it, held by who writes.
    last: Rc<Mutex<Option<VoterState>>>,
}

impl VoterStore {
    /// One whose file has this in it.
    pub(super) fn new(file: StateFile, stored: Option<VoterState>) -> Self {
        VoterStore { file, last: Rc::new(Mutex::new(stored)) }
    }

    /// The machine asks for the next state only when it is told that this one is stored.
    pub(super) async fn save(self, shared: Shared, number: u64, state: VoterState) {
        let mut last = self.last.lock().await;
        while let Err(error) = self.write(&shared, state.clone()).await {
            tracing::error!("state_file: {error}; the seat cannot vote");
            handle(&shared, BalancerInput::NotPersisted(&error.to_string()));
            sleep(STORE_RETRY).await;
        }
        *last = Some(state);
        drop(last);
        handle(&shared, BalancerInput::Persisted(number));
    }

    /// Never ends.
    pub(super) async fn prove(self, shared: Shared) {
        loop {
            sleep(PROVE_EACH).await;
            let last = self.last.lock().await;
            let Some(state) = last.clone() else { continue };
            match self.write(&shared, state).await {
                Ok(()) => handle(&shared, BalancerInput::StoreProven),
                Err(error) => {
                    tracing::error!("state_file: {error}; the seat could not vote");
                    handle(&shared, BalancerInput::NotPersisted(&error.to_string()));
                }
            }
        }
    }

    async fn write(&self, shared: &Shared, state: VoterState) -> io::Result<()> {
        let file = self.file.clone();
        let mut written = tokio::task::spawn_blocking(move || file.save(&state));
        let written = match timeout(STORE_MAX, &mut written).await {
            Ok(written) => written,
            Err(_) => {
                let why = "the disk has not stored it for a second";
                handle(shared, BalancerInput::NotPersisted(why));
                written.await
            }
        };
        written.map_err(io::Error::other).flatten()
    }
}
