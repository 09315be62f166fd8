//! What an operator sees in a browser when a server dies: the live call on the other server's
//! page, its cost ticking on without a reload, and after the hang-up the bill. And what he does
//! there: an order needs the node's token.

use crate::support::browser::Browser;
use crate::support::cluster::{Calls, Cluster};
use crate::support::handset::Handset;
use crate::support::rest::LiveCall;
use crate::support::system_program::is_wanted;

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// How long they talk at least, so that the pictures have something to show.
const TALK_S: u64 = 4;

#[test]
fn the_survivors_page_ticks_on_and_then_shows_the_bill() {
    if !is_wanted("chromium") || !is_wanted("chromedriver") {
        return;
    }
    let mut cluster = Cluster::start(&USERS.map(str::to_owned), Calls::Digest);
    let [alice, bob, carol, dave] = USERS.map(|user| Handset::start(user, cluster.sip()));
    for phone in [&alice, &bob, &carol, &dave] {
        phone.register();
    }
    let browser = Browser::start(cluster.folder());
    browser.open(&cluster.rest(2).page("/"));

    // One call that is over, one that stays in the background, and the one that is looked at.
    let early = dave.call("carol");
    cluster.rest(2).wait_for_talk(&early, 1);
    dave.hang_up();
    cluster.rest(2).wait_for_bill(&early);
    carol.call("dave");
    let call_id = alice.call("bob");
    let call = cluster.rest(2).wait_for_call(&call_id, "talking");

    watch_takeover(&browser, &mut cluster, &call);
    browser.picture("overview-after-failover");

    alice.hang_up();
    bob.wait_for_hang_up(true);
    let bill = cluster.rest(2).wait_for_bill(&call_id);
    assert_eq!(bill.id, call.id, "a call and its bill have the same id");
    browser.open(&cluster.rest(2).page(&format!("/bills/{}", bill.id)));
    let total = browser.wait_for_text("[data-bill-total]", is_money);
    println!("total on server2's page: {total}; REST: {}", bill.total);
    assert_eq!(total.split_whitespace().next(), Some(bill.total.as_str()));
    assert_eq!(browser.wait_for_text("[data-answered-by]", |_| true), "server1");
    assert_eq!(browser.wait_for_text("[data-closed-by]", |_| true), "server2");
    browser.picture("bill-after-failover");
}

#[test]
fn an_operator_sees_usage_and_gives_a_tracer_a_level() {
    if !is_wanted("chromium") || !is_wanted("chromedriver") {
        return;
    }
    let cluster = Cluster::start(&USERS.map(str::to_owned), Calls::Digest);
    let [alice, bob] = ["alice", "bob"].map(|user| Handset::start(user, cluster.sip()));
    for phone in [&alice, &bob] {
        phone.register();
    }
    let browser = Browser::start(cluster.folder());
    let call = alice.call("bob");
    cluster.rest(1).wait_for_talk(&call, 1);
    let owner = cluster.rest(1).wait_for_call(&call, "talking").node;
    let server = if owner.as_deref() == Some("server1") { 1 } else { 2 };
    alice.hang_up();
    cluster.rest(server).wait_for_bill(&call);

    browser.open(&cluster.rest(server).page("/services"));
    let bills = "[data-usage=call-billing] [data-parameter=bills] [data-label=Sum]";
    browser.wait_for_text(bills, |text| text == "1");
    browser.picture("usage");

    browser.open(&cluster.rest(server).page("/tracers"));
    let row = "[data-tracer=call-control]";
    browser.wait_for_text(&format!("{row} .level"), |text| text == "info");
    browser.act(&format!(
        "const form = document.querySelector('{row} form');
         form.elements.level.value = 'finest';
         form.querySelector('button').click();"
    ));
    browser.wait_for_text("#token-title", |text| !text.is_empty());
    browser.act(&format!(
        "document.getElementById('token-field').value = {:?};
         document.querySelector('#token .primary').click();",
        cluster.token()
    ));
    browser.wait_for_text(&format!("{row} .level"), |text| text == "finest");
    browser.picture("tracers");
}

#[test]
fn an_operator_hangs_up_on_the_page_of_a_call_and_is_shown_its_bill() {
    if !is_wanted("chromium") || !is_wanted("chromedriver") {
        return;
    }
    let cluster = Cluster::start(&USERS.map(str::to_owned), Calls::Digest);
    let [alice, bob] = ["alice", "bob"].map(|user| Handset::start(user, cluster.sip()));
    [&alice, &bob].iter().for_each(|phone| phone.register());
    let browser = Browser::start(cluster.folder());
    let call_id = alice.call("bob");
    let call = cluster.rest(2).wait_for_call(&call_id, "talking");
    browser.open(&cluster.rest(2).page(&format!("/calls/{}", call.id)));
    browser.wait_for_text("[data-cost]", is_money);
    browser.picture("call");
    browser.click("#call .order button");
    browser.wait_for_text("#token-title", |text| !text.is_empty());
    browser.fill("#token-field", cluster.token().trim());
    browser.click("#token button.primary");
    [&alice, &bob].iter().for_each(|phone| phone.wait_for_hang_up(true));
    browser.wait_for_text("[data-notice=billed]", |text| text.contains("This call is over"));
    assert_eq!(cluster.rest(2).wait_for_only_bill(&call_id).ended_by, "server");
}

/// The page was open before the call began: it learns of it, and of the kill, by itself.
#[track_caller]
fn watch_takeover(browser: &Browser, cluster: &mut Cluster, call: &LiveCall) {
    let row = format!("tr[data-call='{}']", call.id);
    let (owner, cost) = (format!("{row} .at"), format!("{row} [data-cost]"));
    let before = browser.wait_for_text(&cost, is_money);
    assert_eq!(browser.wait_for_text(&owner, |_| true), "server1");

    cluster.kill_node(1);

    browser.wait_for_text(&owner, |text| text.starts_with("server2"));
    browser.wait_for_text("[data-notice=degraded]", |_| true);
    let first = browser.wait_for_text(&cost, |cost| cost != before);
    let second = browser.wait_for_text(&cost, |cost| cost != first);
    println!("cost on server2's page: {before} before the kill, then {first}, then {second}");
    cluster.rest(2).wait_for_talk(&call.call_id, TALK_S);
    browser.wait_for_text(&cost, |cost| cost != second);
    assert!(browser.is_same_page(), "the page was loaded again");
}

/// `0.1850 EUR`, and not the dash of a call that rings.
fn is_money(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}
