//! The SIP resource adaptor: a stateful proxy (RFC 3261 §16) whose state is plain data.
//!
//! Messages become activities and events, commands of services become messages. A call is one
//! activity: its INVITE, the dialogs that it forms, and every request within them. All that is
//! needed to go on with it elsewhere is in its marshalled state; what clients repeat anyway is
//! not. There is no socket, clock, thread or random number here, and no opinion on who may call
//! whom: that is for services.
//!
//! | file                  | what it decides                                      |
//! |-----------------------|------------------------------------------------------|
//! | `adaptor.rs`          | which activity a message is for                      |
//! | `route.rs`            | which cell a message is for                          |
//! | `strict_route.rs`     | what comes from strict routers, and goes to them     |
//! | `refusal.rs`          | which requests are answered without a cell           |
//! | `call.rs`             | what happened to a call, and what services hear of it|
//! | `in_dialog.rs`        | requests within a call, and when it ends             |
//! | `subscription.rs`     | what of a call outlives it: NOTIFYs                  |
//! | `leg.rs`              | where an end of a call is, and what comes from it    |
//! | `supervision.rs`      | when a call ends that nobody hangs up                |
//! | `session_timer.rs`    | what Session-Expires says (RFC 4028)                 |
//! | `proof_of_life.rs`    | which calls are still up                             |
//! | `farewell.rs`         | who else must hear that a call is over               |
//! | `removal.rs`          | what an operator's query or removal does to calls    |
//! | `orphan.rs`           | requests of a call that no living node has           |
//! | `ends.rs`             | where the ends of a call were, by its Record-Route   |
//! | `own_request.rs`      | OPTIONS and BYE of our own within a call             |
//! | `own_call.rs`         | what happens to a call that a service begins         |
//! | `own_invite.rs`       | its messages, and whose cell they are for            |
//! | `exchange.rs`         | requests outside a call                              |
//! | `proxied_invite.rs`   | an INVITE on its way through, forked                 |
//! | `invite_branch.rs`    | one of its targets                                   |
//! | `redirection.rs`      | a call that rings goes on elsewhere                  |
//! | `trying.rs`           | when an INVITE is answered 100                       |
//! | `proxied_request.rs`  | any other request on its way through                 |
//! | `response.rs`         | what is changed in a response that goes back         |
//! | `outgoing.rs`         | what is changed in a request that goes on            |
//! | `advertised.rs`       | which of our addresses a client is told              |
//! | `loops.rs`            | whether a request was here before (RFC 5393)         |
//! | `spiral.rs`           | which of the calls of a Call-ID came back            |
//! | `upstream_fork.rs`    | which of them a proxy in front of us has forked      |
//! | `authentication.rs`   | challenges and credentials; nonces are in `nonce.rs` |
//! | `claims.rs`           | what credentials say until a service has decided     |
//! | `password_guard.rs`   | who is slowed down, as it tries out passwords        |
//! | `scanners.rs`         | whose requests are dropped unread                    |
//! | `asserted_identity.rs`| what no client may say of itself                     |

mod activity;
mod adaptor;
mod advertised;
mod aging;
mod asserted_identity;
mod authentication;
mod beside_call;
mod best_response;
mod breadth;
mod call;
mod cancel_reason;
mod claims;
mod client;
mod dialog;
mod element;
mod ends;
mod exchange;
mod fair_aging;
mod farewell;
mod further_answer;
mod in_dialog;
mod incoming;
mod invite_branch;
mod late_answer;
mod leg;
mod loops;
mod moved_ends;
mod nonce;
mod orphan;
mod outgoing;
mod own_call;
mod own_call_life;
mod own_invite;
mod own_request;
mod party;
mod password_guard;
mod proof_of_life;
mod proxied_invite;
mod proxied_request;
mod redirection;
mod refusal;
mod removal;
mod response;
mod ringing;
mod room;
mod route;
mod scanners;
mod secret;
mod session_timer;
mod spent_nonce;
mod spiral;
mod step;
mod strict_route;
mod subscription;
mod supervision;
mod trying;
mod upstream_fork;

pub use adaptor::{SipRa, SipRaConfig};
pub use advertised::Advertised;
pub use supervision::CallLimits;
