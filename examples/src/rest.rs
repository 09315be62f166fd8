//! The management interface of one server, as anybody's script would read it.

use crate::cluster::OTHERS_WITHIN;
use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Time between two questions while something is waited for.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// `GET /api/v1/nodes`, as far as the story needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Nodes {
    /// Number of the view.
    pub view: u64,
    /// How a call is protected now.
    pub protection: String,
    nodes: Vec<Node>,
    /// The balancers.
    pub balancers: Vec<BalancerRow>,
}

/// A balancer in [`Nodes`].
#[derive(Clone, Debug, Deserialize)]
pub struct BalancerRow {
    /// Its name.
    pub name: String,
    /// `up` or `silent`.
    pub state: String,
    /// By the view that the server knows.
    pub holds_seat: bool,
    /// It is at the phones' address; none of the only one.
    pub holds_address: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct Node {
    name: String,
    member: bool,
}

impl Nodes {
    /// Names of the members of the view.
    pub fn members(&self) -> Vec<&str> {
        let members = self.nodes.iter().filter(|node| node.member);
        members.map(|node| node.name.as_str()).collect()
    }
}

/// One row of `GET /api/v1/calls`.
#[derive(Clone, Debug, Deserialize)]
pub struct LiveCall {
    /// Call-ID of the INVITE.
    pub call_id: String,
    /// The node that owns it.
    pub node: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Calls {
    calls: Vec<LiveCall>,
}

/// One row of `GET /api/v1/bills`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BillRow {
    /// Names the bill.
    pub id: String,
    /// Call-ID of the INVITE.
    pub call_id: String,
    /// Who called.
    pub caller: String,
    /// Who was called.
    pub callee: String,
    /// When the INVITE came.
    pub set_up_at: jiff::Timestamp,
    /// When the 2xx came.
    pub answered_at: jiff::Timestamp,
    /// When the BYE came.
    pub ended_at: jiff::Timestamp,
    /// Talk time; a second begun counts whole.
    pub seconds: u64,
    /// What is charged.
    pub billed_seconds: u64,
    /// The price list.
    pub tariff: TariffRow,
    /// What it costs, as decimal text.
    pub total: String,
    /// Of the total.
    pub currency: String,
    /// The node that saw the answer.
    pub answered_by: String,
    /// The node that saw the end.
    pub closed_by: String,
    /// Who hung up.
    pub ended_by: String,
}

/// The tariff of a bill; prices are decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TariffRow {
    /// Start of the numbers it is for.
    pub prefix: String,
    /// Owed once per call.
    pub connect_fee: String,
    /// Price of a minute.
    pub per_minute: String,
    /// Talk time is charged in steps of so many seconds.
    pub increment_s: u32,
}

#[derive(Debug, Deserialize)]
struct Bills {
    bills: Vec<BillRow>,
    found: u64,
}

/// One row of `GET /api/v1/services`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// `active`, `stopping` or `inactive`.
    pub state: String,
    /// Its SBB entities in all calls, whichever server has them.
    pub entities_in_cluster: u64,
}

#[derive(Debug, Deserialize)]
struct Services {
    services: Vec<ServiceRow>,
}

/// One row of `GET /api/v1/units`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UnitRow {
    /// Its service.
    pub service: String,
    /// The servers that have compiled it.
    pub nodes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Units {
    units: Vec<UnitRow>,
}

/// One row of `GET /api/v1/alarms`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AlarmRow {
    /// What it is about.
    pub source: String,
    /// What an operator reads.
    pub text: String,
}

#[derive(Debug, Deserialize)]
struct Alarms {
    alarms: Vec<AlarmRow>,
}

/// One server's management interface.
#[derive(Clone, Debug)]
pub struct Rest {
    base: String,
    agent: ureq::Agent,
}

impl Rest {
    /// The interface at `address`.
    pub fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_WITHIN)).build();
        Rest { base: format!("http://{address}"), agent: config.into() }
    }

    /// The address of the admin UI.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The page of a bill.
    pub fn page_of(&self, bill: &BillRow) -> String {
        format!("{}/bills/{}", self.base, bill.id)
    }

    /// The text behind an address.
    pub async fn page(&self, address: String) -> anyhow::Result<String> {
        let agent = self.agent.clone();
        let ask = move || agent.get(&address).call()?.body_mut().read_to_string();
        Ok(tokio::task::spawn_blocking(ask).await??)
    }

    /// Nodes and view.
    pub async fn nodes(&self) -> anyhow::Result<Nodes> {
        self.get("nodes").await
    }

    /// Calls in progress.
    pub async fn calls(&self) -> anyhow::Result<Vec<LiveCall>> {
        Ok(self.get::<Calls>("calls").await?.calls)
    }

    /// The latest bills.
    pub async fn bills(&self) -> anyhow::Result<Vec<BillRow>> {
        Ok(self.get::<Bills>("bills").await?.bills)
    }

    /// The number of all bills.
    pub async fn bill_count(&self) -> anyhow::Result<u64> {
        Ok(self.get::<Bills>("bills").await?.found)
    }

    /// The bills of one call: there should be one.
    pub async fn bills_of(&self, call_id: &str) -> anyhow::Result<Vec<BillRow>> {
        let bills = self.bills().await?;
        Ok(bills.into_iter().filter(|bill| bill.call_id == call_id).collect())
    }

    /// The services that it runs.
    pub async fn services(&self) -> anyhow::Result<Vec<ServiceRow>> {
        Ok(self.get::<Services>("services").await?.services)
    }

    /// The services that were uploaded.
    pub async fn units(&self) -> anyhow::Result<Vec<UnitRow>> {
        Ok(self.get::<Units>("units").await?.units)
    }

    /// Alarms of both servers.
    pub async fn alarms(&self) -> anyhow::Result<Vec<AlarmRow>> {
        Ok(self.get::<Alarms>("alarms").await?.alarms)
    }

    /// Waits until the server serves in a view of exactly these members.
    pub async fn wait_for_members(&self, members: &[&str]) -> anyhow::Result<Nodes> {
        let what = format!("a view of {}", members.join(" and "));
        self.wait_for(&what, async || {
            self.get::<serde_json::Value>("health").await?;
            let nodes = self.nodes().await?;
            Ok((nodes.members() == members).then_some(nodes))
        })
        .await
    }

    /// Waits until the bill of a call is there.
    pub async fn wait_for_bill(&self, call_id: &str) -> anyhow::Result<BillRow> {
        self.wait_for("the bill", async || Ok(self.bills_of(call_id).await?.into_iter().next()))
            .await
    }

    /// Asks until there is an answer that will do; errors until then are waited out.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        ask: impl AsyncFn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        let mut last = String::from("no answer yet");
        while started.elapsed() < OTHERS_WITHIN {
            match ask().await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => "the answer is another one".clone_into(&mut last),
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        bail!("{} never showed {what}: {last}", self.base)
    }

    async fn get<T: DeserializeOwned + Send + 'static>(&self, noun: &str) -> anyhow::Result<T> {
        let address = format!("{}/api/v1/{noun}", self.base);
        let agent = self.agent.clone();
        let asked = address.clone();
        let ask = move || agent.get(&asked).call()?.body_mut().read_json::<T>();
        let answer = tokio::task::spawn_blocking(ask).await?;
        answer.with_context(|| format!("GET {address}"))
    }
}
