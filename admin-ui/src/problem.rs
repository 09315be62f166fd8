//! What went wrong with a request, and what the reader can do about it: as a page for people, as
//! JSON for scripts. The reasons themselves are found elsewhere.

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, ResponseError};
use askama::Template;
use serde::Serialize;
use std::fmt;

/// A request that cannot be answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Status of the response.
    pub status: StatusCode,
    /// What is wrong.
    pub what: String,
    /// What the reader can do.
    pub help: String,
    /// What kind of problem it is, if a script does something about it.
    pub code: Option<&'static str>,
}

/// The same request may be fulfilled in a moment: ask again.
pub const NOT_YET: &str = "not_yet";

impl Problem {
    /// A problem with this status.
    pub fn new(status: StatusCode, what: impl Into<String>, help: impl Into<String>) -> Self {
        Problem { status, what: what.into(), help: help.into(), code: None }
    }

    /// The same, of a kind that scripts know.
    pub fn with_code(self, code: &'static str) -> Self {
        Problem { code: Some(code), ..self }
    }

    /// A query or path that cannot be understood.
    pub fn bad_request(what: impl Into<String>, help: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, what, help)
    }

    /// Something that is not there.
    pub fn not_found(what: impl Into<String>, help: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, what, help)
    }

    /// The node cannot answer now.
    pub fn unavailable(what: impl Into<String>) -> Self {
        let help = "try again in a moment, or ask another node of the cluster";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, what, help)
    }

    /// The problem as JSON.
    pub fn to_json(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            help: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'static str>,
        }
        let Problem { status, what, help, code } = self;
        HttpResponse::build(*status).json(Body { error: what, help, code: *code })
    }

    /// The problem as a page. It asks the node for nothing.
    pub fn to_page(&self) -> HttpResponse {
        let page = ErrorPage { problem: self, reason: self.reason() };
        match page.render() {
            Ok(html) => {
                HttpResponse::build(self.status).content_type(ContentType::html()).body(html)
            }
            Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
        }
    }

    fn reason(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

/// `templates/error.html`.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    problem: &'a Problem,
    reason: &'static str,
}

/// A [`Problem`] of a page; shown as HTML.
#[derive(Debug)]
pub struct PageProblem(Problem);

/// A [`Problem`] of REST; shown as JSON.
#[derive(Debug)]
pub struct RestProblem(Problem);

impl<E: Into<Problem>> From<E> for PageProblem {
    fn from(error: E) -> Self {
        PageProblem(error.into())
    }
}

impl<E: Into<Problem>> From<E> for RestProblem {
    fn from(error: E) -> Self {
        RestProblem(error.into())
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        let what = format!("the page cannot be rendered: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what, "this is a bug of ours: report it")
    }
}

impl fmt::Display for PageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl fmt::Display for RestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl ResponseError for PageProblem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.0.to_page()
    }
}

impl ResponseError for RestProblem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.0.to_json()
    }
}
