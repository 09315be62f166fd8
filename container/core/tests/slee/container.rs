//! One node for a test: what it is told, the trace of what ran, and that nothing is left behind.
//!
//! After each step no entity, attachment, name or timer may be about what is not there. At the end
//! of a test all activities end, and then the container must be empty.

use crate::house::House;
use crate::script;
use resilee_core::management::{Changed, LeftoverPage, Notice, Removal, Search, TableChange};
use resilee_core::{Core, Input, Limits, StoreOp};
use std::collections::BTreeSet;
use std::time::Duration;

/// A container with the services of `toy.rs`.
pub struct Container {
    house: House,
    cells: BTreeSet<String>,
}

impl Container {
    /// A container in which nothing has happened.
    pub fn new() -> Self {
        Container::of(House::new())
    }

    /// A node with other limits.
    pub fn with_limits(limits: Limits) -> Self {
        Container::of(House::with_limits(limits))
    }

    fn of(mut house: House) -> Self {
        script::clear();
        house.hangs = script::does_hang;
        Container { house, cells: BTreeSet::new() }
    }

    /// A container with the cell `c1`, which has an activity and no entity.
    pub fn with_activity() -> Self {
        let mut container = Container::new();
        container.say("c1 start");
        container
    }

    /// The same, with a root entity of each service for which `begin` is initial: `alpha1`,
    /// `beta2`.
    pub fn begun() -> Self {
        let mut container = Container::with_activity();
        container.fire("begin", "begin");
        assert_eq!(container.trace(), ["alpha1 begin", "beta2 begin"]);
        container
    }

    /// The client says something, which is flushed at once.
    pub fn say(&mut self, text: &str) {
        self.cells.extend(text.split(' ').next().map(str::to_owned));
        self.house.say(text);
        self.house.flush();
        assert_eq!(self.house.core.inconsistencies(), Vec::<String>::new(), "after {text:?}");
    }

    /// The client says something, and nothing of it is flushed yet.
    pub fn say_unflushed(&mut self, text: &str) {
        self.cells.extend(text.split(' ').next().map(str::to_owned));
        self.house.say(text);
    }

    /// An event on the first activity of `c1`.
    pub fn fire(&mut self, event: &str, word: &str) {
        self.fire_on(1, event, word);
    }

    /// An event on an activity of `c1`.
    pub fn fire_on(&mut self, activity: u32, event: &str, word: &str) {
        self.say(&format!("c1 fire {event} {activity} {word}"));
    }

    /// A tick at which an SBB does something, with the trace of what ran.
    pub fn tick(&mut self, word: &str) -> Vec<String> {
        self.fire("tick", word);
        self.trace()
    }

    /// Ends an activity of `c1`.
    pub fn end(&mut self, activity: u32) {
        self.say(&format!("c1 end {activity}"));
    }

    /// Lets all be flushed that one cell after another says to the next.
    pub fn settle(&mut self) {
        for _ in 0..100 {
            self.house.flush();
        }
        assert_eq!(self.house.core.inconsistencies(), Vec::<String>::new());
        assert_eq!(self.house.core.loose_ties(), Vec::<String>::new());
    }

    /// What is overdue next was begun late: its answer is waited for so much longer.
    pub fn begins_late(&mut self, left: Duration) {
        self.house.early = Some(left);
    }

    /// What is overdue next is answered before anybody has said what became of it.
    pub fn answers_when_asked(&mut self) {
        self.house.answering = true;
        self.house.answers_when_asked = true;
    }

    pub fn pass_seconds(&mut self, seconds: u64) {
        self.house.pass_seconds(seconds);
        self.house.flush();
        assert_eq!(self.house.core.inconsistencies(), Vec::<String>::new());
    }

    /// `kill -9` and a start.
    pub fn restart(&mut self) {
        self.house.restart();
        self.house.flush();
        assert_eq!(self.house.core.inconsistencies(), Vec::<String>::new());
    }

    /// What ran since this was last asked.
    pub fn trace(&mut self) -> Vec<String> {
        script::take_trace()
    }

    /// What was sent since this was last asked.
    pub fn sent(&mut self) -> Vec<String> {
        self.house.sent()
    }

