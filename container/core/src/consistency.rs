//! Is all that a core holds about something that is there? For whoever checks it from outside (the
//! simulator, the tests): nothing in the core reads it.
//!
//! | what                | must have                                                          |
//! |---------------------|--------------------------------------------------------------------|
//! | an entity           | its parent, and its service, of which no handler hung in its cell  |
//! | a tree              | an attachment, or events that wait for one of its entities         |
//! | an attachment       | its entity                                                         |
//! | a mask              | its attachment                                                     |
//! | a name              | one activity                                                       |
//! | a timer of an SBB   | its entity; where the cell is owned, a moment at which it fires    |
//! | a suspended event   | where the cell is owned, a moment at which it goes on              |
//! | a mirror            | its tie                                                            |
//! | a post              | its tie; where the cell is owned, a moment at which it is repeated |
//! | a root's name       | one cell                                                           |
//! | a name's row        | the mirror of the activity that it names, and the other way round  |
//! | whatever is awaited | what it is for                                                     |
//! | a turn that waits   | another one that runs                                              |
//!
//! All of it holds between turns, once a snapshot is whole; a cell with a running turn is not
//! looked at.

use crate::cell::Cell;
use crate::core::{Core, Drain};
use crate::ties::{Channel, RootName, Tie};
use crate::timers::Due;
use resilee_sbb::{ActivityId, CLUSTER_NAMES, decode};

impl Core {
    /// What is about something that is not there, in words; nothing, if all is well.
    pub fn inconsistencies(&self) -> Vec<String> {
        let mut found = Vec::new();
        // Of a snapshot on its way there are pieces, and commits that went before the others.
        if self.joining.as_ref().is_some_and(|joining| !joining.whole) {
            return found;
        }
        for cell in self.cells.values().filter(|cell| cell.turn.is_none()) {
            self.check_entities(cell, &mut found);
            self.check_activities(cell, &mut found);
            self.check_ties(cell, &mut found);
            self.check_name(cell, &mut found);
            if cell.live && self.owns(cell.id) {
                self.check_awaited(cell, &mut found);
            }
        }
        self.check_pending_rows(&mut found);
        for (name, _) in self.tables.rows(CLUSTER_NAMES) {
            if !self.words.roots.contains_key(&RootName::of_name(name)) {
                found.push(format!("the name {name:?} has no cell"));
            }
        }
        found.extend(self.timers.all().filter(|due| !self.is_for_something(*due)).map(|due| {
            format!("{due:?} is awaited for what is not there") //
        }));
        found
    }

    /// How many moments are awaited for cells.
    pub fn timers_set(&self) -> usize {
        self.timers.all().count()
    }

    fn check_entities(&self, cell: &Cell, found: &mut Vec<String>) {
        for (number, entity) in &cell.entities {
            let id = cell.entity_id(*number);
            if !self.is_deployed(&entity.service) {
                found.push(format!("entity {id} is of no service"));
            }
            if cell.head.quarantined.contains(&entity.service) {
                found.push(format!("entity {id} is of a service whose handler hung"));
            }
            match &entity.child {
                Some(child) if !cell.entities.contains_key(&child.parent) => {
                    found.push(format!("entity {id} has no parent"));
                }
                None if !self.is_held(cell, *number) => {
                    found.push(format!("the tree of {id} is attached to nothing"));
                }
                _ => {}
            }
            let masked = |activity: &u32| {
                let known = cell.activities.get(activity);
                known.is_some_and(|activity| activity.attached.contains(number))
            };
            if !entity.masks.keys().all(masked) {
                found.push(format!("entity {id} masks what it is not attached to"));
            }
        }
        for (entity, timer) in cell.timers.keys() {
            if !cell.entities.contains_key(entity) {
                found.push(format!("{timer:?} is of no entity: {}", cell.entity_id(*entity)));
            }
        }
    }

    /// True if something of a tree is attached, or waits to get an event.
    fn is_held(&self, cell: &Cell, root: u32) -> bool {
        cell.tree(root).any(|number| {
            cell.retries.contains_key(&number) || cell.attachments(number).next().is_some()
        })
    }

    fn check_activities(&self, cell: &Cell, found: &mut Vec<String>) {
        let mut names = std::collections::BTreeSet::new();
        for (number, activity) in &cell.activities {
            let id = cell.activity_id(*number);
            if !activity.attached.iter().all(|entity| cell.entities.contains_key(entity)) {
                found.push(format!("to {id} an entity is attached that is not there"));
            }
            if !activity.names.iter().all(|name| names.insert(name)) {
                found.push(format!("a name of {id} is bound twice"));
            }
        }
    }

