//! The one module that asks the node. It keeps the last snapshot for a moment, so that many
//! readers cost one question, and fills the bill book. What a page makes of the answers is the
//! page's. Only [`System::command`] and [`System::change`] change anything.

use crate::Ask;
use crate::bill_book::BillBook;
use crate::cluster::Cluster;
use crate::live_call::LiveCalls;
use crate::problem::{NOT_YET, Problem};
use actix_web::http::StatusCode;
use resilee_call_billing::BILLS;
use resilee_core::StoredRecord;
use resilee_core::management::{
    Alarm, Answer, CellSnapshot, Changed, Command, LeftoverPage, ProfileStatus, ProfileTableStatus,
    Query, Search, Status, TableChange, UnitDescription, UsageSum,
};
use resilee_sbb::{CellId, ProfileTable};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

/// Cells that are looked at for live calls and activities; the newest ones.
pub const CELLS_MAX: usize = 10_000;
/// Records of one question to the journal.
pub const RECORDS_PER_ASK: usize = 1_000;
/// How long the node may take for an answer; after that the reader gets a 503.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a change may take; the node itself gives up before that.
const CHANGED_WITHIN: Duration = Duration::from_secs(4);
/// How long the node may take to compile a unit that it is asked about.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(60);
/// How old a snapshot may be that is given to another reader.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_millis(200);

/// Why the node gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// The node says so itself; its reason.
    #[error("the node cannot answer now: {0}")]
    Unavailable(String),
    /// The node does not do what it was told; why, and what to do instead.
    #[error("{0}")]
    Refused(String),
    /// No answer in time: the node is hung, or under heavy load.
    #[error("the node gave no answer within {} s", ANSWER_WITHIN.as_secs())]
    Late,
    /// An answer to another question.
    #[error("the node answered another question than the one for {0}: a bug of ours")]
    Mismatched(&'static str),
}

impl From<SystemError> for Problem {
    fn from(error: SystemError) -> Self {
        Problem::unavailable(error.to_string())
    }
}

/// The cluster as this node sees it at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The node's account.
    pub status: Status,
    /// Nodes and view, ready to be shown.
    pub cluster: Cluster,
    /// Cells, the newest first.
    pub cells: Vec<CellSnapshot>,
    /// The calls among them.
    pub calls: LiveCalls,
}

impl Snapshot {
    /// All alarms of the cluster with the node where they are raised, the newest first.
    pub fn alarms(&self) -> Vec<(&str, &Alarm)> {
        alarms(&self.status)
    }

    /// The cell with this id.
    pub fn cell(&self, id: CellId) -> Option<&CellSnapshot> {
        let id = id.to_string();
        self.cells.iter().find(|cell| cell.id == id)
    }
}

/// All alarms in `status` with the node where they are raised, the newest first.
pub fn alarms(status: &Status) -> Vec<(&str, &Alarm)> {
    let own = status.alarms.iter().map(|alarm| (status.run.node.as_str(), alarm));
    let others = status.peer_alarms.iter();
    let others = others.flat_map(|(node, all)| all.iter().map(|alarm| (node.as_str(), alarm)));
    let mut alarms: Vec<_> = own.chain(others).collect();
    alarms.sort_by_key(|(node, alarm)| (std::cmp::Reverse(alarm.raised_at), *node));
    alarms
}

/// The node, as pages and REST see it.
pub struct System {
    ask: Ask,
    recent: Mutex<Option<(Instant, Arc<Snapshot>)>>,
    book: Mutex<BillBook>,
    /// Held by whoever uploads a unit.
    pub uploads: Mutex<()>,
}

impl System {
    /// The node that answers `ask`.
    pub fn new(ask: Ask) -> Self {
        let (recent, book) = (Mutex::new(None), Mutex::new(BillBook::default()));
        System { ask, recent, book, uploads: Mutex::new(()) }
    }

