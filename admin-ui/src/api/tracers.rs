//! `GET /api/v1/tracers`: tracers with their levels, which are the cluster's, and with the lines of
//! this node. `POST /api/v1/tracers/{name}` gives one a level, or takes it away again.

use crate::moment;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_core::management::{TableChange, TracerStatus};
use resilee_sbb::TraceLevel;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Tracers<'a> {
    now: String,
    node: &'a str,
    tracers: &'a [TracerStatus],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// None: that of the name above it.
    level: Option<TraceLevel>,
}

/// The root first, then by name.
pub async fn tracers(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    Ok(HttpResponse::Ok().json(Tracers {
        now: moment::iso(status.now),
        node: status.run.node.as_str(),
        tracers: &status.tracers,
    }))
}

/// An answer of 200 means that it is so on all nodes, and after a restart.
pub async fn set_level(
    system: web::Data<System>,
    name: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, RestProblem> {
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        let help = "send {\"level\": LEVEL} with finest, finer, fine, config, info, warning, \
                    severe or off, or null for that of the name above";
        Problem::bad_request(format!("the order cannot be read: {error}"), help)
    })?;
    let change = TableChange::TraceLevel { tracer: name.into_inner(), level: order.level };
    system.change(change).await?;
    tracers(system).await
}
