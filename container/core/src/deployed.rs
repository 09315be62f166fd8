//! The services that a node has, each in a place: what is under way names a service by its place.
//!
//! | a place                    | has                                                          |
//! |----------------------------|--------------------------------------------------------------|
//! | of a service               | its descriptor                                               |
//! | of one that was undeployed | one without a name, which counts as none; the next service   |
//! |                            | takes it, once nothing under way names it                    |
//!
//! | of a service that is undeployed there is | what happens                                    |
//! |------------------------------------------|-------------------------------------------------|
//! | a delivery out, or waiting for a row     | it rolls back, whatever its handler answers,    |
//! |                                          | with an alarm; nothing is tried again           |
//! | an entity in a cell that is owned here   | removed with its tree, as if it had come to its |
//! |                                          | end: who removed the service could not see it   |
//! | the same in one that is taken over       | the same, while this run remembers the removal  |
//! | a tie of an activity to a root entity of | over: no event of the activity is posted to it  |
//! | its own in another cell, or to be        | any more, and who is told there says so as well |
//! | what it counted and measured, anywhere   | forgotten: the next service of its name begins  |
//! |                                          | at zero, with what that declares                |
//! | alarms that it raised                    | cleared, at all nodes                           |
//!
//! An operator may undeploy none that has entities (`unit_rows.rs`); but whoever decides that knows
//! of other nodes' turns only when they are committed.

use crate::alarms::sources;
use crate::cell::{Cell, CellInput};
use crate::commit::Part;
use crate::core::Core;
use crate::event_router::{Awaiting, Turn};
use resilee_sbb::{CellId, Descriptor, Severity, Timestamp};
use std::collections::BTreeSet;

/// In the place of a service that was undeployed.
const UNDEPLOYED: &str = "";

/// The place of a service.
pub(crate) fn place_of(services: &[Descriptor], name: &str) -> Option<usize> {
    let is_it = |service: &Descriptor| service.name == name && name != UNDEPLOYED;
    services.iter().position(is_it)
}

impl Turn {
    /// True if it goes on with the service in this place.
    fn names(&self, place: usize) -> bool {
        let awaits = |awaiting: &Awaiting| awaiting.service == place;
        self.awaiting.as_ref().is_some_and(awaits)
            || self.behind.as_ref().is_some_and(|behind| awaits(&behind.awaiting))
            || self.rolled_back.as_ref().is_some_and(|it| it.service == place)
            || self.current.as_ref().is_some_and(|routing| routing.selected.contains(&place))
    }
}

impl Core {
    /// All services that are deployed here, in the order of their places.
    pub(crate) fn deployed(&self) -> impl Iterator<Item = &Descriptor> {
        self.services.iter().filter(|service| service.name != UNDEPLOYED)
    }

    /// True if a service of this name is deployed here.
    pub(crate) fn is_deployed(&self, name: &str) -> bool {
        place_of(&self.services, name).is_some()
    }

    /// True if a delivery of the service is under way here, or a turn goes on with it.
    pub(crate) fn is_under_way(&self, name: &str) -> bool {
        place_of(&self.services, name).is_some_and(|place| self.is_named(place))
    }

    fn is_named(&self, place: usize) -> bool {
        let mut turns = self.cells.values().filter_map(|cell| cell.turn.as_ref());
        self.deliveries.values().any(|out| out.service == place)
            || turns.any(|turn| turn.names(place))
    }

    /// A service has a place from now on.
    pub(crate) fn give_place(&mut self, service: Descriptor) {
        let is_free =
            |place: &usize| self.services[*place].name == UNDEPLOYED && !self.is_named(*place);
        match (0..self.services.len()).find(is_free) {
            Some(place) => self.services[place] = service,
            None => self.services.push(service),
        }
        self.note_all_life_cycles();
        self.life_cycles.look_again();
    }

    /// A service is not there any more.
    pub(crate) fn undeploy(&mut self, now: Timestamp, name: &str) {
        let Some(place) = place_of(&self.services, name) else { return };
        self.units.note_removed(name);
        self.services[place] = Descriptor::named(UNDEPLOYED);
        self.forget_failures(name);
        self.counters.remove(name);
        let deployed = self.services.iter().map(|it| it.name).filter(|it| *it != UNDEPLOYED);
        self.tracers.remove(name, deployed);
        self.usage.undeclare(name);
        self.note_all_life_cycles();
        self.life_cycles.look_again();
        let mine = self.cells.values().filter(|cell| cell.live && cell.has_any_of(name));
        for id in mine.map(|cell| cell.id).collect::<Vec<_>>() {
            match self.cells.get(&id).is_some_and(|cell| cell.turn.is_some()) {
                true => self.remove_all_of(id, name),
                false => self.enqueue(now, id, CellInput::Undeployed(name.to_owned())),
            }
        }
    }

