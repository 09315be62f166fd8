//! One end of a dialog: where it is reached, and which requests count as its own.
//!
//! Requests to an end go to the flow that was learned of it and nowhere else: whatever a sender
//! writes into Request-URI and Route cannot make a detour, so nobody answers for somebody else.
//!
//! | a request with the tags of an end comes from         | what becomes of it                  |
//! |------------------------------------------------------|-------------------------------------|
//! | the network in which the end is reached: its IPv4    | it is the end's; a NAT may give the |
//! | address, the /64 of its IPv6 address                 | end another port at any time, and a |
//! | (`SourceNetwork`)                                    | phone itself another IPv6 address   |
//! |                                                      | (RFC 8981)                          |
//! | that of an address that the end named (Contact,      | it is the end's                     |
//! | Route)                                               |                                     |
//! | one of these where the end was before it moved       | it is the end's: the other end may  |
//! |                                                      | have moved it away, to talk on      |
//! | elsewhere: INVITE, UPDATE                            | the end may have moved: it goes on, |
//! |                                                      | and the other end's 2xx confirms it |
//! | the same, after [`NETWORKS_MAX`] other networks      | 403; if it had them only when the   |
//! |                                                      | 2xx came, it stays where it was     |
//! | elsewhere: anything else                             | 403; an ACK is dropped              |
//!
//! Not here: who has which tags (`in_dialog.rs`). A forged source address is not noticed: that
//! takes TLS.

use crate::element::{DEFAULT_PORT, Element};
use crate::own_request::BYE_CSEQ_STEP;
use crate::party::contact_uri;
use crate::spiral;
use resilee_membership::{Flow, Transport};
use resilee_sip_api::SourceNetwork;
use resilee_sip_proto::{HeaderName, Message, SipUri, name_addr};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Most proxies between us and one end; of more, the nearest are kept.
const ROUTES_MAX: usize = 8;

/// Most other networks in which an end was before; to a further one it does not move, so none of
/// them is forgotten.
const NETWORKS_MAX: usize = 8;

/// Of each network the first places are kept: the end had them before anybody could move it, and
/// before most NATs give it another port, or it gives itself another address.
const FIRST_PLACES: usize = 2;

/// So are the places that it left last: there it may still be if it was moved, also if that was
/// done twice. An end that has had more than [`FIRST_PLACES`] of its own, and is moved more often
/// within its own network, by somebody of the same home, hears no more where it is.
const LAST_PLACES: usize = 2;

/// Most bytes of a remote target that is kept of an earlier place, or after the set-up; a phone has
/// none that is longer.
const TARGET_BYTES_MAX: usize = 512;

/// By so much the CSeq number of an end may be ahead of the one that a survivor would know.
const CSEQ_LAG_MAX: u32 = BYE_CSEQ_STEP / 2;

/// Highest CSeq number of a request: those of RFC 3261 have 31 bits, less room for ours. An end
/// that has taken a higher one would refuse whatever we send it.
const CSEQ_MAX: u32 = i32::MAX.unsigned_abs() - 1000;

/// One end of a dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    /// Its tag.
    pub(crate) tag: String,
    /// Where it is reached: the address it came from, or that its target was sent to.
    pub(crate) flow: Flow,
    /// Its remote target: the URI of its last Contact.
    pub(crate) target: Option<String>,
    /// Proxies between us and it, the nearest first: what their Record-Route said.
    #[serde(default)]
    pub(crate) routes: Vec<String>,
    /// Its URI in From and To.
    #[serde(default)]
    pub(crate) uri: String,
    /// CSeq number of its last request that was seen; 0 before the first.
    #[serde(default)]
    pub(crate) cseq: u32,
    /// The last one of these that the backup is known to have.
    #[serde(skip)]
    held_cseq: u32,
    /// Where it was before, in the order in which it first left them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Place>,
    /// False if its Allow has no OPTIONS, which all must take (RFC 3261 §11): then its silence to
    /// one says nothing, unless it has answered one.
    #[serde(default = "takes_options_by_default")]
    pub(crate) takes_options: bool,
    /// It has answered a question of ours (`own_request.rs`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_answered: bool,
}

