//! The root's end of a tie: root cells, the mirrors of other cells' activities in them, and what a
//! root entity does with a mirror (`ties.rs`).

use crate::adaptors::{AdaptorId, CellKey};
use crate::cell::Cell;
use crate::commit::{Activity, Entity, Mirror, Part};
use crate::core::Core;
use crate::event_router::Audience;
use crate::limits::Limits;
use crate::resource_adaptor::Scope;
use crate::ties::{Opens, Post, Posted, RootName, Tie};
use crate::words::{Say, Word};
use resilee_membership::PlantedFault;
use resilee_sbb::{ActivityId, CellId, CohortId, Effect, Event, Severity, Timestamp};
use serde_bytes::ByteBuf;

impl Core {
    /// The cell of a root entity that is not there yet.
    pub(crate) fn give_birth_to_root(&mut self, now: Timestamp, root: &RootName) -> CellId {
        let id = self.next_cell_of(CohortId::TABLES);
        // No message leads here: its number will do as what they would share.
        let key = CellKey { adaptor: AdaptorId::FIRST, scope: Scope::Tables, key: id.number };
        let mut cell = Cell::born(id, key, now);
        cell.head.root = Some(Box::new(root.clone()));
        cell.committed = false;
        self.index.insert(key, id);
        self.words.roots.insert(root.clone(), id);
        self.cells.insert(id, cell);
        id
    }

    /// A turn: the activity's end of a tie said something.
    pub(crate) fn hear_activity(&mut self, now: Timestamp, id: CellId, word: Word) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let known = cell.tie_from(word.channel);
        match (word.say.clone(), known) {
            (Say::Heard { sequence, over, .. }, Some(number)) => {
                cell.forget_heard(number, sequence);
                if over {
                    cell.lose_far_end(number);
                }
            }
            (Say::Heard { over: false, .. }, None) => cell.say(word.answer_over(0)),
            (Say::Heard { .. }, None) => {}
            (Say::Post { sequence, after, post, opens, initial }, Some(number)) => {
                let twice = self.planted.is(PlantedFault::HearTwice);
                let Some(tie) = cell.ties.get_mut(&number) else { return };
                if !tie.done && (sequence > tie.heard && after <= tie.heard || twice) {
                    tie.heard = sequence.max(tie.heard);
                    self.route_on_mirror(id, number, post, initial || opens.is_some());
                } else if let Some(heard) = cell.word_of_heard(number) {
                    cell.say(heard);
                }
            }
            // A handler hung here, and this cell is over when its activities know. The post is not
            // heard, so that it is said again, to the next cell of that name.
            (Say::Post { opens: Some(_), .. }, None)
                if cell.head.quarantined.contains(&word.root.service) => {}
            (Say::Post { sequence, post, opens: Some(opens), .. }, None)
                if word.root.is_of_name() =>
            {
                self.hear_at_name(id, &word, (sequence, opens, post));
            }
            (Say::Post { sequence, post, opens: Some(opens), .. }, None) => {
                if let Some(full) = cell.is_full_of_mirrors(&word.root, &self.config.limits) {
                    cell.say(word.answer_over(sequence));
                    return self.refuse_mirror(now, &word.root, &full);
                }
                let number = cell.open_mirror(&word, sequence, opens);
                self.route_on_mirror(id, number, post, true);
            }
            (Say::Post { after: 1.., .. }, None) => {}
            (Say::Post { sequence, .. }, None) => cell.say(word.answer_over(sequence)),
        }
    }

    /// At the end of a turn: a handler of the cell's root entity hung, and all who were tied to it
    /// know. What an adaptor still has here goes on; who names the root gets another cell.
    pub(crate) fn free_hung_root(&mut self, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        let quarantined = &cell.head.quarantined;
        let is_hung = |root: &mut Box<RootName>| {
            quarantined.contains(&root.service) && cell.ties.values().all(|tie| tie.far.is_none())
        };
        let Some(root) = cell.head.root.take_if(is_hung) else { return };
        turn.touched.insert(Part::Head);
        if self.words.roots.get(&*root) == Some(&id) {
            self.words.roots.remove(&*root);
        }
    }

    fn refuse_mirror(&mut self, now: Timestamp, root: &RootName, full: &str) {
        self.count_drop("activity beyond those of one root entity");
        let name: String = root.name.chars().take(64).collect();
        let text = format!("the root entity {name:?} {full}: a further one is not tied to it");
        self.raise_alarm(now, Severity::Major, &root.service, &text);
    }

    /// What was posted is an event of this turn.
    fn route_on_mirror(&mut self, id: CellId, tie: u32, post: Post, initial: bool) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(mirror) = cell.ties.get(&tie).map(|tie| tie.activity) else { return };
        if initial {
            cell.attach_root(mirror);
        }
        let activity = cell.activity_id(mirror);
        let Some(turn) = cell.turn.as_mut() else { return };
        turn.touched.insert(Part::Tie(tie));
        match post {
            Post::Event { event_type, payload } => {
                let audience = if initial { Audience::Founding } else { Audience::All };
                let event = Event { event_type, activity, payload: payload.into_vec() };
                turn.events.push_back((event, audience));
            }
            Post::End => turn.ended.push_back(mirror),
            Post::Bind
            | Post::Pass { .. }
            | Post::Command { .. }
            | Post::Fire { .. }
            | Post::EndActivity => {
                self.count_drop("request of another cell for a root entity");
            }
        }
    }

    /// Posts what a delivery asked for, if it is about a mirror.
    pub(crate) fn post_effect(&mut self, id: CellId, effect: &Effect) -> bool {
        let Some(cell) = self.cells.get_mut(&id) else { return false };
        let Some((mirror, post)) = cell.post_of(effect) else { return false };
        let to = |tie: &Tie| tie.far.is_some() && !tie.done && tie.activity == mirror;
        let tie = cell.ties.iter().find(|(_, tie)| to(tie)).map(|(number, _)| *number);
        if let Some(tie) = tie {
            cell.post(Posted { tie, post, opens: None, initial: false });
        }
        true
    }
}

