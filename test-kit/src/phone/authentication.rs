//! Digest credentials of a phone (RFC 7616, RFC 8760): answers challenges, counts nonces.
//!
//! SHA-256 goes before MD5; an algorithm whose credentials were refused is not tried again
//! until the server says that only the nonce was stale.

use crate::random::Random;
use resilee_sip_api::{Account, Algorithm, Credentials, QopAuth};
use resilee_sip_proto::digest;
use resilee_sip_proto::{HeaderName, Message};

/// Challenges to one request that are answered before it counts as failed.
const CHALLENGES_MAX: u32 = 4;

/// What a phone knows of one server that asks for credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authentication {
    /// The challenge that is answered now.
    current: Option<Answered>,
    /// Challenges to the request that is under way.
    challenges: u32,
    /// Algorithms whose credentials were refused for that request.
    refused: Vec<Algorithm>,
}

#[derive(Clone, Debug)]
struct Answered {
    challenge: digest::Challenge,
    algorithm: Algorithm,
    /// Uses of this nonce so far.
    nonce_count: u32,
    is_proxy: bool,
}

impl Authentication {
    /// A new request begins; the last challenge is answered without being asked again.
    pub(crate) fn on_new_request(&mut self) {
        self.challenges = 0;
        self.refused.clear();
    }

    /// Takes a 401 or 407; false if there is nothing more to try.
    pub(crate) fn on_challenge(&mut self, response: &Message<'_>) -> bool {
        let is_proxy = response.status() == Some(407);
        let name = match is_proxy {
            true => HeaderName::ProxyAuthenticate,
            false => HeaderName::WwwAuthenticate,
        };
        let challenges = response.values(name);
        let challenges = challenges.iter().filter_map(|value| digest::Challenge::parse(value));
        let offered: Vec<_> = challenges.filter_map(with_algorithm).collect();
        let is_stale = offered.iter().any(|(_, challenge)| challenge.stale);
        match self.current.take() {
            Some(current) if self.challenges > 0 && !is_stale => {
                self.refused.push(current.algorithm);
            }
            _ => {}
        }
        self.challenges += 1;
        let mut usable: Vec<_> =
            offered.into_iter().filter(|(it, _)| !self.refused.contains(it)).collect();
        usable.sort_by_key(|(algorithm, _)| *algorithm != Algorithm::Sha256);
        let Some((algorithm, challenge)) = usable.into_iter().next() else { return false };
        self.current = Some(Answered { challenge, algorithm, nonce_count: 0, is_proxy });
        self.challenges <= CHALLENGES_MAX
    }

    /// The header for the next request: name and value.
    pub(crate) fn header(
        &mut self,
        random: &mut Random,
        user: &str,
        password: Option<&str>,
        method: &str,
        uri: &str,
    ) -> Option<(HeaderName, String)> {
        let password = password?;
        let current = self.current.as_mut()?;
        current.nonce_count += 1;
        let has_qop = current.challenge.qop.is_some();
        let cnonce = has_qop.then(|| random.token());
        let nc = format!("{:08x}", current.nonce_count);
        let proof = Credentials {
            username: user.to_owned(),
            realm: current.challenge.realm.clone(),
            nonce: current.challenge.nonce.clone(),
            uri: uri.to_owned(),
            response: String::new(),
            algorithm: current.algorithm,
            qop: cnonce.clone().map(|cnonce| QopAuth { nc, cnonce }),
            method: method.to_owned(),
            nonce_fresh: true,
        };
        let account = Account::with_password(user, &current.challenge.realm, password);
        let secret = match current.algorithm {
            Algorithm::Md5 => account.ha1,
            Algorithm::Sha256 => account.ha1_sha256.unwrap_or_default(),
        };
        let credentials = digest::Credentials {
            response: proof.expected(&secret),
            username: proof.username,
            realm: proof.realm,
            nonce: proof.nonce,
            uri: proof.uri,
            algorithm: current.challenge.algorithm.clone(),
            qop: has_qop.then(|| "auth".to_owned()),
            cnonce,
            nc: has_qop.then_some(current.nonce_count),
            opaque: current.challenge.opaque.clone(),
        };
        let name = match current.is_proxy {
            true => HeaderName::ProxyAuthorization,
            false => HeaderName::Authorization,
        };
        Some((name, credentials.to_string()))
    }
}

