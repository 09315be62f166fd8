//! Web hooks in and out, through two nodes and a balancer, with a `kill -9` between a call and its
//! answer. The service is that of the example `web_hooks`.

use crate::support::cluster::{Cluster, SERVERS};
use crate::support::condition::{SOON, wait_until};
use crate::support::ports::free_address;
use crate::support::web_target::WebTarget;
use std::net::SocketAddr;
use std::thread;

/// A cluster whose nodes serve hooks at these addresses and may call `target`.
fn cluster(hooks: [SocketAddr; 2], target: &WebTarget) -> Cluster {
    let allow = target.address();
    let http = |listen| format!("\n[http]\nlisten = \"{listen}\"\nallow = [\"{allow}\"]\n");
    Cluster::start_example("web_hooks", hooks.map(http))
}

/// Status and body of the answer to a hook; why there is none.
fn post(hook: SocketAddr, name: &str, to: &str) -> Result<(u16, String), ureq::Error> {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = config.timeout_global(Some(SOON)).build().new_agent();
    let request = agent.post(format!("http://{hook}/hooks/{name}")).header("x-relay-to", to);
    let mut answer = request.send("hello")?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
}

#[test]
fn a_call_outlives_the_node_that_made_it_and_its_receiver_knows_the_second_one() {
    let hooks = [free_address(), free_address()];
    let target = WebTarget::start();
    let mut cluster = cluster(hooks, &target);
    let to = |path: &str| format!("http://{}{path}", target.address());

    for hook in hooks {
        let answer = post(hook, "relay", &to("/plain")).expect("an answer");
        assert_eq!(answer, (200, "thanks".to_owned()));
    }
    assert_eq!(target.of("/plain").len(), 2);
    let answer = post(hooks[0], "nothing", &to("/plain")).expect("an answer");
    assert_eq!(answer, (404, "no service takes this hook\n".to_owned()));
    let answer = post(hooks[0], "relay", "http://127.0.0.1:1/").expect("an answer");
    assert_eq!(answer.0, 502);
    assert!(answer.1.starts_with("NotAllowed"), "{answer:?}");

    target.hold();
    let url = to("/held");
    let client = thread::spawn(move || post(hooks[0], "relay", &url));
    wait_until("the call is made", SOON, || target.of("/held").len() == 1);
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
    wait_until("the survivor makes it again", SOON, || target.of("/held").len() == 2);
    target.go_on();
    assert!(client.join().expect("no panic").is_err(), "its connection died with the node");
    let held = target.of("/held");
    assert_eq!((held[0].body.as_str(), held[1].body.as_str()), ("hello", "hello"));
    assert_eq!(held[0].key, held[1].key, "its receiver can tell");
    wait_until("the service has the answer", SOON, || target.of("/held/late").len() == 1);
    let late = &target.of("/held/late")[0];
    assert_eq!(late.body, "thanks");
    assert_ne!(late.key, held[0].key, "another call");
    println!("called with {:?}, twice; then told late", held[0].key);
}

#[test]
fn an_operator_drains_the_adaptor_and_says_whom_it_may_call() {
    let hooks = [free_address(), free_address()];
    let target = WebTarget::start();
    let mut cluster = cluster(hooks, &target);
    let to = format!("http://{}/x", target.address());
    let order = |cluster: &Cluster, words: &[&str]| {
        let words = [&["adaptor"], words, &["--token-file", "admin.token"]].concat();
        cluster.ctl(2, &words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    };
    let said = order(&cluster, &["deactivate", "http"]);
    assert!(said.contains("http  inactive"), "{said}");
    assert_eq!(post(hooks[0], "relay", &to).expect("an answer").0, 503);
    order(&cluster, &["activate", "http"]);
    assert_eq!(post(hooks[0], "relay", &to).expect("an answer").0, 200);
    let wrong =
        cluster.ctl(2, &["adaptor", "configure", "http", "allow=*", "--token-file", "admin.token"]);
    let error = wrong.expect_err("that is no host");
    assert!(error.contains("\"*\" is no host"), "{error}");
    order(&cluster, &["configure", "http", "allow=other.test"]);
    let answer = post(hooks[0], "relay", &to).expect("an answer");
    assert!(answer.1.starts_with("NotAllowed"), "{answer:?}");
    cluster.kill_node(1);
    cluster.rest(2).wait_for_members(&SERVERS[1..], SOON);
    let answer = post(hooks[1], "relay", &to).expect("an answer");
    assert!(answer.1.starts_with("NotAllowed"), "it outlives the node: {answer:?}");
}
