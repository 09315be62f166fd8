//! One call on virtual time: facts go in, bills and alarms come out. State crosses the codec
//! before each event, as it does in the container.

use resilee_call_billing::{Bill, CallBilling, Money, TARIFFS, Tariff};
use resilee_sbb::{
    ActivityEnd, ActivityId, CellId, CohortId, Deliver, Effect, Event, EventPayload, Outcome, Sbb,
    StateBytes, Tables, Timestamp, decode, encode, invoke,
};
use resilee_sip_api::{Answered, EndCause, Ended, Invite, Party, REFUSED, Rejected, Side};
use std::collections::BTreeMap;

pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

pub fn party(user: &str) -> Party {
    let uri = format!("sip:{user}@example.com");
    Party { uri: uri.clone(), user: user.to_owned(), address_of_record: uri, ..Party::default() }
}

#[derive(Default)]
pub struct Call {
    pub state: Option<StateBytes>,
    pub tables: Tables,
    pub bills: Vec<Bill>,
    pub alarms: Vec<String>,
    /// Names of the usage parameters that it changed.
    pub usage: Vec<String>,
    pub detached: u32,
    attributes: BTreeMap<String, Vec<u8>>,
}

impl Call {
    /// A call under tariffs given as (prefix, price per minute), 60 s increments, 0.05 to connect.
    pub fn with_tariffs(tariffs: &[(&str, &str)]) -> Self {
        let tables = Tables::of(&[CallBilling::descriptor()]);
        let mut call = Call { tables, ..Call::default() };
        for (prefix, per_minute) in tariffs {
            let tariff = Tariff {
                prefix: (*prefix).to_owned(),
                currency: "EUR".to_owned(),
                connect_fee: money("0.05"),
                per_minute: money(per_minute),
                increment_s: 60,
            };
            call.tables.put(TARIFFS, prefix, encode(&tariff).expect("a row"));
        }
        call
    }

    pub fn refused_by_another_service(mut self) -> Self {
        self.attributes.insert(REFUSED.to_owned(), encode(&true).expect("an attribute"));
        self
    }

    pub fn invite(&mut self, callee: &str) {
        self.invite_with("call-1", party(callee));
    }

    pub fn invite_with(&mut self, call_id: &str, callee: Party) {
        let invite = Invite {
            call_id: call_id.to_owned(),
            request_uri: callee.uri.clone(),
            callee,
            caller: party("alice"),
            set_up_at: at(100),
            source: "192.0.2.1:5060".to_owned(),
            credentials: None,
            barred_s: None,
        };
        self.deliver(&invite).expect("set-up never fails");
    }

    pub fn answer(&mut self, seconds: u64, node: &str) {
        let answered = Answered { at: at(seconds), node: node.to_owned() };
        self.deliver(&answered).expect("answered");
    }

    pub fn reject(&mut self, status: u16) {
        self.deliver(&Rejected { status, at: at(101) }).expect("rejected");
    }

    pub fn end(&mut self, seconds: u64, node: &str) {
        self.deliver(&ended(seconds, node, Side::Caller)).expect("ended");
    }

    /// Its activity ends.
    pub fn over(&mut self) {
        self.deliver(&ActivityEnd {}).expect("over");
    }

    /// What the admin UI sees.
    pub fn shown(&self) -> CallBilling {
        decode(&self.state.as_ref().expect("a state").bytes).expect("the layout of the service")
    }

    /// Delivers and commits; `Err` has the reason of a roll back.
    pub fn deliver<E: EventPayload>(&mut self, payload: &E) -> Result<(), String> {
        let cell = CellId { cohort: CohortId(7), number: 1 };
        let activity = ActivityId { cell, number: 0 };
        let event = Event::new(activity, payload).expect("an event");
        let deliver = Deliver::first("call-billing", event)
            .with_attributes(self.attributes.clone())
            .with_state(self.state.clone());
        let outcome = invoke::<CallBilling>(&Deliver {
            tables: self.tables.clone(),
            now: at(1000),
            ..deliver
        });
        match outcome {
            Outcome::Delivered { entities, effects, .. } => {
                self.state = entities.into_iter().next().map(|entity| entity.state);
                effects.into_iter().for_each(|effect| self.on_effect(effect));
                Ok(())
            }
            Outcome::RolledBack { reason, .. } => Err(reason),
            other @ (Outcome::Selected { .. } | Outcome::Starved { .. }) => panic!("{other:?}"),
        }
    }

    fn on_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Record { journal, record } => {
                assert_eq!(journal, "bills");
                self.bills.push(decode(&record).expect("a bill"));
            }
            Effect::RaiseAlarm { text, .. } => self.alarms.push(text),
            Effect::Usage(update) => self.usage.push(update.parameter),
            Effect::Detach { .. } => self.detached += 1,
            other => panic!("billing has no use for {other:?}"),
        }
    }
}

/// A BYE of `by`.
pub fn ended(seconds: u64, node: &str, by: Side) -> Ended {
    Ended { at: at(seconds), by, node: node.to_owned(), cause: EndCause::Bye }
}
