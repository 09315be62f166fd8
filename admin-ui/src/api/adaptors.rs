//! `/api/v1/adaptors`: resource adaptors, and what an operator wants of them. An answer of 200 to a
//! write means that it is so on all nodes from now on.

use crate::moment;
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::{HttpResponse, web};
use resilee_core::management::{AdaptorOrder, TableChange};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

const HELP: &str = "send {\"order\": \"activate\"}, or deactivate, remove or query-liveness; or \
                    {\"properties\": {NAME: VALUE, …}}; names are at /api/v1/adaptors";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Activate,
    Deactivate,
    Remove,
    QueryLiveness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    order: Option<Word>,
    properties: Option<BTreeMap<String, String>>,
}

/// The adaptors, in their order.
pub async fn adaptors(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    Ok(HttpResponse::Ok().json(json!({
        "now": moment::iso(status.now),
        "node": status.run.node.as_str(),
        "adaptors": status.adaptors,
    })))
}

/// One is activated, drained, removed, looks at its activities, or is told properties.
pub async fn order(
    system: web::Data<System>,
    name: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, RestProblem> {
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!("the order cannot be read: {error}"), HELP)
    })?;
    let order = match (order.order, order.properties) {
        (Some(Word::Activate), None) => AdaptorOrder::Activate,
        (Some(Word::Deactivate), None) => AdaptorOrder::Deactivate,
        (Some(Word::Remove), None) => AdaptorOrder::Remove,
        (Some(Word::QueryLiveness), None) => AdaptorOrder::QueryLiveness,
        (None, Some(properties)) => AdaptorOrder::Configure { properties },
        _ => return Err(Problem::bad_request("there is no order, or two", HELP).into()),
    };
    system.change(TableChange::Adaptor { name: name.into_inner(), order }).await?;
    adaptors(system).await
}