    /// The cluster now, or a moment ago.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, SystemError> {
        // Held over the question: whoever comes meanwhile gets the same answer.
        let mut recent = self.recent.lock().await;
        if let Some((at, snapshot)) = &*recent
            && at.elapsed() < SNAPSHOT_AGE_MAX
        {
            return Ok(Arc::clone(snapshot));
        }
        let status = self.status().await?;
        let cells = self.cells().await?;
        let calls = LiveCalls::new(&cells, &status);
        let cluster = Cluster::new(&status, &calls);
        let snapshot = Arc::new(Snapshot { status, cluster, cells, calls });
        *recent = Some((Instant::now(), Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    /// The next snapshot is a fresh one.
    pub async fn forget_snapshot(&self) {
        *self.recent.lock().await = None;
    }

    /// The node's account of itself, always fresh.
    pub async fn status(&self) -> Result<Status, SystemError> {
        match self.answer(Query::Status).await? {
            Answer::Status(status) => Ok(*status),
            _ => Err(SystemError::Mismatched("its status")),
        }
    }

    /// Tells the node to do something.
    pub async fn command(&self, command: Command) -> Result<(), SystemError> {
        match self.answer(Query::Command(command)).await? {
            Answer::Accepted => Ok(()),
            Answer::Refused(reason) => Err(SystemError::Refused(reason)),
            _ => Err(SystemError::Mismatched("a command")),
        }
    }

    /// Changes shared tables; it is done, and held, when this returns.
    pub async fn change(&self, change: TableChange) -> Result<(), Problem> {
        let asked = timeout(CHANGED_WITHIN, (self.ask)(Query::Change(change))).await;
        self.forget_snapshot().await;
        let help = "look whether the change is made before you ask again";
        let unknown = |reason| Problem::new(StatusCode::GATEWAY_TIMEOUT, reason, help);
        match asked {
            Ok(Answer::Changed(Changed::Done)) => Ok(()),
            Ok(Answer::Changed(Changed::Refused(reason))) => {
                let help = "nothing was changed; /rest explains what may be sent";
                Err(Problem::new(StatusCode::CONFLICT, reason, help))
            }
            Ok(Answer::Changed(Changed::NotYet(reason))) => {
                let help = "nothing was changed; ask again in a moment";
                Err(Problem::new(StatusCode::CONFLICT, reason, help).with_code(NOT_YET))
            }
            Ok(Answer::Changed(Changed::Unknown(reason))) => Err(unknown(reason)),
            Ok(Answer::Unavailable(reason)) => Err(Problem::unavailable(reason)),
            Ok(_) => Err(SystemError::Mismatched("a change").into()),
            Err(_) => Err(unknown("the node gave no answer in time".to_owned())),
        }
    }

    /// What may be left over in cells.
    pub async fn leftovers(&self, search: Search) -> Result<LeftoverPage, SystemError> {
        match self.answer(Query::Leftovers(Box::new(search))).await? {
            Answer::Leftovers(page) => Ok(page),
            _ => Err(SystemError::Mismatched("its leftovers")),
        }
    }

    /// What is in a unit, which is compiled for it.
    pub async fn describe_unit(&self, bytes: Vec<u8>) -> Result<UnitDescription, Problem> {
        match timeout(DESCRIBED_WITHIN, (self.ask)(Query::DescribeUnit { bytes })).await {
            Ok(Answer::Unit(Ok(unit))) => Ok(*unit),
            Ok(Answer::Unit(Err(reason))) => {
                let what = format!("this is no unit that can be deployed: {reason}");
                let help = "nothing was deployed; docs/units.md says how a unit is made";
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, what, help))
            }
            Ok(Answer::Refused(reason)) => {
                let help = "its program was built without a compiler for units: start it with \
                            `resilee node`, or a program of Node::builder()";
                Err(Problem::new(StatusCode::NOT_IMPLEMENTED, reason, help))
            }
            Ok(Answer::Unavailable(reason)) => Err(Problem::unavailable(reason)),
            Ok(_) => Err(SystemError::Mismatched("what is in a unit").into()),
            Err(_) => {
                let seconds = DESCRIBED_WITHIN.as_secs();
                let what = format!("the unit was not compiled within {seconds} s");
                Err(Problem::unavailable(what))
            }
        }
    }

