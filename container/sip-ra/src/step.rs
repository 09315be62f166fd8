//! One step of one activity: the SLEE endpoint with the element, and which activity it is about.

use crate::element::Element;
use resilee_core::Endpoint;
use resilee_membership::Flow;
use resilee_sbb::{ActivityId, EventPayload, Timestamp};
use resilee_sip_proto::{TimerConfig, TransactionOutput};

/// What an activity may do in one step.
pub(crate) struct Step<'a> {
    pub(crate) endpoint: &'a mut Endpoint,
    pub(crate) element: &'a Element,
    pub(crate) activity: ActivityId,
}

impl<'a> Step<'a> {
    pub(crate) fn now(&self) -> Timestamp {
        self.endpoint.now()
    }

    pub(crate) fn timers(&self) -> &'a TimerConfig {
        &self.element.timers
    }

    /// The cohort that our branches and Routes carry: that of the call's birth, also after a
    /// takeover.
    pub(crate) fn cohort(&self) -> u64 {
        self.activity.cell.cohort.0
    }

    /// The marshalled state is another one now; what this step sends waits for the backup.
    pub(crate) fn changed(&mut self) {
        self.endpoint.changed(self.activity);
    }

    pub(crate) fn fire<E: EventPayload>(&mut self, event: &E) {
        self.endpoint.fire(self.activity, event);
    }

    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.endpoint.send(flow, bytes);
    }

    /// Sends what a transaction wants sent; the rest of its outputs is the caller's to read.
    pub(crate) fn send_all(&mut self, flow: Flow, outputs: &[TransactionOutput]) {
        for output in outputs {
            if let TransactionOutput::Send(bytes) = output {
                self.send(flow, bytes.clone());
            }
        }
    }
}
