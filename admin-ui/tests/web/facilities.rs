//! Alarms with their severity, tracers with their levels, usage: what is shown, and the orders.

use crate::fake_node::{FakeNode, seconds};
use crate::site::{Page, TOKEN, get, order, request_of};
use actix_web::http::Method;
use resilee_admin_ui::Site;
use resilee_core::management::{Alarm, Changed};
use resilee_sbb::Severity;
use serde_json::json;
use std::sync::{Arc, Mutex};

fn with_alarms() -> FakeNode {
    let mut node = FakeNode::new();
    node.alarm("call-billing", "no tariff for \"49\"", seconds(540), 4);
    let alarm = &mut node.status.alarms[0];
    (alarm.alarm_type, alarm.instance) = ("no_tariff".to_owned(), "49".to_owned());
    alarm.last_at = node.status.now - seconds(12);
    let (severity, lasting, now) = (Severity::Critical, true, node.status.now);
    let (source, text) = ("store".to_owned(), "nothing is stored".to_owned());
    let lasting = Alarm { id: 2, source, severity, text, lasting, count: 1, ..Alarm::default() };
    node.status.alarms.push(Alarm { raised_at: now, last_at: now, ..lasting });
    node.peer_alarm("registrar", "of the other node", seconds(60));
    node
}

async fn order_of(node: FakeNode, path: &str, body: &str) -> Page {
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&Arc::new(Mutex::new(node))));
    order(&site, path, Some(TOKEN), body).await
}

#[actix_web::test]
async fn an_alarm_is_shown_with_severity_first_and_last_time_and_what_it_is_about() {
    let page = get(with_alarms(), "/alarms").await;
    page.shows("data-severity=\"major\"").shows("9 min ago").shows("12 s ago").shows("4×");
    page.shows("no_tariff 49").shows("data-severity=\"critical\"");
}

#[actix_web::test]
async fn only_alarms_of_this_node_that_do_not_end_by_themselves_have_a_button() {
    let page = get(with_alarms(), "/alarms").await;
    page.shows("data-post=\"/api/v1/alarms/1/clear\"");
    assert_eq!(page.body.matches("data-post=").count(), 1, "{}", page.body);
}

#[actix_web::test]
async fn alarms_in_rest_have_all_that_the_page_has() {
    let alarms = get(with_alarms(), "/api/v1/alarms").await.json();
    let alarm = &alarms["alarms"][2];
    assert_eq!((&alarm["id"], &alarm["severity"]), (&json!(1), &json!("major")));
    assert_eq!((&alarm["type"], &alarm["instance"]), (&json!("no_tariff"), &json!("49")));
    assert_eq!((&alarm["count"], &alarm["lasting"]), (&json!(4), &json!(false)));
    assert_eq!(alarm["last_at"], "2026-05-01T14:03:10.120Z");
}

#[actix_web::test]
async fn an_alarm_is_cleared_by_an_order() {
    let done = order_of(with_alarms(), "/api/v1/alarms/1/clear", "{}").await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.json()["alarms"].as_array().map(Vec::len), Some(2));
    for (id, status) in [("9", 409), ("nine", 400)] {
        let path = format!("/api/v1/alarms/{id}/clear");
        assert_eq!(order_of(with_alarms(), &path, "{}").await.status, status);
    }
}

/// What is answered with 200 outlives the node that answers.
#[actix_web::test]
async fn an_order_about_alarms_or_figures_that_may_be_lost_is_not_answered_as_done() {
    for path in ["/api/v1/alarms/1/clear", "/api/v1/services/call-billing/usage/reset"] {
        let mut node = with_alarms();
        node.changed = Some(Changed::Unknown("nobody else has it within 3 s".to_owned()));
        let answer = order_of(node, path, "{}").await;
        assert_eq!(answer.status, 504, "{path}: {}", answer.body);
        assert!(answer.body.contains("nobody else has it"), "{}", answer.body);
    }
}

