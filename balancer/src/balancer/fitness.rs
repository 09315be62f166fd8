//! Whether one of two balancers could serve clients. If it says that it could not, nodes move the
//! seat to the other one, if that one could (`member/seats.rs` of `resilee-membership`).
//!
//! | it                                           | and so                                      |
//! |----------------------------------------------|---------------------------------------------|
//! | begins, and has not looked yet               | is unfit; after a good look it is not       |
//! | serves, and its addresses are refused        | is unfit after [`ADDED`] or [`MOVED`]       |
//! | stands by, and could not take them           | the same                                    |
//! | has no carrier there                         | is unfit after [`CARRIER`]                  |
//! | cannot store its vote                        | is unfit after [`STORED`]                   |
//! | is unfit, and then where clients are         | is fit at once, if it stores its votes      |
//! | is unfit, and nothing is known to be wrong   | is fit after a rest                         |
//! | rests so, and would see what was wrong       | says that, to serve if the other one cannot |
//!
//! Who stands by sees that its cable is back, or its port free, but beside keepalived not whether
//! it would get the address. So the rest is short after what was seen, and else long. It takes
//! twice as long each time: of two that are both refused the seat goes from one to the other ever
//! more seldom. After [`GOOD`] as one that is fit, rests begin at the first one again.
//!
//! A lease that flickers hides from it whether it is refused still: what refuses it again within
//! the patience has done so all the time.
//!
//! Not here: what is refused and why (`shell`), and who says it to the nodes (`pair.rs`).

use crate::boundary::Pair;
use resilee_membership::Readiness;
use resilee_sbb::Timestamp;
use std::time::Duration;

/// So long addresses may be refused that the balancer adds itself.
const ADDED: Duration = Duration::from_secs(1);

/// So long they may be elsewhere, if another program moves them. keepalived asks once a second who
/// forwards, and it may have to wait for a curl and for its own peer.
const MOVED: Duration = Duration::from_secs(5);

/// So long there may be no carrier. It is seen at once, by who stands by as well, and clients reach
/// nothing meanwhile; a plug that is moved has none for a shorter time.
const CARRIER: Duration = Duration::from_millis(100);

/// So long a vote may take to be stored, once that has failed.
const STORED: Duration = Duration::from_secs(1);

/// The first rest after what can be seen, and after all else.
const REST_OF_SEEN: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(10);

/// So often it is doubled at most: to 64 s and 640 s.
const DOUBLED_MAX: u32 = 6;

/// After so long as a fit one, what was before counts no more.
const GOOD: Duration = Duration::from_secs(60);

/// What is wrong.
#[derive(Debug)]
struct Fault {
    why: String,
    since: Timestamp,
    /// So long it may last.
    patience: Duration,
    /// Nothing is known of it since then: it may be wrong still.
    unknown_since: Option<Timestamp>,
}

impl Fault {
    /// What is still wrong, or again before anybody knew that it was over, is so since it began.
    fn note(&mut self, now: Timestamp, why: &str, patience: Duration) {
        if self.unknown_since.take().is_some_and(|since| now.since(since) >= patience) {
            self.since = now;
        }
        why.clone_into(&mut self.why);
        self.patience = patience;
    }

    fn is_known(&self) -> bool {
        self.unknown_since.is_none()
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.is_known() && now.since(self.since) >= self.patience
    }
}

/// Whether it has looked yet, since it began, what keeps it from where clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstLook {
    Awaited,
    /// Just now.
    Taken,
    Over,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Fitness {
    patience: Duration,
    /// What keeps it from where clients are.
    place: Option<Fault>,
    /// What keeps votes from being stored.
    store: Option<Fault>,
    /// What refused it where it served, and was not seen from where it stands by.
    unseen: Option<String>,
    first_look: FirstLook,
    /// It is unfit, for this reason.
    unfit: Option<String>,
    /// It was heard to be where clients are, and nothing else of that since.
    taken: bool,
    /// Nothing is wrong since then.
    well_since: Timestamp,
    fit_since: Timestamp,
    /// So often it was unfit in a row.
    times: u32,
}

impl Fitness {
    pub(super) fn new(now: Timestamp, pair: Option<&Pair>) -> Self {
        let adds_addresses = pair.is_some_and(|it| it.adds_addresses);
        let not_looked = "it has begun, and has not looked yet whether it could serve";
        Fitness {
            patience: if adds_addresses { ADDED } else { MOVED },
            // Where another program moves them, there is nothing to see before it serves.
            first_look: if adds_addresses { FirstLook::Awaited } else { FirstLook::Over },
            unfit: adds_addresses.then(|| not_looked.to_owned()),
            place: None,
            store: None,
            unseen: None,
            taken: false,
            well_since: now,
            fit_since: now,
            times: 0,
        }
    }

    /// It begins or ends to serve: what refused it may do so still.
    pub(super) fn handle_lease(&mut self, now: Timestamp) {
        self.taken = false;
        self.lose_sight(now);
    }

