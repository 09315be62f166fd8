//! `resilee ctl housekeeping`: finds activities, SBB entities, timers and names that were left
//! over, and removes them, through the REST interface of a running node.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError};
use resilee_core::management::Leftover;
use serde_json::Value;

const COLUMNS: [&str; 8] = ["id", "services", "attached", "node", "age_s", "idle_s", "due", "note"];

/// What is done with leftovers.
#[derive(Debug, clap::Subcommand)]
pub enum HousekeepingOrder {
    /// Activities of all cells.
    Activities(Wanted),
    /// SBB entities of all cells.
    Entities(Wanted),
    /// Timers of SBB entities.
    Timers(Wanted),
    /// Names of activities.
    Names(Wanted),
    /// Removes one: an activity ends, an entity goes with all below it.
    Remove {
        /// Its id, as it is listed.
        id: Leftover,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// Which of them are listed.
#[derive(Debug, Default, clap::Args)]
pub struct Wanted {
    /// Of this cell only.
    #[arg(long, value_name = "CELL")]
    cell: Option<String>,
    /// Of this service, or with an entity of it attached.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Their cell was born so many seconds ago or more.
    #[arg(long, value_name = "SECONDS")]
    older_than: Option<u32>,
    /// Nothing of their cell has changed for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    idle_for: Option<u32>,
    /// Attached to nothing, or nothing attached to them.
    #[arg(long)]
    unattached: bool,
    /// Null activities, and names of such.
    #[arg(long)]
    null: bool,
    /// Timers that should have fired.
    #[arg(long)]
    overdue: bool,
    /// Timers that fire in so many seconds or later.
    #[arg(long, value_name = "SECONDS")]
    due_after: Option<u32>,
    /// The first cell to look at: what a list before said.
    #[arg(long, value_name = "CELL")]
    from: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    limit: u16,
}

/// Does it at the node at `admin`; what came of it, for people.
///
/// # Errors
/// A token that cannot be read, nobody answers, or the node refuses.
pub fn housekeeping(admin: &str, order: &HousekeepingOrder) -> Result<String, CtlError> {
    let (kind, wanted) = match order {
        HousekeepingOrder::Activities(wanted) => ("activities", wanted),
        HousekeepingOrder::Entities(wanted) => ("entities", wanted),
        HousekeepingOrder::Timers(wanted) => ("timers", wanted),
        HousekeepingOrder::Names(wanted) => ("names", wanted),
        HousekeepingOrder::Remove { id, token } => {
            let kind = match id {
                Leftover::Activity(_) => "activities",
                Leftover::Entity(_) => "entities",
                Leftover::Timer(..) => "timers",
                Leftover::Name(..) => "names",
            };
            let path = format!("housekeeping/{kind}/{}", ctl::segment(&id.to_string()));
            ctl::delete(admin, &path, &token.read()?)?;
            return Ok(format!("{} {id} is removed\n", id.kind()));
        }
    };
    let answer = ctl::ask(admin, &format!("housekeeping/{kind}?{}", wanted.query()))?;
    Ok(list(kind, &answer))
}

impl Wanted {
    fn query(&self) -> String {
        let mut query = format!("limit={}", self.limit);
        let texts = [("cell", &self.cell), ("service", &self.service), ("from", &self.from)];
        for (name, text) in texts.into_iter().filter_map(|(name, it)| Some((name, it.as_ref()?))) {
            query += &format!("&{name}={}", ctl::segment(text));
        }
        let numbers = [
            ("older_than", self.older_than),
            ("idle_for", self.idle_for),
            ("due_after", self.due_after),
        ];
        for (name, seconds) in numbers.into_iter().filter_map(|(name, it)| Some((name, it?))) {
            query += &format!("&{name}={seconds}");
        }
        let flags =
            [("unattached", self.unattached), ("null", self.null), ("overdue", self.overdue)];
        for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
            query += &format!("&{name}=true");
        }
        query
    }
}

fn list(kind: &str, answer: &Value) -> String {
    let rows = answer["found"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = ctl::table(&COLUMNS, rows);
    if rows.is_empty() {
        text += &format!("no {kind} like that\n");
    }
    if let Some(next) = answer["next"].as_str() {
        text += &format!("there are more cells: look on with --from {next}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wanted_is_asked_for() {
        let wanted = Wanted {
            service: Some("a&b".to_owned()),
            idle_for: Some(60),
            unattached: true,
            limit: 5,
            ..Wanted::default()
        };
        assert_eq!(wanted.query(), "limit=5&service=a%26b&idle_for=60&unattached=true");
    }

    #[test]
    fn a_list_says_where_to_look_on() {
        let answer = json!({ "next": "00000000000000aa-7", "found": [{
            "id": "00000000000000aa-1/a1", "services": ["alpha"], "attached": [], "node": "server1",
            "age_s": 70, "idle_s": 60, "due": null, "note": "",
        }]});
        let text = list("activities", &answer);
        assert!(text.contains("00000000000000aa-1/a1  alpha"), "{text}");
        assert!(text.ends_with("look on with --from 00000000000000aa-7\n"), "{text}");
        let none = list("timers", &json!({ "found": [], "next": null }));
        assert!(none.ends_with("no timers like that\n"), "{none}");
    }
}