#[actix_web::test]
async fn tracers_are_shown_with_the_level_they_go_by_and_where_it_is_from() {
    let page = get(FakeNode::new(), "/tracers").await;
    page.shows("data-tracer=\"call-billing.rating\"").shows("310").shows("from above");
    page.shows("<option selected>fine</option>").shows("data-post=\"/api/v1/tracers/root\"");
    let tracers = get(FakeNode::new(), "/api/v1/tracers").await.json();
    assert_eq!(tracers["tracers"][2]["effective"], "fine");
    assert_eq!(tracers["tracers"][1]["given"], json!(null));
}

#[actix_web::test]
async fn a_tracer_is_given_a_level_by_an_order_and_loses_it_by_another() {
    let node = Arc::new(Mutex::new(FakeNode::new()));
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node));
    let path = "/api/v1/tracers/call-billing";
    for (body, given) in
        [(r#"{"level": "finest"}"#, json!("finest")), (r#"{"level": null}"#, json!(null))]
    {
        let done = order(&site, path, Some(TOKEN), body).await;
        assert_eq!(done.status, 200, "{}", done.body);
        assert_eq!(done.json()["tracers"][1]["given"], given);
    }
    for (path, body, status) in [
        (path, r#"{"level": "loud"}"#, 400),
        (path, r#"{"until": "noon"}"#, 400),
        ("/api/v1/tracers/nobody", r#"{"level": "fine"}"#, 409),
    ] {
        let answer = order(&site, path, Some(TOKEN), body).await;
        assert_eq!(answer.status, status, "{body}");
    }
    assert_eq!(request_of(&site, Method::POST, path, None).await.status, 401);
}

#[actix_web::test]
async fn usage_is_shown_with_the_service_that_declares_it() {
    let page = get(FakeNode::new(), "/services").await;
    page.shows("data-usage=\"call-billing\"").shows("31,872").shows("14,016").shows("74.2");
    page.shows("data-set=\"gold\"").hides("data-usage=\"registrar\"");
}

#[actix_web::test]
async fn usage_in_rest_is_a_row_for_each_parameter_of_each_set() {
    let usage = get(FakeNode::new(), "/api/v1/services/call-billing/usage").await.json();
    assert_eq!(usage["since"], "2026-04-30T14:03:22.120Z");
    let rows = usage["usage"].as_array().expect("a list");
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[0]["kind"], &rows[0]["value"]), (&json!("counter"), &json!(31_872)));
    assert_eq!((&rows[1]["p99"], &rows[1]["mean"]), (&json!(1_119), &json!(74.251)));
    for name in ["registrar", "nobody"] {
        let none = get(FakeNode::new(), &format!("/api/v1/services/{name}/usage")).await;
        assert_eq!(none.status, 404);
    }
}

#[actix_web::test]
async fn usage_begins_at_zero_by_an_order() {
    let path = "/api/v1/services/call-billing/usage/reset";
    let done = order_of(FakeNode::new(), path, "{}").await;
    assert_eq!((done.status, &done.json()["usage"]), (200, &json!([])));
    let none = order_of(FakeNode::new(), "/api/v1/services/nobody/usage/reset", "{}").await;
    assert_eq!(none.status, 404);
}

#[actix_web::test]
async fn usage_of_the_cluster_names_the_nodes_that_are_in_it() {
    let path = "/api/v1/services/call-billing/usage";
    let own = get(FakeNode::new(), path).await.json();
    assert_eq!(own["nodes"], json!(["server1"]));
    let all = get(FakeNode::new(), &format!("{path}?of=cluster")).await.json();
    assert_eq!(all["nodes"], json!(["server1", "server2"]));
    assert_eq!(all["usage"], own["usage"]);
    let page = get(FakeNode::new(), "/usage/call-billing").await;
    page.shows("On server1 and server2 together").hides("Begin at zero");
    get(FakeNode::new(), "/services").await.shows("href=\"/usage/call-billing\"");
    assert_eq!(get(FakeNode::new(), &format!("{path}?of=moon")).await.status, 400);
    assert_eq!(get(FakeNode::new(), "/usage/registrar").await.status, 404);
}
