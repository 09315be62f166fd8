//! A cluster in a test: two nodes, a balancer and phones, in one process and in virtual time. A
//! service runs in it as in real nodes, beside call control, billing and the registrar: its events
//! are calls that phones make, and it outlives a killed node or does not.
//!
//! ```
//! use resilee_sbb::{Context, Descriptor, Event, EventPayload, Failure, Sbb};
//! use resilee_sip_api::Invite;
//! use resilee_test_cluster::{Called, TestCluster};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter {
//!     invites: u32,
//! }
//!
//! impl Sbb for Counter {
//!     const STATE_VERSION: u32 = 1;
//!
//!     fn descriptor() -> Descriptor {
//!         Descriptor { initial_events: &[Invite::TYPE], ..Descriptor::named("counter") }
//!     }
//!
//!     fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
//!         self.invites += u32::from(event.get::<Invite>()?.is_some());
//!         Ok(())
//!     }
//! }
//!
//! let mut cluster = TestCluster::builder().service::<Counter>().start();
//! cluster.phone("bob");
//! assert_eq!(cluster.phone("alice").calls("bob"), Called::Answered);
//! cluster.clock().advance(Duration::from_secs(30));
//! cluster.node("server1").kill();
//! cluster.clock().advance(Duration::from_millis(29_500));
//! assert_eq!(cluster.state::<Counter>().map(|counter| counter.invites), Some(1));
//! cluster.phone("bob").hangs_up();
//! assert_eq!(cluster.bills()[0].seconds, 60);
//! ```
//!
//! Web hosts that services call are played as well: name them with [`Builder::web`], and say with
//! [`TestCluster::web`] what they answer.
//!
//! Handlers run at once, what is stored counts as flushed at once, a message takes a millisecond,
//! and no message is lost. Not here: web hooks that come in; what a bad network, a slow disk or a
//! balancer that dies do (the simulator); a SLEE without a protocol (`resilee-test-slee`).

mod builder;
mod cluster;
mod node;
mod phone;
mod web;
mod world;

pub use builder::Builder;
pub use cluster::TestCluster;
pub use phone::{Called, TestPhone};
pub use resilee_http_api::Call;
pub use resilee_test_kit::{AnswerPolicy, CallPhase, PhoneEvent};
pub use web::{TestWeb, WebRequest};
pub use world::{TestClock, TestNode};
