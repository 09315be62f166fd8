//! The HTTP resource adaptor: web hooks that come in, and web hooks that go out.
//!
//! It decides what a request begins, what it is answered with when no service does, whom services
//! may call, and what is sent again after a takeover. It reads and writes no HTTP: a shell with the
//! sockets hands it requests and answers as plain data (`wire.rs`), and carries out what it says.
//! There is no socket, clock, thread or random number here.
//!
//! | file           | what it decides                                             |
//! |----------------|-------------------------------------------------------------|
//! | `adaptor.rs`   | which activity a message is for                             |
//! | `incoming.rs`  | what a request from outside is answered with, and when      |
//! | `outgoing.rs`  | what becomes of a request of a service                      |
//! | `url.rs`       | which URLs services may call                                |
//! | `limits.rs`    | how large and how many; what operators may change           |
//! | `wire.rs`      | what shell and adaptor say to each other                    |

mod adaptor;
mod incoming;
mod limits;
mod outgoing;
mod url;
mod wire;

pub use adaptor::HttpRa;
pub use limits::HttpLimits;
pub use url::{AllowedHosts, Url};
pub use wire::{FromShell, ToShell, Token, egress_of, flow, ingress_of};
