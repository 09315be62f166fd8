//! TCP clients, as nodes see them: like UDP clients, that repeat what is not answered.
//!
//! Over TCP a client says everything once (RFC 3261 §17), and takes its message for delivered.
//! But the node that got it may die before it held it twice. So who holds the connection says it
//! again for the client, by the timers that the client would have over UDP, until a node has
//! answered; and what nodes repeat, since they cannot know either, it keeps from the client. Nodes
//! need nothing of TCP then but its name in Via and Record-Route.
//!
//! | file              | what it decides                                            |
//! |-------------------|------------------------------------------------------------|
//! | `connections.rs`  | who may connect, which connection leads to a client        |
//! | `unanswered.rs`   | what clients said that no node has answered                |
//! | `delivered.rs`    | what clients were told, and what they said to it           |
//! | `fit_for_stream.rs` | what a datagram lacks to be sent in a stream             |
//! | `drops.rs`        | nothing: it counts                                         |
//! | `source.rs`       | who is counted together                                    |
//! | `clients.rs`      | nothing: it asks these                                     |
//! | `shell.rs`        | nothing: it has the sockets                                |

mod boundary;
mod clients;
mod connections;
mod delivered;
mod drops;
mod fit_for_stream;
mod shell;
mod source;
mod transaction_key;
mod unanswered;

pub use boundary::{ConnectionId, TcpDrop, TcpInput, TcpLimits, TcpOutput};
pub use clients::TcpClients;
pub use drops::Drops;
pub use shell::{Event, Messages, TcpFront, listen};
