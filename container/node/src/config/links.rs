//! Addresses and certificates of the cluster links: `[cluster]` without key and names.

use super::file;
use resilee_cluster::{Tls, TlsFile, TlsFiles};
use resilee_config::{ConfigError, Place, Source};
use resilee_membership::NodeName;
use std::net::SocketAddr;
use toml::Spanned;

/// The keys of the three files, which come together.
const CERTIFICATE: &str = "cluster.certificate_file";
const PRIVATE_KEY: &str = "cluster.private_key_file";
const CA: &str = "cluster.ca_file";

/// The certificates, if there are any.
pub(super) fn tls(
    source: &Source<'_>,
    cluster: &file::Cluster,
    me: &NodeName,
) -> Result<Option<Tls>, ConfigError> {
    let given = [
        (CERTIFICATE, &cluster.certificate_file),
        (PRIVATE_KEY, &cluster.private_key_file),
        (CA, &cluster.ca_file),
    ];
    let (Some(certificate), Some(private_key), Some(ca)) = (given[0].1, given[1].1, given[2].1)
    else {
        let missing = given.iter().find(|(_, file)| file.is_none());
        let present = given.iter().find_map(|(key, file)| Some((key, file.as_ref()?)));
        let (Some((missing, _)), Some((key, file))) = (missing, present) else { return Ok(None) };
        let what = format!("certificates are three files: {missing} is missing");
        return Err(source.error(key, file.span(), what));
    };
    let certificate = source.file(CERTIFICATE, certificate);
    let private_key = source.file(PRIVATE_KEY, private_key);
    let ca = source.file(CA, ca);
    let files = TlsFiles {
        certificate: certificate.value.clone(),
        private_key: private_key.value.clone(),
        ca: ca.value.clone(),
    };
    let tls = Tls::load(me.as_str(), files).map_err(|error| {
        let place = match error.file {
            TlsFile::Certificate => &certificate.place,
            TlsFile::PrivateKey => &private_key.place,
            TlsFile::Ca => &ca.place,
        };
        place.error(error.to_string())
    })?;
    Ok(Some(tls))
}

/// An address of links: a loopback address, or with certificates one of an interface.
pub(super) fn address(
    source: &Source<'_>,
    cluster: &file::Cluster,
    key: &str,
    text: &Spanned<String>,
) -> Result<(SocketAddr, Place), ConfigError> {
    let address = source.address(key, text)?;
    let place = source.place(key, text.span());
    if address.ip().is_unspecified() {
        let what = "nodes know each other by their addresses: that of one interface is expected";
        return Err(place.error(format!("{address}: {what}")));
    }
    if cluster.certificate_file.is_none() && !address.ip().is_loopback() {
        let what = format!(
            "{address} is not a loopback address: without certificates the links are not \
             encrypted and stay on this machine; set certificate_file, private_key_file and \
             ca_file in [cluster], or use an address of 127.0.0.0/8"
        );
        return Err(place.error(what));
    }
    Ok((address, place))
}

/// A peer that cannot be reached from where this node listens, because one is on loopback.
pub(super) fn check_reachable(
    listen: SocketAddr,
    peer: SocketAddr,
    place: &Place,
) -> Result<(), ConfigError> {
    let kind = |address: SocketAddr| (address.ip().is_loopback(), address.is_ipv4());
    if kind(listen) == kind(peer) {
        return Ok(());
    }
    let what = format!(
        "{peer} cannot be reached from cluster.listen, {listen}: both on loopback or neither, and \
         both IPv4 or both IPv6, are expected"
    );
    Err(place.error(what))
}
