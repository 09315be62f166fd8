//! Finding what may be left over in cells: activities, SBB entities, timers and names, with what
//! they are attached to. Any node can be asked, since each has all cells.
//!
//! A question looks at so many cells only, and the answer says where to look on: a node with a
//! million calls is not held up. Removing is in `housekeeping.rs`.

use crate::cell::Cell;
use crate::commit::Activity;
use crate::core::Core;
use crate::management::{
    CELLS_PER_SEARCH_MAX, LEFTOVERS_MAX, Leftover, LeftoverKind, LeftoverPage, LeftoverRow, Search,
};
use resilee_sbb::Timestamp;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

/// A timer that should have fired longer ago is overdue.
const OVERDUE: Duration = Duration::from_secs(1);

impl Core {
    /// What is wanted by `search`, at a local time. A cell whose last change is not held yet is
    /// left out, as in [`Core::cells`].
    pub fn leftovers(&self, local: Timestamp, search: &Search) -> LeftoverPage {
        let now = self.clock.at(local);
        let limit = search.limit.clamp(1, LEFTOVERS_MAX);
        let first = match (search.cell, search.from) {
            (Some(cell), _) | (None, Some(cell)) => Bound::Included(cell),
            (None, None) => Bound::Unbounded,
        };
        let mut page = LeftoverPage::default();
        let cells = self.cells.range((first, Bound::Unbounded)).map(|(_, cell)| cell);
        for (looked_at, cell) in cells.enumerate() {
            if search.cell.is_some_and(|wanted| wanted != cell.id) {
                break;
            }
            if page.rows.len() >= limit || looked_at >= CELLS_PER_SEARCH_MAX {
                page.next = Some(cell.id);
                break;
            }
            let is_shown = cell.committed && !self.gate.is_closed(cell.last_commit);
            if is_shown && is_stale(now, cell, search) {
                self.look_into(now, cell, search, &mut page.rows);
            }
        }
        page
    }

    fn look_into(&self, now: Timestamp, cell: &Cell, search: &Search, rows: &mut Vec<LeftoverRow>) {
        let owner = self.view.owner(cell.id.cohort).map(|run| run.node.clone());
        let found = match search.kind {
            LeftoverKind::Activities => activities(cell, search),
            LeftoverKind::Entities => entities(cell, search),
            LeftoverKind::Timers => timers(now, cell, search),
            LeftoverKind::Names => self.names(cell, search),
        };
        let of_service =
            |row: &Found| search.service.as_ref().is_none_or(|it| row.services.contains(it));
        rows.extend(found.into_iter().filter(of_service).map(|found| LeftoverRow {
            what: found.what,
            owner: owner.clone(),
            services: found.services.into_iter().collect(),
            attached: found.attached,
            born_at: cell.head.born_at,
            changed_at: cell.changed_at,
            due: found.due,
            note: found.note,
        }));
    }

    /// Names in the cell; of a name in the cluster, what the activity that has it is attached to.
    fn names(&self, cell: &Cell, search: &Search) -> Vec<Found> {
        let found = |number: &u32, name: &str, of: &Cell, activity: &Activity, note| Found {
            what: Leftover::Name(cell.activity_id(*number), name.to_owned()),
            services: services(of, activity),
            attached: entity_ids(of, activity),
            due: None,
            note,
        };
        let is_wanted = |activity: &Activity| {
            (!search.unattached || activity.attached.is_empty()) && (!search.null || activity.null)
        };
        if let (Some(name), Some((number, mirror))) = (cell.name_in_cluster(), cell.named()) {
            let of = self.cells.get(&mirror.of.cell).unwrap_or(cell);
            // Without its activity it is most of all left over.
            let lost = Activity::default();
            let activity = of.activities.get(&mirror.of.number).map_or(&lost, |it| it);
            let note = "in the cluster";
            let found = is_wanted(activity).then(|| found(&number, name, of, activity, note));
            return found.into_iter().collect();
        }
        let activities = cell.activities.iter().filter(|(_, activity)| is_wanted(activity));
        let found = activities.flat_map(|(number, activity)| {
            let note = if activity.null { "of a null activity" } else { "" };
            let names = activity.names.iter();
            names.map(move |name| found(number, name, cell, activity, note))
        });
        found.collect()
    }
}

