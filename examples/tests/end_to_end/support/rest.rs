//! The management interface of one node, as anybody's script would read it.

use super::condition::{SOON, wait_for, wait_until};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The cohort of the shared tables, and of the root entities of the cluster.
const TABLES: &str = "0000000000000000";

/// Bills that are asked for at once.
const BILLS_PER_PAGE: usize = 200;

/// Sources of alarms about servers, links and disks: a test that kills a server gets some.
const OF_SERVERS: [&str; 5] = ["balancer", "clock", "cluster", "overload", "store"];

/// See the module.
#[derive(Clone, Debug)]
pub struct Rest {
    base: String,
    agent: ureq::Agent,
}

/// `GET /api/v1/nodes`, as far as tests look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Nodes {
    /// Number of the view.
    pub view: u64,
    /// `backed` if every call is held by two nodes.
    pub protection: String,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The balancers.
    pub balancers: Vec<Balancer>,
}

/// One row of [`Nodes`].
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether it is in the view.
    pub member: bool,
    /// The cohorts that it owns.
    pub cohort_ids: Vec<String>,
}

/// A balancer in [`Nodes`].
#[derive(Clone, Debug, Deserialize)]
pub struct Balancer {
    /// `up` or `silent`.
    pub state: String,
}

/// One row of `GET /api/v1/calls`.
#[derive(Clone, Debug, Deserialize)]
pub struct LiveCall {
    /// The cell's id, and later the bill's.
    pub id: String,
    /// Call-ID of the INVITE.
    pub call_id: String,
    /// `ringing` or `talking`.
    pub state: String,
    /// The node that owns it.
    pub node: Option<String>,
    /// Whole seconds since the answer.
    pub seconds: u64,
}

/// One row of `GET /api/v1/bills`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Bill {
    /// Its key.
    pub id: String,
    /// Call-ID of the INVITE.
    pub call_id: String,
    /// When the 2xx came.
    pub answered_at: jiff::Timestamp,
    /// When the BYE came.
    pub ended_at: jiff::Timestamp,
    /// Talk time; a second begun counts whole.
    pub seconds: u64,
    /// Decimal text.
    pub total: String,
    /// The node that saw the answer.
    pub answered_by: String,
    /// The node that closed the call.
    pub closed_by: String,
    /// Who hung up.
    pub ended_by: String,
    /// How the end became known.
    pub end_cause: String,
}

impl Bill {
    /// From answer to end.
    pub fn talk_time(&self) -> Duration {
        Duration::try_from(self.ended_at.duration_since(self.answered_at))
            .expect("no call ends before it is answered")
    }
}

/// One row of `GET /api/v1/alarms`.
#[derive(Clone, Debug, Deserialize)]
pub struct Alarm {
    /// Where it is raised.
    pub node: String,
    /// What it is about.
    pub source: String,
    /// What an operator reads.
    pub text: String,
}

/// One row of `GET /api/v1/services`.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `active`, `stopping` or `inactive`.
    pub state: String,
    /// Its SBB entities in the whole cluster.
    pub entities_in_cluster: u64,
}

