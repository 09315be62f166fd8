//! `/events`: what changed on a page, once a second, as server-sent events. The parts are
//! rendered by the templates of the page itself; `live.js` puts them in by their ids.
//!
//! | event  | data                                                                           |
//! |--------|--------------------------------------------------------------------------------|
//! | `swap` | list of `{"id": …, "html": …}`: elements that look different now; may be empty |
//! | `down` | why the node cannot answer; the page shows that it is stale                    |

use crate::pages::{self, Fragment, Watch};
use crate::problem::{Problem, RestProblem};
use crate::system::System;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Streams that are open at a time; one more gets a 503 and its page stays as it is.
pub const STREAMS_MAX: usize = 128;
/// How often a page is looked at for changes.
const EVERY: Duration = Duration::from_secs(1);
/// Milliseconds after which a browser connects again.
const RETRY_MS: u32 = 1000;

/// Number of open streams.
#[derive(Debug, Default)]
pub struct OpenStreams(Arc<AtomicUsize>);

impl OpenStreams {
    fn enter(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.0));
        // The place is given back by its drop, also if it is one too many.
        (self.0.fetch_add(1, Ordering::Relaxed) < STREAMS_MAX).then_some(place)
    }
}

/// One of the [`STREAMS_MAX`] places.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `/events?watch=PAGE&…`, with the parameters of that page.
pub async fn events(
    system: Data<System>,
    open: Data<OpenStreams>,
    request: HttpRequest,
) -> Result<HttpResponse, RestProblem> {
    let watch = Watch::read(pages::query_pairs(&request)?)?;
    let place = open.enter().ok_or_else(|| {
        let what = format!("{STREAMS_MAX} pages are watched live already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, what, "close some, or reload by hand")
    })?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let watcher = Watcher { system, watch, ticks, sent: HashMap::new(), started: false, place };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream::unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await;
            Some((Ok::<_, Infallible>(Bytes::from(event)), watcher))
        })))
}

/// One browser that looks at one page.
struct Watcher {
    system: Data<System>,
    watch: Watch,
    ticks: Interval,
    /// What the browser has, by id.
    sent: HashMap<&'static str, String>,
    started: bool,
    #[expect(dead_code, reason = "held for its drop, which gives the place back")]
    place: Place,
}

impl Watcher {
    async fn next(&mut self) -> String {
        self.ticks.tick().await;
        let event = match pages::fragments(&self.watch, &self.system).await {
            Ok(fragments) => event("swap", &self.changed(fragments)),
            Err(problem) => event("down", &problem.what),
        };
        match std::mem::replace(&mut self.started, true) {
            true => event,
            false => format!("retry: {RETRY_MS}\n\n{event}"),
        }
    }

    fn changed(&mut self, fragments: Vec<Fragment>) -> Vec<Fragment> {
        let is_new = |part: &Fragment| self.sent.get(part.id) != Some(&part.html);
        let changed: Vec<Fragment> = fragments.into_iter().filter(is_new).collect();
        for part in &changed {
            self.sent.insert(part.id, part.html.clone());
        }
        changed
    }
}

/// One event; JSON has no line breaks of its own.
fn event(name: &str, data: &impl serde::Serialize) -> String {
    let data = serde_json::to_string(data).expect("texts and lists of them are JSON");
    format!("event: {name}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_too_many_is_refused_until_another_one_ends() {
        let open = OpenStreams::default();
        let mut places: Vec<Place> = (0..STREAMS_MAX).filter_map(|_| open.enter()).collect();
        assert_eq!(places.len(), STREAMS_MAX);
        assert!(open.enter().is_none() && open.enter().is_none());
        places.pop();
        assert!(open.enter().is_some());
    }

    #[test]
    fn a_line_break_cannot_end_an_event_early() {
        assert_eq!(event("down", &"a\n\nevent: x"), "event: down\ndata: \"a\\n\\nevent: x\"\n\n");
    }
}
