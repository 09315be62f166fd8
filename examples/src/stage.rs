//! Everything on stage: the processes, the phones, and what the reader sees. With it each story
//! begins: the balancer and the servers start, the phones register.

use crate::calls::PHONE_WITHIN;
use crate::cluster::{Cluster, OTHERS_WITHIN, SERVERS};
use crate::logs::{self, Noticed};
use crate::phones::{Clock, Handset};
use crate::ports::{Ports, answers_keepalive};
use crate::report::Report;
use crate::rest::Rest;
use anyhow::{Context, bail};
use resilee_test_kit::PhoneCommand;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// See the module.
#[derive(Debug)]
pub struct Stage {
    /// What the reader sees.
    pub report: Report,
    /// The processes.
    pub cluster: Cluster,
    /// Where phones send to.
    sip: SocketAddr,
    /// Management of both servers.
    pub servers: [Rest; 2],
    /// The caller.
    pub alice: Handset,
    /// The callee.
    pub bob: Handset,
    /// Caller of another call.
    pub carol: Handset,
    /// Callee of that.
    pub dave: Handset,
}

impl Stage {
    pub(crate) async fn set(cluster: Cluster, ports: Ports) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let phone = async |user| Handset::start(user, ports.sip(), clock).await;
        Ok(Stage {
            report: Report::new(),
            cluster,
            sip: ports.sip(),
            servers: [Rest::new(ports.http(0)), Rest::new(ports.http(1))],
            alice: phone("alice").await?,
            bob: phone("bob").await?,
            carol: phone("carol").await?,
            dave: phone("dave").await?,
        })
    }

    /// Step 1.
    pub async fn start_balancer(&mut self) -> anyhow::Result<()> {
        self.report.step(1, "the balancer starts");
        self.cluster.start_balancer(0)?;
        self.wait_for_entry().await?;
        self.report.done(format!("The balancer listens on UDP {}", self.sip));
        Ok(())
    }

    /// Waits until a balancer serves at the phones' address; the time that took.
    pub async fn wait_for_entry(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        while !answers_keepalive(self.sip).context("no UDP port to ask from")? {
            if started.elapsed() > OTHERS_WITHIN {
                bail!("no balancer ever listened on {}", self.sip);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(started.elapsed())
    }

    /// Step 2.
    pub async fn start_servers(&mut self) -> anyhow::Result<()> {
        self.report.step(2, "server1 and server2 start and agree on a view");
        self.cluster.start_server(0)?;
        self.cluster.start_server(1)?;
        let joined = self.servers[1].wait_for_members(&SERVERS).await?;
        self.servers[0].wait_for_members(&SERVERS).await?;
        self.report.done("server1 and server2 are joined, each with its own store");
        let found = format!("view {} ({})", joined.view, joined.protection);
        self.report.check("both servers are members of the view", true, found);
        Ok(())
    }

    /// Step 3.
    pub async fn register(&mut self) -> anyhow::Result<()> {
        self.report.step(3, "the phones register");
        let phones = [&mut self.alice, &mut self.bob, &mut self.carol, &mut self.dave];
        let mut slowest = Duration::ZERO;
        for phone in phones {
            let started = Instant::now();
            phone.press(PhoneCommand::Register).await?;
            phone.wait_for("registered", PHONE_WITHIN, |it| it.is_registered).await?;
            slowest = slowest.max(started.elapsed());
        }
        self.report.done("Phones A (alice) and B (bob) are registered; carol and dave too");
        let found = format!("digest over the balancer, slowest {} ms", slowest.as_millis());
        self.report.check("all phones are registered", true, found);
        Ok(())
    }

    /// The server that owns a call, as the server with this index sees it.
    pub async fn owner_of(&self, server: usize, call_id: &str) -> anyhow::Result<String> {
        let rest = &self.servers[server];
        rest.wait_for("the call", async || {
            let calls = rest.calls().await?;
            Ok(calls.into_iter().find(|call| call.call_id == call_id).and_then(|call| call.node))
        })
        .await
    }

    /// Waits until server2 serves alone after the kill of server1, and shows who noticed when, as
    /// the others' logs tell; the new view.
    pub async fn takeover(&mut self, killed_at: SystemTime) -> anyhow::Result<Noticed> {
        let dead = SERVERS[0];
        let (balancer, survivor) = (self.cluster.log("balancer"), self.cluster.log(SERVERS[1]));
        let lost: logs::Wanted<'_> =
            &[&[dead, "lost"], &[dead, "nobody listens"], &["without", dead]];
        let adopted: logs::Wanted<'_> = &[&["view", "adopted"]];
        let by_balancer = logs::wait_for(&balancer, killed_at, lost, None).await?;
        let by_cluster = logs::wait_for(&survivor, killed_at, lost, None).await?;
        let view = logs::wait_for(&survivor, killed_at, adopted, Some(dead)).await?;
        for (who, noticed) in
            [("balancer", &by_balancer), ("cluster", &by_cluster), ("new view", &view)]
        {
            let ms = noticed.after.as_secs_f64() * 1000.0;
            let line = format!("{who:<9} {ms:>7.1} ms after the kill: {}", noticed.line);
            self.report.detail(line);
        }
        Ok(view)
    }

    /// Checks that server2 is the only member.
    pub async fn check_serves_alone(&mut self) -> anyhow::Result<()> {
        let nodes = self.servers[1].wait_for_members(&SERVERS[1..]).await?;
        let found = format!("view {} ({})", nodes.view, nodes.protection);
        self.report.check("server2 serves alone", true, found);
        Ok(())
    }

    /// Starts server1 and waits until both servers are in the view; the time that took.
    pub async fn start_first_server(&mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.cluster.start_server(0)?;
        self.servers[0].wait_for_members(&SERVERS).await?;
        self.servers[1].wait_for_members(&SERVERS).await?;
        Ok(started.elapsed())
    }

    /// The last lines; true if every check held.
    pub(crate) fn sum_up(&self) -> bool {
        let checks = &self.report.checks;
        let mut all_held = true;
        println!();
        for check in checks.failed() {
            println!("check {} failed: {} ({})", check.number, check.name, check.found);
            all_held = false;
        }
        match all_held {
            true => println!("All {} checks held.", checks.count()),
            false => println!("Logs are in {}", self.cluster.folder().display()),
        }
        all_held
    }

    pub(crate) fn stay_up(&self, afterwards: &str) {
        println!("\nEverything stays up until Ctrl-C. Admin UI:");
        for (name, server) in SERVERS.iter().zip(&self.servers) {
            println!("  {name}  {}/", server.base());
        }
        println!("Phones may register at {} (see README.md).", self.sip);
        if !afterwards.is_empty() {
            println!("{afterwards}");
        }
    }
}
