//! Handlers that do not return: who is told, and that none of them is run a second time.
//!
//! | a delivery that is out                   | what happens                                      |
//! |------------------------------------------|---------------------------------------------------|
//! | has no answer in time                    | its worker is asked whether the handler runs; the |
//! |                                          | turn waits for that, or for the answer            |
//! | was begun late, or may be begun now      | its answer is waited for as long as it may take   |
//! |                                          | from then on                                      |
//! | only waited for its worker, or is done   | rolls back like any other                         |
//! | hangs                                    | rolls back; an alarm names the SBB and the event; |
//! |                                          | its service is quarantined in the cell            |
//! | hangs while it reads states of another   | rolls back; an alarm; the order is taken back     |
//! | service (`migrations.rs`)                | and nothing is quarantined                        |
//!
//! A quarantined service gets nothing of this cell any more: not the rest of the turn, nor what
//! waits in the inbox, nor anything after a takeover. So one entity costs one worker. Its trees in
//! the cell are removed, as they would else hold what nobody ends; what they had been tried again
//! with is lost, with an alarm, and what it has suspended goes on. The other services, and other
//! cells, go on.
//!
//! Each handler that hangs keeps a thread until it returns. While too many of them do
//!
//! | this run is                | what happens                                                   |
//! |----------------------------|----------------------------------------------------------------|
//! | one of several members     | it hands its calls over                                        |
//! | the only member, meanwhile | it serves on: nobody else would                                |
//! | no member any more         | it serves nothing; its process stays, with an alarm, until an  |
//! |                            | operator ends it                                               |
//!
//! How a worker is replaced is not here (the runtime does it).

use crate::alarms::sources;
use crate::commit::{Part, Retry};
use crate::core::{Core, Drain};
use crate::entity_tree::descriptor_of;
use crate::io::{Fate, Output};
use crate::timers::Due;
use resilee_membership::{MemberInput, PlantedFault, RunId};
use resilee_sbb::{CellId, DeliveryId, Outcome, Severity, Timestamp};
use std::time::Duration;

/// A node that serves nothing any more tells the others of its alarms this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Handlers that do not return.
#[derive(Debug, Default)]
pub(crate) struct Hangs {
    /// Threads of the process that they keep now, also those of an earlier run.
    threads: usize,
    /// Text of the alarm that there are too many.
    alarm: Option<String>,
}

impl Hangs {
    /// The alarm that too many hang, while it is raised.
    pub fn alarm(&self) -> Option<&str> {
        self.alarm.as_deref()
    }
}

impl Core {
    /// A delivery has no answer in time.
    pub(crate) fn on_delivery_deadline(&mut self, delivery: DeliveryId) {
        let handler = self.handler_of(delivery);
        let Some(out) = self.deliveries.get_mut(&delivery) else { return };
        out.overdue = Some(handler);
        let may_run = self.delivery_deadline();
        self.outputs.push_back(Output::Abandon { delivery, may_run });
    }

    /// How long a handler may take.
    pub(crate) fn delivery_deadline(&self) -> Duration {
        Duration::from_millis(self.config.limits.delivery_deadline_ms)
    }

    /// What became of an abandoned delivery.
    pub(crate) fn on_abandoned(&mut self, now: Timestamp, delivery: DeliveryId, fate: Fate) {
        let Some(out) = self.deliveries.get_mut(&delivery) else { return };
        if let Fate::Early(left) = fate {
            out.overdue = None;
            return self.timers.set(Due::Delivery(delivery), Some(now + left));
        }
        let (id, service) = (out.cell, out.name);
        let Some(handler) = out.overdue.clone() else { return };
        if let Fate::Hangs(fate) = fate {
            let migrates = self.migration_of(id, delivery);
            let then = match &migrates {
                Some(from) => format!("which goes on with {from}, as all that has not moved does"),
                None => format!("which goes on without {service}"),
            };
            let text = format!("{handler} in call {id}, {then}: {fate}");
            self.raise_alarm(now, Severity::Major, service, &text);
            if let Some(from) = migrates {
                self.stop_migrating(now, &from);
            } else {
                self.quarantine(now, id, delivery, service);
                self.note_failure(now, service);
            }
        }
        let deadline_ms = self.config.limits.delivery_deadline_ms;
        let reason = format!("the handler did not return within {deadline_ms} ms");
        self.end_delivery(now, delivery, Outcome::RolledBack { reason, effects: Vec::new() });
    }

    /// What does not return, in words.
    fn handler_of(&self, delivery: DeliveryId) -> String {
        let cell = self.deliveries.get(&delivery).and_then(|out| self.cells.get(&out.cell));
        let turn = cell.and_then(|cell| cell.turn.as_ref());
        let awaiting = turn.and_then(|turn| turn.awaiting).filter(|it| it.delivery == delivery);
        let (Some(cell), Some(turn), Some(awaiting)) = (cell, turn, awaiting) else {
            // The cell went elsewhere meanwhile.
            return "a handler does not return".to_owned();
        };
        let service = &self.services[awaiting.service];
        let sbb = descriptor_of(cell, service, awaiting.entity).map_or(awaiting.name, |it| it.name);
        if let Some(from) = self.migration_of(cell.id, delivery) {
            return format!("{} does not return from states of {from}", awaiting.name);
        }
        let event = turn.current.as_ref().map_or("", |it| it.event.event_type.as_str());
        match (awaiting.selects, turn.tells_roll_back) {
            (true, _) => format!("the selector of {sbb} does not return from {event}"),
            (_, true) => format!("{sbb} does not return from the roll back of {event}"),
            _ => format!("{sbb} does not return from {event}"),
        }
    }

