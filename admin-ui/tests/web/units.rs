//! Deployable units: what REST says of a file, how it gets to the node, and what the page shows.

use crate::fake_node::{FakeNode, seconds};
use crate::fake_units::id_of;
use crate::site::{Page, TOKEN, get, order_by, request_of, upload};
use actix_web::http::Method;
use resilee_admin_ui::Site;
use resilee_core::management::Changed;
use resilee_core::{UNIT_BYTES_MAX, UNIT_PART_BYTES};
use serde_json::json;
use std::sync::{Arc, Mutex};

const WASM: &str = "application/wasm";
const UNITS: &str = "/api/v1/units";
const DRY_RUN: &str = "/api/v1/units?dry_run=true";

fn site(node: FakeNode) -> (Site, Arc<Mutex<FakeNode>>) {
    let node = Arc::new(Mutex::new(node));
    (Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&node)), node)
}

/// A unit of several parts.
fn screening() -> Vec<u8> {
    let mut bytes = b"linked:screening ".to_vec();
    bytes.resize(2 * UNIT_PART_BYTES + 5, b'x');
    bytes
}

async fn sent(site: &Site, path: &str, content_type: &str, bytes: &[u8]) -> Page {
    upload(site, path, Some(TOKEN), Some(content_type), bytes).await
}

#[actix_web::test]
async fn a_dry_run_says_what_is_in_a_file_and_deploys_nothing() {
    let (site, node) = site(FakeNode::new());
    let found = sent(&site, DRY_RUN, WASM, &screening()).await;
    assert_eq!(found.status, 200, "{}", found.body);
    let found = found.json();
    let unit = &found["unit"];
    assert_eq!((&found["deployed"], &found["conflict"]), (&json!(false), &json!(null)));
    assert_eq!((&unit["service"], &unit["version"]), (&json!("screening"), &json!("1.2")));
    assert_eq!((&unit["id"], &unit["priority"]), (&json!(id_of(&screening())), &json!(100)));
    assert_eq!(unit["initial_events"], json!(["sip.invite"]));
    assert_eq!(unit["permissions"], json!(["call others"]));
    assert_eq!(unit["usage"], json!({ "calls_refused": "counter" }));
    assert_eq!(unit["selects_initial_events"], json!(true));
    assert_eq!(unit["on_roll_back"], json!("retry"));
    assert_eq!(unit["on_repeated_failures"], json!("suspend"));
    let list = json!({ "name": "list", "vendor": "", "version": "2", "events": ["list.changed"] });
    assert_eq!((&unit["child_sbbs"], &unit["shares"]), (&json!([list]), &json!(["list.who"])));
    let node = node.lock().unwrap();
    assert!(node.status.units.is_empty() && node.upload.is_empty());
}

#[actix_web::test]
async fn a_file_is_deployed_in_parts_listed_and_removed() {
    let (site, node) = site(FakeNode::new());
    let deployed = sent(&site, UNITS, "application/octet-stream", &screening()).await;
    assert_eq!(deployed.status, 200, "{}", deployed.body);
    assert_eq!(deployed.json()["deployed"], json!(true));
    assert_eq!(node.lock().unwrap().upload, screening());
    let units = request_of(&site, Method::GET, UNITS, None).await.json();
    let unit = &units["units"][0];
    assert_eq!((&unit["service"], &unit["state"]), (&json!("screening"), &json!("inactive")));
    assert_eq!(unit["bytes"], json!(screening().len()));
    assert_eq!(unit["put_at"], "2026-05-01T14:03:22.120Z");
    assert_eq!((&unit["nodes"], &unit["missing"]), (&json!(["server1"]), &json!(["server2"])));
    let path = format!("{UNITS}/{}", id_of(&screening()));
    let removed = order_by(&site, Method::DELETE, &path, "").await;
    assert_eq!((removed.status, &removed.json()["service"]), (200, &json!("screening")));
    assert_eq!(order_by(&site, Method::DELETE, &path, "").await.status, 404);
    assert_eq!(request_of(&site, Method::GET, UNITS, None).await.json()["units"], json!([]));
}

