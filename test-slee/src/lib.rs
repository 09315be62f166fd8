//! A SLEE in a test: one node, or a pair with its seat, in one process and in virtual time. A
//! service runs in it as it runs in a node, with replication and takeover, but without a protocol:
//! the test starts activities, fires events on them and ends them.
//!
//! A [`Disk`] loses what was not flushed; whoever builds a world of its own may use it.
//!
//! Handlers run at once, what is stored counts as flushed at once, and time passes when the test
//! says so. Not here: SIP (`resilee-sip-ra`), what a store does when it fails, networks that lose
//! something (the simulator).
//!
//! ```
//! use resilee_sbb::{Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, Sbb};
//! use resilee_test_slee::{EventType, Slee};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Rang {}
//!
//! impl EventPayload for Rang {
//!     const TYPE: &'static str = "door.rang";
//! }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Doorman {
//!     rings: u32,
//! }
//!
//! impl Sbb for Doorman {
//!     const STATE_VERSION: u32 = 1;
//!
//!     fn descriptor() -> Descriptor {
//!         Descriptor { initial_events: &[Rang::TYPE], ..Descriptor::named("doorman") }
//!     }
//!
//!     fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
//!         self.rings += u32::from(event.get::<Rang>()?.is_some());
//!         Ok(())
//!     }
//! }
//!
//! let mut slee = Slee::pair(&[LinkedSbb::of::<Doorman>()], &[EventType::of::<Rang>()]);
//! let door = slee.begin();
//! slee.fire(door, &Rang {});
//! slee.kill_the_owner();
//! slee.fire(door, &Rang {});
//! assert_eq!(slee.state::<Doorman>(1).map(|doorman| doorman.rings), Some(2));
//! slee.end(door);
//! assert!(slee.is_empty());
//! ```

mod adaptor;
mod disk;
mod slee;

pub use adaptor::EventType;
pub use disk::Disk;
pub use slee::{Slee, TestActivity};
