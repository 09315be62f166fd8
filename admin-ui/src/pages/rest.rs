//! `/rest`: the REST interface explained to those who write scripts against it. The interface
//! itself is in `api`.

use super::{Frame, html};
use crate::problem::PageProblem;
use crate::selection::PER_PAGE_MAX;
use crate::system::System;
use actix_web::{HttpResponse, web};
use askama::Template;
use resilee_core::UNIT_BYTES_MAX;

#[derive(Template)]
#[template(path = "rest.html")]
struct RestPage<'a> {
    frame: Frame<'a>,
    per_page_max: usize,
    unit_mib_max: usize,
}

/// The page.
pub async fn page(system: web::Data<System>) -> Result<HttpResponse, PageProblem> {
    let snapshot = system.snapshot().await?;
    let frame = Frame::new("REST", "rest", "watch=frame", &snapshot);
    let unit_mib_max = UNIT_BYTES_MAX >> 20;
    html(&RestPage { frame, per_page_max: PER_PAGE_MAX, unit_mib_max })
}
