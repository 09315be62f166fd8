//! A request that this server itself sends within a dialog, in the name of one end to the other:
//! to the receiver it comes from its peer (RFC 3261 §12.2.1.1), and to nobody else.
//!
//! | request          | CSeq number                              | why                         |
//! |------------------|------------------------------------------|-----------------------------|
//! | OPTIONS, a probe | below the last seen of the end in whose  | leaves the peer's next free |
//! |                  | name it is; 0 if there is none           | and is no copy of its last  |
//! | the same again,  | 1, if it was 0 for want of a lower one   | 0 may be taken for a copy   |
//! | after silence    | and such a one was answered before, or   | of that                     |
//! |                  | it had an INVITE of that number          |                             |
//! | OPTIONS within a | the server's next                        | RFC 3261 §12.2.1.1          |
//! | call of its own  |                                          |                             |
//! | BYE              | that, and [`BYE_CSEQ_STEP`]              | above all that was not seen |
//! | BYE that was     | the highest there is, once               | whoever knows the tags can  |
//! | refused          |                                          | tell the receiver any lower |
//! | ACK of a 2xx     | that of the INVITE                       | RFC 3261 §13.2.2.4          |
//!
//! The 1 may be the first number of the other end: its first request is then a copy, or out of
//! order, to a phone that takes equal numbers for that. If it is a BYE, ours follows.
//!
//! The ACK has no transaction: it goes again when the 2xx comes again.
//!
//! Requests that changed nothing were no commit, so a number from the store may be behind, by half
//! of that at most (`leg.rs`).
//!
//! It goes to all ends where they are, where they were first and at the place that they left last;
//! and then, as long as there is room, to where else they were: to one place of each, then to the
//! next, those that they left later first. So whoever has an end move about crowds out no other
//! one, nor, once, that end itself. Who moves it twice, in a call with so many dialogs that there
//! is no room (seven are enough), has it hear nothing where it was between its first place and
//! these. Not here: when it is sent and what its outcome means (`proof_of_life.rs`, `farewell.rs`).

use crate::call::Call;
use crate::dialog::other_end;
use crate::leg::Leg;
use crate::step::Step;
use resilee_membership::Flow;
use resilee_sbb::Timestamp;
use resilee_sip_api::Side;
use resilee_sip_proto::build::{self, MAX_FORWARDS};
use resilee_sip_proto::{
    BranchIdentity, ClientNonInvite, Message, Outputs, TransactionOutput, without_headers,
};
use serde::{Deserialize, Serialize};

/// By so much the CSeq number of a BYE of ours is above the last one seen.
pub(crate) const BYE_CSEQ_STEP: u32 = 100;

/// The highest CSeq number there is (RFC 3261 §8.1.1.5).
const CSEQ_HIGHEST: u32 = i32::MAX.unsigned_abs();

/// With so many questions or BYEs of a call under way, no more of them go to earlier places than
/// [`PLACES_WITH_ROOM`] says: a sender may have named anybody's address.
const OWN_REQUESTS_MAX: usize = 48;

/// So many places of each end have room in any case: where it is, where it was first, and the one
/// that it left last. With two ends in each of 16 dialogs that is 96 requests at most.
const PLACES_WITH_ROOM: usize = 3;

/// How often a request goes to a place where its receiver was before: a sender may have named
/// anybody's address as such a place.
const SENDS_TO_EARLIER_MAX: u32 = 3;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OwnMethod {
    /// OPTIONS: is the dialog alive?
    Probe,
    /// BYE: it is over.
    Bye,
    /// OPTIONS within a call of the server's own, whose numbers nobody else counts.
    OwnProbe,
}

