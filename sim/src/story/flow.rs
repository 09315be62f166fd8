//! A call flow in the place of the pairs' calls: the parties play their scenarios to the end, then
//! there are the bills that the flow says, and nothing else.

use super::{CALL_MS, Story};
use crate::checks::Violation;
use crate::world::World;
use resilee_call_billing::{BILLS, Bill};
use resilee_sbb::decode;
use resilee_sip_api::Side;
use resilee_test_kit::flows::{Ended, FLOWS, Flow};

impl Story {
    /// Plays it, once all phones are registered.
    pub(super) fn play_flow(&mut self, name: &str) -> Result<(), Violation> {
        let flow = FLOWS.iter().find(|flow| flow.name == name);
        let flow = flow.ok_or_else(|| Violation::new("a plan names a flow that there is", name))?;
        self.call_at_step = Some(self.world.steps);
        self.world.begin_flow(flow, self.plan.seed);
        let is_over = |world: &World| world.parties.iter().all(|party| party.is_done());
        let outcome = self.until(CALL_MS, "the flow is over", |world, _| is_over(world));
        outcome.map_err(|violation| match violation.rule {
            "stuck before" => Violation::new("a flow comes to its end", self.steps_of_parties()),
            _ => violation,
        })?;
        self.steps_of_calls = self.world.steps - self.call_at_step.unwrap_or_default();
        self.comes_to_rest()?;
        check_bills(&self.world, flow)?;
        self.calls.check_nothing_left(&self.world)
    }

    /// Where each party waits.
    fn steps_of_parties(&self) -> String {
        let steps: Vec<_> = self.world.parties.iter().map(|party| party.step()).collect();
        steps.join("; ")
    }
}

/// Every living node has the bills of the flow.
fn check_bills(world: &World, flow: &Flow) -> Result<(), Violation> {
    for node in world.nodes.iter().filter(|node| node.core.is_some()) {
        let records = node.disk.journal(BILLS);
        let bills = records.iter().map(|(_, record)| decode::<Bill>(record));
        let ended: Vec<_> =
            bills.map(|bill| bill.expect("billing wrote it").ended_by).map(ended_by).collect();
        if ended.contains(&None) || !flow.is_billed_by(ended.iter().flatten().copied().collect()) {
            let detail = format!("{} has {ended:?}, not {:?}", node.name, flow.bills);
            return Err(Violation::new("a flow leaves its bills", detail));
        }
    }
    Ok(())
}

fn ended_by(side: Side) -> Option<Ended> {
    match side {
        Side::Caller => Some(Ended::Caller),
        Side::Callee => Some(Ended::Callee),
        Side::Server => None,
    }
}
