//! One run of the node: its incarnation, its core, and its links. A rejoin makes the next one.

use crate::config::{Parts, RuntimeConfig, RuntimeError};
use crate::links::EVENTS_MAX;
use crate::units::Refused;
use resilee_cluster::{Cluster, ClusterConfig, ClusterEvent, ClusterHandle, Limits};
use resilee_core::{Core, CoreConfig, Egress, Restored};
use resilee_membership::RunId;
use resilee_sbb::Timestamp;
use std::rc::Rc;
use tokio::sync::mpsc;

/// What a run consists of.
pub(crate) struct Fresh {
    /// Its core.
    pub core: Core,
    /// Its links, if the node has peers.
    pub links: Option<ClusterHandle>,
}

/// Makes runs.
#[derive(Clone)]
pub(crate) struct RunFactory {
    config: Rc<RuntimeConfig>,
    parts: Rc<Parts>,
    /// What was found when the store was opened.
    store_notices: Rc<Vec<String>>,
}

impl RunFactory {
    /// Makes runs of the node of `config`.
    pub fn new(config: RuntimeConfig, parts: Parts, store_notices: Vec<String>) -> Self {
        let store_notices = Rc::new(store_notices);
        RunFactory { config: Rc::new(config), parts: Rc::new(parts), store_notices }
    }

    /// Starts the next run with what the store held. The first one, with the units that are
    /// `refused`, is not started if calls in it depend on one of these, or on one that is not
    /// deployed since something is in its way.
    pub async fn start(
        &self,
        now: Timestamp,
        mut restored: Restored,
        refused: Option<Refused>,
    ) -> Result<(Fresh, Option<mpsc::Receiver<ClusterEvent>>), RuntimeError> {
        let config = &self.config;
        restored.notices.extend(self.store_notices.iter().cloned());
        let me = restored.next_run(&config.node, now);
        let adaptors = (self.parts.adaptors)(&me);
        let core_config = CoreConfig {
            me: me.clone(),
            key: config.key.clone(),
            peers: config.peers.clone(),
            behind_balancer: config.behind_balancer,
            balancers: config.balancers.clone(),
            heartbeat_ms: config.heartbeat_ms,
            missed: config.missed,
            cold_start_ms: config.cold_start_ms,
            unclean: config.unclean,
            limits: config.limits,
        };
        let tables = self.parts.tables.clone();
        let core = Core::new(now, core_config, &self.parts.services, adaptors, tables, restored);
        if let Some(refused) = refused {
            check_units(&core, refused)?;
        }
        let (links, events) = self.start_links(&me).await?.unzip();
        Ok((Fresh { core, links }, events))
    }

    /// Sends a message of another adaptor than the first one.
    pub fn send(&self, egress: Egress) {
        match &self.parts.shell {
            Some(shell) => shell(egress),
            None => tracing::warn!("a message of an adaptor without sockets is dropped"),
        }
    }

    async fn start_links(
        &self,
        me: &RunId,
    ) -> Result<Option<(ClusterHandle, mpsc::Receiver<ClusterEvent>)>, RuntimeError> {
        let Some(listen) = self.config.cluster_listen else { return Ok(None) };
        let peer = |peer: &resilee_core::Peer| (peer.name.to_string(), peer.address);
        let cookie = self.config.key.derive("cluster cookie");
        let config = ClusterConfig {
            node_name: me.to_string(),
            listen,
            peers: self.config.peers.iter().map(peer).collect(),
            cookie: cookie.iter().map(|byte| format!("{byte:02x}")).collect(),
            tls: self.config.tls.clone(),
            limits: Limits::default(),
        };
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        Ok(Some((Cluster::start(config, sender).await?, events)))
    }
}

/// Alone a node would own the entities of a unit without which it starts.
fn check_units(core: &Core, refused: Refused) -> Result<(), RuntimeError> {
    for (id, reason) in refused {
        if let Some(service) = core.service_in_need_of(&id) {
            return Err(RuntimeError::Unit { id, service, reason });
        }
    }
    match core.needed_unit_that_waits() {
        Some((id, service, reason)) => Err(RuntimeError::UnitWaits { id, service, reason }),
        None => Ok(()),
    }
}
