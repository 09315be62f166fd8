//! Which leftovers a reader asks for: the parameters of a query, read strictly, for REST and for
//! the page.

use crate::problem::Problem;
use resilee_core::management::{LEFTOVERS_MAX, LeftoverKind, Search};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

const KNOWN: &str = "the parameters are cell, service, older_than, idle_for, due_after (seconds), \
                     unattached, null, overdue (true), from (a cell) and limit";

/// The kinds as they stand in paths.
pub const KINDS: [(&str, LeftoverKind); 4] = [
    ("activities", LeftoverKind::Activities),
    ("entities", LeftoverKind::Entities),
    ("timers", LeftoverKind::Timers),
    ("names", LeftoverKind::Names),
];

/// Reads a kind.
pub fn kind(word: &str) -> Result<LeftoverKind, Problem> {
    let known = KINDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let help = "there are activities, entities, timers and names";
        Problem::not_found(format!("{word:?} is nothing that can be looked for"), help)
    })
}

/// Reads the parameters. An empty value counts as absent, since a form sends all its fields.
pub fn search(kind: LeftoverKind, pairs: &[(String, String)]) -> Result<Search, Problem> {
    let mut search = Search::all(kind);
    for (name, value) in pairs {
        let (name, value) = (name.as_str(), value.trim());
        let seconds = || number(name, value).map(|seconds| Some(Duration::from_secs(seconds)));
        match name {
            "cell" | "service" | "older_than" | "idle_for" | "due_after" | "unattached"
            | "null" | "overdue" | "from" | "limit"
                if value.is_empty() => {}
            "cell" => search.cell = Some(read(name, value)?),
            "from" => search.from = Some(read(name, value)?),
            "service" => search.service = Some(value.to_owned()),
            "older_than" => search.older_than = seconds()?,
            "idle_for" => search.idle_for = seconds()?,
            "due_after" => search.due_after = seconds()?,
            "unattached" => search.unattached = flag(name, value)?,
            "null" => search.null = flag(name, value)?,
            "overdue" => search.overdue = flag(name, value)?,
            "limit" => search.limit = limit(value)?,
            _ => {
                let what = format!("unknown parameter {:?}", cut(name));
                return Err(Problem::bad_request(what, KNOWN));
            }
        }
    }
    Ok(search)
}

fn read<T: FromStr>(name: &str, value: &str) -> Result<T, Problem>
where
    T::Err: Display,
{
    value.parse().map_err(|error| Problem::bad_request(format!("{name}: {error}"), KNOWN))
}

/// More than a century would not fit into a moment.
fn number(name: &str, value: &str) -> Result<u64, Problem> {
    let seconds = value.parse().ok().filter(|seconds| *seconds <= u64::from(u32::MAX));
    let what = || format!("{name} is {:?}, which is no number of seconds", cut(value));
    seconds.ok_or_else(|| Problem::bad_request(what(), KNOWN))
}

fn flag(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let what = format!("{name} is {:?}, and true or false is expected", cut(value));
            Err(Problem::bad_request(what, KNOWN))
        }
    }
}

fn limit(value: &str) -> Result<usize, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=LEFTOVERS_MAX).contains(limit));
    limit.ok_or_else(|| {
        let what = format!("limit is {:?}, and 1 to {LEFTOVERS_MAX} is expected", cut(value));
        Problem::bad_request(what, KNOWN)
    })
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
