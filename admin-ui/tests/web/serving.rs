//! The server itself, on a real socket; and what is embedded in it.

use crate::fake_node::FakeNode;
use crate::site::{get, request_of};
use actix_web::http::Method;
use actix_web::{App, test as on_app};
use resilee_admin_ui::{Ask, Site, serve};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[test]
fn the_server_runs_in_a_plain_tokio_runtime_and_ends_with_its_task() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ask = FakeNode::ask(&Arc::new(Mutex::new(FakeNode::new())));
    let server = runtime.spawn(serve(listener, None, ask));
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"member\":true"),
        "{answer}"
    );
    server.abort();
    assert!(runtime.block_on(server).is_err_and(|error| error.is_cancelled()));
    TcpListener::bind(address).expect("the port is free again");
}

#[actix_web::test]
async fn a_node_that_never_answers_is_given_up() {
    tokio::time::pause();
    let ask: Ask = Arc::new(|_| Box::pin(std::future::pending()));
    let site = Site::new(None, ask);
    let page = request_of(&site, Method::GET, "/api/v1/health", None).await;
    assert_eq!(page.status, 503);
    page.shows("no answer within 2 s");
}

#[actix_web::test]
async fn everything_that_a_page_links_to_is_there() {
    let page = get(FakeNode::new(), "/").await;
    let values = page.body.split(['"', '\'']).filter(|text| text.starts_with('/'));
    let is_link = |text: &&str| !text.starts_with("/events") && !text.contains(['>', ' ']);
    let links: Vec<&str> = values.filter(is_link).collect();
    assert!(links.contains(&"/assets/live.js") && links.contains(&"/bills"), "{links:?}");
    for link in links {
        assert_eq!(get(FakeNode::new(), link).await.status, 200, "{link}");
    }
    assert_eq!(get(FakeNode::new(), "/assets/nothing.js").await.status, 404);
    assert_eq!(get(FakeNode::new(), "/nowhere").await.status, 404);
}

#[actix_web::test]
async fn an_asset_that_the_browser_has_is_not_sent_again() {
    let site = Site::new(None, FakeNode::ask(&Arc::new(Mutex::new(FakeNode::new()))));
    let app = on_app::init_service(App::new().configure(|config| site.configure(config))).await;
    let ask = |tag: String| {
        let request = on_app::TestRequest::get().uri("/assets/app.css");
        on_app::call_service(&app, request.insert_header(("if-none-match", tag)).to_request())
    };
    let first = ask("\"old\"".to_owned()).await;
    assert_eq!(first.status(), 200);
    let tag = first.headers().get("etag").unwrap().to_str().unwrap().to_owned();
    assert_eq!(ask(tag).await.status(), 304);
}
