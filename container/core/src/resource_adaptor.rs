//! What a resource adaptor is to the core (JAIN SLEE 1.1 chapter 15): a machine that turns
//! messages into activities and events, and commands into messages.
//!
//! An adaptor holds the decoded state of the activities on cells that this node owns. The core
//! keeps the marshalled state, replicates it, and hands it to [`ResourceAdaptor::adopt`] on the
//! survivor. Sockets, clocks and encodings of frames are not here.

use crate::adaptors::AdaptorId;
use resilee_membership::Flow;
use resilee_sbb::{
    ActivityId, CellId, CohortId, Event, EventPayload, Failure, Severity, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A message from a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingress {
    /// Where it came from and where it arrived.
    pub flow: Flow,
    /// The message.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "AdaptorId::is_first")]
    pub adaptor: AdaptorId,
}

/// A message to a client. It leaves when its commit is held by the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    /// Where to (`remote`), and from which local address.
    pub flow: Flow,
    /// The message.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Who says it: the core writes it, whatever the adaptor wrote.
    #[serde(default, skip_serializing_if = "AdaptorId::is_first")]
    pub adaptor: AdaptorId,
}

impl Ingress {
    /// A message for the first adaptor.
    pub fn new(flow: Flow, bytes: Vec<u8>) -> Self {
        Ingress { flow, bytes, adaptor: AdaptorId::FIRST }
    }
}

impl Egress {
    /// A message of the adaptor that makes it.
    pub fn new(flow: Flow, bytes: Vec<u8>) -> Self {
        Egress { flow, bytes, adaptor: AdaptorId::FIRST }
    }
}

/// Which kind of cell a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// A call: its cell is born in the cohort of the node that gets the message first.
    Call,
    /// A change of shared tables: its cell is born in [`CohortId::TABLES`].
    Tables,
}

/// Whose a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// It belongs to the cell with this key.
    Cell {
        /// Keyed hash of what all messages of one call share; unique among living cells.
        key: u64,
        /// Kind of cell.
        scope: Scope,
        /// True if it may give birth to a cell.
        creates: bool,
        /// The cohort that the message itself names, if it does.
        cohort: Option<CohortId>,
    },
    /// It belongs to this cell, which it names itself; if that is over, nobody has it.
    Known(CellId),
    /// It is answered without a cell.
    Answer(Vec<Egress>),
    /// It is dropped and counted.
    Drop(&'static str),
}

/// Why an adaptor is given the activities of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// This run got the cell from a living member: its owner is dead now, or hands it over.
    Takeover,
    /// The cell comes from this run's own store, and there was no living member: clients may have
    /// sent what nobody received.
    ColdStart,
    /// The cell comes from a store that may be an old one: others went on without it. What the
    /// adaptor would only repeat is out of date, and clients may be asked what happened.
    Stranded,
}

/// A request of a call that no living node has, as it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOn {
    /// What is sent.
    pub egress: Vec<Egress>,
    /// What its cell must hear of it one day ([`ResourceAdaptor::missed`]), if it must.
    pub missed: Option<Vec<u8>>,
}

/// What came for a cell at a time when nobody had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// When it came first.
    pub at: Timestamp,
    /// The adaptor's account of it ([`PassedOn::missed`]).
    #[serde(with = "serde_bytes")]
    pub missed: Vec<u8>,
}

/// A protocol.
pub trait ResourceAdaptor: Send {
    /// Says whose a message is, without changing anything.
    fn route(&self, now: Timestamp, ingress: &Ingress) -> Route;

