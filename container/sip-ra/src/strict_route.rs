//! Strict routers, of RFC 2543: such a one is named by the Request-URI of what comes to it, and
//! whom a request is really for is last in the Routes.
//!
//! What comes from one to us (RFC 3261 §16.4):
//!
//! | a request     | Request-URI      | Routes                       |
//! |---------------|------------------|------------------------------|
//! | as it came    | our Record-Route | others, target               |
//! | as it is read | target           | our Record-Route, others     |
//!
//! §16.4 would have our own URI left out. Here it is read like any topmost Route of ours, since it
//! says more than where we are: which cohort has the call (`route.rs`), between whom the dialog is
//! (`ends.rs`), and which spiral it belongs to (`spiral.rs`). It is taken off as always.
//!
//! What goes from us to one (§16.6 step 6) is the other way round: `leg.rs` does it where the
//! Routes are known here, [`take_off_ours`] where they are those of the sender.

use crate::element::Element;
use crate::leg::routed;
use resilee_sip_proto::{Edit, HeaderName, Message, name_addr, without_headers};

/// What all our Record-Routes have: it is looked for before anything is computed. Our Contact does
/// not have it.
const LOOSE: &str = ";lr";

/// The request as it is to be read; `None` if it is no strict router's.
pub(crate) fn put_right(element: &Element, request: &Message<'_>) -> Option<Vec<u8>> {
    let uri = request.request_uri().filter(|uri| uri.contains(LOOSE))?;
    let ours = format!("<{uri}>");
    element.signed_cohort(&ours, request.call_id())?;
    let mut routes = request.values(HeaderName::Route);
    let target = routes.pop()?;
    let mut edit = Edit::new(request);
    edit.request_uri(name_addr(&target)?.uri).remove(HeaderName::Route.long());
    for route in routes.iter().rev() {
        edit.push_route(route);
    }
    edit.push_route(&ours);
    Some(edit.finish())
}

/// The request goes on by its own Routes, the topmost of which lead to us.
pub(crate) fn take_off_ours(element: &Element, request: &Message<'_>, edit: &mut Edit<'_>) {
    let routes = request.values(HeaderName::Route);
    let call_id = request.call_id();
    let ours = routes.iter().take_while(|route| element.is_our_route(route, call_id)).count();
    let left: Vec<_> = routes[ours..].iter().map(ToString::to_string).collect();
    // RFC 3261 §19.1.1: it has no headers.
    let (uri, routed) = routed(&left, without_headers(request.request_uri().unwrap_or_default()));
    edit.request_uri(&uri);
    if routed == left {
        edit.pop_routes(ours);
        return;
    }
    edit.remove(HeaderName::Route.long());
    for route in routed.iter().rev() {
        edit.push_route(route);
    }
}
