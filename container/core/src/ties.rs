//! Ties between an activity and a root entity in another cell, and what waits to be told there.
//!
//! A service whose initial event selector names no activity context and no cell has one root entity
//! for each name in the cluster. It is in a *root cell*, in the cohort of the shared tables, whose
//! owner everybody knows. A *tie* is what an activity's cell and a root cell have of each other;
//! both keep their end of it as a part. In the root cell the activity has a *mirror*.
//!
//! | at the activity's cell            | what happens                                            |
//! |-----------------------------------|---------------------------------------------------------|
//! | a selector names a root           | a tie begins, and the event is posted on it             |
//! | a later event, or the activity's  | is posted on each tie of the activity                   |
//! | end                               |                                                         |
//! | a post of the root                | is carried out, once, as a part of a turn               |
//! | the mirror is over                | the tie ends; an initial event that the mirror has not  |
//! |                                   | heard begins another one                                |
//!
//! | at the root cell                  | what happens                                            |
//! |-----------------------------------|---------------------------------------------------------|
//! | the first post of a tie           | the mirror begins, and the root entity, if it is new    |
//! | the same, after a handler hung    | is not heard: it is said again, to the next root cell   |
//! | all ties are over, and a handler  | the cell is no root cell any more: its name is free,    |
//! | hung                              | whatever activities an adaptor still has in it          |
//! | a further post                    | is routed on the mirror, once, in order                 |
//! | a command, an event on the mirror | is posted to the activity's cell                        |
//! | nothing is attached to the mirror | the mirror is over, and its tie, once all is heard      |
//! | the activity's cell has no tie    | so is the one here: forgotten, or the mirror ends       |
//!
//! A post is a part of its cell, in the commit of the turn that caused it, until the other cell has
//! said that it heard it. So it is neither lost nor heard twice, whoever dies in between: what was
//! heard is a number in the tie, in the commit of the turn that heard it. A mirror that is over
//! leaves its tie behind, which knows a repeated first post, until the other end is gone as well.
//!
//! How words travel is in `words.rs`; what they do is in `forwarding.rs` and `mirrors.rs`.

use crate::cell::Cell;
use crate::commit::{Part, is_false};
use crate::words::{Say, Word};
use resilee_sbb::CellId;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Ties of the activities of one cell to others, whoever is tied to its own root; a root that is
/// named beyond gets nothing, with an alarm.
pub(crate) const TIES_PER_CELL_MAX: usize = 64;
/// Posts of one cell that nobody has heard yet. An event beyond is lost to the root, with an alarm;
/// a delivery that asks for one more rolls back.
pub(crate) const POSTED_PER_CELL_MAX: usize = 1_024;
/// Bytes of a convergence name of the cluster; a longer one has no root, with an alarm.
pub(crate) const ROOT_NAME_BYTES_MAX: usize = 1_024;
/// Bytes of the posts of one cell that nobody has heard yet.
pub(crate) const POSTED_BYTES_MAX: usize = 1024 * 1024;

/// Which root entity of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RootName {
    /// Its service.
    pub service: String,
    /// Its convergence name.
    pub name: String,
}

/// A tie, as both ends call it: the cell of the activity, and the tie's number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Channel {
    /// Cell of the activity.
    pub cell: CellId,
    /// Number of the tie in that cell; never given again.
    pub tie: u32,
}

/// One end of a tie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tie {
    /// The activity, or its mirror.
    pub activity: u32,
    /// The root.
    pub root: RootName,
    /// At the root cell: the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far: Option<Channel>,
    /// All posts of the other end up to this sequence are heard.
    #[serde(default)]
    pub heard: u32,
    /// At the activity's cell: the first post was made. At the root cell: the mirror is over.
    #[serde(default)]
    pub done: bool,
    /// At the activity's cell: it asks for a name.
    #[serde(default, skip_serializing_if = "is_false")]
    pub binds: bool,
}

/// What the other end of a tie is to hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted {
    /// Number of the tie here.
    pub tie: u32,
    /// What is to be heard.
    pub post: Post,
    /// It is the first one of its tie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Opens>,
    /// A selector named the root for this event.
    #[serde(default)]
    pub initial: bool,
}

/// What the first post of a tie says of its activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opens {
    /// Its number.
    pub activity: u32,
    /// It is a null activity.
    #[serde(default)]
    pub null: bool,
}

