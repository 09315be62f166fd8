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
    /// After a switch: what the old service began moves to the new one, call by call. The list says
    /// how far that is.
    Migrate {
        /// The service that takes it.
        #[arg(
            long,
            value_name = "NAME",
            required_unless_present = "stop",
            conflicts_with = "stop"
        )]
        to: Option<String>,
        /// The service whose entities move.
        #[arg(long, value_name = "NAME")]
        from: String,
        /// No more moves: what has moved stays with the new one, the rest with the old one.
        #[arg(long)]
        stop: bool,
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
        ServiceOrder::Migrate { to, from, stop: _, token } => {
            let path = format!("services/{}/migrate", ctl::segment(from));
            let body = json!({ "to": to });
            return Ok(account(&ctl::post(admin, &path, &token.read()?, &body)?));
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

/// A line for each service, and for each whose entities move.
pub(crate) fn account(answer: &Value) -> String {
    let rows = answer["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = ["name", "state", "unit", "version", "entities_in_cluster", "needed_by"];
    let moving = rows.iter().filter(|service| service["migration"].is_object());
    let moving = moving.flat_map(|service| migration(&ctl::cell(&answer["node"]), service));
    ctl::table(&columns, rows) + &moving.collect::<String>()
}

/// How far a service's entities are on their way to another one.
fn migration(node: &str, service: &Value) -> Vec<String> {
    let it = &service["migration"];
    let [name, to] = [&service["name"], &it["to"]].map(ctl::cell);
    let [moved, stayed] = [&it["moved"], &it["stayed"]].map(ctl::cell);
    let done = if it["done"].as_bool() == Some(true) { "; none is left" } else { "" };
    let line = format!(
        "from {name} to {to}: {moved} entity trees moved at {node}, {stayed} stayed there{done}\n"
    );
    let reasons = it["reasons"].as_object().into_iter().flatten();
    let reasons = reasons.map(|(reason, count)| {
        format!("  {} stayed: {}\n", ctl::cell(count), ctl::cell(&json!(reason)))
    });
    [line].into_iter().chain(reasons).collect()
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

    #[test]
    fn what_moves_to_another_service_is_told_with_what_stays_and_why() {
        let of = |name: &str, migration: Value| {
            json!({
                "name": name, "state": "stopping", "unit": "u", "version": "1",
                "entities_in_cluster": 1, "needed_by": [], "migration": migration,
            })
        };
        let moving = json!({
            "to": "new", "moved": 2, "stayed": 1, "done": false,
            "reasons": { "it is not to \u{1b} move": 1 },
        });
        let done = json!({ "to": "next", "moved": 3, "stayed": 0, "done": true, "reasons": {} });
        let services = [of("old", moving), of("new", done), of("other", Value::Null)];
        let text = account(&json!({ "node": "server1", "services": services }));
        let lines: Vec<_> = text.lines().skip(4).collect();
        let expected = [
            "from old to new: 2 entity trees moved at server1, 1 stayed there",
            "  1 stayed: it is not to ? move",
            "from new to next: 3 entity trees moved at server1, 0 stayed there; none is left",
        ];
        assert_eq!(lines, expected);
    }
}
