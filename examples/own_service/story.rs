//! The story. Steps 1 to 3 are those of each story: the pair starts, the phones register.

use crate::operator::{Deploys, Operator};
use crate::units::Units;
use anyhow::{Context, ensure};
use resilee_examples::calls::{call_id, call_in_vain, end_call, set_up, talk_time};
use resilee_examples::cluster::SERVERS;
use resilee_examples::logs;
use resilee_examples::phones::Handset;
use resilee_examples::rest::ServiceRow;
use resilee_examples::stage::Stage;
use resilee_test_kit::CallPhase;
use std::time::{Duration, SystemTime};

/// Names of the service's versions.
const FIRST: &str = "call-screening";
const SECOND: &str = "call-screening-2";

/// A number that both versions block, and one that only the second does.
const PREMIUM: &str = "0900123456";
const BLOCKED_BY_SECOND: &str = "0190123456";

/// How long people talk before and after something happens.
const TALK: Duration = Duration::from_secs(1);

/// How far what the service says may be from what the phone measured.
const TOLERANCE_S: f64 = 1.0;

/// What is told on the stage.
struct Story<'s> {
    stage: &'s mut Stage,
    operator: Operator,
    /// Bills in the data folder before the story, if it is an old one.
    bills_before: u64,
}

/// Tells the whole story, with units that are built, or those that are given.
pub async fn tell(stage: &mut Stage, given: Option<Units>) -> anyhow::Result<()> {
    stage.start_balancer().await?;
    stage.start_servers().await?;
    check_is_new(stage).await?;
    stage.register().await?;
    let operator = Operator {
        admin: stage.servers[1].base().trim_start_matches("http://").to_owned(),
        token_file: stage.cluster.folder().join("admin.token"),
    };
    let bills_before = stage.servers[1].bill_count().await?;
    Story { stage, operator, bills_before }.tell(given).await
}

/// A store that has the units already would not show how they get there.
async fn check_is_new(stage: &Stage) -> anyhow::Result<()> {
    let units = stage.servers[1].units().await?;
    let names: Vec<_> = units.iter().map(|unit| unit.service.as_str()).collect();
    ensure!(
        names.is_empty(),
        "{} has {} of an earlier run: choose another folder with --data-dir",
        stage.cluster.folder().display(),
        names.join(" and ")
    );
    Ok(())
}