/// The request, until its transaction is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OwnRequest {
    /// The dialog, by its callee's tag.
    pub(crate) dialog_tag: String,
    /// Who gets it.
    pub(crate) receiver: Side,
    pub(crate) method: OwnMethod,
    /// When it was sent.
    #[serde(default)]
    pub(crate) sent_at: Timestamp,
    /// What is known of its outcome.
    pub(crate) outcome: Outcome,
    /// Branch of our Via.
    via_branch: String,
    /// Where its receiver is, or was.
    pub(crate) flow: Flow,
    /// How often it may still be said again, at a place where its receiver was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeats_left: Option<u32>,
    /// A question that was asked before, by a number that may have been that of another one; or a
    /// BYE that was refused before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_again: bool,
    client: ClientNonInvite,
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Nothing final yet.
    Pending,
    /// This final status.
    Answered(u16),
    /// Nothing until timer F.
    Silent,
}

/// Who sends to whom.
pub(crate) struct Direction<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) dialog_tag: &'a str,
    /// In whose name.
    pub(crate) from: &'a Leg,
    pub(crate) to: &'a Leg,
    pub(crate) receiver: Side,
    /// Where the receiver is, or was.
    pub(crate) flow: Flow,
    /// Its remote target there.
    pub(crate) target: Option<&'a str>,
    /// It goes to a place where the receiver was before.
    pub(crate) is_earlier: bool,
    /// It was asked before, by a number that may have been that of another question; or a BYE that
    /// was refused before.
    pub(crate) is_again: bool,
    /// What our branch says besides who gets it.
    pub(crate) mark: &'a str,
    /// Tells its receiver from another one with the same tag.
    pub(crate) index: u32,
}

impl OwnRequest {
    /// Sends it.
    pub(crate) fn send(step: &mut Step<'_>, way: &Direction<'_>, method: OwnMethod) -> Self {
        let via_branch = branch(step, way, method);
        let named = (method.name(), way.cseq(method));
        let request = request(step, way, named, &via_branch);
        let (client, outputs) = ClientNonInvite::start(step.now(), step.timers(), request);
        step.send_all(way.flow, &outputs);
        step.changed();
        OwnRequest {
            dialog_tag: way.dialog_tag.to_owned(),
            receiver: way.receiver,
            method,
            sent_at: step.now(),
            outcome: Outcome::Pending,
            via_branch,
            flow: way.flow,
            repeats_left: way.is_earlier.then_some(SENDS_TO_EARLIER_MAX - 1),
            is_again: way.is_again,
            client,
        }
    }

    /// Whether a response is to this request.
    pub(crate) fn matches(&self, response: &Message<'_>) -> bool {
        let via = response.top_via();
        via.branch() == Some(&self.via_branch) && response.cseq().1 == self.method.name()
    }

    /// Takes a response to it; true if the outcome is known by it.
    pub(crate) fn on_response(&mut self, step: &Step<'_>, response: &Message<'_>) -> bool {
        let status = response.status().unwrap_or_default();
        self.client.on_response(step.now(), step.timers(), response.bytes(), status);
        let is_news = status >= 200 && self.outcome == Outcome::Pending;
        if is_news {
            self.outcome = Outcome::Answered(status);
        }
        is_news
    }

    /// It went to a place where its receiver was before.
    pub(crate) fn is_earlier(&self) -> bool {
        self.repeats_left.is_some()
    }

    /// Its receiver has answered it; a 408 is that of a proxy that has had no answer.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(status) if status != 408)
    }

    /// A BYE that its receiver refused, other than for want of the dialog.
    fn is_refused_bye(&self) -> bool {
        let is_refused = matches!(self.outcome, Outcome::Answered(300..));
        self.method == OwnMethod::Bye && is_refused && !self.says_gone()
    }

    /// Whether its receiver has no such dialog there (RFC 3261 §12.2.1.2).
    pub(crate) fn says_gone(&self) -> bool {
        matches!(self.outcome, Outcome::Silent | Outcome::Answered(408 | 481))
    }

    /// Fires the timers that are due; true if the outcome is known by it.
    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) -> bool {
        let outputs = self.client.on_timeout(step.now(), step.timers());
        self.repeat(step, &outputs);
        let is_news = outputs.contains(&TransactionOutput::Timeout);
        if is_news {
            self.outcome = Outcome::Silent;
        }
        is_news
    }

    /// Goes on at the survivor: what nobody answered is sent again.
    pub(crate) fn resume(&mut self, step: &mut Step<'_>) {
        let outputs = self.client.resume(step.now(), step.timers());
        self.repeat(step, &outputs);
    }

    fn repeat(&mut self, step: &mut Step<'_>, outputs: &Outputs) {
        match &mut self.repeats_left {
            Some(0) => {}
            Some(left) => {
                let sends = outputs.iter().any(|it| matches!(it, TransactionOutput::Send(_)));
                *left -= u32::from(sends);
                step.send_all(self.flow, outputs);
            }
            None => step.send_all(self.flow, outputs),
        }
    }

    /// When [`Self::on_timeout`] is next due.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        self.client.next_timeout()
    }

    /// Over; can be forgotten.
    pub(crate) fn is_terminated(&self) -> bool {
        self.client.is_terminated()
    }
}

