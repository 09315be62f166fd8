//! `resilee ctl service` and `resilee ctl slee`: states of services and of the SLEE, through the
//! REST interface of a running node.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError};
use serde_json::{Value, json};

/// What is done with services.
#[derive(Debug, clap::Subcommand)]
pub enum ServiceOrder {
    /// Lists the deployed services with their states.
    List,
    /// Lets services start new entities.
    Activate {
        /// Names of services or units.
        #[arg(required = true)]
        names: Vec<String>,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Lets services start nothing new; what they began they finish.
    Deactivate {
        /// Names of services or units.
        #[arg(required = true)]
        names: Vec<String>,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// An upgrade in one step: the old ones finish what they began, the new ones take the rest.
    Switch {
        /// Services or units to activate.
        #[arg(long, value_name = "NAME", required = true)]
        to: Vec<String>,
        /// Services or units to deactivate.
        #[arg(long, value_name = "NAME", required = true)]
        from: Vec<String>,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// What is done with the SLEE.
#[derive(Debug, clap::Subcommand)]
pub enum SleeOrder {
    /// Says whether it takes calls.
    Status,
    /// Lets it take calls again.
    Start {
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Lets all nodes refuse new calls; those that are there finish.
    Stop {
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// Does it at the node at `admin`; how the services are then, for people.
///
/// # Errors
/// A token that cannot be read, nobody answers, or the node refuses.
pub fn service(admin: &str, order: &ServiceOrder) -> Result<String, CtlError> {
    let (body, token) = match order {
        ServiceOrder::List => return Ok(account(&ctl::ask(admin, "services")?)),
        ServiceOrder::Activate { names, token } => (json!({ "activate": names }), token),
        ServiceOrder::Deactivate { names, token } => (json!({ "deactivate": names }), token),
        ServiceOrder::Switch { to, from, token } => {
            (json!({ "activate": to, "deactivate": from }), token)
        }
    };
    Ok(account(&ctl::post(admin, "services", &token.read()?, &body)?))
}

/// Does it at the node at `admin`; how the SLEE is then, for people.
///
/// # Errors
/// A token that cannot be read, nobody answers, or the node refuses.
pub fn slee(admin: &str, order: &SleeOrder) -> Result<String, CtlError> {
    let wanted = |state: &str, token: &Token| {
        ctl::post(admin, "slee", &token.read()?, &json!({ "state": state }))
    };
    let answer = match order {
        SleeOrder::Status => ctl::ask(admin, "slee")?,
        SleeOrder::Start { token } => wanted("running", token)?,
        SleeOrder::Stop { token } => wanted("stopped", token)?,
    };
    Ok(format!("{} is {}\n", ctl::cell(&answer["node"]), ctl::cell(&answer["state"])))
}

/// A line for each service.
pub(crate) fn account(answer: &Value) -> String {
    let rows = answer["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = ["name", "state", "unit", "version", "entities_in_cluster", "needed_by"];
    ctl::table(&columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_with_their_states_and_who_needs_them() {
        let services = json!({ "services": [{
            "name": "base", "state": "active", "unit": "shop", "version": "1",
            "entities_in_cluster": 3, "needed_by": ["till"],
        }]});
        let text = "name  state   unit  version  entities_in_cluster  needed_by\n\
                    base  active  shop  1        3                    till\n";
        assert_eq!(account(&services), text);
    }
}
