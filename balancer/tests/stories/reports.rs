//! What the balancer tells of itself, and a configuration that is read again while it runs.

use crate::stage::{Sent, Stage, request, response};
use resilee_balancer::{Algorithm, BalancerConfig, BalancerInput, BalancerNotice, Status};
use resilee_membership::ControlBody;
use resilee_sip_tcp::{Drops, TcpDrop};
use std::time::Duration;

fn reload(stage: &mut Stage, change: impl FnOnce(&mut BalancerConfig)) {
    let mut config = stage.config.clone();
    change(&mut config);
    stage.handle(BalancerInput::Reloaded(&config));
}

fn status(stage: &Stage) -> Status {
    stage.balancer.status(stage.now)
}

#[test]
fn what_was_refused_of_tcp_clients_counts_on_when_the_seat_has_gone_and_come_back() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    let dropped = |stage: &Stage| stage.balancer.status(stage.now).dropped["tcp_too_slow"];
    let mut of_tcp = Drops::default();
    for _ in 0..3 {
        of_tcp.add(TcpDrop::TooSlow);
    }
    stage.balancer.note_tcp_drops(&of_tcp);
    of_tcp.add(TcpDrop::TooSlow);
    stage.balancer.note_tcp_end(&of_tcp);
    assert_eq!(dropped(&stage), 4);
    let mut of_tcp = Drops::default();
    stage.balancer.note_tcp_drops(&of_tcp);
    assert_eq!(dropped(&stage), 4);
    stage.balancer.note_tcp_drop(TcpDrop::TooSlow);
    of_tcp.add(TcpDrop::TooSlow);
    stage.balancer.note_tcp_drops(&of_tcp);
    assert_eq!(dropped(&stage), 6);
}

#[test]
fn another_algorithm_and_other_weights_hold_for_new_calls_and_for_no_others() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    let calls: Vec<_> = (0..8).map(|call| request("INVITE", &format!("c{call}"), None)).collect();
    assert_eq!(stage.server_of(&calls[0]), Some(0));
    reload(&mut stage, |config| {
        config.algorithm = Algorithm::RoundRobin;
        config.servers[1].weight = 3;
    });
    let servers: Vec<_> = calls[..5].iter().filter_map(|call| stage.server_of(call)).collect();
    assert_eq!(servers, [0, 1, 0, 1, 1], "the first of them is the old one");
    let changed = vec!["algorithm", "[[server]] weight"];
    assert!(stage.notices.contains(&BalancerNotice::Reloaded { changed }));
}

#[test]
fn other_limits_of_clients_hold_at_once() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    reload(&mut stage, |config| (config.protection.rate_per_s, config.protection.burst) = (1, 2));
    let options = request("OPTIONS", "c", None);
    let served = (0..5).filter(|_| stage.server_of(&options).is_some()).count();
    assert_eq!(served, 2);
    assert!(stage.notices.contains(&BalancerNotice::Reloaded { changed: vec!["[protection]"] }));
}

#[test]
fn another_heartbeat_is_kept_from_then_on_in_both_directions() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    reload(&mut stage, |config| (config.heartbeat_ms, config.missed) = (500, 3));
    let beats = |stage: &mut Stage| {
        let (end, mut beats) = (stage.now + Duration::from_secs(2), 0);
        while stage.balancer.poll_timeout() <= end {
            stage.now = stage.balancer.poll_timeout();
            let sent = stage.handle(BalancerInput::Timeout);
            let beat = |it: &&Sent| {
                matches!(it, Sent::Control { body: ControlBody::Heartbeat { .. }, .. })
            };
            beats += sent.iter().filter(beat).count();
        }
        stage.now = end;
        beats
    };
    assert!((8..=10).contains(&beats(&mut stage)), "four a second, after what was due");
    stage.run(1_000);
    stage.run_without(1_400, Some(0));
    assert!(stage.balancer.is_alive(0), "three of 500 ms");
    stage.run_without(600, Some(0));
    assert!(!stage.balancer.is_alive(0));
}

#[test]
fn a_refused_configuration_is_told_and_the_old_one_stays() {
    let mut stage = Stage::pair(Algorithm::FirstAlive);
    stage.handle(BalancerInput::ReloadRefused("balancer.toml:2: listen: it is wrong"));
    let reloads = status(&stage).reloads;
    assert_eq!((reloads.accepted, reloads.refused), (0, 1));
    assert_eq!(reloads.refusal.unwrap(), "balancer.toml:2: listen: it is wrong");
    let text = stage.notices.last().unwrap().to_string();
    assert!(text.contains("the old one stays: balancer.toml:2: listen: it is wrong"), "{text}");
    assert!(status(&stage).to_prometheus().contains("resilee_balancer_reload_ok 0\n"));
    reload(&mut stage, |_| ());
    assert_eq!((status(&stage).reloads.accepted, status(&stage).reloads.refusal), (1, None));
}

#[test]
fn the_status_says_who_serves_and_what_was_dropped() {
    let mut stage = Stage::pair(Algorithm::RoundRobin);
    for call in ["c1", "c2", "c3"] {
        stage.client(&request("INVITE", call, None));
    }
    stage.node_sip(0, 1, &response("z9hG4bKx"));
    stage.client("GET / HTTP/1.1\r\n\r\n");
    stage.take_over();
    stage.run_without(400, Some(0));
    let status = status(&stage);
    assert_eq!((status.view.number, &*status.view.members), (2, &["two#1".to_owned()][..]));
    assert_eq!(status.view.tables_owner.as_deref(), Some("two#1"));
    let [one, two] = &status.servers[..] else { panic!("{status:?}") };
    assert_eq!((one.state, two.state), ("down", "ready"));
    assert!(one.heartbeat_age_ms >= Some(400) && two.heartbeat_age_ms <= Some(50), "{status:?}");
    assert_eq!((one.new_calls, one.requests, one.responses), (2, 2, [0, 1, 0, 0, 0, 0]));
    assert_eq!(status.dropped["not_sip"], 1);
    let page = status.to_prometheus();
    for line in [
        "# TYPE resilee_balancer_dropped_total counter",
        "resilee_balancer_dropped_total{reason=\"not_sip\"} 1",
        "resilee_balancer_dropped_total{reason=\"no_member\"} 0",
        "resilee_balancer_server_state{server=\"one\",state=\"down\"} 1",
        "resilee_balancer_server_state{server=\"one\",state=\"ready\"} 0",
        "resilee_balancer_server_responses_total{server=\"one\",class=\"2xx\"} 1",
        "resilee_balancer_view 2",
        "resilee_balancer_up_seconds 0.600",
    ] {
        assert!(page.lines().any(|it| it == line), "{line} is missing in:\n{page}");
    }
}
