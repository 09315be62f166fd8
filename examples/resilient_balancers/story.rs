//! The story: balancer1 serves and is killed in a call, balancer2 takes over; balancer1 comes back
//! and stands by; balancer2 is killed in a call, and balancer1 takes over.

use resilee_examples::bill;
use resilee_examples::calls::{call_id, end_call, set_up, talk_time};
use resilee_examples::cluster::SERVERS;
use resilee_examples::rest::BalancerRow;
use resilee_examples::stage::Stage;
use std::time::{Duration, SystemTime};

/// How long the phones talk before and after something happens.
const TALK: Duration = Duration::from_secs(2);

/// The promise for a killed balancer: until the other one answers at the phones' address.
const TAKEOVER_MAX: Duration = Duration::from_secs(1);

/// Names of the balancers.
const NAMES: [&str; 2] = ["balancer1", "balancer2"];

/// Tells the whole story.
pub async fn tell(stage: &mut Stage) -> anyhow::Result<()> {
    start(stage).await?;
    stage.register().await?;
    stage.report.step(4, "A calls B, and balancer1 dies in the call");
    call_over_a_kill(stage, 0).await?;
    stage.report.step(5, "balancer1 comes back");
    come_back(stage, 0).await?;
    stage.report.step(6, "A calls B again, and balancer2 dies in the call");
    call_over_a_kill(stage, 1).await?;
    stage.report.step(7, "balancer2 comes back");
    come_back(stage, 1).await
}

/// Steps 1 and 2.
async fn start(stage: &mut Stage) -> anyhow::Result<()> {
    stage.report.step(1, "both balancers start, and stand by until servers confirm one");
    stage.cluster.start_balancer(0)?;
    stage.cluster.start_balancer(1)?;
    stage.report.done("The balancers run");
    stage.start_servers().await?;
    stage.wait_for_entry().await?;
    check_roles(stage, 0).await
}

/// The call of alice to bob, in which the balancer with this index is killed.
async fn call_over_a_kill(stage: &mut Stage, balancer: usize) -> anyhow::Result<()> {
    set_up(&mut stage.alice, &mut stage.bob).await?;
    stage.report.waiting("A and B talk");
    tokio::time::sleep(TALK).await;
    let killed_at = stage.cluster.kill_balancer(balancer)?;
    stage.wait_for_entry().await?;
    let took = SystemTime::now().duration_since(killed_at).unwrap_or_default();
    let other = 1 - balancer;
    stage.report.done(format!("{} got SIGKILL, and {} took over", NAMES[balancer], NAMES[other]));
    let name = format!("the other balancer answers at the address within {TAKEOVER_MAX:?}");
    stage.report.check(name, took <= TAKEOVER_MAX, format!("{} ms", took.as_millis()));
    stage.report.waiting("A and B talk on");
    tokio::time::sleep(TALK).await;
    stage.check_media("audio went on over the kill");
    let took = end_call(&mut stage.alice, &mut stage.bob).await?;
    let found = format!("after {} ms", took.as_millis());
    stage.report.check("B got the BYE, and A its 200", true, found);
    let (call, measured) = (call_id(&stage.alice)?, talk_time(&stage.alice)?);
    for server in 0..SERVERS.len() {
        stage.servers[server].wait_for_bill(&call).await?;
    }
    let bill = stage.servers[1].wait_for_bill(&call).await?;
    stage.report.detail(bill::table(&bill, &stage.servers[1].page_of(&bill)));
    stage.check_bill(1, &bill, measured).await
}

/// The balancer with this index starts again: it takes nothing back.
async fn come_back(stage: &mut Stage, balancer: usize) -> anyhow::Result<()> {
    stage.cluster.start_balancer(balancer)?;
    let back = format!("{} in the servers' eyes", NAMES[balancer]);
    let rest = &stage.servers[0];
    rest.wait_for(&back, async || {
        let known = rest.nodes().await?.balancers;
        let is_back = |it: &&BalancerRow| it.name == NAMES[balancer] && it.state == "up";
        Ok(known.iter().find(is_back).map(|_| ()))
    })
    .await?;
    stage.report.done(format!("{} is heard again", NAMES[balancer]));
    check_roles(stage, 1 - balancer).await
}

/// One balancer has the seat and is at the phones' address, the other one is not.
async fn check_roles(stage: &mut Stage, holder: usize) -> anyhow::Result<()> {
    let rest = &stage.servers[0];
    let holds = |it: &BalancerRow| it.holds_seat && it.holds_address == Some(true);
    let found = rest
        .wait_for("a balancer that has the seat and the address", async || {
            let known = rest.nodes().await?.balancers;
            Ok(known.iter().any(holds).then_some(known))
        })
        .await?;
    let has = |it: &BalancerRow| it.holds_seat || it.holds_address == Some(true);
    let holders: Vec<&str> = found.iter().filter(|it| has(it)).map(|it| it.name.as_str()).collect();
    let name = format!("{} serves, the other one stands by", NAMES[holder]);
    stage.report.check(name, holders == [NAMES[holder]], holders.join(", "));
    Ok(())
}
