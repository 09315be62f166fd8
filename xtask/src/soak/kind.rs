//! What can break. How it is broken is in `fault`, what is promised then in `limits`, and what a
//! person must see of it in `signs`.

use std::fmt;

use clap::ValueEnum;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// SIGKILL to server1, which has the calls
    Kill1,
    /// SIGKILL to server2, the backup
    Kill2,
    /// SIGKILL to server1, which starts again while calls run
    Restart1,
    /// SIGKILL to server2, which starts again while calls run
    Restart2,
    /// server1 stands still for some seconds (SIGSTOP)
    Pause1,
    /// server2 stands still for some seconds
    Pause2,
    /// Nothing passes between the servers for some seconds
    CutCluster,
    /// Nothing of server1 gets to server2 for some seconds
    #[value(name = "cut-cluster-1to2")]
    CutCluster1To2,
    /// Nothing of server2 gets to server1 for some seconds
    #[value(name = "cut-cluster-2to1")]
    CutCluster2To1,
    /// Nothing passes between balancer and server1 for some seconds
    CutSeat1,
    /// Nothing of the balancer gets to server1 for some seconds
    CutSeat1In,
    /// Nothing of server1 gets to the balancer for some seconds
    CutSeat1Out,
    /// Nothing passes between balancer and server2 for some seconds
    CutSeat2,
    /// SIGKILL to the balancer, which starts again
    KillBalancer,
    /// The balancer stands still for a moment (SIGSTOP)
    PauseBalancer,
    /// SIGKILL to both servers, which start again
    KillBoth,
    /// The disk of server1 is full for some seconds; then there is room, and it is told to restart
    FullDisk1,
    /// The disk of server2 is full for some seconds; then there is room, and it is told to restart
    FullDisk2,
    /// SIGKILL to server1, whose store is removed before it starts again
    LoseStore1,
    /// SIGKILL to server1, whose whole data_dir is removed before it starts again
    LoseData1,
    /// SIGKILL to server1, whose store is overwritten before it starts again
    SpoilStore1,
    /// All calls change their owner every 500 ms for some seconds; nothing breaks
    HandOvers,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("?", |value| value.get_name()))
    }
}

impl Kind {
    /// The server that it is about.
    pub fn server(self) -> usize {
        match self {
            Kind::Kill2 | Kind::Restart2 | Kind::Pause2 | Kind::CutSeat2 | Kind::FullDisk2 => 2,
            _ => 1,
        }
    }

    /// Servers that live at the end.
    pub fn survivors(self) -> &'static [usize] {
        match self {
            Kind::Kill1 => &[2],
            Kind::Kill2 => &[1],
            _ => &[1, 2],
        }
    }

    /// The server that has a disk of its own, which can be full.
    pub fn small_disk(self) -> Option<usize> {
        matches!(self, Kind::FullDisk1 | Kind::FullDisk2).then(|| self.server())
    }

    /// True if what must show of it needs calls that end. Before a bill is written, a store that
    /// is gone looks like a first start; and a full disk shows when something is written to it.
    pub fn needs_bills(self) -> bool {
        matches!(self, Kind::LoseStore1 | Kind::SpoilStore1 | Kind::FullDisk1 | Kind::FullDisk2)
    }

    /// True if the next view comes without one of the two servers.
    pub fn changes_view(self) -> bool {
        self.limits().takeover_ms.is_some()
    }
}
