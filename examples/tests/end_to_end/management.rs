//! What an operator changes while calls run: a tariff, the states of services and of the SLEE. By
//! `resilee ctl` and by the pages, at whichever node, and what a death leaves of it.

use crate::support::browser::Browser;
use crate::support::cluster::{Calls, Cluster, DOMAIN, SERVERS, password};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::system_program::is_wanted;

const TOKEN: [&str; 2] = ["--token-file", "admin.token"];
/// A price that no other test has.
const TARIFF: [&str; 3] = ["connect_fee=7.50", "per_minute=0", "increment_s=1"];

fn cluster() -> Cluster {
    Cluster::start(&["alice".to_owned(), "bob".to_owned()], Calls::Digest)
}

fn phones(cluster: &Cluster) -> [Handset; 2] {
    let phones = ["alice", "bob"].map(|user| Handset::start(user, cluster.sip()));
    phones.iter().for_each(Handset::register);
    phones
}

/// What `resilee ctl` says at a node, with the token.
#[track_caller]
fn order(cluster: &Cluster, server: usize, words: &[&str]) -> String {
    let words = [words, &TOKEN[..]].concat();
    cluster.ctl(server, &words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// What one call costs.
fn price(cluster: &Cluster, server: usize, [alice, bob]: &[Handset; 2]) -> String {
    let call_id = alice.call("bob");
    alice.hang_up();
    bob.wait_for_hang_up(true);
    cluster.rest(server).wait_for_bill(&call_id).total
}

#[test]
fn a_tariff_that_was_changed_at_the_other_node_outlives_the_owner_of_the_tables() {
    let mut cluster = cluster();
    let phones = phones(&cluster);
    let set = [&["profile", "set", "tariffs", ""], &TARIFF[..]].concat();
    let answer = order(&cluster, 2, &set);
    assert!(answer.contains("connect_fee = 7.50"), "{answer}");
    assert_eq!(price(&cluster, 1, &phones), "7.5000");
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
    assert_eq!(price(&cluster, 2, &phones), "7.5000");
    cluster.start_node(1);
    cluster.rest(1).wait_for_members(&SERVERS, SOON);
    let table = cluster.ctl(1, &["profile", "list", "tariffs"]).expect("a list");
    assert!(table.contains("written over") && table.contains("7.50"), "{table}");
    let wrong = cluster
        .ctl(1, &[&["profile", "set", "tariffs", "", "per_minute=1,5"], &TOKEN[..]].concat());
    let error = wrong.expect_err("it is no price");
    assert!(error.contains("attribute per_minute: \"1,5\" is not a number"), "{error}");
    order(&cluster, 1, &["profile", "reset", "tariffs", ""]);
    assert_ne!(price(&cluster, 2, &phones), "7.5000");
}

#[test]
fn an_account_made_from_a_password_registers_and_calls_until_it_is_removed() {
    let cluster = cluster();
    let [_, bob] = phones(&cluster);
    let file = cluster.folder().join("carol.password");
    std::fs::write(file, format!("{}\n", password("carol"))).expect("a file");
    let file = ["--password-file", "carol.password"];
    order(&cluster, 2, &[&["account", "add", "carol", DOMAIN], &file[..]].concat());
    let list = cluster.ctl(1, &["account", "list"]).expect("a list");
    let carol = list.lines().find(|line| line.starts_with("carol"));
    assert!(carol.is_some_and(|line| line.contains("SHA-256, MD5")), "{list}");
    assert!(!list.contains("secret"), "{list}");
    let carol = Handset::start("carol", cluster.sip());
    carol.register();
    carol.call("bob");
    carol.hang_up();
    bob.wait_for_hang_up(true);
    order(&cluster, 1, &["account", "remove", "carol", DOMAIN]);
    // Nobody has such an account: she is asked who she is, and cannot prove it.
    assert_eq!(carol.call_in_vain("bob"), 407);
}

#[test]
fn services_and_the_slee_are_stopped_and_started_and_callers_are_told() {
    let mut cluster = cluster();
    let [alice, bob] = phones(&cluster);
    let states = order(&cluster, 2, &["service", "deactivate", "telephony"]);
    assert_eq!(states.matches("inactive").count(), 3, "{states}");
    assert_eq!(alice.call_in_vain("bob"), 500);
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
    assert_eq!(bob.call_in_vain("alice"), 500);
    order(&cluster, 2, &["service", "activate", "telephony"]);
    let call_id = alice.call("bob");
    let stopping = order(&cluster, 2, &["slee", "stop"]);
    assert_eq!(stopping, "server2 is stopping\n");
    alice.hang_up();
    cluster.rest(2).wait_for_bill(&call_id);
    cluster.start_node(1);
    cluster.rest(1).wait_for_members(&SERVERS, SOON);
    // What may still be repeated of the call keeps its activity for a while.
    let state = cluster.ctl(1, &["slee", "status"]).expect("a state");
    assert!(state.starts_with("server1 is stop"), "{state}");
    assert_eq!(bob.call_in_vain("alice"), 503);
    assert_eq!(order(&cluster, 1, &["slee", "start"]), "server1 is running\n");
    let call_id = alice.call("bob");
    alice.hang_up();
    cluster.rest(1).wait_for_bill(&call_id);
}

#[test]
fn what_was_left_over_is_removed_by_the_node_that_does_not_own_it() {
    let cluster = cluster();
    let [alice, _bob] = phones(&cluster);
    alice.call("bob");
    let listed = |server: usize, kind: &str| {
        let list = cluster.ctl(server, &["housekeeping", kind, "--service", "call-billing"]);
        list.expect("a list")
    };
    // The entity before the activity, which takes all entities with it.
    let kinds = [("entities", "SBB entity", "/e"), ("activities", "activity", "/a")];
    let found = kinds.map(|(kind, one, mark)| {
        let list = listed(2, kind);
        assert!(list.contains("server1"), "{list}");
        let id = list.split_whitespace().find(|word| word.contains(mark)).expect("the call's");
        (kind, one, id.to_owned())
    });
    for (kind, one, id) in &found {
        let answer = order(&cluster, 2, &["housekeeping", "remove", id]);
        assert_eq!(answer, format!("{one} {id} is removed\n"));
        for server in [1, 2] {
            let left = listed(server, kind);
            assert!(left.contains(&format!("no {kind} like that")), "{left}");
        }
        let again = [&["housekeeping", "remove", id], &TOKEN[..]].concat();
        let error = cluster.ctl(2, &again).expect_err("it is gone");
        assert!(error.contains(&format!("there is no {one}")), "{error}");
    }
    for kind in ["timers", "names"] {
        assert!(listed(2, kind).contains(&format!("no {kind} like that")), "{}", listed(2, kind));
    }
    let calls = cluster.ctl(1, &["calls"]).expect("a list");
    assert!(calls.contains("no calls"), "{calls}");
}

#[test]
fn an_operator_hangs_up_and_both_phones_and_the_bill_hear_of_it_also_after_a_takeover() {
    let mut cluster = cluster();
    let [alice, bob] = phones(&cluster);
    for dies in [false, true] {
        let call_id = alice.call("bob");
        let call = cluster.rest(1).wait_for_call(&call_id, "talking");
        if dies {
            cluster.kill_node(1);
            cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
        }
        let answer = order(&cluster, 2, &["hang-up", &call.id]);
        assert!(answer.starts_with(&format!("call {} is hung up", call.id)), "{answer}");
        [&alice, &bob].iter().for_each(|phone| phone.wait_for_hang_up(true));
        assert_eq!(cluster.rest(2).wait_for_bill(&call_id).ended_by, "server");
        let again = [&["hang-up", call.id.as_str()], &TOKEN[..]].concat();
        let error = cluster.ctl(2, &again).expect_err("it is over");
        assert!(error.contains("is in progress"), "{error}");
    }
}

#[test]
fn levels_of_tracers_and_usage_figures_are_those_of_both_nodes() {
    let mut cluster = cluster();
    let [alice, bob] = phones(&cluster);
    let call_id = alice.call("bob");
    alice.hang_up();
    bob.wait_for_hang_up(true);
    cluster.rest(1).wait_for_bill(&call_id);
    let usage = cluster.ctl(2, &["usage", "call-billing", "--cluster"]).expect("figures");
    assert!(usage.starts_with("call-billing on server1, server2, from zero at"), "{usage}");
    let own = cluster.ctl(2, &["usage", "call-billing"]).expect("figures");
    assert!(own.starts_with("call-billing on server2, from zero at"), "{own}");
    assert_ne!(own, usage, "server1 billed the call");
    order(&cluster, 2, &["trace-level", "call-billing.rating", "fine"]);
    let level = |cluster: &Cluster, server: usize| {
        let tracers = cluster.ctl(server, &["tracers"]).expect("a list");
        let line = tracers.lines().find(|line| line.starts_with("call-billing.rating"));
        line.map(|line| line.contains("fine"))
    };
    assert_eq!((level(&cluster, 1), level(&cluster, 2)), (Some(true), Some(true)));
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
    let of_cluster = |cluster: &Cluster, server: usize| {
        cluster.ctl(server, &["usage", "call-billing", "--cluster"]).expect("figures")
    };
    assert_eq!(of_cluster(&cluster, 2), usage, "what server1 counted is there without it");
    cluster.start_node(1);
    cluster.rest(1).wait_for_members(&SERVERS, SOON);
    assert_eq!(level(&cluster, 1), Some(true));
    // Server1 has counted, so it need not name server2.
    assert!(of_cluster(&cluster, 1).lines().skip(1).eq(usage.lines().skip(1)));
    order(&cluster, 2, &["reset-usage", "call-billing"]);
    let bills = |server: usize| {
        let usage = of_cluster(&cluster, server);
        let line = usage.lines().find(|line| line.starts_with("bills")).map(str::to_owned);
        line.and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
    };
    for server in [1, 2] {
        let is_zero = || bills(server).as_deref() == Some("0");
        wait_until("the figures of all nodes begin at zero", SOON, is_zero);
    }
}

#[test]
fn a_price_is_changed_on_its_page() {
    if !is_wanted("chromium") || !is_wanted("chromedriver") {
        return;
    }
    let cluster = cluster();
    let browser = Browser::start(cluster.folder());
    browser.open(&cluster.rest(2).page("/profiles/tariffs/"));
    browser.fill("[name=per_minute]", "1,5");
    browser.click("form.edit button.primary");
    browser.fill("#token-field", cluster.token().trim());
    browser.click("#token button.primary");
    let told = |text: &str| text.contains("per_minute: \"1,5\" is not a number");
    browser.wait_for_text("#order-told", told);
    browser.fill("[name=per_minute]", "9.75");
    browser.picture("tariff");
    browser.click("form.edit button.primary");
    browser.wait_for_text("tr[data-profile=\"\"]", |row| row.contains("9.75"));
    browser.picture("tariffs");
    let read = cluster.ctl(1, &["profile", "get", "tariffs", ""]).expect("it is there");
    assert!(read.contains("per_minute = 9.75"), "{read}");
    browser.open(&cluster.rest(1).page("/services"));
    browser.picture("services");
}
