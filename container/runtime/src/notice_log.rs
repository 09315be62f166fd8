//! The log as an operator reads it: one line for each notice of the core, those of a call inside
//! a span with its Call-ID.
//!
//! What is worth a notice is decided in the core; here it only gets its words and level.

use resilee_core::management::{Alarm, Notice};
use resilee_membership::View;
use resilee_sbb::{CellId, CohortId, Severity, TraceLevel};
use std::collections::BTreeMap;
use tracing::Span;

/// Target of the lines that services write.
pub const SERVICE_LINES: &str = "service";

/// Writes the log; knows the calls that are owned here.
#[derive(Debug)]
pub(crate) struct NoticeLog {
    /// One span for each call; later ones have none.
    calls: BTreeMap<CellId, Span>,
    /// So many at most: those that a node takes on.
    calls_max: usize,
}

impl NoticeLog {
    /// A log of a node that takes on so many calls.
    pub fn new(calls_max: usize) -> Self {
        NoticeLog { calls: BTreeMap::new(), calls_max }
    }

    /// Another run begins: no call is owned yet.
    pub fn forget_calls(&mut self) {
        self.calls.clear();
    }

    /// The span of a call; none if it is not owned here.
    pub fn span(&self, cell: CellId) -> Span {
        self.calls.get(&cell).cloned().unwrap_or_else(Span::none)
    }

    /// Writes a line for `notice`.
    pub fn handle_notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Member(member) => tracing::info!("cluster: {member}"),
            Notice::View(view) => {
                tracing::info!("view {} adopted: {}", view.number, members(view));
            }
            Notice::TakenOver { cells: 0, .. } => tracing::info!("there was no cell to take over"),
            Notice::TakenOver { cells, effects } => {
                tracing::warn!(cells, effects, "took over; what the other left undone is done");
            }
            Notice::JoinerSynced(run) => tracing::info!("{run} has all state of this node"),
            Notice::Synced => tracing::info!("this node has all state of the cluster"),
            Notice::RecordsOffered(records) => {
                tracing::warn!(records, "this node had records that the others lacked");
            }
            Notice::Began { cell, label } => self.on_began(*cell, label),
            Notice::Over { cell } => {
                let span = self.calls.remove(cell).unwrap_or_else(Span::none);
                match cell.cohort {
                    CohortId::TABLES => span.in_scope(|| tracing::debug!(%cell, "over here")),
                    _ => span.in_scope(|| tracing::info!(%cell, "over here")),
                }
            }
            Notice::Trace { cell, tracer, level, text } => {
                self.span(*cell).in_scope(|| trace(tracer, *level, text));
            }
            Notice::AlarmRaised(alarm) => raised(alarm),
            Notice::AlarmCleared(text) => tracing::info!("alarm cleared: {text}"),
            Notice::HandedOver { cohorts, to } => {
                tracing::info!(cohorts, "handed over to {to}, as ordered");
            }
            Notice::HandOverGivenUp(to) => {
                tracing::warn!("calls did not come to rest: nothing is handed over to {to}");
            }
            Notice::Removed { cell, what, by } => {
                self.span(*cell).in_scope(|| tracing::warn!(by, "removed by an operator: {what}"));
            }
            Notice::CommandRefused(reason) => tracing::warn!("not done: {reason}"),
            Notice::Dropped(reason) => tracing::debug!(reason, "a message was dropped"),
        }
    }

    fn on_began(&mut self, cell: CellId, label: &str) {
        let call_id = if label.is_empty() { cell.to_string() } else { label.to_owned() };
        let span = tracing::info_span!("call", call_id);
        match cell.cohort {
            // Each registration has a cell of its own for a moment.
            CohortId::TABLES => span.in_scope(|| tracing::debug!(%cell, "begins here")),
            _ => span.in_scope(|| tracing::info!(%cell, "begins here")),
        }
        if self.calls.len() < self.calls_max {
            self.calls.insert(cell, span);
        }
    }
}

fn raised(alarm: &Alarm) {
    let Alarm { source, severity, text, .. } = alarm;
    match severity {
        Severity::Critical | Severity::Major => {
            tracing::error!("{severity} alarm of {source}: {text}");
        }
        Severity::Minor | Severity::Warning | Severity::Indeterminate => {
            tracing::warn!("{severity} alarm of {source}: {text}");
        }
    }
}

/// Lines of services have a target of their own: their tracers' levels are what counts, so the
/// log's filter lets all of them through.
fn trace(tracer: &str, level: TraceLevel, text: &str) {
    match level {
        TraceLevel::Finest | TraceLevel::Finer => {
            tracing::trace!(target: SERVICE_LINES, tracer, "{text}");
        }
        TraceLevel::Fine | TraceLevel::Config => {
            tracing::debug!(target: SERVICE_LINES, tracer, "{text}");
        }
        TraceLevel::Info => tracing::info!(target: SERVICE_LINES, tracer, "{text}"),
        TraceLevel::Warning => tracing::warn!(target: SERVICE_LINES, tracer, "{text}"),
        TraceLevel::Severe | TraceLevel::Off => {
            tracing::error!(target: SERVICE_LINES, tracer, "{text}");
        }
    }
}

fn members(view: &View) -> String {
    let members: Vec<_> = view.members.iter().map(ToString::to_string).collect();
    if members.is_empty() { "no members".to_owned() } else { members.join(", ") }
}
