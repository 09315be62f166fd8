//! The story, steps 1 to 8: two phones register and talk, their server is killed, the other one
//! takes over, and there is one bill. Steps 9 and 10 are in `variations`.

use crate::cluster::{Cluster, OTHERS_WITHIN, SERVERS};
use crate::phones::{Clock, Handset, HandsetState};
use crate::ports::{Ports, answers_keepalive};
use crate::report::Report;
use crate::rest::{BillRow, Rest};
use crate::{Args, bill, logs};
use anyhow::{Context, bail};
use resilee_test_kit::{CallPhase, PhoneCommand, PhoneEvent};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};
use tokio::signal::unix::{SignalKind, signal};

/// How long the phones talk before and after something happens.
pub const TALK: Duration = Duration::from_secs(2);

/// How long a phone may take for anything: longer than SIP's longest repetition after a kill.
pub const PHONE_WITHIN: Duration = Duration::from_secs(10);

/// The promise for a killed server: from the kill to the new view.
const TAKEOVER_MAX: Duration = Duration::from_millis(500);

/// How long after a bill a second one would have come.
const SECOND_BILL_WITHIN: Duration = Duration::from_secs(1);

/// Everything on stage.
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
    /// Bills in the data folder before the story, if it is an old one.
    pub bills_before: u64,
    /// Calls that a run before left there, when everything was killed at once.
    pub calls_before: Vec<String>,
}