    /// Trace lines of services.
    pub fn service_trace(&self) -> Vec<String> {
        let text = |notice: &Notice| match notice {
            Notice::Trace { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.house.notices.iter().filter_map(text).collect()
    }

    /// Texts of raised alarms.
    pub fn alarms(&self) -> Vec<String> {
        alarms(&self.house.core, &self.house)
    }

    /// True if an alarm has these words.
    pub fn has_alarm(&self, words: &str) -> bool {
        self.alarms().iter().any(|text| text.contains(words))
    }

    /// How often something was dropped.
    pub fn dropped(&self, reason: &str) -> u64 {
        let status = self.house.core.status(self.house.now);
        status.dropped.get(reason).copied().unwrap_or(0)
    }

    /// Entities of a service.
    pub fn entities(&self, service: &str) -> Vec<u32> {
        let cells = self.house.core.cells(100);
        let entities = cells.iter().flat_map(|cell| &cell.entities);
        entities.filter(|entity| entity.service == service).map(|entity| entity.number).collect()
    }

    /// Bytes of the states of a service's entities.
    pub fn state_bytes(&self, service: &str) -> usize {
        let cells = self.house.core.cells(100);
        let entities = cells.iter().flat_map(|cell| &cell.entities);
        let of_service = entities.filter(|entity| entity.service == service);
        of_service.map(|entity| entity.state.bytes.len()).sum()
    }

    /// Records that were written to journals.
    pub fn records(&self) -> usize {
        let is_record = |op: &&StoreOp| matches!(op, StoreOp::Record { .. });
        self.house.written.iter().filter(is_record).count()
    }

    /// Activities of all cells.
    pub fn activities(&self) -> usize {
        let cells = self.house.core.cells(100);
        cells.iter().map(|cell| cell.activities.len()).sum()
    }

    /// Text id of the cell `c1`.
    pub fn cell(&self) -> String {
        self.house.core.cells(1)[0].id.clone()
    }

    /// What may be left over.
    pub fn leftovers(&self, search: &Search) -> LeftoverPage {
        self.house.core.leftovers(self.house.now, search)
    }

    /// An operator removes a part of `c1`, like `a1`; what became of it, if that is known.
    pub fn remove(&mut self, part: &str) -> Option<Changed> {
        let what = format!("{}/{part}", self.cell()).parse().expect("the id of a part");
        self.remove_of(Removal { what, by: "ann".to_owned(), again: false, orderly: false })
    }

    /// The same, as it was asked for.
    pub fn remove_of(&mut self, removal: Removal) -> Option<Changed> {
        let change = TableChange::Remove(removal);
        self.house.feed(Input::Change { token: 1, change });
        self.house.flush();
        let changed = self.house.changed.pop();
        assert_eq!(self.house.core.inconsistencies(), Vec::<String>::new());
        changed
    }

    /// What became of a change that was answered since.
    pub fn changed(&mut self) -> Option<Changed> {
        self.house.changed.pop()
    }

    /// What operators removed, with who they are.
    pub fn removals(&self) -> Vec<String> {
        let text = |notice: &Notice| match notice {
            Notice::Removed { what, by, .. } => Some(format!("{what} by {by}")),
            _ => None,
        };
        self.house.notices.iter().filter_map(text).collect()
    }

    /// How many deliveries were not answered in time.
    pub fn abandoned(&self) -> usize {
        self.house.abandoned.len()
    }

    /// Handlers never return from now on; or they do again.
    pub fn answers(&mut self, answers: bool) {
        self.house.answering = answers;
    }
}

fn alarms(core: &Core, house: &House) -> Vec<String> {
    core.status(house.now).alarms.into_iter().map(|alarm| alarm.text).collect()
}

impl Drop for Container {
    /// The leak check.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for text in self.alarms() {
            assert!(!text.contains("assertion"), "in a handler: {text}");
        }
        for cell in std::mem::take(&mut self.cells) {
            self.say(&format!("{cell} over"));
        }
        // Longer than anything waits here.
        self.pass_seconds(15);
        // What services raised outlives their calls.
        for alarm in self.house.core.status(self.house.now).alarms {
            let change = TableChange::ClearAlarm { id: alarm.id };
            self.house.feed(Input::Change { token: 2, change });
        }
        self.house.flush();
        let core = &self.house.core;
        let status = core.status(self.house.now);
        let entities: u64 = status.services.iter().map(|service| service.entities).sum();
        let left = (core.cells(10).len(), status.activities, entities, status.gated);
        assert_eq!(left, (0, 0, 0, 0), "cells, activities, entities, gated: {:?}", core.cells(10));
        assert!(self.house.disk_is_empty(), "{:?}", self.house.disk);
        assert_eq!(core.timers_set(), 0, "timers of what is over");
        assert_eq!(core.loose_ties(), Vec::<String>::new());
    }
}
