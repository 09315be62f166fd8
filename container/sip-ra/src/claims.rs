//! Claims: what the credentials of a request say of its sender, until a service has decided.

use crate::adaptor::SipRa;
use crate::authentication::Claim;
use crate::party::Authorization;
use resilee_core::Endpoint;
use resilee_sbb::{ActivityId, Severity, Timestamp};
use resilee_sip_api::{Credentials, SipCommand};
use std::net::IpAddr;
use std::time::Duration;

/// Who has to wait for another try to be decided about may come again after so long.
const DECIDED_WITHIN: Duration = Duration::from_secs(1);

impl SipRa {
    /// What the credentials of a request that begins an activity are worth. Fresh ones are a claim.
    pub(crate) fn authorization(
        &mut self,
        now: Timestamp,
        activity: ActivityId,
        credentials: Option<Credentials>,
        ip: IpAddr,
    ) -> Authorization {
        let fresh = credentials.as_ref().filter(|credentials| credentials.nonce_fresh);
        let claim = fresh.map(|credentials| Claim::of(&self.element.secret, credentials, ip));
        let barred = claim.as_ref().and_then(|claim| {
            let barred = self.guard.bars_account(now, claim.source, claim.account);
            barred.or_else(|| self.has_to_wait(now, claim).then_some(DECIDED_WITHIN))
        });
        // Rounded up: who comes again after so long finds the bar gone.
        let barred_s =
            barred.map(|left| u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX));
        let is_barred = barred.is_some();
        self.claims.extend(claim.map(|claim| (activity, Claim { is_barred, ..claim })));
        Authorization { credentials, barred_s }
    }

    /// Whether another try has to be decided about first (`password_guard.rs`).
    fn has_to_wait(&self, now: Timestamp, claim: &Claim) -> bool {
        let is_known = |it: &Claim| self.guard.knows(now, it.source, it.account);
        let used_up = self.guard.used_up(now, claim.source, claim.account);
        // Few get so far, and only once their bar is over.
        !used_up.is_empty()
            && !is_known(claim)
            && self.claims.values().any(|it| {
                // Of most that are barred nobody decides anything.
                !it.is_barred && used_up.has(it.source, it.account) && !is_known(it)
            })
    }

    /// A service has decided about a request: what that says of the credentials it came with.
    pub(crate) fn judge(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        command: &SipCommand,
    ) {
        let Some(claim) = self.claims.remove(&activity) else { return };
        let now = endpoint.now();
        match command {
            SipCommand::Challenge { realm, stale: false, .. } if *realm == claim.realm => {
                let account = (claim.account, claim.name.as_str());
                if let Some(text) = self.guard.on_wrong(now, claim.source, account) {
                    endpoint.raise_alarm(Severity::Warning, &text);
                }
            }
            SipCommand::Respond { status: 200..=299, .. } if claim.registers => {
                self.guard.on_proven(now, claim.source, claim.account);
            }
            // Nobody has a fresh nonce where no credentials are asked for: they were looked at.
            SipCommand::Proxy { .. } => {
                self.guard.on_proven(now, claim.source, claim.account);
            }
            _ => {}
        }
    }
}
