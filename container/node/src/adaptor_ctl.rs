//! `resilee ctl adaptor`: life cycles of resource adaptors, through the REST interface of a running
//! node.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError};
use serde_json::{Map, Value, json};

/// What is done with resource adaptors.
#[derive(Debug, clap::Subcommand)]
pub enum AdaptorOrder {
    /// Lists the resource adaptors with their states.
    List,
    /// Lets an adaptor take new activities.
    Activate(Named),
    /// Lets an adaptor take none any more; those that are there finish.
    Deactivate(Named),
    /// The same, and those that are there end by force.
    Remove(Named),
    /// Has an adaptor look at its activities, and end those whose client is gone.
    QueryLiveness(Named),
    /// Gives an adaptor these properties besides its configuration, and takes all others away.
    Configure {
        /// Which one, and the proof.
        #[command(flatten)]
        named: Named,
        /// Properties.
        #[arg(value_name = "NAME=VALUE")]
        properties: Vec<String>,
    },
}

/// An adaptor, and the proof that the order may be given.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Name of the adaptor.
    name: String,
    /// Proves that the order may be given.
    #[command(flatten)]
    token: Token,
}

/// Does it at the node at `admin`; how the adaptors are then, for people.
///
/// # Errors
/// A token that cannot be read, a property without a value, nobody answers, or the node refuses.
pub fn adaptor(admin: &str, order: &AdaptorOrder) -> Result<String, CtlError> {
    let word = |word: &str| json!({ "order": word });
    let (named, body) = match order {
        AdaptorOrder::List => return Ok(account(&ctl::ask(admin, "adaptors")?)),
        AdaptorOrder::Activate(named) => (named, word("activate")),
        AdaptorOrder::Deactivate(named) => (named, word("deactivate")),
        AdaptorOrder::Remove(named) => (named, word("remove")),
        AdaptorOrder::QueryLiveness(named) => (named, word("query-liveness")),
        AdaptorOrder::Configure { named, properties } => {
            (named, json!({ "properties": read(properties) }))
        }
    };
    let path = format!("adaptors/{}", named.name);
    Ok(account(&ctl::post(admin, &path, &named.token.read()?, &body)?))
}

/// What has no `=` is told to the node as a property without a value, which it refuses.
fn read(properties: &[String]) -> Map<String, Value> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), Value::from(value))
    };
    properties.iter().map(pair).collect()
}

fn account(answer: &Value) -> String {
    let rows = answer["adaptors"].as_array().map(Vec::as_slice).unwrap_or_default();
    ctl::table(&["name", "state", "activities_in_cluster", "activities"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adaptors_are_told_with_their_states() {
        let adaptors = json!({ "adaptors": [{
            "name": "http", "state": "stopping", "activities_in_cluster": 3, "activities": 1,
        }]});
        let text = "name  state     activities_in_cluster  activities\n\
                    http  stopping  3                      1\n";
        assert_eq!(account(&adaptors), text);
    }

    #[test]
    fn a_value_may_have_an_equals_sign() {
        let properties = read(&["allow=a.test".to_owned(), "x=y=z".to_owned()]);
        assert_eq!(Value::Object(properties), json!({ "allow": "a.test", "x": "y=z" }));
    }
}
