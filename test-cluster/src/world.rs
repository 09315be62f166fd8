//! What a test does with time and with nodes, and what it sees of the cluster.

use crate::cluster::TestCluster;
use resilee_call_billing::{BILLS, Bill};
use resilee_core::Core;
use resilee_sbb::{CellId, Profile, Sbb, Timestamp, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

/// Cells that are looked through for an entity, the newest first.
const CELLS_MAX: usize = 10_000;

/// The time of the cluster.
pub struct TestClock<'a> {
    cluster: &'a mut TestCluster,
}

impl TestClock<'_> {
    /// Lets time pass, and all happen that is due.
    pub fn advance(&mut self, time: Duration) {
        self.cluster.advance(time);
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        self.cluster.now
    }
}

/// A node.
pub struct TestNode<'a> {
    cluster: &'a mut TestCluster,
    node: usize,
}

impl TestNode<'_> {
    /// `kill -9`. Nobody knows it yet when this returns: let time pass, or go on with a call.
    pub fn kill(&mut self) {
        self.cluster.kill_node(self.node);
    }

    /// Starts it again, with what its disk has; when this returns it is a member.
    ///
    /// # Panics
    /// If it runs.
    pub fn start(&mut self) {
        assert!(!self.is_alive(), "the node runs: kill it before it is started again");
        self.cluster.start_node(self.node);
        let node = self.node;
        let is_member = |core: &Core| core.status(core.poll_timeout().unwrap_or_default()).member;
        self.cluster.until("the node is a member", |cluster| {
            cluster.nodes[node].core.as_ref().is_some_and(is_member)
        });
    }

    /// True if its process runs.
    pub fn is_alive(&self) -> bool {
        self.cluster.nodes[self.node].core.is_some()
    }
}

impl TestCluster {
    /// The clock.
    pub fn clock(&mut self) -> TestClock<'_> {
        TestClock { cluster: self }
    }

    /// A node: `server1` gets the calls as long as it lives, `server2` is its backup.
    ///
    /// # Panics
    /// Another name.
    pub fn node(&mut self, name: &str) -> TestNode<'_> {
        let node = self.nodes.iter().position(|node| node.name.as_str() == name);
        let node = node.unwrap_or_else(|| panic!("there is no {name}: name server1 or server2"));
        TestNode { cluster: self, node }
    }

    /// Writes a profile, as an operator does; when this returns both nodes have it.
    ///
    /// # Panics
    /// If it is refused.
    pub fn profile<T: Serialize>(&mut self, table: &str, name: &str, profile: &T) {
        let row = encode(profile).expect("the profile can be encoded");
        let profile = Profile::from_row(&row).expect("the profile is a struct of plain values");
        self.put_profile(table, name, profile);
    }

    /// State of the root entity of a service that was created last; none: it has none.
    ///
    /// # Panics
    /// If it is not an `S`.
    pub fn state<S: Sbb>(&self) -> Option<S> {
        let service = S::descriptor().name;
        let cells = self.living().next().map_or_else(Vec::new, |core| core.cells(CELLS_MAX));
        let mut entities = cells.into_iter().flat_map(|cell| cell.entities);
        let entity = entities.find(|it| it.service == service)?;
        Some(decode(&entity.state.bytes).expect("the service's root SBB is S"))
    }

    /// Records of a journal, in the order of their cells; those that any node that lives has.
    ///
    /// # Panics
    /// A record that is no `T`.
    pub fn records<T: DeserializeOwned>(&self, journal: &str) -> Vec<T> {
        let living = self.nodes.iter().filter(|node| node.core.is_some());
        let records: BTreeMap<CellId, &[u8]> =
            living.flat_map(|node| node.disk.journal(journal)).collect();
        records.into_values().map(|record| decode(record).expect("the record is a T")).collect()
    }

    /// Bills of the calls that are over.
    pub fn bills(&self) -> Vec<Bill> {
        self.records(BILLS)
    }

    /// True if no node has a call or anything else that is not over.
    pub fn is_empty(&self) -> bool {
        self.living().all(|core| core.cells(1).is_empty())
    }

    /// Trace lines since this was asked last.
    pub fn traces(&mut self) -> Vec<String> {
        std::mem::take(&mut self.traces)
    }

    /// Alarms that were raised since this was asked last.
    pub fn alarms(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alarms)
    }
}

impl Drop for TestCluster {
    /// Nothing in a node may be about something that is not there, whatever a test did. Whether all
    /// is over only the test knows, which may end in mid-call: see [`TestCluster::is_empty`].
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for core in self.living() {
            let found = core.inconsistencies();
            assert!(found.is_empty(), "a fault of the container, not of a service: {found:?}");
        }
    }
}
