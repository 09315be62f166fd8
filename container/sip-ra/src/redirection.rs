//! A call that nobody has answered goes on elsewhere: a service redirects it, when it has rung too
//! long for example.
//!
//! | the call            | what happens                                                        |
//! |---------------------|---------------------------------------------------------------------|
//! | rings               | CANCEL to the targets that are pending, INVITE to the new ones      |
//! | was not sent on yet | refused: it is to be proxied                                        |
//! | is answered or over | nothing: the service has lost a race that it could not see          |
//! | is being cancelled  | the same                                                            |
//! | was refused by a    | the same: that was for all targets (RFC 3261 §16.7 step 5)          |
//! | target with a 6xx   |                                                                     |
//! | may not become so   | refused, and it rings on (Max-Breadth, `breadth.rs`)                |
//! | many branches       |                                                                     |
//!
//! The INVITE goes to the new targets at once and not when the old ones have answered the CANCEL: a
//! phone that is not there any more would hold the call up for half a minute. So an old target can
//! still answer. The first 2xx wins, as with any fork (RFC 3261 §16.7); if there are two, the
//! caller sends a BYE to one, and the call lasts until both are over. The failures of the old
//! targets, their 487 above all, are no answer to the caller.
//!
//! The new targets share the whole Max-Breadth. By RFC 5393 §5.3.3 the old ones have their share
//! until their final response: a call that came with 1 could then not be redirected at all. We
//! deviate from that on purpose: old targets are being cancelled, but until they have answered the
//! INVITE has more branches than its Max-Breadth, twice as many after one redirection. It goes to
//! [`TARGETS_MAX`] targets in all, so after the last one possible it is that many times as many.

use crate::activity::Activity;
use crate::breadth::{breadth_of, shares};
use crate::call::{Call, TARGETS_MAX, destinations};
use crate::outgoing::{Hop, Outgoing};
use crate::step::Step;
use resilee_membership::Flow;
use resilee_sbb::Failure;
use resilee_sip_api::{Diversion, Target};
use resilee_sip_proto::Message;

impl Activity {
    /// A service wants it to go on elsewhere.
    ///
    /// # Errors
    /// No call, or one that was not sent on; no target, too many, too many for its Max-Breadth, or
    /// one without an address; a diversion that no header can say.
    pub(crate) fn redirect(
        &mut self,
        step: &mut Step<'_>,
        targets: &[Target],
        diversion: Option<&Diversion>,
    ) -> Result<(), Failure> {
        match self {
            Activity::Call(call) => call.redirect(step, targets, diversion),
            Activity::Exchange(_) | Activity::OwnCall(_) => {
                Err(Failure::new("only the call of a client can be redirected"))
            }
        }
    }
}

impl Call {
    fn redirect(
        &mut self,
        step: &mut Step<'_>,
        targets: &[Target],
        diversion: Option<&Diversion>,
    ) -> Result<(), Failure> {
        if !self.invite.is_wanted() {
            return Ok(());
        }
        let before = self.invite.targets();
        if before == 0 {
            return Err(Failure::new("the INVITE was sent to nobody yet: proxy it"));
        }
        if before + targets.len() > TARGETS_MAX {
            let text = format!("an INVITE goes to {TARGETS_MAX} targets at most, {before} were");
            return Err(Failure::new(text));
        }
        let destinations = destinations(targets, self.caller.flow)?;
        let diversion = diversion.map(value_of).transpose()?;
        let breadth = breadth_of(&read(self.invite.request())?);
        if shares(breadth, targets.len()).is_none() {
            let (targets, text) =
                (targets.len(), "of the INVITE is too little for so many targets");
            return Err(Failure::new(format!("Max-Breadth {breadth} {text}: {targets}")));
        }
        self.invite.give_up_targets(step);
        self.forward(step, targets, &destinations, diversion.as_deref())
    }

    /// Sends the INVITE to these targets, too; they share its whole breadth, whatever those that
    /// are given up still have of it. If it is too little, the caller is refused.
    ///
    /// # Errors
    /// None: the INVITE was read before.
    pub(crate) fn forward(
        &mut self,
        step: &mut Step<'_>,
        targets: &[Target],
        destinations: &[Flow],
        diversion: Option<&str>,
    ) -> Result<(), Failure> {
        let bytes = self.invite.request().to_vec();
        let request = read(&bytes)?;
        let Some(shares) = shares(breadth_of(&request), targets.len()) else {
            return self.respond(step, 440, "", &[]);
        };
        self.invite.say_trying(step, &request);
        self.seen_at = self.seen_at.max(step.now());
        // A target is known by its place: each gets a branch of its own, the same at a survivor.
        let first = u32::try_from(self.invite.targets()).expect("there are few");
        for (index, ((target, flow), breadth)) in
            (first..).zip(targets.iter().zip(destinations).zip(shares))
        {
            let recorded = Some((&self.caller.flow, self.spiral));
            let hop = Hop { to: flow, recorded, breadth, diversion };
            let outgoing = Outgoing::to_target(step, &request, index, target, hop);
            self.invite.forward(step, outgoing, *flow);
        }
        Ok(())
    }
}

fn read(request: &[u8]) -> Result<Message<'_>, Failure> {
    Message::parse(request).map_err(|error| Failure::new(error.to_string()))
}

/// The value of the header (RFC 5806).
fn value_of(diversion: &Diversion) -> Result<String, Failure> {
    let Diversion { from, reason } = diversion;
    let is_uri_character = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
    match !from.is_empty() && from.bytes().all(is_uri_character) {
        true => Ok(format!("<{from}>;reason={}", reason.as_str())),
        false => Err(Failure::new(format!("{from:?} is no URI to be diverted from"))),
    }
}
