//! The parties of a call flow: who they are, and what they send.

use super::{World, address, balancer_address};
use crate::node::{DOMAIN, PASSWORD};
use resilee_sip_ra::CallLimits;
use resilee_test_kit::Packet;
use resilee_test_kit::flows::{FLOWS, Flow, Role};
use resilee_test_kit::sipp::{SippConfig, SippInput, SippOutput, SippParty};
use std::time::Duration;

/// A `<pause/>`: longer than a takeover takes.
const PAUSE: Duration = Duration::from_millis(500);

/// No flow answers questions of the server's own.
pub(super) const CALLS: CallLimits = CallLimits {
    ask_after: None,
    session_expires_s: Some(600),
    longest: None,
    longest_ringing: None,
};

/// The flow of this name.
pub(super) fn find(name: &str) -> &'static Flow {
    FLOWS.iter().find(|flow| flow.name == name).expect("a plan names a flow that there is")
}

/// Users by phone: of each party but the caller, in their order.
pub(super) fn registered(flow: &Flow) -> Vec<String> {
    let called = flow.parties.iter().filter(|party| party.role != Role::Caller);
    called.map(|party| flow.user(party.role)).collect()
}

impl World {
    /// The phones are registered: from now on the parties of the flow are in their places.
    pub fn begin_flow(&mut self, flow: &Flow, seed: u64) {
        self.phones.clear();
        self.phones_due.clear();
        let mut places = 0;
        for party in flow.parties {
            let is_caller = party.role == Role::Caller;
            places += u8::from(!is_caller);
            let config = SippConfig {
                address: address(3, if is_caller { 100 } else { places }, 5060),
                proxy: balancer_address(),
                service: flow.name.to_owned(),
                domain: DOMAIN.to_owned(),
                user: flow.user(Role::Caller),
                password: PASSWORD.to_owned(),
                call_id: if is_caller { "flow".to_owned() } else { String::new() },
                pause: PAUSE,
            };
            let party = SippParty::new(config, party.scenario, seed);
            self.parties.push(party.unwrap_or_else(|error| panic!("{}: {error:?}", flow.name)));
        }
        for party in 0..self.parties.len() {
            self.feed_party(party, SippInput::Start);
        }
    }

    pub(super) fn feed_party(&mut self, party: usize, input: SippInput) {
        self.parties[party].handle_input(self.now, input);
        while let Some(output) = self.parties[party].poll_output() {
            match output {
                SippOutput::Send { destination, bytes } => {
                    let source = self.parties[party].address();
                    self.network.handle_send(self.now, Packet { source, destination, bytes });
                }
                SippOutput::Log(text) | SippOutput::PassedOver(text) => {
                    self.trace.add(self.now, "PARTY", &[party as u8], || format!("{party} {text}"));
                }
            }
        }
    }
}
