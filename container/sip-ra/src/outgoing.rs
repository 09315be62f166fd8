//! A request as it leaves (RFC 3261 §16.6): target, Max-Forwards, Max-Breadth, Record-Route, Via,
//! Routes set right, our credentials and what its sender asserts of itself
//! (`asserted_identity.rs`) taken off. Bodies and unknown headers go on untouched.
//!
//! Not here: where it goes (`leg.rs`), and whether it was here before (`loops.rs`).

use crate::advertised;
use crate::asserted_identity::strip_assertions;
use crate::authentication::strip_credentials;
use crate::breadth::breadth_of;
use crate::client::Client;
use crate::ends::{Dialogs, Ends};
use crate::leg::{Leg, is_same_place, routed};
use crate::session_timer::Offer;
use crate::spiral;
use crate::step::Step;
use crate::strict_route::take_off_ours;
use resilee_membership::Flow;
use resilee_sip_api::Target;
use resilee_sip_proto::branch::ROUTE_PARAMETER;
use resilee_sip_proto::build::MAX_FORWARDS;
use resilee_sip_proto::{BranchIdentity, Edit, HeaderName, Message, without_headers};

/// Where a request outside a dialog goes.
#[derive(Clone, Copy)]
pub(crate) struct Hop<'a> {
    pub(crate) to: &'a Flow,
    /// Where it came from, if it begins a dialog: what follows in it comes by here. With it, which
    /// spiral it is; 0: none.
    pub(crate) recorded: Option<(&'a Flow, u32)>,
    /// How many branches it may become (`breadth.rs`).
    pub(crate) breadth: u32,
    /// From whom it was diverted, as the header says it.
    pub(crate) diversion: Option<&'a str>,
}

/// A request ready to be sent.
pub(crate) struct Outgoing {
    /// The branch of our Via: by it responses are matched.
    pub(crate) via_branch: String,
    /// The request.
    pub(crate) bytes: Vec<u8>,
}

impl Outgoing {
    /// A request outside a dialog, for the target of this index. A service chose the target, so
    /// the client's own Routes end here, and those of the target begin (RFC 3327 §5.3). One that
    /// begins a dialog gets our Record-Route, with its ends.
    pub(crate) fn to_target(
        step: &Step<'_>,
        request: &Message<'_>,
        index: u32,
        target: &Target,
        hop: Hop<'_>,
    ) -> Outgoing {
        let mut edit = Edit::new(request);
        let (uri, routes) = routed(&target.routes, without_headers(&target.uri));
        edit.request_uri(&uri).remove(HeaderName::Route.long());
        for route in routes.iter().rev() {
            edit.push_route(route);
        }
        if let Some((from, spiral)) = hop.recorded {
            for value in record_routes(step, request, (from, hop.to), spiral) {
                edit.push_record_route(&value);
            }
        }
        if let Some(value) = hop.diversion {
            edit.push("Diversion", value);
        }
        finish(step, request, index, edit, (hop.to, hop.breadth))
    }

    /// A request within a dialog that is not a call's: Request-URI and further Routes are obeyed as
    /// far as they are its receiver's to read.
    pub(crate) fn within_other_dialog(
        step: &Step<'_>,
        request: &Message<'_>,
        to: &Flow,
    ) -> Outgoing {
        let mut edit = Edit::new(request);
        take_off_ours(step.element, request, &mut edit);
        finish(step, request, 0, edit, (to, breadth_of(request)))
    }

    /// A request within a dialog, for its other end: Routes that lead to us are taken off, the
    /// recorded ones stay, any other Request-URI or Route becomes what the dialog says.
    pub(crate) fn within_dialog(step: &Step<'_>, request: &Message<'_>, to: &Leg) -> Outgoing {
        let mut edit = Edit::new(request);
        let call_id = request.call_id();
        let mut routes = request.values(HeaderName::Route).into_iter().peekable();
        let mut ours = 0;
        while routes.next_if(|route| step.element.is_our_route(route, call_id)).is_some() {
            ours += 1;
        }
        edit.pop_routes(ours);
        let received = request.request_uri().unwrap_or_default();
        let is_changed = |target: &&String| !is_same_place(target, received);
        let target = to.target.as_ref().filter(is_changed).map_or(received, String::as_str);
        let (uri, recorded) = to.route(without_headers(target));
        if uri != received {
            edit.request_uri(&uri);
        }
        if !routes.map(String::from).eq(recorded.iter().cloned()) {
            edit.remove(HeaderName::Route.long());
            for route in recorded.iter().rev() {
                edit.push_route(route);
            }
        }
        finish(step, request, 0, edit, (&to.flow, breadth_of(request)))
    }
}

fn finish(
    step: &Step<'_>,
    request: &Message<'_>,
    target: u32,
    mut edit: Edit<'_>,
    (to, breadth): (&Flow, u32),
) -> Outgoing {
    let via_branch = branch(step, request, target);
    // RFC 3261 §16.6 step 3. A Max-Forwards of 0 was refused before.
    edit.max_forwards(request.max_forwards().map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1)));
    edit.max_breadth(breadth);
    strip_credentials(&step.element.secret, request, &mut edit);
    strip_assertions(request, &mut edit);
    if let Some(offer) = Offer::of(step.element, request) {
        offer.put(request, &mut edit);
    }
    edit.push_via(&step.element.via(to, &via_branch));
    Outgoing { via_branch, bytes: edit.finish() }
}

/// The branch depends on what was received alone, so the survivor's copy is a retransmission.
fn branch(step: &Step<'_>, request: &Message<'_>, target: u32) -> String {
    let via = request.top_via();
    let identity = BranchIdentity {
        received_branch: via.branch().unwrap_or_default(),
        received_sent_by: via.sent_by(),
        call_id: request.call_id(),
        cseq_number: request.cseq().0,
        target,
        attempt: 0,
    };
    step.element.branches.branch(step.cohort(), &identity, uri_and_routes(request).as_bytes())
}

/// What decides where a request goes.
pub(crate) fn uri_and_routes(request: &Message<'_>) -> String {
    let mut uri_and_routes = request.request_uri().unwrap_or_default().to_owned();
    for route in request.values(HeaderName::Route) {
        uri_and_routes.push('\n');
        uri_and_routes.push_str(&route);
    }
    uri_and_routes
}

/// Our Record-Route values, the lowest first. The cohort in them, signed, leads requests of the
/// dialog to the call's owner; the ends, to the other end if no node has the call any more. Two
/// where the sides differ in transport or IP version, each with what its side can reach (RFC 5658).
fn record_routes(
    step: &Step<'_>,
    request: &Message<'_>,
    (from, to): (&Flow, &Flow),
    spiral: u32,
) -> Vec<String> {
    let (element, call_id) = (step.element, request.call_id());
    let token = element.branches.route_token(step.cohort(), call_id);
    let ends = Ends { caller: Client::of(from), callee: Client::of(to) };
    let ends = ends.token(element, request, step.now());
    let name = Dialogs::of(request).parameter();
    let mut uris = [from, to].map(|client| advertised::uri(&element.advertise, client)).to_vec();
    uris.dedup();
    let value = |uri: String| match spiral {
        0 => format!("<{uri};{ROUTE_PARAMETER}={token};{name}={ends}>"),
        _ => {
            let number = spiral::PARAMETER;
            format!("<{uri};{ROUTE_PARAMETER}={token};{name}={ends};{number}={spiral}>")
        }
    };
    uris.into_iter().map(value).collect()
}
