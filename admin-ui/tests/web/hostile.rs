//! Callers choose their names, and anybody may send any request.

use crate::fake_node::{FakeNode, seconds};
use crate::site::get;

const EVIL: &str = "\"><script>alert(1)</script>'&@example.org";

#[actix_web::test]
async fn a_hostile_name_is_text_on_every_page() {
    let mut paths: Vec<String> = ["/", "/bills", "/alarms"].map(str::to_owned).into();
    let node = || {
        let mut node = FakeNode::new();
        let call = node.talking(EVIL, EVIL, seconds(75));
        let bill = node.bill(EVIL, EVIL, seconds(75), seconds(10));
        node.alarm(EVIL, EVIL, seconds(1), 1);
        (node, [format!("/calls/{call}"), format!("/bills/{bill}")])
    };
    paths.extend(node().1);
    for path in paths {
        let page = get(node().0, &path).await;
        assert_eq!(page.status, 200, "{path}");
        page.hides("<script>alert").shows("&#60;script&#62;alert(1)");
    }
}

#[actix_web::test]
async fn a_hostile_search_is_text_in_the_form_and_percent_encoded_in_links() {
    let mut node = FakeNode::new();
    for _ in 0..60 {
        node.bill(EVIL, "bob@example.org", seconds(5), seconds(10));
    }
    let page = get(node, "/bills?party=%22%3E%3Cscript%3Ealert").await;
    page.shows("60").hides("<script>alert").shows("value=\"&#34;&#62;&#60;script&#62;alert\"");
    page.shows("party=%22%3E%3Cscript%3Ealert&#38;page=2");
}

#[actix_web::test]
async fn a_hostile_path_is_text_in_the_error() {
    let page = get(FakeNode::new(), "/bills/%3Cscript%3Ealert(1)").await;
    assert_eq!(page.status, 400);
    page.hides("<script>alert");
}

#[actix_web::test]
async fn every_answer_has_the_security_headers() {
    for path in ["/", "/bills/42", "/nowhere", "/api/v1/health", "/api/nowhere", "/assets/app.css"]
    {
        let page = get(FakeNode::new(), path).await;
        assert!(page.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
    }
}

#[actix_web::test]
async fn pages_run_nothing_inline() {
    let mut node = FakeNode::new();
    node.talking("alice@example.org", "bob@example.org", seconds(75));
    let page = get(node, "/").await;
    page.hides("style=").hides("onclick").hides("<style");
    assert_eq!(page.body.matches("<script").count(), page.body.matches("<script src=").count());
}
