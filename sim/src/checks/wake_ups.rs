//! Calls that a service has made: each phone is rung once, and what became of its call is recorded
//! once at each node, as it was planned. Nobody pays for it.

use crate::checks::Violation;
use crate::waker::{Outcome, WAKE_UPS, WakeUp};
use crate::waking::{Waking, Woken};
use crate::world::World;
use resilee_call_billing::BILLS;
use resilee_sbb::decode;
use resilee_test_kit::PhoneEvent;

/// What the phones of a pair say: the first one dials, the second one is called.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    dialled: Option<Dialled>,
    is_rung: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialled {
    /// It was told that there is nobody of that name: the service has it.
    Taken,
    /// Nobody lived for so long that it gave up.
    Unknown,
}

/// All calls that a service makes in a run.
#[derive(Debug)]
pub struct WakeUps {
    waking: Waking,
    pairs: Vec<Pair>,
}

impl WakeUps {
    /// Nobody has dialled yet.
    pub fn new(waking: Waking, pairs: usize) -> Self {
        WakeUps { waking, pairs: vec![Pair::default(); pairs] }
    }

    /// Takes in what a phone said.
    ///
    /// # Errors
    /// What no phone says whose node does as it should.
    pub fn note(
        &mut self,
        world: &World,
        phone: usize,
        event: &PhoneEvent,
    ) -> Result<(), Violation> {
        let is_uncertain = self.is_uncertain(world);
        let (pair, dials) = (&mut self.pairs[phone / 2], phone.is_multiple_of(2));
        match event {
            PhoneEvent::CallFailed(404) if dials => pair.dialled = Some(Dialled::Taken),
            PhoneEvent::CallFailed(_) if dials && world.power_cut => {
                pair.dialled = Some(Dialled::Unknown);
            }
            PhoneEvent::IncomingCall { .. } => {
                let was_rung = std::mem::replace(&mut pair.is_rung, true);
                if was_rung && !is_uncertain {
                    return Err(Violation::new("a phone is rung once", format!("phone {phone}")));
                }
            }
            PhoneEvent::CallFailed(487) if !dials && self.waking.woken == Woken::IsGivenUp => {}
            PhoneEvent::CallFailed(_) | PhoneEvent::HangUpFailed(_) if world.power_cut => {}
            PhoneEvent::CallFailed(status) | PhoneEvent::HangUpFailed(status) => {
                let detail = format!("phone {phone}: {status}");
                return Err(Violation::new("no call fails", detail));
            }
            _ => {}
        }
        Ok(())
    }

    /// True if all have dialled, and what became of their calls is recorded.
    pub fn all_over(&self, world: &World) -> bool {
        self.pairs.iter().enumerate().all(|(number, pair)| match pair.dialled {
            None => false,
            Some(Dialled::Taken) => {
                recorded(world, number).iter().any(|(_, outcomes)| !outcomes.is_empty())
            }
            Some(Dialled::Unknown) => true,
        })
    }

    /// The last moments may be lost. Of a root entity of the cluster they are not counted as lost,
    /// since the calls that it serves tell it again; but nobody tells it of its own ones.
    pub fn is_uncertain(&self, world: &World) -> bool {
        world.watch.is_any_lost() || (world.power_cut && self.waking.in_cluster)
    }

    /// At the end: one record of each call, at each node that lives, and no bill.
    ///
    /// # Errors
    /// A record that is missing, doubled or wrong; a bill.
    pub fn check(&self, world: &World) -> Result<(), Violation> {
        for node in &world.nodes {
            if let Some((cell, _)) = node.disk.journal(BILLS).first() {
                let detail = format!("{cell} on {}", node.name);
                return Err(Violation::new("only answered calls are billed", detail));
            }
        }
        if self.is_uncertain(world) {
            return Ok(());
        }
        for (number, pair) in self.pairs.iter().enumerate() {
            self.check_pair(world, number, pair)?;
        }
        Ok(())
    }

    fn check_pair(&self, world: &World, number: usize, pair: &Pair) -> Result<(), Violation> {
        let is_taken = pair.dialled == Some(Dialled::Taken);
        let recorded = recorded(world, number);
        let is_right = |outcomes: &[Outcome]| match outcomes {
            [] => !is_taken,
            [outcome] => self.waking.may_end_as(*outcome, world.power_cut),
            _ => false,
        };
        if let Some((node, outcomes)) = recorded.iter().find(|(_, it)| !is_right(it)) {
            let detail = format!("{node}, pair {number}: {outcomes:?}, {pair:?}");
            return Err(Violation::new("each call of a service ends once, as planned", detail));
        }
        if recorded.windows(2).any(|two| two[0].1 != two[1].1) {
            let detail = format!("pair {number}: {recorded:?}");
            return Err(Violation::new("all nodes have the same record", detail));
        }
        let rings = !matches!(self.waking.woken, Woken::IsBusy | Woken::IsOff);
        if is_taken && pair.is_rung != rings && !world.power_cut {
            return Err(Violation::new("who is called is rung", format!("pair {number}")));
        }
        Ok(())
    }
}

/// What each living node has recorded of the call to the second phone of a pair.
fn recorded(world: &World, pair: usize) -> Vec<(String, Vec<Outcome>)> {
    let user = format!("user{}", pair * 2 + 1);
    let living = world.nodes.iter().filter(|node| node.core.is_some());
    let of_node = |node: &crate::node::Node| {
        let records = node.disk.journal(WAKE_UPS).into_iter();
        let wake_ups = records.map(|(_, record)| decode(record).expect("the waker wrote it"));
        let of_user = wake_ups.filter(|wake_up: &WakeUp| wake_up.user == user);
        (node.name.to_string(), of_user.map(|wake_up| wake_up.outcome).collect())
    };
    living.map(of_node).collect()
}