impl Cell {
    /// What it is full of, if no further activity of another cell may be tied to its root.
    fn is_full_of_mirrors(&self, root: &RootName, limits: &Limits) -> Option<String> {
        let mirrors = self.ties.values().filter(|tie| tie.far.is_some()).count();
        let (max, bytes_max) = (limits.mirrors_per_cell_max, limits.cell_bytes_max);
        if mirrors >= max {
            return Some(format!("has {max} activities of other cells"));
        }
        if self.is_used_up() {
            return Some("had activities of other cells until its numbers were used up".to_owned());
        }
        (!self.has_room_for_mirror(root, limits)).then(|| {
            format!("has {bytes_max} bytes and activities of other cells (limits.cell_bytes_max)")
        })
    }

    /// True if it is the cell of this root entity.
    pub fn is_of_root(&self, service: &str, name: &str) -> bool {
        let own = self.head.root.as_ref();
        own.is_some_and(|root| root.service == service && root.name == name)
    }

    /// Why a delivery is rolled back: it asks for more of activities in other cells than may wait.
    pub fn refuse_posts(&self, effects: &[Effect]) -> Option<String> {
        let size = |effect: &Effect| match effect {
            Effect::FireAtName { payload, .. } => Some(payload.len()),
            Effect::BindClusterName { .. } => Some(0),
            _ if self.ties.is_empty() => None,
            effect => Some(self.post_of(effect)?.1.size()),
        };
        let sizes: Vec<_> = effects.iter().filter_map(size).collect();
        let fits = sizes.is_empty() || self.has_room_for_posts(sizes.len(), sizes.iter().sum());
        (!fits).then(|| {
            "too much is asked of activities in other cells which have not heard what was asked \
             before: wait for their events"
                .to_owned()
        })
    }

    /// True for a mirror of another cell's activity.
    pub fn is_mirror(&self, activity: u32) -> bool {
        self.activities.get(&activity).is_some_and(|activity| activity.mirror.is_some())
    }

    pub fn say(&mut self, word: Word) {
        self.turn.iter_mut().for_each(|turn| turn.words.push(word.clone()));
    }

    pub fn open_mirror(&mut self, word: &Word, sequence: u32, opens: Opens) -> u32 {
        let Opens { activity, null } = opens;
        let of = ActivityId { cell: word.channel.cell, number: activity };
        let mirror = self.head.next_activity;
        self.head.next_activity += 1;
        let activity =
            Activity { mirror: Some(Box::new(Mirror { of, null })), ..Activity::default() };
        self.activities.insert(mirror, Box::new(activity));
        let number = self.next_post();
        let (root, far) = (word.root.clone(), Some(word.channel));
        let tie = Tie { activity: mirror, root, far, heard: sequence, done: false, binds: false };
        self.ties.insert(number, tie);
        if let Some(turn) = self.turn.as_mut() {
            turn.touched.extend([Part::Head, Part::Activity(mirror), Part::Tie(number)]);
        }
        number
    }

    /// A tie that is over as soon as it began: there is no mirror.
    pub fn open_passing(&mut self, word: &Word, heard: u32) {
        let number = self.next_post();
        let (root, far) = (word.root.clone(), Some(word.channel));
        let tie = Tie { activity: 0, root, far, heard, done: true, binds: false };
        self.ties.insert(number, tie);
        if let Some(turn) = self.turn.as_mut() {
            turn.touched.insert(Part::Tie(number));
        }
    }

    /// The root entity that is there gets the events of a mirror.
    fn attach_root(&mut self, mirror: u32) {
        let Some(root) = self.root_entity() else { return };
        let (Some(turn), Some(activity)) = (self.turn.as_mut(), self.activities.get_mut(&mirror))
        else {
            return;
        };
        if activity.attached.insert(root) {
            turn.touched.insert(Part::Activity(mirror));
        }
    }

    /// The entity that this root cell is about, if it is there.
    pub fn root_entity(&self) -> Option<u32> {
        let root = self.head.root.as_ref()?;
        let named = |entity: &Entity| {
            entity.service == root.service
                && entity.convergence_name.as_deref() == Some(root.name.as_str())
        };
        self.entities.iter().find(|(_, entity)| named(entity)).map(|(number, _)| *number)
    }

    /// The activity's cell has no such tie: the one here is forgotten, or its mirror ends.
    fn lose_far_end(&mut self, number: u32) {
        let Some(tie) = self.ties.get(&number) else { return };
        let (mirror, done) = (tie.activity, tie.done);
        if done {
            return self.forget_tie(number);
        }
        if let Some(turn) = self.turn.as_mut() {
            turn.touched.insert(Part::Tie(number));
            turn.ended.push_back(mirror);
        }
    }

    /// What an effect about a mirror is to its activity's cell.
    fn post_of(&self, effect: &Effect) -> Option<(u32, Post)> {
        let (mirror, post) = match effect {
            Effect::Command { activity, payload } if activity.cell == self.id => {
                let payload = ByteBuf::from(payload.clone());
                (activity.number, Post::Command { payload })
            }
            Effect::Fire { activity, event_type, payload } => {
                let (event_type, payload) = (event_type.clone(), ByteBuf::from(payload.clone()));
                (*activity, Post::Fire { event_type, payload })
            }
            Effect::EndActivity { activity } => (*activity, Post::EndActivity),
            _ => return None,
        };
        self.is_mirror(mirror).then_some((mirror, post))
    }
}