#[actix_web::test]
async fn what_is_needed_is_not_removed() {
    let (site, _) = site(FakeNode::new());
    assert_eq!(sent(&site, UNITS, WASM, &screening()).await.status, 200);
    let activate = r#"{"activate": ["screening"]}"#;
    assert_eq!(order_by(&site, Method::POST, "/api/v1/services", activate).await.status, 200);
    let path = format!("{UNITS}/{}", id_of(&screening()));
    let refused = order_by(&site, Method::DELETE, &path, "").await;
    assert_eq!(refused.status, 409);
    refused.shows("screening is active or has entities");
}

#[actix_web::test]
async fn a_file_that_is_no_unit_is_answered_with_what_is_wrong() {
    let (site, node) = site(FakeNode::new());
    for path in [UNITS, DRY_RUN] {
        let wrong = sent(&site, path, WASM, b"\x7fELF").await;
        assert_eq!(wrong.status, 422);
        wrong.shows("it is no WebAssembly component").shows("docs/units.md");
        let empty = sent(&site, path, WASM, b"").await;
        assert_eq!(empty.status, 400);
        empty.shows("there is no file");
        let typed = sent(&site, path, "application/json", b"linked:a").await;
        assert_eq!(typed.status, 415);
        typed
            .shows("a file of type \\\"application/json\\\"")
            .shows("Content-Type: application/wasm");
        let bare = upload(&site, path, Some(TOKEN), None, b"linked:a").await;
        assert_eq!(bare.status, 415);
        bare.shows("a file without Content-Type");
    }
    let unknown = sent(&site, "/api/v1/units?dryrun=true", WASM, b"linked:a").await;
    assert_eq!(unknown.status, 400);
    unknown.shows("dry_run=true");
    assert!(node.lock().unwrap().upload.is_empty());
}

#[actix_web::test]
async fn a_file_is_as_large_as_a_unit_may_be_and_no_larger() {
    let (site, _) = site(FakeNode::new());
    let mut bytes = b"linked:large ".to_vec();
    bytes.resize(UNIT_BYTES_MAX, b'x');
    assert_eq!(sent(&site, UNITS, WASM, &bytes).await.status, 200);
    bytes.push(b'x');
    for path in [UNITS, DRY_RUN] {
        let refused = sent(&site, path, WASM, &bytes).await;
        assert_eq!(refused.status, 413);
        refused.shows("larger than 16777216 bytes");
    }
}

#[actix_web::test]
async fn what_is_there_already_or_lacks_what_it_needs_is_a_conflict() {
    let (site, node) = site(FakeNode::new());
    assert_eq!(sent(&site, UNITS, WASM, b"linked:screening").await.status, 200);
    for (bytes, expected) in [
        (
            &b"linked:screening"[..],
            "this unit is deployed already, with the service screening: activate",
        ),
        (b"linked:screening 2", "a service screening is deployed"),
        (b"linked:call-billing", "a service call-billing is deployed"),
        (b"linked:telephony", "a service telephony is deployed, or a unit of that name"),
        (b"linked:disk", "its SBB disk is the container's"),
        (b"linked:till", "till needs wallet, which is not deployed"),
    ] {
        let refused = sent(&site, UNITS, WASM, bytes).await;
        assert_eq!(refused.status, 409, "{}", refused.body);
        refused.shows(expected);
        let found = sent(&site, DRY_RUN, WASM, bytes).await;
        assert_eq!(found.status, 200);
        assert!(found.json()["conflict"].as_str().is_some_and(|text| text.contains(expected)));
    }
    assert_eq!(node.lock().unwrap().upload, b"linked:screening");
}

