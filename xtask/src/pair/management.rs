//! The management interface of one server, as anybody's script would read it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::property_files::TOKEN;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Bills that are asked for at once.
const BILLS_PER_PAGE: usize = 200;

/// See the module.
pub struct Management {
    base: String,
    agent: ureq::Agent,
}

/// A bill, as far as the tasks look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Bill {
    /// Call-ID of the INVITE.
    pub call_id: String,
    /// When the 2xx came.
    pub answered_at: jiff::Timestamp,
    /// When the BYE came.
    pub ended_at: jiff::Timestamp,
}

#[derive(Deserialize)]
struct Bills {
    bills: Vec<Bill>,
    pages: usize,
    found: usize,
    unreadable: u64,
}

/// An alarm, as any server tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Alarm {
    /// Where it is raised.
    pub node: String,
    /// What it is about.
    pub source: String,
    /// What an operator reads.
    pub text: String,
}

/// A deployed service, as a server lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `active`, `stopping` or `inactive`.
    pub state: String,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is carried out.
    Done,
    /// It cannot be carried out now; why.
    Refused(String),
}

#[derive(Deserialize)]
struct Alarms {
    alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Services {
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Nodes {
    protection: String,
}

#[derive(Deserialize)]
struct Health {
    member: bool,
    members: Vec<String>,
}

#[derive(Deserialize)]
struct Calls {
    calls: Vec<serde_json::Value>,
}

impl Management {
    /// The interface at `address`.
    pub fn new(address: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).build();
        Management { base: format!("http://{address}/api/v1"), agent: config.into() }
    }

    /// True if the server says that two members hold every call. Asked often, so it costs the
    /// server little.
    pub fn is_backed(&self) -> bool {
        let health: Result<Health> = self.get("health");
        health.is_ok_and(|health| health.member && health.members.len() == 2)
    }

    /// What the server says of the protection of calls: `backed`, `degraded`, `outside`.
    pub fn protection(&self) -> Result<String> {
        Ok(self.get::<Nodes>("nodes")?.protection)
    }

    /// All alarms that the server knows of.
    pub fn alarms(&self) -> Result<Vec<Alarm>> {
        Ok(self.get::<Alarms>("alarms")?.alarms)
    }

    /// All deployed services.
    pub fn services(&self) -> Result<Vec<Service>> {
        Ok(self.get::<Services>("services")?.services)
    }

    /// Calls in progress.
    pub fn calls(&self) -> Result<usize> {
        Ok(self.get::<Calls>("calls")?.calls.len())
    }

    /// All bills.
    pub fn bills(&self) -> Result<Vec<Bill>> {
        let mut bills = Vec::new();
        for page in 1.. {
            let answer: Bills =
                self.get(&format!("bills?per_page={BILLS_PER_PAGE}&page={page}"))?;
            ensure!(answer.unreadable == 0, "{} bills are unreadable", answer.unreadable);
            bills.extend(answer.bills);
            if page >= answer.pages {
                ensure!(bills.len() == answer.found, "a page of bills is not whole");
                break;
            }
        }
        Ok(bills)
    }

    /// Orders the server to give all its calls to another one; returns when that is done.
    pub fn hand_over(&self, to: &str) -> Result<Order> {
        let address = format!("{}/cluster/hand-over", self.base);
        let order = self.agent.post(&address).header("Authorization", format!("Bearer {TOKEN}"));
        let order = order.config().http_status_as_error(false).build();
        let send = || {
            let mut answer = order.send_json(serde_json::json!({ "to": to }))?;
            Ok::<_, ureq::Error>((answer.status().as_u16(), answer.body_mut().read_to_string()?))
        };
        match send().with_context(|| format!("POST {address}"))? {
            (200, _) => Ok(Order::Done),
            (409, why) => Ok(Order::Refused(why)),
            (status, why) => bail!("POST {address}: {status} {why}"),
        }
    }

    fn get<T: DeserializeOwned>(&self, noun: &str) -> Result<T> {
        let address = format!("{}/{noun}", self.base);
        let read = || self.agent.get(&address).call()?.body_mut().read_json::<T>();
        read().with_context(|| format!("GET {address}"))
    }
}
