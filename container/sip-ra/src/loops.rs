//! Loops (RFC 5393 §4.2, RFC 3261 §16.3 step 4): a request that was here before and is the same in
//! all that decides where it goes, would be sent the same way for ever. One that comes back with
//! another Request-URI or other Routes is a spiral, and no loop.

use crate::element::Element;
use crate::outgoing::uri_and_routes;
use resilee_sip_proto::{HeaderName, Message, Via, parse_branch};

/// Whether one of its Vias is ours, and was made for what the request says now.
pub(crate) fn is_loop(element: &Element, request: &Message<'_>) -> bool {
    let vias = request.values(HeaderName::Via).into_iter().filter_map(Via::parse);
    let mut ours = vias.filter(|via| element.is_here(via.host(), via.port())).filter_map(|via| {
        let branch = via.branch().and_then(parse_branch);
        branch.map(|branch| branch.mac2)
    });
    let Some(first) = ours.next() else { return false };
    let now = element.branches.mac2(uri_and_routes(request).as_bytes());
    first == now || ours.any(|before| before == now)
}
