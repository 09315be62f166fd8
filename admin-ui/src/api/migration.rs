//! `POST /api/v1/services/{name}/migrate`: what a service began moves to the one that replaced it.

use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_core::management::TableChange;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Not left out by mistake: `null` is an order, too.
    #[serde(deserialize_with = "Option::deserialize")]
    to: Option<String>,
}

/// Orders it, or takes the order back; how the services are then.
pub async fn migrate(
    system: web::Data<System>,
    name: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, RestProblem> {
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        let help = "send {\"to\": NAME}, or {\"to\": null} so that no more moves; names of \
                    services are at /api/v1/services";
        Problem::bad_request(format!("the order cannot be read: {error}"), help)
    })?;
    let change = TableChange::Migrate { from: name.into_inner(), to: order.to };
    system.change(change).await?;
    super::services::services(system).await
}
