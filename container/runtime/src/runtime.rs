//! Starts everything around the core, and is the handle of a running node.

use crate::cell_worker::CellWorkers;
use crate::clock::Clock;
use crate::config::{Parts, RuntimeConfig, RuntimeError};
use crate::links;
use crate::notice_log::NoticeLog;
use crate::run::RunFactory;
use crate::slee::{Ask, Changes, Feed, Pace, Slee, store_feed};
use crate::store;
use crate::udp::{self, Sockets};
use crate::units::Units;
use actix::{Actor, Addr, AsyncContext, Context, Recipient};
use futures_util::future::BoxFuture;
use resilee_core::management::{Answer, Query};
use resilee_core::{Ingress, Input};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a question may take.
const ASK_MAX: Duration = Duration::from_secs(5);
/// How long one about a unit may take, which is compiled for it.
const DESCRIBE_MAX: Duration = Duration::from_secs(60);

/// A running node. It runs on the actix system in which it was started.
pub struct Runtime {
    slee: Addr<Slee>,
    drained: oneshot::Receiver<()>,
}

/// Asks a running node; may be cloned and sent to other threads.
#[derive(Clone)]
pub struct Asker {
    slee: Recipient<Ask>,
}

/// Hands messages of adaptors other than the first one to a running node; may be cloned and sent to
/// other threads.
#[derive(Clone)]
pub struct Feeder {
    slee: Addr<Slee>,
}

impl Feeder {
    /// Hands over one message. Nothing is refused here: whoever calls has a limit of its own.
    pub fn feed(&self, ingress: Ingress) {
        self.slee.do_send(Feed::outside(vec![Input::Message(ingress)]));
    }
}

/// The node ended without having handed over.
#[derive(Debug, thiserror::Error)]
#[error("the node has failed: its core is gone")]
pub struct Failed;

impl Runtime {
    /// Starts a node on the current actix system.
    ///
    /// # Errors
    /// An address, a directory or a thread that is not to be had, or a unit that calls depend on.
    pub async fn start(config: RuntimeConfig, parts: Parts) -> Result<Runtime, RuntimeError> {
        let clock = Clock::start();
        let opened = store::open(&config.data_dir)?;
        let (mut restored, notices) = (opened.restored.clone(), opened.notices.clone());
        let slee_known = Arc::new(OnceLock::<Addr<Slee>>::new());
        let slee_told = slee_known.clone();
        let store = opened.start(move |event| {
            // Nothing is stored before the actor that asks for it was started.
            if let Some(slee) = slee_told.get() {
                slee.do_send(store_feed(event));
            }
        });
        let store = store.map_err(RuntimeError::Thread)?;
        let mut units = Units::start(parts.compiler.clone()).map_err(RuntimeError::Thread)?;
        // Before the sockets: what came meanwhile would be too old.
        let (compiled, refused) = units.restoring().compile(&restored).await;
        restored.units = compiled;
        let (sockets, receivers) = Sockets::open(&config)?;
        let mut workers = CellWorkers::start(config.workers, config.actors_max, &parts.services);
        units.begin_run(restored.units.clone(), &mut workers);
        let calls_max = config.limits.cells_max;
        let factory = RunFactory::new(config, parts, notices);
        let (fresh, events) = factory.start(clock.now(), restored, Some(refused)).await?;
        let log = NoticeLog::new(calls_max);
        let (done, drained) = oneshot::channel();
        let slee = Slee::create(|context: &mut Context<Slee>| {
            // Set once, here.
            let _ = slee_known.set(context.address());
            Slee {
                clock,
                factory,
                fresh: Some(fresh),
                run: 0,
                sockets,
                store,
                workers,
                units,
                drained: Some(done),
                pace: Pace::default(),
                log,
                changes: Changes::default(),
            }
        });
        links::forward(events, 0, slee.clone());
        for receiver in receivers.udp {
            actix::spawn(udp::receive(receiver, slee.clone()));
        }
        if let Some(clients) = receivers.tcp {
            actix::spawn(clients.serve(clock, slee.clone()));
        }
        Ok(Runtime { slee, drained })
    }

    /// A handle for questions.
    pub fn asker(&self) -> Asker {
        Asker { slee: self.slee.clone().recipient() }
    }

    /// A handle for messages of adaptors with sockets of their own.
    pub fn feeder(&self) -> Feeder {
        Feeder { slee: self.slee.clone() }
    }

    /// Asks the node to hand over and end.
    pub fn drain(&self) {
        self.slee.do_send(Feed::outside(vec![Input::Drain]));
    }

    /// Waits until all is handed over after [`Runtime::drain`].
    ///
    /// # Errors
    /// The node failed.
    pub async fn drained(&mut self) -> Result<(), Failed> {
        (&mut self.drained).await.map_err(|_| Failed)
    }
}

impl Asker {
    /// The node's answer, or [`Answer::Unavailable`].
    pub fn ask(&self, query: Query) -> BoxFuture<'static, Answer> {
        let max = match &query {
            Query::DescribeUnit { .. } => DESCRIBE_MAX,
            _ => ASK_MAX,
        };
        let request = self.slee.send(Ask(query));
        Box::pin(async move {
            match timeout(max, request).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Answer::Unavailable("the node has ended".to_owned()),
                Err(_) => Answer::Unavailable("the node is overloaded".to_owned()),
            }
        })
    }
}
