//! Two phones in a call: from the INVITE to the BYE.

use crate::phones::{DOMAIN, Handset, HandsetState};
use anyhow::Context;
use resilee_test_kit::{CallPhase, PhoneCommand, PhoneEvent};
use std::time::{Duration, Instant};

/// How long a phone may take for anything: longer than SIP's longest repetition after a kill.
pub const PHONE_WITHIN: Duration = Duration::from_secs(10);

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

/// Calls a number that nobody answers; the status that came.
pub async fn call_in_vain(caller: &mut Handset, number: &str) -> anyhow::Result<u16> {
    let before = caller.state().events.len();
    let failed = |it: &HandsetState| {
        it.events.iter().skip(before).find_map(|event| match event {
            PhoneEvent::CallFailed(status) => Some(*status),
            _ => None,
        })
    };
    caller.press(PhoneCommand::Call { to: format!("sip:{number}@{DOMAIN}") }).await?;
    caller.wait_for("refused", PHONE_WITHIN, |it| failed(it).is_some()).await?;
    failed(&caller.state()).context("what a phone has shown it shows on")
}

/// Call-ID of the call, or of the last one.
pub fn call_id(phone: &Handset) -> anyhow::Result<String> {
    Ok(phone.state().call.context("the phone has no call")?.call_id)
}

/// Talk time of the last call, by the phone's own clock.
pub fn talk_time(phone: &Handset) -> anyhow::Result<Duration> {
    phone.state().talk_time().context("the phone has not talked")
}
