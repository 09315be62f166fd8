//! `resilee ctl deploy`, `units` and `undeploy`: services that are uploaded while nodes run,
//! through the REST interface of one of them.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError};
use crate::service_ctl;
use resilee_admin_ui::NOT_YET;
use resilee_core::UNIT_BYTES_MAX;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long all members may take to compile a unit.
const COMPILED_WITHIN: Duration = Duration::from_secs(60);
/// How often it is asked whether they have.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Characters of an id that are listed; so many, or more, may be given instead of all.
const ID_LISTED: usize = 12;

/// What is done with deployable units.
#[derive(Debug, clap::Subcommand)]
pub enum UnitOrder {
    /// Deploys the service in a WebAssembly file at all nodes: shows what is in it, asks, and
    /// waits until each member has compiled it. It serves nothing before it is activated.
    Deploy {
        /// The file, a module as cargo builds it or a component.
        file: PathBuf,
        /// Activates its service as soon as all members have compiled it.
        #[arg(long)]
        activate: bool,
        /// The same, and deactivates this service or unit in the same step: it finishes what it
        /// began.
        #[arg(long, value_name = "NAME")]
        replace: Vec<String>,
        /// Does not ask.
        #[arg(long)]
        yes: bool,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Lists the units that were uploaded, and who has compiled them.
    Units,
    /// Removes a unit whose service is inactive.
    Undeploy {
        /// Its service, or its id, of which 12 digits suffice.
        unit: String,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// Where a person is shown something, and asked.
pub struct Console<'a> {
    /// What the person types.
    pub input: &'a mut dyn BufRead,
    /// What the person sees.
    pub output: &'a mut dyn Write,
    /// There is a person.
    pub is_terminal: bool,
}

impl Console<'_> {
    fn say(&mut self, text: &str) {
        // Nobody reads it any more; the order is carried out all the same.
        let _ = self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush());
    }

