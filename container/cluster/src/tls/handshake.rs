//! The TLS handshake of a link, and who is at its other end.
//!
//! When the accepting side has verified the certificate and its name it says so with one byte;
//! before that the dialing side, which in TLS 1.3 is done first, would not learn why it is
//! refused.

use super::describe::{describe_certificate, describe_handshake};
use super::{Tls, provider};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, Error, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// What the accepting side says when it knows the other one: the version of what follows.
const WELCOME: u8 = 1;

/// A connection whose other side has shown its certificate.
pub(crate) struct Proven<Stream> {
    pub stream: Stream,
    /// The node that the certificate names.
    pub node: String,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// It took too long.
    #[error("no TLS handshake within {} ms", .0.as_millis())]
    Late(Duration),
    /// The connection ended.
    #[error(
        "the other side closed the connection in the TLS handshake: does it use TLS, and \
             does it have this node as a peer?"
    )]
    Closed,
    /// The connection broke.
    #[error("the connection broke in the TLS handshake: {0}")]
    Broken(io::Error),
    /// TLS does not agree.
    #[error("{}", describe_handshake(.0))]
    Tls(Error),
    /// The certificate is good, but not for a peer at this address.
    #[error("{0}")]
    Name(String),
}

/// The accepting side: `nodes` are those that may come from there.
pub(crate) async fn accept(
    tls: &Tls,
    stream: TcpStream,
    nodes: &[String],
    within: Duration,
) -> Result<Proven<server::TlsStream<TcpStream>>, HandshakeError> {
    let acceptor = TlsAcceptor::from(tls.current().server.clone());
    let handshake = async {
        let mut stream = acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(<[_]>::first).ok_or(Error::NoCertificatesPresented);
        let node = named(shown.map_err(HandshakeError::Tls)?, nodes)?;
        stream.write_u8(WELCOME).await?;
        stream.flush().await?;
        Ok(Proven { stream, node })
    };
    timeout(within, handshake).await.map_err(|_| HandshakeError::Late(within))?
}

/// The dialing side: `node` is who must be there.
pub(crate) async fn dial(
    tls: &Tls,
    stream: TcpStream,
    node: &str,
    within: Duration,
) -> Result<Proven<client::TlsStream<TcpStream>>, HandshakeError> {
    let connector = TlsConnector::from(tls.current().client.clone());
    let handshake = async {
        let mut stream = connector.connect(server_name(node)?, stream).await?;
        match stream.read_u8().await? {
            WELCOME => Ok(Proven { stream, node: node.to_owned() }),
            other => {
                let what = format!("the other side speaks version {other}, this one {WELCOME}");
                Err(HandshakeError::Name(what))
            }
        }
    };
    timeout(within, handshake).await.map_err(|_| HandshakeError::Late(within))?
}

/// Which of `nodes` the certificate is for.
fn named(shown: &CertificateDer<'_>, nodes: &[String]) -> Result<String, HandshakeError> {
    let shown = ParsedCertificate::try_from(shown).map_err(HandshakeError::Tls)?;
    let mut refused = "no peer has this address".to_owned();
    for node in nodes {
        match verify_server_name(&shown, &server_name(node)?) {
            Ok(()) => return Ok(node.clone()),
            Err(Error::InvalidCertificate(error)) => refused = describe_certificate(&error),
            Err(other) => refused = other.to_string(),
        }
    }
    Err(HandshakeError::Name(format!("the other side's certificate is refused: {refused}")))
}

fn server_name(node: &str) -> Result<ServerName<'static>, HandshakeError> {
    let name = ServerName::try_from(node.to_owned());
    name.map_err(|_| HandshakeError::Name(format!("{node:?} cannot stand in a certificate")))
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match (tls, error.kind()) {
            (Some(tls), _) => HandshakeError::Tls(tls.clone()),
            (None, io::ErrorKind::UnexpectedEof) => HandshakeError::Closed,
            (None, _) => HandshakeError::Broken(error),
        }
    }
}

/// For ractor's own listener, which cannot be turned off: no handshake succeeds there.
pub(crate) fn closed_acceptor() -> TlsAcceptor {
    #[derive(Debug)]
    struct NoCertificate;
    impl ResolvesServerCert for NoCertificate {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            None
        }
    }
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has suites of TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(NoCertificate));
    TlsAcceptor::from(Arc::new(config))
}
