//! Web hooks that come in: each request waits until the adaptor answers it, its client goes, or its
//! time is over.

use crate::{HttpShell, lock};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use resilee_http_api::HttpResponse as Answer;
use resilee_http_ra::{FromShell, Token};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Connections, those without a request among them; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// How long requests under way may take when the server ends, in seconds.
const SHUTDOWN_S: u64 = 1;

impl HttpShell {
    /// Serves web hooks on `listener` until the future is dropped or fails.
    ///
    /// # Errors
    /// A listener that cannot be used.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<()> {
        let (shell, body_bytes_max) = (self.clone(), self.0.config.body_bytes_max);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::PayloadConfig::new(body_bytes_max))
                .app_data(web::Data::new(shell.clone()))
                .default_service(web::to(hook))
        });
        let server = server.workers(1).max_connections(CONNECTIONS_MAX).disable_signals();
        server.shutdown_timeout(SHUTDOWN_S).listen(listener)?.run().await
    }

    /// A place for a request that waits; `None` if too many do.
    fn place(&self) -> Option<(Waiting, oneshot::Receiver<Answer>)> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut waiting = lock(&self.0.waiting);
        if waiting.len() >= self.0.config.requests_max {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        waiting.insert(number, answer);
        let token = Token { shell: self.0.config.number, number };
        Some((Waiting { shell: self.clone(), token }, answered))
    }
}

/// A request that waits. Dropped without an answer, its client is gone, or was told that nobody
/// answers.
struct Waiting {
    shell: HttpShell,
    token: Token,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if lock(&self.shell.0.waiting).remove(&self.token.number).is_some() {
            self.shell.tell(FromShell::Gone { token: self.token });
        }
    }
}

async fn hook(shell: web::Data<HttpShell>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let Some((waiting, answered)) = shell.place() else {
        let mut busy = HttpResponse::ServiceUnavailable();
        return busy.insert_header(("retry-after", "1")).body("too many requests wait\n");
    };
    let headers = request.headers().iter().filter_map(|(name, value)| {
        // What is no text says nothing to a service.
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let request = resilee_http_api::HttpRequest {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    shell.tell(FromShell::Request { token: waiting.token, request });
    match timeout(shell.0.config.request_timeout, answered).await {
        Ok(Ok(answer)) => response(answer),
        Ok(Err(_)) | Err(_) => HttpResponse::GatewayTimeout().body("the node does not answer\n"),
    }
}

fn response(answer: Answer) -> HttpResponse {
    // The adaptor has checked all of it.
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            response.append_header((name, value));
        }
    }
    response.body(answer.body)
}
