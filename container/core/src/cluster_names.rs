//! Names of activities in the whole cluster: each has a *name cell*, a root cell without a root
//! entity, in which the activity that has the name has a mirror (`ties.rs`).
//!
//! | at the activity's cell  | what happens                                                      |
//! |-------------------------|-------------------------------------------------------------------|
//! | a name is asked for     | a tie to the name's cell begins                                   |
//! | the name is taken away, | that is posted on the tie                                         |
//! | or the activity ends    |                                                                   |
//! | an event is for a name  | it is posted on a tie of its own to the name's cell               |
//! | the tie is over         | if nothing was heard on it, the activity hears that it is taken   |
//!
//! | at the name's cell      | what happens                                                      |
//! |-------------------------|-------------------------------------------------------------------|
//! | the name is asked for   | nobody has it: a mirror, and a row for who looks it up; else the  |
//! |                         | tie is over                                                       |
//! | it is taken away, or    | the row goes with the mirror                                      |
//! | the activity ended, or  |                                                                   |
//! | an operator removes it  |                                                                   |
//! | an event is for it      | is posted to the activity that has the name                       |
//!
//! The row is written by the turn that decides, so that who reads it reads what holds.

use crate::cell::Cell;
use crate::commit::Mirror;
use crate::core::Core;
use crate::event_router::Audience;
use crate::ties::{Opens, Post, Posted, RootName, TIES_PER_CELL_MAX, Tie};
use crate::words::Word;
use resilee_membership::PlantedFault;
use resilee_sbb::{
    ActivityId, CLUSTER_NAMES, CellId, Effect, Event, EventPayload, NameBound, NameTaken, encode,
};
use serde_bytes::ByteBuf;

impl RootName {
    /// The cell of a name.
    pub fn of_name(name: &str) -> Self {
        RootName { service: CLUSTER_NAMES.to_owned(), name: name.to_owned() }
    }

    /// True for the cell of a name, which has no root entity.
    pub fn is_of_name(&self) -> bool {
        self.service == CLUSTER_NAMES
    }
}

impl Cell {
    /// Carries out what a delivery asked for about names in the cluster.
    pub fn ask_for_name(&mut self, effect: Effect) {
        let (activity, name, post) = match effect {
            Effect::BindClusterName { activity, name } => (activity, name, Post::Bind),
            Effect::FireAtName { activity, name, event_type, payload } => {
                let payload = ByteBuf::from(payload);
                (activity, name, Post::Pass { event_type, payload })
            }
            Effect::UnbindClusterName { name } => return self.give_name_back(&name),
            _ => return,
        };
        let tie = self.begin_tie(activity, RootName::of_name(&name));
        if let Some(tie) = self.ties.get_mut(&tie) {
            (tie.done, tie.binds) = (true, post == Post::Bind);
        }
        let opens = Some(Opens { activity, null: false });
        self.post(Posted { tie, post, opens, initial: false });
    }

    fn give_name_back(&mut self, name: &str) {
        let root = RootName::of_name(name);
        let binds = |tie: &Tie| tie.far.is_none() && tie.binds && tie.root == root;
        let tie = self.ties.iter().find(|(_, tie)| binds(tie)).map(|(number, _)| *number);
        if let Some(tie) = tie {
            self.post(Posted { tie, post: Post::End, opens: None, initial: false });
        }
    }

    /// Why a delivery is rolled back: it asks for more names than a cell may.
    pub fn refuse_names(&self, effects: &[Effect]) -> Option<String> {
        let asks = |effect: &&Effect| {
            matches!(effect, Effect::BindClusterName { .. } | Effect::FireAtName { .. })
        };
        let asked = effects.iter().filter(asks).count();
        (asked > 0 && self.own_ties() + asked > TIES_PER_CELL_MAX).then(|| {
            format!("a cell has {TIES_PER_CELL_MAX} ties to names and root entities at most")
        })
    }