    /// A message for a living cell, or the first one of a new cell.
    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress);

    /// A message that names a cell which is over, or which never was. The answers leave at once.
    fn unknown(&mut self, now: Timestamp, ingress: &Ingress) -> Vec<Egress>;

    /// A message that names a cell which no living node has, though it may not be over: it goes on
    /// without state. `None`, also by default: it is treated as [`ResourceAdaptor::unknown`].
    fn pass_on(&mut self, now: Timestamp, ingress: &Ingress) -> Option<PassedOn> {
        let _ = (now, ingress);
        None
    }

    /// The cell is here now, and its activities are adopted: what came for it at a time when
    /// nobody had it, the first one first. Some of it may not be what it seems: anybody who could
    /// have it passed on may have sent it.
    fn missed(&mut self, endpoint: &mut Endpoint, missed: &[Missed]) {
        let _ = (endpoint, missed);
    }

    /// A message that would begin a cell, while none may begin: it is refused, and may come
    /// again after `retry_after_s` seconds. The answers leave at once; by default there is none.
    fn refuse(&mut self, now: Timestamp, ingress: &Ingress, retry_after_s: u32) -> Vec<Egress> {
        let _ = (now, ingress, retry_after_s);
        Vec::new()
    }

    /// A command of a service, after its delivery.
    ///
    /// # Errors
    /// A command that cannot be carried out now; it raises an alarm against the service.
    fn command(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure>;

    /// A service starts an activity of this adaptor; `payload` is its command, which says what it
    /// is to be. By default there is none that a service may start.
    ///
    /// # Errors
    /// A command that cannot be carried out; the activity ends at once, with an alarm.
    fn start(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let _ = (endpoint, activity, payload);
        Err(Failure::new("this resource adaptor starts no activities for services"))
    }

    /// True if [`ResourceAdaptor::event_processed`] is wanted for events of this type. By default
    /// it is for none.
    fn asks_about_event(&self, event_type: &str) -> bool {
        let _ = event_type;
        false
    }

    /// All services had an event of the activity, and none rolled it back
    /// (`ResourceAdaptor.eventProcessingSuccessful` of JAIN SLEE). `received`: somebody got it, or
    /// a root entity of the cluster will.
    fn event_processed(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        event_type: &str,
        received: bool,
    ) {
        let _ = (endpoint, activity, event_type, received);
    }

    /// True if [`ResourceAdaptor::activity_unreferenced`] is wanted; asked once, at the start. By
    /// default it is not.
    fn asks_about_references(&self) -> bool {
        false
    }

    /// A turn that had to do with the activity leaves it without an attached entity, a bound name,
    /// or an event that waits: nobody will act on it (`ResourceAdaptor.activityUnreferenced` of
    /// JAIN SLEE). The adaptor may end it, or wait for its client.
    fn activity_unreferenced(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let _ = (endpoint, activity);
    }

    /// All services had an event of the activity, and one of them rolled it back; or nobody had it,
    /// and one that takes nothing now would have begun with it. What nobody answered is answered
    /// here (`ResourceAdaptor.eventProcessingFailed` of JAIN SLEE). By default nothing is.
    fn event_processing_failed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let _ = (endpoint, activity);
    }

    /// The moment of [`ResourceAdaptor::next_timeout`] has come for one activity.
    fn timeout(&mut self, endpoint: &mut Endpoint, activity: ActivityId);

    /// When the activity wants [`ResourceAdaptor::timeout`]. Asked after each turn of its cell.
    fn next_timeout(&self, activity: ActivityId) -> Option<Timestamp>;

    /// The activity's state for replication.
    fn marshal(&self, activity: ActivityId) -> Vec<u8>;

    /// Takes over an activity from its marshalled state: what went unanswered is sent again. After
    /// a cold start the adaptor may ask clients what happened meanwhile.
    ///
    /// # Errors
    /// A state that cannot be read; the activity is ended.
    fn adopt(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        state: &[u8],
        adoption: Adoption,
    ) -> Result<(), Failure>;

    /// Checks properties that an operator wants it to have, besides its configuration
    /// (`raVerifyConfiguration` of JAIN SLEE). By default it has none.
    ///
    /// # Errors
    /// What is wrong with them, for the operator.
    fn verify(&self, properties: &BTreeMap<String, String>) -> Result<(), Failure> {
        match properties.keys().next() {
            Some(name) => Err(Failure::new(format!("it has no property {name:?}"))),
            None => Ok(()),
        }
    }

    /// It has these properties from now on, and no others; they were verified before.
    ///
    /// # Errors
    /// What is wrong with them; it goes on with those that it had.
    fn configure(&mut self, properties: &BTreeMap<String, String>) -> Result<(), Failure> {
        let _ = properties;
        Ok(())
    }

    /// An operator asks whether the activity's client still lives
    /// (`ResourceAdaptor.queryLiveness` of JAIN SLEE): one that does not is ended, now or when it
    /// has not answered. By default nothing is done.
    fn query_liveness(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let _ = (endpoint, activity);
    }

    /// The activity is removed by force, or the adaptor with all of them
    /// (`ResourceAdaptor.administrativeRemove` of JAIN SLEE): it ends behind this step, and what
    /// can still be said to its client is said here. By default nothing is.
    fn removed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let _ = (endpoint, activity);
    }

    /// An operator ends the activity as if its client had: the client is told, and the activity may
    /// go on until it has heard. By default it ends at once.
    fn end(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        self.removed(endpoint, activity);
        endpoint.end_activity(activity);
    }

    /// What people call the activity, for the log (a Call-ID); by default nothing.
    fn label(&self, activity: ActivityId) -> String {
        let _ = activity;
        String::new()
    }

    /// An activity has ended and its end was delivered, or its cell is owned elsewhere now. It may
    /// be another adaptor's: those that are not known here are left alone.
    fn forget(&mut self, activity: ActivityId);
}

