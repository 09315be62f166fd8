//! Admin UI and REST of one node: the cluster, live calls with their ticking cost, bills. Any
//! node answers for the whole cluster, from what it owns and what it holds as backup.
//!
//! Everything comes from one function, [`Ask`], that puts a [`Query`] to the node; nothing here
//! changes the node except by a command, knows SIP, or computes a price. Pages are rendered here
//! and read well without scripts; with them, `/events` (server-sent events) sends the parts that
//! changed once a second.
//!
//! # REST
//!
//! All under `/api/v1`, JSON; the page `/rest` tells the same to users. Times are
//! ISO-8601 in UTC with milliseconds. Money is decimal text beside its currency, never a JSON
//! number. A cell id (`0f3c9a1b2d4e5f60-17`) names a call, and its bill.
//!
//! | path         | answer                                                                    |
//! |--------------|---------------------------------------------------------------------------|
//! | `health`     | 200 if the node is a member of a view, else 503; view, run, members       |
//! | `nodes`      | view; nodes with role, heartbeat age, owned cells; the balancer           |
//! | `calls`      | calls in progress with state, node, seconds and cost so far               |
//! | `bills`      | one page, the newest first; `party`, `from`, `to`, `page`, `per_page`     |
//! | `bills/{id}` | the bill of one call                                                      |
//! | `services`   | deployed services with state, unit, entities and deliveries               |
//! | `services/{name}/usage` | what a service counted and measured; `of=cluster`: on all nodes |
//! | `units`      | uploaded units, who has compiled them, and what is wrong with them        |
//! | `tracers`    | tracers with their levels, and the lines that this node wrote             |
//! | `slee`       | whether the SLEE takes calls                                              |
//! | `profiles`   | profile tables with schema; `profiles/{table}`, `profiles/{table}/{name}` |
//! | `activities` | activities of all cells with attributes and attached services             |
//! | `housekeeping/{kind}` | activities, entities, timers, names that may be left over       |
//! | `alarms`     | alarms of the cluster, as far as this node hears of them                  |
//!
//! | POST to             | what it does, and answers when it is done                          |
//! |---------------------|--------------------------------------------------------------------|
//! | `cluster/hand-over` | `{"to": node, "cohort": id}`: that node owns it (or all) from then |
//! | `calls/{id}/hang-up` | BYE to both phones; one that rings ends with 480                   |
//! | `alarms/{id}/clear` | that alarm of this node is cleared                                 |
//! | `tracers/{name}`    | `{"level": level}`, or null for that of the name above              |
//! | `services/{name}/migrate` | `{"to": name}`: what it began moves there; null: no more does |
//! | `services/{name}/usage/reset` | its figures begin at zero                                |
//! | `cluster/force`     | starts or goes on without the votes of others; gives P7 up         |
//! | `cluster/forget-orphans` | forgets ends of calls that wait for a store that has those calls |
//! | `services`          | `{"activate": [name], "deactivate": [name]}`, in one step          |
//! | `units`             | the file as body: deploys it; `dry_run=true`: says what is in it   |
//! | `slee`              | `{"state": "running"}`, or `"stopped"`: it takes no new calls      |
//!
//! `DELETE housekeeping/{kind}/{id}` removes what was left over; the answer comes when that is
//! held. `DELETE units/{id}` removes a unit whose service is inactive.
//! `PUT profiles/{table}/{name}` adds or replaces a profile, DELETE removes it, or puts back with
//! `reset=true` what the configuration says. The answer comes when the change is held.
//!
//! An error is `{"error": what is wrong, "help": what to do}` with a fitting status. Anything
//! but GET and HEAD needs `Authorization: Bearer TOKEN`: 401 without it, 403 with a wrong one or
//! if the node has none. An order that the node cannot carry out now gets 409; if it may be carried
//! out in a moment, the error has `"code": "not_yet"` besides.

mod amount;
mod api;
mod assets;
mod bill_book;
mod cluster;
mod events;
mod leftover_query;
mod live_call;
mod moment;
mod pages;
mod problem;
mod profile_view;
mod selection;
mod system;
mod unit_view;
mod write_guard;

use actix_web::dev::Service as _;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpServer, web};
use futures_util::future::BoxFuture;
pub use problem::NOT_YET;
use resilee_core::management::{Answer, Query};
use std::net::TcpListener;
use std::sync::Arc;
use system::System;
use write_guard::WriteToken;

/// Puts a question to the node. It may take a while; the site gives up after two seconds.
pub type Ask = Arc<dyn Fn(Query) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Seconds that open requests are given when the server stops; streams of events never end by
/// themselves.
const SHUTDOWN_S: u64 = 1;

/// Sent with every answer: nothing but what is embedded here runs or is shown in a page.
const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// All pages and REST of one node, ready to be mounted in an actix-web `App`.
#[derive(Clone)]
pub struct Site {
    system: web::Data<System>,
    streams: web::Data<events::OpenStreams>,
    token: web::Data<WriteToken>,
}

impl Site {
    /// A site that asks `ask`. Without a token (or with an empty one) all writes are refused.
    pub fn new(token: Option<String>, ask: Ask) -> Self {
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        Site {
            system: web::Data::new(System::new(ask)),
            streams: web::Data::new(events::OpenStreams::default()),
            token: web::Data::new(WriteToken(token.map(Arc::from))),
        }
    }

    /// Adds everything to an `App`: `App::new().configure(|config| site.configure(config))`.
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(web::Data::clone(&self.system))
            .app_data(web::Data::clone(&self.streams))
            .app_data(web::Data::clone(&self.token));
        let all = web::scope("")
            .wrap_fn(|request, service| {
                let answered = service.call(request);
                async move {
                    let mut response = answered.await?;
                    for (name, value) in SECURITY_HEADERS {
                        let headers = response.headers_mut();
                        if !headers.contains_key(name) {
                            let name = HeaderName::from_static(name);
                            headers.insert(name, HeaderValue::from_static(value));
                        }
                    }
                    Ok(response)
                }
            })
            .route("/assets/{name}", web::get().to(assets::asset))
            .route("/events", web::get().to(events::events))
            .configure(api::configure)
            .configure(pages::configure);
        config.service(all);
    }
}

/// Serves the admin UI and REST on `listener` until the future is dropped or fails. Signals are
/// left to the node.
///
/// # Errors
/// A listener that cannot be used.
pub async fn serve(listener: TcpListener, token: Option<String>, ask: Ask) -> std::io::Result<()> {
    let site = Site::new(token, ask);
    let server = HttpServer::new(move || App::new().configure(|config| site.configure(config)))
        .workers(1)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_S)
        .listen(listener)?
        .run();
    server.await
}
