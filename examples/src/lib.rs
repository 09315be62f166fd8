//! What plays a story with real processes, for the examples that tell one: `resilient_billing`,
//! `resilient_balancers` and `own_service`, in folders of their names beside this one.
//!
//! | file          | what is in it                                                              |
//! |---------------|----------------------------------------------------------------------------|
//! | `play.rs`     | the command line, and the frame of a story: from its folder to its exit code |
//! | `role.rs`     | an example starts itself as the balancer and as nodes                      |
//! | `stage.rs`    | the pair and four phones, and the steps with which each story begins       |
//! | `promises.rs` | what holds of each call's audio and bill; `bill.rs`: what a bill must say  |
//! | `setting.rs`  | which processes there are, and their property files                        |
//! | `cluster.rs`  | the processes                                                              |
//! | `process.rs`  | one of them                                                                |
//! | `ports.rs`    | which ports a run uses                                                     |
//! | `phones.rs`   | phones with sockets; `calls.rs`: two of them in a call                     |
//! | `rest.rs`     | the management interface of a server; `logs.rs`: what the processes said   |
//! | `report.rs`   | what the reader sees; `checks.rs`: the numbered checks                     |

pub mod bill;
pub mod calls;
pub mod checks;
pub mod cluster;
pub mod logs;
pub mod phones;
pub mod play;
pub mod ports;
pub mod process;
mod promises;
pub mod report;
pub mod rest;
pub mod role;
pub mod setting;
pub mod stage;
