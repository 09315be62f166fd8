//! What a cluster is made of.

use crate::cluster::TestCluster;
use crate::web::WebHost;
use resilee_call_billing::{CallBilling, TARIFFS, Tariff};
use resilee_call_control::CallControl;
use resilee_registrar::Registrar;
use resilee_sbb::{LinkedSbb, Sbb, Tables, encode};
use serde::Serialize;

/// Makes a [`TestCluster`].
#[derive(Debug)]
pub struct Builder {
    services: Vec<LinkedSbb>,
    configured: Tables,
    web_hosts: Vec<WebHost>,
}

impl TestCluster {
    /// Two nodes with call control, billing and the registrar; each call costs 0.05 EUR, and each
    /// minute 0.12 EUR by seconds.
    pub fn builder() -> Builder {
        let services = vec![
            LinkedSbb::of::<CallControl>(),
            LinkedSbb::of::<CallBilling>(),
            LinkedSbb::of::<Registrar>(),
        ];
        let money = |text: &str| text.parse().expect("an amount of money");
        let tariff = Tariff {
            prefix: String::new(),
            currency: "EUR".to_owned(),
            connect_fee: money("0.05"),
            per_minute: money("0.12"),
            increment_s: 1,
        };
        let (configured, web_hosts) = (Tables::default(), Vec::new());
        Builder { services, configured, web_hosts }.row(TARIFFS, "", &tariff)
    }
}

impl Builder {
    /// Both nodes have this service as well.
    pub fn service<S: Sbb>(mut self) -> Self {
        self.services.push(LinkedSbb::of::<S>());
        self
    }

    /// Both nodes have the service of this unit as well.
    pub fn unit(mut self, service: LinkedSbb) -> Self {
        self.services.push(service);
        self
    }

    /// Both nodes are configured with this row of a table, or with this profile of a profile table.
    ///
    /// # Panics
    /// If it cannot be encoded.
    pub fn row<T: Serialize>(mut self, table: &str, key: &str, row: &T) -> Self {
        self.configured.put(table, key, encode(row).expect("the row can be encoded"));
        self
    }

    /// There is a web host of this name (`host` or `host:port`), and services may call it. What it
    /// does is said by [`TestCluster::web`].
    ///
    /// # Panics
    /// Something that is no host.
    pub fn web(mut self, host: &str) -> Self {
        self.web_hosts.push(WebHost::new(host));
        self
    }

    /// Starts both nodes; when this returns they are members.
    pub fn start(self) -> TestCluster {
        TestCluster::start(self.services, self.configured, self.web_hosts)
    }
}
