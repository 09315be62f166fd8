//! Answers without a transaction: to requests that are not worth one. A retransmission gets the
//! same answer again, tag and all (RFC 3261 §8.2.7).

use crate::breadth::breadth_of;
use crate::element::Element;
use crate::incoming::{Incoming, amended, reply_to};
use crate::loops::is_loop;
use crate::room::fault_of_size;
use crate::session_timer::{self, Offer};
use resilee_core::{Egress, Ingress};
use resilee_sip_proto::{
    HeaderName, Malformed, Message, NameAddr, SipUri, build, is_display_name_sound, name_addr, text,
};
use std::borrow::Cow;
use std::net::SocketAddr;

/// Most Contacts in one REGISTER; one with more is refused whole, before anybody looks at it.
const CONTACTS_MAX: usize = 16;

/// Most proxies between a phone and here; a REGISTER with more is refused.
const PATHS_MAX: usize = 8;

/// Option tag of RFC 3327.
const PATH_OPTION: &str = "path";

/// A refusal: status, reason phrase (empty: the usual one), further headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    reason: &'static str,
    header: Option<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16) -> Self {
        Refusal { status, reason: "", header: None }
    }

    /// RFC 3261 §21.5.4.
    pub(crate) fn unavailable(retry_after_s: u32) -> Self {
        let header = Some(("Retry-After", retry_after_s.to_string()));
        Refusal { status: 503, reason: "", header }
    }

    /// RFC 3261 §21.4.1.
    pub(crate) fn bad_request(reason: &'static str) -> Self {
        Refusal { status: 400, reason, header: None }
    }

    /// The refusal as a response to a request whose top Via is amended.
    pub(crate) fn answer(&self, element: &Element, incoming: &Incoming<'_>) -> Egress {
        let header = self.header.as_ref().map(|(name, value)| (*name, value.as_str()));
        let tag = element.local_tag(incoming.message);
        let bytes = build::response(
            incoming.message,
            self.status,
            self.reason,
            Some(&tag),
            header.as_slice(),
            &[],
        );
        Egress::new(incoming.reply_to(), bytes)
    }

    /// The refusal as a response to a request as it came.
    pub(crate) fn answer_ingress(&self, element: &Element, ingress: &Ingress) -> Option<Egress> {
        let received = Message::parse(&ingress.bytes).ok()?;
        let amended = amended(&received, &ingress.flow);
        let message = Message::parse(&amended).ok()?;
        Some(self.answer(element, &Incoming { message: &message, flow: ingress.flow }))
    }
}

/// The answer to a request that is no message.
pub(crate) fn answer_malformed(
    element: &Element,
    ingress: &Ingress,
    malformed: &Malformed<'_>,
) -> Egress {
    let branch = malformed.top_via().branch().unwrap_or_default();
    let tag = element.secret.local_tag(&malformed.call_id(), branch);
    let flow = reply_to(malformed.top_via(), &ingress.flow);
    Egress::new(flow, malformed.response(ingress.flow.remote, &tag))
}

/// What is wrong with a request before anything is known of its call (RFC 3261 §16.3).
///
/// An ACK is never answered, and ACK and CANCEL follow their INVITE, which was checked.
pub(crate) fn fault(
    element: &Element,
    request: &Message<'_>,
    source: SocketAddr,
) -> Option<Refusal> {
    let method = request.method().unwrap_or_default();
    if matches!(method, "ACK" | "CANCEL") {
        return None;
    }
    if let Some(refusal) = fault_of_size(request) {
        return Some(refusal);
    }
    if !request.has_readable_vias() {
        return Some(Refusal::bad_request("Bad Via"));
    }
    // They go on as they came: what others might read otherwise must not.
    let is_sound = |it: Cow<'_, str>| {
        name_addr(&it).is_some_and(|it| has_sound_tag(&it)) && is_display_name_sound(&it)
    };
    let can_read = |name| request.header(name).is_some_and(is_sound);
    if !can_read(HeaderName::From) || !can_read(HeaderName::To) {
        return Some(Refusal::bad_request("Bad From Or To"));
    }
    if method == "INVITE" {
        if request.from_tag().is_none() {
            return Some(Refusal::bad_request("Missing From Tag"));
        }
        // RFC 3261 §8.1.1.8.
        let contacts = request.values(HeaderName::Contact);
        if contacts.len() != 1 || name_addr(&contacts[0]).is_none() {
            return Some(Refusal::bad_request("One Contact Is Needed"));
        }
    }
    // Within a dialog the Request-URI is not followed.
    if request.to_tag().is_none()
        && let Some(refusal) = fault_of_request_uri(request.request_uri().unwrap_or_default())
    {
        return Some(refusal);
    }
    if method == "REGISTER"
        && let Some(refusal) = fault_of_register(element, request, source)
    {
        return Some(refusal);
    }
    if !ends_here(request) && request.max_forwards() == Some(0) {
        return Some(Refusal::new(483));
    }
    if method != "REGISTER" && breadth_of(request) == 0 {
        return Some(Refusal::new(440));
    }
    if is_loop(element, request) {
        return Some(Refusal { status: 482, reason: "Loop Detected", header: None });
    }
    if matches!(method, "INVITE" | "UPDATE") && Offer::is_refused(request) {
        let header = Some(("Min-SE", session_timer::MIN_S.to_string()));
        return Some(Refusal { status: 422, reason: "", header });
    }
    let extensions = request.values(HeaderName::ProxyRequire);
    if !extensions.is_empty() {
        let header = Some(("Unsupported", extensions.join(", ")));
        return Some(Refusal { status: 420, reason: "", header });
    }
    None
}

