//! A dialog (RFC 3261 §12) and the requests a phone builds in and outside of one.
//!
//! Not here: strict routing (RFC 2543), early dialogs beyond what CANCEL needs.

use super::io::PhoneConfig;
use crate::random::Random;
use resilee_sip_proto::{HeaderName, Message, SipUri, build, name_addr};
use rsip::headers::{self, UntypedHeader};
use rsip::{Header, Headers, Method};
use std::net::{IpAddr, SocketAddr};

/// Methods a phone takes.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS";

/// Port of a SIP URI that names none.
const SIP_PORT: u16 = 5060;

/// The state of a dialog; also the plan for an INVITE that has none yet.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    pub(super) local_uri: String,
    pub(super) local_tag: String,
    pub(super) remote_uri: String,
    /// Empty until the other side has given one.
    pub(super) remote_tag: String,
    /// Request-URI of the next request.
    pub(super) remote_target: String,
    /// Routes, the first hop first.
    pub(super) route_set: Vec<String>,
    /// Number of our last request.
    pub(super) local_cseq: u32,
    /// Number of their last request; 0 before the first.
    pub(super) remote_cseq: u32,
}

impl Dialog {
    /// A dialog to be, with `to`.
    pub(super) fn to(config: &PhoneConfig, random: &mut Random, to: &str) -> Self {
        Dialog {
            call_id: format!("{}@{}", random.token(), config.address.ip()),
            local_uri: address_of_record(config),
            local_tag: random.token(),
            remote_uri: to.to_owned(),
            remote_tag: String::new(),
            remote_target: to.to_owned(),
            route_set: Vec::new(),
            local_cseq: 0,
            remote_cseq: 0,
        }
    }

    /// The dialog that an INVITE forms at the callee (§12.1.1).
    pub(super) fn from_invite(invite: &Message<'_>, local_tag: String) -> Self {
        let text = |uri: Option<std::borrow::Cow<'_, str>>| uri.unwrap_or_default().into_owned();
        Dialog {
            call_id: invite.call_id().to_owned(),
            local_uri: text(invite.to_uri()),
            local_tag,
            remote_uri: text(invite.from_uri()),
            remote_tag: text(invite.from_tag()),
            remote_target: contact_uri(invite).unwrap_or_default(),
            route_set: owned(invite.values(HeaderName::RecordRoute)),
            local_cseq: 0,
            remote_cseq: invite.cseq().0,
        }
    }

    /// The 2xx of our INVITE forms the dialog (§12.1.2).
    pub(super) fn on_answer(&mut self, response: &Message<'_>) {
        self.remote_tag = response.to_tag().unwrap_or_default().into_owned();
        if let Some(target) = contact_uri(response) {
            self.remote_target = target;
        }
        self.route_set = owned(response.values(HeaderName::RecordRoute));
        self.route_set.reverse();
    }

    /// True if a request of the other side belongs to this dialog.
    pub(super) fn is_of(&self, request: &Message<'_>) -> bool {
        self.call_id == request.call_id()
            && request.to_tag().as_deref() == Some(&self.local_tag)
            && request.from_tag().unwrap_or_default() == self.remote_tag
    }

    /// Where the next request goes.
    pub(super) fn next_hop(&self, config: &PhoneConfig) -> SocketAddr {
        if self.remote_tag.is_empty() {
            return config.proxy;
        }
        let route = self.route_set.first().and_then(|route| name_addr(route));
        socket_address(route.map_or(&self.remote_target, |route| route.uri)).unwrap_or(config.proxy)
    }

    /// A new request: its CSeq number is the next one.
    pub(super) fn request(
        &mut self,
        config: &PhoneConfig,
        random: &mut Random,
        method: Method,
        more: Vec<Header>,
        body: &[u8],
    ) -> Vec<u8> {
        self.local_cseq += 1;
        self.build(config, random, method, more, body)
    }

    /// The ACK of a 2xx: has the CSeq number of the INVITE, the last request so far.
    pub(super) fn ack(&self, config: &PhoneConfig, random: &mut Random) -> Vec<u8> {
        self.build(config, random, Method::Ack, Vec::new(), b"")
    }

    fn build(
        &self,
        config: &PhoneConfig,
        random: &mut Random,
        method: Method,
        more: Vec<Header>,
        body: &[u8],
    ) -> Vec<u8> {
        let with_tag = |uri: &str, tag: &str| match tag {
            "" => format!("<{uri}>"),
            tag => format!("<{uri}>;tag={tag}"),
        };
        let branch = random.token();
        let transport = if config.timers.reliable { "TCP" } else { "UDP" };
        let via = format!("SIP/2.0/{transport} {};branch=z9hG4bK{branch};rport", config.address);
        let mut headers = Headers::default();
        headers.push(headers::Via::new(via).into());
        headers.push(headers::MaxForwards::from(build::MAX_FORWARDS).into());
        for route in &self.route_set {
            headers.push(headers::Route::new(route.as_str()).into());
        }
        headers.push(headers::From::new(with_tag(&self.local_uri, &self.local_tag)).into());
        headers.push(headers::To::new(with_tag(&self.remote_uri, &self.remote_tag)).into());
        headers.push(headers::CallId::new(self.call_id.as_str()).into());
        headers.push(headers::CSeq::new(format!("{} {method}", self.local_cseq)).into());
        headers.extend(more);
        build::request(method, &self.remote_target, &headers, body)
    }
}

/// `sip:user@domain`.
pub(super) fn address_of_record(config: &PhoneConfig) -> String {
    format!("sip:{}@{}", config.user, config.domain)
}

/// The URI at which this phone is reached.
pub(super) fn contact(config: &PhoneConfig) -> String {
    let transport = if config.timers.reliable { ";transport=tcp" } else { "" };
    format!("sip:{}@{}{transport}", config.user, config.address)
}

/// URI of the first Contact.
fn contact_uri(message: &Message<'_>) -> Option<String> {
    let contacts = message.values(HeaderName::Contact);
    Some(name_addr(contacts.first()?)?.uri.to_owned())
}

/// The address in a URI, if it is one that needs no name service.
pub(super) fn socket_address(uri: &str) -> Option<SocketAddr> {
    let uri = SipUri::parse(uri)?;
    let host: IpAddr = uri.host.parse().ok()?;
    Some(SocketAddr::new(host, uri.port.unwrap_or(SIP_PORT)))
}

/// Where the response to a request goes (§18.2.2, RFC 3581 §4).
pub(super) fn response_address(request: &Message<'_>, source: SocketAddr) -> SocketAddr {
    match request.top_via().rport() {
        Some(_) => source,
        None => SocketAddr::new(source.ip(), request.top_via().port().unwrap_or(SIP_PORT)),
    }
}

fn owned(values: Vec<std::borrow::Cow<'_, str>>) -> Vec<String> {
    values.into_iter().map(|value| value.into_owned()).collect()
}
