//! Calls of a service in the place of the pairs' calls (`waking.rs`).

use super::{CALL_MS, Story};
use crate::checks::Violation;
use crate::node::DOMAIN;
use crate::plan::When;
use crate::waking::{Waking, Woken};
use resilee_test_kit::{PhoneCommand, PhoneEvent};
use std::time::Duration;

/// How long it takes at most, besides ringing and talking, if a phone says nothing or its BYE is
/// not heard.
const SILENCE_MS: u64 = 20_000;

impl Story {
    /// Has the phones called, once all are registered.
    pub(super) fn play_waking(&mut self, waking: Waking) -> Result<(), Violation> {
        self.call_at_step = Some(self.world.steps);
        for pair in 0..self.plan.pairs {
            if waking.woken == Woken::IsOff {
                self.world.switch_off(pair * 2 + 1);
            }
            let number = waking.number(&format!("user{}", pair * 2 + 1));
            let to = format!("sip:{number}@{DOMAIN}");
            self.world.command_after(pair * 2, 20 + pair as u64 * 7, PhoneCommand::Call { to });
        }
        let limit = CALL_MS + SILENCE_MS + self.plan.ring_ms + self.plan.talk_ms;
        let given_up_at = self.world.now + Duration::from_millis(limit);
        self.until(limit * 2, "every call of the service is over", |world, calls| {
            let wake_ups = calls.wake_ups.as_ref().expect("they are planned");
            wake_ups.all_over(world) || (wake_ups.is_uncertain(world) && world.now >= given_up_at)
        })?;
        // What was planned for a step that the calls did not reach happens now.
        if let Some((When::Step(steps), _)) = self.faults.front_mut() {
            *steps = 0;
        }
        self.fail_if_due();
        self.steps_of_calls = self.world.steps - self.call_at_step.unwrap_or_default();
        self.comes_to_rest()?;
        self.calls.wake_ups.as_ref().map_or(Ok(()), |it| it.check(&self.world))?;
        self.calls.check_nothing_left(&self.world)
    }

    /// What the phones said meanwhile.
    pub(super) fn react_to_waking(&mut self, waking: Waking) -> Result<(), Violation> {
        for (phone, event) in std::mem::take(&mut self.world.events) {
            if let Some(wake_ups) = &mut self.calls.wake_ups {
                wake_ups.note(&self.world, phone, &event)?;
            }
            if matches!(event, PhoneEvent::Answered { .. }) && waking.woken == Woken::HangsUp {
                self.world.command_after(phone, self.plan.talk_ms, PhoneCommand::HangUp);
            }
        }
        Ok(())
    }
}
