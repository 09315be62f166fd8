//! `GET /api/v1/services`: the services that this node runs.

use crate::moment;
use crate::problem::RestProblem;
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_core::management::ServiceStatus;
use serde::Serialize;

#[derive(Serialize)]
struct Services<'a> {
    now: String,
    node: &'a str,
    services: &'a [ServiceStatus],
}

/// The highest priority first.
pub async fn services(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let snapshot = system.snapshot().await?;
    let status = &snapshot.status;
    Ok(HttpResponse::Ok().json(Services {
        now: moment::iso(status.now),
        node: &snapshot.cluster.this,
        services: &status.services,
    }))
}