    /// It serves, and is refused for this reason.
    pub(super) fn handle_refused(&mut self, now: Timestamp, why: &str) {
        self.note_look();
        self.taken = false;
        self.unseen = Some(why.to_owned());
        note(&mut self.place, now, why, self.patience);
    }

    /// It is refused, or would be where it stands by, since there is no carrier.
    pub(super) fn handle_no_carrier(&mut self, now: Timestamp, why: &str) {
        self.note_look();
        self.taken = false;
        note(&mut self.place, now, why, CARRIER);
    }

    /// It stands by, and would be refused for this reason; none: not as far as can be seen.
    pub(super) fn handle_standing_by(&mut self, now: Timestamp, why: Option<&str>) {
        self.note_look();
        self.unseen.take_if(|unseen| why == Some(unseen));
        match why {
            Some(why) => note(&mut self.place, now, why, self.patience),
            None if self.unseen.is_some() => self.lose_sight(now),
            None => self.end_place(now),
        }
    }

    /// It is where clients are.
    pub(super) fn handle_taken(&mut self, now: Timestamp) {
        self.note_look();
        self.end_place(now);
        (self.taken, self.unseen) = (true, None);
    }

    /// Why its vote could not be stored; none: it was.
    pub(super) fn handle_store(&mut self, now: Timestamp, why: Option<&str>) {
        match why {
            Some(why) => note(&mut self.store, now, why, STORED),
            None if self.store.take().is_some() => self.well_since = now,
            None => {}
        }
    }

    /// Says whether it changed.
    pub(super) fn look(&mut self, now: Timestamp) -> bool {
        match self.first_look {
            FirstLook::Awaited => return false,
            FirstLook::Taken => {
                self.first_look = FirstLook::Over;
                self.unfit = self.place.as_ref().map(|fault| fault.why.clone());
                (self.fit_since, self.times) = (now, u32::from(self.unfit.is_some()));
                return true;
            }
            FirstLook::Over => {}
        }
        let mut faults = self.place.iter().chain(&self.store);
        let fault = faults.find(|it| it.is_due(now)).map(|fault| fault.why.clone());
        self.forget_place(now);
        let is_well = self.is_well();
        match (&self.unfit, fault) {
            (None, Some(why)) => {
                let forgiven = now.since(self.fit_since) >= GOOD;
                self.times = if forgiven { 1 } else { self.times + 1 };
                self.unfit = Some(why);
                true
            }
            (Some(_), None) if is_well && (self.taken || self.has_rested(now)) => {
                (self.unfit, self.fit_since) = (None, now);
                (self.place, self.unseen) = (None, None);
                true
            }
            _ => false,
        }
    }

    /// What was no reason, and of which nothing is known since long.
    fn forget_place(&mut self, now: Timestamp) {
        let unknown_since = self.place.as_ref().and_then(|fault| fault.unknown_since);
        let long_ago = unknown_since.is_some_and(|since| now.since(since) >= self.patience);
        if long_ago && self.unfit.is_none() {
            (self.place, self.unseen) = (None, None);
        }
    }

    fn note_look(&mut self) {
        if self.first_look == FirstLook::Awaited {
            self.first_look = FirstLook::Taken;
        }
    }

    fn end_place(&mut self, now: Timestamp) {
        if self.place.take().is_some_and(|fault| fault.is_known()) {
            self.well_since = now;
        }
    }

    /// What keeps it from where clients are cannot be known now.
    fn lose_sight(&mut self, now: Timestamp) {
        if let Some(fault) = self.place.as_mut().filter(|fault| fault.is_known()) {
            fault.unknown_since = Some(now);
            self.well_since = now;
        }
    }

    /// What it says of that. It only rests once it has looked, and what it was unfit for last would
    /// have been seen.
    pub(super) fn readiness(&self) -> Readiness {
        match &self.unfit {
            None => Readiness::Ready,
            Some(_) if self.first_look != FirstLook::Over => Readiness::Unfit,
            Some(_) if self.is_well() && self.unseen.is_none() => Readiness::Rests,
            Some(_) => Readiness::Unfit,
        }
    }

    fn is_well(&self) -> bool {
        self.place.as_ref().is_none_or(|fault| !fault.is_known()) && self.store.is_none()
    }

    /// Why it could not serve.
    pub(super) fn unfit(&self) -> Option<&str> {
        self.unfit.as_deref()
    }

    /// Why its vote is not stored.
    pub(super) fn store_error(&self) -> Option<&str> {
        self.store.as_ref().map(|fault| fault.why.as_str())
    }

    fn has_rested(&self, now: Timestamp) -> bool {
        let doubled = self.times.saturating_sub(1).min(DOUBLED_MAX);
        let rest = if self.unseen.is_none() { REST_OF_SEEN } else { REST };
        now.since(self.well_since) >= rest * (1 << doubled)
    }
}

fn note(fault: &mut Option<Fault>, now: Timestamp, why: &str, patience: Duration) {
    let begins = || Fault { why: String::new(), since: now, patience, unknown_since: None };
    fault.get_or_insert_with(begins).note(now, why, patience);
}