/// What one cell wants another one to hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Post {
    /// To the root: an event on the activity.
    Event { event_type: String, payload: ByteBuf },
    /// To the root: the activity is over.
    End,
    /// To the activity: a command to its resource adaptor.
    Command { payload: ByteBuf },
    /// To the activity: an event is fired on it.
    Fire { event_type: String, payload: ByteBuf },
    /// To the activity: it ends, being a null activity.
    EndActivity,
    /// To a name's cell: the activity asks for the name.
    Bind,
    /// To a name's cell: an event for the activity that has it.
    Pass { event_type: String, payload: ByteBuf },
}

impl Post {
    /// Bytes that it carries.
    pub fn size(&self) -> usize {
        match self {
            Post::Event { payload, .. }
            | Post::Fire { payload, .. }
            | Post::Pass { payload, .. }
            | Post::Command { payload } => payload.len(),
            Post::End | Post::EndActivity | Post::Bind => 0,
        }
    }
}

impl Cell {
    /// A number that no tie and no post of this cell has had.
    pub fn next_post(&mut self) -> u32 {
        self.head.posted = self.head.posted.saturating_add(1);
        if let Some(turn) = self.turn.as_mut() {
            turn.touched.insert(Part::Head);
        }
        self.head.posted
    }

    /// Keeps a post until it is heard.
    pub fn post(&mut self, posted: Posted) {
        let number = self.next_post();
        self.posted.insert(number, posted);
        if let Some(turn) = self.turn.as_mut() {
            turn.touched.insert(Part::Posted(number));
        }
    }

    /// True if that many posts more, of so many bytes, may wait.
    pub fn has_room_for_posts(&self, posts: usize, bytes: usize) -> bool {
        let waiting: usize = self.posted.values().map(|posted| posted.post.size()).sum();
        self.posted.len() + posts <= POSTED_PER_CELL_MAX && waiting + bytes <= POSTED_BYTES_MAX
    }

    /// Posts of a tie that are not heard yet.
    pub fn posted_on(&self, tie: u32) -> impl Iterator<Item = (u32, &Posted)> {
        let on_tie = move |(_, posted): &(&u32, &Posted)| posted.tie == tie;
        self.posted.iter().filter(on_tie).map(|(number, posted)| (*number, posted))
    }

    /// Ties that begin here: those of other cells' activities to its own root, or name, are not.
    pub fn own_ties(&self) -> usize {
        self.ties.values().filter(|tie| tie.far.is_none()).count()
    }

    /// The tie of an activity to a root.
    pub fn tie_to(&self, activity: u32, root: &RootName) -> Option<u32> {
        let same = |(_, tie): &(&u32, &Tie)| {
            tie.far.is_none() && tie.activity == activity && tie.root == *root
        };
        self.ties.iter().find(same).map(|(number, _)| *number)
    }

    /// True if an activity is tied to a root entity of the service.
    pub fn is_tied_to(&self, service: &str, activity: u32) -> bool {
        let to = |tie: &Tie| tie.far.is_none() && tie.activity == activity;
        self.ties.values().any(|tie| to(tie) && tie.root.service == service)
    }

    /// Ties of an activity to roots, which hear its events; and to names, which hear its end.
    pub fn ties_of(&self, activity: u32, ends: bool) -> Vec<u32> {
        let hears = |tie: &Tie| !tie.root.is_of_name() || (ends && tie.binds);
        let of = |tie: &Tie| tie.far.is_none() && tie.activity == activity && hears(tie);
        self.ties.iter().filter(|(_, tie)| of(tie)).map(|(number, _)| *number).collect()
    }

    /// The tie here whose other end is this one.
    pub fn tie_from(&self, far: Channel) -> Option<u32> {
        let same = |(_, tie): &(&u32, &Tie)| tie.far == Some(far);
        self.ties.iter().find(same).map(|(number, _)| *number)
    }

    /// All that the other ends of this cell's ties are still to be told.
    pub fn outstanding_words(&self) -> Vec<Word> {
        let posts = self.posted.keys().filter_map(|number| self.word_of_post(*number));
        let over = self.ties.iter().filter(|(_, tie)| tie.far.is_some() && tie.done);
        posts.chain(over.filter_map(|(number, _)| self.word_of_heard(*number))).collect()
    }