/// One that was found, without what its cell says.
struct Found {
    what: Leftover,
    services: BTreeSet<String>,
    attached: Vec<String>,
    due: Option<Timestamp>,
    note: &'static str,
}

fn is_stale(now: Timestamp, cell: &Cell, search: &Search) -> bool {
    let since = |at: Timestamp, age: Option<Duration>| age.is_none_or(|age| now.since(at) >= age);
    since(cell.head.born_at, search.older_than) && since(cell.changed_at, search.idle_for)
}

fn activities(cell: &Cell, search: &Search) -> Vec<Found> {
    let wanted = |activity: &Activity| {
        (!search.unattached || activity.attached.is_empty()) && (!search.null || activity.null)
    };
    let activities = cell.activities.iter().filter(|(_, activity)| wanted(activity));
    let found = activities.map(|(number, activity)| Found {
        what: Leftover::Activity(cell.activity_id(*number)),
        services: services(cell, activity),
        attached: entity_ids(cell, activity),
        due: activity.suspended.as_ref().map(|suspended| suspended.until),
        note: match (activity.null, activity.ending, activity.suspended.is_some()) {
            _ if activity.mirror.is_some() => "mirror of another cell's activity",
            (_, true, true) => "ends behind a suspended event",
            (_, true, false) => "ends",
            (_, false, true) => "an event of it is suspended",
            (true, false, false) => "null activity",
            (false, false, false) => "",
        },
    });
    found.collect()
}

fn entities(cell: &Cell, search: &Search) -> Vec<Found> {
    let is_attached =
        |root| cell.tree(root).any(|number| cell.attachments(number).next().is_some());
    let wanted = |number: &u32| !search.unattached || !is_attached(cell.root_of(*number));
    // One that was not created yet has events that wait for it, and nothing else.
    let unborn = cell.retries.keys().filter(|number| !cell.entities.contains_key(number));
    let numbers = cell.entities.keys().chain(unborn).copied().filter(wanted);
    let found = numbers.map(|number| {
        let (entity, retry) = (cell.entities.get(&number), cell.retries.get(&number));
        let of_entity = entity.map(|entity| &entity.service);
        let service = of_entity.or(retry.map(|retry| &retry.service));
        Found {
            what: Leftover::Entity(cell.entity_id(number)),
            services: service.cloned().into_iter().collect(),
            attached: activity_ids(cell, number),
            due: retry.map(|retry| retry.due),
            note: match (retry.is_some(), entity.is_some_and(|entity| entity.child.is_some())) {
                (true, _) => "events wait for it",
                (false, true) => "child",
                (false, false) => "",
            },
        }
    });
    found.collect()
}

fn timers(now: Timestamp, cell: &Cell, search: &Search) -> Vec<Found> {
    let wanted = |due: Timestamp| {
        (!search.overdue || now.since(due) >= OVERDUE)
            && search.due_after.is_none_or(|after| due > now + after)
    };
    let timers = cell.timers.iter().filter(|(_, armed)| wanted(armed.due));
    let found = timers.map(|((entity, timer), armed)| Found {
        what: Leftover::Timer(cell.entity_id(*entity), *timer),
        services: cell.entities.get(entity).map(|it| it.service.clone()).into_iter().collect(),
        attached: activity_ids(cell, *entity),
        due: Some(armed.due),
        note: match armed.course.as_ref().is_some_and(|course| course.period_us.is_some()) {
            true => "repeats",
            false => "",
        },
    });
    let is_wanted = |it: &Found| !search.unattached || it.attached.is_empty();
    found.filter(is_wanted).collect()
}

fn services(cell: &Cell, activity: &Activity) -> BTreeSet<String> {
    let service = |entity: &u32| cell.entities.get(entity).map(|it| it.service.clone());
    activity.attached.iter().filter_map(service).collect()
}

fn entity_ids(cell: &Cell, activity: &Activity) -> Vec<String> {
    activity.attached.iter().map(|entity| cell.entity_id(*entity).to_string()).collect()
}

fn activity_ids(cell: &Cell, entity: u32) -> Vec<String> {
    cell.attachments(entity).map(|activity| cell.activity_id(activity).to_string()).collect()
}