/// Where an end was reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    flow: Flow,
    target: Option<String>,
    /// The higher, the later the end left it last; 0 in calls of earlier versions.
    #[serde(default)]
    left: u32,
}

fn takes_options_by_default() -> bool {
    true
}

impl Leg {
    /// The sender of an INVITE.
    pub(crate) fn caller(invite: &Message<'_>, flow: Flow) -> Leg {
        let routes = invite.values(HeaderName::RecordRoute).into_iter();
        let mut caller = Leg {
            tag: invite.from_tag().unwrap_or_default().into_owned(),
            flow,
            target: contact_uri(invite),
            routes: routes.take(ROUTES_MAX).map(String::from).collect(),
            uri: invite.from_uri().unwrap_or_default().into_owned(),
            cseq: 0,
            held_cseq: invite.cseq().0,
            earlier: Vec::new(),
            takes_options: takes_options(invite),
            has_answered: false,
        };
        caller.note_cseq(invite.cseq().0);
        caller
    }

    /// The sender of a response to the INVITE of a call, which may be a spiral; it was reached at
    /// this flow.
    pub(crate) fn callee(
        element: &Element,
        response: &Message<'_>,
        (flow, spiral): (Flow, u32),
    ) -> Leg {
        Leg {
            tag: response.to_tag().unwrap_or_default().into_owned(),
            flow,
            target: contact_uri(response),
            routes: routes_behind_ours(element, response, spiral),
            uri: response.to_uri().unwrap_or_default().into_owned(),
            cseq: 0,
            held_cseq: 0,
            earlier: Vec::new(),
            takes_options: takes_options(response),
            has_answered: false,
        }
    }

    /// Who has answered an INVITE of our own, at this flow (RFC 3261 §12.1.2).
    pub(crate) fn of_own_call(element: &Element, answer: &Message<'_>, flow: Flow) -> Leg {
        let routes = answer.values(HeaderName::RecordRoute).into_iter().rev();
        let routes = routes.take(ROUTES_MAX).map(String::from).collect();
        Leg { routes, ..Leg::callee(element, answer, (flow, 0)) }
    }

    /// This server as an end of a call of its own: its tag, URI and Contact, and the CSeq number
    /// of its INVITE.
    pub(crate) fn server(tag: String, uri: String, target: String, flow: Flow, cseq: u32) -> Leg {
        Leg {
            tag,
            flow,
            target: Some(target),
            routes: Vec::new(),
            uri,
            cseq,
            held_cseq: cseq,
            earlier: Vec::new(),
            takes_options: true,
            has_answered: false,
        }
    }

    /// The 2xx says target and route set anew (RFC 3261 §13.2.2.4).
    pub(crate) fn on_confirmed(&mut self, element: &Element, response: &Message<'_>, spiral: u32) {
        let confirmed = Leg::callee(element, response, (self.flow, spiral));
        self.target = confirmed.target.or(self.target.take());
        self.routes = confirmed.routes;
        self.takes_options = confirmed.takes_options;
    }

    /// Request-URI and Routes of a request to it that is meant for `uri`.
    pub(crate) fn route(&self, uri: &str) -> (String, Vec<String>) {
        routed(&self.routes, uri)
    }

    /// Whether it may move there: no network in which it was is forgotten.
    pub(crate) fn may_move_to(&self, flow: &Flow) -> bool {
        let earlier: BTreeSet<_> = self.earlier.iter().map(|it| network(&it.flow)).collect();
        let there = network(flow);
        earlier.len() < NETWORKS_MAX || network(&self.flow) == there || earlier.contains(&there)
    }

