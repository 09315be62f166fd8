//! Digest authentication as far as it needs no password: challenges, and credentials as a
//! service sees them. Whether a response is right, the service decides with the user's secret.
//!
//! | credentials                                          | are                             |
//! |------------------------------------------------------|---------------------------------|
//! | an algorithm that is offered, `qop=auth`             | read, with count and `cnonce`   |
//! | the same without `qop` (RFC 2069)                    | read; the nonce serves once     |
//! | no `algorithm`                                       | read as MD5, if that is offered |
//! | another algorithm, `-sess`, `auth-int`               | as good as none                 |
//! | `userhash=true`, `username*` (RFC 7616 §3.4.4)       | as good as none: no challenge   |
//! |                                                      | of ours asks for it             |
//! | our nonce, and a `uri` that is not the Request-URI   | the request is refused with 400 |
//! | (RFC 7616 §3.4.6)                                    | (`is_for_its_request`)          |
//!
//! A client whose credentials are as good as none is challenged, and learns what is offered.

use crate::element::Element;
use crate::leg::is_same_address;
use crate::nonce::{NonceAge, Scope, age, is_ours};
use crate::password_guard::AccountHash;
use crate::secret::Secret;
use resilee_sbb::Timestamp;
use resilee_sip_api::SourceNetwork;
use resilee_sip_api::{Account, Algorithm, Credentials, QopAuth};
use resilee_sip_proto::text::split_list;
use resilee_sip_proto::{Edit, HeaderName, Message, SipUri, digest};
use std::net::IpAddr;

/// Headers that carry credentials.
const CREDENTIALS_HEADERS: [HeaderName; 2] =
    [HeaderName::ProxyAuthorization, HeaderName::Authorization];

/// Characters of a client's own text in an alarm.
const NAME_CHARS_MAX: usize = 64;

/// The challenge headers of a 401, or of a 407 for `is_proxy`: one per algorithm, in the order
/// of preference (RFC 8760 §2.3). Those that the account can't be proven by are left out, unless
/// nothing would be left.
pub(crate) fn challenges(
    offered: &[Algorithm],
    provable: &[Algorithm],
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
    let is_of_use = |it: &&Algorithm| provable.contains(it);
    match offered.iter().any(|algorithm| is_of_use(&algorithm)) {
        true => offered.iter().filter(is_of_use).map(challenge).collect(),
        false => offered.iter().map(challenge).collect(),
    }
}

/// Who says who it is, from where: what a wrong response is counted against.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) source: SourceNetwork,
    /// The request is a REGISTER, whose 200 proves what it says.
    pub(crate) registers: bool,
    pub(crate) realm: String,
    pub(crate) account: AccountHash,
    /// `user@realm`, for people.
    pub(crate) name: String,
    /// Services are told that it is barred. Most do not look at it then, but where they know its
    /// sender they do: what they find counts as of any other.
    pub(crate) is_barred: bool,
}

impl Claim {
    pub(crate) fn of(secret: &Secret, credentials: &Credentials, source: IpAddr) -> Claim {
        let name = Account::key(&credentials.username, &credentials.realm);
        Claim {
            source: SourceNetwork::of(source),
            registers: credentials.method == "REGISTER",
            realm: credentials.realm.clone(),
            account: account_hash(secret, &name),
            name: name.chars().take(NAME_CHARS_MAX).collect(),
            is_barred: false,
        }
    }
}

/// The account that a request is about: that of its credentials, else that of its sender.
pub(crate) fn claimed_account(
    secret: &Secret,
    request: &Message<'_>,
    credentials: Option<&Credentials>,
) -> AccountHash {
    if let Some(credentials) = credentials {
        let name = Account::key(&credentials.username, &credentials.realm);
        return account_hash(secret, &name);
    }
    let uri = match request.method() {
        Some("REGISTER") => request.to_uri(),
        _ => request.from_uri(),
    };
    let uri = uri.unwrap_or_default();
    let address = SipUri::parse(&uri).map(|uri| uri.address_of_record()).unwrap_or_default();
    account_hash(secret, address.strip_prefix("sip:").unwrap_or_default())
}

fn account_hash(secret: &Secret, name: &str) -> AccountHash {
    AccountHash(secret.hash64("account", &[name.as_bytes()]))
}

/// The credentials of a request that are for this server: those with our freshest nonce, else
/// the first that can be read. The realm is the service's to look at.
pub(crate) fn credentials(
    element: &Element,
    now: Timestamp,
    request: &Message<'_>,
    source: IpAddr,
) -> Option<Credentials> {
    let values = CREDENTIALS_HEADERS.iter().flat_map(|name| request.values(*name));
    let found = values.filter_map(|value| {
        let credentials = digest::Credentials::parse(&value)?;
        let scope = Scope::of(request, source);
        let nonce_age = age(&element.secret, now, &credentials.nonce, scope);
        let method = request.method()?;
        let read = for_service(credentials, &value, method, nonce_age)?;
        let is_offered = element.algorithms.contains(&read.algorithm);
        is_offered.then_some((rank(nonce_age), read))
    });
    found.min_by_key(|(rank, _)| *rank).map(|(_, credentials)| credentials)
}

