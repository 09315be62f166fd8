//! What an idle entity takes: calls are set up in a node of this process, and then nothing happens
//! in them. Each has its cell, its activity context, and the service's entity with its state.

use anyhow::{Result, ensure};
use resilee_bench_units::CallTimer;
use resilee_sbb::LinkedSbb;
use resilee_sip_api::Invite;
use resilee_test_slee::{EventType, Slee};

/// Entities that come first and are not counted: with them, what is made once is made.
const FIRST: u32 = 500;

/// Memory of each of so many entities of a service; `resident` says what the process has.
pub fn bytes_per_entity(
    service: LinkedSbb,
    invite: &Invite,
    entities: u32,
    resident: impl Fn() -> Result<u64>,
) -> Result<u64> {
    let mut slee = Slee::one(&[service], &[EventType::of::<Invite>()]);
    let mut set_up = |count: u32| {
        for _ in 0..count {
            let call = slee.begin();
            slee.fire(call, invite);
        }
    };
    set_up(FIRST);
    let before = resident()?;
    set_up(entities);
    let grown = resident()?.saturating_sub(before);
    let all = usize::try_from(FIRST + entities)?;
    let cells = slee.cells(all + 1);
    let idle = cells.iter().filter(|cell| cell.entities.len() == 1).count();
    ensure!(idle == all, "{idle} of {all} calls have an entity: {:?}", slee.traces());
    let state = slee.state::<CallTimer>(1);
    ensure!(state.is_some_and(|state| state.calls() == 1), "the last entity has not its state");
    Ok(grown / u64::from(entities))
}
