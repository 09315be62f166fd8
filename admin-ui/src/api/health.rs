//! `GET /api/v1/health`: whether this node serves. For load balancers, supervisors and people.

use crate::moment;
use crate::problem::RestProblem;
use crate::system::System;
use actix_web::{HttpResponse, web};
use serde::Serialize;

#[derive(Serialize)]
struct Health {
    member: bool,
    node: String,
    run: String,
    view: u64,
    members: Vec<String>,
    draining: bool,
    now: String,
}

/// 200 if the node is a member of a view, else 503.
pub async fn health(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    let mut response = match status.member {
        true => HttpResponse::Ok(),
        false => HttpResponse::ServiceUnavailable(),
    };
    Ok(response.json(Health {
        member: status.member,
        node: status.run.node.to_string(),
        run: status.run.to_string(),
        view: status.view.number,
        members: status.view.members.iter().map(ToString::to_string).collect(),
        draining: status.draining,
        now: moment::iso(status.now),
    }))
}
