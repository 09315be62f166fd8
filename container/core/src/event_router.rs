//! The event router: who gets an event next.
//!
//! A turn is one message or timer with all events it causes and all their deliveries; its changes
//! are one commit. Events are routed in the order they were fired. The steps, for one event:
//!
//! 1. *Candidates* are the entities attached to its activity context that receive its type, do not
//!    mask it and have not had it; and the services for which it is initial and which were not
//!    considered for it yet.
//!    A service that is not active starts no root entity (`life_cycles.rs`). An event begins no
//!    root entity in the place of one that had it and is gone by now.
//! 2. *The next one* is the candidate of the highest precedence (below).
//! 3. A service whose descriptor says so is asked by its *initial event selector* which root entity
//!    it is, or that the event is not initial after all. Without a selector the convergence name is
//!    the activity context: a service that has an entity there gets no second root.
//! 4. A *root entity* that does not exist is created by its first delivery; one that exists is
//!    attached.
//! 5. The event is *delivered*; then again from 1, so an entity that attaches late is not missed.
//! 6. When nobody is left, the activity's adaptor is told if a delivery failed, or those who would
//!    have begun with it take nothing now and nobody else had it; or else if it wants to know
//!    (`callbacks.rs`). A suspended event ends here for now (`suspension.rs`).
//! 7. The *end of an activity* is the last event on it; then all entities are detached, and a tree
//!    that is attached to nothing is reclaimed (`entity_tree.rs`).
//!
//! Precedence: a parent is before its children; siblings and roots go by priority, the highest
//! first, then by age; two others go by their ancestors that are siblings. Roots of one priority go
//! by the names of their services.
//!
//! Delivering is in `turns.rs`, what handlers ask for in `effects.rs`.

use crate::cell::Cell;
use crate::commit::{Entity, Part, Record, RowChange};
use crate::deployed::place_of;
use crate::entity_tree::{Precedence, descriptor_of, precedence, root_precedence};
use crate::life_cycles::Entrance;
use crate::migrated_trees::Migration;
use crate::pending_rows::{Behind, Rows};
use crate::resource_adaptor::Egress;
use crate::ties::RootName;
use crate::words::Word;
use resilee_membership::{Planted, PlantedFault};
use resilee_sbb::{
    ActivityEnd, DeliveryId, Descriptor, Event, EventPayload, TimerFired, UsageUpdate,
};
use std::collections::{BTreeSet, VecDeque};

/// The running turn of a cell.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Events still to route, and to whom.
    pub events: VecDeque<(Event, Audience)>,
    /// The event that is being routed.
    pub current: Option<Routing>,
    /// The delivery that is out.
    pub awaiting: Option<Awaiting>,
    /// Rows of shared tables that nobody else writes before the turn has ended.
    pub reserved: Rows,
    /// A delivery that waits for the end of another cell's turn.
    pub behind: Option<Box<Behind>>,
    /// A roll back that its entity is to hear of next.
    pub rolled_back: Option<RolledBack>,
    /// The delivery that is out tells an entity of a roll back.
    pub tells_roll_back: bool,
    /// Convergence name of the root entity that the delivery which is out creates.
    pub new_root_name: Option<String>,
    /// Parts that the commit carries.
    pub touched: BTreeSet<Part>,
    /// Messages to send when it is held.
    pub egress: Vec<Egress>,
    /// Rows of shared tables.
    pub rows: Vec<RowChange>,
    /// The last commit with rows that its deliveries could read.
    pub read_up_to: u64,
    /// Records for journals.
    pub records: Vec<Record>,
    /// What services counted and measured.
    pub usage: Vec<(&'static str, UsageUpdate)>,
    /// Activities whose end is still to be delivered.
    pub ended: VecDeque<u32>,
    /// Activities whose suspended event goes on.
    pub resumed: VecDeque<u32>,
    /// Events routed so far.
    pub routed: usize,
    /// Activities and entities that services have begun so far.
    pub births: usize,
    /// What is said to other cells when it is held.
    pub words: Vec<Word>,
    /// Events among them that waited behind a suspended one: this turn did not cause them.
    pub resumed_events: usize,
    /// The tree whose migration is out.
    pub migration: Option<Migration>,
    /// Ticket of the removal that it is, if it is one.
    pub removal: Option<u64>,
    /// Activities that an operator ends: their events are not suspended.
    pub forced: BTreeSet<u32>,
    /// Activities that a tie, or an event which waited, holds no more.
    pub released: BTreeSet<u32>,
    /// Its adaptor began an activity for which the cell has no number.
    pub refused: bool,
    /// Activities whose adaptor was told that nobody is attached.
    pub unreferenced: BTreeSet<u32>,
}

