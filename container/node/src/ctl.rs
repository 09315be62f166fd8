//! `resilee ctl`: asks a running node through its REST interface and prints the answer.

use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// How long the node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a node may take for a unit: it comes over the network, and is compiled.
const UPLOADED_WITHIN: Duration = Duration::from_secs(150);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Subject {
    /// View, nodes and balancer.
    Status,
    /// Calls in progress.
    Calls,
    /// The newest bills.
    Bills,
    /// Raised alarms.
    Alarms,
    /// Tracers with their levels, and the lines of the asked node.
    Tracers,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// What was given is no address of an admin interface.
    #[error("--admin {given:?}: http://HOST:PORT or HOST:PORT is expected, like 127.0.0.1:8081")]
    Address {
        /// What was given.
        given: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {url}: {reason}; is the node running, and is this its [admin] listen?")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// An order was sent, and its answer did not come.
    #[error(
        "no answer from {url}: {reason}; it may have been done all the same: look before you give \
         the order again"
    )]
    Unanswered {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// An order needs the token.
    #[error("cannot read the token of {file}: {reason}")]
    Token {
        /// What was read.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// No password to make an account of.
    #[error("cannot read the password from {from}: {reason}")]
    Password {
        /// What was read.
        from: String,
        /// What is wrong.
        reason: String,
    },
    /// No unit to be deployed.
    #[error("cannot read the unit {file}: {reason}", file = file.display())]
    File {
        /// What was read.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Something was to be confirmed.
    #[error("standard input is no terminal, so nobody can confirm it: say --yes to deploy it so")]
    NobodyToAsk,
    /// A unit cannot be deployed beside what is there.
    #[error("{service} cannot be deployed now: {reason}")]
    Conflict {
        /// Its service.
        service: String,
        /// What is in the way.
        reason: String,
    },
    /// A unit is uploaded, but not all members can deploy it.
    #[error(
        "{service} is uploaded but not deployed everywhere: {reason}; see resilee ctl units and \
         alarms, {undeploy} removes it"
    )]
    NotCompiled {
        /// Its service.
        service: String,
        /// Who could not, and why.
        reason: String,
        /// What removes it.
        undeploy: String,
    },
    /// No unit, or more than one, is meant.
    #[error(
        "{given:?} is not the name of one unit: give a service, or at least 12 digits of an id, as \
         resilee ctl units lists them"
    )]
    NoUnit {
        /// What was given.
        given: String,
    },
    /// The node answered with an error.
    #[error("{url} answers {status}: {text}")]
    Refused {
        /// What was asked.
        url: String,
        /// Status of the answer.
        status: u16,
        /// What the node says.
        text: String,
        /// What kind of problem it is, if the node names one: `code` of its answer.
        code: Option<String>,
    },
}

impl Subject {
    fn path(self) -> &'static str {
        match self {
            Subject::Status => "nodes",
            Subject::Calls => "calls",
            Subject::Bills => "bills",
            Subject::Alarms => "alarms",
            Subject::Tracers => "tracers",
        }
    }

    /// Key of the list in the answer, and the columns that are printed.
    fn columns(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Subject::Status => {
                ("nodes", &["name", "state", "role", "heartbeat_age_ms", "calls", "run"])
            }
            Subject::Calls => {
                ("calls", &["call_id", "caller", "callee", "state", "node", "seconds", "cost"])
            }
            Subject::Bills => (
                "bills",
                &["ended_at", "caller", "callee", "seconds", "total", "currency", "call_id"],
            ),
            Subject::Alarms => (
                "alarms",
                &["raised_at", "node", "id", "severity", "source", "count", "last_at", "text"],
            ),
            Subject::Tracers => ("tracers", &["name", "given", "effective", "lines", "left_out"]),
        }
    }
}

/// What the node at `admin` says about `subject`, as text for people.
///
/// # Errors
/// `admin` is no address, nobody answers, or the node answers with an error.
pub fn report(admin: &str, subject: Subject) -> Result<String, CtlError> {
    let url = format!("{}/api/v1/{}", base(admin)?, subject.path());
    let answer = get(&url)?;
    let (list, columns) = subject.columns();
    let rows = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    if subject == Subject::Status {
        let (view, by) = (cell(&answer["view"]), cell(&answer["answered_by"]));
        text = format!("view {view}, as {by} sees it\n");
    }
    text.push_str(&table(columns, rows));
    if rows.is_empty() {
        text.push_str(&format!("no {list}\n"));
    }
    Ok(text)
}

/// The interface's address with its scheme, which may be left out.
pub(crate) fn base(admin: &str) -> Result<String, CtlError> {
    let wrong = || CtlError::Address { given: admin.to_owned() };
    let rest = match admin.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return Err(wrong()),
        None => admin,
    };
    let host = rest.trim_end_matches('/');
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && is_host(name) => Ok(format!("http://{host}")),
        _ => Err(wrong()),
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
            !text.is_empty() && text.chars().all(is_part)
        }
    }
}

fn agent() -> ureq::Agent {
    agent_within(ANSWER_WITHIN)
}

fn agent_within(time: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(time))
        .http_status_as_error(false)
        .build()
        .new_agent()
}

pub(crate) fn get(url: &str) -> Result<Value, CtlError> {
    read(url, agent().get(url).call())
}

/// Sends an order to `path` of the node at `admin`; its answer.
pub(crate) fn post(admin: &str, path: &str, token: &str, body: &Value) -> Result<Value, CtlError> {
    let url = format!("{}/api/v1/{path}", base(admin)?);
    let bearer = format!("Bearer {token}");
    told(&url, agent().post(&url).header("authorization", &bearer).send_json(body))
}

