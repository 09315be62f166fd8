//! Profiles: what REST and pages show of them, and what a write needs.

use crate::fake_node::FakeNode;
use crate::site::{TOKEN, get, order_by, request_of};
use actix_web::http::Method;
use resilee_admin_ui::Site;
use resilee_core::management::{Changed, ProfileSource};
use serde_json::json;
use std::sync::{Arc, Mutex};

fn site(node: FakeNode) -> (Site, Arc<Mutex<FakeNode>>) {
    let node = Arc::new(Mutex::new(node));
    (Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node)), node)
}

const TARIFF: &str =
    r#"{"currency": "EUR", "connect_fee": "0.08", "per_minute": "0.2", "increment_s": 60}"#;

#[actix_web::test]
async fn the_tables_are_listed_with_their_schemas() {
    let tables = get(FakeNode::new(), "/api/v1/profiles").await.json();
    let accounts = &tables["tables"][0];
    assert_eq!((&accounts["name"], &accounts["profiles"]), (&json!("accounts"), &json!(1)));
    assert_eq!(accounts["named_by"], json!(["user", "realm"]));
    let secret = &accounts["attributes"][2];
    assert_eq!((&secret["name"], &secret["expects"]), (&json!("ha1"), &json!("32 hex digits")));
    assert_eq!((&secret["secret"], &secret["index"]), (&json!(true), &json!("none")));
}

#[actix_web::test]
async fn prices_are_decimal_text_and_the_default_tariff_has_the_empty_name() {
    let tariff = get(FakeNode::new(), "/api/v1/profiles/tariffs/").await.json();
    assert_eq!((&tariff["name"], &tariff["source"]), (&json!(""), &json!("configured")));
    assert_eq!(tariff["attributes"]["per_minute"], "0.12");
    assert_eq!(tariff["attributes"]["increment_s"], 1);
}

#[actix_web::test]
async fn the_value_of_a_secret_is_in_no_answer_and_no_page() {
    let ha1 = resilee_sip_api::Account::with_password("alice", "example.org", "secret").ha1;
    for path in [
        "/api/v1/profiles/accounts",
        "/api/v1/profiles/accounts/alice@example.org",
        "/profiles/accounts",
        "/profiles/accounts/alice%40example.org",
    ] {
        let page = get(FakeNode::new(), path).await;
        assert_eq!(page.status, 200, "{path}");
        page.shows("alice").hides(&ha1);
    }
    let account = get(FakeNode::new(), "/api/v1/profiles/accounts/alice@example.org").await;
    assert_eq!(account.json()["secrets"], json!(["ha1", "ha1_sha256"]));
}

#[actix_web::test]
async fn a_list_goes_on_where_it_ended() {
    let (site, _) = site(FakeNode::new());
    for prefix in ["%2B49", "%2B49900"] {
        let path = format!("/api/v1/profiles/tariffs/{prefix}");
        assert_eq!(order_by(&site, Method::PUT, &path, TARIFF).await.status, 200);
    }
    let first = request_of(&site, Method::GET, "/api/v1/profiles/tariffs?limit=2", None).await;
    assert_eq!(first.json()["next"], "+49900");
    let path = "/api/v1/profiles/tariffs?limit=2&from=%2B49900";
    let last = request_of(&site, Method::GET, path, None).await.json();
    assert_eq!((&last["profiles"][0]["name"], &last["next"]), (&json!("+49900"), &json!(null)));
}

#[actix_web::test]
async fn a_profile_is_written_read_and_removed() {
    let (site, _) = site(FakeNode::new());
    let path = "/api/v1/profiles/tariffs/+49";
    let written = order_by(&site, Method::PUT, path, TARIFF).await;
    assert_eq!(written.status, 200, "{}", written.body);
    assert_eq!(written.json()["attributes"]["per_minute"], "0.20");
    request_of(&site, Method::GET, "/profiles/tariffs", None).await.shows("+49").shows("0.20");
    assert_eq!(order_by(&site, Method::DELETE, path, "").await.status, 200);
    assert_eq!(request_of(&site, Method::GET, path, None).await.status, 404);
    assert_eq!(order_by(&site, Method::DELETE, path, "").await.status, 404);
}

#[actix_web::test]
async fn a_profile_goes_back_to_the_configuration() {
    let (site, node) = site(FakeNode::new());
    let path = "/api/v1/profiles/tariffs/";
    assert_eq!(order_by(&site, Method::PUT, path, TARIFF).await.status, 200);
    let reset = format!("{path}?reset=true");
    assert_eq!(order_by(&site, Method::DELETE, &reset, "").await.status, 200);
    let source = node.lock().unwrap().profiles[&("tariffs", String::new())].source;
    assert_eq!(source, ProfileSource::Configured);
}

#[actix_web::test]
async fn a_write_needs_the_token() {
    let (site, _) = site(FakeNode::new());
    for method in [Method::PUT, Method::DELETE] {
        let path = "/api/v1/profiles/tariffs/+49";
        assert_eq!(request_of(&site, method, path, None).await.status, 401);
    }
}

