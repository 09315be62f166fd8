//! Housekeeping: what is shown of leftovers, what may be asked for, and their removal.

use crate::fake_node::{FakeNode, NOW, seconds};
use crate::site::{TOKEN, get, order_by, request_of};
use actix_web::http::Method;
use resilee_admin_ui::Site;
use resilee_core::management::{Changed, LeftoverRow};
use serde_json::json;
use std::sync::{Arc, Mutex};

const NULL: &str = "00000000000000aa-7/a2";
const TIMER: &str = "00000000000000aa-8/e1/t4";

fn row(id: &str, service: &str, attached: &[&str]) -> LeftoverRow {
    LeftoverRow {
        what: id.parse().expect("an id"),
        owner: "server2".parse().ok(),
        services: vec![service.to_owned()],
        attached: attached.iter().map(ToString::to_string).collect(),
        born_at: NOW - seconds(7_200),
        changed_at: NOW - seconds(60),
        due: None,
        note: "null activity",
    }
}

fn node() -> FakeNode {
    let mut node = FakeNode::new();
    node.leftovers = vec![
        row(NULL, "call-control", &["00000000000000aa-7/e1"]),
        LeftoverRow { due: Some(NOW + seconds(9)), note: "", ..row(TIMER, "call-billing", &[]) },
    ];
    node
}

#[actix_web::test]
async fn leftovers_are_told_with_age_and_what_they_are_attached_to() {
    let answer = get(node(), "/api/v1/housekeeping/activities?service=call-control").await.json();
    let expected = json!([{
        "id": NULL, "cell": "00000000000000aa-7", "node": "server2",
        "services": ["call-control"], "attached": ["00000000000000aa-7/e1"],
        "born_at": "2026-05-01T12:03:22.120Z", "age_s": 7200,
        "changed_at": "2026-05-01T14:02:22.120Z", "idle_s": 60,
        "due": null, "note": "null activity",
    }]);
    assert_eq!((&answer["found"], &answer["next"]), (&expected, &json!(null)));
    let first = get(node(), "/api/v1/housekeeping/timers?limit=1").await.json();
    assert_eq!(first["next"], "00000000000000aa-8");
}

#[actix_web::test]
async fn a_question_that_cannot_be_read_is_answered_with_what_to_ask() {
    for (query, status, help) in [
        ("phones", 404, "timers and names"),
        ("timers?colour=red", 400, "due_after"),
        ("timers?older_than=long", 400, "no number of seconds"),
        ("timers?older_than=99999999999999", 400, "no number of seconds"),
        ("timers?overdue=yes", 400, "true or false is expected"),
        ("timers?limit=0", 400, "1 to 1000"),
        ("timers?limit=1001", 400, "1 to 1000"),
        ("timers?cell=here", 400, "is not a cell id"),
    ] {
        let page = get(node(), &format!("/api/v1/housekeeping/{query}")).await;
        assert_eq!(page.status, status, "{query}: {}", page.body);
        assert!(page.body.contains(help), "{query}: {}", page.body);
    }
}

#[actix_web::test]
async fn the_page_has_a_button_for_each_and_the_way_to_further_cells() {
    let page = get(node(), "/housekeeping?kind=timers&service=&unattached=true&limit=1").await;
    page.shows("<option selected>timers</option>").shows("value=\"true\" checked");
    page.shows("data-post=\"/api/v1/housekeeping/timers/00000000000000aa-7%2Fa2\"");
    page.shows("2 h ago").shows("1 min ago").shows("data-method=\"DELETE\"");
    page.shows("kind=timers&#38;from=00000000000000aa-8&#38;unattached=true&#38;limit=1");
    get(FakeNode::new(), "/housekeeping").await.shows("No activities are as you asked.");
}

#[actix_web::test]
async fn a_removal_names_who_wants_it_and_is_answered_when_it_is_made() {
    let node = Arc::new(Mutex::new(node()));
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node));
    let path = "/api/v1/housekeeping/timers/00000000000000aa-8%2Fe1%2Ft4";
    assert_eq!(request_of(&site, Method::DELETE, path, None).await.status, 401);
    assert!(node.lock().unwrap().removed.is_empty());
    let done = order_by(&site, Method::DELETE, path, "").await;
    assert_eq!((done.status, done.json()), (200, json!({ "removed": TIMER })));
    let removed = node.lock().unwrap().removed.pop().expect("it was asked for");
    assert_eq!((removed.what.to_string().as_str(), removed.again), (TIMER, false));
    assert!(removed.by.ends_with("server1"), "{}", removed.by);
    for (path, status) in [("timers/x", 400), ("names/00000000000000aa-7%2Fa2", 400)] {
        let path = format!("/api/v1/housekeeping/{path}");
        assert_eq!(order_by(&site, Method::DELETE, &path, "").await.status, status);
    }
    node.lock().unwrap().changed = Some(Changed::Refused("there is no timer".to_owned()));
    assert_eq!(order_by(&site, Method::DELETE, path, "").await.status, 409);
}
