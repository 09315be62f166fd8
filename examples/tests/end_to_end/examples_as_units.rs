//! Examples as units that are uploaded to two servers: a missed call is told to a web hook and an
//! unanswered one goes on to somebody else, while one server is killed. `call-guard` is in
//! `units.rs`, `wake-up-call` in `wake_up_call.rs`.

use crate::support::cluster::{Calls, Cluster, DOMAIN, SERVERS};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::units::{deploy, order};
use crate::support::web_target::WebTarget;

/// Where missed calls are told.
const PATH: &str = "/missed";

#[test]
fn a_missed_call_is_told_and_an_unanswered_one_forwarded_by_services_that_were_uploaded() {
    let users = ["alice", "bob", "carol", "dave"];
    let mut cluster = Cluster::start(&users.map(str::to_owned), Calls::Digest);
    let alice = Handset::start("alice", cluster.sip());
    let bob = Handset::start_ringing("bob", cluster.sip());
    let carol = Handset::start("carol", cluster.sip());
    [&alice, &bob, &carol].iter().for_each(|phone| phone.register());
    let target = WebTarget::start();
    for name in ["missed-call-hook", "call-forward-no-answer"] {
        deploy(&cluster, name, name, &[]);
    }
    let allow = format!("allow={}", target.address());
    order(&cluster, 1, &["adaptor", "configure", "http", &allow]);
    let url = format!("url=http://{}{PATH}", target.address());
    order(&cluster, 1, &["profile", "set", "missed-call-hook", "*", &url]);
    let [bob_s, carol_s] = ["bob", "carol"].map(|user| format!("sip:{user}@{DOMAIN}"));
    let to = format!("target={carol_s}");
    let rule = ["profile", "set", "call-forward-no-answer", &bob_s, &to, "seconds=1"];
    order(&cluster, 1, &rule);

    // Dave has no phone. Who is told answers when the server that told him is dead.
    target.hold();
    assert_eq!(alice.call_in_vain("dave"), 480);
    wait_until("the hook is told", SOON, || target.of(PATH).len() == 1);
    let call_id = alice.call("bob");
    carol.wait_for_ack();
    assert_eq!((bob.times_called(), carol.times_called()), (1, 1));
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);

    wait_until("the survivor tells the hook again", SOON, || target.of(PATH).len() == 2);
    target.go_on();
    let told = target.of(PATH);
    assert_eq!(told[0].key, told[1].key, "its receiver can tell");
    assert_eq!(told[0].body, told[1].body);
    assert!(told[0].body.contains("\"reason\":\"unavailable\""), "{}", told[0].body);
    assert!(alice.is_talking() && carol.is_talking(), "the call was cut");
    alice.hang_up();
    carol.wait_for_hang_up(true);
    cluster.rest(2).wait_for_bill(&call_id);
    assert_eq!(cluster.rest(2).bills().len(), 1, "one call, one bill, whoever has answered");
}
