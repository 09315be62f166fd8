//! What is wrong with a certificate or a handshake, in words that say what to do.

use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// What is wrong with a certificate.
pub(super) fn describe_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate ended at {}: renew it", utc(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let from = utc(*not_before);
            format!("the certificate holds from {from} on: is the clock of this machine right?")
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the certificate is not signed by the CA of ca_file".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            let presented = match presented.is_empty() {
                true => "nobody".to_owned(),
                false => names(presented),
            };
            format!(
                "the certificate is for {presented}, but {expected:?} is expected: its subject \
                 alternative name (DNS) must be the name of the node"
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate must be for servers and for clients (extended key usage serverAuth \
             and clientAuth)"
                .to_owned()
        }
        other => format!("the certificate cannot be used: {other}"),
    }
}

/// Characters of a stranger's names in a log line.
const NAMES_CHARS_MAX: usize = 200;

/// Names as a certificate has them; rustls writes them like `DnsName("server1")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let name = name.strip_prefix("DnsName(").and_then(|name| name.strip_suffix(')'));
        name.map(str::to_owned)
    };
    let names = presented.iter().map(|name| bare(name).unwrap_or_else(|| name.clone()));
    names.collect::<Vec<_>>().join(", ").chars().take(NAMES_CHARS_MAX).collect()
}

/// Why a handshake failed, from the side that sees `error`.
pub(super) fn describe_handshake(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => {
            format!("the other side's certificate is refused: {}", describe_certificate(error))
        }
        Error::NoCertificatesPresented => "the other side shows no certificate".to_owned(),
        Error::InvalidMessage(_) => {
            "the other side does not speak TLS: are certificate_file, private_key_file and \
             ca_file set in its [cluster]?"
                .to_owned()
        }
        // The second one: the CA has the right name, but another key.
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => {
            "the other side refuses this node's certificate: it is not signed by the CA of its \
             ca_file"
                .to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the other side refuses this node's certificate: it has ended".to_owned()
        }
        Error::AlertReceived(AlertDescription::BadCertificate) => {
            "the other side refuses this node's certificate: does it have the name of this node?"
                .to_owned()
        }
        Error::AlertReceived(alert) => format!("the other side refuses this node: {alert:?}"),
        other => other.to_string(),
    }
}

/// A time as people write it.
pub(super) fn utc(time: UnixTime) -> String {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_second(second) {
        Ok(time) => time.to_string(),
        Err(_) => "the end of time".to_owned(),
    }
}
