//! The list of bills, its search, one bill, the CSV file.

use crate::fake_node::{FakeNode, seconds};
use crate::site::get;
use resilee_call_billing::Bill;
use resilee_sbb::{decode, encode};

fn node_with_bills() -> FakeNode {
    let mut node = FakeNode::new();
    node.bill("alice@example.org", "bob@example.org", seconds(75), seconds(7_200));
    node.tariff.currency = "USD".to_owned();
    node.bill("carol@example.org", "dave@example.org", seconds(10), seconds(86_400));
    node
}

#[actix_web::test]
async fn without_bills_the_page_says_when_there_will_be_one() {
    get(FakeNode::new(), "/bills").await.shows("No bills yet.").hides("rel=\"next\"");
}

#[actix_web::test]
async fn bills_are_listed_with_totals_by_currency() {
    let page = get(node_with_bills(), "/bills").await;
    assert_eq!(page.status, 200);
    page.shows("data-total=\"EUR\">0.2000").shows("data-total=\"USD\">0.0700");
    page.shows("data-total=\"bills\">2").shows("2026-05-01 12:03:22").shows("href=\"/bills.csv?");
}

#[actix_web::test]
async fn a_search_by_party_narrows_list_and_totals() {
    let page = get(node_with_bills(), "/bills?party=ALICE&from=&to=").await;
    page.shows("data-total=\"bills\">1").shows("<b>alice</b>").hides("<b>carol</b>");
    page.hides("USD").shows("value=\"ALICE\"").shows("party=ALICE");
    get(node_with_bills(), "/bills?party=zoe").await.shows("No bill matches.");
}

#[actix_web::test]
async fn a_search_by_time_takes_the_end_of_the_call() {
    let page = get(node_with_bills(), "/bills?from=2026-05-01T12:03&to=2026-05-01T12:04").await;
    page.shows("<b>alice</b>").hides("<b>carol</b>").shows("value=\"2026-05-01T12:03\"");
    let yesterday = get(node_with_bills(), "/bills?from=2026-04-30&to=2026-04-30").await;
    yesterday.shows("<b>carol</b>").hides("<b>alice</b>");
}

#[actix_web::test]
async fn long_lists_are_paged_and_the_links_keep_the_search() {
    let node = || {
        let mut node = FakeNode::new();
        for n in 0..120 {
            node.bill("alice@example.org", "bob@example.org", seconds(60), seconds(1_000 - n));
        }
        node
    };
    let page = get(node(), "/bills?party=alice&page=2").await;
    assert_eq!(page.body.matches("<tr id=\"bill-").count(), 50);
    page.shows("51–100 of 120").shows("data-total=\"EUR\">20.4000");
    page.shows("href=\"/bills?per_page=50&#38;party=alice&#38;page=3\"");
    get(node(), "/bills?page=9").await.shows("past the end").shows("rel=\"prev\"");
}

#[actix_web::test]
async fn a_wrong_search_is_a_400_page_that_says_what_to_write() {
    for (query, what) in [("from=noon", "from is"), ("page=x", "page is"), ("patry=a", "patry")] {
        let page = get(FakeNode::new(), &format!("/bills?{query}")).await;
        assert_eq!(page.status, 400, "{query}");
        page.shows(what).shows("<html");
    }
}

#[actix_web::test]
async fn a_bill_is_worked_out_line_by_line() {
    let mut node = FakeNode::new();
    node.tariff.increment_s = 30;
    let nodes = ["server1", "server2"];
    let id = node.bill_of_nodes("alice@x.org", "bob@x.org", seconds(75), seconds(60), nodes);
    let page = get(node, &format!("/bills/{id}")).await;
    assert_eq!(page.status, 200);
    page.shows("data-line=\"connect-fee\"").shows("<td class=\"num\">0.0500</td>");
    page.shows("75 s, begun seconds count whole").shows("3 × 30 s = 90 s charged");
    page.shows("90 s × 0.1200 a minute ÷ 60 s").shows("<td class=\"num\">0.1800</td>");
    page.shows("<span class=\"money\">0.2300</span> <span class=\"unit\">EUR</span>");
    page.shows("<b data-answered-by>server1</b>").shows("<b data-closed-by>server2</b>");
    page.shows("Survived a failover.").shows("Billed once").shows(&format!("data-bill=\"{id}\""));
    page.hides("does not follow");
}

#[actix_web::test]
async fn a_bill_whose_total_does_not_follow_from_its_tariff_says_so() {
    let mut node = FakeNode::new();
    let id = node.bill("alice@example.org", "bob@example.org", seconds(75), seconds(60));
    let mut bill: Bill = decode(&node.records[0].record).expect("a bill");
    bill.total = "9.99".parse().expect("an amount");
    node.records[0].record = encode(&bill).expect("a record");
    let page = get(node, &format!("/bills/{id}")).await;
    page.shows("does not follow from the tariff").shows("9.99").shows("gives 0.2000");
}

#[actix_web::test]
async fn an_unknown_bill_is_a_404_page_and_a_wrong_id_a_400_page() {
    let unknown = get(FakeNode::new(), "/bills/00000000000000ff-9").await;
    assert_eq!(unknown.status, 404);
    unknown.shows("there is no bill 00000000000000ff-9").shows("<html");
    let wrong = get(FakeNode::new(), "/bills/42").await;
    assert_eq!(wrong.status, 400);
    wrong.shows("is not a cell id");
}

#[actix_web::test]
async fn an_unreadable_record_is_counted_and_shown_as_such() {
    let with_one = || {
        let mut node = node_with_bills();
        let id = node.unreadable();
        (node, id)
    };
    let (node, id) = with_one();
    let list = get(node, "/bills").await;
    list.shows("1 record cannot be read").shows(&id).shows("data-total=\"bills\">2");
    let (node, _) = with_one();
    let page = get(node, &format!("/bills/{id}")).await;
    assert_eq!(page.status, 500);
    page.shows("record 3 is no bill");
}

#[actix_web::test]
async fn a_second_record_of_a_call_is_reported_and_not_billed() {
    let mut node = node_with_bills();
    let mut again = node.records[0].clone();
    again.sequence = 3;
    node.records.push(again);
    let page = get(node, "/bills").await;
    page.shows("data-repeated=\"1\"").shows("data-total=\"bills\">2");
}

#[actix_web::test]
async fn the_selection_downloads_as_csv() {
    let file = get(node_with_bills(), "/bills.csv?party=alice").await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(file.body.lines().count(), 2);
    file.shows("sip:alice@example.org,sip:bob@example.org,2026-05-01T12:02:01.120Z,");
    file.shows(",75,75,0.2000,EUR,server1,server1\r\n");
}
