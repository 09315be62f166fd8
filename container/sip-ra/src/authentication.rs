//! Digest authentication as far as it needs no password: challenges, and credentials as a
//! service sees them. Whether a response is right, the service decides with the user's secret.

use crate::nonce::{NonceAge, Scope, age};
use crate::secret::Secret;
use resilee_sbb::Timestamp;
use resilee_sip_api::{Algorithm, Credentials, QopAuth};
use resilee_sip_proto::text::split_list;
use resilee_sip_proto::{Edit, HeaderName, Message, digest};

/// Headers that carry credentials.
const CREDENTIALS_HEADERS: [HeaderName; 2] =
    [HeaderName::ProxyAuthorization, HeaderName::Authorization];

/// The challenge headers of a 401, or of a 407 for `is_proxy`: one per algorithm, in the order
/// of preference (RFC 8760 §2.3).
pub(crate) fn challenges(
    algorithms: &[Algorithm],
    realm: &str,
    nonce: &str,
    is_stale: bool,
    is_proxy: bool,
) -> Vec<(String, String)> {
    let header = match is_proxy {
        true => HeaderName::ProxyAuthenticate,
        false => HeaderName::WwwAuthenticate,
    };
    let challenge = |algorithm: &Algorithm| {
        let value = digest::Challenge {
            realm: realm.to_owned(),
            nonce: nonce.to_owned(),
            algorithm: Some(algorithm_name(*algorithm).to_owned()),
            qop: Some("auth".to_owned()),
            opaque: None,
            stale: is_stale,
        };
        (header.long().to_owned(), value.to_string())
    };
    algorithms.iter().map(challenge).collect()
}

/// The credentials of a request that are for this server: those with our freshest nonce, else
/// the first that can be read. The realm is the service's to look at.
pub(crate) fn credentials(
    secret: &Secret,
    now: Timestamp,
    request: &Message<'_>,
) -> Option<Credentials> {
    let values = CREDENTIALS_HEADERS.iter().flat_map(|name| request.values(*name));
    let found = values.filter_map(|value| {
        let credentials = digest::Credentials::parse(&value)?;
        let nonce_age = age(secret, now, &credentials.nonce, Scope::of(request));
        let method = request.method()?;
        Some((rank(nonce_age), for_service(credentials, &value, method, nonce_age)?))
    });
    found.min_by_key(|(rank, _)| *rank).map(|(_, credentials)| credentials)
}

/// Takes off the credentials that were for us; those for others go on.
pub(crate) fn strip_credentials(
    secret: &Secret,
    now: Timestamp,
    request: &Message<'_>,
    edit: &mut Edit<'_>,
) {
    for name in CREDENTIALS_HEADERS {
        let values = request.values(name);
        let is_foreign = |value: &&std::borrow::Cow<'_, str>| {
            let credentials = digest::Credentials::parse(value);
            let is_ours =
                |nonce: &str| age(secret, now, nonce, Scope::of(request)) != NonceAge::Foreign;
            credentials.is_none_or(|it| !is_ours(&it.nonce))
        };
        let foreign: Vec<_> = values.iter().filter(is_foreign).collect();
        if foreign.len() == values.len() {
            continue;
        }
        edit.remove(name.long());
        for value in foreign {
            edit.add(name.long(), value);
        }
    }
}

fn rank(age: NonceAge) -> u8 {
    match age {
        NonceAge::Fresh => 0,
        NonceAge::Old => 1,
        NonceAge::Foreign => 2,
    }
}

fn for_service(
    credentials: digest::Credentials,
    value: &str,
    method: &str,
    nonce_age: NonceAge,
) -> Option<Credentials> {
    let algorithm = read_algorithm(credentials.algorithm.as_deref())?;
    let qop = match credentials.qop.as_deref() {
        None => None,
        Some(qop) if qop.eq_ignore_ascii_case("auth") => {
            Some(QopAuth { nc: nonce_count(value)?, cnonce: credentials.cnonce? })
        }
        Some(_) => return None,
    };
    Some(Credentials {
        username: credentials.username,
        realm: credentials.realm,
        nonce: credentials.nonce,
        uri: credentials.uri,
        response: credentials.response.to_ascii_lowercase(),
        algorithm,
        qop,
        method: method.to_owned(),
        nonce_fresh: nonce_age == NonceAge::Fresh,
    })
}

/// `nc` as the client wrote it: the digits, not the number, are hashed (RFC 7616 §3.4.1).
fn nonce_count(value: &str) -> Option<String> {
    let fields = value.trim().split_once([' ', '\t'])?.1;
    split_list(fields.as_bytes()).find_map(|range| {
        let (name, value) = fields[range].split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("nc");
        is_it.then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha256 => "SHA-256",
    }
}

fn read_algorithm(name: Option<&str>) -> Option<Algorithm> {
    let name = name.unwrap_or("MD5");
    let known = [Algorithm::Md5, Algorithm::Sha256];
    known.into_iter().find(|known| algorithm_name(*known).eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nonce::NonceSource;

    const SECRET: Secret = Secret::new([7; 32]);
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn request(headers: &str) -> String {
        format!(
            "OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\n\
             CSeq: 1 OPTIONS\r\n{headers}\r\n"
        )
    }

    fn authorization(nonce: &str) -> String {
        format!(
            "Proxy-Authorization: Digest username=\"a\", realm=\"r\", nonce=\"{nonce}\", \
             uri=\"sip:b@c\", response=\"AB\", qop=auth, cnonce=\"x\", nc=0000000A\r\n"
        )
    }

    #[test]
    fn credentials_with_our_nonce_are_chosen_and_kept_as_written() {
        let nonce = NonceSource::new(1).make(&SECRET, NOW, Scope::Call("1"));
        let text = request(&(authorization("theirs") + &authorization(&nonce)));
        let message = Message::parse(text.as_bytes()).unwrap();
        let found = credentials(&SECRET, NOW, &message).unwrap();
        assert!(found.nonce_fresh);
        assert_eq!((found.nonce, found.method), (nonce, "OPTIONS".to_owned()));
        assert_eq!(found.qop.unwrap().nc, "0000000A");
    }

    #[test]
    fn only_our_credentials_are_taken_off() {
        let nonce = NonceSource::new(1).make(&SECRET, NOW, Scope::Call("1"));
        let text = request(&(authorization("theirs") + &authorization(&nonce)));
        let message = Message::parse(text.as_bytes()).unwrap();
        let mut edit = Edit::new(&message);
        strip_credentials(&SECRET, NOW, &message, &mut edit);
        let text = String::from_utf8(edit.finish()).unwrap();
        assert!(text.contains("\"theirs\"") && !text.contains(&nonce), "{text}");
    }

    #[test]
    fn a_challenge_per_algorithm_is_offered() {
        let headers = challenges(&[Algorithm::Sha256, Algorithm::Md5], "r", "n", true, false);
        assert!(headers.iter().all(|(name, _)| name == "WWW-Authenticate"));
        let parsed = |index: usize| digest::Challenge::parse(&headers[index].1).unwrap();
        assert_eq!(parsed(0).algorithm.as_deref(), Some("SHA-256"));
        assert_eq!(parsed(1).algorithm.as_deref(), Some("MD5"));
        assert!(parsed(1).stale);
    }
}
