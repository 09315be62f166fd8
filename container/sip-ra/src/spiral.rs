//! Spirals (RFC 3261 §16.3, RFC 5393): an INVITE that was here, went to a proxy of somebody else's,
//! and came back for another Request-URI. It is a call of its own, in the cell of the first one.
//!
//! Both have one Call-ID and the same tags, so what follows in their dialogs is told apart by our
//! Record-Route: that of a spiral has the number of its activity. Source addresses would not do,
//! since one proxy may stand on both sides.
//!
//! | an INVITE, while another of its Call-ID is under way    | is                               |
//! |---------------------------------------------------------|----------------------------------|
//! | with a Via that we put on it when we sent it on         | a spiral                         |
//! | the same with Request-URI and Routes as they were       | a loop: 482 (`loops.rs`)         |
//! | any other                                               | see `upstream_fork.rs`           |
//!
//! A spiral has no credentials for us any more: they were taken off at the first pass. Services
//! admit it as they do any call, and where accounts are needed it is challenged: whoever is called
//! would otherwise call others in the name of its caller.

use crate::call::Call;
use crate::element::Element;
use resilee_sip_proto::{HeaderName, Message, SipUri, Via, name_addr};

/// The parameter of our Record-Route that says which call of its Call-ID it belongs to.
pub(crate) const PARAMETER: &str = "n";

/// Whether the INVITE is one that this call has sent on and that nobody has finally answered yet.
pub(crate) fn is_spiral_of(call: &Call, invite: &Message<'_>) -> bool {
    let vias = invite.values(HeaderName::Via).into_iter().filter_map(Via::parse);
    let mut branches = vias.skip(1);
    branches.any(|via| via.branch().is_some_and(|branch| call.invite.waits_at(branch)))
}

/// Which call of its Call-ID a request within a dialog is for: 0 if it is no spiral.
pub(crate) fn of_request(element: &Element, request: &Message<'_>) -> u32 {
    let routes = request.values(HeaderName::Route);
    let ours = routes.first().filter(|route| element.is_our_route(route, request.call_id()));
    ours.map_or(0, |route| of_route(route))
}

/// Which call one of our Routes belongs to.
pub(crate) fn of_route(route: &str) -> u32 {
    let uri = name_addr(route).and_then(|route| SipUri::parse(route.uri));
    let number = uri.and_then(|uri| uri.param(PARAMETER));
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}