    /// It was accepted there, with this Contact.
    pub(crate) fn move_to(&mut self, flow: Flow, target: Option<&String>) {
        // It may have become one network too many since it was sent on: many can wait at once.
        if !self.may_move_to(&flow) {
            return;
        }
        self.leave_for(flow);
        self.retarget(target.cloned());
    }

    /// It names another remote target; no phone has one that is longer than so.
    pub(crate) fn retarget(&mut self, target: Option<String>) {
        let new = target.filter(|target| target.len() <= TARGET_BYTES_MAX);
        self.target = new.or(self.target.take());
    }

    /// From now on it is reached there; where it was is kept.
    fn leave_for(&mut self, flow: Flow) {
        let left = std::mem::replace(&mut self.flow, flow);
        if flow.remote == left.remote {
            return;
        }
        let last = self.earlier.iter().map(|place| place.left).max().unwrap_or_default();
        let last = last.saturating_add(1);
        let target = self.target.clone().filter(|target| target.len() <= TARGET_BYTES_MAX);
        let place = Place { flow: left, target, left: last };
        if let Some(known) = self.earlier.iter_mut().find(|it| it.flow.remote == left.remote) {
            // It may have come back there with another Contact.
            *known = place;
            return;
        }
        self.earlier.push(place);
        let of_network = network(&left);
        let places = self.earlier.iter().enumerate();
        let places = places.filter(|(_, place)| network(&place.flow) == of_network);
        let later: Vec<_> = places.skip(FIRST_PLACES).collect();
        if later.len() > LAST_PLACES
            && let Some((index, _)) = later.into_iter().min_by_key(|(_, place)| place.left)
        {
            self.earlier.remove(index);
        }
    }

    /// Where it is, where it was first, and where else it was, the place that it left last first;
    /// each with its remote target there.
    pub(crate) fn places(&self) -> Vec<(Flow, Option<&str>)> {
        let mut places: Vec<_> = self.earlier.iter().enumerate().collect();
        // Those of an earlier version have only their order.
        places.sort_by_key(|(index, place)| (*index > 0, Reverse((place.left, *index))));
        let earlier = places.into_iter().map(|(_, it)| (it.flow, it.target.as_deref()));
        let others = earlier.filter(|(flow, _)| flow.remote != self.flow.remote);
        std::iter::once((self.flow, self.target.as_deref())).chain(others).collect()
    }

    /// Whether silence to a question means that it is not there.
    pub(crate) fn answers_questions(&self) -> bool {
        self.takes_options || self.has_answered
    }

    /// Notes the CSeq number of one of its requests; true if a survivor has to know it, since a
    /// BYE of ours must have a higher one.
    pub(crate) fn note_cseq(&mut self, number: u32) -> bool {
        self.cseq = self.cseq.max(number);
        let is_ahead = self.cseq.saturating_sub(self.held_cseq) > CSEQ_LAG_MAX;
        if is_ahead {
            self.held_cseq = self.cseq;
        }
        is_ahead
    }

    /// Over TCP it is reached by the connection that it used last: an earlier one is gone, and
    /// behind a NAT it takes none. True if that is another one: a survivor has to know it.
    pub(crate) fn note_connection(&mut self, flow: Flow) -> bool {
        let is_tcp = flow.transport == Transport::Tcp && self.flow.transport == Transport::Tcp;
        let is_at_home = network(&flow) == network(&self.flow);
        let moves = is_tcp && is_at_home && flow.remote != self.flow.remote;
        if moves {
            self.leave_for(flow);
        }
        moves
    }

    /// Whether it sent from there, or named it, before anybody could move it.
    pub(crate) fn was_first_at(&self, source: IpAddr) -> bool {
        let is_it = |ip: IpAddr| SourceNetwork::of(ip) == SourceNetwork::of(source);
        let first = self.earlier.first();
        let (flow, target) = first.map_or((self.flow, &self.target), |it| (it.flow, &it.target));
        let routes = self.routes.iter().filter_map(|route| Some(name_addr(route)?.uri));
        let mut named = target.as_deref().into_iter().chain(routes).filter_map(ip_of);
        is_it(flow.remote.ip()) || named.any(is_it)
    }

