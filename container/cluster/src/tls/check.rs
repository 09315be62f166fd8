//! What is read from the files of certificates, and whether peers will accept it.
//!
//! A peer's view is tried: the certificate is verified here as a peer will do it, so that what
//! does not fit is found at the start and not on the first link.

use super::describe::{describe_certificate, utc};
use super::{TlsError, TlsFile, TlsFiles};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};

/// What the files hold.
#[derive(Debug)]
pub(super) struct Material {
    files: TlsFiles,
    /// This node's name, as a certificate has it.
    name: ServerName<'static>,
    pub key: Arc<CertifiedKey>,
    pub servers: Arc<WebPkiServerVerifier>,
    pub clients: Arc<dyn ClientCertVerifier>,
}

impl Material {
    /// Reads the files; they fit together.
    pub fn read(
        node: &str,
        files: &TlsFiles,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Material, TlsError> {
        let name = ServerName::try_from(node.to_owned()).map_err(|_| {
            let what = format!("{node:?}, the name of this node, cannot stand in a certificate");
            files.error(TlsFile::Certificate, what)
        })?;
        let authority = Arc::new(authority(files)?);
        let chain = certificates(files, TlsFile::Certificate)?;
        let bytes = files.read(TlsFile::PrivateKey)?;
        let Ok(key) = PrivateKeyDer::from_pem_slice(&bytes) else {
            let what = "a private key in PEM (a line -----BEGIN PRIVATE KEY-----) is expected";
            return Err(files.error(TlsFile::PrivateKey, what));
        };
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                let certificate = files.path(TlsFile::Certificate).display();
                let what = format!("this is not the key of the certificate in {certificate}");
                files.error(TlsFile::PrivateKey, what)
            }
            Error::InvalidCertificate(error) => {
                files.error(TlsFile::Certificate, describe_certificate(&error))
            }
            other => files.error(TlsFile::PrivateKey, format!("this key cannot be used: {other}")),
        })?;
        let unusable = |error: &dyn std::fmt::Display| {
            files.error(TlsFile::Ca, format!("these certificates cannot be used: {error}"))
        };
        let servers =
            WebPkiServerVerifier::builder_with_provider(authority.clone(), provider.clone())
                .build()
                .map_err(|error| unusable(&error))?;
        let clients = WebPkiClientVerifier::builder_with_provider(authority, provider.clone())
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Material { files: files.clone(), name, key: Arc::new(key), servers, clients })
    }

    /// Verifies the certificate as peers will.
    pub fn check(&self, now: SystemTime) -> Result<(), TlsError> {
        self.verify(now).map_err(|error| {
            let file = match error {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFile::Ca,
                _ => TlsFile::Certificate,
            };
            let certificate = self.files.path(TlsFile::Certificate).display();
            let what = match file {
                TlsFile::Ca => format!("the certificate in {certificate} is not signed by this CA"),
                _ => describe_certificate(&error),
            };
            self.files.error(file, what)
        })
    }

    /// What to tell an operator if the certificate ends `within` that time from now on.
    pub fn ends_soon(&self, now: SystemTime, within: Duration) -> Option<String> {
        let end = |verified| match verified {
            Err(CertificateError::ExpiredContext { not_after, .. }) => Some(not_after),
            _ => None,
        };
        let not_after = end(self.verify(now)).or_else(|| end(self.verify(now + within)))?;
        let (file, end) = (self.files.path(TlsFile::Certificate).display(), utc(not_after));
        Some(format!("{file}: the certificate of the cluster links ends at {end}: renew it"))
    }

    fn verify(&self, now: SystemTime) -> Result<(), CertificateError> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(now);
        let (own, between) = self.key.cert.split_first().expect("a key has a certificate");
        let as_server = self.servers.verify_server_cert(own, between, &self.name, &[], now);
        let verified = as_server.map(drop);
        let verified =
            verified.and_then(|()| self.clients.verify_client_cert(own, between, now).map(drop));
        verified.map_err(|error| match error {
            Error::InvalidCertificate(error) => error,
            _ => CertificateError::BadEncoding,
        })
    }
}

/// The certificates of the authority.
fn authority(files: &TlsFiles) -> Result<RootCertStore, TlsError> {
    let mut authority = RootCertStore::empty();
    for certificate in certificates(files, TlsFile::Ca)? {
        authority.add(certificate).map_err(|error| {
            files.error(TlsFile::Ca, format!("this certificate cannot be used: {error}"))
        })?;
    }
    Ok(authority)
}

/// All certificates of a file, at least one.
fn certificates(files: &TlsFiles, file: TlsFile) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = files.read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => {
            let what = "a certificate in PEM (a line -----BEGIN CERTIFICATE-----) is expected";
            Err(files.error(file, what))
        }
    }
}

impl TlsFiles {
    pub(super) fn path(&self, file: TlsFile) -> &Path {
        match file {
            TlsFile::Certificate => &self.certificate,
            TlsFile::PrivateKey => &self.private_key,
            TlsFile::Ca => &self.ca,
        }
    }

    fn error(&self, file: TlsFile, what: impl Into<String>) -> TlsError {
        TlsError { file, path: self.path(file).to_owned(), what: what.into() }
    }

    fn read(&self, file: TlsFile) -> Result<Vec<u8>, TlsError> {
        std::fs::read(self.path(file))
            .map_err(|error| self.error(file, format!("cannot read it: {error}")))
    }
}
