//! Web hooks that go out: one request, one answer, on a thread of its own while it lasts.

use resilee_http_api::{Call, FailureReason, HttpResponse};
use resilee_http_ra::FromShell;
use resilee_sbb::ActivityId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, http};

/// Whom the client trusts cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct CertificateError {
    file: PathBuf,
    reason: String,
}

/// The client.
pub(crate) struct Client {
    agent: Agent,
    body_bytes_max: usize,
}

impl Client {
    /// One that trusts the certificates of a file.
    pub fn new(ca_file: Option<&Path>, body_bytes_max: usize) -> Result<Self, CertificateError> {
        let roots = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("resilee/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Client { agent: config.new_agent(), body_bytes_max })
    }

    /// Sends a request and waits for its answer.
    pub fn call(&self, activity: ActivityId, call: &Call) -> FromShell {
        match self.run(call) {
            Ok(response) => FromShell::Answered { activity, response },
            Err(error) => {
                let reason = match &error {
                    ureq::Error::Timeout(_) => FailureReason::TimedOut,
                    ureq::Error::BodyExceedsLimit(_) => FailureReason::TooLarge,
                    _ => FailureReason::Unreachable,
                };
                FromShell::Failed { activity, reason, text: error.to_string() }
            }
        }
    }

    fn run(&self, call: &Call) -> Result<HttpResponse, ureq::Error> {
        let mut request = http::Request::builder().method(call.method.as_str()).uri(&call.url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        request = request.header("idempotency-key", &call.idempotency_key);
        let time = Some(Duration::from_millis(call.timeout_ms));
        let mut answer = if call.body.is_empty() && call.method == "GET" {
            let request = self.agent.configure_request(request.body(())?);
            self.agent.run(request.timeout_global(time).build())?
        } else {
            let request = self.agent.configure_request(request.body(call.body.as_slice())?);
            self.agent.run(request.timeout_global(time).build())?
        };
        let headers = answer.headers().iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        let (status, headers) = (answer.status().as_u16(), headers.collect());
        let limit = self.body_bytes_max as u64;
        let body = answer.body_mut().with_config().limit(limit).read_to_vec()?;
        Ok(HttpResponse { status, headers, body })
    }
}

fn read_certificates(file: &Path) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let error = |reason: String| CertificateError { file: file.to_owned(), reason };
    let pem = std::fs::read(file).map_err(|reason| error(reason.to_string()))?;
    let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|reason| error(reason.to_string()))?;
    let certificates: Vec<_> = items
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(error("there is no certificate in it".to_owned())),
        false => Ok(certificates),
    }
}