impl Story<'_> {
    async fn tell(&mut self, given: Option<Units>) -> anyhow::Result<()> {
        let units = self.build(given).await?;
        self.deploy(&units).await?;
        self.call_through_it().await?;
        self.upgrade(&units).await?;
        self.kill_a_server().await?;
        self.end_calls().await?;
        self.come_back().await
    }

    /// Step 4.
    async fn build(&mut self, given: Option<Units>) -> anyhow::Result<Units> {
        let report = &mut self.stage.report;
        report.step(4, "the service is built from its source: the first time that takes a minute");
        let folder = self.stage.cluster.folder().join("units");
        let mut commands = Vec::new();
        let (units, how) = match given {
            Some(units) => (units, "was built before"),
            None => (Units::build(&folder, |command| commands.push(command)).await?, "is built"),
        };
        report.done(format!("call-screening {how}, both versions: a file of WebAssembly each"));
        for command in commands {
            report.detail(command);
        }
        for file in [&units.first, &units.second] {
            let bytes = std::fs::metadata(file).context("it was written just now")?.len();
            report.detail(format!("{} has {} kB", file.display(), bytes.div_ceil(1024)));
        }
        Ok(units)
    }

    /// Step 5.
    async fn deploy(&mut self, units: &Units) -> anyhow::Result<()> {
        self.stage.report.step(5, "an operator deploys version 1, while both servers run");
        let before = call_in_vain(&mut self.stage.alice, PREMIUM).await?;
        let said = self.operator.deploy(&units.first, Deploys::Activated).await?;
        self.wait_for_service(FIRST, "active", 0).await?;
        let after = call_in_vain(&mut self.stage.alice, PREMIUM).await?;
        let report = &mut self.stage.report;
        report.done("Version 1 is deployed at both servers; none was started again");
        report.detail(said);
        let found = format!("{before} before, {after} now");
        report.check("A's call to 0900 is refused by it", (before, after) == (404, 403), found);
        self.check_units(&[FIRST]).await
    }

    /// Step 6.
    async fn call_through_it(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(6, "A calls B through it");
        set_up(&mut self.stage.alice, &mut self.stage.bob).await?;
        let service = self.wait_for_service(FIRST, "active", 1).await?;
        let node = self.stage.owner_of(1, &call_id(&self.stage.alice)?).await?;
        let report = &mut self.stage.report;
        report.done("A called B, and an SBB entity of version 1 is in the call; they talk");
        report.check("the call is on server1", node == SERVERS[0], format!("on {node}"));
        report.check("the service has an entity in the call", true, told(&service));
        Ok(())
    }

    /// Step 7.
    async fn upgrade(&mut self, units: &Units) -> anyhow::Result<()> {
        self.stage.report.step(7, "version 2 replaces it, while A and B talk");
        let before = call_in_vain(&mut self.stage.carol, BLOCKED_BY_SECOND).await?;
        let said = self.operator.deploy(&units.second, Deploys::InPlaceOf(FIRST)).await?;
        let first = self.wait_for_service(FIRST, "stopping", 1).await?;
        let counted_from = SystemTime::now();
        let after = call_in_vain(&mut self.stage.carol, BLOCKED_BY_SECOND).await?;
        let count = self.count_told(SERVERS[0], counted_from).await?;
        set_up(&mut self.stage.carol, &mut self.stage.dave).await?;
        // One in the call, and the count.
        let second = self.wait_for_service(SECOND, "active", 2).await?;
        self.stage.report.done("Version 2 has replaced version 1 in mid-call; carol called dave");
        self.stage.report.detail(said);
        self.check_they_talk("A and B talk on");
        let report = &mut self.stage.report;
        report.check("their call stays with version 1", true, told(&first));
        report.check("carol's call is version 2's, which counts, too", true, told(&second));
        let found = format!("{before} before, {after} now");
        report.check("version 2 refuses 0190 as well", (before, after) == (404, 403), found);
        report.check("it was the first refused call of the cluster", count == 1, count);
        self.check_units(&[FIRST, SECOND]).await
    }

    /// Step 8.
    async fn kill_a_server(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(8, "server1, which has both calls, is killed");
        tokio::time::sleep(TALK).await;
        let killed_at = self.stage.cluster.kill_server(0)?;
        self.stage.takeover(killed_at).await?;
        self.stage.check_serves_alone().await?;
        let first = self.wait_for_service(FIRST, "stopping", 1).await?;
        let second = self.wait_for_service(SECOND, "active", 2).await?;
        tokio::time::sleep(TALK).await;
        self.stage.report.done("server1 got SIGKILL; server2 has both calls, and both versions");
        self.check_they_talk("all four talk on");
        let found = format!("{}; {}", told(&first), told(&second));
        self.stage.report.check("no entity is lost", true, found);
        Ok(())
    }

    /// Step 9.
    async fn end_calls(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(9, "A and carol hang up, and both versions say what they know");
        let call_ids = [call_id(&self.stage.alice)?, call_id(&self.stage.carol)?];
        let since = SystemTime::now();
        end_call(&mut self.stage.alice, &mut self.stage.bob).await?;
        end_call(&mut self.stage.carol, &mut self.stage.dave).await?;
        let by_first = self.talk_told(FIRST, &self.stage.alice, since).await?;
        let by_second = self.talk_told(SECOND, &self.stage.carol, since).await?;
        let again = call_in_vain(&mut self.stage.alice, PREMIUM).await?;
        let count = self.count_told(SERVERS[1], since).await?;
        let first = self.wait_for_service(FIRST, "inactive", 0).await?;
        self.stage.report.done("The state was alive on server2: answers that server1 saw count");
        for (version, who, told) in [(1, "A", by_first), (2, "carol", by_second)] {
            let name = format!("version {version} knew since when {who} talked");
            let found = format!("{:.3} s, {:.3} s by the phone's own clock", told.0, told.1);
            let agrees = (told.0 - told.1).abs() <= TOLERANCE_S;
            self.stage.report.check(name, agrees, found);
        }
        let report = &mut self.stage.report;
        let found = format!("{again}, and the count is {count}");
        report.check("server2 counted on from 1", (again, count) == (403, 2), found);
        report.check("version 1 had its last call", true, told(&first));
        self.check_bills(&call_ids).await
    }

    /// Step 10.
    async fn come_back(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(10, "server1 starts again, and version 1 is removed");
        self.stage.start_first_server().await?;
        self.check_units(&[FIRST, SECOND]).await?;
        let said = self.operator.undeploy(FIRST).await?;
        let since = SystemTime::now();
        let status = call_in_vain(&mut self.stage.carol, BLOCKED_BY_SECOND).await?;
        let count = self.count_told(SERVERS[1], since).await?;
        self.stage.report.done("server1 is back with the units it had, and version 1 is removed");
        self.stage.report.detail(said);
        self.check_units(&[SECOND]).await?;
        let found = format!("{status}, and the count is {count}");
        let is_right = (status, count) == (403, 3);
        self.stage.report.check("a call at server1 is counted by server2", is_right, found);
        let alarms = self.stage.servers[1].alarms().await?;
        let of_units = alarms.iter().filter(|alarm| alarm.source == "unit");
        let texts: Vec<_> = of_units.map(|alarm| alarm.text.as_str()).collect();
        let found = if texts.is_empty() { "none".to_owned() } else { texts.join("; ") };
        self.stage.report.check("no unit has raised an alarm", texts.is_empty(), found);
        Ok(())
    }

    /// Waits until server2 says that a service is in this state, with so many entities.
    async fn wait_for_service(
        &self,
        name: &str,
        state: &str,
        entities: u64,
    ) -> anyhow::Result<ServiceRow> {
        let rest = &self.stage.servers[1];
        let what = format!("{name} as {state} with {entities} entities");
        rest.wait_for(&what, async || {
            let services = rest.services().await?;
            let is_it = |it: &ServiceRow| {
                it.name == name && it.state == state && it.entities_in_cluster == entities
            };
            Ok(services.into_iter().find(is_it))
        })
        .await
    }

    /// Both servers have compiled these units, and there are no others.
    async fn check_units(&mut self, services: &[&str]) -> anyhow::Result<()> {
        let rest = &self.stage.servers[1];
        let has_all = async || {
            let mut units = rest.units().await?;
            units.sort_by(|one, other| one.service.cmp(&other.service));
            let is_same = units.iter().map(|unit| unit.service.as_str()).eq(services.to_vec());
            let are_compiled = units.iter().all(|unit| unit.nodes == SERVERS);
            Ok((is_same && are_compiled).then_some(()))
        };
        let units = services.join(", ");
        rest.wait_for(&format!("{units} compiled by both servers"), has_all).await?;
        self.stage.report.check("both servers have the units", true, units);
        Ok(())
    }

    fn check_they_talk(&mut self, name: &str) {
        let phones = [&self.stage.alice, &self.stage.bob, &self.stage.carol, &self.stage.dave];
        let talking = phones.iter().filter(|phone| phone.state().is_in(CallPhase::Answered));
        let users: Vec<_> = talking.map(|phone| phone.user).collect();
        self.stage.report.check(name, users.len() == phones.len(), users.join(", "));
    }

    /// How long the caller talked, as the service says in server2's log, and as the phone measured.
    async fn talk_told(
        &self,
        service: &str,
        caller: &Handset,
        since: SystemTime,
    ) -> anyhow::Result<(f64, f64)> {
        let begins = format!("{} talked for ", caller.uri());
        let line = self.line_of(SERVERS[1], service, &begins, since).await?;
        let told = number_behind(&line, &begins).with_context(|| line.clone())?;
        Ok((told, talk_time(caller)?.as_secs_f64()))
    }

    /// How many calls were refused in the cluster, as version 2 says in a server's log.
    async fn count_told(&self, server: &str, since: SystemTime) -> anyhow::Result<u64> {
        let begins = "calls refused in the cluster: ";
        let line = self.line_of(server, SECOND, begins, since).await?;
        number_behind(&line, begins).with_context(|| line.clone())
    }

    async fn line_of(
        &self,
        server: &str,
        service: &str,
        text: &str,
        since: SystemTime,
    ) -> anyhow::Result<String> {
        let tracer = format!("tracer=\"{service}\"");
        let log = self.stage.cluster.log(server);
        let noticed = logs::wait_for(&log, since, &[&[text, &tracer]], None).await?;
        Ok(noticed.line)
    }

    /// There is one bill of each call; calls that were refused have none.
    async fn check_bills(&mut self, call_ids: &[String]) -> anyhow::Result<()> {
        let rest = &self.stage.servers[1];
        let mut found = Vec::new();
        for call_id in call_ids {
            let bill = rest.wait_for_bill(call_id).await?;
            found.push(format!("{} {}", bill.total, bill.currency));
        }
        let count = rest.bill_count().await?.saturating_sub(self.bills_before);
        let found = format!("{count}: {}", found.join(", "));
        let name = "both calls have a bill, and those that were refused have none";
        self.stage.report.check(name, count == call_ids.len() as u64, found);
        Ok(())
    }
}

fn told(service: &ServiceRow) -> String {
    let ServiceRow { name, state, entities_in_cluster } = service;
    format!("{name} {state}, entities {entities_in_cluster}")
}

/// The number that a line has behind these words.
fn number_behind<T: std::str::FromStr>(line: &str, words: &str) -> Option<T> {
    let (_, behind) = line.split_once(words)?;
    behind.split_whitespace().next()?.parse().ok()
}
