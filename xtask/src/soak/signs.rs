//! What a person must see of each fault, in the management of the servers that can be asked: the
//! alarms while it lasts, and that no call has a backup.
//!
//! | what broke                    | asked     | alarms                                          |
//! |-------------------------------|-----------|-------------------------------------------------|
//! | a server is dead or stands    | the other | its link is down; no backup                     |
//! | the link between the servers  | both      | it is down; no backup                           |
//! | balancer and one server       | both      | there: the balancer is not heard; no backup     |
//! | the balancer                  | both      | at both: the balancer is not heard              |
//! | both servers                  | both      | when they are back: they serve nothing yet      |
//! | a server lost all its files   | the other | as dead; then: it came back with an empty store |
//! | a disk is full                | the other | there: nothing is stored any more               |
//! | a store is gone, or spoilt    | the other | as dead; then there: where the bills come from  |
//! | nothing (hand-overs)          |           |                                                 |
//!
//! All of them are cleared when the pair is whole again, but for those that [`Sign::lasts`].
//! Looking for them is not here (`watch`).

use super::kind::Kind;
use crate::pair::{Alarm, NAMES};

const CLUSTER: &str = "cluster";
const BALANCER: &str = "balancer";
const STORE: &str = "store";

const NO_BACKUP: &str = "no backup";
const NOT_HEARD: &str = "the balancer is not heard";
const NOTHING_STORED: &str = "nothing is stored any more";
const REBUILT: &str = "bills come from the journal";
const CAME_BACK_EMPTY: &str = "came back with an empty store";
const OUTSIDE: &str = "this node serves no calls";

/// An alarm that must be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The server that raises it; none: any.
    node: Option<&'static str>,
    source: &'static str,
    /// A part of its text.
    text: String,
    /// It tells of something that happened, and stays as long as that run of the server.
    pub lasts: bool,
}

/// All that must be seen.
pub struct Signs {
    /// The servers whose management is asked, 1 or 2.
    pub asked: &'static [usize],
    /// The alarms.
    pub alarms: Vec<Sign>,
    /// One of the servers says that no call has a backup.
    pub degraded: bool,
}

impl Sign {
    fn new(node: Option<usize>, source: &'static str, text: impl Into<String>) -> Self {
        let node = node.map(|server| NAMES[server]);
        Sign { node, source, text: text.into(), lasts: false }
    }

    /// True of the alarm that is meant.
    pub fn fits(&self, alarm: &Alarm) -> bool {
        self.node.is_none_or(|node| node == alarm.node)
            && self.source == alarm.source
            && alarm.text.contains(&self.text)
    }
}

impl Kind {
    /// What must be seen.
    pub fn signs(self) -> Signs {
        let server = self.server();
        let other = 3 - server;
        let asked: &[usize] = match (self, other) {
            (Kind::HandOvers, _) => &[],
            (
                Kind::CutCluster
                | Kind::CutCluster1To2
                | Kind::CutCluster2To1
                | Kind::CutSeat1
                | Kind::CutSeat1In
                | Kind::CutSeat1Out
                | Kind::CutSeat2
                | Kind::KillBalancer
                | Kind::PauseBalancer
                | Kind::KillBoth,
                _,
            ) => &[1, 2],
            (_, 1) => &[1],
            _ => &[2],
        };
        let alarms = self.alarms(server, other);
        Signs { asked, degraded: alarms.iter().any(|sign| sign.text == NO_BACKUP), alarms }
    }

    fn alarms(self, server: usize, other: usize) -> Vec<Sign> {
        let no_backup = || Sign::new(Some(other), CLUSTER, NO_BACKUP);
        let link = || {
            let text = format!("the link to {} is down", NAMES[server]);
            Sign::new(Some(other), CLUSTER, text)
        };
        let not_heard = |server| Sign::new(Some(server), BALANCER, NOT_HEARD);
        let of_store = |text, lasts| Sign { lasts, ..Sign::new(Some(server), STORE, text) };
        match self {
            Kind::Kill1
            | Kind::Kill2
            | Kind::Restart1
            | Kind::Restart2
            | Kind::Pause1
            | Kind::Pause2 => vec![link(), no_backup()],
            Kind::LoseData1 => {
                let empty = Sign::new(Some(other), STORE, CAME_BACK_EMPTY);
                vec![link(), no_backup(), Sign { lasts: true, ..empty }]
            }
            Kind::LoseStore1 | Kind::SpoilStore1 => {
                vec![link(), no_backup(), of_store(REBUILT, true)]
            }
            // Which of the two goes on is decided by who asks first.
            Kind::CutCluster | Kind::CutCluster1To2 | Kind::CutCluster2To1 => vec![
                Sign::new(None, CLUSTER, "the link to server"),
                Sign::new(None, CLUSTER, NO_BACKUP),
            ],
            Kind::CutSeat1 | Kind::CutSeat1In | Kind::CutSeat1Out | Kind::CutSeat2 => {
                vec![not_heard(server), no_backup()]
            }
            Kind::KillBalancer | Kind::PauseBalancer => vec![not_heard(1), not_heard(2)],
            Kind::KillBoth => vec![Sign::new(None, CLUSTER, OUTSIDE)],
            Kind::FullDisk1 | Kind::FullDisk2 => vec![of_store(NOTHING_STORED, false)],
            Kind::HandOvers => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn whatever_breaks_shows_at_a_server_that_can_be_asked() {
        for kind in Kind::value_variants().iter().filter(|kind| **kind != Kind::HandOvers) {
            let signs = kind.signs();
            assert!(!signs.alarms.is_empty() && !signs.asked.is_empty(), "{kind}");
            let dead = |server| !kind.survivors().contains(server);
            assert!(!signs.asked.iter().any(dead), "{kind}");
            assert!(!kind.changes_view() || signs.degraded, "{kind} leaves no backup");
        }
    }

    #[test]
    fn an_alarm_fits_by_node_source_and_text() {
        let alarm = Alarm {
            node: "server2".to_owned(),
            source: "cluster".to_owned(),
            text: "the link to server1 is down: it gets no changes".to_owned(),
        };
        let fitting = |kind: Kind, alarm: &Alarm| {
            kind.signs().alarms.iter().filter(|sign| sign.fits(alarm)).count()
        };
        assert_eq!(fitting(Kind::Kill1, &alarm), 1);
        assert_eq!(fitting(Kind::CutCluster, &alarm), 1);
        assert_eq!(fitting(Kind::Kill2, &alarm), 0);
        let elsewhere = Alarm { node: "server1".to_owned(), ..alarm.clone() };
        assert_eq!(fitting(Kind::Kill1, &elsewhere), 0);
        let other = Alarm { source: "store".to_owned(), ..alarm };
        assert_eq!(fitting(Kind::Kill1, &other), 0);
    }
}
