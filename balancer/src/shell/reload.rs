//! Reads the configuration again: at SIGHUP, and when the file has changed. What may be taken of
//! it is decided elsewhere (`config/start_only.rs`), and so is when it is read (`file_watch.rs`).

use crate::config::Config;
use crate::file_watch::FileWatch;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::Signal;

/// Time between two looks at the file.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// When the file was written (seconds and nanoseconds), its length and which one it is; none if
/// it cannot be told.
type Stamp = Option<(i64, i64, u64, u64)>;

/// See the module.
pub(super) struct Reloading {
    path: PathBuf,
    watch: FileWatch<Stamp>,
    /// What has been valid since the start.
    running: Config,
    hang_up: Signal,
}

impl Reloading {
    pub(super) fn new(path: &Path, running: Config, hang_up: Signal, stamp: Stamp) -> Self {
        Reloading { path: path.to_owned(), watch: FileWatch::new(stamp), running, hang_up }
    }

    /// The next configuration, or why it is refused.
    pub(super) async fn next(&mut self) -> Result<Config, String> {
        loop {
            let is_ordered = tokio::select! {
                Some(()) = self.hang_up.recv() => true,
                () = tokio::time::sleep(LOOK_EACH) => false,
            };
            let path = self.path.clone();
            // A file system may hang; calls must not.
            let Ok(stamp) = off_thread(move || stamp(&path)).await else { continue };
            if is_ordered {
                self.watch.handle_order(stamp);
            } else if !self.watch.handle_look(stamp) {
                continue;
            }
            let path = self.path.clone();
            let read = off_thread(move || super::read_config(&path));
            let read = read.await.map_err(|error| error.to_string())?;
            let new = read.map_err(|error| error.to_string())?;
            self.running.check_reload(&new).map_err(|error| error.to_string())?;
            return Ok(new);
        }
    }
}

pub(super) fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.size(), file.ino()))
}

fn off_thread<T: Send + 'static>(
    what: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, tokio::task::JoinError>> {
    tokio::task::spawn_blocking(what)
}
