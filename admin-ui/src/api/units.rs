//! `/api/v1/units`: deployable units. A POST with the file as its body deploys it, with
//! `dry_run=true` it only says what is in it. An answer of 200 means that it is held, and that each
//! node compiles it; which ones have done so, GET tells. Its service is inactive until it is
//! activated at `/api/v1/services`.

use crate::moment;
use crate::pages::query_pairs;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use crate::unit_view::UnitView;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use resilee_core::management::{Status, TableChange, UnitDescription};
use resilee_core::{UNIT_BYTES_MAX, UNIT_PART_BYTES};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// How long a file may take to come: the next upload waits for it.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// What a file may be called.
const TYPES: [&str; 2] = ["application/wasm", "application/octet-stream"];

/// The units of the cluster.
pub async fn units(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    let units: Vec<_> = status.units.iter().map(|unit| UnitView::new(unit, &status)).collect();
    Ok(HttpResponse::Ok().json(json!({
        "now": moment::iso(status.now),
        "node": status.run.node.as_str(),
        "units": units,
    })))
}

/// Deploys a unit, or says what is in it.
pub async fn post(
    system: web::Data<System>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, RestProblem> {
    let is_dry_run = match &query_pairs(&request)?[..] {
        [] => false,
        [(key, value)] if key == "dry_run" && ["true", "false"].contains(&value.as_str()) => {
            value == "true"
        }
        _ => {
            let help =
                "send the file alone to deploy it, or with dry_run=true to see what is in it";
            return Err(Problem::bad_request("there is no such parameter", help).into());
        }
    };
    check_type(&request)?;
    // One after the other: each is in memory as a whole, and the parts of two would be mixed.
    let _alone = system.uploads.try_lock().map_err(|_| {
        let what = "another unit is being uploaded at this node";
        Problem::new(StatusCode::CONFLICT, what, "try again in a moment")
    })?;
    let bytes = read(&request, body).await?;
    let unit = system.describe_unit(bytes.clone()).await?;
    let conflict = conflict(&unit, &system.status().await?);
    if !is_dry_run {
        if let Some(what) = conflict {
            let help = "nothing was deployed; see /api/v1/units and /api/v1/services";
            return Err(Problem::new(StatusCode::CONFLICT, what, help).into());
        }
        put(&system, &unit, &bytes).await?;
    }
    Ok(HttpResponse::Ok().json(json!({
        "unit": unit,
        "deployed": !is_dry_run,
        "conflict": conflict,
    })))
}

fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    let given = request.headers().get(CONTENT_TYPE).and_then(|given| given.to_str().ok());
    let bare = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if TYPES.iter().any(|known| known.eq_ignore_ascii_case(bare)) {
        return Ok(());
    }
    let what = match bare {
        "" => "a file without Content-Type".to_owned(),
        other => format!("a file of type {other:?}"),
    };
    let help = "send the WebAssembly file as it is, with Content-Type: application/wasm";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what, help))
}

async fn read(request: &HttpRequest, mut body: web::Payload) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let what = format!("the file is larger than {UNIT_BYTES_MAX} bytes");
        let help = "build it with opt-level = \"s\" and without debug information";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what, help)
    };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > UNIT_BYTES_MAX) {
        return Err(too_large());
    }
    let help = "send it again";
    let read = async {
        let mut bytes = Vec::with_capacity(length.unwrap_or_default());
        while let Some(chunk) = body.next().await {
            let broken =
                |error| Problem::bad_request(format!("the file did not come whole: {error}"), help);
            let chunk = chunk.map_err(broken)?;
            if bytes.len() + chunk.len() > UNIT_BYTES_MAX {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    let late = |_| {
        let what = format!("the file did not come within {} s", BODY_WITHIN.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, what, help)
    };
    let bytes = timeout(BODY_WITHIN, read).await.map_err(late)??;
    match bytes.is_empty() {
        true => Err(Problem::bad_request("there is no file", "send it as the body of the request")),
        false => Ok(bytes),
    }
}

/// Why a unit cannot be deployed now, as far as this node knows; the owner of the tables says the
/// rest.
fn conflict(unit: &UnitDescription, status: &Status) -> Option<String> {
    let UnitDescription { id, service, needs, .. } = unit;
    let is_deployed = |name: &str| status.services.iter().any(|it| it.name == name);
    if status.units.iter().any(|known| known.id == *id) {
        return Some(format!(
            "this unit is deployed already, with the service {service}: activate that, if it is \
             inactive"
        ));
    }
    // Names of units are taken, too: orders to services name either.
    let is_taken = status.services.iter().any(|it| it.name == *service || it.unit == *service);
    if is_taken || status.units.iter().any(|known| known.service == *service) {
        return Some(format!(
            "a service {service} is deployed, or a unit of that name: give yours another name, or \
             remove that one"
        ));
    }
    if let Some(lacking) = needs.iter().find(|needed| !is_deployed(needed)) {
        return Some(format!("{service} needs {lacking}, which is not deployed: deploy it first"));
    }
    unit.in_the_way.clone()
}

async fn put(system: &System, unit: &UnitDescription, bytes: &[u8]) -> Result<(), Problem> {
    for (part, bytes) in (0..).zip(bytes.chunks(UNIT_PART_BYTES)) {
        let (unit, bytes) = (unit.id.clone(), bytes.to_vec());
        system.change(TableChange::PutUnitPart { unit, part, bytes }).await?;
    }
    let (id, service, secrets) = (unit.id.clone(), unit.service.clone(), unit.secrets.clone());
    system.change(TableChange::PutUnit { unit: id, service, bytes: unit.bytes, secrets }).await
}

/// Removes a unit, which nobody needs any more.
pub async fn remove(
    system: web::Data<System>,
    id: web::Path<String>,
) -> Result<HttpResponse, RestProblem> {
    let unit = id.into_inner();
    let status = system.status().await?;
    let known = status.units.iter().find(|known| known.id == unit).ok_or_else(|| {
        let what = format!("there is no unit {unit:?}");
        Problem::not_found(what, "the whole ids are at /api/v1/units")
    })?;
    let answer = json!({ "id": unit, "service": known.service });
    system.change(TableChange::RemoveUnit { unit }).await?;
    Ok(HttpResponse::Ok().json(answer))
}