    /// Whether this end is the one that sends from there.
    pub(crate) fn is_at(&self, source: IpAddr) -> bool {
        let source = SourceNetwork::of(source);
        let is_it = |ip: IpAddr| SourceNetwork::of(ip) == source;
        let routes = self.routes.iter().filter_map(|route| Some(name_addr(route)?.uri));
        let earlier = self.earlier.iter().filter_map(|place| place.target.as_deref());
        let targets = self.target.as_deref().into_iter().chain(earlier);
        let mut named = targets.chain(routes).filter_map(ip_of);
        is_it(self.flow.remote.ip())
            || self.earlier.iter().any(|place| is_it(place.flow.remote.ip()))
            || named.any(is_it)
    }
}

/// Whether our own requests in a dialog can have a higher CSeq number than this one.
pub(crate) fn leaves_room(cseq_number: u32) -> bool {
    cseq_number <= CSEQ_MAX
}

/// Request-URI and Routes of a request that is meant for `uri` and goes by these proxies.
pub(crate) fn routed(routes: &[String], uri: &str) -> (String, Vec<String>) {
    let next = routes.first().and_then(|route| name_addr(route));
    match next.filter(|next| SipUri::parse(next.uri).is_some_and(|it| !is_loose(&it))) {
        None => (uri.to_owned(), routes.to_vec()),
        // RFC 3261 §16.6 step 6: a strict router looks for itself in the Request-URI.
        Some(strict) => {
            let last = format!("<{uri}>");
            let routes = routes[1..].iter().cloned().chain([last]).collect();
            (strict.uri.to_owned(), routes)
        }
    }
}

/// The proxies between us and the callee, the nearest first: those above our own Record-Route in
/// its response, the other way round (RFC 3261 §12.1.2).
fn routes_behind_ours(element: &Element, response: &Message<'_>, spiral: u32) -> Vec<String> {
    let routes = response.values(HeaderName::RecordRoute);
    let is_ours = |route: &std::borrow::Cow<'_, str>| {
        element.is_our_route(route, response.call_id()) && spiral::of_route(route) == spiral
    };
    let ours = routes.iter().position(is_ours).unwrap_or_default();
    routes[..ours].iter().rev().take(ROUTES_MAX).map(|route| route.to_string()).collect()
}

/// A router of RFC 3261, not of RFC 2543.
fn is_loose(uri: &SipUri<'_>) -> bool {
    uri.param("lr").is_some()
}

fn takes_options(message: &Message<'_>) -> bool {
    let allowed = message.values_named("Allow");
    allowed.is_empty() || allowed.iter().any(|method| method == "OPTIONS")
}

/// Whether two URIs lead to the same host and port; clients may drop parameters.
pub(crate) fn is_same_place(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (Some(one), Some(other)) = (SipUri::parse(one), SipUri::parse(other)) else {
        return false;
    };
    let port = |uri: SipUri<'_>| uri.port.unwrap_or(DEFAULT_PORT);
    let is_same_user = one.user == other.user;
    is_same_user && one.host.eq_ignore_ascii_case(other.host) && port(one) == port(other)
}

/// Whether two URIs name the same user at the same host.
pub(crate) fn is_same_address(one: &str, other: &str) -> bool {
    let address = |uri| SipUri::parse(uri).map(|uri| uri.address_of_record());
    one == other || address(one).is_some_and(|one| address(other) == Some(one))
}

fn network(flow: &Flow) -> SourceNetwork {
    SourceNetwork::of(flow.remote.ip())
}

/// The IP address in a URI, if it is written as one.
fn ip_of(uri: &str) -> Option<IpAddr> {
    SipUri::parse(uri)?.host.parse().ok()
}
