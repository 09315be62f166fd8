//! Both servers die, and the one whose store lacks the newest calls goes on alone, by force: what
//! becomes of those calls until the other store is back, and afterwards.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::rest::Bill;
use std::time::Duration;

/// How long each call is talked before the servers die.
const TALK_S: u64 = 2;

/// How far a bill may be from what the phone measured.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Of the alarm while the end of a call waits.
const WAITS: &str = "1 ended call waits for a store that has it";

/// Alice talks to bob and carol to dave, on server1 alone; server2 was dead before that, and now
/// lives alone.
struct Stranded {
    cluster: Cluster,
    phones: [Handset; 4],
    /// Alice's call, and carol's.
    calls: [String; 2],
}

impl Stranded {
    #[track_caller]
    fn begin() -> Self {
        let users = ["alice", "bob", "carol", "dave"];
        let mut cluster = Cluster::start(&users.map(str::to_owned), Calls::Digest);
        let phones = users.map(|user| Handset::start(user, cluster.sip()));
        phones.iter().for_each(Handset::register);
        cluster.kill_node(2);
        cluster.rest(1).wait_for_members(&["server1"], SOON);
        let calls = [phones[0].call("bob"), phones[2].call("dave")];
        for call_id in &calls {
            cluster.rest(1).wait_for_talk(call_id, TALK_S);
        }
        cluster.kill_node(1);
        cluster.start_node(2);
        wait_until("server2 can be asked", SOON, || cluster.rest(2).nodes().is_some());
        cluster.force(2);
        cluster.rest(2).wait_for_members(&["server2"], SOON);
        assert!(cluster.rest(2).calls().is_empty(), "its store has none of them");
        Stranded { cluster, phones, calls }
    }

    fn waits(&self, server: usize) -> bool {
        self.cluster.rest(server).alarms().iter().any(|alarm| alarm.text.contains(WAITS))
    }

    /// The one bill of a call, the same at both servers, for the time that its caller measured.
    #[track_caller]
    fn bill(&self, call: usize) -> Bill {
        let bills = [1, 2].map(|server| self.cluster.rest(server).wait_for_bill(&self.calls[call]));
        assert_eq!(bills[0], bills[1], "both show the same bill");
        let (billed, measured) = (bills[0].talk_time(), self.phones[2 * call].talk_time());
        println!("billed {billed:?}, the caller measured {measured:?}: {:?}", bills[0]);
        assert!(billed.abs_diff(measured) <= TOLERANCE, "{billed:?} is not {measured:?}");
        let [bill, _] = bills;
        bill
    }
}

#[test]
fn a_call_that_ends_while_its_only_store_is_away_is_billed_once_and_to_its_end_when_that_is_back() {
    let mut stranded = Stranded::begin();
    let [alice, bob, carol, dave] = &stranded.phones;
    alice.hang_up();
    bob.wait_for_hang_up(true);
    wait_until("server2 keeps the end of the call", SOON, || stranded.waits(2));
    assert_eq!(stranded.cluster.rest(2).bills(), [], "nobody there knows when it began");
    // So that a bill to the moment at which the store is back would be seen to be one.
    let (hung_up, late) = (std::time::Instant::now(), 3 * TOLERANCE);
    wait_until("some seconds have passed", SOON, || hung_up.elapsed() > late);
    assert!(carol.is_talking() && dave.is_talking(), "the call was cut");

    stranded.cluster.start_node(1);
    for server in [1, 2] {
        stranded.cluster.rest(server).wait_for_members(&SERVERS, SOON);
    }
    stranded.bill(0);
    wait_until("no end of a call waits any more", SOON, || {
        !stranded.waits(1) && !stranded.waits(2)
    });

    // The other call is back with its store, and ends as any call.
    let [_, _, carol, dave] = &stranded.phones;
    stranded.cluster.rest(2).wait_for_talk(&stranded.calls[1], TALK_S);
    assert!(carol.is_talking() && dave.is_talking(), "the call was cut");
    dave.hang_up();
    carol.wait_for_hang_up(true);
    stranded.bill(1);
    for server in [1, 2] {
        stranded.cluster.rest(server).wait_for_no_calls();
        assert_eq!(stranded.cluster.rest(server).bills().len(), 2, "two calls, two bills");
    }
}
