//! Between the cluster's links and the core: events become inputs, outputs become frames.

use crate::slee::{Feed, Slee};
use actix::Addr;
use resilee_cluster::{ClusterEvent, ClusterHandle};
use resilee_core::Input;
use resilee_membership::NodeName;
use resilee_sbb::Severity;
use tokio::sync::mpsc;

/// Events of the links that wait for the core; the links wait when it is full.
pub(crate) const EVENTS_MAX: usize = 1024;
/// Events that are given to the core at once.
const BATCH_MAX: usize = 64;
/// Source of the alarms of links.
const ALARM_SOURCE: &str = "cluster";

/// Gives the links' events of `run` to the core until the links end.
pub(crate) fn forward(events: Option<mpsc::Receiver<ClusterEvent>>, run: u64, slee: Addr<Slee>) {
    let Some(mut events) = events else { return };
    actix::spawn(async move {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while events.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let inputs = batch.drain(..).filter_map(input).collect();
            // Waiting for the core's turn is what holds the links back.
            if slee.send(Feed::links(run, inputs)).await.is_err() {
                return;
            }
        }
    });
}

/// Sends a frame. A link that loses one is closed: on the next one the core sends it again.
pub(crate) fn send(links: &ClusterHandle, peer: &NodeName, bytes: Vec<u8>) {
    if let Err(error) = links.send(peer.as_str(), bytes) {
        close(links, peer, &error.to_string());
    }
}

/// Closes a link.
pub(crate) fn close(links: &ClusterHandle, peer: &NodeName, reason: &str) {
    tracing::info!(%peer, reason, "cluster link closed");
    if let Err(error) = links.close(peer.as_str(), reason) {
        tracing::warn!(%peer, %error, "the link was not closed");
    }
}

fn input(event: ClusterEvent) -> Option<Input> {
    let node = |peer: String| {
        let parsed = NodeName::try_from(peer);
        // Links are made with configured peers only, whose names are node names.
        parsed.inspect_err(|error| tracing::error!(%error, "an event of a link is dropped")).ok()
    };
    Some(match event {
        ClusterEvent::LinkUp { peer } => {
            tracing::info!(peer, "cluster link up");
            Input::LinkUp { peer: node(peer)? }
        }
        ClusterEvent::LinkDown { peer } => {
            tracing::warn!(peer, "cluster link down");
            Input::LinkDown { peer: node(peer)? }
        }
        ClusterEvent::Frame { peer, bytes } => Input::Frame { peer: node(peer)?, bytes },
        ClusterEvent::AlarmRaised { text } => {
            Input::AlarmRaised { source: ALARM_SOURCE.to_owned(), severity: Severity::Major, text }
        }
        ClusterEvent::AlarmOver { text } => {
            Input::AlarmOver { source: ALARM_SOURCE.to_owned(), text }
        }
    })
}
