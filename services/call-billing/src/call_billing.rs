//! The call-billing SBB: from the facts of a call to its one bill.
//!
//! | phase     | event                              | does                       | next      |
//! |-----------|------------------------------------|----------------------------|-----------|
//! | New       | sip.invite                         | notes parties, tariff      | SettingUp |
//! | New       | sip.invite, refused by a service   | notes parties              | Refused   |
//! | SettingUp | sip.answered                       | notes time and node        | Talking   |
//! | Refused   | sip.answered                       | the same, and the tariff   | Talking   |
//! | New, SettingUp, Refused | sip.rejected         | detaches; no bill          | Closed    |
//! | Talking   | sip.ended                          | writes the bill; detaches  | Closed    |
//! | Talking   | end of the activity                | raises an alarm            | Closed    |
//! | New, SettingUp, Refused | sip.ended            | fails: a fact is missing   | same      |
//! | New       | sip.answered                       | the same                   | same      |
//! | any       | anything else, or the same again   | nothing                    | same      |
//!
//! A missing fact rolls back rather than being guessed: a bill is written once for ever, and a
//! wrong one would keep out the right one. That a service says that it has refused the call is no
//! fact: what is answered is billed, whatever was said. Nothing here knows SIP transactions, the
//! proxy, other nodes, or how to round a price.

use crate::bill::{BILLS, Bill};
use crate::money::Money;
use crate::rating::whole_seconds;
use crate::tariff::{TARIFF_PROFILES, Tariff};
use resilee_sbb::{
    ActivityEnd, Context, Deployment, Descriptor, Event, EventPayload, Failure, OnRollBack, Sbb,
    Severity, Timestamp, UsageParameter,
};
use resilee_sip_api::{Answered, Ended, Invite, Party, REFUSED, REFUSED_ALIAS, Rejected};
use serde::{Deserialize, Serialize};

/// Bytes kept of a Call-ID or address; what is longer is cut. With it a bill always fits into a
/// record, so nobody escapes one by the length of a header.
pub const TEXT_BYTES_MAX: usize = 1024;

/// State of one call; all of it is replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBilling {
    /// Which facts are known.
    phase: Phase,
    /// Call-ID of the INVITE.
    call_id: String,
    /// Address of record of who called.
    caller: String,
    /// Address of record that was called.
    callee: String,
    /// When the INVITE was received.
    set_up_at: Timestamp,
    /// Chosen at set-up, so that a change of prices leaves running calls alone.
    tariff: Tariff,
    /// The first answer.
    answered: Option<Answered>,
}

/// Which facts of the call are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// None yet.
    #[default]
    New,
    /// The INVITE.
    SettingUp,
    /// The answer too.
    Talking,
    /// Billed, or there is nothing to bill.
    Closed,
    /// The INVITE, and that a service says that it refuses the call.
    Refused,
}

/// Bills written, and how long was talked on each.
const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("bills"), UsageParameter::sample("talk_s")];

impl Sbb for CallBilling {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "resilee",
            version: env!("CARGO_PKG_VERSION"),
            initial_events: &[Invite::TYPE],
            events: &[Answered::TYPE, Rejected::TYPE, Ended::TYPE],
            on_roll_back: OnRollBack::Retry,
            usage: USAGE,
            attribute_aliases: &[REFUSED_ALIAS],
            deployment: Deployment {
                unit: "telephony",
                profile_tables: &[&TARIFF_PROFILES],
                ..Deployment::ALONE
            },
            ..Descriptor::named("call-billing")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(invite) = event.get::<Invite>()? {
            self.on_invite(cx, &invite)
        } else if let Some(answered) = event.get::<Answered>()? {
            self.on_answered(cx, answered)
        } else if event.get::<Rejected>()?.is_some() {
            self.on_rejected(cx);
            Ok(())
        } else if let Some(ended) = event.get::<Ended>()? {
            self.on_ended(cx, ended)
        } else {
            if event.get::<ActivityEnd>()?.is_some() {
                self.on_activity_end(cx);
            }
            Ok(())
        }
    }
}

impl CallBilling {
    /// Call-ID of the INVITE.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Address of record of who called.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// Address of record that was called.
    pub fn callee(&self) -> &str {
        &self.callee
    }

    /// When the INVITE was received.
    pub fn set_up_at(&self) -> Timestamp {
        self.set_up_at
    }

