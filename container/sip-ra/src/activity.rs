//! The kinds of activities, and their marshalled form.

use crate::call::Call;
use crate::exchange::Exchange;
use crate::incoming::Incoming;
use crate::nonce::{NonceSource, Scope};
use crate::own_call::OwnCall;
use crate::spent_nonce::SpentNonce;
use crate::spiral;
use crate::step::Step;
use resilee_core::Adoption;
use resilee_sbb::{Failure, Timestamp, decode, encode};
use resilee_sip_api::Target;
use resilee_sip_proto::Message;
use serde::{Deserialize, Serialize};

/// Version of the marshalled form. Added fields with a default leave it as it is.
const STATE_VERSION: u32 = 1;

/// What events are about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Activity {
    /// An INVITE with all dialogs it forms.
    Call(Box<Call>),
    /// Another request outside a dialog.
    Exchange(Box<Exchange>),
    /// A call of this server's own.
    OwnCall(Box<OwnCall>),
}

#[derive(Serialize)]
struct Marshalled<'a> {
    version: u32,
    activity: &'a Activity,
}

#[derive(Deserialize)]
struct Unmarshalled {
    version: u32,
    activity: Activity,
}

impl Activity {
    pub(crate) fn marshal(&self) -> Vec<u8> {
        let record = Marshalled { version: STATE_VERSION, activity: self };
        encode(&record).expect("plain data can be encoded")
    }

    /// # Errors
    /// Bytes of another layout.
    pub(crate) fn unmarshal(state: &[u8]) -> Result<Activity, Failure> {
        let record: Unmarshalled = decode(state)?;
        if record.version != STATE_VERSION {
            let version = record.version;
            return Err(Failure::new(format!("state of SIP activity has version {version}")));
        }
        Ok(record.activity)
    }

    /// No service has answered or proxied the request that began it.
    pub(crate) fn is_undecided(&self) -> bool {
        match self {
            Activity::Call(call) => call.is_undecided(),
            Activity::Exchange(exchange) => exchange.is_undecided(),
            Activity::OwnCall(_) => false,
        }
    }

