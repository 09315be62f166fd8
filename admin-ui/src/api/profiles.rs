//! `/api/v1/profiles`: profile tables, their profiles, and writes of one. What a profile may be is
//! in its table's schema; a 200 to a write means that it is made and outlives the node.

use crate::moment;
use crate::pages::query_pairs;
use crate::problem::{Problem, RestProblem};
use crate::profile_view::{json_text, source_word};
use crate::system::System;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use resilee_core::management::{ProfileStatus, ProfileTableStatus, TableChange};
use resilee_sbb::{AttributeValue, Index, Profile, ProfileTable};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Profiles of one answer, unless `limit` says less.
const LIMIT_MAX: usize = 1_000;

#[derive(Serialize)]
struct Attribute {
    name: &'static str,
    expects: String,
    required: bool,
    index: &'static str,
    secret: bool,
}

/// All profile tables with their schemas.
pub async fn tables(system: web::Data<System>) -> Result<HttpResponse, RestProblem> {
    let status = system.status().await?;
    let tables: Vec<_> = system.profile_tables().await?.iter().map(table_json).collect();
    let (now, node) = (moment::iso(status.now), status.run.node.to_string());
    Ok(HttpResponse::Ok().json(json!({ "now": now, "node": node, "tables": tables })))
}

fn table_json(status: &ProfileTableStatus) -> Value {
    let table = status.table;
    let attributes = table.attributes.iter().map(|attribute| Attribute {
        name: attribute.name,
        expects: attribute.kind.expected(),
        required: attribute.required,
        index: match attribute.index {
            Index::None => "none",
            Index::Indexed => "indexed",
            Index::Unique => "unique",
        },
        secret: attribute.secret,
    });
    json!({
        "name": table.name,
        "about": table.about,
        "profiles": status.profiles,
        "profiles_max": table.profiles_max,
        "named_by": table.named_by,
        "separator": table.separator,
        "attributes": attributes.collect::<Vec<_>>(),
    })
}

/// Profiles of a table in the order of their names: `from` a name on, `limit` at most.
pub async fn profiles(
    system: web::Data<System>,
    table: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let (mut from, mut limit) = (String::new(), LIMIT_MAX);
    for (name, value) in query_pairs(&request)? {
        match name.as_str() {
            "from" => from = value,
            "limit" => limit = read_limit(&value)?,
            _ => {
                let what = format!("there is no parameter {name:?}");
                return Err(Problem::bad_request(what, "known are from and limit").into());
            }
        }
    }
    let table = system.profile_table(&table).await?.table;
    let mut rows = system.profiles(table.name, &from, limit + 1).await?;
    let next = rows.get(limit).map(|row| row.name.clone());
    rows.truncate(limit);
    let rows: Vec<_> = rows.iter().map(|row| profile_json(&table, row)).collect();
    Ok(HttpResponse::Ok().json(json!({ "table": table.name, "profiles": rows, "next": next })))
}

fn read_limit(text: &str) -> Result<usize, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| {
        let help = format!("write a whole number from 1 to {LIMIT_MAX}");
        Problem::bad_request(format!("limit is {text:?}"), help)
    })
}

/// One profile.
pub async fn profile(
    system: web::Data<System>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, RestProblem> {
    let (table, row) = system.profile(&path.0, &path.1).await?;
    Ok(HttpResponse::Ok().json(profile_json(&table, &row)))
}

/// A profile without its secrets: of those only the names.
fn profile_json(table: &ProfileTable, row: &ProfileStatus) -> Value {
    let (mut attributes, mut secrets) = (Map::new(), Vec::new());
    for attribute in table.attributes {
        match row.profile.attributes.get(attribute.name) {
            None => {}
            Some(_) if attribute.secret => secrets.push(attribute.name),
            Some(value) => {
                let value = match value {
                    AttributeValue::Flag(flag) => Value::from(*flag),
                    AttributeValue::Number(number) if json_text(attribute.kind) => {
                        attribute.kind.write(&(*number).into()).into()
                    }
                    AttributeValue::Number(number) => Value::from(*number),
                    AttributeValue::Text(text) => Value::from(text.as_str()),
                };
                attributes.insert(attribute.name.to_owned(), value);
            }
        }
    }
    let source = source_word(row.source);
    json!({ "name": row.name, "attributes": attributes, "secrets": secrets, "source": source })
}

/// Adds or replaces a profile: the body has all attributes, but secrets that are to stay.
pub async fn put(
    system: web::Data<System>,
    path: web::Path<(String, String)>,
    body: web::Bytes,
) -> Result<HttpResponse, RestProblem> {
    let (table, name) = path.into_inner();
    let table = system.profile_table(&table).await?.table;
    let profile = read_profile(&table, &name, &body)?;
    let change =
        TableChange::PutProfile { table: table.name.to_owned(), name: name.clone(), profile };
    system.change(change).await?;
    let (table, row) = system.profile(table.name, &name).await?;
    Ok(HttpResponse::Ok().json(profile_json(&table, &row)))
}

fn read_profile(table: &ProfileTable, name: &str, body: &[u8]) -> Result<Profile, Problem> {
    let given: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        let help = "send a JSON object of attributes, like {\"per_minute\": \"0.25\"}; the table's \
                    schema is at /api/v1/profiles";
        Problem::bad_request(format!("the profile cannot be read: {error}"), help)
    })?;
    let mut profile = Profile::default();
    for (attribute, value) in given {
        let text = match &value {
            // What is left out and what is null is not there.
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let wrong = |what: String| {
            let error = table.error(name, Some(&attribute), what);
            Problem::bad_request(error.to_string(), "the schema is at /api/v1/profiles")
        };
        let known = table.attribute(&attribute);
        let known = known.ok_or_else(|| {
            let all: Vec<_> = table.attributes.iter().map(|known| known.name).collect();
            wrong(format!("there is no such attribute: known are {}", all.join(", ")))
        })?;
        let read = known.kind.read(&text).map_err(|expected| match known.secret {
            true => wrong(format!("{expected} are expected")),
            false => wrong(format!("{text:?} is not {expected}")),
        })?;
        profile.attributes.insert(attribute, read);
    }
    Ok(profile)
}

/// Removes a profile; with `reset=true` it is what the configuration says from then on.
pub async fn remove(
    system: web::Data<System>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let (table, name) = path.into_inner();
    let resets = match &query_pairs(&request)?[..] {
        [] => false,
        [(key, value)] if key == "reset" && value == "true" => true,
        _ => {
            let help = "send DELETE to remove the profile, or DELETE with reset=true for what the \
                        configuration says";
            return Err(Problem::bad_request("there is no such parameter", help).into());
        }
    };
    let change = if resets {
        TableChange::ResetProfile { table: table.clone(), name: name.clone() }
    } else {
        system.profile(&table, &name).await?;
        TableChange::RemoveProfile { table: table.clone(), name: name.clone() }
    };
    system.change(change).await?;
    Ok(HttpResponse::build(StatusCode::OK).json(json!({ "table": table, "name": name })))
}
