//! `resilee ctl cluster`: orders to a running node, through its REST interface.
//!
//! Questions are in `ctl.rs`; whether an order can be carried out is the node's to say.

use crate::ctl::{self, CtlError};
use serde_json::{Value, json};
use std::path::PathBuf;

/// An order.
#[derive(Debug, clap::Subcommand)]
pub enum ClusterOrder {
    /// Gives cohorts of the asked node to another member, while calls go on.
    HandOver {
        /// The member that is to own them.
        #[arg(long, value_name = "NODE")]
        to: String,
        /// One cohort (see cohort_ids in REST nodes).
        #[arg(long, value_name = "ID", conflicts_with = "all", required_unless_present = "all")]
        cohort: Option<String>,
        /// All cohorts that the node owns.
        #[arg(long)]
        all: bool,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Lets the asked node start, or go on, without the votes of others. Only when the others
    /// are surely dead: two nodes that cannot hear each other would serve the same calls.
    Force {
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Forgets the ends of calls that wait for a store that has those calls. Only when that store
    /// will never come: the calls are not billed then.
    ForgetOrphans {
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// What proves that the order may be given.
#[derive(Debug, clap::Args)]
pub struct Token {
    /// The file that the node's `[admin] token_file` names, or a copy of it.
    #[arg(long, value_name = "FILE", help = "The node's [admin] token_file, or a copy of it")]
    pub token_file: PathBuf,
}

impl Token {
    /// The token itself.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(&self) -> Result<String, CtlError> {
        let file = &self.token_file;
        let text = std::fs::read_to_string(file).map_err(|error| CtlError::Token {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(text.trim().to_owned())
    }
}

/// Gives the order to the node at `admin`; what came of it, for people.
///
/// # Errors
/// A token that cannot be read, nobody answers, or the node refuses.
pub fn order(admin: &str, order: &ClusterOrder) -> Result<String, CtlError> {
    let (path, token, body) = match order {
        ClusterOrder::HandOver { to, cohort, token, .. } => {
            let body = match cohort {
                Some(cohort) => json!({ "to": to, "cohort": cohort }),
                None => json!({ "to": to }),
            };
            ("hand-over", token, body)
        }
        ClusterOrder::Force { token } => ("force", token, json!({})),
        ClusterOrder::ForgetOrphans { token } => ("forget-orphans", token, json!({})),
    };
    let done = ctl::post(admin, &format!("cluster/{path}"), &token.read()?, &body)?;
    Ok(account(&done))
}

/// The view as it is now, and who owns what.
fn account(done: &Value) -> String {
    let rows = done["cohorts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let members = done["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    let members: Vec<_> = members.iter().map(ctl::cell).collect();
    let head = format!("done: view {}, {}\n", ctl::cell(&done["view"]), members.join(", "));
    head + &ctl::table(&["cohort", "owner"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_an_order_is_told_with_all_owners() {
        let done = json!({
            "view": 4,
            "members": ["server1#1", "server2#1"],
            "cohorts": [{ "cohort": "00000000000000a1", "owner": "server2" }],
        });
        let text = "done: view 4, server1#1, server2#1\n\
                    cohort            owner\n00000000000000a1  server2\n";
        assert_eq!(account(&done), text);
    }

    #[test]
    fn an_order_without_its_token_is_not_sent() {
        let token = Token { token_file: "no/such/file".into() };
        let error = order("http://127.0.0.1:1", &ClusterOrder::Force { token }).unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }
}
