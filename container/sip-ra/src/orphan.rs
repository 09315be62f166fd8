//! Requests within a call that no living node has (RFC 3261 §16.11): they go on without state.
//!
//! | a request with our signed Route         | what happens                                      |
//! |-----------------------------------------|---------------------------------------------------|
//! | from the address of one end (`ends.rs`) | it goes to the address of the other one           |
//! | a BYE of those                          | the same, and its call must hear of it            |
//! | from elsewhere, without the ends, or    | not passed on: it gets 481                        |
//! | with another From or To than the INVITE,|                                                   |
//! | or with a CSeq number as in `leg.rs`;   |                                                   |
//! | no BYE, and its call is older than any  |                                                   |
//! | is (`ends.rs`)                          |                                                   |
//!
//! | a response                              | what happens                                      |
//! |-----------------------------------------|---------------------------------------------------|
//! | whose branch says that we passed on its | back to where that request came from              |
//! | request, for just the Via below         |                                                   |
//! | any other                               | dropped                                           |
//!
//! The branch is of the run that passes it on, since no view may name the cohort of the call; a
//! repeated request gets the same one, so it stays a retransmission.
//!
//! The signature is of the caller's tag and not of the callee's, which was not known then: who is
//! an end can send a BYE with another one first. So several are kept (`orphans.rs` of the core).
//!
//! When a store that has the call is back, the call ends at the time of the first of them that is
//! of one of its dialogs; if none is, both ends are asked (`proof_of_life.rs`). Whether the other
//! end took it is not known: it gets one of ours (`farewell.rs`).

use crate::asserted_identity::strip_assertions;
use crate::authentication::strip_credentials;
use crate::breadth::breadth_of;
use crate::call::Call;
use crate::client::Client;
use crate::dialog::Bye;
use crate::element::{DEFAULT_PORT, Element};
use crate::ends::Ends;
use crate::incoming::amended;
use crate::leg::leaves_room;
use crate::response::without_our_via;
use crate::step::Step;
use crate::strict_route::{put_right, take_off_ours};
use resilee_core::{Egress, Ingress, PassedOn};
use resilee_membership::{Flow, Transport};
use resilee_sbb::{CohortId, Timestamp, encode};
use resilee_sip_api::EndCause;
use resilee_sip_proto::build::MAX_FORWARDS;
use resilee_sip_proto::{BranchIdentity, Edit, HeaderName, Message, Via, parse_branch};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Tells the branches of what is passed on from all others: no request is tried that often.
const PASSED_ON: u32 = u32::MAX;

/// A BYE that its call has not heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MissedBye {
    from_tag: String,
    to_tag: String,
}

/// A request as it goes on, if it is of one end of a call of ours.
pub(crate) fn pass_on(
    element: &Element,
    cohort: CohortId,
    now: Timestamp,
    ingress: &Ingress,
) -> Option<PassedOn> {
    let received = Message::parse(&ingress.bytes).ok().filter(Message::is_request)?;
    let bytes = amended(&received, &ingress.flow);
    let request = Message::parse(&bytes).ok()?;
    let right = put_right(element, &request);
    let request = right.as_deref().and_then(|it| Message::parse(it).ok()).unwrap_or(request);
    let between = Ends::of_call(element, &request, now)?;
    if !between.is_sent_from(ingress.flow.remote) || !leaves_room(request.cseq().0) {
        return None;
    }
    let method = request.method().unwrap_or_default();
    let tags = (method == "BYE").then(|| {
        let (from_tag, to_tag) = (request.from_tag()?.into_owned(), request.to_tag()?.into_owned());
        Some(encode(&MissedBye { from_tag, to_tag }).expect("plain data can be encoded"))
    });
    // Only ACK and CANCEL come so far without a hop left, and are not answered.
    if request.max_forwards() == Some(0) {
        return Some(PassedOn { egress: Vec::new(), missed: None });
    }
    let branch = branch(element, cohort, &request, request.top_via())?;
    let mut edit = Edit::new(&request);
    take_off_ours(element, &request, &mut edit);
    edit.max_forwards(request.max_forwards().map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1)));
    edit.max_breadth(breadth_of(&request));
    strip_credentials(&element.secret, &request, &mut edit);
    strip_assertions(&request, &mut edit);
    let flow = between.receiver.flow_beside(&ingress.flow);
    edit.push_via(&element.via(&flow, &branch));
    Some(PassedOn { egress: vec![Egress::new(flow, edit.finish())], missed: tags.flatten() })
}

/// The response to a request that was passed on, on its way back.
pub(crate) fn pass_back(
    element: &Element,
    response: &Message<'_>,
    arrived: &Flow,
) -> Option<Egress> {
    let branch = response.top_via().branch().and_then(parse_branch)?;
    let vias = response.values(HeaderName::Via);
    let below = Via::parse(vias.get(1)?.clone())?;
    let reply_to = reply_to(&below)?;
    let mac = element.branches.mac1(&identity(response, &below, &sent_by(&below, reply_to)));
    let is_tcp = below.transport().eq_ignore_ascii_case("TCP");
    let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
    let flow = Client { address: reply_to, transport }.flow_beside(arrived);
    (mac == branch.mac1).then(|| Egress::new(flow, without_our_via(response)))
}

fn branch(
    element: &Element,
    cohort: CohortId,
    request: &Message<'_>,
    via: &Via<'_>,
) -> Option<String> {
    let sent_by = sent_by(via, reply_to(via)?);
    let identity = identity(request, via, &sent_by);
    Some(element.branches.branch(cohort.0, &identity, b"passed on"))
}

/// What the MAC of the branch is about: also where the response goes, which nobody may change.
fn identity<'a>(
    message: &'a Message<'_>,
    via: &'a Via<'_>,
    sent_by: &'a str,
) -> BranchIdentity<'a> {
    BranchIdentity {
        received_branch: via.branch().unwrap_or_default(),
        received_sent_by: sent_by,
        call_id: message.call_id(),
        cseq_number: message.cseq().0,
        target: 0,
        attempt: PASSED_ON,
    }
}

fn sent_by(via: &Via<'_>, reply_to: SocketAddr) -> String {
    format!("{} {reply_to}", via.sent_by())
}

/// Where a response goes by the Via that we amended (RFC 3261 §18.2.2, RFC 3581 §4).
fn reply_to(via: &Via<'_>) -> Option<SocketAddr> {
    let ip = via.received().unwrap_or(via.host()).parse().ok()?;
    let port = via.rport().flatten().or(via.port()).unwrap_or(DEFAULT_PORT);
    Some(SocketAddr::new(ip, port))
}

impl Call {
    /// A BYE came while no living node had the call; false if it is for another one.
    pub(crate) fn on_missed_bye(
        &mut self,
        step: &mut Step<'_>,
        missed: &MissedBye,
        at: Timestamp,
    ) -> bool {
        let Some(way) = self.way_between(&missed.from_tag, &missed.to_tag) else { return false };
        let tag = self.dialogs[way.dialog].callee.tag.clone();
        let bye = Bye { at, by: way.sender, cause: EndCause::Bye };
        step.changed();
        if self.end_dialog(step, &tag, bye) {
            self.say_farewell(step, &tag, (way.sender, false), None);
        }
        true
    }
}