    /// Who began it has not come to an answer yet: long after, nothing of it is worth to be gone on
    /// with. A call of our own is the service's, which hears what becomes of it.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self {
            Activity::Call(call) => call.is_unanswered(),
            Activity::Exchange(_) => true,
            Activity::OwnCall(_) => false,
        }
    }

    /// How many requests of clients it has, with the one that began it.
    pub(crate) fn requests(&self) -> usize {
        match self {
            Activity::Call(call) => 1 + call.reinvites.len() + call.requests.len(),
            Activity::Exchange(_) | Activity::OwnCall(_) => 1,
        }
    }

    /// Bytes of the request that began it, while it waits for targets.
    pub(crate) fn request_bytes(&self) -> usize {
        match self {
            Activity::Call(call) => call.invite.request().len(),
            Activity::Exchange(exchange) => exchange.request_bytes(),
            Activity::OwnCall(_) => 0,
        }
    }

    /// Its Call-ID, for the log.
    pub(crate) fn call_id(&self) -> String {
        match self {
            Activity::Call(call) => call.call_id.clone(),
            Activity::Exchange(exchange) => exchange.call_id(),
            Activity::OwnCall(call) => call.call_id.clone(),
        }
    }

    /// A nonce to challenge the request that began it.
    pub(crate) fn nonce(&self, nonces: &mut NonceSource, step: &Step<'_>) -> String {
        let (secret, now) = (&step.element.secret, step.now());
        match self {
            Activity::Call(call) => {
                let source = call.caller.flow.remote.ip();
                nonces.make(secret, now, Scope::call(&call.call_id, source))
            }
            Activity::Exchange(exchange) => exchange.nonce(nonces, step),
            // There is nobody to be challenged: the command fails.
            Activity::OwnCall(_) => String::new(),
        }
    }

    /// The call that it is, unless that has failed: then its caller may try again.
    pub(crate) fn running_call(&self) -> Option<&Call> {
        match self {
            Activity::Call(call) => Some(&**call).filter(|call| !call.is_rejected()),
            Activity::Exchange(_) | Activity::OwnCall(_) => None,
        }
    }

    /// Whether the INVITE is one that it has sent on, and waits for.
    pub(crate) fn has_spiral(&self, invite: &Message<'_>) -> bool {
        matches!(self, Activity::Call(call) if spiral::is_spiral_of(call, invite))
    }

    /// True if a call of its Call-ID was there while it was.
    pub(crate) fn is_beside_call(&self) -> bool {
        matches!(self, Activity::Exchange(exchange) if exchange.beside_call)
    }

    /// Which spiral or branch it is; 0: none.
    pub(crate) fn spiral(&self) -> u32 {
        match self {
            Activity::Call(call) => call.spiral,
            Activity::Exchange(_) | Activity::OwnCall(_) => 0,
        }
    }

    /// The nonce that began a call, which no other INVITE may use as often.
    pub(crate) fn spent_nonce(&self) -> Option<&SpentNonce> {
        match self {
            Activity::Call(call) => call.spent_nonce.as_ref(),
            Activity::Exchange(_) | Activity::OwnCall(_) => None,
        }
    }

    /// Over: the activity ends.
    pub(crate) fn is_answered_exchange(&self) -> bool {
        matches!(self, Activity::Exchange(exchange) if exchange.is_answered())
    }

    pub(crate) fn is_over(&self) -> bool {
        match self {
            Activity::Call(call) => call.is_over(),
            Activity::Exchange(exchange) => exchange.is_over(),
            Activity::OwnCall(call) => call.is_over(),
        }
    }

    /// A request that belongs to one of its transactions; false if it does not.
    pub(crate) fn on_known_request(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> bool {
        match self {
            Activity::Call(call) => call.on_known_request(step, incoming),
            Activity::Exchange(exchange) => exchange.on_known_request(step, incoming),
            // Each of its requests comes within a dialog, and is answered without a transaction.
            Activity::OwnCall(_) => false,
        }
    }

    /// A new request within one of its dialogs; false if it has no such dialog.
    pub(crate) fn on_in_dialog_request(
        &mut self,
        step: &mut Step<'_>,
        incoming: &Incoming<'_>,
    ) -> bool {
        match self {
            Activity::Call(call) => call.on_in_dialog_request(step, incoming),
            Activity::Exchange(_) => false,
            Activity::OwnCall(call) => call.on_in_dialog_request(step, incoming),
        }
    }

    /// A response to what it sent; false if it is for another activity.
    pub(crate) fn on_response(&mut self, step: &mut Step<'_>, response: &Message<'_>) -> bool {
        match self {
            Activity::Call(call) => call.on_response(step, response),
            Activity::Exchange(exchange) => exchange.on_response(step, response),
            Activity::OwnCall(call) => call.on_response(step, response),
        }
    }

    pub(crate) fn on_timeout(&mut self, step: &mut Step<'_>) {
        match self {
            Activity::Call(call) => call.on_timeout(step),
            Activity::Exchange(exchange) => exchange.on_timeout(step),
            Activity::OwnCall(call) => call.on_timeout(step),
        }
    }

    pub(crate) fn resume(&mut self, step: &mut Step<'_>, adoption: Adoption) {
        match self {
            Activity::Call(call) => call.resume(step, adoption),
            Activity::Exchange(exchange) => exchange.resume(step),
            Activity::OwnCall(call) => call.resume(step, adoption),
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        match self {
            Activity::Call(call) => call.next_timeout(),
            Activity::Exchange(exchange) => exchange.next_timeout(),
            Activity::OwnCall(call) => call.next_timeout(),
        }
    }

    /// # Errors
    /// A command that cannot be carried out in this state.
    pub(crate) fn respond(
        &mut self,
        step: &mut Step<'_>,
        status: u16,
        reason: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), Failure> {
        match self {
            Activity::Call(call) => call.respond(step, status, reason, headers),
            Activity::Exchange(exchange) => exchange.respond(step, status, reason, headers),
            Activity::OwnCall(_) => Err(not_of_own_call()),
        }
    }

    /// # Errors
    /// A command that cannot be carried out in this state.
    pub(crate) fn proxy(&mut self, step: &mut Step<'_>, targets: &[Target]) -> Result<(), Failure> {
        match self {
            Activity::Call(call) => call.proxy(step, targets),
            Activity::Exchange(exchange) => exchange.proxy(step, targets),
            Activity::OwnCall(_) => Err(not_of_own_call()),
        }
    }
}

fn not_of_own_call() -> Failure {
    Failure::new("a call of the server's own has no request that could be answered or sent on")
}
