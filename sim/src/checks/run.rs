//! What one run of a node committed and held, seen from outside.

use resilee_core::{Egress, Observed, Scope};
use resilee_membership::{RunId, View};
use resilee_sbb::{CellId, CohortId};
use resilee_sip_proto::Message;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// A message, by what it says and to whom.
pub type Said = u64;

/// A message that may leave when its commit is held; 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub commit: u64,
    pub cell: Option<CellId>,
}

/// What a run holds of another one's commits.
#[derive(Clone, Debug, Default)]
pub struct Holding {
    /// A snapshot brought all up to this commit.
    upto: u64,
    commits: BTreeSet<u64>,
    /// Messages of applied commits.
    pub effects: Vec<(u64, Said)>,
}

impl Holding {
    /// True if the commit was applied, or came with the snapshot.
    pub fn has(&self, commit: u64) -> bool {
        commit <= self.upto || self.commits.contains(&commit)
    }
}

/// One run.
#[derive(Debug)]
pub struct Run {
    pub id: RunId,
    /// Its adopted view.
    pub view: View,
    /// What it asks votes for.
    pub proposing: Option<View>,
    /// Messages that turns wanted sent and that have not left.
    pub due: BTreeMap<Said, VecDeque<Ticket>>,
    /// Messages that left, by commit.
    pub left: BTreeSet<(u64, Said)>,
    /// The highest commit of which something left.
    pub released: u64,
    /// All commits up to this one were held at some time.
    pub held: u64,
    /// Commits with a record, by cell and journal.
    pub records: BTreeMap<(CellId, String), u64>,
    /// What it holds of others, by run.
    pub holds: BTreeMap<RunId, Holding>,
    /// Commits that are on the way to others in a snapshot.
    pub snapshots: BTreeMap<RunId, u64>,
    /// Cells of others that it knows from their commits.
    pub knows: BTreeSet<CellId>,
    /// Messages that it must send for a dead run.
    pub debts: BTreeSet<Said>,
    last: u64,
    last_rows: u64,
    last_of_cell: BTreeMap<CellId, u64>,
    last_of_call: BTreeMap<String, u64>,
    cell_of_call: BTreeMap<String, CellId>,
    /// Batches, with the last commit that each covers.
    batches: VecDeque<(u64, u64)>,
    flushed: u64,
    store_failed: bool,
    /// Cells with a commit, its own or applied, that its disk has not flushed; the batch with it.
    unstored: Vec<(Option<u64>, CellId)>,
}

impl Run {
    /// A run that has done nothing.
    pub fn new(id: RunId) -> Self {
        Run {
            id,
            view: View::default(),
            proposing: None,
            due: BTreeMap::new(),
            left: BTreeSet::new(),
            released: 0,
            held: 0,
            records: BTreeMap::new(),
            holds: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            knows: BTreeSet::new(),
            debts: BTreeSet::new(),
            last: 0,
            last_rows: 0,
            last_of_cell: BTreeMap::new(),
            last_of_call: BTreeMap::new(),
            cell_of_call: BTreeMap::new(),
            batches: VecDeque::new(),
            flushed: 0,
            store_failed: false,
            unstored: Vec::new(),
        }
    }

    /// A turn of its own ended with a commit; false if its cell had a record for a journal of it.
    pub fn committed(
        &mut self,
        (number, cell): (u64, CellId),
        egress: &[Egress],
        journals: Vec<String>,
        rows: bool,
    ) -> bool {
        let mut first = true;
        self.last = number;
        self.note_unstored(cell, rows);
        self.last_of_cell.insert(cell, number);
        if rows {
            self.last_rows = number;
        }
        for journal in journals {
            first &= self.records.insert((cell, journal), number).is_none();
        }
        for egress in egress {
            let ticket = Ticket { commit: number, cell: Some(cell) };
            self.due.entry(said(egress.flow.remote, &egress.bytes)).or_default().push_back(ticket);
            if let Ok(message) = Message::parse(&egress.bytes) {
                let call_id = message.call_id().to_owned();
                self.cell_of_call.insert(call_id.clone(), cell);
                self.last_of_call.insert(call_id, number);
            }
        }
        first
    }

    /// Of the tables' cohort only rows count: what a root entity of the cluster loses in the last
    /// moments, it is told again by the calls that lost nothing.
    fn note_unstored(&mut self, cell: CellId, rows: bool) {
        if rows || cell.cohort != CohortId::TABLES {
            self.unstored.push((None, cell));
        }
    }

