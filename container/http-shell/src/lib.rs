//! The sockets of the HTTP resource adaptor: a server for web hooks that come in, a client for
//! those that go out. It decides nothing; what is answered, and who may be called, the adaptor says
//! (`resilee_http_ra`).
//!
//! | limit                        | beyond it                                             |
//! |------------------------------|-------------------------------------------------------|
//! | requests that wait           | 503, without a word to the node                       |
//! | bytes of a body              | 413; an answer to a call fails                        |
//! | how long a request waits     | 504, also if the node that had it does not answer     |
//!
//! A redirect is not followed: it would lead to a host that nobody allowed. There is no proxy.

mod client;
mod server;

pub use client::CertificateError;
use client::Client;
use resilee_http_api::HttpResponse;
use resilee_http_ra::{FromShell, ToShell, Token};
use resilee_sbb::ActivityId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the shell is told at its start.
#[derive(Clone, Debug)]
pub struct ShellConfig {
    /// A number that no other shell has.
    pub number: u64,
    /// Requests that wait for their answer.
    pub requests_max: usize,
    /// How long one waits at most; longer than the adaptor lets it wait.
    pub request_timeout: Duration,
    /// Bytes of a body, in both directions.
    pub body_bytes_max: usize,
    /// Certificates (PEM) of whom is trusted to name a host; without it `https` fails.
    pub ca_file: Option<PathBuf>,
}

/// The shell; may be cloned and sent to other threads.
#[derive(Clone)]
pub struct HttpShell(Arc<Inner>);

type Feed = Box<dyn Fn(FromShell) + Send + Sync>;

struct Inner {
    config: ShellConfig,
    next: AtomicU64,
    /// Requests that wait, by the number of their token.
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<HttpResponse>>>,
    /// Calls under way.
    calls: Mutex<BTreeSet<ActivityId>>,
    client: Client,
    feed: OnceLock<Feed>,
}

impl HttpShell {
    /// A shell that has heard of no node yet.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub fn new(config: ShellConfig) -> Result<Self, CertificateError> {
        let client = Client::new(config.ca_file.as_deref(), config.body_bytes_max)?;
        Ok(HttpShell(Arc::new(Inner {
            config,
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
            calls: Mutex::default(),
            client,
            feed: OnceLock::new(),
        })))
    }

    /// From now on what comes is given to the node by `feed`, which may not block. Only the first
    /// one counts.
    pub fn connect(&self, feed: impl Fn(FromShell) + Send + Sync + 'static) {
        let _ = self.0.feed.set(Box::new(feed));
    }

    /// Carries out what the adaptor says, on an actix system.
    pub fn carry_out(&self, message: ToShell) {
        match message {
            ToShell::Respond { token, response } => self.respond(token, response),
            ToShell::Call { activity, call } => {
                // The survivor of a node is told twice what that left undone.
                if !lock(&self.0.calls).insert(activity) {
                    return;
                }
                let shell = self.clone();
                actix_web::rt::task::spawn_blocking(move || {
                    let answer = shell.0.client.call(activity, &call);
                    lock(&shell.0.calls).remove(&activity);
                    shell.tell(answer);
                });
            }
        }
    }

    fn respond(&self, token: Token, response: HttpResponse) {
        if token.shell != self.0.config.number {
            // Of a node that died: the connection died with it.
            return tracing::debug!("an answer to a request of another node is dropped");
        }
        if let Some(waiting) = lock(&self.0.waiting).remove(&token.number) {
            // Its client may have gone meanwhile.
            let _ = waiting.send(response);
        }
    }

    fn tell(&self, message: FromShell) {
        if let Some(feed) = self.0.feed.get() {
            feed(message);
        }
    }
}

/// What a thread that panicked left is whole: nothing is held over more than one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
