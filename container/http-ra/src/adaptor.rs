//! The adaptor: which activity a message is for. What happens to it is in `incoming.rs` and
//! `outgoing.rs`.

use crate::incoming::{Incoming, check_answer, own_answer, refusal, respond};
use crate::limits::HttpLimits;
use crate::outgoing::Outgoing;
use crate::wire::{FromShell, Token};
use resilee_core::{Adoption, Egress, Endpoint, Ingress, ResourceAdaptor, Route, Scope};
use resilee_http_api::{Call, FailureReason, HttpCommand, HttpFailed, HttpRequest, HttpResponse};
use resilee_sbb::{ActivityId, EventPayload, Failure, Timestamp, decode, encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the marshalled form. Added fields with a default leave it as it is.
const STATE_VERSION: u32 = 1;

/// What events are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Activity {
    Incoming(Incoming),
    Outgoing(Outgoing),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Marshalled {
    version: u32,
    activity: Activity,
}

/// The HTTP resource adaptor of one run of a node.
#[derive(Debug)]
pub struct HttpRa {
    /// As configured.
    configured: HttpLimits,
    /// With what operators changed of it.
    limits: HttpLimits,
    activities: BTreeMap<ActivityId, Activity>,
}

impl HttpRa {
    /// An adaptor without activities.
    pub fn new(limits: HttpLimits) -> Self {
        HttpRa { configured: limits.clone(), limits, activities: BTreeMap::new() }
    }

    fn count(&self, is_wanted: impl Fn(&Activity) -> bool) -> usize {
        self.activities.values().filter(|activity| is_wanted(activity)).count()
    }

    /// Answers a request that no service has answered, and ends its activity.
    fn answer(&mut self, endpoint: &mut Endpoint, activity: ActivityId, response: HttpResponse) {
        if endpoint.ended().contains(&activity) {
            return;
        }
        if let Some(Activity::Incoming(incoming)) = self.activities.get(&activity) {
            incoming.answer(endpoint, response);
            endpoint.end_activity(activity);
            self.activities.remove(&activity);
        }
    }

    /// Tells the service what became of its call, and ends the activity.
    fn close<E: EventPayload>(&mut self, endpoint: &mut Endpoint, activity: ActivityId, what: &E) {
        if let Some(Activity::Outgoing(_)) = self.activities.get(&activity) {
            endpoint.fire(activity, what);
            endpoint.end_activity(activity);
            self.activities.remove(&activity);
        }
    }

    fn waiting(&self, endpoint: &Endpoint, token: Token) -> Option<ActivityId> {
        let is_it = |activity: &Activity| match activity {
            Activity::Incoming(incoming) => incoming.token == token,
            Activity::Outgoing(_) => false,
        };
        let cell = endpoint.cell();
        let of_cell = ActivityId { cell, number: 0 }..=ActivityId { cell, number: u32::MAX };
        let mut known = self.activities.range(of_cell);
        known.find(|(_, activity)| is_it(activity)).map(|(id, _)| *id)
    }
}

impl ResourceAdaptor for HttpRa {
    fn route(&self, _now: Timestamp, ingress: &Ingress) -> Route {
        let Ok(message) = decode::<FromShell>(&ingress.bytes) else {
            return Route::Drop("HTTP message of a shell that cannot be read");
        };
        match message {
            FromShell::Request { token, request } => {
                if let Some(refused) = refusal(&request, &self.limits) {
                    return Route::Answer(vec![respond(token, refused)]);
                }
                let waiting = self.count(|it| matches!(it, Activity::Incoming(_)));
                if waiting >= self.limits.requests_max {
                    return Route::Answer(vec![respond(token, unavailable(1))]);
                }
                let (key, scope, cohort) = (token.cell_key(), Scope::Call, None);
                Route::Cell { key, scope, creates: true, cohort }
            }
            FromShell::Gone { token } => {
                let (key, scope, cohort) = (token.cell_key(), Scope::Call, None);
                Route::Cell { key, scope, creates: false, cohort }
            }
            FromShell::Answered { activity, .. } | FromShell::Failed { activity, .. } => {
                Route::Known(activity.cell)
            }
        }
    }

    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress) {
        // `route` has read it before.
        let Ok(message) = decode::<FromShell>(&ingress.bytes) else { return };
        match message {
            FromShell::Request { token, request } => {
                if self.waiting(endpoint, token).is_some() {
                    return;
                }
                let activity = endpoint.start_activity();
                let incoming = Incoming::new(endpoint.now(), token, &self.limits);
                self.activities.insert(activity, Activity::Incoming(incoming));
                endpoint.fire(activity, &request);
            }
            FromShell::Gone { token } => {
                if let Some(activity) = self.waiting(endpoint, token) {
                    endpoint.end_activity(activity);
                }
            }
            FromShell::Answered { activity, response } => {
                let large = response.body.len() > self.limits.body_bytes_max
                    || crate::incoming::are_large(&response.headers);
                if large {
                    let text = "the answer is larger than what is taken".to_owned();
                    let failed = HttpFailed { reason: FailureReason::TooLarge, text };
                    return self.close(endpoint, activity, &failed);
                }
                self.close(endpoint, activity, &response);
            }
            FromShell::Failed { activity, reason, text } => {
                self.close(endpoint, activity, &HttpFailed { reason, text });
            }
        }
    }

    fn unknown(&mut self, _now: Timestamp, _ingress: &Ingress) -> Vec<Egress> {
        // An answer that came too late, or a client that went after its answer.
        Vec::new()
    }

    fn refuse(&mut self, _now: Timestamp, ingress: &Ingress, retry_after_s: u32) -> Vec<Egress> {
        match decode(&ingress.bytes) {
            Ok(FromShell::Request { token, .. }) => {
                vec![respond(token, unavailable(retry_after_s))]
            }
            _ => Vec::new(),
        }
    }

    fn start(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let call: Call = decode(payload)?;
        let outgoing = Outgoing::new(endpoint.now(), activity, call, &self.limits)?;
        let under_way = self.count(|it| matches!(it, Activity::Outgoing(_)));
        let refusal = outgoing.refusal(under_way, &self.limits);
        if refusal.is_none() {
            outgoing.send(endpoint, activity);
        }
        self.activities.insert(activity, Activity::Outgoing(outgoing));
        if let Some(failed) = refusal {
            self.close(endpoint, activity, &failed);
        }
        Ok(())
    }

    fn command(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let HttpCommand::Respond { status, headers, body } = decode(payload)?;
        let response = HttpResponse { status, headers, body };
        check_answer(&response, &self.limits)?;
        match self.activities.get(&activity) {
            Some(Activity::Incoming(_)) => self.answer(endpoint, activity, response),
            Some(Activity::Outgoing(_)) => return Err(Failure::new("a call cannot be answered")),
            None => return Err(Failure::new("the request was answered before")),
        }
        Ok(())
    }

    fn asks_about_event(&self, event_type: &str) -> bool {
        event_type == HttpRequest::TYPE
    }

    fn event_processed(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        _event_type: &str,
        received: bool,
    ) {
        if !received {
            self.answer(endpoint, activity, own_answer(404, "no service takes this hook"));
        }
    }

    fn event_processing_failed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        self.answer(endpoint, activity, own_answer(500, "the service failed"));
    }

    fn asks_about_references(&self) -> bool {
        true
    }

    fn activity_unreferenced(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        // A call goes on: nobody needs to wait for its answer.
        self.answer(endpoint, activity, own_answer(500, "no service answered"));
    }

    fn timeout(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        self.answer(endpoint, activity, own_answer(504, "no service answered in time"));
        let text = "no answer came in time".to_owned();
        self.close(endpoint, activity, &HttpFailed { reason: FailureReason::TimedOut, text });
    }

    fn next_timeout(&self, activity: ActivityId) -> Option<Timestamp> {
        Some(match self.activities.get(&activity)? {
            Activity::Incoming(incoming) => incoming.due,
            Activity::Outgoing(outgoing) => outgoing.due,
        })
    }

    fn marshal(&self, activity: ActivityId) -> Vec<u8> {
        let Some(activity) = self.activities.get(&activity).cloned() else { return Vec::new() };
        let marshalled = Marshalled { version: STATE_VERSION, activity };
        encode(&marshalled).expect("plain data can be encoded")
    }

    fn adopt(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        state: &[u8],
        _adoption: Adoption,
    ) -> Result<(), Failure> {
        let Marshalled { version, activity: mut adopted } = decode(state)?;
        if version != STATE_VERSION {
            return Err(Failure::new(format!("state of an HTTP activity has version {version}")));
        }
        match &mut adopted {
            // Its connection was at the other node.
            Activity::Incoming(_) => endpoint.end_activity(activity),
            Activity::Outgoing(outgoing) => outgoing.resume(endpoint, activity),
        }
        self.activities.insert(activity, adopted);
        Ok(())
    }

    fn verify(&self, properties: &BTreeMap<String, String>) -> Result<(), Failure> {
        self.configured.with(properties).map(drop)
    }

    fn configure(&mut self, properties: &BTreeMap<String, String>) -> Result<(), Failure> {
        self.limits = self.configured.with(properties)?;
        Ok(())
    }

    fn query_liveness(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        // A request ends by itself when its client goes; a call is told to the shell again.
        if let Some(Activity::Outgoing(outgoing)) = self.activities.get(&activity) {
            outgoing.send(endpoint, activity);
        }
    }

    fn removed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        if let Some(Activity::Incoming(incoming)) = self.activities.get(&activity) {
            incoming.answer(endpoint, unavailable(10));
        }
    }

    fn forget(&mut self, activity: ActivityId) {
        self.activities.remove(&activity);
    }
}