    /// A service has refused the call, and nobody has answered it.
    pub fn is_refused(&self) -> bool {
        self.phase == Phase::Refused
    }

    /// When the call was answered, if it was.
    pub fn answered_at(&self) -> Option<Timestamp> {
        self.answered.as_ref().map(|answered| answered.at)
    }

    /// The node that saw the answer.
    pub fn answered_by(&self) -> Option<&str> {
        self.answered.as_ref().map(|answered| answered.node.as_str())
    }

    /// The tariff of the call.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// What the call would cost if it ended `now`; `None` while nobody talks.
    pub fn running_cost(&self, now: Timestamp) -> Option<Money> {
        match (self.phase, &self.answered) {
            (Phase::Talking, Some(answered)) => Some(self.tariff.price(now.since(answered.at))),
            _ => None,
        }
    }

    fn on_invite(&mut self, cx: &mut Context<'_>, invite: &Invite) -> Result<(), Failure> {
        if self.phase != Phase::New {
            return Ok(());
        }
        let is_refused = cx.attribute::<bool>(REFUSED)? == Some(true);
        self.call_id = bounded(&invite.call_id);
        self.caller = address(&invite.caller);
        self.callee = address(&invite.callee);
        self.set_up_at = invite.set_up_at;
        if is_refused {
            self.phase = Phase::Refused;
            return Ok(());
        }
        self.tariff = Tariff::choose(cx, &invite.callee.user);
        self.phase = Phase::SettingUp;
        Ok(())
    }

    fn on_answered(&mut self, cx: &mut Context<'_>, answered: Answered) -> Result<(), Failure> {
        match self.phase {
            Phase::New => Err(Failure::new("an answer without its INVITE: not noted")),
            Phase::SettingUp | Phase::Refused => {
                if self.phase == Phase::Refused {
                    self.tariff = Tariff::choose(cx, user(&self.callee));
                }
                self.answered = Some(answered);
                self.phase = Phase::Talking;
                Ok(())
            }
            Phase::Talking | Phase::Closed => Ok(()),
        }
    }

    fn on_rejected(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::New | Phase::SettingUp | Phase::Refused) {
            self.close(cx);
        }
    }

    fn on_ended(&mut self, cx: &mut Context<'_>, ended: Ended) -> Result<(), Failure> {
        if self.phase == Phase::Closed {
            return Ok(());
        }
        let Some(answered) = &self.answered else {
            let call = &self.call_id;
            return Err(Failure::new(format!("call {call:?} ended without its answer: no bill")));
        };
        let bill = self.bill(answered, ended);
        cx.record(BILLS, &bill)?;
        cx.count("bills", 1);
        cx.sample("talk_s", bill.seconds);
        self.close(cx);
        Ok(())
    }

    fn on_activity_end(&mut self, cx: &mut Context<'_>) {
        if self.phase == Phase::Talking {
            let text = format!("call {:?} is gone without its end: no bill", self.call_id);
            cx.raise_alarm("no_bill", &self.call_id, Severity::Major, text);
        }
        self.phase = Phase::Closed;
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        self.phase = Phase::Closed;
        cx.detach();
    }

    fn bill(&self, answered: &Answered, ended: Ended) -> Bill {
        // Zero if the clocks of two nodes put the end before the answer.
        let talk = ended.at.since(answered.at);
        Bill {
            call_id: self.call_id.clone(),
            caller: self.caller.clone(),
            callee: self.callee.clone(),
            set_up_at: self.set_up_at,
            answered_at: answered.at,
            ended_at: ended.at,
            seconds: whole_seconds(talk),
            billed_seconds: self.tariff.billed_seconds(talk),
            tariff: self.tariff.clone(),
            total: self.tariff.price(talk),
            answered_by: answered.node.clone(),
            closed_by: ended.node,
            ended_by: ended.by,
            end_cause: ended.cause,
        }
    }
}

/// The address of record, or the URI itself where it has none (`tel:`).
fn address(party: &Party) -> String {
    let aor = &party.address_of_record;
    bounded(if aor.is_empty() { &party.uri } else { aor })
}

/// The user part of such an address, or the number of a `tel:`.
fn user(address: &str) -> &str {
    let behind_scheme = address.split_once(':').map_or(address, |(_, rest)| rest);
    behind_scheme.split(['@', ';']).next().unwrap_or_default()
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
