//! Whose a client's message is: a cell of this node, a cell of another node, or nobody's.
//!
//! | the message names              | owner of it here | what happens                            |
//! |--------------------------------|------------------|-----------------------------------------|
//! | a living cell                  | this node        | waits for its turn in the cell          |
//! | a cohort that is handed over   | this node        | waits for the view                      |
//! | a living cell                  | another member   | relayed; a relayed one is dropped       |
//! | a cell that a gap left empty,  | this node        | as if there were none                   |
//! | and begins nothing, nor names  |                  |                                         |
//! | the cell itself                |                  |                                         |
//! | a cohort, no living cell       | this node        | the adaptor answers: it is over; or     |
//! |                                |                  | nobody has it (`orphans.rs`)            |
//! | a cohort, no living cell       | another member   | relayed                                 |
//! | nothing, and may begin a call  | this node        | a cell is born, or it is refused        |
//! | nothing, and may change tables | owner of tables  | a cell is born there                    |
//! | nothing, and may begin nothing | anybody          | the adaptor answers                     |

use crate::adaptors::{CellKey, of_adaptor};
use crate::cell::{Cell, CellInput};
use crate::commit::Activity;
use crate::core::{Core, Drain};
use crate::frame::Extra;
use crate::resource_adaptor::{Ingress, Route, Scope};
use resilee_membership::PlantedFault;
use resilee_sbb::{CellId, CohortId, Timestamp};

/// When a caller that was refused may try again, in seconds.
const RETRY_AFTER_S: u32 = 10;

impl Core {
    /// A message from a client, or one that another node relayed.
    pub(crate) fn on_message(&mut self, now: Timestamp, ingress: Ingress, relayed: bool) {
        if !self.is_member() && (relayed || ingress.adaptor.is_first()) {
            return self.count_drop("message while not a member");
        }
        let Some(adaptor) = self.adaptors.get(ingress.adaptor) else {
            return self.count_drop("message for an adaptor that is not deployed here");
        };
        // A client of this node's own sockets has nobody else to turn to: it is told.
        if !self.is_member() {
            return self.refuse(now, &ingress, "message while not a member");
        }
        if self.adaptors.wanted(ingress.adaptor).removed {
            return self.refuse(now, &ingress, "message for an adaptor that was removed");
        }
        match adaptor.route(now, &ingress) {
            Route::Drop(reason) => self.count_drop(reason),
            Route::Answer(answers) => self.answer(of_adaptor(ingress.adaptor, answers)),
            Route::Known(cell) => {
                let known = self.cells.contains_key(&cell).then_some(cell);
                let key = CellKey { adaptor: ingress.adaptor, scope: Scope::Call, key: 0 };
                let cohort = Some(cell.cohort);
                self.on_routed(
                    now,
                    ingress,
                    relayed,
                    Routed { known, cohort, creates: false, key },
                );
            }
            Route::Cell { key, scope, creates, cohort } => {
                let key = CellKey { adaptor: ingress.adaptor, scope, key };
                let known = self.index.get(&key).copied();
                let known = known.filter(|cell| creates || !self.lingers(*cell));
                let creates = creates && known.is_none();
                // What begins a call is born here, whatever cohort it names: the numbers of
                // another run's cohort are not ours to give.
                let cohort = match (known, scope) {
                    (Some(cell), _) => Some(cell.cohort),
                    (None, Scope::Tables) => Some(CohortId::TABLES),
                    (None, Scope::Call) if creates => Some(self.config.me.cohort()),
                    (None, Scope::Call) => cohort,
                };
                self.on_routed(now, ingress, relayed, Routed { known, cohort, creates, key });
            }
        }
    }

    /// True for what a gap left of a call: its adaptor has nothing of it, and another store may
    /// have more. It waits only until other cells, or a service, have heard the last of it. What
    /// may begin a call begins it there.
    pub(crate) fn lingers(&self, id: CellId) -> bool {
        let ended = |cell: &Cell| {
            let is_adaptors = |activity: &Activity| activity.is_adaptors();
            cell.turn.is_none() && !cell.activities.values().any(|it| is_adaptors(it))
        };
        self.may_be_lost(id.cohort) && self.cells.get(&id).is_some_and(ended)
    }

    /// True if a message is for its cell also when a gap left that empty: it may begin a call, or
    /// names the cell itself, so that no other store has what it is for.
    pub(crate) fn is_for_rest(&self, now: Timestamp, ingress: &Ingress) -> bool {
        let route = self.adaptors.get(ingress.adaptor).map(|adaptor| adaptor.route(now, ingress));
        matches!(route, Some(Route::Cell { creates: true, .. } | Route::Known(_)))
    }

