//! A toy protocol and two toy services.
//!
//! A message is `cell verb [word]`: `begin` starts the activity, `say` fires an event, `tell` does
//! and is answered `told` in the same turn, `ping` is answered `pong` and changes nothing, `end`
//! ends the activity, `ask` is answered in a turn that leaves nothing behind, `alarm` raises one.
//! The cell `table` belongs to the shared tables. The word of `end` and `ping` is the cohort that
//! the message names; both are passed on if nobody has their call, and of an `end` it must hear. A
//! `pretend` is passed on as well, and names another call than its own.
//! The call `brief` is over if it comes from an old store.

use resilee_core::{
    Adaptors, Adoption, Egress, Endpoint, Ingress, Missed, PassedOn, ResourceAdaptor, Route, Scope,
};
use resilee_membership::Flow;
use resilee_sbb::{
    ActivityId, CohortId, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, OnRollBack,
    Sbb, Severity, TimerId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Services of every node.
pub const SERVICES: [LinkedSbb; 2] = [LinkedSbb::of::<Front>(), LinkedSbb::of::<Back>()];

/// Something was said on the activity.
#[derive(Serialize, Deserialize)]
pub struct Said {
    pub word: String,
}

impl EventPayload for Said {
    const TYPE: &'static str = "toy.said";
}

/// Ends a call.
pub const OVER: &str = "end";

/// What ends an activity of the second adaptor: there is none.
pub fn last_message(_: ActivityId) -> Option<Vec<u8>> {
    None
}

/// The adaptors of a node.
pub fn adaptors() -> Adaptors {
    Adaptors::first("toy", Box::new(Toy::default()))
}

/// The protocol.
#[derive(Default)]
pub struct Toy {
    calls: BTreeMap<ActivityId, (String, Flow)>,
}

fn text(ingress: &Ingress) -> (String, String, String) {
    let text = String::from_utf8_lossy(&ingress.bytes).into_owned();
    let mut words = text.split(' ').map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    (next(), next(), next())
}

impl Toy {
    fn say(&self, endpoint: &mut Endpoint, name: &str, flow: Flow, what: &str) {
        endpoint.send(flow, format!("{name} {what}").into_bytes());
    }
}

impl ResourceAdaptor for Toy {
    fn route(&self, _now: Timestamp, ingress: &Ingress) -> Route {
        let (cell, verb, word) = text(ingress);
        let key = cell.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
        let scope = if cell == "table" { Scope::Tables } else { Scope::Call };
        Route::Cell {
            key,
            scope,
            creates: verb == "begin" || verb == "ask",
            cohort: word.parse().ok().map(CohortId),
        }
    }

    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress) {
        let (cell, verb, word) = text(ingress);
        let id = endpoint.cell();
        let known = self.calls.keys().find(|activity| activity.cell == id).copied();
        match (verb.as_str(), known) {
            ("begin", None) => {
                let activity = endpoint.start_activity();
                self.calls.insert(activity, (cell.clone(), ingress.flow));
                endpoint.fire(activity, &Said { word: "begin".to_owned() });
                self.say(endpoint, &cell, ingress.flow, "begun");
            }
            ("ask", None) => {
                let activity = endpoint.start_activity();
                self.calls.insert(activity, (cell.clone(), ingress.flow));
                self.say(endpoint, &cell, ingress.flow, "answer");
                endpoint.end_activity(activity);
            }
            ("say", Some(activity)) => endpoint.fire(activity, &Said { word }),
            ("tell", Some(activity)) => {
                endpoint.fire(activity, &Said { word });
                self.say(endpoint, &cell, ingress.flow, "told");
            }
            ("ping", Some(_)) => self.say(endpoint, &cell, ingress.flow, "pong"),
            ("alarm", Some(_)) => endpoint.raise_alarm(Severity::Warning, &word),
            ("refuse", Some(_)) => endpoint.count_refused("message that the toy refuses"),
            ("end", Some(activity)) => endpoint.end_activity(activity),
            _ => {}
        }
    }

    fn unknown(&mut self, _now: Timestamp, ingress: &Ingress) -> Vec<Egress> {
        let bytes = format!("{} unknown", text(ingress).0).into_bytes();
        vec![Egress::new(ingress.flow, bytes)]
    }

    fn pass_on(&mut self, _now: Timestamp, ingress: &Ingress) -> Option<PassedOn> {
        let (cell, verb, _) = text(ingress);
        let bytes = format!("{cell} {verb} passed on").into_bytes();
        let missed = match verb.as_str() {
            "end" => Some(cell.into_bytes()),
            "pretend" => Some(b"another".to_vec()),
            _ => None,
        };
        Some(PassedOn { egress: vec![Egress::new(ingress.flow, bytes)], missed })
    }

    fn missed(&mut self, endpoint: &mut Endpoint, missed: &[Missed]) {
        let id = endpoint.cell();
        let Some(activity) = self.calls.keys().find(|it| it.cell == id).copied() else { return };
        let (name, flow) = self.calls[&activity].clone();
        let Some(end) = missed.iter().find(|it| it.missed == name.as_bytes()) else {
            return self.say(endpoint, &name, flow, "asked");
        };
        let late_ms = endpoint.now().since(end.at).as_millis();
        self.say(endpoint, &name, flow, &format!("ended {late_ms} ms ago"));
        endpoint.fire(activity, &Said { word: "record".to_owned() });
        endpoint.end_activity(activity);
    }

    fn refuse(&mut self, _: Timestamp, ingress: &Ingress, retry_after_s: u32) -> Vec<Egress> {
        let bytes = format!("{} refused for {retry_after_s} s", text(ingress).0).into_bytes();
        vec![Egress::new(ingress.flow, bytes)]
    }

    fn command(&mut self, _: &mut Endpoint, _: ActivityId, _: &[u8]) -> Result<(), Failure> {
        Err(Failure::new("the toy takes no commands"))
    }

    fn event_processing_failed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        if let Some((name, flow)) = self.calls.get(&activity) {
            self.say(endpoint, name, *flow, "unserved");
        }
    }

    fn timeout(&mut self, _endpoint: &mut Endpoint, _activity: ActivityId) {}

    fn next_timeout(&self, _activity: ActivityId) -> Option<Timestamp> {
        None
    }

    fn marshal(&self, activity: ActivityId) -> Vec<u8> {
        resilee_sbb::encode(&self.calls[&activity]).expect("plain data")
    }

    fn adopt(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        state: &[u8],
        adoption: Adoption,
    ) -> Result<(), Failure> {
        let (name, flow): (String, Flow) = resilee_sbb::decode(state)?;
        let how = match adoption {
            Adoption::Takeover => "adopted",
            Adoption::ColdStart => "adopted after a cold start",
            Adoption::Stranded => "adopted from an old store",
        };
        self.say(endpoint, &name, flow, how);
        if adoption == Adoption::Stranded && name == "brief" {
            endpoint.end_activity(activity);
        }
        self.calls.insert(activity, (name, flow));
        Ok(())
    }

    fn forget(&mut self, activity: ActivityId) {
        self.calls.remove(&activity);
    }
}

/// Counts what it gets, and does what the word says.
#[derive(Default, Serialize, Deserialize)]
pub struct Front {
    pub count: u32,
}

impl Sbb for Front {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "test",
            version: "1",
            priority: 10,
            initial_events: &[Said::TYPE],
            ..Descriptor::named("front")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(said) = event.get::<Said>()? else { return Ok(()) };
        self.count += 1;
        match said.word.as_str() {
            "fail-front" => return Err(Failure::new("as it was told")),
            "record" => cx.record("toys", &self.count)?,
            "row" => cx.put_row("toys", "row", &self.count)?,
            "timer" => cx.set_timer(TimerId(1), Duration::from_secs(5)),
            "stay" => {
                let own = cx.create_null_activity()?;
                cx.attach(cx.entity(), own)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Counts what it gets.
#[derive(Default, Serialize, Deserialize)]
pub struct Back {
    pub count: u32,
}

impl Sbb for Back {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "back",
            priority: -1,
            on_roll_back: OnRollBack::Retry,
            ..Front::descriptor()
        }
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        self.count += u32::from(event.event_type == Said::TYPE);
        Ok(())
    }
}
