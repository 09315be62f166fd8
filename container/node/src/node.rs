//! A node: its services and its configuration, wired and run until it is told to end.

use crate::config::NodeConfig;
use crate::deployment;
use crate::logging;
use anyhow::{Context, bail};
use resilee_admin_ui::Ask;
use resilee_call_billing::CallBilling;
use resilee_call_control::CallControl;
use resilee_core::{AdaptorId, Adaptors, Egress};
use resilee_http_ra::{HttpRa, egress_of, ingress_of};
use resilee_http_shell::{HttpShell, ShellConfig};
use resilee_registrar::Registrar;
use resilee_runtime::{Parts, Runtime, RuntimeConfig, WORKERS_DEFAULT};
use resilee_sbb::{LinkedSbb, Sbb, UnitCompiler, UnitLimits};
use resilee_sip_ra::{SipRa, SipRaConfig};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a node that was told to end may hand over.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Place of the HTTP adaptor behind that of SIP. It is written into records: it stays.
const HTTP: AdaptorId = AdaptorId(1);
/// So much longer than the adaptor the shell lets a request wait: the adaptor has the first word.
const SHELL_GRACE: Duration = Duration::from_secs(2);

/// A node that runs services of one's own beside the standard ones.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// A node with call control, registrar and call billing.
    pub fn builder() -> NodeBuilder {
        let services = vec![
            LinkedSbb::of::<CallControl>(),
            LinkedSbb::of::<Registrar>(),
            LinkedSbb::of::<CallBilling>(),
        ];
        NodeBuilder { services, config: None, compiler: None }
    }
}

/// Collects what a node needs.
#[derive(Debug)]
pub struct NodeBuilder {
    services: Vec<LinkedSbb>,
    config: Option<PathBuf>,
    compiler: Option<Arc<dyn UnitCompiler>>,
}

impl NodeBuilder {
    /// Deploys a service.
    #[must_use]
    pub fn service<S: Sbb>(mut self) -> Self {
        self.services.push(LinkedSbb::of::<S>());
        self
    }

    /// Removes the services that were deployed so far, the standard ones as well.
    #[must_use]
    pub fn without_services(mut self) -> Self {
        self.services.clear();
        self
    }

    /// What makes services of units that are uploaded while the node runs, instead of a
    /// `resilee_wasm::UnitHost` with the limits of the configuration.
    #[must_use]
    pub fn compiler(mut self, compiler: Arc<dyn UnitCompiler>) -> Self {
        self.compiler = Some(compiler);
        self
    }

    /// The configuration file.
    #[must_use]
    pub fn config(mut self, path: impl Into<PathBuf>) -> Self {
        self.config = Some(path.into());
        self
    }

    /// Runs the node of a configuration file; see [`NodeBuilder::run`].
    ///
    /// # Errors
    /// As for [`NodeBuilder::run`].
    pub fn run_from_file(self, path: &Path) -> anyhow::Result<()> {
        self.config(path).run()
    }

    /// Runs the node on this thread until SIGTERM or Ctrl-C, in an actix system of its own. The
    /// log goes to standard output unless the process has set one up.
    ///
    /// # Errors
    /// What keeps the node from starting, or why it failed.
    pub fn run(self) -> anyhow::Result<()> {
        let path = self.config.as_deref().context("no configuration file was given")?;
        let config = load(path)?;
        deployment::check(&self.services)?;
        logging::init();
        let compiler = self.compiler.or_else(|| unit_host(config.unit_limits));
        actix::System::new().block_on(run(config, self.services, compiler))
    }
}

/// Runs units as they are; a node that cannot serves all the same.
#[cfg(feature = "units")]
fn unit_host(limits: UnitLimits) -> Option<Arc<dyn UnitCompiler>> {
    match resilee_wasm::UnitHost::new(limits) {
        Ok(host) => Some(Arc::new(host)),
        Err(error) => {
            tracing::warn!("uploaded units are not served here: {error}");
            None
        }
    }
}

#[cfg(not(feature = "units"))]
fn unit_host(_: UnitLimits) -> Option<Arc<dyn UnitCompiler>> {
    None
}

/// Reads and checks a configuration file.
///
/// # Errors
/// What is wrong, with file, line and key.
pub fn load(path: &Path) -> anyhow::Result<NodeConfig> {
    let text = resilee_config::read_text(path)?;
    Ok(NodeConfig::parse(path, &text)?)
}

/// Runs a node with the standard services until SIGTERM or Ctrl-C.
///
/// # Errors
/// What keeps the node from starting, or why it failed.
pub fn run_from_file(path: &Path) -> anyhow::Result<()> {
    Node::builder().run_from_file(path)
}