#[actix_web::test]
async fn what_cannot_be_read_is_a_400_that_names_the_attribute() {
    let (site, _) = site(FakeNode::new());
    for (path, body, expected) in [
        (
            "tariffs/+49",
            r#"{"per_minute": "1,5"}"#,
            "attribute per_minute: \\\"1,5\\\" is not a number",
        ),
        ("tariffs/+49", r#"{"colour": "red"}"#, "attribute colour: there is no such attribute"),
        ("accounts/a@b", r#"{"ha1": "password"}"#, "attribute ha1: 32 hex digits are expected"),
        ("tariffs/+49", "[]", "send a JSON object of attributes"),
    ] {
        let answer = order_by(&site, Method::PUT, &format!("/api/v1/profiles/{path}"), body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        answer.shows(expected).hides("password");
    }
}

#[actix_web::test]
async fn a_change_that_may_be_made_is_a_504_and_one_that_is_not_a_409() {
    for (changed, status) in [
        (Changed::Refused("the table is full".to_owned()), 409),
        (Changed::Unknown("look whether the change is made".to_owned()), 504),
    ] {
        let mut node = FakeNode::new();
        node.changed = Some(changed);
        let (site, _) = site(node);
        let answer = order_by(&site, Method::PUT, "/api/v1/profiles/tariffs/+49", TARIFF).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        answer.hides("code");
    }
}

#[actix_web::test]
async fn a_change_that_may_be_made_in_a_moment_says_so_to_scripts() {
    let mut node = FakeNode::new();
    node.changed = Some(Changed::NotYet("server2 is busy".to_owned()));
    let (site, _) = site(node);
    let answer = order_by(&site, Method::PUT, "/api/v1/profiles/tariffs/+49", TARIFF).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    answer.shows(r#""error":"server2 is busy""#).shows(r#""code":"not_yet""#);
}

#[actix_web::test]
async fn pages_offer_what_can_be_done() {
    let page = get(FakeNode::new(), "/profiles").await;
    page.shows("href=\"/profiles/accounts\"").shows("what calls cost");
    let page = get(FakeNode::new(), "/profiles/tariffs/").await;
    page.shows("data-put=\"/api/v1/profiles/tariffs/\"").shows("As the configuration says");
    page.shows("part of the name").hides("Back to the configuration");
    let page = get(FakeNode::new(), "/new-profile/accounts").await;
    page.shows("data-named-by=\"user realm\" data-separator=\"@\"").hides("Remove");
    assert_eq!(get(FakeNode::new(), "/profiles/nothing").await.status, 404);
}

#[actix_web::test]
async fn adaptors_are_ordered_and_shown() {
    let (site, _) = site(FakeNode::new());
    let orders = [
        (r#"{"order": "deactivate"}"#, "state", "\"stopping\""),
        (r#"{"order": "remove"}"#, "state", "\"inactive\""),
        (r#"{"order": "activate"}"#, "state", "\"active\""),
        (r#"{"order": "query-liveness"}"#, "activities", "1"),
        (r#"{"properties": {"allow": "a.test"}}"#, "properties", "{\"allow\":\"a.test\"}"),
    ];
    for (order, key, value) in orders {
        let adaptors = order_by(&site, Method::POST, "/api/v1/adaptors/sip", order).await;
        assert_eq!(adaptors.status, 200, "{}", adaptors.body);
        assert_eq!(adaptors.json()["adaptors"][0][key].to_string(), value, "{order}");
    }
    let page = request_of(&site, Method::GET, "/services", None).await;
    page.shows("data-adaptor=\"sip\"").shows("allow = a.test");
    page.shows("data-post=\"/api/v1/adaptors/sip\"");
    for wrong in ["{}", r#"{"order": "off"}"#, r#"{"order": "remove", "properties": {}}"#] {
        let refused = order_by(&site, Method::POST, "/api/v1/adaptors/sip", wrong).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
}

#[actix_web::test]
async fn services_and_the_slee_are_ordered_and_shown() {
    let (site, _) = site(FakeNode::new());
    let body = r#"{"deactivate": ["call-billing"]}"#;
    let services = order_by(&site, Method::POST, "/api/v1/services", body).await;
    assert_eq!(services.status, 200, "{}", services.body);
    assert_eq!(services.json()["services"][2]["state"], "stopping");
    let page = request_of(&site, Method::GET, "/services", None).await;
    page.shows("data-state=\"stopping\"").shows("Stop the SLEE");
    let path = "/api/v1/services/call-billing/migrate";
    let moving = order_by(&site, Method::POST, path, r#"{"to": "billing-2"}"#).await.json();
    assert_eq!(moving["services"][2]["migration"]["to"], "billing-2");
    let page = request_of(&site, Method::GET, "/services", None).await;
    page.shows("to billing-2: 2 moved here, 1 stayed: it is not to move yet");
    let stopped = order_by(&site, Method::POST, path, r#"{"to": null}"#).await.json();
    assert!(stopped["services"][2]["migration"].is_null(), "{stopped}");
    for wrong in ["{}", r#"{"to": 1}"#, r#"{"to": "a", "from": "b"}"#] {
        let refused = order_by(&site, Method::POST, path, wrong).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
    let nobody = "/api/v1/services/nobody/migrate";
    let refused = order_by(&site, Method::POST, nobody, r#"{"to": "billing-2"}"#).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    let body = r#"{"state": "stopped"}"#;
    let slee = order_by(&site, Method::POST, "/api/v1/slee", body).await;
    assert_eq!(slee.json()["state"], "stopped");
    request_of(&site, Method::GET, "/services", None).await.shows("Start the SLEE");
    let wrong = order_by(&site, Method::POST, "/api/v1/slee", r#"{"state": "off"}"#).await;
    assert_eq!(wrong.status, 400);
}
