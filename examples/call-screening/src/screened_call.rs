//! One call, as both versions of the service see it.

use resilee_sbb::{Context, Event, Failure, Timestamp, TraceLevel};
use resilee_sip_api::{Answered, Ended, Invite, refuse};
use serde::{Deserialize, Serialize};

/// What is kept of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenedCall {
    /// Address of record of who calls.
    pub caller: String,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
}

/// What is done with a new call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screened {
    /// Services of lower priority go on with it.
    Passed,
    /// It was answered with 403; they see the mark on it and leave it alone.
    Refused,
}

impl Screened {
    pub(crate) fn is_refused(self) -> bool {
        self == Screened::Refused
    }
}

impl ScreenedCall {
    /// Refuses the call if the number called begins with one of `blocked`.
    pub(crate) fn begins(
        &mut self,
        cx: &mut Context<'_>,
        invite: &Invite,
        blocked: &[&str],
    ) -> Result<Screened, Failure> {
        self.caller.clone_from(&invite.caller.address_of_record);
        let (caller, number) = (&self.caller, &invite.callee.user);
        if !blocked.iter().any(|start| number.starts_with(start)) {
            return Ok(Screened::Passed);
        }
        cx.trace(TraceLevel::Info, format_args!("{caller} may not call {number}"));
        refuse(cx, 403, "Number Blocked")?;
        Ok(Screened::Refused)
    }

    /// Answer and end. The entity leaves the call when that is over, not only when its adaptor has
    /// forgotten it: a version is replaced for good when it has no entity any more.
    pub(crate) fn goes_on(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if let Some(answered) = event.get::<Answered>()? {
            self.answered_at = Some(answered.at);
            return Ok(());
        }
        if let (Some(ended), Some(since)) = (event.get::<Ended>()?, self.answered_at) {
            let seconds = ended.at.since(since).as_secs_f64();
            let caller = &self.caller;
            cx.trace(TraceLevel::Info, format_args!("{caller} talked for {seconds:.3} s"));
        }
        cx.detach();
        Ok(())
    }
}
