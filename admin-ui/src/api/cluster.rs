//! `POST /api/v1/cluster/hand-over`, `/cluster/force` and `/cluster/forget-orphans`: what an
//! operator orders. Whether it can be done the node says; an answer of 200 means that it is done.

use super::obey;
use crate::moment;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use resilee_core::management::{Command, Status};
use resilee_membership::NodeName;
use resilee_sbb::CohortId;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the view may take; longer than the node itself tries.
const DONE_WITHIN: Duration = Duration::from_secs(4);
/// Where to look when an order is refused.
const HELP: &str = "see /api/v1/nodes for the members and what they own";
/// How often the node is asked whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HandOver {
    to: NodeName,
    cohort: Option<String>,
}

#[derive(Serialize)]
struct Done {
    now: String,
    view: u64,
    members: Vec<String>,
    /// Cohorts by owner.
    cohorts: Vec<CohortRow>,
}

#[derive(Serialize)]
struct CohortRow {
    cohort: String,
    owner: String,
}

/// Gives cohorts of this node to another member: all, or the one that is named.
pub async fn hand_over(
    system: web::Data<System>,
    body: web::Bytes,
) -> Result<HttpResponse, RestProblem> {
    let order: HandOver = serde_json::from_slice(&body).map_err(|error| {
        let help = "send {\"to\": NODE} for all cohorts of this node, or with \"cohort\": ID for \
                    one; nodes and ids are at /api/v1/nodes";
        Problem::bad_request(format!("the order cannot be read: {error}"), help)
    })?;
    let cohort = order.cohort.as_deref().map(read_cohort).transpose()?;
    let before = system.status().await?;
    let me = &before.run;
    let owned = |(id, owner): &(&CohortId, &_)| cohort.is_none_or(|c| c == **id) && *owner == me;
    let wanted: Vec<CohortId> =
        before.view.cohorts.iter().filter(owned).map(|(id, _)| *id).collect();
    obey(&system, Command::HandOver { cohort, to: order.to.clone() }, HELP).await?;
    let to = order.to;
    let given = |status: &Status| {
        let owner = |id: &CohortId| status.view.owner(*id).map(|run| &run.node);
        wanted.iter().all(|id| owner(id) == Some(&to))
    };
    wait(&system, given, "the cohorts have not changed their owner").await
}

/// Starts, or goes on, without the votes of others.
pub async fn force(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let before = system.status().await?;
    obey(&system, Command::Force, HELP).await?;
    let forced = |status: &Status| status.member && status.view.number > before.view.number;
    wait(&system, forced, "the node has no view of its own").await
}

/// Forgets the ends of calls that wait for a store that has those calls.
pub async fn forget_orphans(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    obey(&system, Command::ForgetOrphans, HELP).await?;
    wait(&system, |status| status.orphans == 0, "some ends of calls still wait").await
}

fn read_cohort(text: &str) -> Result<CohortId, Problem> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u64::from_str_radix(text, 16).ok().filter(|_| digits).map(CohortId);
    id.ok_or_else(|| {
        let help = "a cohort is 16 hex digits; take one from /api/v1/nodes";
        Problem::bad_request(format!("{text:?} is no cohort"), help)
    })
}

async fn wait(
    system: &System,
    done: impl Fn(&Status) -> bool,
    otherwise: &str,
) -> Result<HttpResponse, RestProblem> {
    let deadline = Instant::now() + DONE_WITHIN;
    loop {
        // A node that begins a new run cannot answer for a moment.
        let status = system.status().await;
        match status {
            Ok(status) if done(&status) => {
                // Whoever asks next sees what the order did.
                system.forget_snapshot().await;
                return Ok(HttpResponse::Ok().json(account(&status)));
            }
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            _ if Instant::now() >= deadline => break,
            _ => sleep(LOOK_EVERY).await,
        }
    }
    let help = "nothing is lost by it: look at /api/v1/nodes and /api/v1/alarms, and try again";
    let what = format!("{otherwise} within {} s", DONE_WITHIN.as_secs());
    Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, what, help).into())
}

fn account(status: &Status) -> Done {
    let row = |(cohort, owner): (&CohortId, &resilee_membership::RunId)| CohortRow {
        cohort: cohort.to_string(),
        owner: owner.node.to_string(),
    };
    Done {
        now: moment::iso(status.now),
        view: status.view.number,
        members: status.view.members.iter().map(ToString::to_string).collect(),
        cohorts: status.view.cohorts.iter().map(row).collect(),
    }
}
