//! Steps 9 and 10: the dead server comes back, and the kill happens at other moments.

use crate::story::{Story, TALK};
use resilee_examples::bill;
use resilee_examples::calls::{PHONE_WITHIN, answered, call_id, end_call, ring, set_up, talk_time};
use resilee_examples::cluster::SERVERS;
use resilee_examples::rest::{BillRow, LiveCall};
use resilee_test_kit::{AnswerPolicy, CallPhase, PhoneCommand};
use std::time::{Duration, Instant};

/// Bills that the whole story leaves: the first call, two of step 9, two of step 10.
const BILLS: u64 = 5;

impl Story<'_> {
    /// Steps 9 and 10.
    pub async fn tell_variations(&mut self) -> anyhow::Result<()> {
        self.come_back().await?;
        self.callee_hangs_up_after_a_kill().await?;
        self.restart_first_server().await?;
        self.kill_while_it_rings().await?;
        self.restart_first_server().await?;
        self.check_what_is_left().await
    }

    /// Step 9.
    async fn come_back(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(9, "carol calls dave on server2");
        set_up(&mut self.stage.carol, &mut self.stage.dave).await?;
        let meanwhile = call_id(&self.stage.carol)?;
        self.stage.report.waiting("server1 starts again and gets the state");
        let took = self.stage.start_first_server().await?;
        self.stage.report.done("server1 is back, while carol and dave talk on server2");
        self.stage.report.detail(format!("a member again {} ms after its start", took.as_millis()));
        let mut of_first = self.stage.servers[0].bills().await?;
        let mut of_second = self.stage.servers[1].bills().await?;
        of_first.sort_by(|a, b| a.id.cmp(&b.id));
        of_second.sort_by(|a, b| a.id.cmp(&b.id));
        let is_same = of_first == of_second && !of_first.is_empty();
        let found = format!("{} and {} bills", of_first.len(), of_second.len());
        self.stage.report.check("server1 shows the same bills as server2", is_same, found);

        self.stage.report.step(9, "A calls B again");
        set_up(&mut self.stage.alice, &mut self.stage.bob).await?;
        let next = call_id(&self.stage.alice)?;
        let (next_on, stays_on) =
            (self.stage.owner_of(0, &next).await?, self.stage.owner_of(0, &meanwhile).await?);
        tokio::time::sleep(TALK).await;
        end_call(&mut self.stage.alice, &mut self.stage.bob).await?;
        end_call(&mut self.stage.carol, &mut self.stage.dave).await?;
        self.stage.report.done("A called B again; both calls are over");
        self.stage.report.check("the next call is on server1", next_on == SERVERS[0], next_on);
        let stays = stays_on == SERVERS[1];
        self.stage.report.check("the call begun meanwhile stayed with server2", stays, stays_on);
        let bill = self.bill_of(&next).await?;
        self.stage.check_bill(1, &bill, talk_time(&self.stage.alice)?).await?;
        self.check_nodes(&bill, [SERVERS[0]; 2]);
        let bill = self.bill_of(&meanwhile).await?;
        self.stage.check_bill(1, &bill, talk_time(&self.stage.carol)?).await?;
        self.check_nodes(&bill, [SERVERS[1]; 2]);
        Ok(())
    }

    /// Step 10, first half.
    async fn callee_hangs_up_after_a_kill(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(10, "A calls B, and server1 is killed again");
        set_up(&mut self.stage.alice, &mut self.stage.bob).await?;
        tokio::time::sleep(TALK).await;
        let killed_at = self.stage.cluster.kill_server(0)?;
        self.check_takeover(killed_at).await?;
        tokio::time::sleep(TALK).await;
        let took = end_call(&mut self.stage.bob, &mut self.stage.alice).await?;
        self.stage.report.done("server1 was killed in a call; this time B hung up");
        let found = format!("after {} ms", took.as_millis());
        self.stage.report.check("A got the BYE, and B its 200", true, found);
        let bill = self.bill_of(&call_id(&self.stage.alice)?).await?;
        self.stage.check_bill(1, &bill, talk_time(&self.stage.bob)?).await?;
        self.check_nodes(&bill, [SERVERS[0], SERVERS[1]]);
        self.stage.report.check("B hung up", bill.ended_by == "callee", &bill.ended_by);
        Ok(())
    }

    /// Step 10, second half.
    async fn kill_while_it_rings(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(10, "A calls B, and server1 is killed while B rings");
        self.stage.bob.on_call(AnswerPolicy::Manual, Duration::ZERO).await?;
        ring(&mut self.stage.alice, &mut self.stage.bob).await?;
        let killed_at = self.stage.cluster.kill_server(0)?;
        self.check_takeover(killed_at).await?;
        let still_rings = self.stage.alice.state().is_in(CallPhase::Ringing)
            && self.stage.bob.state().is_in(CallPhase::Ringing);
        self.stage.bob.press(PhoneCommand::Answer).await?;
        let started = Instant::now();
        answered(&mut self.stage.alice, &mut self.stage.bob).await?;
        let took = started.elapsed();
        tokio::time::sleep(TALK).await;
        end_call(&mut self.stage.alice, &mut self.stage.bob).await?;
        self.stage.bob.on_call(AnswerPolicy::Answer, Duration::from_millis(800)).await?;
        self.stage.report.done("server1 was killed while B rang; B answered");
        self.stage.report.check("it rang on over the kill", still_rings, still_rings);
        let found = format!("acknowledged after {} ms", took.as_millis());
        self.stage.report.check("the call was answered", took < PHONE_WITHIN, found);
        let bill = self.bill_of(&call_id(&self.stage.alice)?).await?;
        self.stage.check_bill(1, &bill, talk_time(&self.stage.alice)?).await?;
        self.check_nodes(&bill, [SERVERS[1]; 2]);
        Ok(())
    }

    /// The end of step 10: nothing is lost, doubled or left over.
    async fn check_what_is_left(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(10, "what is left is counted");
        let mut bills = [0; 2];
        let mut calls = [0; 2];
        for (index, server) in self.stage.servers.iter().enumerate() {
            bills[index] = server.bill_count().await?.saturating_sub(self.bills_before);
            let left = server.calls().await?;
            let is_ours = |call: &&LiveCall| !self.calls_before.contains(&call.call_id);
            calls[index] = left.iter().filter(is_ours).count();
        }
        self.stage.report.done("Both servers are up again");
        let found = format!("{} on server1, {} on server2", bills[0], bills[1]);
        let name = format!("{BILLS} calls, {BILLS} bills");
        self.stage.report.check(name, bills == [BILLS; 2], found);
        let found = format!("{} on server1, {} on server2", calls[0], calls[1]);
        self.stage.report.check("no call is left over", calls == [0; 2], found);
        Ok(())
    }

    async fn bill_of(&mut self, call_id: &str) -> anyhow::Result<BillRow> {
        let bill = self.stage.servers[1].wait_for_bill(call_id).await?;
        let page = self.stage.servers[1].page_of(&bill);
        let seconds = bill::talk_time(&bill).as_secs_f64();
        let text = format!("bill: {seconds:.3} s, {} {}; {page}", bill.total, bill.currency);
        self.stage.report.detail(text);
        Ok(bill)
    }

    async fn restart_first_server(&mut self) -> anyhow::Result<()> {
        self.stage.report.step(10, "server1 starts again and gets the state");
        self.stage.start_first_server().await?;
        self.stage.report.done("server1 is back");
        Ok(())
    }
}
