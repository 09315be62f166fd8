//! Metrics over HTTP: `GET /metrics` for Prometheus, `GET /status` as JSON. The document is the
//! machine's own (`status.rs`).
//!
//! Requests are served on a thread of the server, from a copy that the worker puts there now and
//! then: whoever asks, and however often, the worker does not notice.

use crate::config::Config;
use crate::status::Status;
use actix_web::{App, HttpResponse, HttpServer, web};
use resilee_config::{ConfigError, Located};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::watch;

/// The copy is not older than this.
pub(super) const COPY_EACH: Duration = Duration::from_millis(250);

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

/// Serves what was put there last, until the future is dropped or fails.
pub(super) async fn serve(
    listener: TcpListener,
    status: watch::Receiver<Status>,
) -> io::Result<()> {
    let status = web::Data::new(status);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(status.clone())
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

async fn prometheus(status: web::Data<watch::Receiver<Status>>) -> HttpResponse {
    let text = status.borrow().to_prometheus();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

async fn json(status: web::Data<watch::Receiver<Status>>) -> HttpResponse {
    let status = status.borrow().clone();
    HttpResponse::Ok().json(status)
}