/// For whom an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// All entities that are attached and receive it, and services it is initial for.
    All,
    /// The same, of an initial event in a root cell: it creates the root entity if there is none.
    Founding,
    /// This entity only (a timer).
    Entity(u32),
    /// This entity only, which may not have been created yet: its delivery is tried again.
    Retry(u32),
}

impl Audience {
    /// True if the event is for whoever is attached.
    pub fn is_all(self) -> bool {
        matches!(self, Audience::All | Audience::Founding)
    }
}

/// An event on its way through the entities.
#[derive(Debug)]
pub(crate) struct Routing {
    pub event: Event,
    /// Who gets it.
    pub audience: Audience,
    /// Entities that had it.
    pub delivered: BTreeSet<u32>,
    /// Services that were considered as initial.
    pub selected: BTreeSet<usize>,
    /// How often selectors were asked again, since they had no time.
    pub asked_again: u32,
    /// Root entities whose trees had it, whatever has become of them; of a service without a
    /// selector they have no name.
    pub served: BTreeSet<RootName>,
    /// True once a delivery of it rolled back.
    pub failed: bool,
    /// True once a service that takes nothing now named a root entity that it would have started.
    pub declined: bool,
    /// When it goes on by itself, if a handler suspended it.
    pub suspended_until: Option<resilee_sbb::Timestamp>,
    /// Name of that handler's service.
    pub suspended_by: &'static str,
    /// Root entities of other cells that a selector named for it.
    pub named: BTreeSet<RootName>,
}

/// A delivery whose answer is awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaiting {
    pub delivery: DeliveryId,
    /// Place of its service, and its name: it may be undeployed meanwhile.
    pub service: usize,
    pub name: &'static str,
    pub entity: u32,
    /// True if the entity is being created by this delivery.
    pub created: bool,
    /// True if an initial event selector is asked: there is no entity.
    pub selects: bool,
}

/// A roll back that an entity hears of.
#[derive(Debug)]
pub(crate) struct RolledBack {
    pub service: usize,
    pub entity: u32,
    pub event: Event,
    pub reason: String,
}

/// Who is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// An attached entity of a service.
    Entity { service: usize, entity: u32 },
    /// A new root entity of a service.
    Root { service: usize },
    /// The initial event selector of a service.
    Selector { service: usize },
}

impl Routing {
    pub fn new(event: Event, audience: Audience) -> Self {
        Routing {
            event,
            audience,
            delivered: BTreeSet::new(),
            selected: BTreeSet::new(),
            asked_again: 0,
            served: BTreeSet::new(),
            failed: false,
            declined: false,
            suspended_until: None,
            suspended_by: "",
            named: BTreeSet::new(),
        }
    }

    /// True if a selector named a root entity of this service in another cell.
    pub fn has_named(&self, service: &str) -> bool {
        self.named.iter().any(|root| root.service == service)
    }

    /// Who gets the event next; `services` are sorted by priority, the highest first, and
    /// `entrances` say of each which root entities it may start.
    pub fn next(
        &self,
        cell: &Cell,
        services: &[Descriptor],
        entrances: &[Entrance],
        planted: Planted,
    ) -> Option<Recipient> {
        match self.audience {
            Audience::All | Audience::Founding => {
                self.next_of_all(cell, services, entrances, planted)
            }
            Audience::Entity(entity) => {
                let service = self.service_of(cell, services, entity)?;
                self.unserved(entity).then_some(Recipient::Entity { service, entity })
            }
            Audience::Retry(entity) => {
                let name = &cell.retries.get(&entity)?.service;
                let service = place_of(services, name)?;
                let serves = self.unserved(entity) && !cell.head.quarantined.contains(name);
                serves.then_some(Recipient::Entity { service, entity })
            }
        }
    }