    /// The name that this cell is about, if it is a name's cell.
    pub fn name_in_cluster(&self) -> Option<&str> {
        let root = self.head.root.as_ref().filter(|root| root.is_of_name());
        root.map(|root| root.name.as_str())
    }

    /// The activity that has this cell's name, and its mirror here.
    pub fn named(&self) -> Option<(u32, Mirror)> {
        let mirror = self.ties.get(&self.holder()?)?.activity;
        Some((mirror, **self.activities.get(&mirror)?.mirror.as_ref()?))
    }

    /// The tie of the activity that has this cell's name.
    fn holder(&self) -> Option<u32> {
        let holds = |tie: &Tie| tie.far.is_some() && !tie.done;
        self.ties.iter().find(|(_, tie)| holds(tie)).map(|(number, _)| *number)
    }

    /// The end of the tie by which a name was asked for: nothing was heard on it, so it is taken.
    pub fn hear_taken(&mut self, tie: &Tie) {
        let is_open = self.activities.get(&tie.activity).is_some_and(|activity| !activity.ending);
        if tie.binds && tie.heard == 0 && is_open {
            let activity = ActivityId { cell: self.id, number: tie.activity };
            let taken = Event::new(activity, &NameTaken { name: tie.root.name.clone() });
            let taken = taken.expect("plain data can be encoded");
            self.turn.iter_mut().for_each(|turn| {
                turn.events.push_back((taken.clone(), Audience::All));
            });
        }
    }
}

impl Core {
    /// At a name's cell: the first post of a tie.
    pub(crate) fn hear_at_name(&mut self, id: CellId, word: &Word, first: (u32, Opens, Post)) {
        let (sequence, opens, post) = first;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let holder = cell.holder();
        if cell.is_used_up() {
            cell.say(word.answer_over(sequence));
            return self.count_drop("event for a name that has had too many");
        }
        match post {
            Post::Bind if holder.is_some() => cell.say(word.answer_over(sequence)),
            Post::Bind => {
                let tie = cell.open_mirror(word, sequence, opens);
                let name = word.root.name.clone();
                let payload = encode(&NameBound { name: name.clone() });
                let payload = ByteBuf::from(payload.expect("plain data can be encoded"));
                let post = Post::Fire { event_type: NameBound::TYPE.to_owned(), payload };
                cell.post(Posted { tie, post, opens: None, initial: false });
                let of = ActivityId { cell: word.channel.cell, number: opens.activity };
                let row = encode(&of).expect("plain data can be encoded");
                self.put_row(id, CLUSTER_NAMES.to_owned(), name, Some(row));
            }
            Post::Pass { event_type, payload } => {
                // Not heard: it is said again when there may be room.
                if holder.is_some() && !cell.has_room_for_posts(1, payload.len()) {
                    return self.count_drop("event for a name behind too many others");
                }
                // Its tie is over at once, and knows the same post if it comes again.
                cell.open_passing(word, sequence);
                match holder {
                    Some(tie) => {
                        let post = Post::Fire { event_type, payload };
                        cell.post(Posted { tie, post, opens: None, initial: false });
                    }
                    None => self.count_drop("event for a name that nobody has"),
                }
            }
            _ => cell.say(word.answer_over(sequence)),
        }
    }

    /// At the end of a turn of a name's cell: if nobody has the name, nobody finds it any more,
    /// whatever took the mirror away.
    pub(crate) fn forget_name(&mut self, id: CellId) {
        if self.planted.is(PlantedFault::KeepName) {
            return;
        }
        let Some(cell) = self.cells.get(&id) else { return };
        let Some(name) = cell.name_in_cluster().filter(|_| cell.holder().is_none()) else { return };
        if self.tables_in_turn(id).get(CLUSTER_NAMES, name).is_some() {
            let name = name.to_owned();
            self.put_row(id, CLUSTER_NAMES.to_owned(), name, None);
        }
    }
}
