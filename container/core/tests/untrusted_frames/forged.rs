//! Frames as they are on the wire, to write wrong ones: the names are those of the core's types.

use resilee_core::management::Alarm;
use resilee_membership::RunId;
use resilee_sbb::{CellId, StateBytes, TimerId, Timestamp, UsageUpdate, decode, encode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    pub format: u32,
    pub from: RunId,
    pub view: u64,
    pub stream: u64,
    pub first: u64,
    pub updates: Vec<ByteBuf>,
    pub ack_stream: u64,
    pub ack: u64,
    pub done: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedChange>,
    #[serde(default)]
    pub words: Vec<ByteBuf>,
    #[serde(default)]
    pub extras: Vec<Extra>,
}

/// A change of shared tables that the reader is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedChange {
    pub token: u64,
    pub until: Timestamp,
    pub change: ByteBuf,
}

/// What one cell says to another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Word {
    pub channel: Channel,
    pub root: RootName,
    pub to_root: bool,
    pub say: Say,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Channel {
    pub cell: CellId,
    pub tie: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootName {
    pub service: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Say {
    Post { sequence: u32, after: u32, post: Post, opens: Option<Opens> },
    Heard { sequence: u32, over: bool },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Opens {
    pub activity: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Post {
    Event { event_type: String, payload: ByteBuf },
    End,
    Command { payload: ByteBuf },
    EndActivity,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Extra {
    Hello,
    Join { stream: u64, empty: bool },
    Alarms(Vec<Alarm>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Update {
    Commit(Commit),
    Cell { id: CellId, parts: Vec<Change> },
    Rows(Vec<RowChange>),
    SnapshotEnd,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Commit {
    pub number: u64,
    pub cell: CellId,
    pub changes: Vec<Change>,
    pub over: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<Noted>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowChange {
    pub table: String,
    pub key: String,
    pub row: Option<ByteBuf>,
}

/// What services counted and raised.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Noted {
    #[serde(default)]
    pub usage: Vec<Counted>,
    #[serde(default)]
    pub resets: Vec<UsageReset>,
    #[serde(default)]
    pub alarms: Vec<AlarmChange>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    pub service: String,
    #[serde(default)]
    pub resets: u32,
    pub updates: Vec<UsageUpdate>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsageReset {
    pub service: String,
    pub number: u32,
    pub at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AlarmChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<RunId>,
    pub id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    pub count: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    pub part: Part,
    pub value: Option<ByteBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    Head,
    Activity(u32),
    Entity(u32),
    Timer(u32, TimerId),
    Record,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    pub key: u64,
    pub scope: String,
    pub born_at: resilee_sbb::Timestamp,
    pub next_activity: u32,
    pub next_entity: u32,
}

/// As much of an entity as is needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entity {
    pub service: String,
    pub state: StateBytes,
    #[serde(default)]
    pub child: Option<ChildOf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChildOf {
    pub parent: u32,
    pub relation: String,
}

/// How a timer goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Course {
    pub period_us: Option<u64>,
}

impl Frame {
    pub fn read(bytes: &[u8]) -> Frame {
        decode(bytes).expect("the core wrote it")
    }

    pub fn bytes(&self) -> Vec<u8> {
        encode(self).expect("plain data")
    }

    /// Its first update.
    pub fn commit(&self) -> Commit {
        match decode(&self.updates[0]).expect("the core wrote it") {
            Update::Commit(commit) => commit,
            other => panic!("a commit, not {other:?}"),
        }
    }

    /// With these words, and no update.
    pub fn saying(&self, words: &[Vec<u8>]) -> Frame {
        let words = words.iter().map(|word| ByteBuf::from(word.clone())).collect();
        Frame { updates: Vec::new(), words, ..self.clone() }
    }

    /// With this as its only update.
    pub fn with(&self, update: &Update) -> Frame {
        let updates = vec![ByteBuf::from(encode(update).expect("plain data"))];
        Frame { updates, ..self.clone() }
    }
}