    fn next_of_all(
        &self,
        cell: &Cell,
        services: &[Descriptor],
        entrances: &[Entrance],
        planted: Planted,
    ) -> Option<Recipient> {
        let attached = cell.activities.get(&self.event.activity.number).map(|it| &it.attached);
        let strangers = cell.entities.keys().filter(|_| planted.is(PlantedFault::ToUnattached));
        let entities = attached.into_iter().flatten().chain(strangers).filter_map(|entity| {
            let service = self.service_of(cell, services, *entity)?;
            let gets = self.unserved(*entity) && self.receives(cell, services, service, *entity);
            let at = || precedence(cell, services, *entity);
            gets.then(|| (at(), Recipient::Entity { service, entity: *entity }))
        });
        let kept = services.iter().enumerate().filter_map(|(service, descriptor)| {
            let entity = self.kept_for_unattached(cell, descriptor)?;
            let at = root_precedence(descriptor.priority, descriptor.name, entity);
            Some((at, Recipient::Entity { service, entity }))
        });
        let initial = services.iter().enumerate().filter_map(|(service, descriptor)| {
            let initial =
                self.as_initial(cell, service, descriptor, &entrances[service], planted)?;
            Some((root_precedence(descriptor.priority, descriptor.name, u32::MAX), initial))
        });
        let candidates = entities.chain(kept).chain(initial);
        let first: Option<(Precedence, Recipient)> = match planted.is(PlantedFault::LowestFirst) {
            false => candidates.min_by(|a, b| a.0.cmp(&b.0)),
            true => candidates.max_by(|a, b| a.0.cmp(&b.0)),
        };
        first.map(|(_, recipient)| recipient)
    }

    fn unserved(&self, entity: u32) -> bool {
        !self.delivered.contains(&entity)
    }

    /// The index of an entity's service, if that is deployed and serves this cell.
    fn service_of(&self, cell: &Cell, services: &[Descriptor], entity: u32) -> Option<usize> {
        let name = &cell.entities.get(&entity)?.service;
        let deployed = place_of(services, name)?;
        (!cell.head.quarantined.contains(name)).then_some(deployed)
    }

    fn receives(&self, cell: &Cell, services: &[Descriptor], service: usize, entity: u32) -> bool {
        if self.is_for_all() {
            return true;
        }
        let event_type = self.event.event_type.as_str();
        let mask = cell.entities.get(&entity).map(|entity| &entity.masks);
        let mask = mask.and_then(|masks| masks.get(&self.event.activity.number));
        let descriptor = descriptor_of(cell, &services[service], entity);
        !mask.is_some_and(|mask| mask.contains(event_type))
            && descriptor.is_some_and(|descriptor| descriptor.receives(event_type))
    }

    /// The end of an activity goes to each entity, whatever it receives.
    fn is_for_all(&self) -> bool {
        [ActivityEnd::TYPE, TimerFired::TYPE].contains(&self.event.event_type.as_str())
    }

    /// An entity that is not attached, or not there yet, since the event that begins it there waits
    /// to be tried again: what it would get follows behind.
    fn kept_for_unattached(&self, cell: &Cell, service: &Descriptor) -> Option<u32> {
        let activity = self.event.activity.number;
        let attached = cell.activities.get(&activity).map(|activity| &activity.attached);
        let waits = |number: &u32| {
            self.unserved(*number)
                && !attached.is_some_and(|it| it.contains(number))
                && cell.is_to_begin(service, *number, activity)
        };
        let gets = self.is_for_all() || service.receives(&self.event.event_type);
        let gets = gets && !cell.head.quarantined.contains(service.name);
        cell.kept_for(service.name, activity).filter(|_| gets).find(waits)
    }

    /// True if a handler of the service hung in this cell, or in a root cell that had the activity.
    fn is_quarantined(&self, cell: &Cell, service: &Descriptor) -> bool {
        let activity = cell.activities.get(&self.event.activity.number);
        cell.head.quarantined.contains(service.name)
            || activity.is_some_and(|activity| activity.hung_roots.contains(service.name))
    }

