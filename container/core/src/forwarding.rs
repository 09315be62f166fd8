//! The activity's end of a tie: what its events are to a root entity in another cell, and what that
//! entity does with the activity (`ties.rs`).

use crate::alarms::sources;
use crate::cell::Cell;
use crate::commit::Part;
use crate::core::Core;
use crate::event_router::Audience;
use crate::ties::{Opens, Post, Posted, ROOT_NAME_BYTES_MAX, RootName, TIES_PER_CELL_MAX, Tie};
use crate::words::{Say, Word};
use resilee_membership::PlantedFault;
use resilee_sbb::{ActivityEnd, ActivityId, CellId, Event, EventPayload, Severity, Timestamp};
use serde_bytes::ByteBuf;

/// Why an event is not told to a root entity in another cell.
const NO_NUMBERS: &str = "the call has had so many events that there are no more numbers for them";
const NO_ROOM: &str = "too many events wait until that cell hears them";

impl Core {
    /// A selector named a root entity of the cluster for the event that is being routed.
    pub(crate) fn tie_to_root(&mut self, now: Timestamp, id: CellId, service: usize, name: String) {
        if name.len() > ROOT_NAME_BYTES_MAX {
            let text = format!("a convergence name has {ROOT_NAME_BYTES_MAX} bytes at most");
            return self.raise_alarm(now, Severity::Major, self.services[service].name, &text);
        }
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let routing = cell.turn.as_ref().and_then(|turn| turn.current.as_ref());
        let Some(activity) = routing.map(|routing| routing.event.activity.number) else { return };
        let root = RootName { service: self.services[service].name.to_owned(), name };
        let known = cell.tie_to(activity, &root);
        // A service that stops starts nothing new; whether the root is there only its cell knows.
        let entrance = &self.life_cycles.entrances[service];
        if known.is_none() && !entrance.admits(cell, activity) {
            return cell.decline(!entrance.open);
        }
        if self.has_tie(now, id, activity, &root) {
            let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
            let routing = turn.and_then(|turn| turn.current.as_mut());
            routing.into_iter().for_each(|routing| routing.named.extend([root.clone()]));
        }
    }

    /// True if an activity is tied to a root entity: a tie begins, unless there is one, or there
    /// are too many.
    fn has_tie(&mut self, now: Timestamp, id: CellId, activity: u32, root: &RootName) -> bool {
        let Some(cell) = self.cells.get_mut(&id) else { return false };
        if cell.tie_to(activity, root).is_some() {
            return true;
        }
        if cell.own_ties() >= TIES_PER_CELL_MAX {
            let text = format!(
                "call {id} has {TIES_PER_CELL_MAX} ties to root entities of other cells: a further \
                 one gets nothing of it"
            );
            self.count_drop("tie beyond those of one cell");
            self.raise_alarm(now, Severity::Major, &root.service, &text);
            return false;
        }
        cell.begin_tie(activity, root.clone());
        true
    }

    /// All entities of the cell had the event: the roots that its activity is tied to get it. True
    /// if there is one that does.
    pub(crate) fn forward(&mut self, now: Timestamp, id: CellId) -> bool {
        let Some(cell) = self.cells.get(&id) else { return false };
        let Some(routing) = cell.turn.as_ref().and_then(|turn| turn.current.as_ref()) else {
            return false;
        };
        let is_untied = cell.ties.is_empty() && routing.named.is_empty();
        if !routing.audience.is_all() || is_untied {
            return false;
        }
        let (event, named) = (routing.event.clone(), routing.named.clone());
        let number = event.activity.number;
        // While it was suspended, a root that was named for it may have left.
        for root in &named {
            self.has_tie(now, id, number, root);
        }
        let Some(cell) = self.cells.get_mut(&id) else { return false };
        let known = cell.activities.get(&number);
        let ends = event.event_type == ActivityEnd::TYPE && known.is_some_and(|it| it.ending);
        let null = known.is_some_and(|activity| activity.null);
        let mut forwarded = false;
        for tie in cell.ties_of(number, ends) {
            // A service of which a handler hung gets nothing more of it but its end.
            let root = self.cells.get(&id).and_then(|cell| Some(&cell.ties.get(&tie)?.root));
            let hung = root.is_some_and(|root| self.has_hung(id, number, &root.service));
            if hung && !ends {
                continue;
            }
            let post = match ends {
                true => Post::End,
                false => Post::Event {
                    event_type: event.event_type.clone(),
                    payload: ByteBuf::from(event.payload.clone()),
                },
            };
            let Some(cell) = self.cells.get_mut(&id) else { break };
            // That it is over can always be said.
            let has_room = cell.has_room_for_posts(1, post.size());
            let lacks = cell.is_used_up().then_some(NO_NUMBERS);
            if let Some(lacks) = lacks.or((!has_room).then_some(NO_ROOM)).filter(|_| !ends) {
                self.lose_post(now, id, &event, lacks);
                continue;
            }
            let Some(turn) = cell.turn.as_mut() else { break };
            let Some(known) = cell.ties.get_mut(&tie) else { continue };
            let opens = (!known.done).then_some(Opens { activity: number, null });
            if opens.is_some() {
                known.done = true;
                turn.touched.insert(Part::Tie(tie));
            }
            let initial = named.contains(&known.root);
            cell.post(Posted { tie, post, opens, initial });
            forwarded = true;
        }
        forwarded
    }

    /// True if a handler of a service hung in a cell, or in a root cell that had the activity.
    fn has_hung(&self, id: CellId, activity: u32, service: &str) -> bool {
        self.cells.get(&id).is_some_and(|cell| {
            let known = cell.activities.get(&activity);
            cell.head.quarantined.contains(service)
                || known.is_some_and(|known| known.hung_roots.contains(service))
        })
    }

