//! The addresses that clients know: one, or one of each IP version.

use super::file;
use resilee_config::{ConfigError, OneOrMany, OwnAddresses, Place, Protocol, Source};
use resilee_sip_ra::Advertised;
use std::net::SocketAddr;
use toml::Spanned;

pub(super) fn read(
    source: &Source<'_>,
    sip: &file::Sip,
    listen: SocketAddr,
    own: &OwnAddresses,
) -> Result<Advertised, ConfigError> {
    match (&sip.behind_balancer, &sip.advertise) {
        (Some(_), Some(advertise)) => {
            let what = "behind a balancer clients know the balancer only: remove advertise or \
                        behind_balancer";
            Err(source.error("sip.advertise", advertise.span(), what))
        }
        (Some(balancer), None) => {
            let addresses = addresses(source, "sip.behind_balancer", balancer)?;
            for (address, place) in &addresses {
                own.check_foreign(Protocol::Udp, *address, place)?;
            }
            both(&addresses)
        }
        (None, Some(advertise)) => both(&addresses(source, "sip.advertise", advertise)?),
        (None, None) => both(&[(listen, source.place("sip.listen", sip.listen.span()))]),
    }
}

fn addresses(
    source: &Source<'_>,
    key: &str,
    texts: &Spanned<OneOrMany>,
) -> Result<Vec<(SocketAddr, Place)>, ConfigError> {
    let read =
        |text: &Spanned<String>| Ok((source.address(key, text)?, source.place(key, text.span())));
    let addresses = OneOrMany::texts(texts).iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if addresses.is_empty() {
        let what = "one address, or one of each IP version, is expected";
        return Err(source.error(key, texts.span(), what));
    }
    Ok(addresses)
}

fn both(addresses: &[(SocketAddr, Place)]) -> Result<Advertised, ConfigError> {
    for (address, place) in addresses {
        if address.ip().is_unspecified() {
            let what = format!(
                "{address} is no address that clients can send to: set advertise (or \
                 behind_balancer) to the one they use"
            );
            return Err(place.error(what));
        }
    }
    match addresses {
        [(only, _)] => Ok((*only).into()),
        [(first, _), (second, place)] => Advertised::both(*first, *second).ok_or_else(|| {
            let what = format!("{second}: an address of the other IP version is expected");
            place.error(what)
        }),
        [_, _, (third, place), ..] => {
            let what = format!("{third}: more than one address of each IP version: remove it");
            Err(place.error(what))
        }
        [] => unreachable!("an empty list was refused"),
    }
}