/// None is taken now.
fn unavailable(retry_after_s: u32) -> HttpResponse {
    let mut answer = own_answer(503, "no request is taken now");
    answer.headers.push(("retry-after".to_owned(), retry_after_s.to_string()));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ToShell;
    use resilee_sbb::{CellId, CohortId};
    use resilee_test_kit::kept_records::assert_read;

    const KEPT: &str = include_str!("first.txt");

    /// What nodes keep of activities, and of messages that are not out yet.
    #[test]
    fn states_and_messages_of_the_first_version_are_read() {
        let token = Token { shell: 7, number: 8 };
        let due = Timestamp::from_millis(1_700_000_000_123);
        let call =
            Call { idempotency_key: "k".to_owned(), ..Call::post_json("http://a.test/", "b") };
        let activity = ActivityId { cell: CellId { cohort: CohortId(1), number: 2 }, number: 3 };
        for (name, activity) in [
            ("state.incoming", Activity::Incoming(Incoming { token, due })),
            ("state.outgoing", Activity::Outgoing(Outgoing { call: call.clone(), due })),
        ] {
            assert_read(KEPT, name, &Marshalled { version: STATE_VERSION, activity });
        }
        let response = HttpResponse { status: 200, ..HttpResponse::default() };
        assert_read(KEPT, "said.respond", &ToShell::Respond { token, response });
        assert_read(KEPT, "said.call", &ToShell::Call { activity, call });
    }
}