    /// A turn ended without a commit: what it says depends on what its cell, or the tables, or
    /// the call that it names, have committed.
    pub fn said(&mut self, cell: Option<(CellId, Scope)>, egress: &[Egress]) {
        for egress in egress {
            let behind = match cell {
                Some((_, Scope::Tables)) => self.last_rows,
                Some((cell, Scope::Call)) => self.last_of_cell.get(&cell).copied().unwrap_or(0),
                None => self.last_of_call_of(&egress.bytes),
            };
            let ticket = Ticket { commit: behind, cell: cell.map(|(cell, _)| cell) };
            self.due.entry(said(egress.flow.remote, &egress.bytes)).or_default().push_back(ticket);
        }
    }

    fn last_of_call_of(&self, bytes: &[u8]) -> u64 {
        let Ok(message) = Message::parse(bytes) else { return 0 };
        self.last_of_call.get(message.call_id()).copied().unwrap_or(0)
    }

    /// A message left, by the ticket at that place.
    pub fn leaves(&mut self, what: Said, at: usize, commit: u64) {
        self.debts.remove(&what);
        self.left.insert((commit, what));
        self.released = self.released.max(commit);
        self.held = self.held.max(commit);
        let Some(tickets) = self.due.get_mut(&what) else { return };
        tickets.remove(at);
        if tickets.is_empty() {
            self.due.remove(&what);
        }
    }

    /// The cell of a call that it committed something of.
    pub fn cell_of(&self, call_id: &str) -> Option<CellId> {
        self.cell_of_call.get(call_id).copied()
    }

    /// Its last commit.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Calls that it committed something of, with their cells.
    pub fn calls(&self) -> impl Iterator<Item = (&String, &CellId)> {
        self.cell_of_call.iter()
    }

    /// Cells that lose something if this run dies now and nobody else has them.
    pub fn unstored(&self) -> impl Iterator<Item = CellId> {
        self.unstored.iter().map(|(_, cell)| *cell)
    }

    /// A batch covers all commits so far.
    pub fn batch(&mut self, number: u64) {
        self.batches.push_back((number, self.last));
        self.unstored.iter_mut().for_each(|(batch, _)| *batch = batch.or(Some(number)));
    }

    /// A batch, and all before it, are on the disk.
    pub fn flushed(&mut self, number: u64) {
        while let Some((_, commit)) = self.batches.pop_front_if(|batch| batch.0 <= number) {
            self.flushed = commit;
        }
        self.unstored.retain(|(batch, _)| batch.is_none_or(|batch| batch > number));
    }

    /// Nothing is stored any more: memory is what there is.
    pub fn store_failed(&mut self) {
        self.store_failed = true;
    }

    /// True if its own disk has the commit, or can have nothing any more.
    pub fn has_stored(&self, commit: u64) -> bool {
        commit <= self.flushed || self.store_failed
    }

    /// True if it holds that commit of another run.
    pub fn has(&self, of: &RunId, commit: u64) -> bool {
        commit == 0 || self.holds.get(of).is_some_and(|holding| holding.has(commit))
    }

    /// True if it applied this commit of another run, since it dropped all it had last.
    pub fn has_applied(&self, from: &RunId, number: u64) -> bool {
        self.holds.get(from).is_some_and(|holding| holding.commits.contains(&number))
    }

    /// It applied something of another run, or a snapshot of it, or dropped all it had.
    pub fn applied(&mut self, what: Observed, snapshot_of: impl Fn(&RunId) -> u64) {
        match what {
            Observed::Applied { from, number, cell, egress, over, leaves_cell, rows } => {
                match over {
                    true => drop(self.knows.remove(&cell)),
                    false if leaves_cell => {}
                    false => drop(self.knows.insert(cell)),
                }
                self.note_unstored(cell, rows);
                let holding = self.holds.entry(from).or_default();
                holding.commits.insert(number);
                let said = |egress: &Egress| (number, said(egress.flow.remote, &egress.bytes));
                holding.effects.extend(egress.iter().map(said));
            }
            Observed::SnapshotApplied { from } => {
                let upto = snapshot_of(&from);
                self.holds.entry(from).or_default().upto = upto;
            }
            Observed::Dropped => {
                self.holds.clear();
                self.knows.clear();
            }
            _ => {}
        }
    }
}

/// Identifies a message by its text and where it goes (FNV-1a).
pub fn said(remote: SocketAddr, bytes: &[u8]) -> Said {
    let port = remote.port().to_be_bytes();
    let ip = match remote.ip() {
        std::net::IpAddr::V4(ip) => ip.octets(),
        std::net::IpAddr::V6(_) => [0; 4],
    };
    let all = ip.iter().chain(&port).chain(bytes);
    all.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
