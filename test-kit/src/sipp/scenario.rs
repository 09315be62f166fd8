//! A scenario file of SIPp, read: what a party does, step by step.
//!
//! Not here: what its keywords become (`template.rs`), and how it is played (`party.rs`). What is
//! not understood is an error: a flow must not mean something else here than it does to SIPp.

use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeMap;

/// Why a file is no scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(pub String);

/// One step of a scenario. Its place is the number that SIPp gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send(Send),
    Receive(Receive),
    /// `None`: as long as the configuration says.
    Pause(Option<u64>),
    /// Lines for the log; then on with this step, or the next one.
    Nop(Vec<Action>, Option<usize>),
    /// All is done; what is repeated is still answered.
    Linger,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Send {
    pub(super) text: String,
    /// Sent again after so long, in milliseconds.
    pub(super) repeat_ms: Option<u64>,
    /// The transaction that it begins.
    pub(super) transaction: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receive {
    pub(super) what: What,
    pub(super) is_optional: bool,
    /// Its Record-Route and Contact are those of the dialog.
    pub(super) keeps_route: bool,
    /// Its challenge is answered later.
    pub(super) is_challenge: bool,
    /// The transaction whose response it must be.
    pub(super) transaction: Option<String>,
    /// Where it goes on.
    pub(super) next: Option<usize>,
    /// Only if this variable is set.
    pub(super) test: Option<String>,
    pub(super) actions: Vec<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Request(String),
    Response(u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Log(String),
    /// The whole value of a header.
    Take {
        header: String,
        occurrence: usize,
        variable: String,
    },
    /// Sets a variable if a word is in a header.
    Find {
        header: String,
        word: String,
        variable: String,
    },
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Vec<Step>, ScenarioError> {
    // The line about the DTD is SIPp's custom.
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| ScenarioError(error.to_string()))?;
    let elements: Vec<_> =
        document.root_element().children().filter(|node| node.is_element()).collect();
    let mut labels = BTreeMap::new();
    let mut count = 0;
    for element in &elements {
        match element.tag_name().name() {
            "label" => {
                labels.insert(element.attribute("id").unwrap_or_default().to_owned(), count);
            }
            "Reference" => {}
            _ => count += 1,
        }
    }
    let is_step = |element: &&Node<'_, '_>| !element.has_tag_name("label");
    let steps = elements.iter().filter(is_step).filter(|it| !it.has_tag_name("Reference"));
    steps.map(|element| Reader { element: *element, labels: &labels }.step()).collect()
}

struct Reader<'a> {
    element: Node<'a, 'a>,
    labels: &'a BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn step(&self) -> Result<Step, ScenarioError> {
        let name = self.element.tag_name().name();
        self.allow(match name {
            "send" => &["retrans", "start_txn"],
            "recv" => {
                &["request", "response", "optional", "rrs", "auth", "response_txn", "next", "test"]
            }
            "nop" => &["next"],
            _ => &["milliseconds"],
        })?;
        Ok(match name {
            "send" => Step::Send(Send {
                text: self.element.text().unwrap_or_default().to_owned(),
                repeat_ms: self.number("retrans")?,
                transaction: self.attribute("start_txn"),
            }),
            "recv" => Step::Receive(self.receive()?),
            "pause" => Step::Pause(self.number("milliseconds")?),
            "nop" => Step::Nop(self.actions()?, self.next()?),
            "timewait" => Step::Linger,
            _ => return Err(self.error("an element that is not played")),
        })
    }

    fn receive(&self) -> Result<Receive, ScenarioError> {
        let is_set = |name| self.element.attribute(name) == Some("true");
        let status = self.number("response")?.map(|status| u16::try_from(status).unwrap_or(0));
        let what = match (self.attribute("request"), status) {
            (Some(method), None) => What::Request(method),
            (None, Some(status)) => What::Response(status),
            _ => return Err(self.error("either a request or a response is expected")),
        };
        Ok(Receive {
            what,
            is_optional: is_set("optional"),
            keeps_route: is_set("rrs"),
            is_challenge: is_set("auth"),
            transaction: self.attribute("response_txn"),
            next: self.next()?,
            test: self.attribute("test"),
            actions: self.actions()?,
        })
    }

    fn actions(&self) -> Result<Vec<Action>, ScenarioError> {
        let lists = self.element.children().filter(|node| node.has_tag_name("action"));
        let actions = lists.flat_map(|list| list.children()).filter(|node| node.is_element());
        actions.map(|element| Reader { element, labels: self.labels }.action()).collect()
    }

    fn action(&self) -> Result<Action, ScenarioError> {
        let text = |name| self.element.attribute(name).unwrap_or_default().to_owned();
        if self.element.has_tag_name("log") {
            return Ok(Action::Log(text("message")));
        }
        self.allow(&["regexp", "search_in", "header", "occurrence", "assign_to"])?;
        let header = text("header").trim_end_matches(':').to_owned();
        let (pattern, variable) = (text("regexp"), text("assign_to"));
        match pattern.as_str() {
            _ if !self.element.has_tag_name("ereg") || text("search_in") != "hdr" => {
                Err(self.error("an action that is not played"))
            }
            ".*" => {
                let occurrence = self.number("occurrence")?.unwrap_or(1);
                let occurrence = usize::try_from(occurrence).unwrap_or(1);
                Ok(Action::Take { header, occurrence, variable })
            }
            word if word.chars().all(|c| c.is_ascii_alphanumeric()) => {
                Ok(Action::Find { header, word: pattern, variable })
            }
            _ => Err(self.error("a regular expression that is neither .* nor a word")),
        }
    }

    fn next(&self) -> Result<Option<usize>, ScenarioError> {
        let Some(label) = self.element.attribute("next") else { return Ok(None) };
        let place = self.labels.get(label).copied();
        place.map(Some).ok_or_else(|| self.error("no such label"))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, ScenarioError> {
        let Some(text) = self.element.attribute(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.error("not a number"))
    }

    fn attribute(&self, name: &str) -> Option<String> {
        self.element.attribute(name).map(str::to_owned)
    }

    fn allow(&self, names: &[&str]) -> Result<(), ScenarioError> {
        let mut all = self.element.attributes();
        match all.find(|attribute| !names.contains(&attribute.name())) {
            Some(_) => Err(self.error("an attribute that is not played")),
            None => Ok(()),
        }
    }

    fn error(&self, what: &str) -> ScenarioError {
        let place = self.element.document().text_pos_at(self.element.range().start);
        ScenarioError(format!("line {}: {what}", place.row))
    }
}