/// Whether it needs no further hop: a REGISTER, or an OPTIONS to this server itself, which asks the
/// last one on its way (RFC 3261 §16.3 step 3, §11).
fn ends_here(request: &Message<'_>) -> bool {
    let has_no_user = |uri: &str| SipUri::parse(uri).is_some_and(|uri| uri.user.is_none());
    match request.method() {
        Some("REGISTER") => true,
        Some("OPTIONS") => {
            request.to_tag().is_none() && request.request_uri().is_some_and(has_no_user)
        }
        _ => false,
    }
}

/// At most one tag, and a token: of two the other end might take the one that we do not, and one in
/// quotes is for some parsers another one than the same without them. For it we would have no such
/// dialog, or it none of ours.
fn has_sound_tag(value: &NameAddr<'_>) -> bool {
    let params = text::params(value.params);
    let mut tags = params.filter(|(name, _)| name.eq_ignore_ascii_case("tag"));
    tags.next().is_none_or(|(_, tag)| text::is_a_token(tag)) && tags.next().is_none()
}

/// The same of a response: who sent it would know no request of ours by such a tag.
pub(crate) fn has_sound_tags(response: &Message<'_>) -> bool {
    let to = response.header(HeaderName::To);
    to.is_some_and(|to| name_addr(&to).is_some_and(|it| has_sound_tag(&it)))
}

/// What is wrong with a Request-URI that is to be followed. Which schemes besides `sip` mean
/// something, services know.
fn fault_of_request_uri(uri: &str) -> Option<Refusal> {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    let Some(scheme) = scheme.filter(|scheme| scheme.bytes().all(is_of_scheme)) else {
        return Some(Refusal::bad_request("Bad Request-URI"));
    };
    // RFC 3261 §16.3 step 2, §26.2.2: `sips` promises TLS on every hop, which UDP cannot keep.
    if scheme.eq_ignore_ascii_case("sips") {
        return Some(Refusal::new(416));
    }
    match SipUri::parse(uri) {
        _ if !scheme.eq_ignore_ascii_case("sip") => None,
        None => Some(Refusal::bad_request("Bad Request-URI")),
        // RFC 3261 §19.1.1.
        Some(parsed) if !parsed.headers.is_empty() => {
            Some(Refusal::bad_request("Headers In Request-URI"))
        }
        Some(_) => None,
    }
}

/// Whether the sender of a REGISTER says that it knows of Path (RFC 3327 §5.3). The proxy in front
/// of one that does not may add it all the same: it is kept then, and not in the answer.
pub(crate) fn knows_of_path(register: &Message<'_>) -> bool {
    let names = [HeaderName::Supported, HeaderName::Require].map(|it| register.values(it));
    names.into_iter().flatten().any(|it| it.eq_ignore_ascii_case(PATH_OPTION))
}

/// What is wrong with the Path of a REGISTER, or with what it requires.
fn fault_of_path(register: &Message<'_>) -> Option<Refusal> {
    let required = register.values(HeaderName::Require);
    let unknown: Vec<_> = required
        .iter()
        .filter(|it| !it.eq_ignore_ascii_case(PATH_OPTION))
        .map(AsRef::as_ref)
        .collect();
    // RFC 3261 §10.3 step 2.
    if !unknown.is_empty() {
        let header = Some(("Unsupported", unknown.join(", ")));
        return Some(Refusal { status: 420, reason: "", header });
    }
    let path = register.values_named("Path");
    let can_read = |it: &Cow<'_, str>| {
        name_addr(it).and_then(|it| SipUri::parse(it.uri)).is_some_and(|it| it.headers.is_empty())
    };
    if path.len() > PATHS_MAX || !path.iter().all(can_read) {
        return Some(Refusal::bad_request("Bad Path"));
    }
    None
}

/// What is wrong with the addresses of a REGISTER: only what calls can be sent to is bound. That
/// is `sip:` without TLS, and not this server itself, which would call itself in a circle.
fn fault_of_register(
    element: &Element,
    register: &Message<'_>,
    source: SocketAddr,
) -> Option<Refusal> {
    // RFC 3261 §10.2: an address of record is a SIP URI.
    if register.to_uri().is_none_or(|to| SipUri::parse(&to).is_none()) {
        return Some(Refusal::bad_request("To Is No SIP URI"));
    }
    if let Some(refusal) = fault_of_path(register) {
        return Some(refusal);
    }
    let contacts = register.values(HeaderName::Contact);
    if contacts.len() > CONTACTS_MAX {
        return Some(Refusal { status: 403, reason: "Too Many Contacts", header: None });
    }
    if element.is_here(&source.ip().to_canonical().to_string(), Some(source.port())) {
        return Some(Refusal { status: 403, reason: "Source Is This Server", header: None });
    }
    let mut uris = contacts.iter().map(|contact| name_addr(contact).map(|it| it.uri));
    uris.find_map(|uri| match uri {
        // RFC 3261 §25.1. Whether it may stand there is the registrar's to say.
        Some("*") if contacts.iter().any(|contact| contact == "*") => None,
        Some(uri) => match SipUri::parse(uri) {
            Some(sip) if !sip.scheme.eq_ignore_ascii_case("sip") => {
                Some(Refusal::bad_request("Contact Needs TLS"))
            }
            Some(sip) if element.is_here(sip.host, sip.port) => {
                Some(Refusal::bad_request("Contact Is This Server"))
            }
            Some(_) => None,
            None => Some(Refusal::bad_request("Contact Is No SIP URI")),
        },
        None => Some(Refusal::bad_request("Bad Contact")),
    })
}
