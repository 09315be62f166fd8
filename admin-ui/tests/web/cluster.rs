//! What is shown of nodes, view, alarms and services.

use crate::fake_node::{FakeNode, seconds};
use crate::site::get;
use resilee_membership::View;

#[actix_web::test]
async fn each_node_shows_its_role_and_the_age_of_its_heartbeat() {
    let mut node = FakeNode::new();
    node.talking("alice@example.org", "bob@example.org", seconds(75));
    let page = get(node, "/").await;
    page.shows("data-node=\"server1\"").shows("data-node=\"server2\"").shows("this node");
    page.shows("kept, started again 2 times");
    page.shows("data-node=\"balancer\"").shows("23 ms ago").shows("in step").shows("member, owner");
}

#[actix_web::test]
async fn a_dead_node_is_silent_and_the_cluster_is_degraded_on_every_page() {
    for path in ["/", "/bills", "/alarms", "/services", "/tracers", "/rest"] {
        let mut node = FakeNode::new();
        node.server2_dies();
        let page = get(node, path).await;
        page.shows("Degraded: no backup.").shows("server2 is silent").shows("view 3");
    }
}

#[actix_web::test]
async fn an_operator_watches_a_call_move_to_the_other_node() {
    let mut node = FakeNode::new();
    node.ringing("a@example.org", "b@example.org", seconds(1));
    let moved = node.talking("alice@example.org", "bob@example.org", seconds(75));
    node.server2_dies();
    let page = get(node, "/").await;
    let row = page.body.split("<tr ").find(|row| row.contains(&moved)).expect("its row");
    assert!(row.contains("data-owner=\"server1\"") && row.contains("taken over"), "{row}");
    assert_eq!(page.body.matches("taken over</span>").count(), 1, "only the call of server2");
    page.shows("1 <small>of 2</small>").shows("link down").shows("2.3 s ago");
}

#[actix_web::test]
async fn a_node_outside_the_view_warns_that_it_may_be_out_of_date() {
    let mut node = FakeNode::new();
    node.status.member = false;
    get(node, "/").await.shows("data-notice=\"outside\"").hides("Degraded");
}

#[actix_web::test]
async fn a_single_node_says_that_it_has_no_backup() {
    let mut node = FakeNode::new();
    let this = node.status.run.clone();
    node.status.view = View::default().next(vec![this.clone()], &this);
    node.status.peers.clear();
    node.status.balancers.clear();
    let page = get(node, "/").await;
    page.shows("Single node: no backup.").hides("Degraded").hides("data-node=\"balancer\"");
}

#[actix_web::test]
async fn of_two_balancers_each_shows_whether_it_has_the_seat_and_the_address() {
    let mut node = FakeNode::new();
    let mut standby = node.status.balancers[0].clone();
    let holder = &mut node.status.balancers[0];
    holder.name = Some("balancer1".to_owned());
    holder.process.as_mut().expect("it was heard").holds_address = Some(true);
    (standby.name, standby.holds_seat) = (Some("balancer2".to_owned()), false);
    standby.ready = false;
    standby.process.as_mut().expect("it was heard").holds_address = Some(false);
    node.status.balancers.push(standby);
    let page = get(node, "/").await;
    let article = |name: &str| {
        let rest = page.body.split(&format!("data-node=\"{name}\"")).nth(1).expect("its box");
        rest.split("</article>").next().unwrap_or_default().to_owned()
    };
    let (first, second) = (article("balancer1"), article("balancer2"));
    assert!(first.contains("entry, third vote") && first.contains("<dd>here</dd>"), "{first}");
    assert!(
        second.contains("stands by; not ready") && second.contains("<dd>not here</dd>"),
        "{second}"
    );
}

#[actix_web::test]
async fn a_balancer_that_is_silent_is_not_said_to_be_anywhere() {
    let node = || {
        let mut node = FakeNode::new();
        let holder = &mut node.status.balancers[0];
        holder.name = Some("balancer1".to_owned());
        holder.process.as_mut().expect("it was heard").holds_address = Some(true);
        holder.alive = false;
        node
    };
    let nodes = get(node(), "/api/v1/nodes").await.json();
    let row = &nodes["balancers"][0];
    assert_eq!(row["state"], "silent");
    assert!(row["holds_address"].is_null() && row["ready"].is_null(), "{row}");
    get(node(), "/").await.hides("<dd>here</dd>").hides("<dd>not here</dd>");
}

#[actix_web::test]
async fn a_draining_node_and_a_joining_one_are_named_so() {
    let mut node = FakeNode::new();
    node.status.draining = true;
    let this = node.status.run.clone();
    node.status.view = node.status.view.next(vec![this.clone()], &this);
    let page = get(node, "/").await;
    page.shows("data-notice=\"draining\"").shows("state draining").shows("state joining");
}

#[actix_web::test]
async fn alarms_are_listed_newest_first_and_counted_in_the_header() {
    let mut node = FakeNode::new();
    node.alarm("cluster", "no backup", seconds(300), 1);
    node.alarm("call-billing", "no tariff", seconds(12), 4);
    let page = get(node, "/alarms").await;
    page.shows("data-alarms=\"2\"").shows("12 s ago").shows("4×").shows("5 min ago");
    let position = |text| page.body.find(text).expect("a row");
    assert!(position("data-alarm=\"call-billing\"") < position("data-alarm=\"cluster\""));
    get(FakeNode::new(), "/alarms").await.shows("No alarms.");
}

#[actix_web::test]
async fn services_show_what_they_did() {
    let mut node = FakeNode::new();
    node.status.services[2].delivered = 12_345;
    node.status.services[2].rolled_back = 2;
    node.status.dropped.insert("no envelope".to_owned(), 3);
    let page = get(node, "/services").await;
    page.shows("data-service=\"call-billing\"").shows("12,345").shows("Dropped: no envelope");
    page.shows("Dropped by the balancer: from a client, too long").shows("1,234");
    let mut bare = FakeNode::new();
    bare.status.services.clear();
    get(bare, "/services").await.shows("No services.");
}

#[actix_web::test]
async fn a_node_that_cannot_answer_is_a_503_page_with_its_reason() {
    for path in ["/", "/bills", "/alarms", "/services"] {
        let mut node = FakeNode::new();
        node.unavailable = Some("it is stopping".to_owned());
        let page = get(node, path).await;
        assert_eq!(page.status, 503, "{path}");
        page.shows("it is stopping").shows("ask another node");
    }
}

#[actix_web::test]
async fn the_overview_says_what_needs_a_look_on_any_node() {
    let mut node = FakeNode::new();
    get(FakeNode::new(), "/").await.hides("Needs a look");
    node.alarm("balancer", "the balancer is not heard", seconds(300), 1);
    node.peer_alarm("store", "nothing is stored any more: no space left", seconds(12));
    let page = get(node, "/").await;
    page.shows("Needs a look").shows("nothing is stored any more").shows("12 s ago");
    page.shows("the balancer is not heard").shows("data-alarms=\"2\"");
    let position = |text: &str| page.body.find(text).expect("shown");
    assert!(position("data-alarm=\"store\"") < position("data-alarm=\"balancer\""));
}

#[actix_web::test]
async fn many_alarms_are_cut_short_on_the_overview() {
    let mut node = FakeNode::new();
    for number in 0..9 {
        node.alarm("call-billing", &format!("alarm {number}"), seconds(number), 1);
    }
    let page = get(node, "/").await;
    page.shows("alarm 4").hides("alarm 5").shows("The newest 5 of 9");
}
