//! What two nodes say to each other over the cluster link, as plain data in the common codec.
//!
//! Order, repetition and acknowledgement of updates are in `link.rs`.

use crate::commit::{Change, Commit, RowChange};
use crate::format::FORMAT;
use crate::management::Alarm;
use crate::resource_adaptor::Ingress;
use crate::store::StoredRecord;
use resilee_membership::RunId;
use resilee_sbb::{CellId, Timestamp, decode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The run that speaks.
    pub from: RunId,
    /// Number of its view.
    pub view: u64,
    /// Its stream of updates to this reader: a joiner names a new one with each [`Extra::Join`].
    pub stream: u64,
    /// Sequence of the first of `updates` in that stream.
    pub first: u64,
    /// Encoded [`Update`]s.
    #[serde(default)]
    pub updates: Vec<ByteBuf>,
    /// The reader's stream that `ack` speaks of.
    pub ack_stream: u64,
    /// All of the reader's updates up to this sequence are applied.
    pub ack: u64,
    /// Effects of all the writer's commits up to this number are done.
    pub done: u64,
    /// Cluster time at which a member sends it to a joiner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Changes of shared tables that the writer asks of their owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedChange>,
    /// What became of changes that the reader asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<AnsweredChange>,
    /// What cells of the writer say to cells of the reader: encoded [`crate::words::Word`]s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<ByteBuf>,
    /// What needs no order and is not repeated.
    #[serde(default)]
    pub extras: Vec<Extra>,
}

/// A change of shared tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskedChange {
    /// Comes back with the answer.
    pub token: u64,
    /// Cluster time at which nobody waits for it any more: it is not begun after that.
    pub until: Timestamp,
    /// The change, encoded, so that one of a newer version spoils no frame.
    pub change: ByteBuf,
    /// It was asked before, and may be made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnsweredChange {
    /// [`AskedChange::token`].
    pub token: u64,
    /// What became of it, encoded.
    pub changed: ByteBuf,
    /// It was refused, and may be made in a moment. Who does not know this field takes it for
    /// refused.
    #[serde(default, skip_serializing_if = "crate::commit::is_false")]
    pub not_yet: bool,
}

/// What is applied in order, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Update {
    /// A turn of the writer.
    Commit(Commit),
    /// A whole cell of the writer's snapshot; replaces what the reader has of it.
    Cell { id: CellId, parts: Vec<Change> },
    /// A whole cell of the writer's store that the reader, who owns it, may lack.
    Stranded { id: CellId, parts: Vec<Change> },
    /// Rows of the writer's snapshot.
    Rows(Vec<RowChange>),
    /// Records that the reader may lack.
    Records { journal: String, records: Vec<StoredRecord> },
    /// The snapshot is complete: with what came before, the reader has all state.
    SnapshotEnd,
}

/// What is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Extra {
    /// First word on a new link.
    Hello,
    /// The writer is no member: it dropped all it had and wants a snapshot on this stream.
    Join {
        stream: u64,
        /// Its store was empty when it started.
        #[serde(default)]
        empty: bool,
    },
    /// The snapshot on this stream of the reader cannot be finished: it may ask for another.
    JoinFailed { stream: u64 },
    /// All alarms that are raised at the writer.
    Alarms(Vec<Alarm>),
    /// A client's message for a cell that the reader owns.
    Relay(Ingress),
    /// Units that the writer has compiled, all of them. Said only where there are any, or were.
    Units(Vec<String>),
}

/// The one field that frames of all formats have.
#[derive(Deserialize)]
struct Speaker {
    format: u32,
}

/// Why a frame is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// Its writer is another version of this program.
    #[error("it speaks format {0}, this node {FORMAT}")]
    Format(u32),
    /// Something is wrong with it.
    #[error("{0}")]
    Bad(String),
}

impl From<String> for FrameError {
    fn from(reason: String) -> Self {
        FrameError::Bad(reason)
    }
}

impl From<&str> for FrameError {
    fn from(reason: &str) -> Self {
        FrameError::Bad(reason.to_owned())
    }
}

impl Frame {
    /// Reads a frame, if it is of this format.
    pub fn read(bytes: &[u8]) -> Result<Frame, FrameError> {
        let frame: Result<Frame, _> = decode(bytes);
        let format = match &frame {
            Ok(frame) => frame.format,
            // What cannot be read may be of a later format, which says so all the same.
            Err(_) => decode(bytes).map_or(FORMAT, |speaker: Speaker| speaker.format),
        };
        match frame {
            _ if format != FORMAT => Err(FrameError::Format(format)),
            Ok(frame) => Ok(frame),
            Err(error) => Err(FrameError::Bad(error.to_string())),
        }
    }
}