impl Call {
    /// Sends it to these ends, each one with its dialog, at the places that are wanted.
    pub(crate) fn send_own(
        &mut self,
        step: &mut Step<'_>,
        ends: &[(usize, Side)],
        method: OwnMethod,
        is_wanted: impl Fn(&Direction<'_>) -> bool,
    ) {
        let under_way =
            self.own_requests.iter().filter(|own| own.method == method && !own.is_terminated());
        let room = OWN_REQUESTS_MAX.saturating_sub(under_way.count());
        let places_of = |end: &(usize, Side)| self.end(end.0, end.1).places();
        let places: Vec<_> = ends.iter().map(places_of).collect();
        let ranks = places.iter().map(Vec::len).max().unwrap_or_default();
        let mut sent = Vec::new();
        for rank in 0..ranks {
            for ((dialog, receiver), places) in ends.iter().zip(&places) {
                let Some((flow, target)) = places.get(rank).copied() else { continue };
                if rank >= PLACES_WITH_ROOM && sent.len() >= room {
                    continue;
                }
                let is_earlier = rank > 0;
                let way = self.way_to((*dialog, *receiver), (flow, target));
                let way = Direction { is_earlier, ..way };
                if is_wanted(&way) {
                    sent.push(OwnRequest::send(step, &way, method));
                }
            }
        }
        self.own_requests.extend(sent);
    }

    /// A question was not answered. It may have the number of one that was: then it is asked once
    /// more, by the next. True if it is.
    pub(crate) fn ask_once_more(
        &mut self,
        step: &mut Step<'_>,
        dialog: usize,
        silent: &OwnRequest,
    ) -> bool {
        let receiver = silent.receiver;
        let to = self.end(dialog, receiver);
        let has_none_below = self.end(dialog, other_end(receiver)).cseq == 0;
        // The caller's number is that of its INVITE, which the callee has had.
        let has_had_one = to.has_answered || receiver == Side::Callee;
        let may_be_a_copy = has_none_below && has_had_one;
        if silent.is_again || silent.is_earlier() || !may_be_a_copy {
            return false;
        }
        let way = self.way_to((dialog, receiver), (to.flow, to.target.as_deref()));
        let way = Direction { is_again: true, ..way };
        let again = OwnRequest::send(step, &way, silent.method);
        self.own_requests.retain(|own| own.via_branch != silent.via_branch);
        self.own_requests.push(again);
        true
    }

    /// Who refuses a BYE of ours may have been told a higher CSeq number behind our back, by the
    /// other end or whoever else knows the tags. There is no higher one than that of the second.
    pub(crate) fn insist_on_bye(&mut self, step: &mut Step<'_>, dialog: usize, own: &OwnRequest) {
        if own.is_again || !own.is_refused_bye() {
            return;
        }
        let to = self.end(dialog, own.receiver);
        let mut places = to.places().into_iter();
        let place = places.find(|(flow, _)| flow.remote == own.flow.remote);
        let place = place.unwrap_or((own.flow, to.target.as_deref()));
        let way = self.way_to((dialog, own.receiver), place);
        let way = Direction { is_earlier: own.is_earlier(), is_again: true, ..way };
        let again = OwnRequest::send(step, &way, own.method);
        self.own_requests.push(again);
    }

    /// To this end of this dialog, at this place.
    pub(crate) fn way_to<'a>(
        &'a self,
        (dialog, receiver): (usize, Side),
        (flow, target): (Flow, Option<&'a str>),
    ) -> Direction<'a> {
        let dialog_tag = self.dialogs[dialog].callee.tag.as_str();
        Direction {
            call_id: &self.call_id,
            dialog_tag,
            from: self.end(dialog, other_end(receiver)),
            to: self.end(dialog, receiver),
            receiver,
            flow,
            target,
            is_earlier: false,
            is_again: false,
            mark: dialog_tag,
            index: 0,
        }
    }
}