#[actix_web::test]
async fn an_upload_needs_the_token_and_a_node_that_compiles() {
    let (site, node) = site(FakeNode::new());
    for (token, status) in [(None, 401), (Some("wrong"), 403)] {
        let refused = upload(&site, UNITS, token, Some(WASM), b"linked:a").await;
        assert_eq!(refused.status, status);
    }
    node.lock().unwrap().compiles = false;
    let refused = sent(&site, DRY_RUN, WASM, b"linked:a").await;
    assert_eq!(refused.status, 501);
    refused.shows("this node cannot compile units");
}

#[actix_web::test]
async fn an_upload_that_the_cluster_refuses_is_answered_with_its_reason() {
    let mut node = FakeNode::new();
    node.changed = Some(Changed::Refused("there are 64 units: remove one".to_owned()));
    let (site, node) = site(node);
    let refused = sent(&site, UNITS, WASM, b"linked:a").await;
    assert_eq!(refused.status, 409);
    refused.shows("there are 64 units");
    node.lock().unwrap().changed = Some(Changed::Unknown("look again".to_owned()));
    assert_eq!(sent(&site, UNITS, WASM, b"linked:a").await.status, 504);
    // The place of the upload is free again.
    node.lock().unwrap().changed = None;
    assert_eq!(sent(&site, UNITS, WASM, b"linked:a").await.status, 200);
}

#[actix_web::test]
async fn the_page_shows_who_has_compiled_a_unit_and_what_is_wrong() {
    let page = get(FakeNode::new(), "/units").await;
    page.shows("No units.").shows("data-post=\"/api/v1/units\"").shows("/assets/units.js");
    let mut node = FakeNode::new();
    node.put_unit_part(0, b"linked:screening");
    node.put_unit(id_of(b"linked:screening"), "screening".to_owned(), 16);
    let text = "screening is not deployed here: it needs more memory; remove the unit";
    node.peer_alarm("unit", text, seconds(3));
    let waits = "screening is not compiled here yet: its node is busy; it is tried again";
    node.peer_alarm("unit", waits, seconds(4));
    node.peer_alarm("unit", "other is not deployed here: x", seconds(3));
    let (site, node) = site(node);
    let page = request_of(&site, Method::GET, "/units", None).await;
    page.shows("<b>screening</b>").shows("data-state=\"inactive\"").shows("not by server2");
    page.shows(&format!("server2: {text}")).hides("other is not deployed here");
    page.shows("data-method=\"DELETE\"");
    let units = request_of(&site, Method::GET, UNITS, None).await.json();
    let problems = [(text, false), (waits, true)];
    let problems = problems
        .map(|(text, passing)| json!({ "node": "server2", "text": text, "passing": passing }));
    assert_eq!(units["units"][0]["problems"], json!(problems));
    {
        let status = &mut node.lock().unwrap().status;
        status.services.retain(|it| it.name != "screening");
        status.units[0].nodes.clear();
        status.units[0].problem = Some("screening is not deployed here: panicked".to_owned());
    }
    let units = request_of(&site, Method::GET, UNITS, None).await.json();
    assert_eq!(units["units"][0]["state"], json!(null));
    assert_eq!(units["units"][0]["problems"][0]["node"], "server1");
    assert_eq!(units["units"][0]["problems"][0]["passing"], false);
    node.lock().unwrap().status.units[0].is_passing = true;
    let units = request_of(&site, Method::GET, UNITS, None).await.json();
    assert_eq!(units["units"][0]["problems"][0]["passing"], true);
}

/// The orders of pages were never shown while the sheet waited for a class that no script gave.
#[actix_web::test]
async fn orders_are_hidden_by_no_class_that_the_script_does_not_give() {
    let sheet = get(FakeNode::new(), "/assets/app.css").await;
    sheet.shows("body:not(.scripted) .order-form").hides("body:not(.orders)");
    get(FakeNode::new(), "/assets/orders.js").await.shows("classList.add(\"scripted\")");
}

#[actix_web::test]
async fn the_script_shows_which_events_a_child_sbb_gets() {
    let script = get(FakeNode::new(), "/assets/units.js").await;
    script.shows("map(({ name, version, events })").shows("events.join(\", \")})` : \"\"");
    script.shows("`${name} ${version}${gets}`");
}
