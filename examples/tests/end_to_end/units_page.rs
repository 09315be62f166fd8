//! A service is deployed in a browser: the page *Units* shows what is in a file before anything is
//! deployed, deploys it when that is confirmed, and lists it; then it is activated at both servers.

use crate::support::browser::Browser;
use crate::support::cluster::{Calls, Cluster};
use crate::support::system_program::is_wanted;
use crate::support::units::unit;

const NAME: &str = "call-screening";

/// What the page tells of the file.
const FOUND: &str = "#unit-found";
/// The first row of its list.
const ROW: &str = "#units tr[data-unit]";

#[test]
fn an_operator_looks_at_a_unit_confirms_it_and_activates_it() {
    if !is_wanted("chromium") || !is_wanted("chromedriver") {
        return;
    }
    let cluster = Cluster::start(&[], Calls::Digest);
    let file = unit(cluster.folder(), NAME, NAME, &[]);
    let browser = Browser::start(cluster.folder());
    browser.open(&cluster.rest(1).page("/units"));
    browser.wait_for_text("#units", |text| text.contains("No units."));

    browser.choose_file("#unit-drop input", &file);
    browser.wait_for_text("#token-title", |text| !text.is_empty());
    browser.fill("#token-field", &cluster.token());
    browser.click("#token .primary");
    browser.wait_for_text(&format!("{FOUND} h3"), |text| text.starts_with(NAME));
    let facts = browser.wait_for_text(&format!("{FOUND} dl"), |text| !text.is_empty());
    println!("{facts}");
    for (name, value) in
        [("Vendor", "example"), ("May", "command Respond"), ("Is started by", "sip.invite")]
    {
        let mut after = facts.lines().skip_while(|line| !line.eq_ignore_ascii_case(name)).skip(1);
        assert!(after.next().is_some_and(|line| line.contains(value)), "{name}: {facts}");
    }
    browser.picture("unit-found");
    for server in [1, 2] {
        let units = cluster.ctl(server, &["units"]).expect("it answers");
        assert!(units.contains("no units"), "it was only looked at: {units}");
    }

    browser.wait_for_text("#unit-deploy", |text| text == "Deploy it");
    browser.click("#unit-deploy");
    browser.wait_for_text(&format!("{ROW} .name"), |text| text == NAME);
    let both = |text: &str| text == "server1, server2";
    browser.wait_for_text(&format!("{ROW} [data-label='Compiled by']"), both);
    browser.wait_for_text(&format!("{ROW} [data-state]"), |text| text == "inactive");

    browser.open(&cluster.rest(2).page("/services"));
    browser.fill("[name=service]", NAME);
    browser.click("[data-list=activate]");
    browser.wait_for_text("#token-title", |text| !text.is_empty());
    browser.fill("#token-field", &cluster.token());
    browser.click("#token .primary");
    let state = format!("[data-service='{NAME}'] [data-state]");
    browser.wait_for_text(&state, |text| text == "active");
    for server in [1, 2] {
        cluster.rest(server).wait_for_service(NAME, |it| it.state == "active");
        browser.open(&cluster.rest(server).page("/units"));
        browser.wait_for_text(&format!("{ROW} [data-state]"), |text| text == "active");
    }
    browser.picture("units");
    cluster.rest(1).has_no_service_alarm();
}