async fn run(
    config: NodeConfig,
    services: Vec<LinkedSbb>,
    compiler: Option<Arc<dyn UnitCompiler>>,
) -> anyhow::Result<()> {
    let signals = Signals::install().context("cannot listen for signals")?;
    let admin = config.admin.clone();
    let admin = admin.map(|admin| Ok::<_, anyhow::Error>((bind(admin.listen)?, admin)));
    let admin = admin.transpose()?;
    let (name, sip) = (config.name.clone(), config.sip_listen);
    let hooks =
        config.http.listen.map(|address| Ok::<_, anyhow::Error>((address, bind_hooks(address)?)));
    let hooks = hooks.transpose()?;
    let (mut runtime, shell) = start(config, services, compiler).await?;
    tracing::info!("{name} is up: SIP on {sip}");
    if let Some((address, listener)) = hooks {
        tracing::info!("web hooks on http://{address}/hooks/");
        actix::spawn(serve_hooks(shell, listener));
    }
    match admin {
        None => serve_until_signal(signals, &mut runtime, std::future::pending()).await,
        Some((listener, admin)) => {
            tracing::info!("admin UI and REST on http://{}", admin.listen);
            let asker = runtime.asker();
            let ask: Ask = Arc::new(move |query| asker.ask(query));
            let site = resilee_admin_ui::serve(listener, admin.token, ask);
            serve_until_signal(signals, &mut runtime, site).await
        }
    }
}

async fn serve_hooks(shell: HttpShell, listener: TcpListener) {
    if let Err(error) = shell.serve(listener).await {
        tracing::error!("web hooks are not served any more: {error}");
    }
}

fn bind_hooks(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address} (TCP, [http] listen)"))
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address} (TCP, [admin] listen)"))
}

async fn start(
    config: NodeConfig,
    services: Vec<LinkedSbb>,
    compiler: Option<Arc<dyn UnitCompiler>>,
) -> anyhow::Result<(Runtime, HttpShell)> {
    let tables = config.tables().context("cannot make the tables")?;
    let sip_key = config.key.derive("sip");
    let (advertise, timers, calls) = (config.advertise, config.timers, config.calls);
    let sip_config = config.sip;
    let http_limits = config.http.limits.clone();
    let shell = HttpShell::new(ShellConfig {
        number: random_seed(),
        requests_max: http_limits.requests_max,
        request_timeout: Duration::from_millis(http_limits.request_timeout_ms) + SHELL_GRACE,
        body_bytes_max: http_limits.body_bytes_max,
        ca_file: config.http.ca_file,
    });
    let shell = shell.context("[http] ca_file")?;
    let runtime_config = RuntimeConfig {
        node: config.name,
        data_dir: config.data_dir,
        sip_listen: config.sip_listen,
        behind_balancer: config.behind_balancer,
        balancers: config.balancers,
        timers,
        cluster_listen: config.cluster_listen,
        peers: config.peers,
        key: config.key,
        tls: config.tls,
        heartbeat_ms: config.heartbeat_ms,
        missed: config.missed,
        cold_start_ms: config.cold_start_ms,
        unclean: config.unclean,
        limits: config.limits,
        actors_max: config.actors_max,
        workers: WORKERS_DEFAULT,
    };
    let adaptors = Box::new(move |run: &resilee_membership::RunId| {
        let (key, cohort, seed) = (sip_key, run.cohort(), random_seed());
        let config = SipRaConfig { advertise, key, seed, cohort, timers, calls };
        let http = Box::new(HttpRa::new(http_limits.clone()));
        let sip = SipRa::new(config)
            .with_algorithms(&sip_config.digest_algorithms)
            .with_scanners(&sip_config.scanners);
        Adaptors::first("sip", Box::new(sip)).and(resilee_http_api::ADAPTOR, http)
    });
    let carries_out = shell.clone();
    let send = move |egress: Egress| match egress_of(&egress) {
        Ok(message) => carries_out.carry_out(message),
        Err(error) => tracing::warn!("a message of the HTTP adaptor is dropped: {error}"),
    };
    let parts = Parts { services, adaptors, shell: Some(Box::new(send)), tables, compiler };
    let runtime = Runtime::start(runtime_config, parts).await?;
    let feeder = runtime.feeder();
    shell.connect(move |message| feeder.feed(ingress_of(HTTP, &message)));
    Ok((runtime, shell))
}

/// A number that no other run has; std draws its keys from the system's random source.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Serves pages until a signal, then hands over.
async fn serve_until_signal(
    mut signals: Signals,
    runtime: &mut Runtime,
    site: impl Future<Output = std::io::Result<()>>,
) -> anyhow::Result<()> {
    let mut site = std::pin::pin!(site);
    tokio::select! {
        failed = runtime.drained() => return Ok(failed?),
        ended = &mut site => {
            ended.context("the admin UI failed")?;
            bail!("the admin UI ended by itself");
        }
        name = signals.recv() => tracing::info!("{name}: handing over"),
    }
    runtime.drain();
    tokio::select! {
        drained = runtime.drained() => {
            drained?;
            tracing::info!("all is handed over");
        }
        // Pages stay while the node hands over; why they end does not matter any more.
        _ = async { if site.await.is_err() { std::future::pending::<()>().await } } => {}
        () = tokio::time::sleep(DRAIN_MAX) => {
            tracing::warn!("not all could be handed over in {} s", DRAIN_MAX.as_secs());
        }
        name = signals.recv() => tracing::warn!("{name} again: ending at once"),
    }
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Signals> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Signals { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal; its name.
    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