    fn check_ties(&self, cell: &Cell, found: &mut Vec<String>) {
        for (number, posted) in &cell.posted {
            if !cell.ties.contains_key(&posted.tie) {
                found.push(format!("post {number} of {} is of no tie", cell.id));
            }
        }
        let tied = |number: &u32| {
            let here = |tie: &&Tie| tie.far.is_some() && !tie.done && tie.activity == *number;
            cell.ties.values().filter(here).count()
        };
        for (number, activity) in &cell.activities {
            if activity.mirror.is_some() && tied(number) != 1 {
                found.push(format!("mirror {} has not one tie", cell.activity_id(*number)));
            }
        }
        let mirrors = cell.ties.values().filter(|tie| tie.far.is_some() && !tie.done);
        for tie in mirrors.filter(|tie| !cell.is_mirror(tie.activity)) {
            found.push(format!("the tie of {:?} has no mirror", tie.far));
        }
        if let Some(root) = &cell.head.root
            && self.words.roots.get(root) != Some(&cell.id)
        {
            found.push(format!("{} is a second cell of its root", cell.id));
        }
    }

    /// Who has a name is who is found by it.
    fn check_name(&self, cell: &Cell, found: &mut Vec<String>) {
        let Some(name) = cell.name_in_cluster() else { return };
        let row = self.tables.get(CLUSTER_NAMES, name);
        let row: Option<ActivityId> = row.and_then(|row| decode(row).ok());
        let named = cell.named().map(|(_, mirror)| mirror.of);
        if row != named {
            found.push(format!("by the name {name:?} {row:?} is found, and {named:?} has it"));
        }
    }

    /// Ties of which one end is missing, in words, and posts that nobody has heard: nothing, when
    /// nothing is on its way between cells.
    pub fn loose_ties(&self) -> Vec<String> {
        let mut found = Vec::new();
        for cell in self.cells.values() {
            for (number, tie) in &cell.ties {
                let (own, root) = (Channel { cell: cell.id, tie: *number }, &tie.root);
                let far = match tie.far {
                    Some(far) => self.cell_of_tie(far),
                    None => self.words.roots.get(root).and_then(|id| self.cells.get(id)),
                };
                let far = far.filter(|far| tie.far.is_some() || far.tie_from(own).is_some());
                if far.is_none() {
                    found.push(format!("tie {number} of {} to {root:?} has one end", cell.id));
                }
            }
            let posts = cell.posted.keys();
            found.extend(posts.map(|it| format!("post {it} of {} is not heard", cell.id)));
        }
        found
    }

    fn cell_of_tie(&self, far: Channel) -> Option<&Cell> {
        self.cells.get(&far.cell).filter(|cell| cell.ties.contains_key(&far.tie))
    }

    fn check_awaited(&self, cell: &Cell, found: &mut Vec<String>) {
        let timers = cell.timers.keys().map(|(entity, timer)| {
            Due::Sbb(cell.entity_id(*entity), *timer) //
        });
        let suspended = cell.activities.iter().filter(|(_, it)| it.suspended.is_some());
        let suspended = suspended.map(|(number, _)| Due::Suspended(cell.activity_id(*number)));
        let retries = cell.retries.keys().map(|number| Due::Retry(cell.entity_id(*number)));
        let words = cell.says_again_after().map(|_| Due::Words(cell.id));
        let lost = timers
            .chain(suspended)
            .chain(retries)
            .chain(words)
            .filter(|due| !self.timers.is_set(*due));
        // What waits in the inbox was due already.
        if cell.inbox.is_empty() {
            found.extend(lost.map(|due| format!("{due:?} is not awaited")));
        }
    }

    fn is_for_something(&self, due: Due) -> bool {
        let cell = |id| self.cells.get(&id).filter(|cell: &&Cell| cell.live);
        let unfinished = |cell: &&Cell| cell.turn.is_some();
        match due {
            Due::Adaptor(id) => cell(id.cell)
                .is_some_and(|it| unfinished(&it) || it.activities.contains_key(&id.number)),
            Due::Sbb(id, timer) => cell(id.cell)
                .is_some_and(|it| unfinished(&it) || it.timers.contains_key(&(id.number, timer))),
            Due::Retry(id) => cell(id.cell)
                .is_some_and(|it| unfinished(&it) || it.retries.contains_key(&id.number)),
            Due::Suspended(id) => cell(id.cell).is_some_and(|it| {
                let activity = it.activities.get(&id.number);
                unfinished(&it) || activity.is_some_and(|activity| activity.suspended.is_some())
            }),
            Due::Words(id) => {
                cell(id).is_some_and(|it| unfinished(&it) || it.says_again_after().is_some())
            }
            Due::Delivery(delivery) => self.deliveries.contains_key(&delivery),
            Due::Told => matches!(self.draining, Drain::HandedOver | Drain::Done),
            Due::Examine(_) | Due::Migrate => true,
        }
    }
}
