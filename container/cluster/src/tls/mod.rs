//! Certificates of cluster links: both sides of a link show one, signed by the cluster's own
//! authority, that names their node.
//!
//! TLS 1.3 only, with the provider named (aws-lc-rs), never the process's default. No session is
//! resumed: a resumed one would skip the check of the certificate. Sockets are not here
//! (`handshake.rs`), nor when files are read again (`renewal.rs`).

mod check;
mod describe;
mod handshake;
mod renewal;

pub(crate) use handshake::{HandshakeError, accept, closed_acceptor, dial};
pub(crate) use renewal::watch;

use check::Material;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch as watched;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{self, ClientConfig, ServerConfig};

/// An alarm is raised so long before a certificate ends.
pub const CERTIFICATE_ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Where the certificates are, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// This node's certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// The authority that signs the certificates of all nodes.
    pub ca: PathBuf,
}

/// Which of the files is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// [`TlsFiles::certificate`].
    Certificate,
    /// [`TlsFiles::private_key`].
    PrivateKey,
    /// [`TlsFiles::ca`].
    Ca,
}

/// Certificates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TlsError {
    /// The file to look at.
    pub file: TlsFile,
    /// Its path.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub what: String,
}

/// The certificates of this node, read again when their files change. Clones share them.
#[derive(Clone, Debug)]
pub struct Tls {
    node: String,
    files: TlsFiles,
    current: Arc<watched::Sender<Arc<Loaded>>>,
}

/// One reading of the files.
#[derive(Debug)]
pub(crate) struct Loaded {
    material: Material,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files and checks that peers will accept them: `node` is this node's name, which
    /// must be a subject alternative name (DNS) of the certificate.
    ///
    /// # Errors
    /// The first thing that is wrong, and in which file.
    pub fn load(node: &str, files: TlsFiles) -> Result<Tls, TlsError> {
        let loaded = Loaded::load(node, &files, SystemTime::now())?;
        let current = Arc::new(watched::Sender::new(Arc::new(loaded)));
        Ok(Tls { node: node.to_owned(), files, current })
    }

    fn current(&self) -> Arc<Loaded> {
        self.current.borrow().clone()
    }
}

impl Loaded {
    fn load(node: &str, files: &TlsFiles, now: SystemTime) -> Result<Loaded, TlsError> {
        let provider = provider();
        let material = Material::read(node, files, &provider)?;
        material.check(now)?;
        let resolver = Arc::new(SingleCertAndKey::from(material.key.clone()));
        let versions = &[&rustls::version::TLS13];
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("the provider has suites of TLS 1.3")
            .with_client_cert_verifier(material.clients.clone());
        let mut server = server.with_cert_resolver(resolver.clone());
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider has suites of TLS 1.3")
            .with_webpki_verifier(material.servers.clone());
        let mut client = client.with_client_cert_resolver(resolver);
        client.resumption = Resumption::disabled();
        // Names of nodes are nobody's business on the way.
        client.enable_sni = false;
        Ok(Loaded { material, server: Arc::new(server), client: Arc::new(client) })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
