//! The story, steps 1 to 8: two phones register and talk, their server is killed, the other one
//! takes over, and there is one bill. Steps 9 and 10 are in `variations`.

use resilee_examples::bill;
use resilee_examples::calls::{call_id, end_call, set_up, talk_time};
use resilee_examples::cluster::SERVERS;
use resilee_examples::rest::BillRow;
use resilee_examples::stage::Stage;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How long the phones talk before and after something happens.
pub const TALK: Duration = Duration::from_secs(2);

/// The promise for a killed server: from the kill to the new view.
const TAKEOVER_MAX: Duration = Duration::from_millis(500);

/// What is told on the stage.
pub struct Story<'s> {
    /// Processes, phones and report.
    pub stage: &'s mut Stage,
    /// Bills in the data folder before the story, if it is an old one.
    pub bills_before: u64,
    /// Calls that a run before left there, when everything was killed at once.
    pub calls_before: Vec<String>,
}

/// Tells the whole story.
pub async fn tell(stage: &mut Stage) -> anyhow::Result<()> {
    Story { stage, bills_before: 0, calls_before: Vec::new() }.tell().await
}

impl Story<'_> {
    async fn tell(&mut self) -> anyhow::Result<()> {
        self.stage.start_balancer().await?;
        self.stage.start_servers().await?;
        self.bills_before = self.stage.servers[1].bill_count().await?;
        let calls = self.stage.servers[1].calls().await?;
        self.calls_before = calls.into_iter().map(|call| call.call_id).collect();
        self.stage.register().await?;
        self.first_call().await?;
        let killed_at = self.kill_first_server()?;
        self.take_over(killed_at).await?;
        self.hang_up().await?;
        self.fetch_bill().await?;
        self.tell_variations().await
    }

    /// Step 4.
    async fn first_call(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(4, "A calls B");
        let took = set_up(&mut self.stage.alice, &mut self.stage.bob).await?;
        self.stage.report.waiting("A and B talk");
        tokio::time::sleep(TALK).await;
        self.stage.report.done("A called B, B rang and answered; they talk");
        self.stage
            .report
            .detail(format!("the ACK was there {} ms after the INVITE", took.as_millis()));
        self.stage.check_media("audio flows both ways");
        let call_id = call_id(&self.stage.alice)?;
        let node = self.stage.owner_of(1, &call_id).await?;
        self.stage.report.check("the call is on server1", node == SERVERS[0], format!("on {node}"));
        Ok(())
    }

    /// Step 5.
    fn kill_first_server(&mut self) -> anyhow::Result<SystemTime> {
        self.stage.report.step(5, "server1 dies");
        let killed_at = self.stage.cluster.kill_server(0)?;
        self.stage.report.done("server1 got SIGKILL");
        Ok(killed_at)
    }

    /// Step 6.
    async fn take_over(&mut self, killed_at: SystemTime) -> anyhow::Result<()> {
        self.stage.report.step(6, "server2 takes over");
        self.check_takeover(killed_at).await?;
        self.stage.report.waiting("A and B talk on");
        tokio::time::sleep(TALK).await;
        self.stage.report.done("server2 took over; A and B talk on");
        self.stage.check_media("audio went on over the kill");
        Ok(())
    }

    /// Step 7.
    async fn hang_up(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(7, "A hangs up");
        let took = end_call(&mut self.stage.alice, &mut self.stage.bob).await?;
        self.stage.report.done("A hung up");
        let found = format!("after {} ms", took.as_millis());
        self.stage.report.check("B got the BYE, and A its 200", true, found);
        let repeated = format!(
            "SIP messages repeated so far: by A {}; by B {}",
            counts(&self.stage.alice.state().retransmitted),
            counts(&self.stage.bob.state().retransmitted)
        );
        self.stage.report.detail(repeated);
        Ok(())
    }

    /// Step 8.
    async fn fetch_bill(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(8, "server2 is asked for the bill");
        let (call, measured) = (call_id(&self.stage.alice)?, talk_time(&self.stage.alice)?);
        let bill = self.stage.servers[1].wait_for_bill(&call).await?;
        self.stage.report.done("server2 shows the bill");
        self.stage.report.detail(bill::table(&bill, &self.stage.servers[1].page_of(&bill)));
        self.stage.check_bill(1, &bill, measured).await?;
        let parties = format!("{} to {}", bill.caller, bill.callee);
        let is_right = (bill.caller.as_str(), bill.callee.as_str())
            == (self.stage.alice.uri().as_str(), self.stage.bob.uri().as_str());
        self.stage.report.check("the bill is A's call to B", is_right, parties);
        self.check_nodes(&bill, [SERVERS[0], SERVERS[1]]);
        let page = self.stage.servers[1].page(self.stage.servers[1].page_of(&bill)).await?;
        let has_total = page.contains(&bill.total);
        self.stage.report.check("its page shows the total", has_total, &bill.total);
        Ok(())
    }

    /// From the kill of server1 to the view without it, as the others' logs tell.
    pub async fn check_takeover(&mut self, killed_at: SystemTime) -> anyhow::Result<()> {
        let view = self.stage.takeover(killed_at).await?;
        let found = format!("{:.1} ms", view.after.as_secs_f64() * 1000.0);
        let name = format!("the new view came within {} ms", TAKEOVER_MAX.as_millis());
        self.stage.report.check(name, view.after <= TAKEOVER_MAX, found);
        self.stage.check_serves_alone().await
    }

    /// The nodes that a bill names.
    pub fn check_nodes(&mut self, bill: &BillRow, [answered_by, closed_by]: [&str; 2]) {
        let is_right = bill.answered_by == answered_by && bill.closed_by == closed_by;
        let name = format!("answered by {answered_by}, closed by {closed_by}");
        let found = format!("{}, {}", bill.answered_by, bill.closed_by);
        self.stage.report.check(name, is_right, found);
    }
}

/// `ACK 2, BYE 1`, or `none`.
fn counts(by_name: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = by_name.iter().map(|(name, n)| format!("{name} {n}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
