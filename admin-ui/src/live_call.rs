//! The calls in progress, read from the cells that the node knows: who talks to whom, where, for
//! how long and at what cost so far. Calls that are over are in `bill_book`.

use crate::amount::Amount;
use resilee_call_billing::{CallBilling, Tariff};
use resilee_core::management::{CellSnapshot, EntitySnapshot, Status};
use resilee_membership::View;
use resilee_sbb::{CellId, Failure, Sbb, Timestamp, decode};

/// Whether the callee has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Not yet.
    Ringing,
    /// Yes: the cost ticks.
    Talking,
}

impl CallState {
    /// One word, the same in pages, REST and tests.
    pub fn word(self) -> &'static str {
        match self {
            CallState::Ringing => "ringing",
            CallState::Talking => "talking",
        }
    }
}

/// A call in progress.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// Cell of the call.
    pub id: String,
    /// Call-ID of the INVITE.
    pub call_id: String,
    /// Address of record of who calls.
    pub caller: String,
    /// Address of record that is called.
    pub callee: String,
    /// Whether it is answered.
    pub state: CallState,
    /// Node that owns the call.
    pub node: Option<String>,
    /// True if that node is not the run in which the call was born.
    pub taken_over: bool,
    /// When the INVITE was received.
    pub set_up_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// Node that saw the answer.
    pub answered_by: Option<String>,
    /// Whole seconds since the answer, else since set-up.
    pub seconds: u64,
    /// What it would cost if it ended now; none while it rings.
    pub cost: Option<Amount>,
    /// What it is charged by.
    pub tariff: Tariff,
}

/// All calls in progress, the newest first.
#[derive(Debug, Default)]
pub struct LiveCalls {
    /// The calls.
    pub calls: Vec<LiveCall>,
    /// Calls whose billing state is not one that this version can read.
    pub unreadable: usize,
}

impl LiveCalls {
    /// The calls among `cells`.
    pub fn new(cells: &[CellSnapshot], status: &Status) -> Self {
        let billing = CallBilling::descriptor().name;
        let mut live = LiveCalls::default();
        for cell in cells {
            for entity in cell.entities.iter().filter(|entity| entity.service == billing) {
                match read_state(entity) {
                    Ok(state) => live.calls.extend(call(cell, &state, status)),
                    Err(_) => live.unreadable += 1,
                }
            }
        }
        live
    }

    /// Number of calls in a state.
    pub fn count(&self, state: CallState) -> usize {
        self.calls.iter().filter(|call| call.state == state).count()
    }

    /// Number of calls that `node` owns.
    pub fn owned_by(&self, node: &str) -> usize {
        self.calls.iter().filter(|call| call.node.as_deref() == Some(node)).count()
    }

    /// The call of a cell.
    pub fn find(&self, id: &str) -> Option<&LiveCall> {
        self.calls.iter().find(|call| call.id == id)
    }
}

fn read_state(entity: &EntitySnapshot) -> Result<CallBilling, Failure> {
    if entity.state.version == CallBilling::STATE_VERSION {
        Ok(decode(&entity.state.bytes)?)
    } else {
        CallBilling::migrate(entity.state.version, &entity.state.bytes)
    }
}

/// Nothing for an entity that has not seen the set-up, or whose call is refused or over already.
fn call(cell: &CellSnapshot, billing: &CallBilling, status: &Status) -> Option<LiveCall> {
    if billing.set_up_at() == Timestamp::ZERO || billing.is_refused() {
        return None;
    }
    let running_cost = billing.running_cost(status.now);
    let state = match (billing.answered_at(), running_cost) {
        (None, _) => CallState::Ringing,
        (Some(_), Some(_)) => CallState::Talking,
        (Some(_), None) => return None,
    };
    let since = billing.answered_at().unwrap_or(billing.set_up_at());
    let currency = billing.tariff().currency.clone();
    Some(LiveCall {
        id: cell.id.clone(),
        call_id: billing.call_id().to_owned(),
        caller: billing.caller().to_owned(),
        callee: billing.callee().to_owned(),
        state,
        node: cell.owner.clone(),
        taken_over: is_taken_over(&cell.id, &status.view),
        set_up_at: billing.set_up_at(),
        answered_at: billing.answered_at(),
        answered_by: billing.answered_by().map(str::to_owned),
        seconds: status.now.since(since).as_secs(),
        cost: running_cost.map(|amount| Amount { amount, currency }),
        tariff: billing.tariff().clone(),
    })
}

/// True if the owner of the cell's cohort is another run than the one it is named after.
fn is_taken_over(id: &str, view: &View) -> bool {
    let cohort = id.parse::<CellId>().map(|id| id.cohort);
    cohort.is_ok_and(|cohort| view.owner(cohort).is_some_and(|owner| owner.cohort() != cohort))
}
