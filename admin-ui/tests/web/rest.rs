//! REST: what scripts rely on.

use crate::fake_node::{FakeNode, seconds};
use crate::site::{TOKEN, get, order, request, request_of};
use actix_web::http::Method;
use resilee_admin_ui::Site;
use serde_json::json;
use std::sync::{Arc, Mutex};

#[actix_web::test]
async fn health_is_200_for_a_member_and_503_for_others() {
    let member = get(FakeNode::new(), "/api/v1/health").await;
    assert_eq!(member.status, 200);
    let health = member.json();
    assert_eq!((&health["view"], &health["member"]), (&json!(2), &json!(true)));
    assert_eq!(health["node"], "server1");
    assert_eq!(health["members"].as_array().map(Vec::len), Some(2));
    let mut node = FakeNode::new();
    node.status.member = false;
    let other = get(node, "/api/v1/health").await;
    assert_eq!((other.status, &other.json()["member"]), (503, &json!(false)));
}

#[actix_web::test]
async fn nodes_tell_view_heartbeats_and_ownership() {
    let mut node = FakeNode::new();
    node.ringing("alice@example.org", "bob@example.org", seconds(1));
    let nodes = get(node, "/api/v1/nodes").await.json();
    assert_eq!((&nodes["view"], &nodes["protection"]), (&json!(2), &json!("backed")));
    let first = &nodes["nodes"][0];
    assert_eq!((&first["name"], &first["cells"]), (&json!("server1"), &json!(1)));
    assert_eq!(nodes["nodes"][1]["heartbeat_age_ms"], 23);
    assert_eq!(nodes["balancers"][0]["state"], "up");
    assert_eq!(nodes["balancers"][0]["holds_seat"], true);
    assert_eq!(
        (&nodes["balancers"][0]["sockets_kept"], &nodes["balancers"][0]["restarts"]),
        (&true.into(), &2.into())
    );
    assert_eq!(nodes["balancers"][0]["dropped"], json!({"from a client, too long": 1_234}));
}

#[actix_web::test]
async fn calls_have_iso_times_and_money_as_text() {
    let mut node = FakeNode::new();
    let id = node.talking("alice@example.org", "bob@example.org", seconds(75));
    let calls = get(node, "/api/v1/calls").await.json();
    let call = &calls["calls"][0];
    assert_eq!((&call["id"], &call["state"]), (&json!(id), &json!("talking")));
    assert_eq!((&call["cost"], &call["currency"]), (&json!("0.2000"), &json!("EUR")));
    assert_eq!(call["answered_at"], "2026-05-01T14:02:07.120Z");
    assert_eq!(call["seconds"], 75);
}

#[actix_web::test]
async fn bills_are_paged_with_totals_of_the_selection() {
    let mut node = FakeNode::new();
    for _ in 0..3 {
        node.bill("alice@example.org", "bob@example.org", seconds(75), seconds(10));
    }
    node.unreadable();
    let answer = get(node, "/api/v1/bills?party=bob&page=2&per_page=2").await.json();
    assert_eq!(answer["bills"].as_array().map(Vec::len), Some(1));
    assert_eq!((&answer["found"], &answer["pages"]), (&json!(3), &json!(2)));
    let total = json!({"currency": "EUR", "amount": "0.6000", "bills": 3, "seconds": 225});
    assert_eq!(answer["totals"], json!([total]));
    assert_eq!(answer["unreadable"], 1);
}

#[actix_web::test]
async fn a_bill_has_all_that_its_total_follows_from() {
    let mut node = FakeNode::new();
    let nodes = ["server1", "server2"];
    let id = node.bill_of_nodes("alice@x.org", "bob@x.org", seconds(75), seconds(10), nodes);
    let bill = get(node, &format!("/api/v1/bills/{id}")).await.json();
    assert_eq!((&bill["total"], &bill["currency"]), (&json!("0.2000"), &json!("EUR")));
    assert_eq!((&bill["answered_by"], &bill["closed_by"]), (&json!("server1"), &json!("server2")));
    assert_eq!((&bill["seconds"], &bill["tariff"]["per_minute"]), (&json!(75), &json!("0.1200")));
    assert_eq!(bill["ended_at"], "2026-05-01T14:03:12.120Z");
    assert_eq!(bill["caller"], "sip:alice@x.org");
}

#[actix_web::test]
async fn services_activities_and_alarms_are_lists() {
    let node = || {
        let mut node = FakeNode::new();
        node.talking("alice@example.org", "bob@example.org", seconds(75));
        node.alarm("cluster", "no backup", seconds(1), 2);
        node
    };
    let services = get(node(), "/api/v1/services").await.json();
    assert_eq!(services["services"][2]["name"], "call-billing");
    let activities = get(node(), "/api/v1/activities").await.json();
    let attached = &activities["activities"][0]["attached"];
    assert_eq!(*attached, json!(["call-control", "call-billing"]));
    let alarms = get(node(), "/api/v1/alarms").await.json();
    assert_eq!(alarms["alarms"][0]["raised_at"], "2026-05-01T14:03:21.120Z");
    assert_eq!(alarms["alarms"][0]["node"], "server1");
    let mut two = node();
    two.peer_alarm("store", "full", seconds(9));
    let alarms = get(two, "/api/v1/alarms").await.json();
    assert_eq!(alarms["alarms"][1]["node"], "server2");
}

