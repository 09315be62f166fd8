//! The rule for writes: whatever is not a GET or HEAD under `/api` needs the bearer token, from
//! the first day on. What has no such method gets a clear 405.

use crate::problem::Problem;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use std::sync::Arc;

/// The token that writes need; none: all writes are refused.
#[derive(Clone, Debug)]
pub struct WriteToken(pub Option<Arc<str>>);

/// Lets reads pass, and writes with the right token.
pub async fn guard_writes(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let token = request.app_data::<web::Data<WriteToken>>().and_then(|token| token.0.clone());
    let header = request.headers().get(AUTHORIZATION);
    match refusal(token.as_deref(), header) {
        Some(response) => Ok(request.into_response(response)),
        None => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

/// The answer to a method that a resource does not have.
pub fn no_such_method() -> HttpResponse {
    let what = "this resource has no such method";
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, what, "see /rest for what there is");
    let mut response = problem.to_json();
    let allow = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, allow);
    response
}

fn refusal(token: Option<&str>, header: Option<&HeaderValue>) -> Option<HttpResponse> {
    let Some(token) = token else {
        let help = "set token_file under [admin] in the node's configuration, and start it again";
        return Some(problem(StatusCode::FORBIDDEN, "writes are off: no token is set", help));
    };
    let given = header.and_then(|header| header.to_str().ok());
    let given = given.and_then(|header| header.split_once(' '));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") => {
            let help = "send the token that is in the node's token_file";
            let wrong = || problem(StatusCode::FORBIDDEN, "the token is not the node's", help);
            (!is_same(token.as_bytes(), given.trim().as_bytes())).then(wrong)
        }
        _ => {
            let help = "send the header Authorization: Bearer TOKEN, as in the node's token_file";
            let mut response = problem(StatusCode::UNAUTHORIZED, "a write needs the token", help);
            let scheme = HeaderValue::from_static("Bearer realm=\"resilee\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            Some(response)
        }
    }
}

fn problem(status: StatusCode, what: &str, help: &str) -> HttpResponse {
    Problem::new(status, what, help).to_json()
}

/// Takes as long for a wrong token as for the right one.
fn is_same(token: &[u8], given: &[u8]) -> bool {
    let differing = |(a, b): (&u8, &u8)| a ^ b;
    let differences = token.iter().zip(given).map(differing).fold(0, |all, one| all | one);
    token.len() == given.len() && differences == 0
}
