//! The call flows of the test kit with SIPp as all phones: each plain, and each with a server
//! killed in it: the one that has its call, or would have got it.
//!
//! Clusters are shared: several flows run at once, each with users and ports of its own, and one
//! kill is for all of them. At which steps a kill comes is the simulator's, which plays the same
//! files.

use crate::support::cluster::{Calls, Cluster, SERVERS, password};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::ports::{free_ports, loopback};
use crate::support::rest::Bill;
use crate::support::sipp::Sipp;
use crate::support::system_program::is_wanted;
use resilee_test_kit::flows::{Ended, FLOWS, Flow, Policy, Role};
use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

/// T1 of the nodes, as the flows want it.
const T1_MS: u64 = 200;
/// Flows that run at once; each is up to three processes.
const AT_ONCE: usize = 12;
/// Flows that share a kill.
const KILLED_AT_ONCE: usize = 8;
/// How long a flow waits at its moment for a kill, by `<pause/>`.
const PLAIN_PAUSE_MS: u64 = 100;
/// The same with a kill: all flows that share it have to be there by then, and it is noticed.
const KILLED_PAUSE_MS: u64 = 2_500;
/// The longest flow waits for 64 T1.
const FLOWS_WITHIN: Duration = Duration::from_secs(30);
/// How long it takes until calls of which phones know nothing more are billed and gone.
const OVER_WITHIN: Duration = Duration::from_secs(5);
/// A server tells the other one with its next heartbeat that a phone has its answer. One that dies
/// before has it answered again by its survivor: SIPp, which has the port by then, would take the
/// answer to a REGISTER for a call of its own.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a node takes to be a member again.
const BACK_WITHIN: Duration = Duration::from_secs(40);

