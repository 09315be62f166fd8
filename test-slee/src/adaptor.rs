//! The resource adaptor of a test: a message is an order to start an activity, to fire an event on
//! it, or to end it. It sends nothing, and waits for nothing.
//!
//! | message          | what happens in its cell                      |
//! |------------------|-----------------------------------------------|
//! | key, begin       | the cell is born with one activity            |
//! | key, fire, event | the event is fired on the activity            |
//! | key, end         | the activity ends, and with it the cell       |

use resilee_core::{Adoption, Egress, Endpoint, Ingress, ResourceAdaptor, Route, Scope};
use resilee_sbb::{ActivityId, CellId, EventPayload, Failure, Timestamp, decode};
use std::collections::BTreeSet;

/// An event type that a test fires.
#[derive(Clone, Copy, Debug)]
pub struct EventType {
    /// [`EventPayload::TYPE`].
    pub(crate) name: &'static str,
    fire: fn(&mut Endpoint, ActivityId, &[u8]) -> Result<(), Failure>,
}

impl EventType {
    /// The type of `E`.
    pub const fn of<E: EventPayload>() -> Self {
        EventType { name: E::TYPE, fire: fire::<E> }
    }
}

fn fire<E: EventPayload>(
    endpoint: &mut Endpoint,
    activity: ActivityId,
    payload: &[u8],
) -> Result<(), Failure> {
    endpoint.fire(activity, &decode::<E>(payload)?);
    Ok(())
}

/// What a message orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order<'m> {
    Begin,
    /// Number of the event type, and the encoded payload.
    Fire(u8, &'m [u8]),
    End,
}

impl<'m> Order<'m> {
    /// A message: the key, a byte for the order, the event.
    pub fn message(self, key: u64) -> Vec<u8> {
        let mut bytes = key.to_be_bytes().to_vec();
        match self {
            Order::Begin => bytes.push(b'b'),
            Order::End => bytes.push(b'e'),
            Order::Fire(event_type, payload) => {
                bytes.extend([b'f', event_type]);
                bytes.extend(payload);
            }
        }
        bytes
    }

    fn read(bytes: &'m [u8]) -> Option<(u64, Self)> {
        let (key, order) = bytes.split_first_chunk()?;
        let order = match order {
            [b'b'] => Order::Begin,
            [b'e'] => Order::End,
            [b'f', event_type, payload @ ..] => Order::Fire(*event_type, payload),
            _ => return None,
        };
        Some((u64::from_be_bytes(*key), order))
    }
}

/// The adaptor.
#[derive(Debug)]
pub(crate) struct TestAdaptor {
    events: Vec<EventType>,
    /// Cells whose activity lives here.
    living: BTreeSet<CellId>,
}

/// Each cell has one activity of the adaptor's.
const ACTIVITY: u32 = 1;

impl TestAdaptor {
    pub fn new(events: &[EventType]) -> Self {
        TestAdaptor { events: events.to_vec(), living: BTreeSet::new() }
    }
}

impl ResourceAdaptor for TestAdaptor {
    fn route(&self, _now: Timestamp, ingress: &Ingress) -> Route {
        let Some((key, order)) = Order::read(&ingress.bytes) else {
            return Route::Drop("no order of a test");
        };
        Route::Cell { key, scope: Scope::Call, creates: order == Order::Begin, cohort: None }
    }

    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress) {
        let activity = ActivityId { cell: endpoint.cell(), number: ACTIVITY };
        match Order::read(&ingress.bytes) {
            Some((_, Order::Begin)) if self.living.insert(activity.cell) => {
                let started = endpoint.start_activity();
                debug_assert_eq!(started, activity);
            }
            Some((_, Order::Fire(event_type, payload))) => {
                let event_type = self.events.get(usize::from(event_type));
                let fired = event_type.map(|it| (it.fire)(endpoint, activity, payload));
                assert_eq!(fired, Some(Ok(())), "the test encoded an event that it named");
            }
            Some((_, Order::End)) => endpoint.end_activity(activity),
            _ => {}
        }
    }

    fn unknown(&mut self, _now: Timestamp, _ingress: &Ingress) -> Vec<Egress> {
        Vec::new()
    }

    fn command(&mut self, _: &mut Endpoint, _: ActivityId, _: &[u8]) -> Result<(), Failure> {
        Err(Failure::new("the adaptor of tests takes no commands"))
    }

    fn timeout(&mut self, _endpoint: &mut Endpoint, _activity: ActivityId) {}

    fn next_timeout(&self, _activity: ActivityId) -> Option<Timestamp> {
        None
    }

    fn marshal(&self, _activity: ActivityId) -> Vec<u8> {
        Vec::new()
    }

    fn adopt(
        &mut self,
        _endpoint: &mut Endpoint,
        activity: ActivityId,
        _state: &[u8],
        _adoption: Adoption,
    ) -> Result<(), Failure> {
        self.living.insert(activity.cell);
        Ok(())
    }

    fn forget(&mut self, activity: ActivityId) {
        if activity.number == ACTIVITY {
            self.living.remove(&activity.cell);
        }
    }
}