impl Direction<'_> {
    /// The number of a request that goes so.
    fn cseq(&self, method: OwnMethod) -> u32 {
        let number = method.cseq(self.from.cseq);
        match method {
            _ if !self.is_again => number,
            OwnMethod::Bye => CSEQ_HIGHEST,
            OwnMethod::Probe | OwnMethod::OwnProbe => number.max(1),
        }
    }
}

impl OwnMethod {
    fn name(self) -> &'static str {
        match self {
            OwnMethod::Probe | OwnMethod::OwnProbe => "OPTIONS",
            OwnMethod::Bye => "BYE",
        }
    }

    fn cseq(self, last_seen: u32) -> u32 {
        match self {
            // The next number must stay free for the other end. The last one is a copy to some
            // phones, which answer nothing; a lower one has to be refused (RFC 3261 §12.2.2).
            OwnMethod::Probe => last_seen.saturating_sub(1),
            OwnMethod::OwnProbe => last_seen,
            OwnMethod::Bye => last_seen.saturating_add(BYE_CSEQ_STEP),
        }
    }
}

/// No other request has it: a second restart asks anew.
fn branch(step: &Step<'_>, way: &Direction<'_>, method: OwnMethod) -> String {
    let (tag, place, now) = (&way.to.tag, way.flow.remote, step.now().as_micros());
    let received = format!("{} to {tag} at {place} {now}", method.name());
    signed(step, way, &received, way.cseq(method))
}

fn signed(step: &Step<'_>, way: &Direction<'_>, received: &str, cseq_number: u32) -> String {
    let identity = BranchIdentity {
        received_branch: received,
        received_sent_by: "",
        call_id: way.call_id,
        cseq_number,
        target: way.index,
        attempt: 0,
    };
    step.element.branches.branch(step.cohort(), &identity, way.mark.as_bytes())
}

/// The ACK of the 2xx that made this dialog, and that answers the INVITE of this CSeq number: the
/// same each time, at a survivor too. The INVITE had the offer, so it has no body; where one within
/// a call had none, nobody knows the answer to that of the 2xx.
pub(crate) fn ack(step: &Step<'_>, way: &Direction<'_>, invite_cseq: u32) -> Vec<u8> {
    let via_branch = signed(step, way, &format!("ACK {}", way.to.tag), invite_cseq);
    request(step, way, ("ACK", invite_cseq), &via_branch)
}

fn request(
    step: &Step<'_>,
    way: &Direction<'_>,
    (name, cseq): (&str, u32),
    via_branch: &str,
) -> Vec<u8> {
    let (from, to) = (way.from, way.to);
    let uri = way.target.map_or_else(|| format!("sip:{}", way.flow.remote), str::to_owned);
    let (uri, routes) = to.route(without_headers(&uri));
    let mut headers = vec![
        ("Via", step.element.via(&way.flow, via_branch)),
        ("Max-Forwards", MAX_FORWARDS.to_string()),
    ];
    headers.extend(routes.into_iter().map(|route| ("Route", route)));
    headers.push(("From", format!("<{}>;tag={}", from.uri, from.tag)));
    headers.push(("To", format!("<{}>;tag={}", to.uri, to.tag)));
    headers.push(("Call-ID", way.call_id.to_owned()));
    headers.push(("CSeq", format!("{cseq} {name}")));
    if let Some(contact) = &from.target {
        headers.push(("Contact", format!("<{}>", without_headers(contact))));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    build::plain_request(name, &uri, &headers)
}
