//! One of two balancers: it serves by the seat and a lease, and is nowhere otherwise.

use crate::stage::{Sent, Stage, request, run};
use resilee_balancer::{Algorithm, BalancerInput, BalancerNotice, DropReason, Pair};
use resilee_membership::View;
use std::time::Duration;

/// `x` of the balancers `x` and `y`, in a view of both nodes, which do not confirm it yet.
fn of_two() -> Stage {
    of_two_with(true)
}

pub fn of_two_with(adds_addresses: bool) -> Stage {
    let mut stage = new_of_two_with(adds_addresses);
    stage.handle(BalancerInput::StandbyChecked(None));
    stage.run(50);
    stage
}

/// Which has not looked yet whether it could serve.
pub fn new_of_two_with(adds_addresses: bool) -> Stage {
    Stage::pair_with(Algorithm::FirstAlive, |config| {
        let name = |text: &str| text.parse().expect("a name");
        config.pair = Some(Pair { name: name("x"), peer: name("y"), adds_addresses });
    })
}

/// The same, and they do.
fn serving() -> Stage {
    serving_with(true)
}

pub fn serving_with(adds_addresses: bool) -> Stage {
    let mut stage = of_two_with(adds_addresses);
    stage.confirms = true;
    stage.run(200);
    stage
}

/// The view in which the other balancer holds the seat.
pub fn moved(stage: &Stage) -> View {
    let seat = Some("y".parse().expect("a name"));
    View { number: stage.view.number + 1, seat, ..stage.view.clone() }
}

fn is_forwarded(stage: &mut Stage) -> bool {
    stage.server_of(&request("INVITE", "c1", None)).is_some()
}

#[test]
fn without_a_lease_nothing_of_a_client_is_forwarded_and_that_is_counted() {
    let mut stage = of_two();
    assert!(!is_forwarded(&mut stage));
    assert_eq!(stage.balancer.drops().count(DropReason::Standby), 1);
    assert!(stage.serves.is_empty(), "it never was where clients are");
    assert!(is_forwarded(&mut serving()));
}

#[test]
fn without_a_lease_nothing_of_a_node_goes_to_a_client() {
    let mut stage = of_two();
    let to_client = |sent: &Sent| matches!(sent, Sent::ToClient(..));
    let view = stage.view.number;
    assert!(!stage.node_sip(0, view, &request("OPTIONS", "c1", None)).iter().any(to_client));
    let mut stage = serving();
    assert!(stage.node_sip(0, view, &request("OPTIONS", "c1", None)).iter().any(to_client));
}

#[test]
fn with_the_lease_it_goes_where_clients_are_and_without_leaves() {
    let mut stage = serving();
    assert_eq!(stage.serves, [true]);
    stage.confirms = false;
    stage.run(300);
    assert_eq!(stage.serves, [true, false]);
    assert!(stage.notices.contains(&BalancerNotice::Serves(false)));
}

#[test]
fn a_lease_ends_between_two_of_its_timers_as_well() {
    let mut stage = serving();
    stage.now = stage.now + Duration::from_millis(260);
    assert!(!is_forwarded(&mut stage), "nothing happened since, and it is over");
}

#[test]
fn when_the_seat_moves_it_stops_at_once_though_nodes_had_confirmed_it() {
    let mut stage = serving();
    let view = moved(&stage);
    stage.tell(view);
    assert_eq!(stage.serves, [true, false]);
    assert!(!is_forwarded(&mut stage));
}

#[test]
fn who_lost_the_seat_sends_nothing_again_when_a_node_dies() {
    let mut stage = serving();
    assert!(is_forwarded(&mut stage));
    let view = moved(&stage);
    let two = run(1, 1);
    // It hears of both at once.
    let sent = stage.tell(view.next(vec![two.clone()], &two));
    assert!(!sent.iter().any(|sent| matches!(sent, Sent::Sip { .. })), "{sent:?}");
}

#[test]
fn its_status_says_who_has_the_seat_and_whether_it_is_where_clients_are() {
    let mut stage = serving();
    let pair = |stage: &Stage| stage.balancer.status(stage.now).pair.expect("it is one of two");
    assert_eq!(pair(&stage).seat.as_deref(), Some("x"));
    assert!(pair(&stage).serves && !pair(&stage).holds_address, "it is on its way there");
    stage.handle(BalancerInput::AddressRefused("no such interface"));
    assert_eq!(pair(&stage).address_refused.as_deref(), Some("no such interface"));
    stage.handle(BalancerInput::AddressTaken);
    stage.handle(BalancerInput::AddressTaken);
    assert!(pair(&stage).holds_address && pair(&stage).address_refused.is_none());
    let told = stage.notices.iter().filter(|it| **it == BalancerNotice::AddressTaken);
    assert_eq!(told.count(), 1, "it is taken again and again, and told once");
    let view = moved(&stage);
    stage.tell(view);
    stage.handle(BalancerInput::AddressTaken);
    assert!(!pair(&stage).holds_address, "that was said before it left");
    assert_eq!(pair(&stage).seat.as_deref(), Some("y"));
    let page = stage.balancer.status(stage.now).to_prometheus();
    assert!(page.contains("resilee_balancer_seat 0\n"), "{page}");
    assert!(page.contains("resilee_balancer_address 0\n"), "{page}");
    let alone = Stage::pair(Algorithm::FirstAlive);
    assert!(alone.balancer.status(alone.now).pair.is_none());
}
