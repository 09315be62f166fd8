//! The stream that keeps a page fresh, on a clock that tests turn.

use crate::fake_node::{FakeNode, NOW, seconds};
use actix_web::body::MessageBody;
use actix_web::{App, test};
use resilee_admin_ui::Site;
use serde_json::Value;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

struct Watched {
    node: Arc<Mutex<FakeNode>>,
    body: Pin<Box<dyn MessageBody<Error = Box<dyn std::error::Error>>>>,
}

impl Watched {
    async fn open(node: FakeNode, watch: &str) -> Watched {
        let node = Arc::new(Mutex::new(node));
        let site = Site::new(None, FakeNode::ask(&node));
        let app = test::init_service(App::new().configure(|config| site.configure(config))).await;
        let uri = format!("/events?watch={watch}");
        let request = test::TestRequest::get().uri(&uri).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
        Watched { node, body: Box::pin(response.into_body()) }
    }

    /// The next event: its name and data. The clock of the runtime is paused, so it runs on by
    /// itself whenever all wait.
    async fn next(&mut self) -> (String, Value) {
        let bytes = poll_fn(|cx| self.body.as_mut().poll_next(cx)).await;
        let text = bytes.expect("a stream never ends").expect("an event");
        let text = String::from_utf8(text.to_vec()).expect("text");
        let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
        let data = serde_json::from_str(line("data: ").expect("data")).expect("JSON");
        (line("event: ").expect("a name").to_owned(), data)
    }
}

fn ids(parts: &Value) -> Vec<&str> {
    let parts = parts.as_array().expect("a list");
    parts.iter().map(|part| part["id"].as_str().expect("an id")).collect()
}

fn html<'a>(parts: &'a Value, id: &str) -> &'a str {
    let part = parts.as_array().expect("a list").iter().find(|part| part["id"] == id);
    part.and_then(|part| part["html"].as_str()).expect("the part")
}

#[actix_web::test]
async fn the_cost_of_a_live_call_changes_without_reload() {
    tokio::time::pause();
    let mut node = FakeNode::new();
    let id = node.talking("alice@example.org", "bob@example.org", seconds(75));
    let mut page = Watched::open(node, "overview").await;
    let (name, parts) = page.next().await;
    assert_eq!(name, "swap");
    assert!(html(&parts, "calls").contains("0.2000"));
    page.node.lock().unwrap().now_is(NOW + seconds(1));
    let (_, parts) = page.next().await;
    assert_eq!(ids(&parts), ["place", "calls"], "only what changed");
    assert!(html(&parts, "calls").contains("0.2020"));
    assert!(html(&parts, "calls").contains(&format!("id=\"call-{id}\"")));
}

#[actix_web::test]
async fn a_page_on_which_nothing_changes_still_hears_that_the_node_lives() {
    tokio::time::pause();
    let mut page = Watched::open(FakeNode::new(), "bills&party=alice").await;
    assert!(ids(&page.next().await.1).contains(&"bills"));
    assert_eq!(page.next().await, ("swap".to_owned(), Value::Array(Vec::new())));
}

#[actix_web::test]
async fn a_new_bill_and_a_dead_node_reach_the_page() {
    tokio::time::pause();
    let mut page = Watched::open(FakeNode::new(), "bills").await;
    page.next().await;
    {
        let mut node = page.node.lock().unwrap();
        node.bill("alice@example.org", "bob@example.org", seconds(75), seconds(1));
        node.server2_dies();
    }
    let (_, parts) = page.next().await;
    assert!(html(&parts, "bills").contains("0.2000"));
    assert!(html(&parts, "notices").contains("Degraded: no backup."));
}

#[actix_web::test]
async fn a_page_hears_why_the_node_cannot_answer_and_when_it_can_again() {
    tokio::time::pause();
    let mut page = Watched::open(FakeNode::new(), "frame").await;
    page.next().await;
    page.node.lock().unwrap().unavailable = Some("it is stopping".to_owned());
    let (name, reason) = page.next().await;
    assert_eq!(name, "down");
    assert!(reason.as_str().unwrap().contains("it is stopping"));
    page.node.lock().unwrap().unavailable = None;
    assert_eq!(page.next().await.0, "swap");
}

#[actix_web::test]
async fn every_page_can_be_watched_and_its_parts_have_their_ids() {
    tokio::time::pause();
    let mut node = FakeNode::new();
    let id = node.talking("alice@example.org", "bob@example.org", seconds(75));
    drop(node);
    for watch in ["overview", "bills", "alarms", "services", "tracers", &format!("call&id={id}")] {
        let mut node = FakeNode::new();
        node.talking("alice@example.org", "bob@example.org", seconds(75));
        let (_, parts) = Watched::open(node, watch).await.next().await;
        assert!(ids(&parts).len() > 3, "{watch}");
        for id in ids(&parts) {
            let start = format!(" id=\"{id}\"");
            let html = html(&parts, id);
            let element = &html[..html.find('>').expect("an element")];
            assert!(element.contains(&start), "{element}");
        }
    }
}
