//! The first page: numbers, live calls, one call.

use crate::fake_node::{FakeNode, NOW, seconds};
use crate::site::{TOKEN, get, order_by, request_of};
use actix_web::http::Method;
use resilee_admin_ui::Site;
use resilee_sbb::StateBytes;
use serde_json::json;
use std::sync::{Arc, Mutex};

#[actix_web::test]
async fn a_quiet_cluster_says_that_there_is_nothing_yet() {
    let page = get(FakeNode::new(), "/").await;
    assert_eq!(page.status, 200);
    page.shows("No calls right now.").shows("2 members").shows("none raised");
    page.shows("14:03:22 UTC").hides("data-notice");
}

#[actix_web::test]
async fn a_talking_call_shows_its_parties_node_duration_and_cost() {
    let mut node = FakeNode::new();
    let id = node.talking("alice@example.org", "bob@example.org", seconds(75));
    let page = get(node, "/").await;
    page.shows(&format!("data-call=\"{id}\"")).shows("data-owner=\"server1\"");
    page.shows("<b>alice</b><span class=\"host\">@example.org</span>").shows("<b>bob</b>");
    // 0.05 to connect and 75 s at 0.12 a minute.
    page.shows(">1:15</td>").shows("<span class=\"money\">0.2000</span>").shows("1 talking");
}

#[actix_web::test]
async fn a_ringing_call_costs_nothing_yet() {
    let mut node = FakeNode::new();
    node.ringing("alice@example.org", "bob@example.org", seconds(6));
    let page = get(node, "/").await;
    page.shows("data-state=\"ringing\"")
        .shows("6 s ago")
        .shows("1 ringing")
        .hides("class=\"money\"");
}

#[actix_web::test]
async fn the_cost_of_a_call_follows_the_clock_of_the_cluster() {
    let mut node = FakeNode::new();
    node.talking("alice@example.org", "bob@example.org", seconds(60));
    node.now_is(NOW + seconds(30));
    get(node, "/").await.shows("<span class=\"money\">0.2300</span>").shows(">1:30</td>");
}

#[actix_web::test]
async fn todays_bills_are_counted_and_yesterdays_are_not() {
    let mut node = FakeNode::new();
    node.bill("alice@example.org", "bob@example.org", seconds(60), seconds(100));
    node.bill("alice@example.org", "bob@example.org", seconds(60), seconds(86_400));
    let page = get(node, "/").await;
    page.shows("<p class=\"value\">1</p><p class=\"under\">1:00 of talk</p>");
    page.shows("0.1700 <small>EUR</small>");
}

#[actix_web::test]
async fn a_call_of_a_version_we_cannot_read_is_counted_and_breaks_nothing() {
    let mut node = FakeNode::new();
    node.talking("alice@example.org", "bob@example.org", seconds(75));
    node.cells[0].entities[0].state = StateBytes { version: 99, bytes: vec![0xc1] };
    node.talking("carol@example.org", "dave@example.org", seconds(10));
    get(node, "/").await.shows("1 more: their billing state").shows("<b>carol</b>");
}

#[actix_web::test]
async fn many_calls_are_cut_at_the_limit_and_counted() {
    let mut node = FakeNode::new();
    for _ in 0..105 {
        node.ringing("alice@example.org", "bob@example.org", seconds(1));
    }
    let page = get(node, "/").await;
    assert_eq!(page.body.matches("<tr id=\"call-").count(), 100);
    page.shows("The newest 100 of 105").shows("<p class=\"value\">105</p>");
}

#[actix_web::test]
async fn one_call_shows_its_activities_and_entities() {
    let mut node = FakeNode::new();
    let id = node.talking("alice@example.org", "bob@example.org", seconds(75));
    let page = get(node, &format!("/calls/{id}")).await;
    page.shows(&format!("data-activity=\"{id}/a1\"")).shows("call-control, call-billing");
    page.shows(&format!("{id}/e1")).shows("0.1200 EUR a minute, by 1 s").shows("0.2000");
}

#[actix_web::test]
async fn a_call_that_is_over_leads_to_its_bill() {
    let mut node = FakeNode::new();
    let id = node.bill("alice@example.org", "bob@example.org", seconds(75), seconds(1));
    let page = get(node, &format!("/calls/{id}")).await;
    assert_eq!(page.status, 200);
    page.shows("This call is over.").shows(&format!("href=\"/bills/{id}\""));
}

#[actix_web::test]
async fn an_unknown_call_is_a_404_page() {
    let page = get(FakeNode::new(), "/calls/00000000000000ff-9").await;
    assert_eq!(page.status, 404);
    page.shows("there is no call 00000000000000ff-9").shows("<html");
}

#[actix_web::test]
async fn a_call_is_hung_up_in_order_by_whoever_has_the_token() {
    let mut node = FakeNode::new();
    let id = node.talking("alice@example.org", "bob@example.org", seconds(75));
    let path = format!("/api/v1/calls/{id}/hang-up");
    let node = Arc::new(Mutex::new(node));
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node));
    let button = format!("<form class=\"order\" data-post=\"{path}\">");
    request_of(&site, Method::GET, &format!("/calls/{id}"), None).await.shows(&button);
    assert_eq!(request_of(&site, Method::POST, &path, None).await.status, 401);
    assert!(node.lock().unwrap().removed.is_empty());
    let done = order_by(&site, Method::POST, &path, "").await;
    assert_eq!((done.status, done.json()), (200, json!({ "hung_up": id })));
    let ended = node.lock().unwrap().removed.pop().expect("it was asked for");
    assert_eq!((ended.what.to_string(), ended.orderly), (format!("{id}/a1"), true));
    for (call, status) in [("00000000000000aa-99", 404), ("nobody", 400)] {
        let path = format!("/api/v1/calls/{call}/hang-up");
        assert_eq!(order_by(&site, Method::POST, &path, "").await.status, status);
    }
}
