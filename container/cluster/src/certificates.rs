//! Makes an authority and certificates of nodes: for a trial, and for tests.
//!
//! The authority's private key is never written: nobody can sign with it later. Who wants to renew
//! or to add nodes has an authority of his own (`docs/cluster-security.md`).

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The clocks of machines may differ by so much.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// Days that trial certificates hold, unless told otherwise.
pub const TRIAL_DAYS: u32 = 365;

/// Signs certificates.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    valid: Range<SystemTime>,
}

/// A certificate with its key, both as PEM.
#[derive(Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub private_key: String,
}

/// Why no certificates were made.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// A file is there already.
    #[error("{}: is there already and is not overwritten: choose another folder", .0.display())]
    Exists(PathBuf),
    /// The same node twice.
    #[error("the node {0} is there twice: name each once")]
    Twice(String),
    /// A file or folder cannot be written.
    #[error("{}: cannot write it: {reason}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The name cannot stand in a certificate.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

impl Authority {
    /// An authority whose certificate holds for that time.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(valid: Range<SystemTime>) -> Result<Authority, CertificatesError> {
        let mut params = params("Resilee cluster", &valid);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Authority { pem, issuer: Issuer::new(params, key), valid })
    }

    /// The authority's certificate, as PEM.
    pub fn certificate(&self) -> &str {
        &self.pem
    }

    /// A certificate of `node` that holds as long as the authority's.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn sign(&self, node: &str) -> Result<Pair, CertificatesError> {
        self.sign_for(node, self.valid.clone())
    }

    /// A certificate of `node` that holds for that time.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn sign_for(
        &self,
        node: &str,
        valid: Range<SystemTime>,
    ) -> Result<Pair, CertificatesError> {
        let mut params = params(node, &valid);
        let name = rcgen::string::Ia5String::try_from(node)?;
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, private_key: key.serialize_pem() })
    }
}

/// Writes `ca.pem`, and `NODE.pem` with `NODE-key.pem` for each node, to `folder`, which is made
/// if it is not there. They hold `days` from `now` on. The files that were written.
///
/// # Errors
/// A file that is there already, or cannot be written; then none is left behind half written.
pub fn make_certificates(
    folder: &Path,
    nodes: &[String],
    now: SystemTime,
    days: u32,
) -> Result<Vec<PathBuf>, CertificatesError> {
    let valid = now - CLOCK_SKEW..now + Duration::from_secs(24 * 3600) * days;
    let authority = Authority::new(valid)?;
    let mut files = vec![(folder.join("ca.pem"), authority.pem.clone(), PUBLIC)];
    for node in nodes {
        let pair = authority.sign(node)?;
        let (certificate, key) =
            (folder.join(format!("{node}.pem")), folder.join(format!("{node}-key.pem")));
        if files.iter().any(|(path, ..)| *path == certificate || *path == key) {
            return Err(CertificatesError::Twice(node.clone()));
        }
        files.push((certificate, pair.certificate, PUBLIC));
        files.push((key, pair.private_key, SECRET));
    }
    if let Some((path, ..)) = files.iter().find(|(path, ..)| path.exists()) {
        return Err(CertificatesError::Exists(path.clone()));
    }
    let made = DirBuilder::new().recursive(true).mode(FOLDER).create(folder);
    made.map_err(|reason| CertificatesError::Write { path: folder.to_owned(), reason })?;
    let write = |(path, text, mode): (PathBuf, String, u32)| {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Ok(()) => Ok(path),
            Err(reason) => Err(CertificatesError::Write { path, reason }),
        }
    };
    files.into_iter().map(write).collect()
}

/// Modes of certificates, of private keys, and of their folder.
const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;
const FOLDER: u32 = 0o700;

fn params(name: &str, valid: &Range<SystemTime>) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut params = CertificateParams::default();
    params.not_before = epoch + since(valid.start);
    params.not_after = epoch + since(valid.end);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{Tls, TlsFiles};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn trial_certificates_are_accepted_by_peers_and_keys_are_secret_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("certificates");
        let nodes = ["server1".to_owned(), "server2".to_owned()];
        let files = make_certificates(&folder, &nodes, SystemTime::now(), TRIAL_DAYS).unwrap();
        assert_eq!(files.len(), 5);
        for node in &nodes {
            let private_key = folder.join(format!("{node}-key.pem"));
            assert_eq!(fs::metadata(&private_key).unwrap().permissions().mode() & 0o777, SECRET);
            let certificate = folder.join(format!("{node}.pem"));
            let files = TlsFiles { certificate, private_key, ca: folder.join("ca.pem") };
            Tls::load(node, files).unwrap();
        }
        let ca = fs::read(folder.join("ca.pem")).unwrap();
        let more = ["server2".to_owned()];
        let again = make_certificates(&folder, &more, SystemTime::now(), TRIAL_DAYS).unwrap_err();
        assert!(again.to_string().contains("ca.pem: is there already"), "{again}");
        assert_eq!(fs::read(folder.join("ca.pem")).unwrap(), ca);
    }

    #[test]
    fn a_node_that_is_named_twice_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let nodes = ["server1".to_owned(), "server1".to_owned()];
        let twice = make_certificates(folder.path(), &nodes, SystemTime::now(), 1).unwrap_err();
        assert!(matches!(twice, CertificatesError::Twice(_)), "{twice}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
