//! What SBBs do in a test, by name and word; and the trace of what ran.
//!
//! A test and the handlers of its nodes share a thread.

use resilee_sbb::{Context, Deliver, EntityId, Failure, InitialEvent, LocalCall, Task};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The CMP fields of all SBBs here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Events and calls so far.
    pub count: u32,
    /// Takes room.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// An entity that is kept in mind.
    pub child: Option<EntityId>,
}

/// The only call of the SBBs' local interface.
#[derive(Serialize, Deserialize)]
pub struct Ask {
    pub word: String,
}

impl LocalCall for Ask {
    const NAME: &'static str = "test.ask";
    type Answer = String;
}

/// Asks an entity of the tree.
pub fn ask(cx: &mut Context<'_>, callee: EntityId, word: &str) -> Result<String, Failure> {
    cx.call(callee, &Ask { word: word.to_owned() })
}

/// A handler that fails.
pub fn fail() -> Result<(), Failure> {
    Err(Failure::new("as it was told"))
}

type Key = (&'static str, String);
type Handler = Rc<dyn Fn(&mut State, &mut Context<'_>) -> Result<(), Failure>>;
type Callee = Rc<dyn Fn(&mut State, &mut Context<'_>) -> Result<String, Failure>>;
type Selector = Rc<dyn Fn(&str, &mut Context<'_>) -> Result<InitialEvent, Failure>>;

/// What the test said.
#[derive(Default)]
struct Script {
    handlers: BTreeMap<Key, Handler>,
    callees: BTreeMap<Key, Callee>,
    selectors: BTreeMap<&'static str, Selector>,
    hangs: BTreeSet<(String, String)>,
    trace: Vec<String>,
}

thread_local! {
    static SCRIPT: RefCell<Script> = RefCell::default();
}

fn with<R>(read: impl FnOnce(&mut Script) -> R) -> R {
    SCRIPT.with_borrow_mut(read)
}

/// Forgets all that another test said.
pub fn clear() {
    with(|script| *script = Script::default());
}

/// What an SBB does at a word.
pub fn on(
    sbb: &'static str,
    word: &str,
    handler: impl Fn(&mut State, &mut Context<'_>) -> Result<(), Failure> + 'static,
) {
    with(|script| script.handlers.insert((sbb, word.to_owned()), Rc::new(handler)));
}

/// What an SBB answers to a call.
pub fn on_call(
    sbb: &'static str,
    word: &str,
    callee: impl Fn(&mut State, &mut Context<'_>) -> Result<String, Failure> + 'static,
) {
    with(|script| script.callees.insert((sbb, word.to_owned()), Rc::new(callee)));
}

/// The initial event selector of a service.
pub fn selects(
    sbb: &'static str,
    selector: impl Fn(&str, &mut Context<'_>) -> Result<InitialEvent, Failure> + 'static,
) {
    with(|script| script.selectors.insert(sbb, Rc::new(selector)));
}

/// The handler of an SBB, or its selector, hangs at a word.
pub fn hangs(sbb: &str, word: &str) {
    with(|script| script.hangs.insert((sbb.to_owned(), word.to_owned())));
}

/// True if nobody answers a delivery. Child relations have the names of their SBBs.
pub fn does_hang(deliver: &Deliver) -> bool {
    let entity = deliver.tree.get(&deliver.entity.number).filter(|it| it.parent.is_some());
    let sbb = entity.map_or(deliver.service, |entity| &entity.relation);
    let word = crate::toy::word(&deliver.event).unwrap_or_default();
    let word = match &deliver.task {
        Task::RolledBack { .. } => format!("rolled back {word}"),
        Task::Migrate { from } => format!("migrate {from}"),
        Task::Event | Task::Select => word,
    };
    with(|script| script.hangs.contains(&(sbb.to_owned(), word)))
}

/// Writes into the trace.
pub fn note(line: impl Into<String>) {
    with(|script| script.trace.push(line.into()));
}

/// What was written since this was last asked.
pub fn take_trace() -> Vec<String> {
    with(|script| std::mem::take(&mut script.trace))
}

/// Writes into the trace that a handler of an entity runs.
pub fn ran(sbb: &str, cx: &Context<'_>, what: &str) {
    note(format!("{sbb}{} {what}", cx.entity().number));
}

pub fn handle(
    sbb: &'static str,
    word: &str,
    state: &mut State,
    cx: &mut Context<'_>,
) -> Result<(), Failure> {
    let handler = with(|script| script.handlers.get(&(sbb, word.to_owned())).cloned());
    handler.map_or(Ok(()), |handler| handler(state, cx))
}

pub fn answer(
    sbb: &'static str,
    word: &str,
    state: &mut State,
    cx: &mut Context<'_>,
) -> Result<String, Failure> {
    let callee = with(|script| script.callees.get(&(sbb, word.to_owned())).cloned());
    match callee {
        Some(callee) => callee(state, cx),
        None => Ok(state.count.to_string()),
    }
}

pub fn select(
    sbb: &'static str,
    word: &str,
    cx: &mut Context<'_>,
) -> Result<InitialEvent, Failure> {
    let selector = with(|script| script.selectors.get(sbb).cloned());
    selector.map_or_else(|| Ok(InitialEvent::by_activity_context()), |it| it(word, cx))
}
