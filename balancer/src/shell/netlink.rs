//! The kernel, asked by netlink.
//!
//! | what                                    | so                                              |
//! |-----------------------------------------|-------------------------------------------------|
//! | who sends to it may wait for its lock   | that is done on a thread of its own: the worker |
//! |                                         | forwards meanwhile                              |
//! | it answers late                         | whoever asks waits so long: [`in_time`]         |
//! | the connection is closed                | whoever asks is told, and another one is opened |
//!
//! Not here: what is asked (`address.rs`, `found_address.rs`).

use rtnetlink::{Handle, new_connection};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The kernel has answered by then, or it counts as refused. An address that is to be kept has one
/// second from when it was taken last, and that is a quarter of a second ago.
const ANSWERED_WITHIN: Duration = Duration::from_millis(750);

/// After a connection was closed.
const OPEN_AGAIN: Duration = Duration::from_millis(50);

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NetlinkError {
    /// What the kernel said.
    #[error("{0}")]
    Kernel(io::Error),
    #[error("the connection to the kernel (netlink) was closed")]
    Closed,
}

impl From<NetlinkError> for io::Error {
    fn from(error: NetlinkError) -> Self {
        match error {
            NetlinkError::Kernel(error) => error,
            NetlinkError::Closed => io::Error::other(error),
        }
    }
}

/// What drives a connection, until that is closed; and who asks by it.
type Connection = (Pin<Box<dyn Future<Output = ()>>>, Handle);

/// Asks as long as one of it is left.
#[derive(Clone, Debug)]
pub(super) struct Netlink {
    /// None while there is no connection.
    handle: watch::Receiver<Option<Handle>>,
}

impl Netlink {
    /// Opens the first connection.
    pub(super) fn start() -> io::Result<Self> {
        Netlink::start_with(|| {
            let (connection, handle, _) = new_connection()?;
            Ok((Box::pin(connection), handle))
        })
    }

    fn start_with(
        open: impl FnMut() -> io::Result<Connection> + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (put, handle) = watch::channel(None);
        let (began, begins) = mpsc::channel();
        let keep = move || runtime.block_on(keep_open(open, &put, &began));
        std::thread::Builder::new().name("netlink".to_owned()).spawn(keep)?;
        begins.recv().map_err(io::Error::other)??;
        Ok(Netlink { handle })
    }

    /// What the kernel answers.
    pub(super) async fn ask<T, F>(&self, question: impl FnOnce(Handle) -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, rtnetlink::Error>>,
    {
        let mut connection = self.handle.clone();
        let handle = connection.borrow_and_update().clone().ok_or(NetlinkError::Closed)?;
        let answer = question(handle).await;
        // What is asked for to be done looks done if there is no answer any more.
        if !matches!(connection.has_changed(), Ok(false)) {
            return Err(NetlinkError::Closed);
        }
        answer.map_err(|error| match error {
            rtnetlink::Error::NetlinkError(error) => NetlinkError::Kernel(error.to_io()),
            rtnetlink::Error::RequestFailed => NetlinkError::Closed,
            other => NetlinkError::Kernel(io::Error::other(other)),
        })
    }
}

pub(super) type Answer<T> = Result<T, NetlinkError>;

/// Until nobody asks any more, or the first connection cannot be opened.
async fn keep_open(
    mut open: impl FnMut() -> io::Result<Connection>,
    put: &watch::Sender<Option<Handle>>,
    began: &mpsc::Sender<io::Result<()>>,
) {
    let mut first = true;
    loop {
        match open() {
            Ok((mut connection, handle)) => {
                put.send_replace(Some(handle));
                // Nobody waits for it but at the beginning.
                let _ = began.send(Ok(()));
                tokio::select! {
                    () = &mut connection => tracing::warn!("netlink was closed"),
                    () = put.closed() => return,
                }
                // Before that what was asked by it ends.
                put.send_replace(None);
            }
            Err(error) if first => return drop(began.send(Err(error))),
            Err(error) => tracing::warn!("netlink: {error}"),
        }
        first = false;
        tokio::select! {
            () = sleep(OPEN_AGAIN) => {}
            () = put.closed() => return,
        }
    }
}

/// What is asked for, or that it was not to be had in time.
pub(super) async fn in_time<T, E: From<io::Error>>(
    what: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let answer = timeout(ANSWERED_WITHIN, pin!(what)).await;
    answer.unwrap_or_else(|_| {
        let within = ANSWERED_WITHIN.as_millis();
        let late = format!("the kernel (netlink) has not answered within {within} ms");
        Err(io::Error::new(io::ErrorKind::TimedOut, late).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    async fn name_of_first(netlink: &Netlink) -> Answer<bool> {
        let ask = |handle: Handle| async move {
            let answers = handle.link().get().match_index(1).execute();
            pin!(answers).next().await.unwrap_or(Err(rtnetlink::Error::RequestFailed))
        };
        netlink.ask(ask).await.map(|link| !link.attributes.is_empty())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_connection_that_was_closed_is_opened_again() {
        let opened = Arc::new(AtomicU32::new(0));
        let counted = opened.clone();
        let netlink = Netlink::start_with(move || {
            let (connection, handle, _) = new_connection()?;
            let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
            let closed = async move {
                drop(timeout(Duration::from_millis(100), connection).await);
            };
            let open: Connection = if first {
                (Box::pin(closed), handle)
            } else {
                let (connection, handle, _) = new_connection()?;
                (Box::pin(connection), handle)
            };
            Ok(open)
        });
        let netlink = netlink.unwrap();
        assert!(name_of_first(&netlink).await.unwrap());
        let mut ends = netlink.handle.clone();
        ends.wait_for(Option::is_none).await.unwrap();
        assert!(matches!(name_of_first(&netlink).await, Err(NetlinkError::Closed)));
        ends.wait_for(Option::is_some).await.unwrap();
        assert!(name_of_first(&netlink).await.unwrap());
        assert_eq!(opened.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_kernel_that_does_not_answer_is_not_waited_for() {
        let netlink = Netlink::start_with(|| {
            let (connection, handle, _) = new_connection()?;
            let stands_still = async move {
                std::future::pending::<()>().await;
                drop(connection);
            };
            Ok((Box::pin(stands_still), handle))
        });
        let netlink = netlink.unwrap();
        let asked = async { name_of_first(&netlink).await.map_err(io::Error::from) };
        let error = in_time(asked).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_connection_that_is_closed_while_it_is_asked_has_not_answered() {
        let netlink = Netlink::start_with(|| {
            let (connection, handle, _) = new_connection()?;
            let ends = async move {
                // Long enough to be asked by.
                let late = timeout(Duration::from_millis(100), std::future::pending::<()>());
                drop((late.await, connection));
            };
            Ok((Box::pin(ends), handle))
        });
        let netlink = netlink.unwrap();
        assert!(matches!(name_of_first(&netlink).await, Err(NetlinkError::Closed)));
    }
}
