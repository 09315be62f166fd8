//! Forks of a proxy in front of us: it sends one INVITE on to several Request-URIs (RFC 3261
//! §16.6), and more than one of them leads here. Each of its branches is a call of its own in the
//! cell of the first one, and its Record-Route has a number as that of a spiral has (`spiral.rs`).
//!
//! | an INVITE, while another of its Call-ID is under way     | is                              |
//! |----------------------------------------------------------|---------------------------------|
//! | nobody has answered that, From, its tag and the CSeq     | one more branch                 |
//! | number and the network that it came from are the same,   |                                 |
//! | the Request-URI is another one, and no Via of it is ours |                                 |
//! | the same, and its Request-URI is one that was here       | merged: 482, as the phone would |
//! |                                                          | say itself (§8.2.2.2)           |
//! | another From, tag, CSeq number or network; or that is    | 482: a Call-ID is one call's    |
//! | answered                                                 |                                 |
//!
//! | a branch      | the other ones                                                             |
//! |---------------|----------------------------------------------------------------------------|
//! | is answered   | fail with 487, their phones are cancelled: the proxy, which has the 2xx,   |
//! |               | cancels them anyway (§16.7 step 10)                                        |
//! | fails         | ring on                                                                    |
//!
//! They fail here and at once since a cell has one bill: a phone that answers all the same is ended
//! (`late_answer.rs`), and the bill is that of the branch that was answered.
//!
//! Where calls need an account this serves little: the caller's credentials name what it has
//! dialled (RFC 7616 §3.4), so a branch to another Request-URI gets 400, and no challenge would
//! help, since the caller would name the same again. If they name this server's address, they are
//! for one branch: in another they are no fresh ones.

use crate::activity::Activity;
use crate::adaptor::{SipRa, end_if_over, of_cell};
use crate::call::Call;
use crate::element::Element;
use crate::incoming::Incoming;
use crate::refusal::Refusal;
use crate::step::Step;
use resilee_core::Endpoint;
use resilee_sbb::CellId;
use resilee_sip_proto::{HeaderName, Message, Via};

/// What an INVITE outside a dialog is to the calls of its Call-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// There is none that is not over.
    First,
    /// It was here, and came back.
    Spiral,
    /// One more branch of a proxy in front of us.
    Fork,
}

impl SipRa {
    /// # Errors
    /// 482: nothing of that, or the call was here that it would be.
    pub(crate) fn kinship(
        &self,
        cell: CellId,
        incoming: &Incoming<'_>,
    ) -> Result<Kinship, Refusal> {
        let of_cell = || self.activities.range(of_cell(cell)).map(|(_, activity)| activity);
        let mut running = of_cell().filter_map(Activity::running_call).peekable();
        if running.peek().is_none() {
            // The same of a call that is over and forgotten.
            return if self.had_call(cell) { Err(Refusal::new(482)) } else { Ok(Kinship::First) };
        }
        if of_cell().any(|activity| activity.has_spiral(incoming.message)) {
            return Ok(Kinship::Spiral);
        }
        let mut came_first = running.filter(|call| !call.is_spiral()).peekable();
        let is_fork = came_first.peek().is_some()
            && came_first.all(|call| is_fork_of(&self.element, call, incoming));
        if is_fork { Ok(Kinship::Fork) } else { Err(Refusal::new(482)) }
    }

    /// One of them may have been answered: the others fail.
    pub(crate) fn end_other_forks(&mut self, endpoint: &mut Endpoint) {
        let of_cell = || of_cell(endpoint.cell());
        let is_answered = |activity: &Activity| {
            activity.running_call().is_some_and(|it| !it.is_spiral() && !it.is_unanswered())
        };
        if !self.activities.range(of_cell()).any(|(_, activity)| is_answered(activity)) {
            return;
        }
        for (id, activity) in self.activities.range_mut(of_cell()) {
            if let Activity::Call(call) = activity
                && !call.is_spiral()
                && call.invite.is_pending()
            {
                call.give_way(&mut Step { endpoint, element: &self.element, activity: *id });
                end_if_over(endpoint, *id, activity);
            }
        }
    }
}

impl Call {
    /// Its INVITE was here before, in another call of its Call-ID.
    pub(crate) fn is_spiral(&self) -> bool {
        self.spiral != 0 && !self.is_fork
    }

    /// Another branch was answered.
    fn give_way(&mut self, step: &mut Step<'_>) {
        let news = self.invite.give_way(step);
        self.on_invite_news(step, news, None);
    }
}

fn is_fork_of(element: &Element, call: &Call, incoming: &Incoming<'_>) -> bool {
    let invite = incoming.message;
    // There is none any more of an INVITE that was answered.
    let Ok(other) = Message::parse(call.invite.request()) else { return false };
    let mut vias = invite.values(HeaderName::Via).into_iter().filter_map(Via::parse);
    other.from_tag() == invite.from_tag()
        && other.from_uri() == invite.from_uri()
        && other.cseq().0 == invite.cseq().0
        && other.request_uri() != invite.request_uri()
        && incoming.is_from_network_of(&call.caller.flow)
        && !vias.any(|via| element.is_here(via.host(), via.port()))
}