#[derive(Deserialize)]
struct Services {
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Alarms {
    alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Calls {
    calls: Vec<LiveCall>,
}

#[derive(Deserialize)]
struct Bills {
    bills: Vec<Bill>,
    pages: usize,
    found: usize,
    unreadable: u64,
}

impl Rest {
    /// The interface at `address`.
    pub fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_WITHIN)).build();
        Rest { base: format!("http://{address}"), agent: config.into() }
    }

    /// Address of a page of the admin UI.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The cluster as the node sees it; `None` while the node does not answer.
    pub fn nodes(&self) -> Option<Nodes> {
        self.get("nodes").ok()
    }

    /// The name of the node that has the shared tables and the root entities of the cluster.
    #[track_caller]
    pub fn owner_of_tables(&self) -> String {
        let nodes = self.nodes().expect("the node answers").nodes.into_iter();
        let mut owners = nodes.filter(|node| node.cohort_ids.iter().any(|id| id == TABLES));
        owners.next().expect("somebody owns the tables").name
    }

    /// True if the node says of itself that it serves.
    pub fn is_healthy(&self) -> bool {
        self.get::<serde_json::Value>("health").is_ok()
    }

    /// All alarms of the cluster, as far as the node hears of them; none while it does not answer.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.get::<Alarms>("alarms").map(|answer| answer.alarms).unwrap_or_default()
    }

    /// Nothing is wrong with any service or unit.
    #[track_caller]
    pub fn has_no_service_alarm(&self) {
        let answer = self.get::<Alarms>("alarms").unwrap_or_else(|error| panic!("{error}"));
        let of_service = |alarm: &Alarm| !OF_SERVERS.contains(&alarm.source.as_str());
        let alarms: Vec<_> = answer.alarms.into_iter().filter(of_service).collect();
        assert!(alarms.is_empty(), "{alarms:#?}");
    }

    /// A service, once it is as wanted.
    #[track_caller]
    pub fn wait_for_service(&self, name: &str, is_so: impl Fn(&Service) -> bool) -> Service {
        wait_for(format!("{name} is as wanted"), SOON, || {
            let services = self.get::<Services>("services").ok()?.services;
            services.into_iter().find(|service| service.name == name && is_so(service))
        })
    }

    /// The overview as the node makes it; empty while it does not answer.
    pub fn overview(&self) -> String {
        let answer = self.agent.get(self.page("/")).call();
        answer.and_then(|mut answer| answer.body_mut().read_to_string()).unwrap_or_default()
    }

    /// Calls in progress.
    #[track_caller]
    pub fn calls(&self) -> Vec<LiveCall> {
        self.get::<Calls>("calls").unwrap_or_else(|error| panic!("{error}")).calls
    }

    /// The live call of a Call-ID, once the node shows it in `state`.
    #[track_caller]
    pub fn wait_for_call(&self, call_id: &str, state: &str) -> LiveCall {
        wait_for(format!("{call_id} is {state}"), SOON, || {
            self.calls().into_iter().find(|call| call.call_id == call_id && call.state == state)
        })
    }

    /// Waits until a call has been talked for so many seconds, as the node counts them.
    #[track_caller]
    pub fn wait_for_talk(&self, call_id: &str, seconds: u64) {
        wait_until(&format!("{call_id} has been talked for {seconds} s"), SOON, || {
            let calls = self.calls();
            let call = calls.iter().find(|call| call.call_id == call_id);
            call.is_some_and(|call| call.state == "talking" && call.seconds >= seconds)
        });
    }

    /// Waits until the node says of the balancer that it is `up` or `silent`.
    #[track_caller]
    pub fn wait_for_balancer(&self, state: &str) {
        wait_until(&format!("{} says that the balancer is {state}", self.base), SOON, || {
            let balancers = self.nodes().map(|nodes| nodes.balancers);
            balancers.is_some_and(|all| all.iter().any(|balancer| balancer.state == state))
        });
    }

    /// All bills.
    #[track_caller]
    pub fn bills(&self) -> Vec<Bill> {
        let mut bills = Vec::new();
        for page in 1.. {
            let noun = format!("bills?per_page={BILLS_PER_PAGE}&page={page}");
            let answer: Bills = self.get(&noun).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(answer.unreadable, 0, "bills that the node cannot read");
            bills.extend(answer.bills);
            if page >= answer.pages {
                assert_eq!(bills.len(), answer.found, "a page of bills is not whole");
                break;
            }
        }
        bills
    }

    /// The bill of a call, once it is there; that there is a second one fails the test.
    #[track_caller]
    pub fn wait_for_bill(&self, call_id: &str) -> Bill {
        wait_for(format!("the bill of {call_id}"), SOON, || {
            let mut bills = self.bills();
            bills.retain(|bill| bill.call_id == call_id);
            assert!(bills.len() < 2, "{call_id} is billed twice: {bills:#?}");
            bills.pop()
        })
    }

    /// The bill of a call that is the only one there ever was, when it is over.
    #[track_caller]
    pub fn wait_for_only_bill(&self, call_id: &str) -> Bill {
        let bill = self.wait_for_bill(call_id);
        self.wait_for_no_calls();
        assert_eq!(self.bills(), std::slice::from_ref(&bill), "one call, one bill");
        bill
    }

    /// Waits until no call is in progress, so that no further bill can come.
    #[track_caller]
    pub fn wait_for_no_calls(&self) {
        wait_until("all calls are over", SOON, || self.calls().is_empty());
    }

    /// Waits until the node serves in a view of exactly these members.
    #[track_caller]
    pub fn wait_for_members(&self, members: &[&str], within: Duration) -> Nodes {
        let wanted: BTreeSet<&str> = members.iter().copied().collect();
        wait_for(format!("{} sees the view of {members:?}", self.base), within, || {
            let nodes = self.nodes().filter(|_| self.is_healthy())?;
            let found = nodes.nodes.iter().filter(|node| node.member);
            let is_it = found.map(|node| node.name.as_str()).collect::<BTreeSet<_>>() == wanted;
            is_it.then_some(nodes)
        })
    }

    fn get<T: DeserializeOwned>(&self, noun: &str) -> Result<T, String> {
        let address = self.page(&format!("/api/v1/{noun}"));
        let answer = self.agent.get(&address).call();
        let read = answer.and_then(|mut answer| answer.body_mut().read_json::<T>());
        read.map_err(|error| format!("GET {address}: {error}"))
    }
}