    fn as_initial(
        &self,
        cell: &Cell,
        service: usize,
        descriptor: &Descriptor,
        entrance: &Entrance,
        planted: Planted,
    ) -> Option<Recipient> {
        let again = planted.is(PlantedFault::SecondRoot) && !descriptor.selects_initial_events;
        let asked = self.selected.contains(&service) && !again;
        if asked
            || cell.is_used_up()
            || self.is_quarantined(cell, descriptor)
            || !descriptor.is_initial(&self.event.event_type)
        {
            return None;
        }
        if cell.is_mirror(self.event.activity.number) {
            return self.as_founding(cell, service, descriptor, entrance);
        }
        // An entity of what it replaces had the event, and may be gone since.
        if self.was_replaced(entrance) {
            return None;
        }
        if descriptor.selects_initial_events {
            // One that is not active may still name a root entity that it has.
            let of_service = |entity: &Entity| entity.service == descriptor.name;
            let may = entrance.open || cell.entities.values().any(|entity| of_service(entity));
            return may.then_some(Recipient::Selector { service });
        }
        let admitted = entrance.admits(cell, self.event.activity.number);
        let begun = self.was_served(descriptor.name, "") || self.has_root(cell, descriptor);
        (admitted && (!begun || again)).then_some(Recipient::Root { service })
    }

    /// Of a mirror's events only the one that the cell's own root is named for is initial: where
    /// the activity is, all services were asked already.
    fn as_founding(
        &self,
        cell: &Cell,
        service: usize,
        descriptor: &Descriptor,
        entrance: &Entrance,
    ) -> Option<Recipient> {
        let root = cell.head.root.as_ref().filter(|root| root.service == descriptor.name)?;
        if self.audience != Audience::Founding
            || cell.root_entity().is_some()
            || self.was_served(&root.service, &root.name)
        {
            return None;
        }
        match cell.kept_root(&root.service, &root.name) {
            // It is created by an event that is tried again: this one follows behind.
            Some(entity) => self.unserved(entity).then_some(Recipient::Entity { service, entity }),
            None => entrance.open.then_some(Recipient::Root { service }),
        }
    }

    /// True if the service has a root entity on the event's activity context, here or in another
    /// cell.
    fn has_root(&self, cell: &Cell, descriptor: &Descriptor) -> bool {
        let number = self.event.activity.number;
        let attached = cell.activities.get(&number).map(|activity| &activity.attached);
        let of_service = |entity: &&u32| {
            cell.entities.get(entity).is_some_and(|it| it.service == descriptor.name)
        };
        attached.into_iter().flatten().any(|entity| of_service(&entity))
            || cell
                .kept_for(descriptor.name, number)
                .any(|it| cell.is_to_begin(descriptor, it, number))
            || cell.is_tied_to(descriptor.name, number)
    }

    /// A tree has the event now. Whatever becomes of it, no other one begins in its place.
    pub fn note_served(&mut self, service: &str, name: Option<&str>) {
        let name = name.unwrap_or_default().to_owned();
        self.served.insert(RootName { service: service.to_owned(), name });
    }

    /// True if the root entity of this name had the event, or its tree.
    pub fn was_served(&self, service: &str, name: &str) -> bool {
        self.served.iter().any(|root| root.service == service && root.name == name)
    }

    /// True if an entity had the event of a service that the one of this entrance replaces.
    pub fn was_replaced(&self, entrance: &Entrance) -> bool {
        self.served.iter().any(|root| entrance.is_instead_of(&root.service))
    }

    /// True if nobody had the event, and a service that takes nothing now would have started an
    /// entity for it: it is not active, or quarantined in this cell.
    pub fn is_declined(
        &self,
        cell: &Cell,
        services: &[Descriptor],
        entrances: &[Entrance],
    ) -> bool {
        let declines = |(service, (descriptor, entrance)): (usize, (&Descriptor, &Entrance))| {
            let initial = descriptor.is_initial(&self.event.event_type);
            let closed = !entrance.open || self.is_quarantined(cell, descriptor);
            let starts = closed && initial && !self.selected.contains(&service);
            starts && !self.has_root(cell, descriptor)
        };
        let declined = self.declined || services.iter().zip(entrances).enumerate().any(declines);
        self.audience.is_all() && self.delivered.is_empty() && declined
    }
}
