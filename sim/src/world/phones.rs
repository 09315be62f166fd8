//! The phones: who they are, and what they say.

use super::{World, address, balancer_address};
use crate::node::{DOMAIN, PASSWORD, timers};
use crate::plan::Plan;
use crate::waking::Waking;
use resilee_sip_proto::TimerConfig;
use resilee_test_kit::{AnswerPolicy, Packet, PhoneConfig, PhoneInput, PhoneOutput};

impl World {
    /// From now on nothing gets to it.
    pub fn switch_off(&mut self, phone: usize) {
        self.switched_off.insert(phone);
    }

    pub(super) fn feed_phone(&mut self, phone: usize, input: PhoneInput) {
        let is_message = matches!(input, PhoneInput::Datagram { .. });
        if is_message && self.switched_off.contains(&phone) {
            return;
        }
        self.phones[phone].handle_input(self.now, input);
        while let Some(output) = self.phones[phone].poll_output() {
            match output {
                PhoneOutput::Send { bytes, .. } if self.phones[phone].config().timers.reliable => {
                    self.send_in_stream(phone, bytes);
                }
                PhoneOutput::Send { destination, bytes } => {
                    let source = self.phones[phone].config().address;
                    self.network.handle_send(self.now, Packet { source, destination, bytes });
                }
                PhoneOutput::Event(event) => {
                    self.trace
                        .add(self.now, "PHONE", &[phone as u8], || format!("{phone} {event:?}"));
                    self.events.push((phone, event));
                }
            }
        }
        self.phones_due[phone] = self.phones[phone].poll_timeout();
    }
}

/// The phone of a user.
pub(super) fn phone(plan: &Plan, index: usize, user: &str) -> PhoneConfig {
    PhoneConfig {
        user: user.to_owned(),
        domain: DOMAIN.to_owned(),
        password: Some(PASSWORD.to_owned()),
        address: address(3, index as u8 + 1, 5060),
        proxy: balancer_address(),
        register_expires_s: 600,
        ring_ms: plan.ring_ms,
        answer: plan.wakes().map_or(AnswerPolicy::Answer, Waking::policy),
        seed: plan.seed,
        timers: TimerConfig { reliable: plan.is_over_tcp(Some(index)), ..timers() },
        rtp: None,
    }
}