    /// What a service counted and measured in the whole cluster.
    pub async fn usage_sum(&self, service: &str) -> Result<UsageSum, Problem> {
        let service = service.to_owned();
        match self.answer(Query::UsageSum { service }).await? {
            Answer::UsageSum(sum) => Ok(*sum),
            Answer::Refused(reason) => {
                let help = "see /api/v1/services for the services of this node";
                Err(Problem::not_found(reason, help))
            }
            _ => Err(SystemError::Mismatched("a sum of usage").into()),
        }
    }

    /// The profile tables.
    pub async fn profile_tables(&self) -> Result<Vec<ProfileTableStatus>, SystemError> {
        match self.answer(Query::ProfileTables).await? {
            Answer::ProfileTables(tables) => Ok(tables),
            _ => Err(SystemError::Mismatched("its profile tables")),
        }
    }

    /// One profile table.
    pub async fn profile_table(&self, name: &str) -> Result<ProfileTableStatus, Problem> {
        let tables = self.profile_tables().await?;
        let found = tables.into_iter().find(|known| known.table.name == name);
        found.ok_or_else(|| no_table(name))
    }

    /// Profiles from a name on.
    pub async fn profiles(
        &self,
        table: &str,
        from: &str,
        limit: usize,
    ) -> Result<Vec<ProfileStatus>, Problem> {
        let query = Query::Profiles { table: table.to_owned(), from: from.to_owned(), limit };
        match self.answer(query).await? {
            Answer::Profiles(Some(profiles)) => Ok(profiles),
            Answer::Profiles(None) => Err(no_table(table)),
            _ => Err(SystemError::Mismatched("its profiles").into()),
        }
    }

    /// One profile with its table.
    pub async fn profile(
        &self,
        table: &str,
        name: &str,
    ) -> Result<(ProfileTable, ProfileStatus), Problem> {
        let table = self.profile_table(table).await?.table;
        let found = self.profiles(table.name, name, 1).await?.pop();
        let found = found.filter(|row| row.name == name).ok_or_else(|| {
            let help = format!("the names are at /api/v1/profiles/{}", table.name);
            Problem::not_found(format!("{} has no profile {name:?}", table.name), help)
        })?;
        Ok((table, found))
    }

    /// The bills, up to the end of the journal.
    pub async fn book(&self) -> Result<MutexGuard<'_, BillBook>, SystemError> {
        let mut book = self.book.lock().await;
        loop {
            let records = self.records(book.next_sequence()).await?;
            let (last, asked) = (records.len() < RECORDS_PER_ASK, book.next_sequence());
            book.add(records);
            // The second test ends the loop if a journal repeats what it has said.
            if last || book.next_sequence() == asked {
                return Ok(book);
            }
        }
    }

    async fn cells(&self) -> Result<Vec<CellSnapshot>, SystemError> {
        match self.answer(Query::Cells { limit: CELLS_MAX }).await? {
            Answer::Cells(cells) => Ok(cells),
            _ => Err(SystemError::Mismatched("its cells")),
        }
    }

    async fn records(&self, from: u64) -> Result<Vec<StoredRecord>, SystemError> {
        let journal = BILLS.to_owned();
        match self.answer(Query::Records { journal, from, limit: RECORDS_PER_ASK }).await? {
            Answer::Records(records) => Ok(records),
            _ => Err(SystemError::Mismatched("its bills")),
        }
    }

    async fn answer(&self, query: Query) -> Result<Answer, SystemError> {
        match timeout(ANSWER_WITHIN, (self.ask)(query)).await {
            Ok(Answer::Unavailable(reason)) => Err(SystemError::Unavailable(reason)),
            Ok(answer) => Ok(answer),
            Err(_) => Err(SystemError::Late),
        }
    }
}

fn no_table(name: &str) -> Problem {
    Problem::not_found(format!("there is no profile table {name:?}"), "see /api/v1/profiles")
}