    fn lose_post(&mut self, now: Timestamp, id: CellId, event: &Event, why: &str) {
        self.count_drop("event for another cell beyond those that may wait");
        let text = format!(
            "{} of call {id} is lost to a root entity in another cell: {why}",
            event.event_type
        );
        self.raise_alarm(now, Severity::Major, sources::SLEE, &text);
    }

    /// A turn: the root's end of a tie said something.
    pub(crate) fn hear_root(&mut self, now: Timestamp, id: CellId, word: Word) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let Some(turn) = cell.turn.as_mut() else { return };
        let number = word.channel.tie;
        let Some(tie) = cell.ties.get_mut(&number).filter(|tie| tie.far.is_none()) else {
            return turn.words.push(word.answer_over(0));
        };
        match word.say {
            Say::Heard { sequence, over, hung } => {
                cell.forget_heard(number, sequence);
                if over {
                    if hung {
                        cell.note_hung_root(number);
                    }
                    cell.end_tie(number);
                    let turn = cell.turn.as_mut();
                    let answer = word.answer_over(0);
                    turn.into_iter().for_each(|turn| turn.words.push(answer.clone()));
                }
            }
            Say::Post { sequence, after, post, .. } => {
                let twice = self.planted.is(PlantedFault::HearTwice);
                if sequence > tie.heard && after <= tie.heard || twice {
                    tie.heard = sequence.max(tie.heard);
                    turn.touched.insert(Part::Tie(number));
                    let (activity, service) = (tie.activity, tie.root.service.clone());
                    self.carry_out_post(now, id, activity, &service, post);
                } else if let Some(heard) = cell.word_of_heard(number) {
                    let turn = cell.turn.as_mut();
                    turn.into_iter().for_each(|turn| turn.words.push(heard.clone()));
                }
            }
        }
    }

    /// What a root entity wants of an activity is done here.
    fn carry_out_post(
        &mut self,
        now: Timestamp,
        id: CellId,
        number: u32,
        service: &str,
        post: Post,
    ) {
        let activity = ActivityId { cell: id, number };
        let known = self.cells.get(&id).and_then(|cell| cell.activities.get(&number));
        let null = known.map(|activity| activity.null);
        let open = known.is_some_and(|activity| !activity.ending);
        match post {
            Post::Command { payload } if null == Some(false) => {
                let result = self.activity_step(now, activity, |adaptor, endpoint| {
                    adaptor.command(endpoint, activity, &payload)
                });
                if let Some(Err(failure)) = result {
                    let text = format!("command refused: {failure}");
                    self.raise_alarm(now, Severity::Minor, service, &text);
                }
            }
            Post::Fire { event_type, payload } if open => {
                let event = Event { event_type, activity, payload: payload.into_vec() };
                let turn = self.cells.get_mut(&id).and_then(|cell| cell.turn.as_mut());
                turn.into_iter().for_each(|turn| {
                    turn.events.push_back((event.clone(), Audience::All));
                });
            }
            Post::EndActivity if open && null == Some(true) => {
                let Some(cell) = self.cells.get_mut(&id) else { return };
                let Some(turn) = cell.turn.as_mut() else { return };
                turn.ended.push_back(number);
                turn.touched.insert(Part::Activity(number));
                let known = cell.activities.get_mut(&number);
                known.into_iter().for_each(|activity| activity.ending = true);
            }
            _ => self.count_drop("request of another cell for an activity that is over"),
        }
    }
}

impl Cell {
    /// A selector named a root entity that is not started; `closed`: its service takes nothing now.
    pub fn decline(&mut self, closed: bool) {
        let routing = self.turn.as_mut().and_then(|turn| turn.current.as_mut());
        routing.into_iter().for_each(|routing| routing.declined |= closed);
    }

    pub fn begin_tie(&mut self, activity: u32, root: RootName) -> u32 {
        let number = self.next_post();
        self.ties
            .insert(number, Tie { activity, root, far: None, heard: 0, done: false, binds: false });
        if let Some(turn) = self.turn.as_mut() {
            turn.touched.insert(Part::Tie(number));
        }
        number
    }

    /// A handler of the root hung: its service gets nothing of the activity any more, not what is
    /// still posted either.
    fn note_hung_root(&mut self, number: u32) {
        self.forget_heard(number, u32::MAX);
        let Some(Tie { activity, root, .. }) = self.ties.get(&number) else { return };
        let (Some(known), Some(turn)) = (self.activities.get_mut(activity), self.turn.as_mut())
        else {
            return;
        };
        known.hung_roots.insert(root.service.clone());
        turn.touched.insert(Part::Activity(*activity));
    }

    /// The root's end is over. What is still posted it has not heard, and will not: from the first
    /// event on for which a selector named the root another tie begins.
    fn end_tie(&mut self, number: u32) {
        let unheard: Vec<_> = self.posted_on(number).map(|(_, posted)| posted.clone()).collect();
        let Some(tie) = self.ties.get(&number).cloned() else { return };
        self.forget_tie(number);
        self.hear_taken(&tie);
        let Tie { activity, root, .. } = tie;
        let mut unheard = unheard.into_iter().skip_while(|posted| !posted.initial);
        let Some(first) = unheard.next() else { return };
        let null = self.activities.get(&activity).is_some_and(|activity| activity.null);
        let tie = self.begin_tie(activity, root);
        self.ties.get_mut(&tie).into_iter().for_each(|tie| tie.done = true);
        let opens = Some(Opens { activity, null });
        self.post(Posted { tie, opens, ..first });
        for posted in unheard {
            self.post(Posted { tie, ..posted });
        }
    }
}
