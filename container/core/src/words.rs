//! How cells of one node or of two tell each other what was posted, and what was heard.
//!
//! | a word                          | what happens                                               |
//! |---------------------------------|------------------------------------------------------------|
//! | of a turn                       | waits behind its cell's last commit, as messages do        |
//! | for a cell that is owned here   | goes into its inbox                                        |
//! | for a cell of another member    | goes with the next frame                                   |
//! | that nobody has answered        | is said again after [`REPEAT_AFTER`], by a new owner at    |
//! |                                 | once, and so when a link is up or the view has changed     |
//! | that asks whether the other end | is said each [`ASK_AFTER`], by a new owner at once, and    |
//! | of a tie is still there         | when the view has changed                                  |
//! | of a node that does not own the | is dropped: its owner says it again                        |
//! | cell which it is said for       |                                                            |
//! | for a cell that is at rest, is  | is dropped: it is said again                               |
//! | not owned here, or is full      |                                                            |
//!
//! Words may be lost, repeated and late: that is what ties are for (`ties.rs`).

use crate::cell::{Cell, CellInput};
use crate::commit::is_false;
use crate::core::Core;
use crate::link::FRAME_BYTES_MAX;
use crate::ties::{Channel, Opens, Post, ROOT_NAME_BYTES_MAX, RootName};
use crate::timers::Due;
use resilee_membership::{NodeName, PlantedFault, RunId};
use resilee_sbb::{CLUSTER_NAMES, CellId, CohortId, Severity, Timestamp, decode, encode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A word that nobody has answered is said again.
pub(crate) const REPEAT_AFTER: Duration = Duration::from_millis(500);
/// The same, if it may not be said now, since its cell's last commit is not held.
const NOT_HELD_AFTER: Duration = Duration::from_millis(20);
/// A cell asks so often whether the other ends of its ties are still there.
const ASK_AFTER: Duration = Duration::from_secs(60);
/// Words that wait for the next frame to one node; more are dropped, and said again.
const WORDS_MAX: usize = 4_096;

/// What one cell says to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Word {
    /// The tie that it is about.
    pub channel: Channel,
    /// The root at the tie's end.
    pub root: RootName,
    /// To the root; otherwise to the cell of the activity.
    pub to_root: bool,
    /// What is said.
    pub say: Say,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Say {
    /// Something to hear.
    Post {
        /// Grows along the posts of a tie.
        sequence: u32,
        /// Sequence of the one before, if that may not be heard yet.
        after: u32,
        post: Post,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opens: Option<Opens>,
        #[serde(default)]
        initial: bool,
    },
    /// All posts up to this sequence are heard.
    Heard {
        sequence: u32,
        /// The writer has no such tie (any more), or will have none as soon as the reader has none.
        over: bool,
        /// It is over since the root's service is quarantined in its cell.
        #[serde(default, skip_serializing_if = "is_false")]
        hung: bool,
    },
}

impl Word {
    /// The cohort of the cell that it is for.
    fn to(&self) -> CohortId {
        if self.to_root { CohortId::TABLES } else { self.channel.cell.cohort }
    }

    /// The cohort of the cell that says it.
    fn from(&self) -> CohortId {
        if self.to_root { self.channel.cell.cohort } else { CohortId::TABLES }
    }

    /// The answer that there is no such tie.
    pub fn answer_over(&self, sequence: u32) -> Word {
        let (channel, root) = (self.channel, self.root.clone());
        let say = Say::Heard { sequence, over: true, hung: false };
        Word { channel, root, to_root: !self.to_root, say }
    }
}

/// Root cells by their names, and words on their way.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Root cells that are known here.
    pub roots: BTreeMap<RootName, CellId>,
    /// Words that may leave.
    ready: VecDeque<Word>,
    /// Encoded words for other nodes.
    queues: BTreeMap<NodeName, VecDeque<ByteBuf>>,
}

impl Cell {
    /// After which time it says again what nobody has answered, or asks for other ends of its ties.
    pub fn says_again_after(&self) -> Option<Duration> {
        match self.has_outstanding_words() {
            true => Some(REPEAT_AFTER),
            false => (!self.ties.is_empty()).then_some(ASK_AFTER),
        }
    }
}

impl Words {
    /// As many words for a node as fit into a frame.
    pub fn take(&mut self, peer: &NodeName) -> Vec<ByteBuf> {
        let mut size = 0;
        let mut words = Vec::new();
        let Some(queue) = self.queues.get_mut(peer) else { return words };
        while size < FRAME_BYTES_MAX
            && let Some(word) = queue.pop_front()
        {
            size += word.len();
            words.push(word);
        }
        if queue.is_empty() {
            self.queues.remove(peer);
        }
        words
    }

    /// Nodes for which there are words.
    pub fn listeners(&self) -> impl Iterator<Item = &NodeName> {
        self.queues.keys()
    }

    /// The link to a node is gone.
    pub fn forget(&mut self, peer: &NodeName) {
        self.queues.remove(peer);
    }
}

impl Core {
    /// Says words when this commit is held, or now if it is.
    pub(crate) fn say_behind(&mut self, last_commit: u64, words: Vec<Word>) {
        if words.is_empty() {
            return;
        }
        match self.gate.is_closed(last_commit) {
            true => self.gate.behind(last_commit).words.extend(words),
            false => self.words.ready.extend(words),
        }
    }

    /// Words that waited may leave: they are carried when all else of this input is done.
    pub(crate) fn let_out(&mut self, words: Vec<Word>) {
        self.words.ready.extend(words);
    }

    /// Carries all words that may leave.
    pub(crate) fn carry_words(&mut self, now: Timestamp) {
        while let Some(word) = self.words.ready.pop_front() {
            match self.view.owner(word.to()).cloned() {
                _ if !self.is_member() => {}
                Some(owner) if owner != self.config.me => self.carry_to(&owner, &word),
                _ => self.take_word(now, word),
            }
        }
    }

