//! One request to the site of a fake node, and what came back.

use crate::fake_node::FakeNode;
use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::{App, test};
use resilee_admin_ui::Site;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// The token of the site.
pub const TOKEN: &str = "s3cret";

/// What came back.
pub struct Page {
    pub status: u16,
    pub headers: actix_web::http::header::HeaderMap,
    pub body: String,
}

impl Page {
    /// Fails with the page if it does not contain `text`.
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        assert!(self.body.contains(text), "{text:?} is not in:\n{}", self.body);
        self
    }

    #[track_caller]
    pub fn hides(&self, text: &str) -> &Self {
        assert!(!self.body.contains(text), "{text:?} is in:\n{}", self.body);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a readable header"))
    }
}

/// Gets one page of the site of `node`.
pub async fn get(node: FakeNode, path: &str) -> Page {
    request(node, Method::GET, path, None).await
}

/// Any request, with a value for the header Authorization.
pub async fn request(
    node: FakeNode,
    method: Method,
    path: &str,
    authorization: Option<&str>,
) -> Page {
    let site = Site::new(Some(TOKEN.to_owned()), FakeNode::ask(&Arc::new(Mutex::new(node))));
    request_of(&site, method, path, authorization).await
}

/// Any request to a site that stays.
pub async fn request_of(
    site: &Site,
    method: Method,
    path: &str,
    authorization: Option<&str>,
) -> Page {
    let app = test::init_service(App::new().configure(|config| site.configure(config))).await;
    let mut request = test::TestRequest::default().method(method).uri(path);
    if let Some(value) = authorization {
        request = request.insert_header(("authorization", value));
    }
    let response = test::call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.expect("a body");
    let body = String::from_utf8(body.to_vec()).expect("text");
    Page { status, headers, body }
}

/// A write with the token.
pub async fn order_by(site: &Site, method: Method, path: &str, body: &str) -> Page {
    let request = test::TestRequest::default().method(method).uri(path);
    send(site, request.set_payload(body.to_owned()), Some(TOKEN)).await
}

/// An order, with the bearer token if there is one.
pub async fn order(site: &Site, path: &str, token: Option<&str>, body: &str) -> Page {
    let request = test::TestRequest::post().uri(path).set_payload(body.to_owned());
    send(site, request, token).await
}

/// A file as the body of a POST.
pub async fn upload(
    site: &Site,
    path: &str,
    token: Option<&str>,
    content_type: Option<&str>,
    bytes: &[u8],
) -> Page {
    let mut request = test::TestRequest::post().uri(path).set_payload(bytes.to_vec());
    if let Some(content_type) = content_type {
        request = request.insert_header(("content-type", content_type));
    }
    send(site, request, token).await
}

async fn send(site: &Site, mut request: test::TestRequest, token: Option<&str>) -> Page {
    let app = test::init_service(App::new().configure(|config| site.configure(config))).await;
    if let Some(token) = token {
        request = request.insert_header(("authorization", format!("Bearer {token}")));
    }
    let response = test::call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.expect("a body");
    Page { status, headers, body: String::from_utf8(body.to_vec()).expect("text") }
}