    /// A cell came here: trees of a service that was removed go here, too. Who had the cell may not
    /// have known that, or had no time for it.
    pub(crate) fn examine_undeployed(&mut self, now: Timestamp, id: CellId) {
        let Some(cell) = self.cells.get(&id) else { return };
        let services: BTreeSet<_> = cell.services().filter(|it| self.was_removed(it)).collect();
        let services: Vec<_> = services.into_iter().map(str::to_owned).collect();
        for service in services {
            self.enqueue(now, id, CellInput::Undeployed(service));
        }
    }

    /// In a turn of a cell: a service is not deployed any more, and its trees go, and its ties.
    pub(crate) fn remove_all_of(&mut self, id: CellId, name: &str) {
        // It may be there again.
        if self.is_deployed(name) {
            return;
        }
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let entities = cell.entities.iter().filter(|(_, entity)| entity.service == name);
        let entities: Vec<_> = entities.map(|(number, _)| *number).collect();
        cell.remove_entities(&entities);
        let retries = cell.retries.iter().filter(|(_, retry)| retry.service == name);
        let retries: Vec<_> = retries.map(|(number, _)| *number).collect();
        self.forget_retries_of(id, &retries);
        let cell = self.cells.get_mut(&id);
        cell.into_iter().for_each(|cell| cell.untie_from(name));
    }

    /// True if the unit of a service was removed, as far as this run knows, and there is no other
    /// one of that name: none of its entities, here or elsewhere, is to be there. One that is
    /// wanted active is linked into another node.
    pub(crate) fn was_removed(&self, service: &str) -> bool {
        self.units.removed.iter().any(|it| it == service)
            && !self.is_deployed(service)
            && !self.is_wanted_active(service)
            && !self.unit_rows().any(|(_, row)| row.service == service)
    }

    /// True if the service of a delivery is the one that it went out to.
    pub(crate) fn is_still_deployed(&self, awaiting: Awaiting) -> bool {
        self.services[awaiting.service].name == awaiting.name
    }

    /// A delivery is over whose service was undeployed meanwhile: nothing of it is kept.
    pub(crate) fn end_undeployed(&mut self, now: Timestamp, id: CellId, awaiting: Awaiting) {
        let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
        let Some(turn) = turn else { return };
        turn.new_root_name = None;
        turn.tells_roll_back = false;
        let Some(routing) = turn.current.as_mut() else { return };
        routing.failed = true;
        let (event, service) = (&routing.event.event_type, awaiting.name);
        let text = format!("{event} of call {id} rolled back: {service} was removed meanwhile");
        self.raise_alarm(now, Severity::Major, sources::UNIT, &text);
        self.advance(now, id);
    }
}

impl Cell {
    /// True if it has entities of a service, or is to have some, or has one in another cell.
    fn has_any_of(&self, service: &str) -> bool {
        let names = |turn: &Turn| turn.current.as_ref().is_some_and(|it| it.has_named(service));
        self.services().any(|it| it == service) || self.turn.as_ref().is_some_and(|it| names(it))
    }

    /// In a turn: no activity is tied to root entities of a service in other cells, or is to be.
    fn untie_from(&mut self, service: &str) {
        let tied =
            self.ties.iter().filter(|(_, it)| it.far.is_none() && it.root.service == service);
        let tied: Vec<_> = tied.map(|(number, _)| *number).collect();
        tied.into_iter().for_each(|number| self.forget_tie(number));
        let Some(turn) = self.turn.as_mut() else { return };
        turn.current.iter_mut().for_each(|it| it.named.retain(|root| root.service != service));
        for (number, activity) in &mut self.activities {
            let Some(suspended) = activity.suspended.as_mut() else { continue };
            let named = suspended.named.len();
            suspended.named.retain(|root| root.service != service);
            if suspended.named.len() < named {
                turn.touched.insert(Part::Activity(*number));
            }
        }
    }
}
