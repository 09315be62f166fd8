//! A load of SIPp's phones: users who register, calls that come at a rate, and what must be so when
//! all are over: none has failed, and each has one bill, for the time that it was held.

use super::cluster::{Cluster, password};
use super::condition::{SOON, wait_until};
use super::ports::free_ports;
use super::rest::Bill;
use super::sipp::{Held, Sipp};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// How many call how often, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Users who are called, one after the other.
    pub users: u64,
    /// Calls in all.
    pub calls: u64,
    /// Calls that begin in a second.
    pub rate: u64,
    /// From the answer to the BYE.
    pub hold_ms: u64,
    /// SIPp's name of it.
    pub transport: &'static str,
}

/// A load takes some 20 seconds; the rest is for repeats and a slow machine.
const LOAD_WITHIN: Duration = Duration::from_secs(90);
/// How far a bill may be from what the caller measured.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A load that is under way.
#[derive(Debug)]
pub struct Calling {
    load: Load,
    caller: Sipp,
    callee: Sipp,
}

impl Load {
    /// Its users.
    pub fn names(&self) -> Vec<String> {
        (1..=self.users).map(|number| format!("desk{number}")).collect()
    }

    /// Registers the users, and begins to call them.
    #[track_caller]
    pub fn start(self, cluster: &Cluster) -> Calling {
        let port = free_ports(1);
        self.register(cluster, port);
        let options = ["-m", &self.calls.to_string(), "-t", self.transport];
        let callee = Sipp::start("callee", cluster.folder(), port, None, &options);
        let caller = self.start_calls(cluster);
        Calling { load: self, caller, callee }
    }

    /// All phones are one SIPp, at the port where the callee will be.
    #[track_caller]
    fn register(&self, cluster: &Cluster, port: u16) {
        let users = self.names();
        let mut file = String::from("SEQUENTIAL\n");
        for user in &users {
            let password = password(user);
            file += &format!("{user};[authentication username={user} password={password}]\n");
        }
        fs::write(cluster.folder().join("users.csv"), file).expect("the folder takes files");
        let count = users.len().to_string();
        let transport = self.transport;
        let options =
            ["-inf", "users.csv", "-m", &count, "-r", "100", "-timeout", "30s", "-t", transport];
        let mut sipp =
            Sipp::start("register", cluster.folder(), port, Some(cluster.sip()), &options);
        sipp.wait_for_success(LOAD_WITHIN);
        println!("{}", sipp.sum());
        assert_eq!(sipp.count("SuccessfulCall(C)"), self.users);
    }

    #[track_caller]
    fn start_calls(&self, cluster: &Cluster) -> Sipp {
        let [calls, rate, hold] =
            [self.calls, self.rate, self.hold_ms].map(|number| number.to_string());
        let options = ["-inf", "users.csv", "-m", &calls, "-r", &rate, "-d", &hold, "-l", &calls];
        let options = [options.as_slice(), &["-t", self.transport]].concat();
        Sipp::start("caller", cluster.folder(), free_ports(1), Some(cluster.sip()), &options)
    }
}

impl Calling {
    /// Waits until so many calls have begun.
    #[track_caller]
    pub fn wait_until_begun(&mut self, calls: u64) {
        let Calling { caller, callee, .. } = self;
        wait_until(&format!("{calls} calls have begun"), LOAD_WITHIN, || {
            assert!(caller.is_running() && callee.is_running(), "{}", caller.errors());
            caller.count("TotalCallCreated") >= calls
        });
    }

    /// How many calls have begun, as SIPp said last.
    pub fn begun(&self) -> u64 {
        self.caller.count("TotalCallCreated")
    }

    /// Waits until all calls are over, of which none has failed; their bills, as `survivor` shows
    /// them.
    #[track_caller]
    pub fn wait_for_bills(mut self, cluster: &Cluster, survivor: usize) -> Vec<Bill> {
        for side in [&mut self.caller, &mut self.callee] {
            side.wait_for_success(LOAD_WITHIN);
            println!("{}", side.sum());
            assert_eq!(side.count("SuccessfulCall(C)"), self.load.calls);
            assert_eq!(side.count("FailedCall(C)"), 0);
        }
        let survivor = cluster.rest(survivor);
        survivor.wait_for_no_calls();
        wait_until("all bills are there", SOON, || {
            survivor.bills().len() as u64 >= self.load.calls
        });
        let bills = survivor.bills();
        check_bills(&bills, &self.caller.held(), self.load.calls);
        bills
    }
}

#[track_caller]
fn check_bills(bills: &[Bill], held: &BTreeMap<String, Held>, calls: u64) {
    let call_ids: BTreeSet<&str> = bills.iter().map(|bill| bill.call_id.as_str()).collect();
    let called: BTreeSet<&str> = held.keys().map(String::as_str).collect();
    assert_eq!(bills.len() as u64, calls, "bills");
    assert_eq!(call_ids.len(), bills.len(), "a call is billed twice");
    assert_eq!(call_ids, called, "bills are for other calls");
    let mut worst = Duration::ZERO;
    for bill in bills {
        let time = held[&bill.call_id].time().expect("a good call has an answer and an end");
        let off = bill.talk_time().abs_diff(time);
        assert!(off <= TOLERANCE, "held for {time:?}, {off:?} off: {bill:#?}");
        assert_eq!(bill.seconds, bill.talk_time().as_secs_f64().ceil() as u64, "{bill:#?}");
        worst = worst.max(off);
    }
    println!("{} bills; the worst is {} ms off", bills.len(), worst.as_millis());
}