/// What an adaptor may do in one step of a turn (`javax.slee.resource.SleeEndpoint`).
///
/// Everything is collected; the core carries it out in the turn's commit.
#[derive(Debug)]
pub struct Endpoint {
    now: Timestamp,
    node: String,
    cell: CellId,
    next_activity: u32,
    /// What the step did.
    pub(crate) steps: Steps,
}

/// What one step of an adaptor did, in order of each kind.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    pub(crate) started: Vec<ActivityId>,
    pub(crate) ended: Vec<ActivityId>,
    pub(crate) changed: Vec<ActivityId>,
    pub(crate) events: Vec<Event>,
    pub(crate) egress: Vec<Egress>,
    pub(crate) alarms: Vec<(Severity, String)>,
    pub(crate) refused: Vec<&'static str>,
}

impl Endpoint {
    /// An endpoint for one step; public so that adaptors can be tested without a core.
    pub fn new(now: Timestamp, node: &str, cell: CellId, next_activity: u32) -> Self {
        let node = node.to_owned();
        Endpoint { now, node, cell, next_activity, steps: Steps::default() }
    }

    /// Cluster time of the step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Name of this node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The cell of the step.
    pub fn cell(&self) -> CellId {
        self.cell
    }

    /// Starts an activity.
    pub fn start_activity(&mut self) -> ActivityId {
        let activity = ActivityId { cell: self.cell, number: self.next_activity };
        self.next_activity += 1;
        self.steps.started.push(activity);
        self.changed(activity);
        activity
    }

    /// Ends an activity; its end is delivered as the last event of the turn.
    pub fn end_activity(&mut self, activity: ActivityId) {
        self.steps.ended.push(activity);
    }

    /// Says that the activity's marshalled state is another one now.
    pub fn changed(&mut self, activity: ActivityId) {
        if !self.steps.changed.contains(&activity) {
            self.steps.changed.push(activity);
        }
    }

    /// Fires an event on an activity.
    ///
    /// # Panics
    /// If the payload cannot be encoded: a plain data type always can.
    pub fn fire<E: EventPayload>(&mut self, activity: ActivityId, payload: &E) {
        let event = Event::new(activity, payload).expect("plain data can be encoded");
        self.steps.events.push(event);
    }

    /// Sends a message when the turn's commit is held by the backup.
    pub fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.steps.egress.push(Egress::new(flow, bytes));
    }

    /// Raises an alarm of the adaptor, at once, whatever becomes of the turn; the same text again
    /// is the same alarm. An operator clears it.
    pub fn raise_alarm(&mut self, severity: Severity, text: &str) {
        self.steps.alarms.push((severity, text.to_owned()));
    }

    /// Alarms that were raised so far, for tests of adaptors.
    pub fn alarms(&self) -> &[(Severity, String)] {
        &self.steps.alarms
    }

    /// Counts a message that was refused or dropped in this step, among those that were dropped
    /// before they came to a cell (`Route::Drop`).
    pub fn count_refused(&mut self, reason: &'static str) {
        self.steps.refused.push(reason);
    }

    /// Reasons that were counted so far, for tests of adaptors.
    pub fn refused(&self) -> &[&'static str] {
        &self.steps.refused
    }

    /// What was sent so far, for tests of adaptors.
    pub fn sent(&self) -> &[Egress] {
        &self.steps.egress
    }

    /// What was fired so far, for tests of adaptors.
    pub fn fired(&self) -> &[Event] {
        &self.steps.events
    }

    /// Activities that ended so far, for tests of adaptors.
    pub fn ended(&self) -> &[ActivityId] {
        &self.steps.ended
    }

    /// Activities whose state changed so far, for tests of adaptors.
    pub fn changes(&self) -> &[ActivityId] {
        &self.steps.changed
    }
}