/// The challenge with its algorithm, if a phone can answer it.
fn with_algorithm(challenge: digest::Challenge) -> Option<(Algorithm, digest::Challenge)> {
    let algorithm = match challenge.algorithm.as_deref() {
        None => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case("MD5") => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case("SHA-256") => Algorithm::Sha256,
        Some(_) => return None,
    };
    let is_auth = |qop: &str| qop.trim().eq_ignore_ascii_case("auth");
    let has_auth = challenge.qop.as_deref().is_none_or(|list| list.split(',').any(is_auth));
    has_auth.then_some((algorithm, challenge))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(challenges: &[&str]) -> Vec<u8> {
        let mut text = String::from(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n",
        );
        for challenge in challenges {
            text += &format!("WWW-Authenticate: Digest realm=\"r\", {challenge}\r\n");
        }
        (text + "\r\n").into_bytes()
    }

    /// Nonce, algorithm and nonce count of the next credentials.
    fn next(authentication: &mut Authentication) -> Option<(String, String, Option<u32>)> {
        let mut random = Random::new(1);
        let (name, value) =
            authentication.header(&mut random, "alice", Some("secret"), "REGISTER", "sip:b")?;
        assert_eq!(name, HeaderName::Authorization);
        let credentials = digest::Credentials::parse(&value).unwrap();
        let algorithm = credentials.algorithm.unwrap_or_default();
        Some((credentials.nonce, algorithm, credentials.nc))
    }

    fn challenge(authentication: &mut Authentication, challenges: &[&str]) -> bool {
        authentication.on_challenge(&Message::parse(&response(challenges)).unwrap())
    }

    const MD5: &str = "nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    const SHA: &str = "nonce=\"n\", algorithm=SHA-256, qop=\"auth,auth-int\"";

    #[test]
    fn sha_256_is_preferred_and_the_nonce_counted() {
        let mut authentication = Authentication::default();
        assert_eq!(next(&mut authentication), None);
        assert!(challenge(&mut authentication, &[MD5, SHA]));
        assert_eq!(next(&mut authentication), Some(("n".into(), "SHA-256".into(), Some(1))));
        assert_eq!(next(&mut authentication), Some(("n".into(), "SHA-256".into(), Some(2))));
    }

    #[test]
    fn a_refused_algorithm_gives_way_to_the_other_and_then_it_is_over() {
        let mut authentication = Authentication::default();
        assert!(challenge(&mut authentication, &[SHA, MD5]));
        assert!(challenge(&mut authentication, &[SHA, MD5]));
        assert_eq!(next(&mut authentication), Some(("n".into(), "MD5".into(), Some(1))));
        assert!(!challenge(&mut authentication, &[SHA, MD5]));
    }

    #[test]
    fn a_stale_nonce_is_replaced_and_the_count_begins_anew() {
        let mut authentication = Authentication::default();
        assert!(challenge(&mut authentication, &[MD5]));
        next(&mut authentication);
        let stale = "nonce=\"m\", algorithm=MD5, qop=\"auth\", stale=true";
        assert!(challenge(&mut authentication, &[stale]));
        assert_eq!(next(&mut authentication), Some(("m".into(), "MD5".into(), Some(1))));
    }

    #[test]
    fn a_server_without_qop_gets_no_nonce_count() {
        let mut authentication = Authentication::default();
        assert!(challenge(&mut authentication, &["nonce=\"n\""]));
        assert_eq!(next(&mut authentication), Some(("n".into(), String::new(), None)));
        assert!(!challenge(&mut Authentication::default(), &["nonce=\"n\", algorithm=X"]));
    }
}
