//! Both servers die at once while phones talk, and are started again: for some seconds nobody
//! lived, and the stores are all that is left of the calls.

use crate::support::cluster::{Calls, Cluster, SERVERS};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::rest::Bill;
use std::time::Duration;

/// How long a call is talked before its ends are asked, and how long behind that.
const TALK_S: u64 = 2;

/// How far a bill may be from what the phone measured.
const TOLERANCE: Duration = Duration::from_secs(1);

/// What an operator says to have the ends of all calls asked.
const ASK: [&str; 5] = ["adaptor", "query-liveness", "sip", "--token-file", "admin.token"];

/// How long a cold start may take: a store is not used before three seconds have shown that nobody
/// lives.
const BACK_WITHIN: Duration = Duration::from_secs(40);

/// T1 of a phone that gives its BYE up after 3.2 s: within the outage.
const HASTY_T1_MS: u64 = 50;

/// Alice talks to bob, carol to dave, and erin has frank's phone ring.
struct Outage {
    cluster: Cluster,
    phones: [Handset; 6],
    calls: [String; 3],
    /// How long the two pairs had talked when it was last proven that they do.
    proven_after: Duration,
}

impl Outage {
    /// Until both servers are dead.
    #[track_caller]
    fn begin() -> Self {
        let users = ["alice", "bob", "carol", "dave", "erin", "frank"].map(str::to_owned);
        let mut cluster = Cluster::start(&users, Calls::Digest);
        let phones = users.map(|user| match user.as_str() {
            "dave" => Handset::start_hasty(&user, cluster.sip(), HASTY_T1_MS),
            "frank" => Handset::start_ringing(&user, cluster.sip()),
            _ => Handset::start(&user, cluster.sip()),
        });
        phones.iter().for_each(Handset::register);
        let [alice, _, carol, dave, erin, frank] = &phones;
        let calls = [alice.call("bob"), carol.call("dave"), erin.call_ringing("frank")];
        frank.wait_for_call(SOON);
        cluster.rest(1).wait_for_talk(&calls[1], TALK_S);
        let proven_after = dave.time_talked();
        cluster.ctl(1, &ASK).expect("their ends are asked");
        cluster.rest(1).wait_for_talk(&calls[1], 2 * TALK_S);
        cluster.kill_both_nodes();
        Outage { cluster, phones, calls, proven_after }
    }

    #[track_caller]
    fn end(&mut self) {
        for server in [1, 2] {
            self.cluster.start_node(server);
        }
        for server in [1, 2] {
            self.cluster.rest(server).wait_for_members(&SERVERS, BACK_WITHIN);
        }
    }

    /// The one bill of a call, the same at both servers.
    #[track_caller]
    fn bill(&self, call: usize) -> Bill {
        let bills = [1, 2].map(|server| self.cluster.rest(server).wait_for_bill(&self.calls[call]));
        assert_eq!(bills[0], bills[1], "both show the same bill");
        println!("{:?}", bills[0]);
        let [bill, _] = bills;
        bill
    }
}

#[track_caller]
fn assert_billed(bill: &Bill, talked: Duration, (by, cause): (&str, &str)) {
    let billed = bill.talk_time();
    assert!(billed.abs_diff(talked) <= TOLERANCE, "{billed:?} is not {talked:?}: {bill:?}");
    assert_eq!((bill.ended_by.as_str(), bill.end_cause.as_str()), (by, cause), "{bill:?}");
}

#[test]
fn calls_outlive_both_servers_and_one_that_is_hung_up_meanwhile_is_billed_to_its_last_proof() {
    let mut outage = Outage::begin();
    // Nobody hears of that, ever: a server has to ask.
    outage.phones[3].hang_up_in_vain();
    outage.end();
    let [alice, bob, carol, dave, erin, frank] = &outage.phones;

    carol.wait_for_hang_up(true);
    let bill = outage.bill(1);
    assert_billed(&bill, outage.proven_after, ("server", "last proof of life"));
    let later = dave.talk_time().saturating_sub(bill.talk_time());
    assert!(later > TOLERANCE, "it would not be seen if it was billed until he hung up");

    // It has rung over the outage, and is answered.
    frank.answer();
    erin.wait_for_answer();
    let rest = outage.cluster.rest(1);
    rest.wait_for_talk(&outage.calls[2], TALK_S);
    erin.hang_up();
    frank.wait_for_hang_up(true);
    assert_billed(&outage.bill(2), erin.talk_time(), ("caller", "bye"));

    // The time in which no server lived is theirs: they have talked.
    assert!(alice.is_talking() && bob.is_talking(), "the call was cut");
    let state = rest.wait_for_call(&outage.calls[0], "talking");
    assert!(SERVERS.map(Some).contains(&state.node.as_deref()), "{state:?}");
    bob.hang_up();
    alice.wait_for_hang_up(true);
    assert_billed(&outage.bill(0), bob.talk_time(), ("callee", "bye"));
    for server in [1, 2] {
        outage.cluster.rest(server).wait_for_no_calls();
        assert_eq!(outage.cluster.rest(server).bills().len(), 3, "three calls, three bills");
    }
    wait_until("nobody is alarmed any more", SOON, || {
        [1, 2].iter().all(|server| outage.cluster.rest(*server).alarms().is_empty())
    });
}
