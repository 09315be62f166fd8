//! How many units run at once: a further one waits until one is done, which is soon, since each has
//! a time limit.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Free places.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Mutex<u32>,
    freed: Condvar,
}

/// A place that is taken as long as this is there.
#[derive(Debug)]
pub(crate) struct Slot<'s>(&'s Slots);

impl Slots {
    /// So many.
    pub fn new(count: u32) -> Self {
        Slots { free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Takes a place, once there is one.
    pub fn take(&self) -> Slot<'_> {
        let free = self.freed.wait_while(self.lock(), |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Slot(self)
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.freed.notify_one();
    }
}
