//! The boundary of the core: every input and every output, as plain data.
//!
//! A reader who knows these two enums knows what a node does. There is no socket, clock, actor or
//! store here; the runtime's shell and the simulator feed and drain the same values.

use crate::management::{Changed, Command, Notice, TableChange};
use crate::resource_adaptor::{Egress, Ingress};
use crate::store::StoreBatch;
use crate::store::StoredRecord;
use resilee_membership::{Flow, NodeName};
use resilee_sbb::{Deliver, DeliveryId, LinkedSbb, NotCompiled, Outcome, Severity, Timestamp};
use std::net::SocketAddr;
use std::time::Duration;

/// What arrives at a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// A sealed datagram from the balancer or from another node, not yet opened.
    Packet {
        /// Address it came from.
        source: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A datagram from a client, on a socket of the node's own (a node without balancer).
    Datagram {
        /// Where it came from and where it arrived.
        flow: Flow,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A message for an adaptor that is not the first one, from its own sockets.
    Message(Ingress),
    /// The cluster link to a node was opened and authenticated.
    LinkUp {
        /// The node.
        peer: NodeName,
    },
    /// The cluster link to a node is gone.
    LinkDown {
        /// The node.
        peer: NodeName,
    },
    /// A frame from a node. Untrusted.
    Frame {
        /// The node.
        peer: NodeName,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// The answer to [`Output::Deliver`]; refused if it is late.
    Outcome {
        /// Which delivery.
        delivery: DeliveryId,
        /// The answer.
        outcome: Outcome,
    },
    /// The answer to [`Output::Abandon`].
    Abandoned {
        /// Which delivery.
        delivery: DeliveryId,
        /// What was found.
        fate: Fate,
    },
    /// So many threads hang in handlers now: said behind [`Fate::Hangs`], when one has come back,
    /// and when a run begins with some.
    Hanging {
        /// Threads of the process.
        threads: usize,
    },
    /// All batches up to this number are flushed to the store.
    Stored {
        /// [`StoreBatch::number`].
        number: u64,
    },
    /// The store failed: no batch will be flushed any more.
    StoreFailed {
        /// What an operator reads in the alarm.
        reason: String,
    },
    /// The answer to [`Output::SaveVote`]: the voter's state is on disk.
    VoteSaved {
        /// [`Output::SaveVote::number`].
        number: u64,
    },
    /// The answer to [`Output::SaveVote`]: it is not.
    VoteNotSaved {
        /// [`Output::SaveVote::number`].
        number: u64,
        /// What an operator reads in the alarm.
        reason: String,
    },
    /// The answer to [`Output::LoadRecords`].
    Records {
        /// [`Output::LoadRecords::token`].
        token: u64,
        /// In the order of their sequence; none: there are no more.
        records: Vec<StoredRecord>,
    },
    /// [`Output::LoadRecords`] cannot be answered.
    RecordsFailed {
        /// [`Output::LoadRecords::token`].
        token: u64,
        /// What an operator reads in the alarm.
        reason: String,
    },
    /// The answer to [`Output::Compile`].
    Compiled {
        /// The unit.
        unit: String,
        /// Its service, or what an operator reads in the alarm.
        service: Result<LinkedSbb, NotCompiled>,
    },
    /// What the machine's wall clock shows, read once a second. It moves nothing; a jump is an
    /// alarm.
    WallClock(Timestamp),
    /// Something around the core needs an operator, for example a certificate that ends soon.
    AlarmRaised {
        /// Where it comes from.
        source: String,
        /// How bad it is.
        severity: Severity,
        /// What is to be done.
        text: String,
    },
    /// What an alarm asked for was done.
    AlarmOver {
        /// Where it came from.
        source: String,
        /// The text of [`Input::AlarmRaised`].
        text: String,
    },
    /// The moment of [`crate::Core::poll_timeout`] has come.
    Timeout,
    /// Hand over everything and end (SIGTERM).
    Drain,
    /// An operator wants something done; [`crate::Core::check_command`] says whether it can be.
    Command(Command),
    /// An operator wants shared tables changed; answered by [`Output::Changed`], in any case.
    Change {
        /// Comes back with the answer; another one for each change of a run.
        token: u64,
        /// The change.
        change: TableChange,
    },
}

/// What became of a delivery whose answer is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its handler does not run: it waited for its worker, or is done by now.
    Waited,
    /// It was begun not long ago, or is about to be: its answer is waited for so much longer.
    Early(Duration),
    /// Its handler does not return. What became of its worker, for the alarm.
    Hangs(String),
}

/// What a node wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Run a handler; answer with [`Input::Outcome`].
    Deliver(Box<Deliver>),
    /// The answer of a delivery is overdue, and is waited for no longer; answer with
    /// [`Input::Abandoned`], for which its cell waits.
    Abandon {
        /// The delivery.
        delivery: DeliveryId,
        /// A handler that has run for less does not hang.
        may_run: Duration,
    },
    /// Send a sealed datagram to the balancer or to another node.
    Packet {
        /// Where to.
        destination: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Send a datagram to a client from a socket of the node's own (`flow.local` to
    /// `flow.remote`).
    Datagram {
        /// Where from and where to.
        flow: Flow,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Send a message of an adaptor that is not the first one, by its own sockets.
    Message(Egress),
    /// Send a frame on the cluster link; lost if there is none.
    Frame {
        /// The node.
        peer: NodeName,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// Close the cluster link and dial again.
    CloseLink {
        /// The node.
        peer: NodeName,
        /// Why, for the log.
        reason: String,
    },
    /// Write and flush; answer with [`Input::Stored`]. Batches are written in order.
    Store(StoreBatch),
    /// Save the voter's state beside the store, which has failed, where a start looks for it;
    /// answer with [`Input::VoteSaved`] or [`Input::VoteNotSaved`].
    SaveVote {
        /// Comes back with the answer.
        number: u64,
        /// As [`crate::VOTER_KEY`] has it.
        state: Vec<u8>,
    },
    /// Read records of a journal from the store; answer with [`Input::Records`]. Records of
    /// batches that were emitted before are among them, flushed or not.
    LoadRecords {
        /// Comes back with the answer.
        token: u64,
        /// The journal.
        journal: String,
        /// Sequence of the first one wanted.
        from: u64,
        /// At most so many.
        limit: usize,
    },
    /// Compile a deployable unit; answer with [`Input::Compiled`]. Whether its bytes are what its
    /// id says is not known.
    Compile {
        /// Its id: the hash of its bytes.
        unit: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A unit is not there any more: nothing of it is delivered from now on.
    ForgetUnit {
        /// Its id.
        unit: String,
    },
    /// Something an operator may want to know: for the log and the pages.
    Notice(Notice),
    /// The answer to [`Input::Change`].
    Changed {
        /// Which change.
        token: u64,
        /// What became of it.
        changed: Changed,
    },
    /// This run was voted out, or could not join. Build a new core with a new incarnation.
    Rejoin,
    /// All is handed over: the process may end.
    Drained,
}