#[test]
fn every_call_flow_ends_as_it_should() {
    if !is_wanted("sipp") {
        return;
    }
    let clock = Clock::start("as they are");
    let mut failures = Vec::new();
    for policy in [Policy::Open, Policy::Digest] {
        let (cluster, flows) = (start(policy), flows(policy));
        for batch in flows.chunks(AT_ONCE) {
            let running = start_flows(&cluster, batch, PLAIN_PAUSE_MS);
            failures.extend(finish(running, &cluster, 1));
        }
    }
    clock.tell();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_call_flow_survives_the_death_of_its_server() {
    if !is_wanted("sipp") {
        return;
    }
    let clock = Clock::start("with their server killed");
    let mut failures = Vec::new();
    for policy in [Policy::Open, Policy::Digest] {
        let (mut cluster, flows) = (start(policy), flows(policy));
        for (index, batch) in flows.chunks(KILLED_AT_ONCE).enumerate() {
            let (dies, survives) = if index % 2 == 0 { (1, 2) } else { (2, 1) };
            cluster.prefer(dies);
            let running = start_flows(&cluster, batch, KILLED_PAUSE_MS);
            let told = Instant::now() + TOLD_WITHIN;
            wait_until("all flows are at their moment for a kill", SOON, || {
                running.iter().all(Running::is_at_its_moment) && Instant::now() >= told
            });
            cluster.kill_node(dies);
            failures.extend(finish(running, &cluster, survives));
            cluster.start_node(dies);
            for server in [1, 2] {
                cluster.rest(server).wait_for_members(&SERVERS, BACK_WITHIN);
            }
            cluster.wait_until_backed();
        }
    }
    clock.tell();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How long the flows of a test took by themselves.
struct Clock {
    how: &'static str,
    began: Instant,
}

impl Clock {
    fn start(how: &'static str) -> Self {
        Clock { how, began: Instant::now() }
    }

    /// Past what libtest keeps to itself of a test that passes: whoever runs them all is to see it.
    fn tell(&self) {
        let seconds = self.began.elapsed().as_secs_f64();
        writeln!(io::stderr(), "call flows {}: {seconds:.1} s", self.how).expect("it is open");
    }
}

fn flows(policy: Policy) -> Vec<&'static Flow> {
    let names = env::var("RESILEE_FLOWS").ok();
    let is_wanted = |flow: &&Flow| {
        names.as_ref().is_none_or(|names| names.split(',').any(|name| name == flow.name))
    };
    FLOWS.iter().filter(|flow| flow.policy == policy).filter(is_wanted).collect()
}

fn start(policy: Policy) -> Cluster {
    let users: Vec<String> = flows(policy).iter().flat_map(|flow| flow.users()).collect();
    let calls = match policy {
        Policy::Open => Calls::Open,
        Policy::Digest => Calls::Digest,
    };
    Cluster::start_with_t1(&users, calls, T1_MS)
}

/// A flow and its phones, the caller first.
struct Running {
    flow: &'static Flow,
    phones: Vec<Sipp>,
}

/// Registers the phones of the flows, then has them play; callers come last.
fn start_flows(cluster: &Cluster, flows: &[&'static Flow], pause_ms: u64) -> Vec<Running> {
    let mut all = Vec::new();
    for flow in flows {
        let mut phones = Vec::new();
        for party in flow.parties.iter().rev() {
            let port = free_ports(1);
            if party.role != Role::Caller {
                register(cluster, &flow.user(party.role), port);
            }
            let name = format!("{}-{}-{port}", flow.name, party.role.name());
            let scenario = cluster.folder().join(format!("{name}.xml"));
            fs::write(&scenario, party.scenario).expect("the folder takes files");
            let caller = flow.user(Role::Caller);
            let (pause, password) = (pause_ms.to_string(), password(&caller));
            let messages = format!("{name}.messages");
            let options = [
                ["-s", flow.name, "-au", &caller, "-ap", &password, "-d", &pause],
                ["-m", "1", "-rtcheck", "loose", "-max_retrans", "12", "-message_file", &messages],
            ];
            let remote = (party.role == Role::Caller).then_some(cluster.sip());
            let options = [options.as_flattened(), &["-trace_msg"]].concat();
            phones.insert(
                0,
                Sipp::start_file(&name, &scenario, cluster.folder(), (port, remote), &options),
            );
        }
        all.push(Running { flow, phones });
    }
    all
}

/// As the phone at a port that is SIPp's afterwards: a call goes where the REGISTER came from.
fn register(cluster: &Cluster, user: &str, port: u16) {
    let phone = Handset::start_at(user, cluster.sip(), loopback(port));
    phone.register();
    drop(phone);
    wait_until("the port is free again", SOON, || UdpSocket::bind(loopback(port)).is_ok());
}

/// Waits until they are over; what did not go well.
fn finish(flows: Vec<Running>, cluster: &Cluster, server: usize) -> Vec<String> {
    let deadline = Instant::now() + FLOWS_WITHIN;
    let outcomes = flows.into_iter().map(|flow| flow.finish(cluster, server, deadline));
    let mut failures: Vec<String> = outcomes.filter_map(Result::err).collect();
    let rest = cluster.rest(server);
    if !holds_within(OVER_WITHIN, || rest.calls().is_empty()) {
        failures.push(format!("calls are left: {:#?}", rest.calls()));
    }
    failures
}

impl Running {
    fn is_at_its_moment(&self) -> bool {
        self.phones[0].logged("kill").is_some()
    }

    /// Waits until all phones are content, and compares the bills.
    fn finish(mut self, cluster: &Cluster, server: usize, deadline: Instant) -> Result<(), String> {
        let flow = self.flow;
        let left = || deadline.saturating_duration_since(Instant::now());
        let outcomes: Vec<_> = self.phones.iter_mut().map(|phone| phone.outcome(left())).collect();
        let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        if !failures.is_empty() {
            return Err(failures.join("\n"));
        }
        let call_id = self.phones[0].logged("kill").expect("each caller logs it");
        let is_its = |bill: &Bill| bill.call_id.ends_with(&call_id);
        let ended = || -> Vec<Ended> {
            let bills = cluster.rest(server).bills();
            bills.iter().filter(|bill| is_its(bill)).map(ended_by).collect()
        };
        // A bill may be written some moments after the phones are content.
        if !holds_within(OVER_WITHIN, || flow.is_billed_by(ended())) {
            return Err(format!("{}: {:?}, bills by {:?}", flow.name, flow.bills, ended()));
        }
        println!("{}: {}", flow.name, flow.sentence);
        Ok(())
    }
}

/// Looks until it is so; false if it is not in time.
fn holds_within(within: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        // sleep: between two looks at the condition
        thread::sleep(LOOK_EVERY);
    }
}

fn ended_by(bill: &Bill) -> Ended {
    match bill.ended_by.as_str() {
        "caller" => Ended::Caller,
        "callee" => Ended::Callee,
        other => panic!("nobody of the flow hung up, but {other}: {bill:#?}"),
    }
}