/// Plays the whole story; the exit code tells whether every check held.
pub async fn play(args: Args) -> anyhow::Result<ExitCode> {
    let ports = Ports::new(args.sip_port, args.http_port)?;
    let is_fresh = args.data_dir.is_none();
    let folder = args.data_dir.unwrap_or_else(fresh_folder);
    if is_fresh {
        // First, so that no empty folder is left behind.
        ports.check()?;
    }
    let (cluster, mut deaths) = Cluster::take(&folder)?;
    ports.check()?;
    cluster.write_files(ports)?;
    let mut stage = Stage::set(cluster, ports).await?;
    let folder = stage.cluster.folder().to_owned();
    stage.report.title(format!("Resilient call billing; files and logs in {}\n", folder.display()));
    let told = tokio::select! {
        told = stage.tell() => told,
        Some(death) = deaths.recv() => Err(anyhow::anyhow!(death)),
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    stage.report.stop();
    if let Err(error) = told {
        stage.report.check("the step runs to its end", false, format!("{error:#}"));
    }
    let all_held = stage.sum_up();
    if all_held && !args.once {
        stage.stay_up();
        tokio::select! {
            // The reader may kill what he likes.
            () = async { while let Some(death) = deaths.recv().await { println!("{death}") } } => {}
            () = interrupted() => {}
        }
    }
    // A story that broke off has nothing to say about an orderly end: its processes are killed.
    let stuck = if all_held { stage.cluster.shut_down() } else { Vec::new() };
    if !stuck.is_empty() {
        println!("SIGTERM did not end with exit code 0: {}", stuck.join(", "));
    }
    if is_fresh && all_held {
        std::fs::remove_dir_all(&folder).context("cannot remove the temporary folder")?;
    }
    Ok(if all_held && stuck.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fresh_folder() -> PathBuf {
    std::env::temp_dir().join(format!("resilient_billing-{}", std::process::id()))
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

impl Stage {
    async fn set(cluster: Cluster, ports: Ports) -> anyhow::Result<Self> {
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
            bills_before: 0,
            calls_before: Vec::new(),
        })
    }

    async fn tell(&mut self) -> anyhow::Result<()> {
        self.start_balancer().await?;
        self.start_servers().await?;
        self.register().await?;
        self.first_call().await?;
        let killed_at = self.kill_first_server()?;
        self.take_over(killed_at).await?;
        self.hang_up().await?;
        self.fetch_bill().await?;
        self.tell_variations().await
    }

    /// Step 1.
    async fn start_balancer(&mut self) -> anyhow::Result<()> {
        self.report.step(1, "the balancer starts");
        self.cluster.start_balancer()?;
        let started = Instant::now();
        while !answers_keepalive(self.sip).context("no UDP port to ask from")? {
            if started.elapsed() > OTHERS_WITHIN {
                bail!("the balancer never listened on {}", self.sip);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.report.done(format!("The balancer listens on UDP {}", self.sip));
        Ok(())
    }

    /// Step 2.
    async fn start_servers(&mut self) -> anyhow::Result<()> {
        self.report.step(2, "server1 and server2 start and agree on a view");
        self.cluster.start_server(0)?;
        self.cluster.start_server(1)?;
        let joined = self.servers[1].wait_for_members(&SERVERS).await?;
        self.servers[0].wait_for_members(&SERVERS).await?;
        self.bills_before = self.servers[1].bill_count().await?;
        let calls = self.servers[1].calls().await?;
        self.calls_before = calls.into_iter().map(|call| call.call_id).collect();
        self.report.done("server1 and server2 are joined, each with its own store");
        let found = format!("view {} ({})", joined.view, joined.protection);
        self.report.check("both servers are members of the view", true, found);
        Ok(())
    }

    /// Step 3.
    async fn register(&mut self) -> anyhow::Result<()> {
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

    /// Step 4.
    async fn first_call(&mut self) -> anyhow::Result<()> {
        self.report.step(4, "A calls B");
        let took = set_up(&mut self.alice, &mut self.bob).await?;
        self.report.waiting("A and B talk");
        tokio::time::sleep(TALK).await;
        self.report.done("A called B, B rang and answered; they talk");
        self.report.detail(format!("the ACK was there {} ms after the INVITE", took.as_millis()));
        self.check_media("audio flows both ways");
        let call_id = call_id(&self.alice)?;
        let node = self.owner_of(1, &call_id).await?;
        self.report.check("the call is on server1", node == SERVERS[0], format!("on {node}"));
        Ok(())
    }

    /// Step 5.
    fn kill_first_server(&mut self) -> anyhow::Result<SystemTime> {
        self.report.step(5, "server1 dies");
        let killed_at = self.cluster.kill_server(0)?;
        self.report.done("server1 got SIGKILL");
        Ok(killed_at)
    }

    /// Step 6.
    async fn take_over(&mut self, killed_at: SystemTime) -> anyhow::Result<()> {
        self.report.step(6, "server2 takes over");
        self.check_takeover(killed_at).await?;
        self.report.waiting("A and B talk on");
        tokio::time::sleep(TALK).await;
        self.report.done("server2 took over; A and B talk on");
        self.check_media("audio went on over the kill");
        Ok(())
    }

    /// Step 7.
    async fn hang_up(&mut self) -> anyhow::Result<()> {
        self.report.step(7, "A hangs up");
        let took = end_call(&mut self.alice, &mut self.bob).await?;
        self.report.done("A hung up");
        let found = format!("after {} ms", took.as_millis());
        self.report.check("B got the BYE, and A its 200", true, found);
        let repeated = format!(
            "SIP messages repeated so far: by A {}; by B {}",
            counts(&self.alice.state().retransmitted),
            counts(&self.bob.state().retransmitted)
        );
        self.report.detail(repeated);
        Ok(())
    }

    /// Step 8.
    async fn fetch_bill(&mut self) -> anyhow::Result<()> {
        self.report.step(8, "server2 is asked for the bill");
        let (call, measured) = (call_id(&self.alice)?, talk_time(&self.alice)?);
        let bill = self.servers[1].wait_for_bill(&call).await?;
        self.report.done("server2 shows the bill");
        self.report.detail(bill::table(&bill, &self.servers[1].page_of(&bill)));
        self.check_bill(&bill, measured).await?;
        let parties = format!("{} to {}", bill.caller, bill.callee);
        let is_right = (bill.caller.as_str(), bill.callee.as_str())
            == (self.alice.uri().as_str(), self.bob.uri().as_str());
        self.report.check("the bill is A's call to B", is_right, parties);
        self.check_nodes(&bill, [SERVERS[0], SERVERS[1]]);
        let page = self.servers[1].page(self.servers[1].page_of(&bill)).await?;
        let has_total = page.contains(&bill.total);
        self.report.check("its page shows the total", has_total, &bill.total);
        Ok(())
    }

    /// From the kill of server1 to the view without it, as the others' logs tell.
    pub async fn check_takeover(&mut self, killed_at: SystemTime) -> anyhow::Result<()> {
        let dead = SERVERS[0];
        let (balancer, survivor) = (self.cluster.log("balancer"), self.cluster.log(SERVERS[1]));
        let lost: logs::Wanted<'_> =
            &[&[dead, "lost"], &[dead, "nobody listens"], &["without", dead]];
        let adopted: logs::Wanted<'_> = &[&["view", "adopted"]];
        let by_balancer = logs::wait_for(&balancer, killed_at, lost, None).await?;
        let by_cluster = logs::wait_for(&survivor, killed_at, lost, None).await?;
        let view = logs::wait_for(&survivor, killed_at, adopted, Some(dead)).await?;
        let mut text = String::new();
        for (who, noticed) in
            [("balancer", &by_balancer), ("cluster", &by_cluster), ("new view", &view)]
        {
            let ms = noticed.after.as_secs_f64() * 1000.0;
            let _ = writeln!(text, "{who:<9} {ms:>7.1} ms after the kill: {}", noticed.line);
        }
        self.report.detail(text);
        let found = format!("{:.1} ms", view.after.as_secs_f64() * 1000.0);
        let name = format!("the new view came within {} ms", TAKEOVER_MAX.as_millis());
        self.report.check(name, view.after <= TAKEOVER_MAX, found);
        let nodes = self.servers[1].wait_for_members(&SERVERS[1..]).await?;
        let found = format!("view {} ({})", nodes.view, nodes.protection);
        self.report.check("server2 serves alone", true, found);
        Ok(())
    }

    /// What holds for every bill: there is one, with the right time and the right price.
    pub async fn check_bill(&mut self, bill: &BillRow, measured: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(SECOND_BILL_WITHIN).await;
        let count = self.servers[1].bills_of(&bill.call_id).await?.len();
        self.report.check("there is exactly one bill of the call", count == 1, count);
        let found = format!(
            "{:.3} s billed, {:.3} s by A's own clock",
            bill::talk_time(bill).as_secs_f64(),
            measured.as_secs_f64()
        );
        let agrees = bill::agrees_with_phones(bill, measured);
        self.report.check("the bill agrees with the phones within 1 s", agrees, found);
        let expected = bill::expected_total(bill).context("a price is no decimal")?;
        let is_right = bill::is_same_amount(&expected, &bill.total);
        let found = format!("{} billed, {expected} worked out", bill.total);
        self.report.check("the total follows from the tariff", is_right, found);
        Ok(())
    }

    /// The nodes that a bill names.
    pub fn check_nodes(&mut self, bill: &BillRow, [answered_by, closed_by]: [&str; 2]) {
        let is_right = bill.answered_by == answered_by && bill.closed_by == closed_by;
        let name = format!("answered by {answered_by}, closed by {closed_by}");
        let found = format!("{}, {}", bill.answered_by, bill.closed_by);
        self.report.check(name, is_right, found);
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

    fn check_media(&mut self, name: &str) {
        let (of_alice, of_bob) = (self.alice.state(), self.bob.state());
        let flows = |to: &HandsetState, from: &HandsetState| {
            to.rtp.received > 0 && to.rtp.missing * 100 <= from.rtp_sent
        };
        let held = flows(&of_alice, &of_bob) && flows(&of_bob, &of_alice);
        let gap = of_alice.rtp.longest_gap.max(of_bob.rtp.longest_gap);
        let found = format!(
            "RTP A to B {} of {} packets, B to A {} of {}; longest gap {} ms",
            of_bob.rtp.received,
            of_alice.rtp_sent,
            of_alice.rtp.received,
            of_bob.rtp_sent,
            gap.as_millis()
        );
        self.report.check(name, held, found);
        self.report.detail("(media is phone to phone by design: no server carries it)");
    }

    /// The last lines; true if every check held.
    fn sum_up(&self) -> bool {
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

    fn stay_up(&self) {
        println!("\nEverything stays up until Ctrl-C. Admin UI:");
        for (name, server) in SERVERS.iter().zip(&self.servers) {
            println!("  {name}  {}/", server.base());
        }
        println!("Phones may register at {} (see README.md).", self.sip);
    }
}

/// A call from the INVITE to its ACK; the time it took, without the ringing.
pub async fn set_up(caller: &mut Handset, callee: &mut Handset) -> anyhow::Result<Duration> {
    let started = Instant::now();
    ring(caller, callee).await?;
    answered(caller, callee).await?;
    Ok(started.elapsed())
}

/// A call from the INVITE to the ringing at both sides.
pub async fn ring(caller: &mut Handset, callee: &mut Handset) -> anyhow::Result<()> {
    let before = caller.state().call.map(|call| call.call_id);
    caller.press(PhoneCommand::Call { to: callee.uri() }).await?;
    let is_new = |it: &HandsetState| it.call.as_ref().map(|call| &call.call_id) != before.as_ref();
    let rings = |it: &HandsetState| is_new(it) && it.is_in(CallPhase::Ringing);
    caller.wait_for("ringing", PHONE_WITHIN, rings).await?;
    callee.wait_for("called", PHONE_WITHIN, |it| it.is_in(CallPhase::Ringing)).await?;
    Ok(())
}

/// Waits until both sides of a ringing call know that it is answered.
pub async fn answered(caller: &mut Handset, callee: &mut Handset) -> anyhow::Result<()> {
    let talks = |it: &HandsetState| {
        it.is_in(CallPhase::Answered) && it.call.as_ref().is_some_and(|call| call.is_acked)
    };
    caller.wait_for("answered", PHONE_WITHIN, talks).await?;
    callee.wait_for("acknowledged", PHONE_WITHIN, talks).await?;
    Ok(())
}

/// `first` hangs up; the time until it has its 200 and the other its BYE.
pub async fn end_call(first: &mut Handset, other: &mut Handset) -> anyhow::Result<Duration> {
    let started = Instant::now();
    first.press(PhoneCommand::HangUp).await?;
    let told = |by_remote: bool| {
        move |it: &HandsetState| {
            it.is_in(CallPhase::Ended)
                && it.events.iter().rev().take(4).any(|it| *it == PhoneEvent::HungUp { by_remote })
        }
    };
    other.wait_for("told of the BYE", PHONE_WITHIN, told(true)).await?;
    first.wait_for("told that its BYE arrived", PHONE_WITHIN, told(false)).await?;
    Ok(started.elapsed())
}

/// `ACK 2, BYE 1`, or `none`.
fn counts(by_name: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = by_name.iter().map(|(name, n)| format!("{name} {n}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

/// Call-ID of the call, or of the last one.
pub fn call_id(phone: &Handset) -> anyhow::Result<String> {
    Ok(phone.state().call.context("the phone has no call")?.call_id)
}

/// Talk time of the last call, by the phone's own clock.
pub fn talk_time(phone: &Handset) -> anyhow::Result<Duration> {
    phone.state().talk_time().context("the phone has not talked")
}
