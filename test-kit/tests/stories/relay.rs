//! A registrar and a stateless, record-routing proxy: the least that lets two phones meet.
//!
//! It keeps bindings and nothing of a call: its branch follows from the received one, so that a
//! repeated request, its CANCEL and the ACK of a failure all get the same.

use resilee_sip_api::{Account, Algorithm, Credentials, QopAuth};
use resilee_sip_proto::{Edit, HeaderName, Message, build, digest, name_addr};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Realm of its challenges.
pub const REALM: &str = "example.test";

/// The password of every user.
pub const PASSWORD: &str = "secret";

/// What the relay asks credentials for, and with which algorithms.
#[derive(Clone, Debug)]
pub struct Demands {
    pub for_register: bool,
    pub for_invite: bool,
    pub algorithms: Vec<&'static str>,
    pub nonce: String,
    /// It answers 100, as only a proxy should that repeats a lost INVITE itself.
    pub sends_trying: bool,
    /// Expires that it grants.
    pub grants_s: u32,
}

pub struct Relay {
    address: SocketAddr,
    pub demands: Demands,
    pub bindings: BTreeMap<String, SocketAddr>,
    /// Nonce counts of accepted credentials, in their order.
    pub nonce_counts: Vec<(String, u32)>,
}

impl Relay {
    pub fn new(address: SocketAddr) -> Self {
        let demands = Demands {
            for_register: true,
            for_invite: false,
            algorithms: vec!["MD5", "SHA-256"],
            nonce: "n1".into(),
            sends_trying: true,
            grants_s: 60,
        };
        Relay { address, demands, bindings: BTreeMap::new(), nonce_counts: Vec::new() }
    }

    /// What it sends for one datagram.
    pub fn handle(&mut self, source: SocketAddr, bytes: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let message = Message::parse(bytes).expect("phones send SIP");
        if !message.is_request() {
            return vec![self.pass_back(&message)];
        }
        let amended = Edit::new(&message).amend_top_via(source.ip(), source.port()).finish();
        let request = Message::parse(&amended).unwrap();
        if request.method() == Some("REGISTER") {
            return vec![(source, self.register(source, &request))];
        }
        self.pass_on(source, &request)
    }

    fn register(&mut self, source: SocketAddr, request: &Message<'_>) -> Vec<u8> {
        if self.demands.for_register && !self.is_proven(request, HeaderName::Authorization) {
            return self.challenge(request, 401, "WWW-Authenticate");
        }
        let user = request.to_uri().unwrap().into_owned();
        let granted = match request.header(HeaderName::Expires).as_deref() {
            Some("0") => 0,
            _ => self.demands.grants_s,
        };
        self.bindings.remove(&user);
        let contact = request.header(HeaderName::Contact).unwrap();
        let contact = format!("{contact};expires={granted}");
        if granted > 0 {
            self.bindings.insert(user, source);
        }
        build::response(request, 200, "", Some("r"), &[("Contact", &contact)], b"")
    }

    fn pass_on(&mut self, source: SocketAddr, request: &Message<'_>) -> Vec<(SocketAddr, Vec<u8>)> {
        // The ACK of a failure of our own is nobody's to forward.
        if request.method() == Some("ACK") && request.to_tag().as_deref() == Some("r") {
            return Vec::new();
        }
        let is_new_call = request.method() == Some("INVITE") && request.to_tag().is_none();
        if is_new_call
            && self.demands.for_invite
            && !self.is_proven(request, HeaderName::ProxyAuthorization)
        {
            return vec![(source, self.challenge(request, 407, "Proxy-Authenticate"))];
        }
        let mut edit = Edit::new(request);
        let branch = request.top_via().branch().unwrap();
        edit.push_via(&format!("SIP/2.0/UDP {};branch={branch}-relay", self.address));
        let uri = request.request_uri().unwrap();
        let destination = if request.header(HeaderName::Route).is_some() {
            edit.pop_route();
            Some(address_of(uri))
        } else {
            self.bindings.get(uri).copied()
        };
        let Some(destination) = destination else {
            return vec![(source, build::response(request, 404, "", Some("r"), &[], b""))];
        };
        let mut sent = Vec::new();
        if is_new_call {
            edit.push_record_route(&format!("<sip:{};lr>", self.address));
            if self.demands.sends_trying {
                sent.push((source, build::response(request, 100, "", None, &[], b"")));
            }
        }
        sent.push((destination, edit.finish()));
        sent
    }

    fn pass_back(&self, response: &Message<'_>) -> (SocketAddr, Vec<u8>) {
        let popped = Edit::new(response).pop_via().finish();
        let via = Message::parse(&popped).unwrap().top_via().clone();
        let port = via.rport().flatten().unwrap();
        let host = via.received().unwrap_or(via.host()).parse().unwrap();
        (SocketAddr::new(host, port), popped.clone())
    }

    fn challenge(&self, request: &Message<'_>, status: u16, header: &str) -> Vec<u8> {
        let challenges = self.demands.algorithms.iter().map(|algorithm| digest::Challenge {
            realm: REALM.into(),
            nonce: self.demands.nonce.clone(),
            algorithm: Some((*algorithm).into()),
            qop: Some("auth".into()),
            opaque: Some("o".into()),
            stale: false,
        });
        let challenges: Vec<String> = challenges.map(|challenge| challenge.to_string()).collect();
        let headers: Vec<_> = challenges.iter().map(|value| (header, value.as_str())).collect();
        build::response(request, status, "", Some("r"), &headers, b"")
    }

    fn is_proven(&mut self, request: &Message<'_>, header: HeaderName) -> bool {
        let Some(value) = request.header(header) else { return false };
        let given = digest::Credentials::parse(&value).unwrap();
        let algorithm = match given.algorithm.as_deref() {
            Some("SHA-256") => Algorithm::Sha256,
            _ => Algorithm::Md5,
        };
        let count = given.nc.unwrap();
        let account = Account::with_password(&given.username, REALM, PASSWORD);
        let is_proven = given.nonce == self.demands.nonce
            && given.opaque.as_deref() == Some("o")
            && Credentials {
                username: given.username,
                realm: given.realm,
                nonce: given.nonce.clone(),
                uri: given.uri,
                response: given.response,
                algorithm,
                qop: Some(QopAuth { nc: format!("{count:08x}"), cnonce: given.cnonce.unwrap() }),
                method: request.method().unwrap().into(),
                nonce_fresh: true,
            }
            .prove(&account);
        if is_proven {
            self.nonce_counts.push((given.nonce, count));
        }
        is_proven
    }
}

fn address_of(uri: &str) -> SocketAddr {
    let uri = name_addr(uri).unwrap().uri;
    uri.rsplit('@').next().unwrap().parse().unwrap()
}
