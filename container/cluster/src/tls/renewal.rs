//! Reads the files of certificates again when they have changed, and says when one ends soon.
//!
//! Links in use live on; each new handshake takes what was read last. Files that cannot be used
//! leave the old certificates in use, with an alarm: somebody may be in the middle of writing them.

use super::{CERTIFICATE_ENDS_SOON, Loaded, Tls, TlsFile, TlsFiles};
use crate::config::ClusterEvent;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// What tells one state of a file from the next: its number, size, and time of the last change.
type Print = [Option<(u64, u64, i64, i64)>; 3];

/// What an operator was told, and what was read.
#[derive(Debug, Default)]
struct Renewal {
    seen: Option<Print>,
    /// Why the files as they are now cannot be used.
    unusable: Option<String>,
    raised: BTreeSet<String>,
}

/// Looks at the files every so often until it is aborted.
pub(crate) async fn watch(tls: Tls, every: Duration, events: mpsc::Sender<ClusterEvent>) {
    let mut renewal = Renewal::default();
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Small files on a local disk, but a disk all the same.
        let looker = tls.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let news = renewal.look(&looker, SystemTime::now());
            (renewal, news)
        });
        let Ok((next, news)) = looked.await else { return };
        renewal = next;
        for event in news {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

impl Renewal {
    fn look(&mut self, tls: &Tls, now: SystemTime) -> Vec<ClusterEvent> {
        let print = print(&tls.files);
        if self.seen != Some(print) || self.unusable.is_some() {
            let first = self.seen.replace(print).is_none();
            match Loaded::load(&tls.node, &tls.files, now) {
                Ok(loaded) => {
                    self.unusable = None;
                    tls.current.send_replace(Arc::new(loaded));
                    if !first {
                        tracing::info!("the certificates of the cluster links were read again");
                    }
                }
                Err(error) => self.unusable = Some(format!("{error}; the old ones stay in use")),
            }
        }
        let ends = tls.current().material.ends_soon(now, CERTIFICATE_ENDS_SOON);
        let wanted: BTreeSet<String> = self.unusable.iter().cloned().chain(ends).collect();
        let over = self.raised.difference(&wanted).cloned();
        let over = over.map(|text| ClusterEvent::AlarmOver { text });
        let raised = wanted.difference(&self.raised).cloned();
        let raised = raised.map(|text| ClusterEvent::AlarmRaised { text });
        let news = over.chain(raised).collect();
        self.raised = wanted;
        news
    }
}

fn print(files: &TlsFiles) -> Print {
    [TlsFile::Certificate, TlsFile::PrivateKey, TlsFile::Ca].map(|file| {
        let data = std::fs::metadata(files.path(file)).ok()?;
        Some((data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
    })
}