    fn carry_to(&mut self, owner: &RunId, word: &Word) {
        let link = self.links.get(&owner.node);
        // Without a link it is said again when there is one.
        if link.is_some_and(|link| link.up && link.run.as_ref() == Some(owner)) {
            let queue = self.words.queues.entry(owner.node.clone()).or_default();
            if queue.len() < WORDS_MAX {
                queue.push_back(ByteBuf::from(encode(word).expect("plain data can be encoded")));
            } else {
                self.count_drop("word to another cell behind too many others");
            }
        }
    }

    /// Words of another node. Untrusted.
    pub(crate) fn on_words(&mut self, from: &RunId, view: u64, words: Vec<ByteBuf>) {
        for word in words {
            let word = decode::<Word>(&word).ok();
            let Some(word) = word.filter(|word| word.root.name.len() <= ROOT_NAME_BYTES_MAX) else {
                self.count_drop("word of another cell that cannot be read");
                continue;
            };
            // By a later view the reader may know neither cohort.
            let known = view <= self.view.number && self.is_member();
            let said_by_owner = self.view.owner(word.from()) == Some(from);
            let mine = self.view.owner(word.to()) == Some(&self.config.me);
            if known && said_by_owner && mine {
                self.words.ready.push_back(word);
            } else {
                self.count_drop("word between cells by another view");
            }
        }
    }

    fn take_word(&mut self, now: Timestamp, word: Word) {
        if self.rests(word.to()) {
            return;
        }
        if word.to_root {
            match self.words.roots.get(&word.root).copied() {
                Some(id) => self.enqueue(now, id, CellInput::Word(Box::new(word))),
                None => self.take_word_to_no_root(now, word),
            }
            return;
        }
        let id = word.channel.cell;
        if self.cells.contains_key(&id) {
            // Also if it has no such tie: what it says of itself holds, whatever a gap left.
            self.enqueue(now, id, CellInput::Word(Box::new(word)));
        } else if !self.may_be_lost(id.cohort) {
            // That it is over may not be held yet.
            let last = self.gate.last_commit();
            self.say_behind(last, vec![word.answer_over(0)]);
        }
    }

    fn take_word_to_no_root(&mut self, now: Timestamp, word: Word) {
        match word.say {
            // Its unit was removed while this was on its way.
            Say::Post { sequence, opens: Some(_), .. } if self.was_removed(&word.root.service) => {
                let last = self.gate.last_commit();
                self.say_behind(last, vec![word.answer_over(sequence)]);
            }
            // What is posted waits until it is deployed.
            Say::Post { opens: Some(_), .. } if !self.may_have_roots(&word.root.service) => {
                let text = "calls name its root entities, and it is not deployed here: deploy it";
                self.raise_alarm(now, Severity::Major, &word.root.service, text);
            }
            Say::Post { opens: Some(_), .. } => {
                let id = self.give_birth_to_root(now, &word.root);
                self.enqueue(now, id, CellInput::Word(Box::new(word)));
            }
            // The one before it, which has to come first, is said again.
            Say::Post { after: 1.., .. } => {}
            Say::Post { sequence, .. } => {
                let last = self.gate.last_commit();
                self.say_behind(last, vec![word.answer_over(sequence)]);
            }
            Say::Heard { over: false, .. } => {
                let last = self.gate.last_commit();
                self.say_behind(last, vec![word.answer_over(0)]);
            }
            Say::Heard { .. } => {}
        }
    }

    fn may_have_roots(&self, service: &str) -> bool {
        service == CLUSTER_NAMES || self.is_deployed(service)
    }

    /// A cell says again what is not answered yet.
    pub(crate) fn repeat_words(&mut self, now: Timestamp, id: CellId) {
        let Some(cell) = self.cells.get(&id).filter(|cell| cell.live) else { return };
        let mut after = cell.says_again_after();
        // What a running turn posts is not committed, nor held what is behind the gate.
        if cell.turn.is_some() || self.gate.is_closed(cell.last_commit) {
            after = after.map(|after| after.min(NOT_HELD_AFTER));
        } else {
            self.words.ready.extend(cell.outstanding_words());
            self.words.ready.extend(cell.questions());
        }
        self.timers.set(Due::Words(id), after.map(|after| now + after));
    }

    /// The cell is owned here from now on: it says again what nobody has answered, and asks whether
    /// the other ends of its ties are still there.
    pub(crate) fn adopt_ties(&mut self, now: Timestamp, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if self.planted.is(PlantedFault::ForgetPosts) {
            cell.posted.clear();
        }
        if cell.ties.is_empty() {
            return;
        }
        let (last, mut words) = (cell.last_commit, cell.outstanding_words());
        words.extend(cell.questions());
        self.timers.set(Due::Words(id), cell.says_again_after().map(|after| now + after));
        self.say_behind(last, words);
    }

    /// The end of a turn: what it posted or heard is told, and told again until it is answered.
    pub(crate) fn settle_ties(&mut self, now: Timestamp, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if !cell.settle_ties() {
            return;
        }
        self.forget_name(id);
        let Some(cell) = self.cells.get(&id) else { return };
        match cell.says_again_after() {
            Some(after) => self.timers.hasten(Due::Words(id), now + after),
            None => self.timers.set(Due::Words(id), None),
        }
    }

    /// Whoever is to be told something may be another node now, or in reach again.
    pub(crate) fn hurry_words(&mut self, now: Timestamp) {
        let waiting = self.timers.all().filter(|due| matches!(due, Due::Words(_)));
        for due in waiting.collect::<Vec<_>>() {
            self.timers.set(due, Some(now));
        }
    }
}
