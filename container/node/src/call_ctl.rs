//! `resilee ctl hang-up`: ends a call, through the REST interface of a running node.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError};
use resilee_sbb::CellId;
use serde_json::json;

/// What is done with calls.
#[derive(Debug, clap::Subcommand)]
pub enum CallOrder {
    /// Ends a call: BYE to both phones, and its bill. One that rings ends with 480.
    HangUp {
        /// Its id, as `calls` lists it.
        id: CellId,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// Does it at the node at `admin`; what came of it, for people.
///
/// # Errors
/// A token that cannot be read, nobody answers, or the node refuses.
pub fn call(admin: &str, order: &CallOrder) -> Result<String, CtlError> {
    let CallOrder::HangUp { id, token } = order;
    ctl::post(admin, &format!("calls/{id}/hang-up"), &token.read()?, &json!({}))?;
    Ok(format!("call {id} is hung up; its bill, if it was answered: resilee ctl bills\n"))
}
