//! The event router: who gets an event next (JAIN SLEE 1.1 §8.4).
//!
//! A turn is one message or timer with all events it causes and all their deliveries; its changes
//! are one commit. Events are routed in the order they were fired. Each event goes, by priority,
//! to every attached entity that receives its type, once, and to every service for which it is
//! initial and which has no entity on that activity context yet. The choice is made anew before
//! each delivery, so an entity that attaches late is not missed.
//!
//! Delivering and carrying out effects is not here (`turns.rs`).

use crate::cell::Cell;
use crate::commit::{Part, Record, RowChange};
use crate::resource_adaptor::Egress;
use resilee_sbb::{ActivityEnd, DeliveryId, Descriptor, Event, EventPayload, TimerFired};
use std::collections::{BTreeSet, VecDeque};

/// Events that one turn may cause; a service that fires more is at fault.
pub(crate) const EVENTS_PER_TURN_MAX: usize = 64;

/// The running turn of a cell.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Events still to route, and to whom.
    pub events: VecDeque<(Event, Audience)>,
    /// The event that is being routed.
    pub current: Option<Routing>,
    /// The delivery that is out.
    pub awaiting: Option<Awaiting>,
    /// Parts that the commit carries.
    pub touched: BTreeSet<Part>,
    /// Messages to send when it is held.
    pub egress: Vec<Egress>,
    /// Rows of shared tables.
    pub rows: Vec<RowChange>,
    /// Records for journals.
    pub records: Vec<Record>,
    /// Activities whose end is still to be delivered.
    pub ended: VecDeque<u32>,
    /// Events routed so far.
    pub routed: usize,
}

/// For whom an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// All entities that are attached and receive it, and services it is initial for.
    All,
    /// This entity only (a timer).
    Entity(u32),
    /// This entity only, which may not have been created yet: its delivery is tried again.
    Retry(u32),
}

/// An event on its way through the entities.
#[derive(Debug)]
pub(crate) struct Routing {
    pub event: Event,
    /// Who gets it.
    pub audience: Audience,
    /// Entities that had it.
    pub delivered: BTreeSet<u32>,
    /// Services that had their initial event selector asked.
    pub selected: BTreeSet<usize>,
    /// True once a delivery of it rolled back.
    pub failed: bool,
}

/// A delivery whose answer is awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaiting {
    pub delivery: DeliveryId,
    pub service: usize,
    pub entity: u32,
    /// True if the entity is being created by this delivery.
    pub created: bool,
}

/// Who is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// An attached entity of a service.
    Entity { service: usize, entity: u32 },
    /// A new root entity of a service.
    Root { service: usize },
}

impl Routing {
    pub fn new(event: Event, audience: Audience) -> Self {
        Routing {
            event,
            audience,
            delivered: BTreeSet::new(),
            selected: BTreeSet::new(),
            failed: false,
        }
    }

    /// Who gets the event next; `services` are sorted by priority, the highest first.
    pub fn next(&self, cell: &Cell, services: &[Descriptor]) -> Option<Recipient> {
        let serves = |(_, descriptor): &(usize, &Descriptor)| {
            !cell.head.quarantined.contains(descriptor.name)
        };
        services.iter().enumerate().filter(serves).find_map(|(service, descriptor)| {
            match self.attached(cell, descriptor.name) {
                Some(entity) => {
                    let receives = self.is_for_all() || descriptor.receives(self.event_type());
                    let unserved = receives && !self.delivered.contains(&entity);
                    unserved.then_some(Recipient::Entity { service, entity })
                }
                None => self.is_initial(service, descriptor).then_some(Recipient::Root { service }),
            }
        })
    }

    /// The service's entity on the event's activity context, or the only one addressed.
    fn attached(&self, cell: &Cell, service: &str) -> Option<u32> {
        let of_service = |number: &u32| {
            cell.entities.get(number).is_some_and(|entity| entity.service == service)
        };
        let number = self.event.activity.number;
        match self.audience {
            Audience::Entity(only) => Some(only).filter(of_service),
            Audience::Retry(only) => {
                let retry = cell.retries.get(&only)?;
                (retry.service == service).then_some(only)
            }
            Audience::All => {
                let attached = cell.activities.get(&number).map(|activity| &activity.attached);
                let attached = attached.into_iter().flatten().copied().find(of_service);
                attached.or_else(|| cell.kept_for(service, number))
            }
        }
    }

    fn event_type(&self) -> &str {
        &self.event.event_type
    }

    /// A timer, the end of an activity and what is tried again go to an entity whatever it
    /// receives.
    fn is_for_all(&self) -> bool {
        matches!(self.audience, Audience::Retry(_))
            || [ActivityEnd::TYPE, TimerFired::TYPE].contains(&self.event_type())
    }

    fn is_initial(&self, service: usize, descriptor: &Descriptor) -> bool {
        let unasked = !self.selected.contains(&service);
        self.audience == Audience::All && unasked && descriptor.is_initial(self.event_type())
    }
}