#[actix_web::test]
async fn errors_are_json_with_what_and_help() {
    let expected = [
        ("/api/v1/bills?page=0", 400, "page is"),
        ("/api/v1/bills?x=1", 400, "unknown parameter"),
        ("/api/v1/bills/42", 400, "is not a cell id"),
        ("/api/v1/bills/00000000000000ff-9", 404, "there is no bill"),
        ("/api/v1/nothing", 404, "no such resource"),
        ("/events?watch=nothing", 400, "no such page to watch"),
    ];
    for (path, status, what) in expected {
        let answer = get(FakeNode::new(), path).await;
        assert_eq!(answer.status, status, "{path}");
        let error = answer.json();
        assert!(error["error"].as_str().is_some_and(|text| text.contains(what)), "{error}");
        assert!(error["help"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    }
}

#[actix_web::test]
async fn a_node_that_cannot_answer_is_a_503_in_json() {
    for noun in ["health", "nodes", "calls", "bills", "services", "tracers", "activities", "alarms"]
    {
        let mut node = FakeNode::new();
        node.unavailable = Some("it is stopping".to_owned());
        let answer = get(node, &format!("/api/v1/{noun}")).await;
        assert_eq!(answer.status, 503, "{noun}");
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.contains("stopping")));
    }
}

#[actix_web::test]
async fn a_write_needs_the_token() {
    let bearer = format!("Bearer {TOKEN}");
    let expected = [
        (None, 401),
        (Some("Basic czNjcmV0"), 401),
        (Some("Bearer wrong"), 403),
        (Some("Bearer s3cre"), 403),
        (Some(bearer.as_str()), 405),
    ];
    for path in ["/api/v1/calls", "/api/v1/nothing"] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for (authorization, status) in expected {
                let node = FakeNode::new();
                let answer = request(node, method.clone(), path, authorization).await;
                assert_eq!(answer.status, status, "{method} {path} {authorization:?}");
                assert!(answer.json()["error"].is_string());
            }
        }
    }
    let asked = request(FakeNode::new(), Method::POST, "/api/v1/calls", None).await;
    assert!(asked.header("www-authenticate").starts_with("Bearer"));
}

#[actix_web::test]
async fn without_a_token_in_the_node_every_write_is_refused() {
    for token in [None, Some(String::new()), Some(" \n".to_owned())] {
        let node = Arc::new(Mutex::new(FakeNode::new()));
        let site = Site::new(token, FakeNode::ask(&node));
        for authorization in [None, Some("Bearer "), Some("Bearer x")] {
            let answer = request_of(&site, Method::DELETE, "/api/v1/calls", authorization).await;
            assert_eq!(answer.status, 403);
            assert!(answer.body.contains("token_file"), "{}", answer.body);
        }
    }
}

#[actix_web::test]
async fn head_is_a_read_and_pages_take_no_writes() {
    for path in ["/", "/api/v1/health"] {
        assert_eq!(request(FakeNode::new(), Method::HEAD, path, None).await.status, 200);
    }
    assert_eq!(request(FakeNode::new(), Method::POST, "/bills", None).await.status, 405);
}

#[actix_web::test]
async fn cohorts_are_handed_over_by_an_order_with_the_token() {
    let node = Arc::new(Mutex::new(FakeNode::new()));
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node));
    let path = "/api/v1/cluster/hand-over";
    let unasked = order(&site, path, None, r#"{"to": "server2"}"#).await;
    assert_eq!(unasked.status, 401);
    let done = order(&site, path, Some(TOKEN), r#"{"to": "server2"}"#).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let json = done.json();
    assert_eq!(json["view"], 3);
    let owners = json["cohorts"].as_array().expect("a list").iter().map(|row| &row["owner"]);
    assert!(owners.into_iter().all(|owner| owner == "server2"), "{json}");
    let nodes = request_of(&site, Method::GET, "/api/v1/nodes", None).await.json();
    assert_eq!(nodes["nodes"][1]["cohort_ids"].as_array().map(Vec::len), Some(3));
}

#[actix_web::test]
async fn an_order_that_cannot_be_carried_out_says_why() {
    let node = Arc::new(Mutex::new(FakeNode::new()));
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node));
    let expected = [
        (r#"{"to": "server9"}"#, 409, "server9 is no member"),
        (r#"{"to": "Server 9"}"#, 400, "not a node name"),
        (r#"{"to": "server2", "cohort": "12"}"#, 400, "no cohort"),
        (r#"{"to": "server2", "when": "now"}"#, 400, "unknown field"),
        ("", 400, "cannot be read"),
    ];
    for (body, status, what) in expected {
        let answer = order(&site, "/api/v1/cluster/hand-over", Some(TOKEN), body).await;
        assert_eq!(answer.status, status, "{body}");
        let error = answer.json();
        assert!(error["error"].as_str().is_some_and(|text| text.contains(what)), "{error}");
        assert!(error["help"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

#[actix_web::test]
async fn a_forced_view_is_an_order_too() {
    let node = Arc::new(Mutex::new(FakeNode::new()));
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node));
    let done = order(&site, "/api/v1/cluster/force", Some(TOKEN), "").await;
    assert_eq!((done.status, done.json()["view"].as_u64()), (200, Some(3)));
}

#[actix_web::test]
async fn what_waits_for_no_store_is_forgotten_by_an_order() {
    let node = Arc::new(Mutex::new(FakeNode::new()));
    node.lock().unwrap().status.orphans = 7;
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node));
    let path = "/api/v1/cluster/forget-orphans";
    assert_eq!(order(&site, path, None, "").await.status, 401);
    assert_eq!(order(&site, path, Some(TOKEN), "").await.status, 200);
    assert_eq!(node.lock().unwrap().status.orphans, 0);
}