    fn confirm(&mut self, question: &str) -> Result<bool, CtlError> {
        if !self.is_terminal {
            return Err(CtlError::NobodyToAsk);
        }
        self.say(&format!("{question} [y/N] "));
        let mut line = String::new();
        // What cannot be read is no yes.
        let _ = self.input.read_line(&mut line);
        Ok(["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()))
    }
}

/// Does it at the node at `admin`, and says what comes of it.
///
/// # Errors
/// A file or token that cannot be read, nobody answers or confirms, the node refuses, or a member
/// cannot compile it.
pub fn unit(admin: &str, order: &UnitOrder, console: &mut Console<'_>) -> Result<(), CtlError> {
    match order {
        UnitOrder::Deploy { file, activate, replace, yes, token } => {
            let (bytes, token_file, token) = (read(file)?, &token.token_file, token.read()?);
            let found = ctl::upload(admin, "units?dry_run=true", &token, &bytes)?;
            console.say(&description(&found["unit"]));
            let service = ctl::cell(&found["unit"]["service"]);
            let id = &found["unit"]["id"];
            let activates = *activate || !replace.is_empty();
            let conflict = found["conflict"].as_str();
            let is_there = conflict.is_some() && activates && is_inactive(admin, id)?;
            if let Some(reason) = conflict.filter(|_| !is_there) {
                return Err(CtlError::Conflict { service, reason: reason.to_owned() });
            }
            let question = match is_there {
                true => format!("{service} is uploaded already. Activate it at all nodes?"),
                false => format!("Deploy {service} at all nodes?"),
            };
            if !*yes && !console.confirm(&question)? {
                console.say("nothing was deployed\n");
                return Ok(());
            }
            if !is_there {
                ctl::upload(admin, "units", &token, &bytes)?;
            }
            console.say(&format!("{service} is uploaded\n"));
            let until = Instant::now() + COMPILED_WITHIN;
            let nodes = compiled(admin, id, until, |reason| {
                let undeploy = command(admin, &format!("undeploy {service}"), token_file);
                CtlError::NotCompiled { service: service.clone(), reason, undeploy }
            })?;
            console.say(&format!("compiled by {nodes}\n"));
            if !activates {
                let activate = command(admin, &format!("service activate {service}"), token_file);
                console.say(&format!("activate it: {activate}\n"));
                return Ok(());
            }
            let body = json!({ "activate": [service], "deactivate": replace });
            let services = activated(admin, &token, &body, until)?;
            console.say(&service_ctl::account(&services));
        }
        UnitOrder::Units => console.say(&list(&ctl::ask(admin, "units")?)),
        UnitOrder::Undeploy { unit, token } => {
            let units = ctl::ask(admin, "units")?;
            let id = find(&units, unit)?;
            let removed = ctl::delete(admin, &format!("units/{id}"), &token.read()?)?;
            console.say(&format!("done: {} is removed\n", ctl::cell(&removed["service"])));
        }
    }
    Ok(())
}

/// What a person may type to give this order to the same node.
fn command(admin: &str, order: &str, token_file: &Path) -> String {
    format!("resilee ctl {order} --token-file {} --admin {admin}", token_file.display())
}

/// The unit was uploaded before, by somebody who has not activated it.
fn is_inactive(admin: &str, id: &Value) -> Result<bool, CtlError> {
    let answer = ctl::ask(admin, "units")?;
    let units = answer["units"].as_array().map(Vec::as_slice).unwrap_or_default();
    // It has no state as long as the asked node has not compiled it.
    let is_inactive = |unit: &Value| unit["state"].is_null() || unit["state"] == "inactive";
    Ok(units.iter().any(|unit| unit["id"] == *id && is_inactive(unit)))
}

fn read(file: &Path) -> Result<Vec<u8>, CtlError> {
    let wrong = |reason: String| CtlError::File { file: file.to_owned(), reason };
    let known = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?;
    if known.len() > UNIT_BYTES_MAX as u64 {
        let size = known.len();
        return Err(wrong(format!("it has {size} bytes, a unit has {UNIT_BYTES_MAX} at most")));
    }
    std::fs::read(file).map_err(|error| wrong(error.to_string()))
}

/// What is in a unit, a line for each.
fn description(unit: &Value) -> String {
    let texts = ["service", "version", "vendor"].map(|key| ctl::cell(&unit[key]));
    let [service, version, vendor] = texts;
    let usage = unit["usage"].as_object().into_iter().flatten();
    let usage: Vec<_> = usage.map(|(name, kind)| format!("{name} ({})", ctl::cell(kind))).collect();
    // A node of an earlier build does not say them.
    let later = |key: &str| unit.get(key).map(ctl::cell).unwrap_or_default();
    let mut started_by = ctl::cell(&unit["initial_events"]);
    if unit.get("selects_initial_events") == Some(&Value::Bool(true)) {
        started_by.push_str("; it chooses which of them");
    }
    let children = unit.get("child_sbbs").and_then(Value::as_array).into_iter().flatten();
    let child = |it: &Value| {
        let [name, version, events] = ["name", "version", "events"].map(|key| ctl::cell(&it[key]));
        match events.is_empty() {
            true => format!("{name} {version}"),
            false => format!("{name} {version} ({events})"),
        }
    };
    let children: Vec<_> = children.map(child).collect();
    let facts = [
        ("service", format!("{service} {version}")),
        ("vendor", vendor),
        ("unit", ctl::cell(&unit["id"])),
        ("bytes", ctl::cell(&unit["bytes"])),
        ("priority", ctl::cell(&unit["priority"])),
        ("may", ctl::cell(&unit["permissions"])),
        ("started by", started_by),
        ("also gets", ctl::cell(&unit["events"])),
        ("profiles of", ctl::cell(&unit["profile_tables"])),
        ("shares", ctl::cell(&unit["shares"])),
        ("needs", ctl::cell(&unit["needs"])),
        ("may take", later("migrates_from")),
        ("children", children.join(", ")),
        ("on roll back", later("on_roll_back")),
        ("if it fails", later("on_repeated_failures")),
        ("counts", ctl::cell(&json!(usage))),
    ];
    let lines = facts.iter().filter(|(_, value)| !value.is_empty());
    lines.fold(String::new(), |mut text, (name, value)| {
        // A string takes all of it.
        let _ = writeln!(text, "{name:<12} {value}");
        text
    })
}

/// Waits until each member has compiled a unit; who has.
fn compiled(
    admin: &str,
    id: &Value,
    until: Instant,
    fails: impl Fn(String) -> CtlError,
) -> Result<String, CtlError> {
    loop {
        let answer = ctl::ask(admin, "units")?;
        let units = answer["units"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(unit) = units.iter().find(|unit| unit["id"] == *id) else {
            return Err(fails("somebody has removed it meanwhile".to_owned()));
        };
        if let Some(problem) = problems(unit, |it| !is_passing(it)).next() {
            return Err(fails(problem));
        }
        let missing = ctl::cell(&unit["missing"]);
        if missing.is_empty() {
            return Ok(ctl::cell(&unit["nodes"]));
        }
        if Instant::now() >= until {
            let seconds = COMPILED_WITHIN.as_secs();
            let late = format!("{missing} has not compiled it within {seconds} s");
            let why: Vec<_> = std::iter::once(late).chain(problems(unit, is_passing)).collect();
            return Err(fails(why.join("; ")));
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// Activates a service. The owner of the tables may hear a moment later than the asked node who has
/// compiled it.
fn activated(admin: &str, token: &str, body: &Value, until: Instant) -> Result<Value, CtlError> {
    loop {
        match ctl::post(admin, "services", token, body) {
            Err(CtlError::Refused { code: Some(code), .. })
                if code == NOT_YET && Instant::now() < until =>
            {
                std::thread::sleep(ASK_EVERY);
            }
            answer => return answer,
        }
    }
}

/// A node tries again to compile the unit. One of an earlier build does not say so.
fn is_passing(problem: &Value) -> bool {
    problem["passing"] == Value::Bool(true)
}

fn problems(unit: &Value, are_such: impl Fn(&Value) -> bool) -> impl Iterator<Item = String> {
    let problems = unit["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    let problems = problems.iter().filter(move |it| are_such(it));
    problems.map(|it| format!("{}: {}", ctl::cell(&it["node"]), ctl::cell(&it["text"])))
}

fn list(answer: &Value) -> String {
    let units = answer["units"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |unit: &Value| {
        let id: String = ctl::cell(&unit["id"]).chars().take(ID_LISTED).collect();
        let mut row = unit.clone();
        row["unit"] = json!(id);
        row
    };
    let rows: Vec<_> = units.iter().map(row).collect();
    let columns = ["service", "state", "unit", "bytes", "put_at", "nodes", "missing"];
    let mut text = ctl::table(&columns, &rows);
    if rows.is_empty() {
        text.push_str("no units\n");
    }
    for problem in units.iter().flat_map(|unit| problems(unit, |_| true)) {
        text.push_str(&format!("{problem}\n"));
    }
    text
}

/// The whole id of a unit that is named by its service, or by the beginning of its id.
fn find(answer: &Value, given: &str) -> Result<String, CtlError> {
    let units = answer["units"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_it = |unit: &&Value| {
        let id = unit["id"].as_str().unwrap_or_default();
        unit["service"] == given || (given.len() >= ID_LISTED && id.starts_with(given))
    };
    let mut found = units.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(unit), None) => Ok(ctl::segment(unit["id"].as_str().unwrap_or_default())),
        _ => Err(CtlError::NoUnit { given: given.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit_of(id: &str, service: &str) -> Value {
        json!({
            "id": id, "service": service, "state": "inactive", "bytes": 12, "put_at": "now",
            "nodes": ["a"], "missing": ["b"], "problems": [{ "node": "b", "text": "too old" }],
        })
    }

    #[test]
    fn units_are_listed_with_who_has_compiled_them_and_what_is_wrong() {
        let units = json!({ "units": [unit_of("0123456789abcdef", "screening")] });
        let text = "service    state     unit          bytes  put_at  nodes  missing\n\
                    screening  inactive  0123456789ab  12     now     a      b\nb: too old\n";
        assert_eq!(list(&units), text);
        assert!(list(&json!({ "units": [] })).ends_with("no units\n"));
    }

    #[test]
    fn a_unit_is_named_by_its_service_or_by_the_beginning_of_its_id_if_only_one_is_meant() {
        let units = [("0123456789abcd01", "one"), ("0123456789abce02", "two"), ("ff", "four")];
        let units = units.map(|(id, service)| unit_of(&format!("{id:0<16}"), service));
        let units = json!({ "units": units });
        assert_eq!(find(&units, "two").expect("it is there"), "0123456789abce02");
        assert_eq!(find(&units, "0123456789abcd").expect("it is there"), "0123456789abcd01");
        for wrong in ["0123456789ab", "ff", "three", ""] {
            let error = find(&units, wrong).expect_err("not one").to_string();
            assert!(
                error.starts_with(&format!("{wrong:?} is not the name of one unit")),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_in_a_unit_is_told_without_what_it_has_not() {
        let unit = json!({
            "service": "screening", "version": "1", "vendor": "A", "id": "01", "bytes": 12,
            "priority": 7, "initial_events": ["sip.invite"], "events": [], "profile_tables": [],
            "shares": [], "needs": ["wallet"], "permissions": ["call others"],
            "usage": { "calls": "counter" },
        });
        let mut later = unit.clone();
        later["migrates_from"] = json!(["old"]);
        later["child_sbbs"] = json!([
            { "name": "counter", "version": "2", "vendor": "A", "events": ["a.b", "c.d"] },
            { "name": "list", "version": "1", "vendor": "A", "events": [] },
        ]);
        later["selects_initial_events"] = json!(true);
        later["on_roll_back"] = json!("retry");
        later["on_repeated_failures"] = json!("suspend");
        let more = "may take     old\nchildren     counter 2 (a.b, c.d), list 1\n\
                    on roll back retry\nif it fails  suspend\n";
        assert!(description(&later).contains(more), "{}", description(&later));
        let chooses = "\nstarted by   sip.invite; it chooses which of them\n";
        assert!(description(&later).contains(chooses), "{}", description(&later));
        let text = "service      screening 1\nvendor       A\nunit         01\nbytes        12\n\
                    priority     7\nmay          call others\nstarted by   sip.invite\n\
                    needs        wallet\n\
                    counts       calls (counter)\n";
        assert_eq!(description(&unit), text);
    }
}
