//! The INVITE of a call of our own (RFC 3261 §13.2.1), and by what its messages find its cell.
//!
//! No client has begun the call, so its Call-ID is ours to give: it names the cell, signed. In a
//! cell a number is given to one activity only, so no two calls have the same. The balancer leads
//! messages by the cohort, as always: responses by our branch, requests by our Contact.
//!
//! | a message with such a Call-ID                 | whose it is                                  |
//! |-----------------------------------------------|----------------------------------------------|
//! | response whose branch has our mark            | the cell's                                   |
//! | request with To tag, and no Route of ours     | the cell's                                   |
//! | anything else: the INVITE has come back by a  | as of any other call                         |
//! | phone that forwards it (a spiral)             |                                              |

use crate::advertised;
use crate::element::Element;
use crate::leg::routed;
use crate::outgoing::Outgoing;
use crate::step::Step;
use resilee_membership::Flow;
use resilee_sbb::{ActivityId, CellId, CohortId, Failure};
use resilee_sip_api::{PhoneCall, Target};
use resilee_sip_proto::branch::ROUTE_PARAMETER;
use resilee_sip_proto::build::{self, MAX_FORWARDS};
use resilee_sip_proto::{
    BranchIdentity, HeaderName, Message, SipUri, parse_branch, without_headers,
};

/// What begins such a Call-ID.
const PREFIX: &str = "own-";

/// What the branches of such a call are about besides who gets it: those of no other request are.
pub(crate) const MARK: &str = "a call of our own";

/// CSeq number of the INVITE.
pub(crate) const INVITE_CSEQ: u32 = 1;

/// What an INVITE or another request of the phone may be, and what is said of it in Allow.
pub(crate) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS";

/// Most characters of a name that a phone is to show.
const DISPLAY_CHARS_MAX: usize = 64;

/// Most bytes of an offer: far more than a phone has codecs, and the INVITE of the rest fits into a
/// datagram; what does not would never arrive, nor be read again to be cancelled.
const OFFER_BYTES_MAX: usize = 16 * 1024;

/// The Call-ID of the call that is this activity.
pub(crate) fn call_id(element: &Element, activity: ActivityId) -> String {
    let ActivityId { cell: CellId { cohort, number: cell }, number } = activity;
    let named = format!("{:016x}-{cell:x}-{number:x}", cohort.0);
    let mac = mac(element, &named);
    format!("{PREFIX}{named}-{mac:016x}")
}

/// The cell that a Call-ID of ours names.
fn cell_of(element: &Element, call_id: &str) -> Option<CellId> {
    let (named, signed) = call_id.strip_prefix(PREFIX)?.rsplit_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    let mut numbers = named.split('-').map(number);
    let (cohort, cell) = (CohortId(numbers.next()??), numbers.next()??);
    (number(signed)? == mac(element, named)).then_some(CellId { cohort, number: cell })
}

fn mac(element: &Element, named: &str) -> u64 {
    element.secret.hash64("own call", &[named.as_bytes()])
}

/// Our tag.
pub(crate) fn tag(element: &Element, call_id: &str) -> String {
    format!("{:016x}", element.secret.hash64("own call tag", &[call_id.as_bytes()]))
}

/// The cell of a call of our own, if a response is to a request of it.
pub(crate) fn cell_of_response(element: &Element, response: &Message<'_>) -> Option<CellId> {
    let branch = response.top_via().branch().and_then(parse_branch)?;
    let is_marked = branch.mac2 == element.branches.mac2(MARK.as_bytes());
    cell_of(element, response.call_id()).filter(|_| is_marked)
}

/// The cell of a call of our own, if a request is for us within its dialog.
pub(crate) fn cell_of_request(element: &Element, request: &Message<'_>) -> Option<CellId> {
    request.to_tag()?;
    let routes = request.values(HeaderName::Route);
    let call_id = request.call_id();
    let is_ours = routes.first().is_some_and(|route| element.is_our_route(route, call_id));
    cell_of(element, call_id).filter(|_| !is_ours)
}

/// Checks what a service wants.
///
/// # Errors
/// A URI that is none, a name that no header can say, or an offer that is too long.
pub(crate) fn check(wanted: &PhoneCall) -> Result<(), Failure> {
    for (what, uri) in [("from", &wanted.from), ("to", &wanted.to)] {
        let is_character = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
        if SipUri::parse(uri).is_none() || !uri.bytes().all(is_character) {
            return Err(Failure::new(format!("{what}: {uri:?} is no SIP URI")));
        }
    }
    let display = &wanted.display;
    let is_odd = |character: char| character.is_control() || "\"\\".contains(character);
    if display.contains(is_odd) || display.chars().count() > DISPLAY_CHARS_MAX {
        let text = format!(
            "display: {display:?} has more than {DISPLAY_CHARS_MAX} characters, or one of \" \\"
        );
        return Err(Failure::new(text));
    }
    let bytes = wanted.offer.len();
    if bytes > OFFER_BYTES_MAX {
        let text = format!("offer: it has {bytes} bytes, and may have {OFFER_BYTES_MAX}");
        return Err(Failure::new(text));
    }
    Ok(())
}

/// Our Contact for who is there: requests to it come to the owner of the call.
pub(crate) fn contact(step: &Step<'_>, call_id: &str, to: &Flow) -> String {
    let element = step.element;
    let token = element.branches.route_token(step.cohort(), call_id);
    let uri = advertised::contact(&element.advertise, to);
    format!("{uri};{ROUTE_PARAMETER}={token}")
}

/// The INVITE for the target of this index, which is there.
pub(crate) fn invite(
    step: &Step<'_>,
    (call_id, tag): (&str, &str),
    wanted: &PhoneCall,
    (index, target, to): (u32, &Target, &Flow),
) -> Outgoing {
    let via_branch = branch(step, call_id, "INVITE", index);
    let (uri, routes) = routed(&target.routes, without_headers(&target.uri));
    let display = match wanted.display.as_str() {
        "" => String::new(),
        display => format!("\"{display}\" "),
    };
    let mut headers = lines(step, to, &via_branch, routes);
    headers.push(("From", format!("{display}<{}>;tag={tag}", wanted.from)));
    headers.push(("To", format!("<{}>", wanted.to)));
    headers.push(("Call-ID", call_id.to_owned()));
    headers.push(("CSeq", format!("{INVITE_CSEQ} INVITE")));
    headers.push(("Contact", format!("<{}>", contact(step, call_id, to))));
    headers.push(("Allow", ALLOW.to_owned()));
    headers.push(("Content-Type", "application/sdp".to_owned()));
    let bytes =
        build::request_of_lines("INVITE", &uri, &borrowed(&headers), wanted.offer.as_bytes());
    Outgoing { via_branch, bytes }
}

/// The headers that tell the way.
fn lines(
    step: &Step<'_>,
    to: &Flow,
    via_branch: &str,
    routes: Vec<String>,
) -> Vec<(&'static str, String)> {
    let via = step.element.via(to, via_branch);
    let mut headers = vec![("Via", via), ("Max-Forwards", MAX_FORWARDS.to_string())];
    headers.extend(routes.into_iter().map(|route| ("Route", route)));
    headers
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// The branch of a request: the survivor makes the same.
fn branch(step: &Step<'_>, call_id: &str, what: &str, target: u32) -> String {
    let identity = BranchIdentity {
        received_branch: what,
        received_sent_by: "",
        call_id,
        cseq_number: INVITE_CSEQ,
        target,
        attempt: 0,
    };
    step.element.branches.branch(step.cohort(), &identity, MARK.as_bytes())
}