    /// What asks whether the other ends of this cell's ties are still there: of each that is known
    /// to have been there.
    pub fn questions(&self) -> Vec<Word> {
        let was_there = |number: u32, tie: &Tie| match tie.far {
            Some(_) => !tie.done,
            None => tie.done && !self.posted_on(number).any(|(_, posted)| posted.opens.is_some()),
        };
        let asked = self.ties.iter().filter(|(number, tie)| was_there(**number, tie));
        asked.filter_map(|(number, _)| self.word_of_heard(*number)).collect()
    }

    /// True if something is still to be told.
    pub fn has_outstanding_words(&self) -> bool {
        !self.posted.is_empty() || self.ties.values().any(|tie| tie.far.is_some() && tie.done)
    }

    /// What tells a post.
    pub fn word_of_post(&self, sequence: u32) -> Option<Word> {
        let Posted { tie, post, opens, initial } = self.posted.get(&sequence)?.clone();
        let before = self.posted.range(..sequence).rev().find(|(_, it)| it.tie == tie);
        let after = before.map_or(0, |(number, _)| *number);
        self.word(tie, Say::Post { sequence, after, post, opens, initial })
    }

    /// What tells how far the other end's posts are heard.
    pub fn word_of_heard(&self, number: u32) -> Option<Word> {
        let tie = self.ties.get(&number)?;
        let over = tie.far.is_some() && tie.done && self.posted_on(number).next().is_none();
        let hung = over && self.head.quarantined.contains(&tie.root.service);
        self.word(number, Say::Heard { sequence: tie.heard, over, hung })
    }

    fn word(&self, number: u32, say: Say) -> Option<Word> {
        let tie = self.ties.get(&number)?;
        let channel = tie.far.unwrap_or(Channel { cell: self.id, tie: number });
        Some(Word { channel, root: tie.root.clone(), to_root: tie.far.is_none(), say })
    }

    /// The other end has heard posts of a tie: they wait no more.
    pub fn forget_heard(&mut self, tie: u32, sequence: u32) {
        let Some(turn) = self.turn.as_mut() else { return };
        self.posted.retain(|number, posted| {
            let heard = posted.tie == tie && *number <= sequence;
            if heard {
                turn.touched.insert(Part::Posted(*number));
            }
            !heard
        });
    }

    /// A tie is no more, nor what was posted on it.
    pub fn forget_tie(&mut self, tie: u32) {
        self.forget_heard(tie, u32::MAX);
        if let (Some(turn), Some(known)) = (self.turn.as_mut(), self.ties.remove(&tie)) {
            turn.touched.insert(Part::Tie(tie));
            turn.released.insert(known.activity);
        }
    }

    /// The end of a turn: a mirror to which nothing is attached is over. What the turn posted or
    /// heard is to be told. True if it posted or heard anything.
    pub fn settle_ties(&mut self) -> bool {
        self.end_idle_mirrors();
        let Some(turn) = self.turn.as_ref() else { return false };
        let touched: Vec<_> = turn.touched.range(Part::Tie(0)..).copied().collect();
        let words: Vec<_> = touched
            .iter()
            .filter_map(|part| match part {
                Part::Posted(number) => self.word_of_post(*number),
                Part::Tie(number) => {
                    let tie = self.ties.get(number)?;
                    let says = tie.far.is_some() || tie.heard > 0;
                    says.then(|| self.word_of_heard(*number)).flatten()
                }
                _ => None,
            })
            .collect();
        let Some(turn) = self.turn.as_mut() else { return false };
        turn.words.extend(words);
        !touched.is_empty()
    }

    fn end_idle_mirrors(&mut self) {
        let mirrors = self.ties.iter().filter(|(_, tie)| tie.far.is_some() && !tie.done);
        let of_name = self.head.root.as_ref().is_some_and(|root| root.is_of_name());
        let ends = |number: &u32| match self.activities.get(number) {
            None => true,
            Some(mirror) => {
                let waits = self.retries.values().any(|retry| retry.is_about(*number));
                let idle = mirror.attached.is_empty() && mirror.suspended.is_none();
                idle && !waits && !of_name
            }
        };
        let over = mirrors.filter(|(_, tie)| ends(&tie.activity));
        for (number, mirror) in over.map(|(n, tie)| (*n, tie.activity)).collect::<Vec<_>>() {
            let Some(turn) = self.turn.as_mut() else { return };
            if self.activities.remove(&mirror).is_some() {
                turn.touched.insert(Part::Activity(mirror));
            }
            if let Some(tie) = self.ties.get_mut(&number) {
                tie.done = true;
                turn.touched.insert(Part::Tie(number));
            }
        }
    }
}
