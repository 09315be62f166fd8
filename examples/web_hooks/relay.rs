//! A web hook that is passed on: what comes for `/hooks/relay` goes to the URL in its header
//! `x-relay-to`, and whoever sent it gets the answer of that.
//!
//! If the node dies meanwhile, the connection of the sender dies with it. The call does not: the
//! survivor makes it again, with the same `Idempotency-Key`. As nobody waits for the answer any
//! more, it is sent to the same URL with `/late` behind it.

use resilee_http_api::{Call, HttpFailed, HttpRequest, HttpResponse, call, respond};
use resilee_sbb::{
    ActivityEnd, ActivityId, Context, Descriptor, Event, EventPayload, Failure, InitialEvent, Sbb,
};
use serde::{Deserialize, Serialize};

/// Where a request is to be passed on to.
const TO: &str = "x-relay-to";

/// One request that is passed on.
#[derive(Default, Serialize, Deserialize)]
pub struct Relay {
    /// The request, as long as its sender waits.
    request: Option<ActivityId>,
    /// Where it was passed on to; nothing once its answer was passed on, too.
    to: String,
}

impl Sbb for Relay {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "example",
            version: "1.0",
            initial_events: &[HttpRequest::TYPE],
            selects_initial_events: true,
            events: &[HttpResponse::TYPE, HttpFailed::TYPE],
            ..Descriptor::named("relay")
        }
    }

    fn initial_event(_: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        Ok(match event.get::<HttpRequest>()?.is_some_and(|request| request.hook() == "relay") {
            true => InitialEvent::by_activity_context(),
            false => InitialEvent::none(),
        })
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(request) = event.get::<HttpRequest>()? {
            let Some(to) = request.header(TO) else {
                return respond(cx, cx.activity(), 400, format!("{TO} is missing\n"));
            };
            self.request = Some(cx.activity());
            self.to = to.to_owned();
            call(cx, &Call::post_json(&self.to, request.body.clone()))?;
        } else if let Some(response) = event.get::<HttpResponse>()? {
            self.pass_back(cx, response.status, response.body)?;
        } else if let Some(failed) = event.get::<HttpFailed>()? {
            self.pass_back(
                cx,
                502,
                format!("{:?}: {}\n", failed.reason, failed.text).into_bytes(),
            )?;
        } else if event.event_type == ActivityEnd::TYPE && self.request == Some(event.activity) {
            self.request = None;
        }
        Ok(())
    }
}

impl Relay {
    fn pass_back(
        &mut self,
        cx: &mut Context<'_>,
        status: u16,
        body: Vec<u8>,
    ) -> Result<(), Failure> {
        let to = std::mem::take(&mut self.to);
        match self.request {
            Some(request) => respond(cx, request, status, body),
            None if to.is_empty() => Ok(()),
            None => call(cx, &Call::post_json(&format!("{to}/late"), body)).map(drop),
        }
    }
}