    /// Threads that hang now.
    pub(crate) fn hanging_threads(&self) -> usize {
        self.hangs.threads
    }

    /// So many threads hang now.
    pub(crate) fn on_hanging(&mut self, now: Timestamp, threads: usize) {
        self.hangs.threads = threads;
        self.note_hangs(now);
    }

    /// Too many handlers may hang, and there may be somebody else to serve the calls, or not any
    /// more.
    pub(crate) fn note_hangs(&mut self, now: Timestamp) {
        if !self.is_member() {
            return;
        }
        let hung = self.hangs.threads;
        let too_many = hung >= self.config.limits.hung_handlers_max;
        let lives = |run: &RunId| !self.member.has_lost(run);
        let has_heir = self.view.others(&self.config.me).any(lives);
        if self.draining == Drain::OfHangs && !has_heir {
            self.draining = Drain::No;
            self.tell_member(MemberInput::Stay);
        }
        match (self.draining, too_many, has_heir) {
            (Drain::No, false, _) => {
                let before = self.hangs.alarm.take();
                before.into_iter().for_each(|text| self.clear_alarm(sources::SLEE, &text));
            }
            (Drain::No, true, true) => {
                self.draining = Drain::OfHangs;
                self.tell_member(MemberInput::Drain);
                let text = format!(
                    "{hung} handlers did not return: this node hands its calls over and serves \
                     none then until it is started again"
                );
                self.tell_of_hangs(now, text);
            }
            (Drain::No, true, false) => {
                let next = match self.config.peers.is_empty() {
                    true => "start this node again at a quiet hour",
                    false => "this one hands its calls over as soon as another node is a member",
                };
                let text =
                    format!("{hung} handlers did not return, and there is no other node: {next}");
                self.tell_of_hangs(now, text);
            }
            (Drain::OfHangs | Drain::HandedOver | Drain::Asked | Drain::Done, ..) => {}
        }
    }

    /// One alarm, of what holds now.
    fn tell_of_hangs(&mut self, now: Timestamp, text: String) {
        if let Some(before) = self.hangs.alarm.take_if(|before| *before != text) {
            self.clear_alarm(sources::SLEE, &before);
        }
        self.raise_condition(now, Severity::Critical, sources::SLEE, &text);
        self.hangs.alarm = Some(text);
    }

    /// Too many handlers hang, or did until a moment ago.
    pub(crate) fn hands_over_of_hangs(&self) -> bool {
        matches!(self.draining, Drain::OfHangs | Drain::HandedOver) || self.hangs.alarm.is_some()
    }

    /// All is handed over since too many handlers hang. An operator should see why, so the process
    /// goes on, as no member.
    pub(crate) fn stay_for_the_operator(&mut self, now: Timestamp) {
        self.draining = Drain::HandedOver;
        let text = format!(
            "{} handlers did not return: this node has handed its calls over and serves none until \
             it is started again",
            self.hangs.threads
        );
        self.tell_of_hangs(now, text);
        self.tell_while_handed_over(now);
        let view = self.member.view().clone();
        self.adopt(now, view);
        // They are its heir's by now, who hears no more of them from here.
        self.alarms.forget_of_services();
    }

    /// The membership has ended, and wakes the core no more.
    pub(crate) fn tell_while_handed_over(&mut self, now: Timestamp) {
        self.timers.set(Due::Told, Some(now + TELL_EVERY));
    }

    /// The service gets nothing of this cell any more, from the turn on that waits for the
    /// delivery; if there is none, the cell is another node's by now.
    fn quarantine(&mut self, now: Timestamp, id: CellId, delivery: DeliveryId, service: &str) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let waits = |turn: &crate::event_router::Turn| {
            turn.awaiting.is_some_and(|awaiting| awaiting.delivery == delivery)
        };
        let Some(turn) = cell.turn.as_mut().filter(|turn| waits(turn)) else { return };
        turn.touched.insert(Part::Head);
        if !self.planted.is(PlantedFault::ForgetHang) {
            cell.head.quarantined.insert(service.to_owned());
        }
        let trees = cell.entities.iter().filter(|(_, entity)| entity.service == service);
        let trees: Vec<_> = trees.map(|(number, _)| *number).collect();
        cell.remove_entities(&trees);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let of_service = |(_, retry): &(&u32, &Retry)| retry.service == service;
        let kept: Vec<_> = cell.retries.iter().filter(of_service).collect();
        let count: usize = kept.iter().map(|(_, retry)| retry.events.len()).sum();
        let first =
            kept.first().and_then(|(_, retry)| Some(retry.events.first()?.event_type.clone()));
        let kept: Vec<_> = kept.into_iter().map(|(number, _)| *number).collect();
        self.forget_retries_of(id, &kept);
        if let Some(first) = first {
            let text = format!(
                "{count} events of call {id} are lost to {service}, which was to get them again; \
                 the first is {first}"
            );
            self.raise_alarm(now, Severity::Major, service, &text);
        }
    }
}
