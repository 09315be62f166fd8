//! REST under `/api/v1`: one file per noun. What the answers look like is in the crate's
//! documentation; who may write is in `write_guard`.

mod activities;
mod adaptors;
mod alarms;
mod bills;
mod calls;
mod cluster;
mod health;
mod housekeeping;
mod migration;
mod nodes;
mod profiles;
mod services;
mod slee;
mod tracers;
mod units;
mod usage;

use crate::problem::{Problem, RestProblem};
use crate::system::{System, SystemError};
use crate::write_guard::{guard_writes, no_such_method};
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, guard, web};
use resilee_core::management::Command;

/// All resources.
pub fn configure(config: &mut web::ServiceConfig) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let api = web::scope("/api")
        .wrap(from_fn(guard_writes))
        .route("/v1/health", read().to(health::health))
        .route("/v1/nodes", read().to(nodes::nodes))
        .route("/v1/calls", read().to(calls::calls))
        .route("/v1/calls/{id}/hang-up", web::post().to(calls::hang_up))
        .route("/v1/bills", read().to(bills::bills))
        .route("/v1/bills/{id}", read().to(bills::bill))
        .route("/v1/services", read().to(services::services))
        .route("/v1/services/{name}/migrate", web::post().to(migration::migrate))
        .route("/v1/services/{name}/usage", read().to(usage::usage))
        .route("/v1/services/{name}/usage/reset", web::post().to(usage::reset))
        .route("/v1/tracers", read().to(tracers::tracers))
        .route("/v1/tracers/{name}", web::post().to(tracers::set_level))
        .route("/v1/services", web::post().to(slee::order_services))
        .route("/v1/adaptors", read().to(adaptors::adaptors))
        .route("/v1/adaptors/{name}", web::post().to(adaptors::order))
        .route("/v1/slee", read().to(slee::slee))
        .route("/v1/slee", web::post().to(slee::order_slee))
        .route("/v1/profiles", read().to(profiles::tables))
        .route("/v1/profiles/{table}", read().to(profiles::profiles))
        .route("/v1/profiles/{table}/{name:.*}", read().to(profiles::profile))
        .route("/v1/profiles/{table}/{name:.*}", web::put().to(profiles::put))
        .route("/v1/profiles/{table}/{name:.*}", web::delete().to(profiles::remove))
        .route("/v1/units", read().to(units::units))
        .route("/v1/units", web::post().to(units::post))
        .route("/v1/units/{id}", web::delete().to(units::remove))
        .route("/v1/activities", read().to(activities::activities))
        .route("/v1/housekeeping/{kind}", read().to(housekeeping::find))
        .route("/v1/housekeeping/{kind}/{id:.*}", web::delete().to(housekeeping::remove))
        .route("/v1/alarms", read().to(alarms::alarms))
        .route("/v1/alarms/{id}/clear", web::post().to(alarms::clear))
        .route("/v1/cluster/hand-over", web::post().to(cluster::hand_over))
        .route("/v1/cluster/force", web::post().to(cluster::force))
        .route("/v1/cluster/forget-orphans", web::post().to(cluster::forget_orphans))
        .default_service(web::route().to(no_such_resource));
    config.service(api);
}

/// Gives the node an order; one that it cannot carry out now is a 409 with `help`.
async fn obey(system: &System, command: Command, help: &'static str) -> Result<(), Problem> {
    system.command(command).await.map_err(|error| match error {
        SystemError::Refused(reason) => Problem::new(StatusCode::CONFLICT, reason, help),
        other => other.into(),
    })?;
    // Whoever asks next sees what the order did.
    system.forget_snapshot().await;
    Ok(())
}

async fn no_such_resource(request: HttpRequest) -> Result<HttpResponse, RestProblem> {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return Ok(no_such_method());
    }
    let help = "under /api/v1 there are health, nodes, calls, bills, bills/{id}, services, \
                services/{name}/usage, units, adaptors, slee, profiles, tracers, \
                activities, housekeeping/{kind} and alarms; the page /rest explains them";
    Err(Problem::not_found("there is no such resource", help).into())
}