/// Whether the `uri` of credentials names what the Request-URI does: the response is worth nothing
/// for anything else. The same user and host are enough, since many phones leave port and
/// parameters out; and so is our own address, which some name whatever they ask for. Credentials
/// that are for another server are not judged.
pub(crate) fn is_for_its_request(
    element: &Element,
    credentials: &Credentials,
    request: &Message<'_>,
) -> bool {
    let is_our_address =
        || SipUri::parse(&credentials.uri).is_some_and(|uri| element.is_here(uri.host, uri.port));
    is_same_address(&credentials.uri, request.request_uri().unwrap_or_default())
        || is_our_address()
        || !is_ours(&element.secret, &credentials.nonce)
}

/// Takes off the credentials that were for us; those for others go on.
pub(crate) fn strip_credentials(secret: &Secret, request: &Message<'_>, edit: &mut Edit<'_>) {
    for name in CREDENTIALS_HEADERS {
        let values = request.values(name);
        let is_foreign = |value: &&std::borrow::Cow<'_, str>| {
            let credentials = digest::Credentials::parse(value);
            credentials.is_none_or(|it| !is_ours(secret, &it.nonce))
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
    if field(value, "userhash").is_some_and(|hashed| hashed.eq_ignore_ascii_case("true")) {
        return None;
    }
    let qop = match credentials.qop.as_deref() {
        None => None,
        Some(qop) if qop.eq_ignore_ascii_case("auth") => {
            Some(QopAuth { nc: field(value, "nc")?, cnonce: credentials.cnonce? })
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

/// A field as the client wrote it: of `nc` the digits, not the number, are hashed (RFC 7616
/// §3.4.1).
fn field(value: &str, wanted: &str) -> Option<String> {
    let fields = value.trim().split_once([' ', '\t'])?.1;
    split_list(fields.as_bytes()).find_map(|range| {
        let (name, value) = fields[range].split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case(wanted);
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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    const SECRET: Secret = Secret::new([7; 32]);
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    const BOTH: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

    fn element() -> Element {
        Element::for_test([7; 32], &[Algorithm::Md5])
    }

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
        let nonce = NonceSource::new(1).make(&SECRET, NOW, Scope::call("1", HERE));
        let text = request(&(authorization("theirs") + &authorization(&nonce)));
        let message = Message::parse(text.as_bytes()).unwrap();
        let found = credentials(&element(), NOW, &message, HERE).unwrap();
        assert!(found.nonce_fresh);
        assert_eq!((found.nonce, found.method), (nonce, "OPTIONS".to_owned()));
        assert_eq!(found.qop.unwrap().nc, "0000000A");
    }

    #[test]
    fn only_our_credentials_are_taken_off() {
        let nonce = NonceSource::new(1).make(&SECRET, NOW, Scope::call("1", HERE));
        let text = request(&(authorization("theirs") + &authorization(&nonce)));
        let message = Message::parse(text.as_bytes()).unwrap();
        let mut edit = Edit::new(&message);
        strip_credentials(&SECRET, &message, &mut edit);
        let text = String::from_utf8(edit.finish()).unwrap();
        assert!(text.contains("\"theirs\"") && !text.contains(&nonce), "{text}");
    }

    #[test]
    fn a_challenge_per_algorithm_is_offered() {
        let headers = challenges(&BOTH, &[], "r", "n", true, false);
        assert!(headers.iter().all(|(name, _)| name == "WWW-Authenticate"));
        let parsed = |index: usize| digest::Challenge::parse(&headers[index].1).unwrap();
        assert_eq!(parsed(0).algorithm.as_deref(), Some("SHA-256"));
        assert_eq!(parsed(1).algorithm.as_deref(), Some("MD5"));
        assert!(parsed(1).stale);
    }

    #[test]
    fn an_account_is_challenged_by_what_it_can_be_proven_by() {
        let offered = |provable: &[Algorithm]| {
            let headers = challenges(&BOTH, provable, "r", "n", false, true);
            let parse = |value: &str| digest::Challenge::parse(value).unwrap().algorithm.unwrap();
            headers.iter().map(|(_, value)| parse(value)).collect::<Vec<_>>()
        };
        assert_eq!(offered(&BOTH), ["SHA-256", "MD5"]);
        assert_eq!(offered(&[Algorithm::Md5]), ["MD5"]);
        assert_eq!(offered(&[]), ["SHA-256", "MD5"], "as to an account that is not there");
        let sha256_only = challenges(&BOTH[..1], &[Algorithm::Md5], "r", "n", false, true);
        assert_eq!(sha256_only.len(), 1, "what is not offered is not offered");
    }

    #[test]
    fn credentials_that_no_challenge_asks_for_are_as_good_as_none() {
        let nonce = NonceSource::new(1).make(&SECRET, NOW, Scope::call("1", HERE));
        let given = authorization(&nonce);
        let algorithm = |name: &str| given.replace("\r\n", &format!(", algorithm={name}\r\n"));
        let read = |text: &str| {
            let text = request(text);
            credentials(&element(), NOW, &Message::parse(text.as_bytes()).unwrap(), HERE).is_some()
        };
        assert!(read(&given) && read(&algorithm("md5")));
        for unknown in ["SHA-256", "SHA-512-256", "MD5-sess", "MD5, userhash=true"] {
            assert!(!read(&algorithm(unknown)), "{unknown}");
        }
        assert!(read(&algorithm("MD5, userhash=false")));
        assert!(!read(&given.replace("qop=auth", "qop=auth-int")));
        assert!(!read(&given.replace("username=", "username*=")));
    }
}
