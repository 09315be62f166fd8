//! What plays a story with real processes, for the examples that tell one: `resilient_billing` and
//! `own_service`, in folders of their names beside this one.
//!
//! | file          | what is in it                                                              |
//! |---------------|----------------------------------------------------------------------------|
//! | `play.rs`     | the command line, and the frame of a story: from its folder to its exit code |
//! | `role.rs`     | an example starts itself as the balancer and as nodes                      |
//! | `stage.rs`    | the pair and four phones, and the steps with which each story begins       |
//! | `cluster.rs`  | the processes with their property files, those of `resilient_billing`      |
//! | `process.rs`  | one of them                                                                |
//! | `ports.rs`    | which ports a run uses                                                     |
//! | `phones.rs`   | phones with sockets; `calls.rs`: two of them in a call                     |
//! | `rest.rs`     | the management interface of a server; `logs.rs`: what the processes said   |
//! | `report.rs`   | what the reader sees; `checks.rs`: the numbered checks                     |

pub mod calls;
pub mod checks;
pub mod cluster;
pub mod logs;
pub mod phones;
pub mod play;
pub mod ports;
pub mod process;
pub mod report;
pub mod rest;
pub mod role;
pub mod stage;