    fn on_routed(&mut self, now: Timestamp, ingress: Ingress, relayed: bool, routed: Routed) {
        let owner = routed.cohort.and_then(|cohort| self.view.owner(cohort)).cloned();
        match (owner, routed.known) {
            (Some(owner), _)
                if owner != self.config.me && !self.planted.is(PlantedFault::OwnerByArrival) =>
            {
                // Who asked another adaptor than the first one waits at this node's own socket.
                if routed.creates && !ingress.adaptor.is_first() {
                    let reason =
                        "message that begins something, when this node's calls are another's";
                    return self.refuse(now, &ingress, reason);
                }
                self.relay(&owner.node, ingress, relayed);
            }
            (Some(_), _) if routed.cohort.is_some_and(|cohort| self.rests(cohort)) => {
                self.keep_early(ingress);
            }
            (Some(_), Some(cell)) => self.enqueue(now, cell, CellInput::Message(ingress, now)),
            (Some(_), None) if routed.creates => self.give_birth(now, ingress, &routed),
            _ => self.on_unknown(now, ingress, relayed, &routed),
        }
    }

    /// Sends a message on to its owner; one that another node has sent on is dropped.
    pub(crate) fn relay(
        &mut self,
        owner: &resilee_membership::NodeName,
        ingress: Ingress,
        relayed: bool,
    ) {
        if relayed {
            return self.count_drop("relayed message for a cell of a third node");
        }
        match self.links.get_mut(owner) {
            Some(_) if self.planted.is(PlantedFault::ForgetRelay) => {}
            Some(link) if link.up => link.say(Extra::Relay(ingress)),
            _ => self.count_drop("message for a node that is out of reach"),
        }
    }

    fn give_birth(&mut self, now: Timestamp, ingress: Ingress, routed: &Routed) {
        if self.draining != Drain::No && ingress.adaptor.is_first() {
            // The balancer sends it again, to another node.
            return self.count_drop("new call while draining");
        }
        if self.draining != Drain::No {
            return self.refuse(now, &ingress, "new call while draining");
        }
        if !self.adaptors.wanted(ingress.adaptor).active {
            return self.refuse(
                now,
                &ingress,
                "message that begins something, while its adaptor is not active",
            );
        }
        if !self.life_cycles.running {
            return self.refuse(now, &ingress, "new call while the SLEE is stopped");
        }
        if let Some(reason) = self.sheds(now) {
            return self.refuse(now, &ingress, reason);
        }
        if routed.key.scope == Scope::Call && self.is_memory_only() {
            return self.refuse(now, &ingress, "new call while nothing holds it but memory");
        }
        let cohort = routed.cohort.unwrap_or_else(|| self.config.me.cohort());
        let id = self.next_cell_of(cohort);
        let mut cell = Cell::born(id, routed.key, now);
        cell.committed = false;
        self.index.insert(routed.key, id);
        let replaced = self.cells.insert(id, cell);
        assert!(replaced.is_none(), "a cell's number is given once");
        self.enqueue(now, id, CellInput::Message(ingress, now));
    }

    /// The name of a new cell.
    pub(crate) fn next_cell_of(&mut self, cohort: CohortId) -> CellId {
        // Cells of the tables' cohort are numbered by its owner of the day: the view's number
        // keeps the numbers of two owners apart.
        let epoch = if cohort == CohortId::TABLES { self.view.number << 40 } else { 0 };
        let number = epoch | self.next_cell;
        self.next_cell += 1;
        CellId { cohort, number }
    }

    /// No cell is born: whoever asked is told when to try again.
    fn refuse(&mut self, now: Timestamp, ingress: &Ingress, reason: &'static str) {
        self.count_drop(reason);
        self.answer_refused(now, ingress);
    }

    /// The same of what is counted already.
    pub(crate) fn answer_refused(&mut self, now: Timestamp, ingress: &Ingress) {
        self.answer_by(ingress, |adaptor| adaptor.refuse(now, ingress, RETRY_AFTER_S));
    }

    /// Puts an input behind the cell's current turn, or begins a turn with it.
    pub(crate) fn enqueue(&mut self, now: Timestamp, id: CellId, input: CellInput) {
        if !self.owns(id) && !self.planted.is(PlantedFault::OwnerByArrival) {
            return;
        }
        let rests = self.rests(id.cohort);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if cell.turn.is_none() && cell.inbox.is_empty() && !rests {
            return self.begin_turn(now, id, input);
        }
        let is_full = cell.inbox.len() >= self.config.limits.inbox_max;
        if is_full && matches!(input, CellInput::Message(..) | CellInput::Word(_)) {
            return self.count_drop("message behind a full inbox of its cell");
        }
        cell.inbox.push_back(input);
    }
}

/// What is known of a message's cell.
pub(crate) struct Routed {
    known: Option<CellId>,
    /// Where it belongs, or will.
    pub cohort: Option<CohortId>,
    creates: bool,
    /// What its messages share.
    pub key: CellKey,
}