/// What `path` of the node at `admin` answers.
pub(crate) fn ask(admin: &str, path: &str) -> Result<Value, CtlError> {
    get(&format!("{}/api/v1/{path}", base(admin)?))
}

/// Puts something at `path` of the node at `admin`; its answer.
pub(crate) fn put(admin: &str, path: &str, token: &str, body: &Value) -> Result<Value, CtlError> {
    let url = format!("{}/api/v1/{path}", base(admin)?);
    let bearer = format!("Bearer {token}");
    told(&url, agent().put(&url).header("authorization", &bearer).send_json(body))
}

/// Sends a file to `path` of the node at `admin`; its answer.
pub(crate) fn upload(
    admin: &str,
    path: &str,
    token: &str,
    bytes: &[u8],
) -> Result<Value, CtlError> {
    let url = format!("{}/api/v1/{path}", base(admin)?);
    let request = agent_within(UPLOADED_WITHIN).post(&url);
    let request = request.header("authorization", &format!("Bearer {token}"));
    let response = request.header("content-type", "application/wasm").send(bytes);
    match path.contains("dry_run=true") {
        true => read(&url, response),
        false => told(&url, response),
    }
}

/// Deletes what is at `path` of the node at `admin`; its answer.
pub(crate) fn delete(admin: &str, path: &str, token: &str) -> Result<Value, CtlError> {
    let url = format!("{}/api/v1/{path}", base(admin)?);
    let bearer = format!("Bearer {token}");
    told(&url, agent().delete(&url).header("authorization", &bearer).call())
}

type Response = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// The answer to a question.
fn read(url: &str, response: Response) -> Result<Value, CtlError> {
    answer(url, response, |url, error| CtlError::Unreachable { url, reason: error.to_string() })
}

/// The answer to an order.
fn told(url: &str, response: Response) -> Result<Value, CtlError> {
    answer(url, response, |url, error| {
        let reason = error.to_string();
        match was_sent(&error) {
            true => CtlError::Unanswered { url, reason },
            false => CtlError::Unreachable { url, reason },
        }
    })
}

/// False if nobody can have got the request.
fn was_sent(error: &ureq::Error) -> bool {
    use std::io::ErrorKind;
    use ureq::Timeout;
    match error {
        ureq::Error::Io(error) => !matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
        ),
        ureq::Error::Timeout(timeout) => !matches!(timeout, Timeout::Resolve | Timeout::Connect),
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound | ureq::Error::BadUri(_) => false,
        _ => true,
    }
}

fn answer(
    url: &str,
    response: Response,
    fails: impl Fn(String, ureq::Error) -> CtlError,
) -> Result<Value, CtlError> {
    let fails = |error| fails(url.to_owned(), error);
    let mut response = response.map_err(fails)?;
    let status = response.status();
    let answer: Value = response.body_mut().read_json().map_err(fails)?;
    if status.is_success() {
        return Ok(answer);
    }
    let text = format!("{}; {}", cell(&answer["error"]), cell(&answer["help"]));
    let (url, code) = (url.to_owned(), answer["code"].as_str().map(str::to_owned));
    Err(CtlError::Refused { url, status: status.as_u16(), text, code })
}

/// What was given as one segment of a path, or a value of a query.
pub(crate) fn segment(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| match keep(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Columns as wide as their widest cell.
pub(crate) fn table(columns: &[&str], rows: &[Value]) -> String {
    let head: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let line = |row: &Value| columns.iter().map(|column| cell(&row[*column])).collect();
    let lines: Vec<Vec<String>> = [head].into_iter().chain(rows.iter().map(line)).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let print = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    lines.iter().map(print).collect()
}

/// A value as text. Control characters of strangers do not reach the terminal.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_may_be_left_out() {
        for (given, expected) in [
            ("127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("localhost:8081/", "http://localhost:8081"),
            ("HTTP://127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("[::1]:8081", "http://[::1]:8081"),
        ] {
            assert_eq!(base(given).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_answered_with_what_to_write() {
        for given in ["", "https://a:1", "a", "::1:8081", ":8081", "a:0", "a:http", "http://a:1/x"]
        {
            let error = report(given, Subject::Status).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--admin {given:?}: http://HOST:PORT")), "{error}");
        }
    }

    /// The node may have done it, and ended before it said so.
    #[test]
    fn an_order_that_is_not_answered_may_have_been_carried_out() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap().to_string();
        let node = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = std::io::Read::read(&mut stream, &mut [0; 4_096]);
            }
        });
        let order = || delete(&admin, "units/1", "token").unwrap_err().to_string();
        let text = order();
        assert!(text.starts_with(&format!("no answer from http://{admin}/")), "{text}");
        assert!(text.ends_with("look before you give the order again"), "{text}");
        let asked = ask(&admin, "units").unwrap_err().to_string();
        assert!(asked.starts_with("cannot reach"), "{asked}");
        node.join().unwrap();
        let text = order();
        assert!(text.starts_with("cannot reach"), "nobody listens any more: {text}");
    }

    #[test]
    fn a_table_is_aligned_and_harmless_to_terminals() {
        let rows = [
            serde_json::json!({ "call_id": "a\u{1b}[31m", "cost": "0.0500" }),
            serde_json::json!({ "call_id": "longer-call-id", "cost": null }),
        ];
        let text = table(&["call_id", "cost"], &rows);
        assert_eq!(text, "call_id         cost\na?[31m          0.0500\nlonger-call-id  -\n");
    }
}
