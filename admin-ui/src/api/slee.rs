//! `/api/v1/slee`, and writes to `/api/v1/services`: whether the SLEE takes calls, and which
//! services start new entities. An answer of 200 means that it is so on all nodes from now on.

use crate::moment;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_core::management::TableChange;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Running,
    Stopped,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SleeOrder {
    state: Wanted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceOrder {
    #[serde(default)]
    activate: Vec<String>,
    #[serde(default)]
    deactivate: Vec<String>,
}

/// The state of the SLEE at this node.
pub async fn slee(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    Ok(HttpResponse::Ok().json(json!({
        "now": moment::iso(status.now),
        "node": status.run.node.as_str(),
        "state": status.slee,
        "calls": status.cells.values().sum::<u64>(),
    })))
}

/// Starts or stops it.
pub async fn order_slee(
    system: web::Data<System>,
    body: web::Bytes,
) -> Result<HttpResponse, RestProblem> {
    let order: SleeOrder = serde_json::from_slice(&body).map_err(|error| {
        let help = "send {\"state\": \"running\"} or {\"state\": \"stopped\"}";
        Problem::bad_request(format!("the order cannot be read: {error}"), help)
    })?;
    let running = matches!(order.state, Wanted::Running);
    system.change(TableChange::Slee { running }).await?;
    slee(system).await
}

/// Activates and deactivates services, in one step.
pub async fn order_services(
    system: web::Data<System>,
    body: web::Bytes,
) -> Result<HttpResponse, RestProblem> {
    let order: ServiceOrder = serde_json::from_slice(&body).map_err(|error| {
        let help = "send {\"activate\": [NAME, …], \"deactivate\": [NAME, …]}; names of services \
                    and units are at /api/v1/services";
        Problem::bad_request(format!("the order cannot be read: {error}"), help)
    })?;
    let ServiceOrder { activate, deactivate } = order;
    system.change(TableChange::Services { activate, deactivate }).await?;
    super::services::services(system).await
}
