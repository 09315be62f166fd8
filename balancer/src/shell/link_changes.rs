//! When an interface of this host changes, as by its cable: the kernel tells it at once. What it
//! tells may be lost: then it is seen when somebody looks the next time.

use futures_util::StreamExt as _;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// After the kernel has closed the connection: it does so to who reads too slowly.
const OPEN_AGAIN: Duration = Duration::from_millis(250);

/// Changes of one interface.
#[derive(Clone, Debug)]
pub(super) struct LinkChanges(watch::Receiver<()>);

impl LinkChanges {
    /// They are heard on a thread of its own, as long as one of these is left.
    pub(super) fn start(interface: String) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (put, changes) = watch::channel(());
        let hear = move || runtime.block_on(hear(interface, &put));
        std::thread::Builder::new().name("links".to_owned()).spawn(hear)?;
        Ok(LinkChanges(changes))
    }

    /// Until the next one, or one since this was asked last.
    pub(super) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Until nobody is told any more.
async fn hear(interface: String, put: &watch::Sender<()>) {
    let listen = async {
        loop {
            match new_multicast_connection(&[MulticastGroup::Link]) {
                Ok((connection, _handle, mut messages)) => {
                    let tell = async {
                        while let Some((message, _)) = messages.next().await {
                            if is_of(&message.payload, &interface) {
                                put.send_replace(());
                            }
                        }
                    };
                    tokio::select! {
                        () = connection => {}
                        () = tell => {}
                    }
                    // Some may have been lost.
                    put.send_replace(());
                }
                Err(error) => tracing::debug!("changes of {interface} are not heard: {error}"),
            }
            sleep(OPEN_AGAIN).await;
        }
    };
    tokio::select! {
        () = listen => {}
        () = put.closed() => {}
    }
}

fn is_of(payload: &NetlinkPayload<RouteNetlinkMessage>, interface: &str) -> bool {
    let NetlinkPayload::InnerMessage(
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link),
    ) = payload
    else {
        return false;
    };
    let LinkMessage { attributes, .. } = link;
    attributes.iter().any(|it| matches!(it, LinkAttribute::IfName(name) if name == interface))
}
