//! Metrics over HTTP: `GET /metrics` for Prometheus, `GET /status` as JSON. The document is the
//! machine's own (`status.rs`).
//!
//! Requests are served on a thread of the server, from a copy that the worker puts there now and
//! then: whoever asks, and however often, the worker does not notice. So a worker that stands still
//! could be taken for one that serves: what is too old is not said.

use super::clock::Clock;
use crate::config::Config;
use crate::status::Status;
use actix_web::{App, HttpResponse, HttpServer, web};
use resilee_config::{ConfigError, Located};
use resilee_sbb::Timestamp;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::watch;

/// The copy is not older than this, if the worker runs.
pub(super) const COPY_EACH: Duration = Duration::from_millis(250);

/// An older one says nothing of now.
const COPY_AGE_MAX: Duration = Duration::from_secs(1);

/// Connections at a time; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 16;

/// Connections that wait to be accepted; the system refuses further ones.
const WAITING_MAX: u32 = 16;

/// How long a request may take to come, and a connection without one is kept.
const IDLE: Duration = Duration::from_secs(5);

/// Opens the address of `[metrics] listen`, if there is one.
pub(super) fn open(config: &Config) -> Result<Option<TcpListener>, ConfigError> {
    let Some(Located { value: address, place }) = &config.metrics_listen else { return Ok(None) };
    let open = |address: SocketAddr| {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open(*address)
        .map(Some)
        .map_err(|error: io::Error| place.error(format!("cannot listen on {address}: {error}")))
}

/// What the worker knew at a moment.
pub(super) struct Copy {
    pub(super) at: Timestamp,
    pub(super) status: Status,
}

/// The last copy, and the clock that says how old it is.
struct Latest {
    clock: Clock,
    copy: watch::Receiver<Copy>,
}

impl Latest {
    /// What is known now; else how old the copy is.
    fn status(&self) -> Result<Status, Duration> {
        let copy = self.copy.borrow();
        let age = self.clock.now().since(copy.at);
        if age <= COPY_AGE_MAX { Ok(copy.status.clone()) } else { Err(age) }
    }
}

fn stands_still(age: Duration) -> HttpResponse {
    let what = format!("the balancer stands still for {} ms\n", age.as_millis());
    HttpResponse::ServiceUnavailable().body(what)
}

/// Serves what was put there last, until the future is dropped or fails.
pub(super) async fn serve(
    listener: TcpListener,
    clock: Clock,
    copy: watch::Receiver<Copy>,
) -> io::Result<()> {
    let latest = web::Data::new(Latest { clock, copy });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(latest.clone())
            .route("/metrics", web::get().to(prometheus))
            .route("/status", web::get().to(json))
    });
    server
        .workers(1)
        .max_connections(CONNECTIONS_MAX)
        .backlog(WAITING_MAX)
        .client_request_timeout(IDLE)
        .keep_alive(IDLE)
        .disable_signals()
        .shutdown_timeout(0)
        .listen(listener)?
        .run()
        .await
}

async fn prometheus(latest: web::Data<Latest>) -> HttpResponse {
    let status = match latest.status() {
        Ok(status) => status,
        Err(age) => return stands_still(age),
    };
    let text = status.to_prometheus();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

async fn json(latest: web::Data<Latest>) -> HttpResponse {
    match latest.status() {
        Ok(status) => HttpResponse::Ok().json(status),
        Err(age) => stands_still(age),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_worker_that_stands_still_is_not_taken_for_one_that_serves() {
        let clock = Clock::start();
        for (age_ms, answer) in [(0, 200), (900, 200), (1_500, 503)] {
            let at = clock.now() - Duration::from_millis(age_ms);
            let (_put, copy) = watch::channel(Copy { at, status: Status::default() });
            let latest = web::Data::new(Latest { clock, copy });
            assert_eq!(prometheus(latest.clone()).await.status(), answer, "{age_ms} ms");
            assert_eq!(json(latest).await.status(), answer, "{age_ms} ms");
        }
    }
}
